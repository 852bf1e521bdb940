/*
 * Address spaces: what a process's virtual addresses mean, and the tables that
 * make the CPU agree.
 */
#pragma once

#include "list.h"
#include "platform/platform.h"

struct inode;

/* mlock: nothing leaves memory anyway, but advice that would drop it is refused */
#define AREA_LOCKED  1
#define AREA_NO_FORK 2 /* a child does not get it */
#define AREA_WIPE    4 /* a child gets it empty */
#define AREA_FOREIGN \
    8 /* only a device's file fills it, with what is no page of ours (PTE_FOREIGN) */

/* Who sees what is written to an area. */
enum sharing {
    SHARING_NONE, /* whose area it is, alone */
    SHARING_ALL,  /* whoever has the file */
    SHARING_READ_ONLY, /* the same; but the process may not write to the file, so mprotect must not allow it */
};

/* A range of addresses with one meaning.  Pages appear in it when they are touched. */
struct area {
    struct list link;
    uintptr_t start, end;
    unsigned protection; /* PROT_* */
    bool shared;
    bool keep_read_only; /* shared with a file that the process may not write to */
    unsigned flags;      /* AREA_* */
    struct inode *file;  /* NULL: zeroes.  Holds a reference. */
    uint64_t offset;     /* of @start in @file */
};

/**
 * struct space - the memory of a process.
 *
 * I1  Areas are sorted, not empty, and do not overlap.
 * I2  A leaf entry lies in an area, and is writable only if the area is.
 * I3  A leaf entry of a private area is writable only if this space holds the
 *     page's only reference (so copy-on-write never shows one process's
 *     writes to another).
 * I4  Each leaf entry holds one reference on its page, if it has one (PTE_FOREIGN).
 */
struct space {
    unsigned users; /* tasks */
    cpus_t cpus;    /* that have it loaded, and may cache what its tables say */
    bool active;    /* tables are protected, changes are queued */
    struct platform_root root;
    struct list tables; /* pages of all tables below the root */
    unsigned table_count;
    struct list areas;
    unsigned long resident; /* leaves that hold a page */
    uintptr_t brk_start, brk;
    bool foreign;     /* it has, or had, areas with AREA_FOREIGN */
    bool lock_future; /* mlockall: what is mapped from now on is locked */
    bool barriers;    /* its threads have registered for membarrier's private command */
};

/* An empty space with one user, ready to be loaded; NULL without memory. */
struct space *space_create(void);
/* A copy of @from that shares pages until one side writes, but for those at @stack and @tls, which
 * both sides will write to at once; NULL without memory. */
struct space *space_fork(struct space *from, uintptr_t stack, uintptr_t tls);
static inline void space_get(struct space *space)
{
    space->users++;
}
/*
 * One user less; the last frees everything, and may have to sleep until an idle
 * CPU has let go of it.  The caller's CPU must not have it loaded then.
 */
void space_put(struct space *space);

/*
 * Map [start, start+size) (page multiples), replacing what is there.  @file may
 * be NULL; a reference is taken.  0 or -ENOMEM or -EINVAL.
 */
MUST_CHECK int space_map(struct space *space, uintptr_t start, size_t size, unsigned protection,
                         enum sharing sharing, struct inode *file, uint64_t offset);
MUST_CHECK int space_unmap(struct space *space, uintptr_t start, size_t size);
MUST_CHECK int space_protect(struct space *space, uintptr_t start, size_t size,
                             unsigned protection);
/* Give back what [start, start+size) holds; it begins anew, as when it was mapped. */
MUST_CHECK int space_drop(struct space *space, uintptr_t start, size_t size);
/* Of the areas in [start, start+size), set the flags @set and clear @cleared. */
MUST_CHECK int space_mark(struct space *space, uintptr_t start, size_t size, unsigned set,
                          unsigned cleared);
/* Has any area there one of @flags? */
bool space_marked(struct space *space, uintptr_t start, size_t size, unsigned flags);
/* How many bytes are mapped with one of @flags? */
size_t space_size_marked(struct space *space, unsigned flags);
/* Fault in all of [start, start+size). */
MUST_CHECK int space_populate(struct space *space, uintptr_t start, size_t size);
/* Move the pages of [from, from+size) to [to, to+size), which is mapped the same way and empty. */
MUST_CHECK int space_move(struct space *space, uintptr_t from, uintptr_t to, size_t size);
/* Is all of [start, start+size) mapped? */
bool space_is_mapped(struct space *space, uintptr_t start, size_t size);
/* Pages that wait in tables for the next processes. */
unsigned long space_spare_pages(void);
/* How much is mapped in all. */
size_t space_size(struct space *space);
/* The highest free range of @size below USER_MAP_TOP, or 0. */
uintptr_t space_gap(struct space *space, size_t size);
bool space_is_free(struct space *space, uintptr_t start, size_t size);

/*
 * The process touched @address in the way @want (PROT_*): make it work.
 * 0; -EFAULT if it may not; -ENXIO behind the end of a file; -ENOMEM.
 */
MUST_CHECK int space_fault(struct space *space, uintptr_t address, unsigned want);

static inline enum sharing area_sharing(const struct area *area)
{
    return area->keep_read_only ? SHARING_READ_ONLY : area->shared ? SHARING_ALL : SHARING_NONE;
}

/* area.c: NULL if @address is in none. */
struct area *area_find(struct space *space, uintptr_t address);
/* The same in no list, with a reference on the same file; NULL without memory. */
struct area *area_copy(const struct area *from);
/* Take it out of its list, with its reference. */
void area_free(struct area *area);
void area_insert(struct space *space, struct area *area);
/* Make sure that no area of @space crosses @address: 0 or -ENOMEM. */
MUST_CHECK int area_split(struct space *space, uintptr_t address);
/* Make one area of @area and its neighbours where they are alike; @area stays. */
void area_merge(struct space *space, struct area *area);

/* table.c: the radix tree below the root. */

/* The leaf slot for @address, with tables made on the way if @create; else NULL. */
pte_t *table_slot(struct space *space, uintptr_t address, bool create);
/* The entry at @slot, which has been empty, is going to be written. */
void table_use(const pte_t *slot);
/* Both: table_use, platform_pte_write. */
void table_set(pte_t *slot, pte_t entry);
/*
 * Call @visit for every leaf in [start, end) that holds a page.  If @space is
 * nobody else's others get their turn in between (sched_point).
 */
int table_walk(struct space *space, uintptr_t start, uintptr_t end,
               int (*visit)(pte_t *slot, uintptr_t address, void *arg), void *arg);
/* Seal all tables below the root and activate it. */
void table_activate(struct space *space);
/* Retire the root, drop every leaf's page, free all tables. */
void table_destroy(struct space *space);

/*
 * A leaf that the process may not touch (PROT_NONE) but whose page it still
 * owns: not present, with the page's number, inverted so that no bits of it
 * look like an address in a cache to a speculating CPU.
 */
static inline pte_t leaf_hold(pfn_t page)
{
    return (pte_t){(~page.n << PAGE_SHIFT & 0xffffffffff000) | PTE_W};
}
static inline bool leaf_held(pte_t e)
{
    return !pte_present(e) && (e.bits & PTE_W);
}
static inline bool leaf_foreign(pte_t e)
{
    return (e.bits & (PTE_P | PTE_FOREIGN)) == (PTE_P | PTE_FOREIGN);
}
static inline pfn_t leaf_page(pte_t e)
{
    return pte_present(e) ? platform_pte_page(e) : pfn(~e.bits >> PAGE_SHIFT & 0xffffffffff);
}
