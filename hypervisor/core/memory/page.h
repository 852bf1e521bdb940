/*
 * Frames of machine memory: who owns each, who uses it, in which role.
 *
 * This is the heart of the safety argument.  Read the comment of struct page_info, then the table of page-ref.h,
 * page_get_type() in core/mmu/page.c, then page_table_validate() in core/mmu/page-tables.c.
 *
 *   page-ref.h     references, and the role that a frame has meanwhile
 *   page-owner.h   whose it is
 *   page-alloc.h   those that are free
 */
#pragma once

#include "atomic.h"
#include "lock.h"

struct domain;

/*
 * Roles.  A frame is in exactly one at a time, and changes only at type count 0.
 * Order matters: L1..L4 are consecutive, so that level == type - PAGE_TYPE_L1 + 1.
 */
#define PAGE_TYPES(TYPE)            \
    TYPE(NONE, "none")              \
    TYPE(L1, "an L1 page table")    \
    TYPE(L2, "an L2 page table")    \
    TYPE(L3, "an L3 page table")    \
    TYPE(L4, "an L4 page table")    \
    TYPE(SEG, "a descriptor table") \
    TYPE(WRITABLE, "writable")

#define TYPE(name, text) PAGE_TYPE_##name,
enum page_type { PAGE_TYPES(TYPE) PAGE_TYPE_LIMIT };
#undef TYPE

extern const char *const page_type_name[PAGE_TYPE_LIMIT];

static inline enum page_type page_type_of_level(int level)
{
    return (enum page_type)(PAGE_TYPE_L1 + level - 1);
}

/*
 * The state word: both counts and the role, so that one compare-and-swap takes a
 * reference and a type together.
 *
 *   63      32 31    28 27   24 23            0
 *   [  refs   | flags  | type  |  type_count  ]
 */
#define PAGE_COUNT_MASK 0x00ffffffull
#define PAGE_TYPE_SHIFT 24
#define PAGE_TYPE_MASK  (0xfull << PAGE_TYPE_SHIFT)
/* a page-table role has been earned: every entry holds its references */
#define PAGE_VALIDATED BIT(28)
#define PAGE_PINNED    BIT(29) /* one reference and one type reference belong to MMUEXT_PIN_* */
#define PAGE_ALLOCATED BIT(30) /* one reference belongs to the domain's ownership */
/* hypervisor memory a guest may map writable (shared_info, grant table) */
#define PAGE_SHARED    BIT(31)
#define PAGE_REF_ONE   BIT(32)
#define PAGE_REF_LIMIT 0x80000000ull /* no more: the sign bit of the state word tells */
#define PAGE_USED_BEFORE \
    BIT(0) /* only while free or the hypervisor's: may hold old data; clear: it is zero */

/* Owners that are not domains. */
#define OWNER_NONE       0xffff /* free */
#define OWNER_IO         0xfffd /* not RAM: device registers, or nothing */
#define OWNER_HYPERVISOR 0xfffe /* ours: never mapped by a guest */

/**
 * struct page_info - what the hypervisor knows about one machine frame.
 *
 * Two counts answer two questions.  refs: may this frame be reused?  Only at
 * zero.  type_count: may this frame change role?  Only at zero.
 *
 * I1  type_count > 0 implies refs > 0.
 * I2  A frame whose role is L1..L4 or SEG has no present, writable L1 entry anywhere.
 * I3  refs = ALLOCATED + PINNED + every present entry of a validated table naming it + every CR3,
 *     GDT slot, vcpu_info placement and hypervisor-held pin naming it.
 * I4  type_count = the part of I3 that needs the role: writable entries for WRITABLE, entries of
 *     the level above, pins and CR3s for L1..L4, descriptor slots for SEG.
 * I5  VALIDATED implies type L1..L4 (or SEG) and type_count > 0.
 * I6  Entries of a free frame's former tables are gone from every TLB before it is given away
 *     or changes role: see @stamp.
 * I7  A frame that is no domain's (free, the hypervisor's, under construction) has refs 0.
 * I8  linear = entries of tables of its own level that name it, less its entries that name such tables; and no entry that names a
 *     table of its own level is writable (I2: tables are read through it).
 * I9  Slots 256..271 of a validated L4 table are the hypervisor's.
 * I10 The CR3 of every CPU, idle or not, names the hypervisor's own L4 or a root of the vCPU whose stack it is on, an L4 table with a
 *     count; its GDT is its own or that vCPU's view, its IDT is the hypervisor's.
 *
 * Recounted from scratch by page_audit() (core/mmu/audit.c); broken on purpose in tests/host/test-page.c.
 *
 * @state moves only by atomic operations.  Everything a page table of domain D says is
 * guarded by D->mmu (a mutex).
 *
 * A frame's life, and who may look at @owner.  @owner changes only while refs is 0, and refs 0 cannot be taken up from:
 * page_get() refuses.  So a frame under construction is out of everybody's reach until one store gives it references, role and
 * flags at once (page_assign), and whoever holds a reference knows that the owner stays.  But a look at @owner alone says nothing
 * of the next moment: the frame may be freed and given to another domain in between.  There are two ways to know:
 *
 *   reference   take a reference, then look: page_get(), page_get_and_type().  The look that comes first is a hint only.
 *               Until it is given back again the new owner sees one reference more than it made.
 *   lock        hold D->mmu, read @state, then @owner: page_state_of().  A frame becomes D's only under D->mmu, so one that is D's
 *               now was D's since the lock was taken; and ALLOCATED, PINNED, and the roles L1..L4 and SEG of D's frames come and
 *               go only under D->mmu.  So if @state showed one of these, it is D's frame that has it, and it keeps it.
 *
 * Every function that looks is on the list in hypervisor/README.md ("Who looks at a frame's owner"), which a test compares.
 */
struct page_info {
    uint64_t state;
    uint16_t owner; /* domid, or OWNER_* */
    /* Linear page tables: > 0 so many entries of tables of this frame's own level name it;
     * < 0 so many of its entries name tables of their own level.  Never both.
     * In a free frame: order + 1 if a free block starts here, else 0 (its list links lie in the frame). */
    int16_t linear;
    /* tlb_clock when an entry that mapped or linked this frame was last removed: a CPU whose last full
     * flush is not later may still hold it (tlb.h).  Outlives the frame's owner. */
    uint32_t stamp;
};
_Static_assert(sizeof(struct page_info) == 16, "16 bytes a frame: PERFORMANCE.md's memory goal");

static inline enum page_type page_state_type(uint64_t state)
{
    return (enum page_type)((state & PAGE_TYPE_MASK) >> PAGE_TYPE_SHIFT);
}

static inline uint32_t page_state_refs(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static inline uint32_t page_state_count(uint64_t state)
{
    return (uint32_t)(state & PAGE_COUNT_MASK);
}

/*
 * @pg's state if it is the frame of domain @id, whose mmu lock is held; else 0, which is no domain's state.  ALLOCATED, PINNED and a
 * protected role that are seen here stay until the lock is given back (struct page_info says why the order of the two looks matters).
 */
static inline uint64_t page_state_of(const struct page_info *pg, uint16_t id)
{
    uint64_t state = atomic_read_acquire(&pg->state);

    return likely(atomic_read(&pg->owner) == id) ? state : 0;
}

/* page_state_of() for a table whose role @type has been earned. */
static inline bool page_is_table_of(const struct page_info *pg, uint16_t id, enum page_type type)
{
    uint64_t state = atomic_read_acquire(&pg->state);

    return likely((state & (PAGE_TYPE_MASK | PAGE_VALIDATED)) ==
                      ((uint64_t)type << PAGE_TYPE_SHIFT | PAGE_VALIDATED) &&
                  atomic_equal(&pg->owner, id));
}

/* The frame table: one entry for every frame below max_mfn.  Frames that are not RAM share one read-only
 * entry page whose owner is OWNER_IO and refs 0, so that looking is safe and taking always fails. */
extern struct page_info *frame_table;
extern uint64_t max_mfn;

static inline bool mfn_valid(mfn_t m)
{
    return m.n < max_mfn;
}

/* In whole numbers: the entry's address may be asked of any number, its content only of a valid one. */
static inline struct page_info *mfn_to_page(mfn_t m)
{
    return (struct page_info *)((uintptr_t)frame_table + m.n * sizeof(struct page_info));
}

/* Is frame @m RAM?  If not, it is device registers, or nothing, for good. */
static inline bool mfn_is_ram(mfn_t m)
{
    return mfn_valid(m) && atomic_read(&mfn_to_page(m)->owner) != OWNER_IO;
}

static inline mfn_t page_to_mfn(const struct page_info *pg)
{
    return mfn((uint64_t)(pg - frame_table));
}

/* Machine-to-phys: pfn of each frame as its owner numbers it; guests read it (read-only alias). */
extern uint64_t *machine_to_phys;
#define M2P_INVALID (~0ull)
