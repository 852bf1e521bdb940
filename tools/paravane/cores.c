/* How much of this host is free.  See cores.h. */
#include "cores.h"

#include <sched.h>
#include <stdio.h>

/* The quota of the control group that we are seen in, in whole cores; 0: there is none. */
static unsigned quota(void)
{
    unsigned long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &quota, &period) != 2 ||
        !period) /* "max 100000" has no number first */
        quota = 0;
    fclose(file);
    return quota ? (unsigned)((quota + period - 1) / period) : 0;
}

unsigned cores_most(void)
{
    const unsigned limit = quota();
    cpu_set_t set;
    unsigned cores = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = (unsigned)CPU_COUNT(&set);
    return limit && limit < cores ? limit : cores;
}

/* Tasks that run or wait for a core, without ourselves. */
static unsigned busy(void)
{
    unsigned running = 1;
    FILE *file = fopen("/proc/loadavg", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%*f %*f %*f %u/", &running) != 1 || !running)
        running = 1;
    fclose(file);
    return running - 1;
}

unsigned cores_free(void)
{
    const unsigned most = cores_most(), taken = busy();
    return taken < most ? most - taken : 1;
}
