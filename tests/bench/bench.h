/* What the files of the benchmark's image share: how a row is measured (main.c), and the groups of rows. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Runs an operation @n times. */
typedef void run_t(unsigned long n);

#define LOOP(name, call)                      \
    static void name(unsigned long n)         \
    {                                         \
        for (unsigned long i = 0; i < n; i++) \
            call;                             \
    }

/* The median cost of one of @n * @per operations, each run after @before(), if there is one. */
uint64_t measure(void (*before)(void), run_t *run, unsigned long n, unsigned per);
void report(const char *name, uint64_t ticks);

void bench_fork(void); /* fork.c */
void bench_cpus(void); /* cpus.c */
