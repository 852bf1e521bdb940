/* How much of this host is free: whether a machine's CPUs get a thread each, or take turns on one. */
#pragma once

/*
 * The cores that could run something more now, at least 1 and at most @cores_most(): those that we may use, less the
 * tasks that run or wait for a core at this moment (/proc/loadavg, the field R/T of proc(5)).  One look, not an
 * average: an average of the last minute would not know of the run that was started a second ago.
 */
unsigned cores_free(void);

/* The cores that we may use: the affinity (sched_getaffinity(2)) and a control group's quota (cpu.max). */
unsigned cores_most(void);
