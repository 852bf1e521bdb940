/*
 * mmuext_op: pins, roots, flushes and whole-page operations, in batches.
 *
 * The contract of *done and of the first failure is mmu_update's.
 */
#include "hypercall.h"
#include "lib.h"
#include "mmu.h"
#include "page-tables.h"
#include "refuse.h"
#include "sched.h"
#include "tlb.h"

/* The CPUs that a vCPU bitmap in guest memory means: those of the named vCPUs that may know the domain's entries. */
static int read_vcpu_set(struct vcpu *v, guest_ptr_t at, uint64_t *cpus)
{
    struct domain *d = v->domain;
    uint64_t word = 0;

    *cpus = 0;
    for (unsigned id = 0; id < d->max_vcpus; id++) {
        if (id % 64 == 0 && guest_read_u64(&word, guest_ptr_add(at, id / 8)))
            return refuse(FLUSH_VCPU_SET_UNREADABLE, at.va);
        if ((word >> id % 64 & 1) && d->vcpu[id])
            *cpus |= BIT(d->vcpu[id]->cpu);
    }
    *cpus &= atomic_read(&d->tlb_cpus);
    return 0;
}

/* A frame of @owner's that may be overwritten as a whole; put with page_put_and_type(). */
static struct page_info *writable_frame(struct domain *owner, uint64_t m)
{
    if (!mfn_valid(mfn(m)))
        return NULL;
    struct page_info *pg = mfn_to_page(mfn(m));
    return page_get_and_type(pg, owner, PAGE_TYPE_WRITABLE) ? NULL : pg;
}

static int clear_page(struct domain *owner, uint64_t m)
{
    struct page_info *pg = writable_frame(owner, m);
    if (!pg)
        return refuse(COPY_FRAME_NOT_WRITABLE, m,
                      mfn_valid(mfn(m)) ? page_state_type(atomic_read(&mfn_to_page(mfn(m))->state))
                                        : 0);
    memset(mfn_to_virt(mfn(m)), 0, PAGE_SIZE);
    page_put_and_type(pg);
    return 0;
}

static int copy_page(struct domain *owner, uint64_t to, uint64_t from)
{
    if (!mfn_valid(mfn(from)) || !page_get(mfn_to_page(mfn(from)), owner))
        return refuse(PIN_FRAME_NOT_OWNED, from);
    struct page_info *target = writable_frame(owner, to);
    if (target) {
        memcpy(mfn_to_virt(mfn(to)), mfn_to_virt(mfn(from)), PAGE_SIZE);
        page_put_and_type(target);
    }
    page_put(mfn_to_page(mfn(from)));
    if (!target)
        return refuse(
            COPY_FRAME_NOT_WRITABLE, to,
            mfn_valid(mfn(to)) ? page_state_type(atomic_read(&mfn_to_page(mfn(to))->state)) : 0);
    return 0;
}

static int flush_set(struct vcpu *v, const struct mmuext_op *op)
{
    uint64_t cpus;
    int rc = read_vcpu_set(v, guest_ptr((uint64_t)op->arg2.vcpumask.p), &cpus);

    if (rc)
        return rc;
    if (op->cmd == MMUEXT_TLB_FLUSH_MULTI)
        tlb_flush_cpus(cpus);
    else
        tlb_flush_page_cpus(cpus, op->arg1.linear_addr);
    return 0;
}

static noinline_ int pin_op(struct domain *d, struct domain *owner, const struct mmuext_op *op)
{
    mutex_lock(&owner->mmu);
    int rc =
        op->cmd == MMUEXT_UNPIN_TABLE
            ? page_table_unpin(owner, mfn(op->arg1.mfn))
            : page_table_pin(d, owner, mfn(op->arg1.mfn), (int)(op->cmd - MMUEXT_PIN_L1_TABLE) + 1);
    mutex_unlock(&owner->mmu);
    return rc;
}

/* What one can do to one's own address space only: bits MMUEXT_*. */
#define OWN_OPS                                                                             \
    (BIT(MMUEXT_NEW_BASEPTR) | BIT(MMUEXT_NEW_USER_BASEPTR) | BIT(MMUEXT_TLB_FLUSH_LOCAL) | \
     BIT(MMUEXT_INVLPG_LOCAL) | BIT(MMUEXT_TLB_FLUSH_MULTI) | BIT(MMUEXT_INVLPG_MULTI) |    \
     BIT(MMUEXT_TLB_FLUSH_ALL) | BIT(MMUEXT_INVLPG_ALL) | BIT(MMUEXT_SET_LDT))

static inline __attribute__((always_inline)) int op_apply(struct vcpu *v, struct domain *owner,
                                                          const struct mmuext_op *op)
{
    struct domain *d = v->domain;
    int rc;

    if (unlikely(owner != d) && op->cmd < 64 && (OWN_OPS >> op->cmd & 1))
        return refuse(ROOT_OF_OTHER_DOMAIN, op->cmd);
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE ... MMUEXT_UNPIN_TABLE:
        return pin_op(d, owner, op);
    case MMUEXT_NEW_BASEPTR:
        mutex_lock(&d->mmu);
        mutex_is_held(&v->domain->mmu);
        rc = vcpu_new_root(v, mfn(op->arg1.mfn));
        mutex_unlock(&d->mmu);
        return rc;
    case MMUEXT_NEW_USER_BASEPTR:
        mutex_lock(&d->mmu);
        mutex_is_held(&v->domain->mmu);
        rc = vcpu_new_user_root(v, mfn(op->arg1.mfn));
        mutex_unlock(&d->mmu);
        return rc;
    case MMUEXT_TLB_FLUSH_LOCAL:
        arch_tlb_flush_local();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
        arch_tlb_invlpg_local(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_ALL:
        tlb_flush_cpus(atomic_read(&d->tlb_cpus));
        return 0;
    case MMUEXT_INVLPG_ALL:
        tlb_flush_page_cpus(atomic_read(&d->tlb_cpus), op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
        return flush_set(v, op);
    case MMUEXT_SET_LDT:
        if ((op->arg1.linear_addr & ~PAGE_MASK) || op->arg2.nr_ents > 8192)
            return refuse(LDT_RANGE, op->arg1.linear_addr, op->arg2.nr_ents);
        return arch_vcpu_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    case MMUEXT_CLEAR_PAGE:
        return clear_page(owner, op->arg1.mfn);
    case MMUEXT_COPY_PAGE:
        return copy_page(owner, op->arg1.mfn, op->arg2.src_mfn);
    case MMUEXT_FLUSH_CACHE:
        return domain_has(d, ROLE_HARDWARE) ? (arch_flush_cache(), 0)
                                            : refuse(CACHE_FLUSH_NOT_ALLOWED);
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return domain_has(d, ROLE_HARDWARE) ? (arch_flush_cache(), 0)
                                            : refuse(CACHE_FLUSH_ALL_NOT_ALLOWED);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return refuse(SUPERPAGE_MARK_NOT_SERVED, op->cmd);
    default:
        return refuse(MMUEXT_OP_UNKNOWN, op->cmd);
    }
}

/* Apply operations until one fails; *done counts those applied. */
static inline __attribute__((always_inline)) int
ops_apply(struct vcpu *v, struct domain *owner, guest_ptr_t ops, uint32_t count, uint32_t *done)
{
    struct mmuext_op op;
    guest_ptr_t at = ops;

    for (*done = 0; *done < count; at = guest_ptr_add(at, sizeof(op))) {
        if (unlikely(guest_read(&op, at, sizeof(op))))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        int rc = op_apply(v, owner, &op);
        if (unlikely(rc))
            return rc;
        if (++*done < count && pause_point_on(owner))
            break; /* the caller is being ended */
    }
    return 0;
}

/* On another domain's frames. */
static noinline_ int ops_apply_foreign(struct vcpu *v, domid_t id, guest_ptr_t ops, uint32_t count,
                                       uint32_t *done)
{
    int rc = 0;
    struct domain *owner = mmu_foreign_domain(v->domain, id, &rc);

    if (!owner)
        return rc;
    rc = ops_apply(v, owner, ops, count, done);
    domain_put(owner);
    return rc;
}

/* mmuext_op(ops, count, done, domain) */
long hypercall_mmuext_op(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t ops = guest_ptr(a->arg[0]), done_ptr = guest_ptr(a->arg[2]);
    const uint32_t count = (uint32_t)a->arg[1] & ~CONTINUATION;
    const domid_t id = (domid_t)a->arg[3];
    uint32_t done = ~0u; /* nothing to report: no such domain */

    int rc = likely(id == DOMID_SELF) ? ops_apply(v, v->domain, ops, count, &done)
                                      : ops_apply_foreign(v, id, ops, count, &done);
    if (likely(done != ~0u))
        mmu_report_done(done_ptr, done);
    return rc;
}
