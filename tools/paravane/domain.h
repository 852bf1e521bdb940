/*
 * What is to be run: domains, as the command line or xl.cfg files describe
 * them, before anything of QEMU or of the boot protocol is known.
 */
#pragma once

/* a domain of Paravane has no more (hypervisor/include/domain.h, MAX_VCPUS) */
#define VCPUS_MOST 64
/* nor a machine domains (hypervisor/core/boot/builder.h, MAX_DOMAINS_AT_BOOT) */
#define COPIES_MOST 2048

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-image.h"

/* What happens when a domain ends in one of these ways: words of xl.cfg. */
#define ON_EVENT_LIST(E)   \
    E(poweroff, "destroy") \
    E(reboot, "restart")   \
    E(crash, "destroy")    \
    E(watchdog, "destroy")

enum on_event {
#define E(name, otherwise) ON_##name,
    ON_EVENT_LIST(E)
#undef E
        ON_EVENTS
};

struct domain {
    char *name;
    unsigned id;
    struct kernel_image kernel;
    char *ramdisk; /* path, or NULL */
    size_t ramdisk_size;
    char *command_line;  /* never NULL */
    uint64_t memory_mib; /* 0: as much as domain_settle() finds right */
    uint64_t max_memory_mib;
    unsigned vcpus;
    unsigned weight, cap;      /* 0: not given */
    uint64_t affinity;         /* bitmap of physical CPUs, 0: any */
    const char *on[ON_EVENTS]; /* NULL: not given */
    unsigned char uuid[16];
    bool has_uuid;
};

/* The defaults of a domain, with this kernel opened: NO_FILE, NOT_ELF, ... */
enum verdict domain_init(struct domain *d, unsigned id, const char *kernel);

/* Choose what was left open: memory, by the size of kernel and ramdisk. */
void domain_settle(struct domain *d);

/* Everything that can be said about @d before it is started; @native: on the bare machine. */
enum verdict domain_check(const struct domain *d, bool native);
void domain_free(struct domain *d);
