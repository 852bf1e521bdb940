/* What a domain is built from, and built again (struct domain_config), and what its end means. */
#pragma once

#include "domain.h"
#include "sched.h"

/* What happens when a domain has ended, and why it may end (hypercall-abi/hyperlaunch.md). */
enum end_action { END_DESTROY, END_RESTART, END_PRESERVE };

enum console_mode { CONSOLE_RAW, CONSOLE_PREFIX, CONSOLE_OFF };

/* Everything needed to build a domain, and to build it again. */
struct domain_config {
    domid_t id;
    uint16_t roles;
    bool initial;     /* SIF_PRIVILEGED | SIF_INITDOMAIN; its end is the machine's */
    bool has_console; /* typed input goes here at the start */
    uint8_t on_poweroff, on_reboot, on_crash, on_watchdog; /* enum end_action */
    uint8_t console;                                       /* enum console_mode */
    unsigned vcpus;
    uint64_t memory;     /* bytes at start */
    uint64_t max_memory; /* bytes */
    uint32_t weight, cap;
    uint64_t affinity;
    int kernel, ramdisk; /* module indexes; -1: none */
    uint8_t handle[16];
    uint32_t restarts;
    uint32_t failures; /* in a row, to build it again */
    uint32_t promised; /* frames that its next life needs (page_promise) */
    /* Frames that the hypervisor itself needs to build it, as the first time showed, and how many of them are promised. */
    uint32_t overhead, overhead_promised;
    uint64_t started;            /* when it began to run, last */
    struct work_account account; /* pays for its end and its next beginning */
    struct sched_cap sched_cap;  /* how much of its cap its last life had used up */
    /* Build it again and start it, in work, when the domain before it is gone (builder.c).  0, -XEN_ENOMEM (another time
     * there may be more memory), or another -errno; it says why, but not each of many times in a row: builder_tells(). */
    int (*rebuild)(struct domain_config *config);
    struct work restart_work; /* when the time has come (core/domain/domain-restart.c) */
    struct timer restart_timer;
    char name[32];
    char cmdline[1024];
};

/* Is the last failure one to speak about: the first, second, fourth, eighth, ... in a row? */
static inline bool builder_tells(const struct domain_config *c)
{
    return !(c->failures & (c->failures - 1));
}

/* --- core/domain/leak-check.c ------------------------------------------------------------------------------- */

/* So many frames more are free when no domain exists. */
void domain_expect_free(uint64_t frames);
/* Debug key m: what is free, what domains have, what the hypervisor spends on them. */
void domain_memory_report(void);
