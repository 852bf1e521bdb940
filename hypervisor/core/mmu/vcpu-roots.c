/*
 * Roots: the two L4 tables that a vCPU's CR3 may name, its kernel's and its programs'.  Each holds a reference and
 * the role L4.
 */
#include "page-tables.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

cold_ static int root_refuse(const struct domain *d, mfn_t l4, int rc)
{
    uint64_t state = mfn_valid(l4) ? page_state_of(mfn_to_page(l4), d->id) : 0;
    if (!state)
        return refuse(PIN_FRAME_NOT_OWNED, l4.n);
    if (page_state_count(state) && page_state_type(state) != PAGE_TYPE_L4)
        return refuse(PIN_ROLE_CONFLICT, l4.n, 4, page_state_type(state));
    return rc; /* the entry's own refusal */
}

static inline int root_get(struct domain *d, mfn_t l4)
{
    int rc = mfn_valid(l4) ? page_get_and_type(mfn_to_page(l4), d, PAGE_TYPE_L4) : -XEN_EINVAL;

    return likely(!rc) ? 0 : root_refuse(d, l4, rc);
}

/* No stamp: each load of CR3 makes the CPU forget what it knew by the root before, and no CR3 has this one on behalf of the
 * vCPU that gives it up. */
static inline void root_put(uint64_t cr3)
{
    if (!cr3)
        return;
    page_put_and_type(mfn_to_page(maddr_to_mfn(cr3)));
}

int vcpu_load_root(struct vcpu *v, mfn_t l4)
{
    mutex_lock(&v->domain->mmu);
    int rc = root_get(v->domain, l4);
    if (rc == 0)
        vcpu_set_kernel_root(v, mfn_to_maddr(l4));
    mutex_unlock(&v->domain->mmu);
    return rc;
}

int vcpu_new_root(struct vcpu *v, mfn_t l4)
{
    uint64_t old = vcpu_kernel_root(v);

    /* numbers of frames: as addresses those from 2^52 on would look like others */
    if (maddr_to_mfn(old).n != l4.n) {
        int rc = root_get(v->domain, l4);
        if (rc)
            return rc;
        vcpu_set_kernel_root(v, mfn_to_maddr(l4));
    } else {
        old = 0;
    }
    arch_load_root(v);
    root_put(old);
    return 0;
}

int vcpu_new_user_root(struct vcpu *v, mfn_t l4)
{
    uint64_t old = vcpu_user_root(v);

    if (maddr_to_mfn(old).n == l4.n)
        return 0;
    if (l4.n) {
        int rc = root_get(v->domain, l4);
        if (rc)
            return rc;
    }
    vcpu_set_user_root(v, mfn_to_maddr(l4));
    root_put(old);
    return 0;
}

void vcpu_drop_roots(struct vcpu *v)
{
    root_put(vcpu_kernel_root(v));
    root_put(vcpu_user_root(v));
    vcpu_set_kernel_root(v, 0);
    vcpu_set_user_root(v, 0);
}
