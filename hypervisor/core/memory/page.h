/*
 * Frames of machine memory: who owns each, who uses it, in which role.
 *
 * This is the heart of the safety argument.  Read the comment of struct
 * page_info, then page_get() and page_get_type() in core/mmu/page.c, then
 * page_table_validate() in core/mmu/page-tables.c.
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
    TYPE(WRITABLE, "writable")      \
    TYPE(SHOWN, "the machine-to-phys table")

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

/*
 * From now on @pg, a frame of the hypervisor's that is never freed, may be mapped to read in the name of DOMID_XEN, which domains with
 * the control role may use.  Its owner is DOMID_XEN, and its role, which nobody else can take, keeps writable entries away.
 */
void page_show(struct page_info *pg);

/* The frame table: one entry for every frame below max_mfn.  Frames that are not RAM share one read-only
 * entry page whose owner is OWNER_IO and refs 0, so that looking is safe and taking always fails. */
extern struct page_info *frame_table;
extern uint64_t frame_table_size; /* bytes: those of max_mfn entries */
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

static inline mfn_t page_to_mfn(const struct page_info *pg)
{
    return mfn((uint64_t)(pg - frame_table));
}

/* Machine-to-phys: pfn of each frame as its owner numbers it; guests read it (read-only alias). */
extern uint64_t *machine_to_phys;
#define M2P_INVALID (~0ull)

/* --- the allocator (core/memory/page-alloc.c); blocks of 2^order frames, naturally aligned ------------ */

/* Give RAM to the allocator: frames [first, first + count). At boot, and for what boot used itself.
 * @zero: they are known to hold nothing, so that nobody need scrub them. */
void page_alloc_add(mfn_t first, uint64_t count, bool zero);

/* A block of 2^@order frames owned by OWNER_HYPERVISOR, contents undefined; NULL if none.  Whoever builds no
 * domain (vcpu.takes_promised) leaves what is promised (below); so do all that are made of it: page_alloc_zeroed(),
 * page_alloc_shared() and mem_alloc(). */
struct page_info *page_alloc(unsigned order) must_check;
/* The same, but only if @leave frames are free afterwards, and all that are promised. */
#define PAGE_LEAVE_NOTHING (~0ull) /* not even what is promised */
/* Frames that growing domains, and promises, leave to the hypervisor, whose own structures (ports, grant tables, stores) come from
 * the same memory: together domains may be promised more than there is. */
#define PAGE_LEAVE_US 256u
struct page_info *page_alloc_leaving(unsigned order, uint64_t leave) must_check;
/* @count of the frames that are free, or will be in a moment, are promised to somebody: page_alloc_leaving() leaves them
 * there.  Whoever builds a domain takes them; the promise ends by page_promise_end(). */
void page_promise(uint64_t count);
void page_promise_end(uint64_t count);
uint64_t page_promised(void);
/* Is less free than is promised, and the caller builds no domain?  Then not even a small object may be taken. */
bool page_alloc_is_short(void);
bool page_promise_free(uint64_t count) must_check; /* only if so many are free, and not promised */
/* page_alloc(), zeroed; the result is an address. */
void *page_alloc_zeroed(unsigned order) must_check;
/* Return a block that is nobody's any more: every frame has refs 0. */
void page_free(struct page_info *pg, unsigned order);
void page_free_virt(void *va, unsigned order);
uint64_t page_free_count(void); /* frames */

/* Small objects: a block of at least @size bytes (size <= 2048 comes from slabs), zeroed; NULL if none. */
void *mem_alloc(size_t size) must_check;
void mem_free(void *p, size_t size);

/* --- ownership and counts (core/mmu/page.c) --------------------------------------------------------- */

/*
 * Giving a block of 2^@order frames to @d.  page_prepare() allocates it, @leave frames are free afterwards besides those that
 * are promised, counts it in d->tot_pages and scrubs it: the block is under construction, out of everybody's reach.  NULL: out of
 * memory, past d->max_pages, or @d is dying.  Then page_assign()
 * makes it @d's (each frame ALLOCATED, refs 1): other CPUs may take it, even give it back, before that returns, so whatever
 * belongs to the frame (its contents, machine_to_phys) is written before.  page_discard() gives up instead.
 * page_alloc_for() is page_prepare() and page_assign(), and takes what is promised to @d (d->promised).  page_assign() takes @d->mmu.
 * page_prepare() is a preemption point.
 */
struct page_info *page_prepare(struct domain *d, unsigned order, uint64_t leave) must_check;
void page_assign(struct domain *d, struct page_info *pg, unsigned order);
void page_discard(struct domain *d, struct page_info *pg, unsigned order);
struct page_info *page_alloc_for(struct domain *d, unsigned order) must_check;

/* Take one reference to a frame of @d; false if it is not @d's (or not RAM).  Any lock state. */
bool page_get(struct page_info *pg, const struct domain *d) must_check;
void page_put(struct page_info *pg);

/*
 * Take a reference and a type together.  0; -XEN_EINVAL if the frame is not @d's or has another role; or what
 * page_table_validate() says of a frame that gets a page-table role for the first time.  Every role but WRITABLE needs
 * @d->mmu.  The inline half is the common case: the frame has the role already.
 */
int page_get_and_type_slow(struct page_info *pg, struct domain *d, enum page_type type) must_check;
void page_put_and_type_slow(struct page_info *pg);
void page_reclaim(struct page_info *pg); /* the last reference is gone */

/* Is there a reference at all (free frames have none), and so few that neither count can be full?  Every type reference comes with a
 * reference (I4), so one look answers for both; where there are more, the slow functions look at each. */
static inline bool page_state_open(uint64_t state)
{
    return state - PAGE_REF_ONE < PAGE_COUNT_MASK / 2 * PAGE_REF_ONE;
}

/*
 * One exchange for what an L1 entry holds: a reference and, if it is @writable, a type reference to a frame that is WRITABLE
 * already (with a count of 0, too: that role needs no earning).  False: nothing taken, which says nothing yet.  True: the owner
 * has to be looked at once more, as the frame may have been freed and given away between its look here and the exchange; with a
 * reference in hand it stays.
 */
static inline must_check bool page_try_get_mapped(struct page_info *pg, uint16_t id, bool writable)
{
    uint64_t old = atomic_read(&pg->state);

    return likely((!writable || (old & PAGE_TYPE_MASK) == (uint64_t)PAGE_TYPE_WRITABLE
                                                              << PAGE_TYPE_SHIFT) &&
                  page_state_open(old) && atomic_equal(&pg->owner, id)) &&
           likely(atomic_compare_exchange(&pg->state, &old, old + PAGE_REF_ONE + writable));
}

/*
 * The same under the mmu lock of domain @id, for a frame that is ALLOCATED: one look at the owner is enough.  The state was read
 * first; so if the owner is @id now, it was when the state was read, what the state showed of ALLOCATED holds, and that
 * reference keeps the owner until the exchange (struct page_info, "lock").
 *
 * What has to be so is one subtraction and one test.  Less a reference, ALLOCATED and, for a writable entry, the role's number,
 * the word shows 0 in the bits of ALLOCATED and the role, and so few references that neither count can be full (page_state_open).
 * Too small a field shows something else: the lowest such one has nothing below it that it could have been changed by.
 */
struct page_take {
    uint64_t least, zeros, add;
};

static inline struct page_take page_take(bool writable)
{
    const uint64_t role = writable ? (uint64_t)PAGE_TYPE_WRITABLE << PAGE_TYPE_SHIFT : 0;
    const uint64_t many = ~(PAGE_REF_ONE - 1) << 23;

    return (struct page_take){.least = PAGE_REF_ONE | PAGE_ALLOCATED | role,
                              .zeros = many | PAGE_ALLOCATED | (writable ? PAGE_TYPE_MASK : 0),
                              .add = PAGE_REF_ONE + writable};
}

static inline must_check bool page_try_get_owned(struct page_info *pg, uint16_t id,
                                                 struct page_take take)
{
    uint64_t old = atomic_read_acquire(&pg->state);

    return likely(!((old - take.least) & take.zeros)) && likely(atomic_equal(&pg->owner, id)) &&
           likely(atomic_compare_exchange(&pg->state, &old, old + take.add));
}

/* The same for a table's role, which must have been earned, under the mmu lock of domain @id: with it the owner is known for good. */
static inline must_check bool page_try_get_table(struct page_info *pg, uint16_t id,
                                                 enum page_type type)
{
    uint64_t old = atomic_read_acquire(&pg->state);

    return likely((old & (PAGE_TYPE_MASK | PAGE_VALIDATED)) ==
                      ((uint64_t)type << PAGE_TYPE_SHIFT | PAGE_VALIDATED) &&
                  page_state_open(old) && (old & PAGE_COUNT_MASK) &&
                  atomic_read(&pg->owner) == id) &&
           likely(atomic_compare_exchange(&pg->state, &old, old + PAGE_REF_ONE + 1));
}

static inline must_check int page_get_and_type_id(struct page_info *pg, struct domain *d,
                                                  uint16_t id, enum page_type type)
{
    if (!FAST_PATHS)
        return page_get_and_type_slow(pg, d, type);
    if (type != PAGE_TYPE_WRITABLE) {
        if (page_try_get_table(pg, id, type))
            return 0;
    } else if (page_try_get_mapped(pg, id, true)) {
        if (likely(atomic_read(&pg->owner) == id))
            return 0;
        page_put_and_type_slow(pg);
        return -XEN_EINVAL;
    }
    return page_get_and_type_slow(pg, d, type);
}

/*
 * page_try_get_mapped(), twice if need be, and the second look at the owner: @take is what is added to the state, once or twice
 * PAGE_REF_ONE + (1 if it is writable).  PAGE_CHANGED_HANDS: it has been added, and is to be given back by page_sub().
 */
enum { PAGE_NOT_ADDED, PAGE_ADDED, PAGE_CHANGED_HANDS };
static inline must_check int page_try_add(struct page_info *pg, uint16_t id, uint64_t take)
{
    uint64_t old = atomic_read(&pg->state);

    if (((take & PAGE_COUNT_MASK) &&
         unlikely((old & PAGE_TYPE_MASK) != (uint64_t)PAGE_TYPE_WRITABLE << PAGE_TYPE_SHIFT)) ||
        unlikely(!page_state_open(old) || !atomic_equal(&pg->owner, id)) ||
        unlikely(!atomic_compare_exchange(&pg->state, &old, old + take)))
        return PAGE_NOT_ADDED;
    return likely(atomic_equal(&pg->owner, id)) ? PAGE_ADDED : PAGE_CHANGED_HANDS;
}

/* Give it back.  True: nobody has a reference any more, and the caller calls page_reclaim(), for which no lock may be held. */
static inline must_check bool page_sub_is_last(struct page_info *pg, uint64_t take)
{
    return unlikely(atomic_sub(&pg->state, take) < PAGE_REF_ONE);
}

static inline void page_sub(struct page_info *pg, uint64_t take)
{
    if (page_sub_is_last(pg, take))
        page_reclaim(pg);
}

/* Give back in one step what an L1 entry held. */
static inline void page_put_mapped(struct page_info *pg, bool writable)
{
    if (unlikely(atomic_sub(&pg->state, PAGE_REF_ONE + writable) < PAGE_REF_ONE))
        page_reclaim(pg);
}

/* The same for a frame whose role is known to be WRITABLE. */
static inline void page_put_writable(struct page_info *pg)
{
    page_put_mapped(pg, true);
}

/* page_get() in line. */
static inline must_check bool page_get_quick(struct page_info *pg, const struct domain *d,
                                             uint16_t id)
{
    if (FAST_PATHS && likely(page_try_get_mapped(pg, id, false))) {
        if (likely(atomic_read(&pg->owner) == id))
            return true;
        page_put_mapped(pg, false);
        return false;
    }
    return page_get(pg, d);
}

/* A type reference that is not the last of a table's role takes nothing with it (its count moves under the owner's mmu lock). */
static inline void page_put_and_type(struct page_info *pg)
{
    if (FAST_PATHS && likely(page_state_count(atomic_read(&pg->state)) > 1))
        page_put_writable(pg);
    else
        page_put_and_type_slow(pg);
}

#define page_get_and_type(pg, d, type) page_get_and_type_id((pg), (d), (d)->id, (type))
/* The type alone: a reference to @pg, which is @d's, is in the caller's hand and stays there. */
int page_get_type(struct page_info *pg, struct domain *d, enum page_type type) must_check;

/*
 * These need @d->mmu and leave a frame that is not @d's alone.  page_release() drops the domain's own reference (ALLOCATED): the
 * frame is freed when the last other one goes.  page_take_back() takes a frame to which @d's own reference is the only one, and
 * which has no role, out of everybody's reach: true, and the caller calls page_free() or page_restore().  @id is the domain's.
 */
static inline must_check bool page_take_back(struct page_info *pg, uint16_t id)
{
    uint64_t old = page_state_of(pg, id);

    do {
        if (page_state_refs(old) != 1 || !(old & PAGE_ALLOCATED) || page_state_count(old))
            return false;
        /* Whoever had the frame writable may still reach it through a TLB: page_free() sees to that by its stamp.  The role that it had
         * last is kept: were it forgotten, a frame that is restored could become a page table without the flush that takes. */
    } while (!atomic_compare_exchange(&pg->state, &old, old & PAGE_TYPE_MASK));
    return true;
}
void page_restore(struct page_info *pg);
void page_release(struct domain *d, struct page_info *pg);

/* An anonymous hypervisor page that guest @d may map writable (shared_info, grant table): owner @d, type
 * WRITABLE, never counted in tot_pages; given back with page_unshare().  Takes @d->mmu. */
void *page_alloc_shared(struct domain *d);
void page_unshare(struct domain *d, void *va);
/* Nobody but us refers to it: who can find its domain may at any moment. */
bool page_shared_is_alone(void *va);
/* Take one back that no guest maps: true, and it is out of everybody's reach, for page_free_virt() or page_shared_restore(). */
bool page_shared_take(void *va) must_check;
void page_shared_restore(void *va);

/* --- audit (core/mmu/audit.c) ------------------------------------------------------------------------- */

/* Recount the world from scratch and compare; prints each difference.  Number of differences. */
unsigned page_audit(void);
