/*
 * Building domains: from plain modules (the first is domain 0's kernel) or from a hyperlaunch tree.
 *
 *   hyperlaunch.c  the tree           -> struct domain_config
 *   builder.c      command line, modules, starting all, rebuilding
 *   bootstrap.c    one domain: its memory, image, page tables
 *   start-info.c   what the guest reads first: start_info, hypercall page, shared_info
 */
#pragma once

#include "domain-config.h"
#include "elf.h"

/* What the loader handed over; filled by x86/boot/start.c, kept for rebuilds. */
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

/* Read the modules, build and start every domain.  Prints what is wrong and ends the machine if one
 * cannot be built. */
void builder_start_all(void);
/* 0 or -errno, and *@e says why; nothing is left behind.  The domain is left paused. */
int builder_build(struct domain_config *config, struct domain **out,
                  struct boot_error *e) must_check;
/*
 * Its domain may have to be built again: what the hypervisor itself needs for that is promised for as long as the domain
 * lives, for at its end there may be nothing free, and what comes back may lie in slabs that others use, too.  If the machine
 * has so much now, beside what it needs for itself.
 */
void builder_keep(struct domain_config *config);
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
#define MAX_DOMAINS_AT_BOOT 2048
/* Bytes of a tree: a node without a name, with compatible = "xen,domain". */
#define DOMAIN_NODE_LEAST 36
/* So many domains are described at most by a tree of @size bytes: @configs has room for them. */
static inline unsigned hyperlaunch_most(uint64_t size)
{
    return (unsigned)MIN(size / DOMAIN_NODE_LEAST, (uint64_t)MAX_DOMAINS_AT_BOOT);
}
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
