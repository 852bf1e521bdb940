/*
 * The machine: which hypervisor with which words, on how much of what.  From
 * this and the domains the QEMU command is made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle.h"
#include "domain.h"

/* Where Paravane writes its verdict byte: QEMU's isa-debug-exit (hyperlaunch.md). */
#define DEBUG_EXIT_PORT 0xf4

/* The bytes it writes there, and what QEMU's exit status becomes: 2 * byte + 1.  0x01 and 0x02
 * are a native kernel's own, switched off and restarted: it need not look like QEMU's failures. */
#define DEBUG_EXIT_LIST(E)     \
    E(0x00, OK)                \
    E(0x01, OK)                \
    E(0x02, OK)                \
    E(0x10, GUEST_CRASHED)     \
    E(0x20, HYPERVISOR_BUG)    \
    E(0x31, BAD_TREE)          \
    E(0x32, BAD_KERNEL)        \
    E(0x33, TOO_LITTLE_MEMORY) \
    E(0x34, CANNOT_BOOT)

/* Where it rings for what it has recorded (paravane/strace-record.h): QEMU's isa-debugcon. */
#define STRACE_PORT 0xe9

/* The threads of QEMU's that run the machine's CPUs. */
enum machine_threads {
    THREADS_AUTO, /* one each if that many cores are free, else as THREADS_SINGLE */
    THREADS_SINGLE, /* one for all: CPUs take turns, and none waits for one that the host does not run */
    THREADS_MULTI, /* one each */
};

struct machine {
    char *hypervisor; /* path of its file */
    bool is_xen;      /* Xen: plain modules only, its own lines, no debug-exit */
    bool native;      /* no hypervisor: QEMU loads the kernel itself */
    bool privileged;  /* plain modules, domain 0 */
    bool explain;
    bool icount, gdb;
    bool verbose; /* say what is chosen here */
    enum machine_threads threads;
    const char *firmware; /* "qboot", "seabios", a path, or NULL: chosen here (firmware.h) */
    unsigned gdb_port;    /* 0: any */
    int gdb_fd;           /* listens there; -1: QEMU has to open it itself */
    const char *strace_ram, *strace_pipe; /* paths; NULL: hypercalls are not recorded */
    const char *accel, *cpu;              /* cpu NULL: the default of the accelerator */
    const char *append;                   /* more words for the hypervisor, or NULL */
    const char *tree;                     /* a tree to use instead of ours, or NULL */
    const char **disks;                   /* files, raw, each a virtio disk */
    size_t disk_count;
    bool net; /* a virtio network interface */
    unsigned cpus;
    unsigned memory_mib; /* 0: as much as the domains need */
};

/* Resolve "paravane", "xen" or a path; sets ->hypervisor and ->is_xen. */
enum verdict machine_find_hypervisor(struct machine *m, const char *name);

/* Build the modules into @bundle and the command: a NULL-terminated array. */
enum verdict machine_command(const struct machine *m, const struct domain *domains, size_t count,
                             struct bundle *bundle, char ***argv);

/* One line that a shell takes; @folder, unless it is NULL: to be run in there. */
void machine_print_command(char **argv, const char *folder);
