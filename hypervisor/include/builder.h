/*
 * Building domains: from plain modules (the first is domain 0's kernel) or from a hyperlaunch tree.
 */
#pragma once

#include "domain.h"

/* What the loader handed over; filled by x86/start.c, kept for rebuilds. */
struct boot_module {
    uint64_t start, size;   /* machine addresses; the memory stays reserved */
    char cmdline[1024];
};
#define MAX_MODULES 64
extern struct boot_module boot_module[MAX_MODULES];
extern unsigned boot_module_count;

enum reboot_action { ON_REBOOT_RESTART, ON_REBOOT_DESTROY, ON_REBOOT_MACHINE };

/* Everything needed to build a domain, and to build it again. */
struct domain_config {
    domid_t id;
    uint16_t roles;
    bool initial;               /* domain 0 of plain modules: SIF_PRIVILEGED | SIF_INITDOMAIN, its end is the machine's */
    enum reboot_action on_reboot;
    unsigned vcpus;
    uint64_t memory;            /* bytes at start */
    uint64_t max_memory;        /* bytes */
    uint32_t weight, cap;
    uint64_t affinity;
    int kernel, ramdisk;        /* module indexes; -1: none */
    char name[32];
    char cmdline[1024];
};

/* Read the modules, build and start every domain.  Prints what is wrong and ends the machine if none can be built. */
void builder_start_all(void);
/* 0 or -errno; prints one sentence on failure.  The domain is left paused. */
int builder_build(const struct domain_config *config, struct domain **out);
/* The reboot action: called as work after the old domain @id is destroyed. */
void builder_rebuild(struct domain_config *config);
