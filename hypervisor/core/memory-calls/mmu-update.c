/*
 * mmu_update and update_va_mapping: a guest changes single page-table entries.
 *
 * mmu_update takes a batch; each request's pointer carries its command in the low three bits.  The first failure
 * stops the batch, what was applied stays, and the number of applied requests is written to *done either way.
 */
#include "hypercall.h"
#include "lib.h"
#include "mmu.h"
#include "page-tables.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"

/* Requests fetched at a time: one copy amortises the door's checks. */
#define CHUNK 16

/* The two domains of a request, from its foreigndom argument. */
struct mmu_domains {
    struct domain *tables;                              /* whose tables are edited */
    struct domain *frames;                              /* whose frames the entries may name */
    bool referenced_tables, referenced_frames, foreign; /* either */
    /* The frame of the last entry's table, if that was an L1 table: it is one still, as long as the lock is kept and nothing but
     * entries of L1 tables has changed.  Else MFN_NONE. */
    uint64_t last_table;
};

/* Owners of what is no domain's: the machine's devices, the hypervisor. */
static struct domain system_io = {.id = DOMID_IO, .refs = 1},
                     system_xen = {.id = DOMID_XEN, .refs = 1};

struct domain *mmu_foreign_domain(struct domain *d, domid_t id, int *rc)
{
    struct domain *other;

    if (id == d->id) {
        *rc = refuse(FOREIGN_DOMAIN_MISSING, id);
        return NULL;
    }
    if (!domain_has(d, ROLE_CONTROL)) {
        *rc = refuse(FOREIGN_DOMAIN_NOT_ALLOWED, id);
        return NULL;
    }
    if (id == DOMID_IO || id == DOMID_XEN) {
        other = id == DOMID_IO ? &system_io : &system_xen;
        atomic_add(&other->refs, 1);
        return other;
    }
    other = domain_get(id);
    if (!other)
        *rc = refuse(FOREIGN_DOMAIN_MISSING, id);
    return other;
}

void mmu_report_done_slow(guest_ptr_t done_ptr, uint32_t done)
{
    /* A count that cannot be written is the guest's loss; what was done stays done, and so does the result. */
    if (guest_write_u32(done_ptr, done))
        (void)refuse(ARGUMENT_UNREADABLE, done_ptr.va);
}

static noinline_ int mmu_domains_get_others(struct domain *d, uint32_t foreigndom,
                                            struct mmu_domains *md)
{
    uint16_t frames = (uint16_t)foreigndom, tables = (uint16_t)(foreigndom >> 16);
    int rc = 0;

    md->foreign = true;
    if (tables && tables - 1 != d->id) {
        md->tables = mmu_foreign_domain(d, tables - 1, &rc);
        if (!md->tables)
            return rc;
        md->referenced_tables = true;
    }
    if (frames != DOMID_SELF) {
        md->frames = mmu_foreign_domain(d, frames, &rc);
        if (!md->frames) {
            if (md->referenced_tables)
                domain_put(md->tables);
            return rc;
        }
        md->referenced_frames = true;
    }
    return 0;
}

static inline int mmu_domains_get(struct domain *d, uint32_t foreigndom, struct mmu_domains *md)
{
    *md = (struct mmu_domains){.tables = d, .frames = d, .last_table = MFN_NONE};
    return likely(foreigndom == DOMID_SELF) ? 0 : mmu_domains_get_others(d, foreigndom, md);
}

static noinline_ cold_ void mmu_domains_put_others(struct mmu_domains *md)
{
    if (md->referenced_tables)
        domain_put(md->tables);
    if (md->referenced_frames)
        domain_put(md->frames);
}

static inline void mmu_domains_put(struct mmu_domains *md)
{
    if (unlikely(md->foreign))
        mmu_domains_put_others(md);
}

/* A frame that is no page table now: the "entry" is eight plain bytes, which is how tables are filled before they are
 * validated. */
static int plain_store(struct domain *d, struct page_info *pg, uint64_t ptr, uint64_t value)
{
    if (page_get_and_type(pg, d, PAGE_TYPE_WRITABLE))
        return refuse(TABLE_NOT_OWNED, ptr >> PAGE_SHIFT, page_state_type(atomic_read(&pg->state)));
    atomic_set((uint64_t *)((char *)mfn_to_virt(page_to_mfn(pg)) + (ptr & ~PAGE_MASK & ~7ull)),
               value);
    page_put_and_type(pg);
    return 0;
}

/* An upper-level table could lose its role while its own entry changes, through linear entries elsewhere: hold it. */
static int upper_update(struct mmu_domains *md, struct page_info *pg, unsigned slot, pte_t want,
                        enum ad_bits ad) REQUIRES(&md->tables->mmu)
{
    enum page_type type = page_state_type(atomic_read(&pg->state));
    int rc = page_get_and_type(pg, md->tables, type);

    if (rc)
        return refuse(TABLE_NOT_OWNED, page_to_mfn(pg).n, type);
    rc = page_table_update(md->tables, md->frames, pg, slot, want, ad);
    page_put_and_type(pg);
    (void)preempt_point(); /* a whole table may have been looked at, and another given up */
    return rc;
}

/* What is no L1 table. */
static noinline_ int other_update(struct mmu_domains *md, uint64_t ptr, uint64_t value,
                                  enum ad_bits ad) REQUIRES(&md->tables->mmu)
{
    mfn_t m = maddr_to_mfn(ptr);

    md->last_table = MFN_NONE; /* an entry of a level above may be the last that names it */
    struct page_info *pg = mfn_to_page(m);
    uint64_t state = mfn_valid(m) ? page_state_of(pg, md->tables->id) : 0;
    if (!state)
        return refuse(TABLE_NOT_OWNED, m.n, ~0ul);

    if ((state & PAGE_VALIDATED) && page_state_type(state) != PAGE_TYPE_SEG)
        return upper_update(md, pg, (ptr & ~PAGE_MASK) >> 3, pte(value), ad);
    return plain_store(md->tables, pg, ptr, value);
}

static inline int entry_update(struct mmu_domains *md, uint64_t ptr, uint64_t value,
                               enum ad_bits ad) REQUIRES(&md->tables->mmu)
{
    mfn_t m = maddr_to_mfn(ptr);

    if (FAST_PATHS && likely(m.n == md->last_table))
        return l1_update(md->tables, md->frames, maddr_to_virt(ptr & ~7ull), pte(value), ad);
    /* The lock keeps the role, and the role the frame. */
    if (likely(mfn_valid(m)) &&
        likely(page_is_table_of(mfn_to_page(m), md->tables->id, PAGE_TYPE_L1))) {
        md->last_table = m.n;
        return l1_update(md->tables, md->frames, maddr_to_virt(ptr & ~7ull), pte(value), ad);
    }
    return other_update(md, ptr, value, ad);
}

static inline int machphys_update(struct mmu_domains *md, uint64_t ptr, uint64_t value)
    REQUIRES(&md->tables->mmu)
{
    mfn_t m = maddr_to_mfn(ptr);

    /* The lock keeps ALLOCATED, and that reference the frame. */
    if (FAST_PATHS && likely(mfn_valid(m)) && likely(md->frames == md->tables) &&
        likely(page_state_of(mfn_to_page(m), md->tables->id) & PAGE_ALLOCATED)) {
        atomic_set(&machine_to_phys[m.n], value);
        return 0;
    }
    if (!mfn_valid(m) || !page_get(mfn_to_page(m), md->frames))
        return refuse(M2P_FRAME_NOT_OWNED, m.n);
    atomic_set(&machine_to_phys[m.n], value);
    page_put(mfn_to_page(m));
    return 0;
}

static inline int request_apply(struct mmu_domains *md, uint64_t ptr, uint64_t value)
    REQUIRES(&md->tables->mmu)
{
    if (likely((ptr & 7) == MMU_NORMAL_PT_UPDATE))
        return entry_update(md, ptr, value, AD_AS_GIVEN);
    switch (ptr & 7) {
    case MMU_PT_UPDATE_NO_TRANSLATE: /* differs for translated guests only */
        return entry_update(md, ptr, value, AD_AS_GIVEN);
    case MMU_PT_UPDATE_PRESERVE_AD:
        return entry_update(md, ptr, value, AD_KEPT);
    case MMU_MACHPHYS_UPDATE:
        return machphys_update(md, ptr, value);
    default:
        return refuse(MMU_COMMAND_UNKNOWN, ptr & 7);
    }
}

/* The caller should pause, within a list: without the lock.  True if it is being ended. */
static noinline_ cold_ bool requests_pause(struct mmu_domains *md) REQUIRES(&md->tables->mmu)
{
    if (md->foreign)
        return false; /* pause_point_on */
    md->last_table = MFN_NONE;
    mutex_unlock(&md->tables->mmu);
    const bool ended = pause_point();
    mutex_lock(&md->tables->mmu);
    return ended;
}

/* Apply @count requests at @requests; *done counts those applied. */
static int requests_apply(struct mmu_domains *md, guest_ptr_t requests, uint32_t count,
                          uint32_t *done) REQUIRES(&md->tables->mmu)
{
    mmu_update_t chunk[CHUNK];
    int rc;

    for (*done = 0; *done < count;) {
        uint32_t n = MIN(count - *done, (uint32_t)CHUNK);
        guest_ptr_t at = guest_ptr_add(requests, (uint64_t)*done * sizeof(*chunk));
        if (unlikely(guest_read(chunk, at, n * sizeof(*chunk)))) {
            /* Part of the chunk may be readable: go on one by one to the very request that is not. */
            n = 1;
            if (guest_read(chunk, at, sizeof(*chunk)))
                return refuse(ARGUMENT_UNREADABLE, at.va);
        }
        for (uint32_t i = 0; i < n; i++, (*done)++) {
            rc = request_apply(md, chunk[i].ptr, chunk[i].val);
            if (unlikely(rc))
                return rc;
        }
        if (*done < count && (preempt_point() || (unlikely(pause_is_due()) && requests_pause(md))))
            break; /* the caller is being ended */
    }
    return 0;
}

/* mmu_update(requests, count, done, domain) */
long hypercall_mmu_update(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t requests = guest_ptr(a->arg[0]), done_ptr = guest_ptr(a->arg[2]);
    const uint32_t count = (uint32_t)a->arg[1] & ~CONTINUATION, foreigndom = (uint32_t)a->arg[3];
    struct mmu_domains md;
    uint32_t done = 0;

    int rc = mmu_domains_get(v->domain, foreigndom, &md);
    if (unlikely(rc))
        return rc;

    mutex_lock(&md.tables->mmu);
    rc = requests_apply(&md, requests, count, &done);
    mutex_unlock(&md.tables->mmu);

    mmu_domains_put(&md);
    mmu_report_done(done_ptr, done);
    return rc;
}

/* The flush that update_va_mapping's @flags ask of other vCPUs. */
static noinline_ int flush_others(struct vcpu *v, uint64_t va, uint64_t flags)
{
    uint64_t who = flags & ~UVMF_FLUSHTYPE_MASK, cpus = atomic_read(&v->domain->tlb_cpus), set;

    /* A set of vCPUs: any subset of the domain's, so all CPUs that know the domain will do. */
    if (who != UVMF_ALL && guest_read_u64(&set, guest_ptr(who)))
        return refuse(VCPU_SET_UNREADABLE, who);
    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG)
        tlb_flush_page_cpus(cpus, va);
    else
        tlb_flush_cpus(cpus);
    return 0;
}

/* The flush that @flags ask for.  Flushing more than asked is allowed, less is not. */
static inline int flush_by_flags(struct vcpu *v, uint64_t va, uint64_t flags)
{
    if (likely((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE))
        return 0;
    if (likely(flags == (UVMF_INVLPG | UVMF_LOCAL))) {
        arch_tlb_invlpg_local(va);
        return 0;
    }
    if ((flags & ~UVMF_FLUSHTYPE_MASK) == UVMF_LOCAL) {
        arch_tlb_flush_local();
        return 0;
    }
    return flush_others(v, va, flags);
}

/* update_va_mapping(va, entry, flags): replace the L1 entry that maps @va in the running page tables. */
long hypercall_update_va_mapping(struct vcpu *v, const struct hypercall_args *a)
{
    struct domain *d = v->domain;
    const uint64_t va = a->arg[0], flags = a->arg[2];
    const pte_t want = pte(a->arg[1]);
    int rc;

    mutex_lock(&d->mmu);
    mutex_is_held(&v->domain->mmu);
    uint64_t *slot = l1_slot(v, va);
    if (likely(slot))
        rc = l1_update(d, d, slot, want, AD_AS_GIVEN);
    else
        rc = refuse(NOT_MAPPED_BY_L1, va);
    mutex_unlock(&d->mmu);
    if (unlikely(rc))
        return rc;
    return flush_by_flags(v, va, flags);
}

/* update_va_mapping_otherdomain(va, entry, flags, domain): the same, naming a frame of another domain. */
long hypercall_update_va_mapping_otherdomain(struct vcpu *v, const struct hypercall_args *a)
{
    struct domain *d = v->domain;
    struct mmu_domains md;

    int rc = mmu_domains_get(d, (uint16_t)a->arg[3], &md);
    if (rc)
        return rc;
    mutex_lock(&d->mmu);
    mutex_is_held(&v->domain->mmu);
    uint64_t *slot = l1_slot(v, a->arg[0]);
    if (slot)
        rc = l1_update(d, md.frames, slot, pte(a->arg[1]), AD_AS_GIVEN);
    else
        rc = refuse(NOT_MAPPED_BY_L1, a->arg[0]);
    mutex_unlock(&d->mmu);
    mmu_domains_put(&md);
    return rc ? rc : flush_by_flags(v, a->arg[0], a->arg[2]);
}
