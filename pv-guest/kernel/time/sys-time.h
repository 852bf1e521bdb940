/* Clocks and times, for the system calls that take them. */
#pragma once

#include "cpu-time.h"

#define NS 1000000000ul

/* The time that @clock (CLOCK_*) shows; -EINVAL if there is no such clock. */
MUST_CHECK int clock_read(unsigned clock, uint64_t *now);
bool clock_is_cpu_time(unsigned clock);
bool clock_is_coarse(unsigned clock);
/* Whose CPU time shows @clock?  *@tid 0 is all of *@process.  False if it is another clock, or nobody's. */
bool clock_of_cpu_time(unsigned clock, struct process **process, int *tid, enum cpu_clock *kind);
/* struct rusage of @used, of which nothing else is known. */
long give_rusage(user_t to, struct cpu_time used);
/* A struct timespec at @from, in ns; -EINVAL, -EFAULT. */
MUST_CHECK int timespec_read(user_t from, uint64_t *ns);
/*
 * When a wait ends that a struct timespec at @from limits (0: FOREVER): after so long, or, @absolute, at that point of
 * the time of day or of the monotonic clock; -EINVAL, -EFAULT.
 */
MUST_CHECK int timespec_deadline(user_t from, bool absolute, bool time_of_day, uint64_t *deadline);
/*
 * A struct itimerspec at @from: when it expires (platform_time; 0 is never) and its period.
 * @absolute: the value is a time that @clock shows.
 */
MUST_CHECK int itimerspec_read(user_t from, unsigned clock, bool absolute, uint64_t *deadline,
                               uint64_t *interval);
