/*
 * memory_op: a domain's memory grows, shrinks, is exchanged and described.
 *
 * increase, decrease and populate take lists of extents and answer how many were done; a problem
 * ends the list, it is not an error (the refusals here that carry errno 0).  The upper bits of the
 * command say where in the list to start, as in Xen, where a preempted call is issued again with a
 * later start; here it is preempted in place.
 *
 * A frame given back is only *released*: while a page table or a pin still names it, it stays the
 * domain's and out of the allocator (page.h).
 */
/* Before anything includes <xen/...>: the operations of toolstacks. */
#define __XEN_TOOLS__ 1

#include "memory-op.h"

#include "arch.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"

#include <xen/memory.h>

#define CMD_BITS 6 /* MEMOP_EXTENT_SHIFT */
#define CMD_MASK ((1u << CMD_BITS) - 1)
#define LIST_MAX (~0u >> CMD_BITS)

/* Largest extents, as Xen's defaults: what an unprivileged domain may ask for, and the rest. */
#define ORDER_GUEST    9u
#define ORDER_HARDWARE 12u
#define ORDER_CONTROL  18u

#define PREEMPT_EXTENTS 4   /* extents between two preemption points */
#define PREEMPT_FRAMES  64u /* frames of one extent, the same */

static unsigned max_order(const struct domain *d)
{
    if (domain_has(d, ROLE_CONTROL))
        return ORDER_CONTROL;
    return domain_has(d, ROLE_HARDWARE) ? ORDER_HARDWARE : ORDER_GUEST;
}

/* Is [@list + first, @list + last] of 8-byte elements no part of the hypervisor's, nor wrapping
 * round? */
static bool list_ok(guest_ptr_t list, uint64_t first, uint64_t last)
{
    uint64_t start, bytes;

    return !__builtin_mul_overflow(first, 8, &start) &&
           !__builtin_add_overflow(start, list.va, &start) &&
           !__builtin_mul_overflow(last - first + 1, 8, &bytes) && guest_range_ok(start, bytes);
}

struct domain *memory_target_other(struct vcpu *v, domid_t id, int *rc)
{
    /* Before looking, so that nobody learns from the answer which domains exist. */
    if (!domain_has(v->domain, ROLE_CONTROL)) {
        *rc = refuse(MEMORY_DOMAIN_NOT_ALLOWED, id);
        return NULL;
    }
    struct domain *d = domain_get(id);
    if (!d)
        *rc = refuse(MEMORY_DOMAIN_MISSING, id);
    return d;
}

/* --- increase, decrease, populate ------------------------------------------------------------ */

/* One call's worth of extents. */
struct extents {
    struct domain *d;
    guest_ptr_t list;
    uint64_t count;
    unsigned order, address_bits;
};

static bool within_bits(mfn_t m, unsigned order, unsigned bits)
{
    return bits == 0 || bits >= 52 || (m.n + (1ull << order) - 1) >> (bits - PAGE_SHIFT) == 0;
}

/* A new block for a domain for which memory is claimed, maybe enough. */
static noinline_ struct page_info *claimed_prepare(const struct extents *x)
{
    const uint32_t claimed = claim_take(x->d, x->order);
    struct page_info *pg =
        page_prepare(x->d, x->order, claimed ? PAGE_LEAVE_NOTHING : PAGE_LEAVE_US);

    if (pg)
        claim_used(claimed);
    else
        claim_give_back(x->d, claimed);
    return pg;
}

/* A new block for @x->d, under construction (page_prepare), or NULL. */
static struct page_info *extent_prepare(const struct extents *x)
{
    struct page_info *pg = unlikely(atomic_read(&x->d->claimed))
                               ? claimed_prepare(x)
                               : page_prepare(x->d, x->order, PAGE_LEAVE_US);

    if (!pg) {
        (void)refuse(DOMAIN_MEMORY_LIMIT, x->order, atomic_read(&x->d->tot_pages), x->d->max_pages);
        return NULL;
    }
    if (within_bits(page_to_mfn(pg), x->order, x->address_bits))
        return pg;
    page_discard(x->d, pg, x->order);
    (void)refuse(ADDRESS_LIMIT_UNMET, x->address_bits);
    return NULL;
}

static bool increase_one(const struct extents *x, uint64_t i)
{
    struct page_info *pg = extent_prepare(x);

    if (!pg)
        return false;
    page_assign(x->d, pg, x->order);
    return !x->list.va || !guest_write_u64(guest_ptr_add(x->list, i * 8), page_to_mfn(pg).n);
}

static bool populate_one(const struct extents *x, uint64_t i)
{
    uint64_t first;

    if (guest_read_u64(&first, guest_ptr_add(x->list, i * 8)))
        return false;
    struct page_info *pg = extent_prepare(x);
    if (!pg)
        return false;
    for (uint64_t k = 0; k < 1ull << x->order; k++)
        atomic_set(&machine_to_phys[page_to_mfn(pg).n + k], first + k);
    page_assign(x->d, pg, x->order);
    return !guest_write_u64(guest_ptr_add(x->list, i * 8), page_to_mfn(pg).n);
}

/* Give back one frame of @d. */
static bool release_one(struct domain *d, uint64_t n) REQUIRES(&d->mmu)
{
    struct page_info *pg = mfn_to_page(mfn(n));

    /* Nobody but the domain itself refers to it: free at once. */
    if (likely(mfn_valid(mfn(n)) && page_take_back(pg, d->id))) {
        atomic_set(&machine_to_phys[n], M2P_INVALID);
        page_free(pg, 0);
        atomic_sub(&d->tot_pages, 1);
        return true;
    }
    if (!mfn_valid(mfn(n)) || !page_get(pg, d)) {
        (void)refuse(RELEASE_FRAME_NOT_OWNED, n);
        return false;
    }
    /* Hypervisor pages that the domain may map are not its to give. */
    if (atomic_read(&pg->state) & PAGE_SHARED) {
        page_put(pg);
        (void)refuse(RELEASE_FRAME_NOT_OWNED, n);
        return false;
    }
    atomic_set(&machine_to_phys[n], M2P_INVALID);
    page_release(d, pg);
    page_put(pg);
    return true;
}

static bool decrease_one(const struct extents *x, uint64_t i)
{
    uint64_t first, k;

    if (guest_read_u64(&first, guest_ptr_add(x->list, i * 8)))
        return false;
    mutex_lock(&x->d->mmu);
    for (k = 0; k < 1ull << x->order && release_one(x->d, first + k); k++)
        if (k % PREEMPT_FRAMES == PREEMPT_FRAMES - 1)
            (void)preempt_point();
    mutex_unlock(&x->d->mmu);
    return k == 1ull << x->order;
}

static long run_extents(const struct extents *x, uint64_t start,
                        bool (*one)(const struct extents *, uint64_t))
{
    for (uint64_t i = start; i < x->count;) {
        if (!one(x, i))
            return (long)i;
        if (++i == x->count && !x->order)
            /* what the caller has done since the last point is few frames' work: its own exit looks */
            break;
        if ((x->order || i % PREEMPT_EXTENTS == 0) && pause_point_on(x->d))
            return (long)i; /* the caller is dying */
    }
    return (long)x->count;
}

static long reservation_op(struct vcpu *v, unsigned op, uint64_t start, guest_ptr_t arg)
{
    struct xen_memory_reservation r;
    struct extents x;
    int rc;

    if (guest_read(&r, arg, sizeof(r)) || r.nr_extents > LIST_MAX || start >= r.nr_extents)
        return (long)start;
    unsigned bits = r.mem_flags & 0xff; /* XENMEMF_get_address_bits */
    if (bits && bits <= PAGE_SHIFT)
        return refuse(ADDRESS_BITS_RANGE, bits);
    x.d = memory_target_get(v, r.domid, &rc);
    if (!x.d)
        return rc == -XEN_ESRCH ? (long)start : rc;

    x.list = guest_ptr((uint64_t)r.extent_start.p);
    x.count = r.nr_extents;
    x.order = r.extent_order;
    x.address_bits = bits;
    long done = (long)start;
    bool listless = op == XENMEM_increase_reservation && !x.list.va;
    if (x.order > max_order(v->domain))
        (void)refuse(EXTENT_ORDER_NOT_ALLOWED, x.order, max_order(v->domain));
    else if (!listless && !list_ok(x.list, start, x.count - 1))
        (void)refuse(EXTENT_LIST_ADDRESS, x.list.va, x.count);
    else
        done = run_extents(&x, start,
                           op == XENMEM_increase_reservation   ? increase_one
                           : op == XENMEM_decrease_reservation ? decrease_one
                                                               : populate_one);
    memory_target_put(v, x.d);
    return done;
}

/* --- exchange -------------------------------------------------------------------------------- */

/*
 * One chunk is 2^max(in order, out order) frames.  Its old frames are taken out of circulation, the
 * new ones allocated, and only when both have succeeded is anything final.  A frame can be taken
 * only if its domain's own reference is the last: mapped or pinned frames stay.
 */

struct exchange {
    struct domain *d;
    guest_ptr_t in, out;
    unsigned in_order, out_order, chunk_order, address_bits;
};

/* Frame number @k of the chunk that starts at input extent @first; -errno. */
static int input_frame(const struct exchange *x, uint64_t first, uint64_t k, struct page_info **pg)
{
    uint64_t base;

    if (guest_read_u64(&base, guest_ptr_add(x->in, (first + (k >> x->in_order)) * 8)))
        return refuse(ARGUMENT_UNREADABLE, x->in.va);
    uint64_t n = base + (k & ((1ull << x->in_order) - 1));
    if (!mfn_valid(mfn(n)))
        return refuse(EXCHANGE_FRAME_IN_USE, n);
    *pg = mfn_to_page(mfn(n));
    return 0;
}

/* Frame number @k of a chunk is done.  A chunk is finished even for a domain that is being ended. */
static void preempt_at(uint64_t k)
{
    if (k % PREEMPT_FRAMES == PREEMPT_FRAMES - 1)
        (void)preempt_point();
}

/*
 * The guest can change its list while we work, so what was taken is remembered in the frames
 * themselves: a chain through their contents would lose the data that a failed exchange must keep;
 * page_info.linear and stamp are in use.  One array per chunk, then.
 */
static int take_frame(const struct exchange *x, uint64_t first, uint64_t k, uint64_t *taken)
    REQUIRES(&x->d->mmu)
{
    struct page_info *pg = NULL;
    int rc = input_frame(x, first, k, &pg);

    if (rc)
        return rc;
    if (!page_take_back(pg, x->d->id))
        return refuse(EXCHANGE_FRAME_IN_USE, page_to_mfn(pg).n);
    *taken = page_to_mfn(pg).n;
    return 0;
}

/* What is taken stays counted in tot_pages: a domain that dies meanwhile waits for it. */
static int take_chunk(const struct exchange *x, uint64_t first, uint64_t *taken, uint64_t *count)
{
    int rc = 0;

    mutex_lock(&x->d->mmu);
    for (*count = 0; *count < 1ull << x->chunk_order; ++*count) {
        rc = take_frame(x, first, *count, &taken[*count]);
        if (rc)
            break;
        preempt_at(*count);
    }
    mutex_unlock(&x->d->mmu);
    return rc;
}

static void restore_chunk(const struct exchange *x, const uint64_t *taken, uint64_t count)
{
    mutex_lock(&x->d->mmu);
    for (uint64_t k = 0; k < count; k++)
        page_restore(mfn_to_page(mfn(taken[k])));
    mutex_unlock(&x->d->mmu);
}

/* The new blocks of a chunk; on failure none is kept. */
static int allocate_chunk(const struct exchange *x, struct page_info **fresh, uint64_t blocks)
{
    for (uint64_t j = 0; j < blocks; j++) {
        fresh[j] = page_alloc_leaving(x->out_order, PAGE_LEAVE_US);
        preempt_at(j);
        if (fresh[j] && within_bits(page_to_mfn(fresh[j]), x->out_order, x->address_bits))
            continue;
        for (uint64_t k = fresh[j] ? j + 1 : j; k-- > 0;) {
            page_free(fresh[k], x->out_order);
            preempt_at(k);
        }
        return refuse(EXCHANGE_NO_MEMORY, x->out_order, x->address_bits);
    }
    return 0;
}

/* Make @pg the domain's, and tell it, in output extent @i.  The domain has to take the frame in any case. */
static int give_block(const struct exchange *x, struct page_info *pg, uint64_t i)
{
    const guest_ptr_t slot = guest_ptr_add(x->out, i * 8);
    const uint64_t n = page_to_mfn(pg).n;
    uint64_t at;

    for (uint64_t k = 0; k < 1ull << x->out_order; k++) {
        memset(mfn_to_virt(mfn(n + k)), 0, PAGE_SIZE);
        preempt_at(i + k);
    }
    const bool told = !guest_read_u64(&at, slot);
    for (uint64_t k = 0; told && k < 1ull << x->out_order; k++)
        atomic_set(&machine_to_phys[n + k], at + k);
    page_assign(x->d, pg, x->out_order);
    return told && !guest_write_u64(slot, n) ? 0 : refuse(ARGUMENT_UNREADABLE, slot.va);
}

/* Nothing fails from here on but the guest's own list. */
static int commit_chunk(const struct exchange *x, uint64_t first, const uint64_t *taken,
                        struct page_info **fresh, uint64_t blocks)
{
    int rc = 0;

    for (uint64_t k = 0; k < 1ull << x->chunk_order; k++) {
        atomic_set(&machine_to_phys[taken[k]], M2P_INVALID);
        page_free(mfn_to_page(mfn(taken[k])), 0);
        preempt_at(k);
    }
    for (uint64_t j = 0; j < blocks; j++) {
        int told = give_block(x, fresh[j], (first << x->in_order >> x->out_order) + j);
        rc = told ? told : rc;
    }
    return rc;
}

/* A chunk, whose new frames are counted. */
static int swap_chunk(const struct exchange *x, uint64_t first, uint64_t *taken,
                      struct page_info **fresh)
{
    uint64_t blocks = 1ull << (x->chunk_order - x->out_order), count;

    int rc = take_chunk(x, first, taken, &count);
    if (!rc)
        rc = allocate_chunk(x, fresh, blocks);
    if (rc) {
        restore_chunk(x, taken, count);
        return rc;
    }
    return commit_chunk(x, first, taken, fresh, blocks);
}

/* While it lasts a domain has one chunk more than it may have, however many of its vCPUs exchange. */
static int exchange_chunk(const struct exchange *x, uint64_t first, uint64_t *taken,
                          struct page_info **fresh)
{
    const uint32_t more = 1u << x->chunk_order;
    int rc;

    if (atomic_add(&x->d->tot_pages, more) > x->d->max_pages + more)
        rc = refuse(EXCHANGE_NO_MEMORY, x->out_order, x->address_bits);
    else
        rc = swap_chunk(x, first, taken, fresh);
    atomic_sub(&x->d->tot_pages, more);
    return rc;
}

static int exchange_check(struct vcpu *v, const struct xen_memory_exchange *e)
{
    const unsigned in = e->in.extent_order, out = e->out.extent_order;

    if (MAX(in, out) > max_order(v->domain))
        return refuse(EXCHANGE_ORDER_NOT_ALLOWED, MAX(in, out), max_order(v->domain));
    if (e->nr_exchanged > e->in.nr_extents || e->in.domid != e->out.domid ||
        ~0ull >> in < e->in.nr_extents || ~0ull >> out < e->out.nr_extents ||
        e->in.nr_extents << in != e->out.nr_extents << out)
        return refuse(EXCHANGE_UNEVEN, e->in.nr_extents, e->out.nr_extents, e->nr_exchanged);
    return 0;
}

/* Chunks from e->nr_exchanged on, to the last or until the caller should pause; advances it. */
static int exchange_run(struct exchange *x, struct xen_memory_exchange *e)
{
    const uint64_t per_chunk = 1ull << (x->chunk_order - x->in_order);
    const size_t bytes = sizeof(uint64_t) << x->chunk_order,
                 heads = sizeof(void *) << (x->chunk_order - x->out_order);
    uint64_t *taken = mem_alloc(bytes);
    struct page_info **fresh = mem_alloc(heads);
    int rc = taken && fresh ? 0 : refuse(EXCHANGE_NO_MEMORY, x->out_order, x->address_bits);

    for (uint64_t i = ROUND_DOWN(e->nr_exchanged, per_chunk); !rc && i < e->in.nr_extents;
         i += per_chunk) {
        rc = exchange_chunk(x, i, taken, fresh);
        e->nr_exchanged = rc == 0 ? i + per_chunk : i;
        if (preempt_point() || pause_is_due())
            break; /* the caller is being ended, or paused */
    }
    if (taken)
        mem_free(taken, bytes);
    if (fresh)
        mem_free(fresh, heads);
    return rc;
}

static int exchange_begin(struct vcpu *v, struct xen_memory_exchange *e)
{
    int rc = exchange_check(v, e);

    if (rc || e->nr_exchanged == e->in.nr_extents)
        return rc;
    struct exchange x = {
        .in = guest_ptr((uint64_t)e->in.extent_start.p),
        .out = guest_ptr((uint64_t)e->out.extent_start.p),
        .in_order = e->in.extent_order,
        .out_order = e->out.extent_order,
        .chunk_order = MAX(e->in.extent_order, e->out.extent_order),
        .address_bits = e->out.mem_flags & 0xff,
    };
    uint64_t out_start = e->nr_exchanged << x.in_order >> x.out_order;
    if (!list_ok(x.in, e->nr_exchanged, e->in.nr_extents - 1) ||
        !list_ok(x.out, out_start, e->out.nr_extents - 1))
        return refuse(ARGUMENT_UNREADABLE, x.in.va);
    if (x.address_bits && x.address_bits <= PAGE_SHIFT)
        return refuse(ADDRESS_BITS_RANGE, x.address_bits);
    x.d = memory_target_get(v, e->in.domid, &rc);
    if (!x.d)
        return rc;
    rc = exchange_run(&x, e);
    memory_target_put(v, x.d);
    return rc;
}

static long exchange_op(struct vcpu *v, guest_ptr_t arg)
{
    struct xen_memory_exchange e;

    if (guest_read(&e, arg, sizeof(e)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    int rc;
    do
        rc = exchange_begin(v, &e);
    while (!rc && e.nr_exchanged < e.in.nr_extents && !pause_point());
    if (guest_write_u64(guest_ptr_add(arg, offsetof(struct xen_memory_exchange, nr_exchanged)),
                        e.nr_exchanged))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return rc;
}

/* --- questions ------------------------------------------------------------------------------- */

static long question_about_domain(struct vcpu *v, unsigned op, guest_ptr_t arg)
{
    struct xen_memory_domain about;
    int rc;

    if (guest_read(&about, arg, sizeof(about)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct domain *d = memory_target_get(v, about.domid, &rc);
    if (!d)
        return rc;
    long answer =
        op == XENMEM_current_reservation ? (long)atomic_read(&d->tot_pages) : (long)d->max_pages;
    if (op == XENMEM_maximum_gpfn) /* a count that the guest keeps in shared_info */
        answer = (long)(MAX(atomic_read(&d->shared->arch.max_pfn), 1ul) - 1);
    memory_target_put(v, d);
    return answer;
}

static long machphys_mapping(guest_ptr_t arg)
{
    static const struct xen_machphys_mapping where = {.v_start = MACH2PHYS_VIRT_START,
                                                      .v_end = MACH2PHYS_VIRT_END,
                                                      .max_mfn = MACH2PHYS_NR_ENTRIES - 1};

    return guest_write(arg, &where, sizeof(where)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long machphys_mfn_list(guest_ptr_t arg)
{
    struct xen_machphys_mfn_list list;
    const uint64_t per_piece = 0x200000 / sizeof(uint64_t);
    uint64_t last = 0;
    unsigned i;

    if (guest_read(&list, arg, sizeof(list)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    for (i = 0; i < list.max_extents && i * per_piece < max_mfn; i++) {
        mfn_t piece = arch_m2p_frame(i);
        if (piece.n != MFN_NONE)
            last = piece.n;
        if (guest_write_u64(guest_ptr((uint64_t)list.extent_start.p + i * 8ull), last))
            return refuse(ARGUMENT_UNREADABLE, (uint64_t)list.extent_start.p);
    }
    list.nr_extents = i;
    if (guest_write(arg, &list, sizeof(list)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

/* add_to_physmap and its kin: for domains whose frame numbers the hypervisor translates.  The domain comes first in
 * each. */
static long physmap_op(struct vcpu *v, guest_ptr_t arg, size_t size)
{
    uint8_t op[sizeof(struct xen_add_to_physmap_batch)];
    domid_t domid;
    int rc;

    if (guest_read(op, arg, size))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    memcpy(&domid, op, sizeof(domid));
    struct domain *d = memory_target_get(v, domid, &rc);
    if (!d)
        return rc;
    domid = d->id;
    memory_target_put(v, d);
    return refuse(NOT_TRANSLATED, domid);
}

long (*memory_acquire_resource)(struct vcpu *v, guest_ptr_t arg);

/* memory_op(cmd, arg) */
long hypercall_memory_op(struct vcpu *v, const struct hypercall_args *a)
{
    const unsigned op = (unsigned)a->arg[0] & CMD_MASK;
    const uint64_t start = (unsigned)a->arg[0] >> CMD_BITS;
    const guest_ptr_t arg = guest_ptr(a->arg[1]);

    switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reservation_op(v, op, start, arg);
    case XENMEM_exchange:
        return start ? refuse(START_EXTENT_WITHOUT_LIST, start) : exchange_op(v, arg);
    case XENMEM_maximum_ram_page:
        return start ? refuse(START_EXTENT_WITHOUT_LIST, start) : (long)max_mfn;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return start ? refuse(START_EXTENT_WITHOUT_LIST, start) : question_about_domain(v, op, arg);
    case XENMEM_memory_map:
        return memory_map_get(v, arg);
    case XENMEM_machine_memory_map:
        return memory_map_machine(v, arg);
    case XENMEM_machphys_mapping:
        return machphys_mapping(arg);
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(arg);
    case XENMEM_set_memory_map:
        return memory_map_set(v, arg);
    case XENMEM_claim_pages:
        return start ? refuse(START_EXTENT_WITHOUT_LIST, start) : claim_pages(v, arg);
    case XENMEM_acquire_resource:
        return start ? refuse(START_EXTENT_WITHOUT_LIST, start) : memory_acquire_resource(v, arg);
    case XENMEM_add_to_physmap:
        return physmap_op(v, arg, sizeof(struct xen_add_to_physmap));
    case XENMEM_add_to_physmap_batch:
        return physmap_op(v, arg, sizeof(struct xen_add_to_physmap_batch));
    case XENMEM_remove_from_physmap:
        return physmap_op(v, arg, sizeof(struct xen_remove_from_physmap));
    case XENMEM_get_vnumainfo:
        return refuse(NO_VIRTUAL_NUMA);
    default:
        return refuse(MEMORY_OP_UNKNOWN, op);
    }
}
