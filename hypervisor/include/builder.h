/*
 * Building domains: from plain modules (the first is domain 0's kernel) or from a hyperlaunch tree.
 *
 *   hyperlaunch.c  the tree           -> struct domain_config
 *   builder.c      command line, modules, starting all, rebuilding
 *   bootstrap.c    one domain: its memory, image, page tables
 *   start-info.c   what the guest reads first: start_info, hypercall page, shared_info
 */
#pragma once

#include "domain.h"
#include "elf.h"
#include "sched.h"

/* What the loader handed over; filled by x86/start.c, kept for rebuilds. */
struct boot_module {
    uint64_t start, size; /* machine addresses; the memory stays reserved */
    char cmdline[1024];
};
#define MAX_MODULES 64
extern struct boot_module boot_module[MAX_MODULES];
extern unsigned boot_module_count;
const void *boot_module_data(unsigned i);
const char *boot_module_args(
    unsigned i); /* its command line, without the file name that some loaders put first */

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
    uint32_t failures;           /* in a row, to build it again */
    uint32_t promised;           /* frames that its next life needs (page_promise) */
    uint64_t started;            /* when it began to run, last */
    struct work_account account; /* pays for its end and its next beginning */
    struct sched_cap sched_cap;  /* how much of its cap its last life had used up */
    struct work restart_work;    /* when the time has come (core/domain.c) */
    struct timer restart_timer;
    char name[32];
    char cmdline[1024];
};

/* Verdicts of a machine that ends (the byte for the debug-exit port). */
#define VERDICT_OK     0x00
#define VERDICT_CRASH  0x10
#define VERDICT_BUG    0x20
#define VERDICT_TREE   0x31
#define VERDICT_IMAGE  0x32
#define VERDICT_MEMORY 0x33
#define VERDICT_BOOT   0x34

/* Read the modules, build and start every domain.  Prints what is wrong and ends the machine if one
 * cannot be built. */
void builder_start_all(void);
/* 0 or -errno, and *@e says why; nothing is left behind.  The domain is left paused. */
int builder_build(struct domain_config *config, struct domain **out,
                  struct boot_error *e) must_check;
/* The reboot action: called as work after the old domain is destroyed.  0, -XEN_ENOMEM (another time there may be more
 * memory), or another -errno.  One printed sentence says so, but not for each failure of many in a row: builder_tells(). */
int builder_rebuild(struct domain_config *config) must_check;
/* Is the last failure one to speak about: the first, second, fourth, eighth, ... in a row? */
static inline bool builder_tells(const struct domain_config *c)
{
    return !(c->failures & (c->failures - 1));
}
/* Prints "cannot boot: ..." and ends the machine. */
noreturn_ cold_ void builder_cannot_boot(const struct boot_error *e);

/* Does @tree, @size bytes, start as a flattened device tree does? */
bool hyperlaunch_is_tree(const void *tree, uint64_t size);
/*
 * Read a hyperlaunch tree: *@count configurations, allocated, in order of domain number.  Nothing
 * outside
 * [@tree, @tree + @size) is read whatever the tree holds.  0, or -XEN_EINVAL and *@e (nothing is
 * left allocated).
 */
#define MAX_DOMAINS_AT_BOOT 1024
int hyperlaunch_read(const void *tree, uint64_t size, unsigned modules,
                     struct domain_config **configs, unsigned *count,
                     struct boot_error *e) must_check;

/* --- one domain under construction (bootstrap.c, start-info.c) ------------------------------- */

/* A run of frames that are neighbours in both numberings. */
struct extent {
    uint64_t pfn, mfn, count;
};

/* Extents are kept in pages, so that a domain may be as fragmented as memory is. */
#define EXTENTS_PER_PAGE ((PAGE_SIZE - 16) / sizeof(struct extent))
struct extent_page {
    struct extent_page *next;
    uint64_t used;
    struct extent extent[EXTENTS_PER_PAGE];
};

/*
 * Where everything goes, in guest frames.  The bootstrap mapping is [virt_base, virt_end); what
 * lies behind it is found by frame number only.
 *
 *   pfn 0: at virt_base                                          at virt_end: "mapped"
 *   | image | ramdisk | p2m | start_info | rings | tables | stack | spare |...
 *
 *   ...| ramdisk | p2m | its tables |    (if the kernel's notes allow them here)
 */
struct bootstrap {
    struct domain *d;
    const struct domain_config *config;
    struct kernel_image image;
    uint64_t pages; /* frames of the domain */
    uint64_t ramdisk_pfn, ramdisk_bytes;
    uint64_t p2m_pfn, p2m_pages;
    uint64_t p2m_tables_pfn, p2m_tables; /* 0 tables: the list is in the bootstrap mapping */
    uint64_t start_info_pfn;
    uint64_t store_pfn, console_pfn; /* 0: none */
    uint64_t table_pfn, tables;
    uint64_t stack_pfn;
    uint64_t mapped; /* frames in the bootstrap mapping: pfns below this */
    uint64_t virt_end;
    uint64_t next_table, table_limit;           /* pfns for page tables still unused */
    struct extent_page *extents, *extents_last; /* in order of pfn */
    struct extent_page *cursor; /* where the last look-up ended: look-ups mostly go forward */
    uint64_t cursor_at;
};

/* Has the p2m list addresses of its own, outside the bootstrap mapping? */
static inline bool bootstrap_p2m_apart(const struct bootstrap *b)
{
    return b->image.p2m_base != ELF_UNSET;
}

static inline uint64_t bootstrap_va(const struct bootstrap *b, uint64_t at_pfn)
{
    return b->image.virt_base + (at_pfn << PAGE_SHIFT);
}

/* The frame of guest frame @n, which exists; its memory. */
mfn_t bootstrap_mfn(struct bootstrap *b, uint64_t n);
void *bootstrap_page(struct bootstrap *b, uint64_t n);

/* Lay out, allocate and fill all of @b->d's memory but the pages of start-info.c.  0, or -errno and
 * *@e. */
int bootstrap_build(struct bootstrap *b, struct boot_error *e) must_check;
void bootstrap_free(struct bootstrap *b); /* the notes taken while building, not the domain */
/* start_info, console, hypercall page, shared_info, grant entries, vCPU 0's registers.  0 or
 * -errno. */
int start_info_fill(struct bootstrap *b) must_check;
/* So many frames more are free when no domain exists (core/domain.c). */
void domain_expect_free(uint64_t frames);
/* Debug key m: what is free, what domains have, what the hypervisor spends on them. */
void domain_memory_report(void);
