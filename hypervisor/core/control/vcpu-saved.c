/*
 * What a domain that has run has become, as a toolstack reads it for a dump or a saved domain, and gives it to another one:
 * registers, callbacks, the FPU's extensions, MSRs, the roles of frames.
 *
 * The domain stands still meanwhile, paused or not before; so nobody asks about his own.
 */
#include "control.h"

#include "hypercall.h"
#include "lib.h"
#include "page.h"
#include "sched.h"

#define FRAMES_AT_ONCE 1024u /* Xen's limit */

/* vCPU @id of @d, which is not the caller's; its domain stands still until domain_control_release(). */
static int hold(struct domain *d, uint32_t id, struct vcpu **v)
{
    *v = domain_vcpu(d, id);
    if (!*v)
        return refuse(CONTROL_VCPU_MISSING, id);
    if (d == current_vcpu()->domain)
        return refuse(STATE_OF_SELF, id, d->id);
    return power_hold(d);
}

static bool is_online(const struct vcpu *v)
{
    return !(atomic_read(&v->pause) & PAUSE_DOWN);
}

static int context_write(struct domain *d, const struct vcpu *v, guest_ptr_t to)
{
    struct vcpu_guest_context *c = mem_alloc(sizeof(*c));

    if (!c)
        return refuse(CONTEXT_NO_MEMORY);
    arch_vcpu_get_context(v, c);
    c->flags |= is_online(v) ? VGCF_online : 0;
    c->vm_assist = atomic_read(&d->vm_assist);
    const int rc = guest_write(to, c, sizeof(*c)) ? refuse(ARGUMENT_UNREADABLE, to.va) : 0;
    mem_free(c, sizeof(*c));
    return rc;
}

int saved_context_get(struct domain *d, struct xen_domctl *op)
{
    const uint32_t id = op->u.vcpucontext.vcpu;
    struct vcpu *v = domain_vcpu(d, id);

    if (!v || d == current_vcpu()->domain)
        return refuse(STATE_OF_VCPU, id, d->id);
    if (atomic_read_acquire(&v->initialised) != VCPU_INITIALISED)
        return refuse(STATE_NONE, id);
    int rc = power_hold(d);
    if (rc)
        return rc;
    rc = context_write(d, v, control_pointer(op->u.vcpucontext.ctxt));
    domain_control_release(d);
    return rc;
}

int saved_extended_get(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v;
    const int rc = hold(d, op->u.ext_vcpucontext.vcpu, &v);

    if (rc)
        return rc;
    arch_vcpu_get_extended(v, &op->u.ext_vcpucontext);
    domain_control_release(d);
    return 0;
}

int saved_extended_set(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v;
    int rc = hold(d, op->u.ext_vcpucontext.vcpu, &v);

    if (rc)
        return rc;
    rc = arch_vcpu_set_extended(v, &op->u.ext_vcpucontext);
    domain_control_release(d);
    return rc;
}

/* --- the FPU's extensions: XCR0, all that XCR0 has allowed (here: what it may), the image --------------- */

struct xstate_head {
    uint64_t xcr0, ever;
};

static uint64_t xstate_size(void)
{
    return arch_xstate_size() ? sizeof(struct xstate_head) + arch_xstate_size() : 0;
}

static int xstate_write(const struct vcpu *v, guest_ptr_t to)
{
    const void *image;
    const struct xstate_head head = {.xcr0 = arch_vcpu_get_xstate(v, &image),
                                     .ever = arch_xstate_mask()};

    if (!xstate_size())
        return 0;
    return guest_write(to, &head, sizeof(head)) ||
                   guest_write(guest_ptr_add(to, sizeof(head)), image, arch_xstate_size())
               ? refuse(ARGUMENT_UNREADABLE, to.va)
               : 0;
}

int saved_xstate_get(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuextstate *x = &op->u.vcpuextstate;
    const guest_ptr_t to = control_pointer(x->buffer);
    struct vcpu *v;
    int rc = hold(d, x->vcpu, &v);

    if (rc)
        return rc;
    if (!to.va || (!x->size && !x->xfeature_mask)) {
        x->xfeature_mask = arch_xstate_mask();
        x->size = xstate_size();
    } else if (x->size != xstate_size() || x->xfeature_mask != arch_xstate_mask()) {
        rc = refuse(STATE_SIZE, x->size, xstate_size());
    } else {
        rc = xstate_write(v, to);
    }
    domain_control_release(d);
    return rc;
}

static int xstate_read(struct vcpu *v, guest_ptr_t from, size_t size)
{
    struct xstate_head head;
    void *image = mem_alloc(size);

    if (!image)
        return refuse(CONTEXT_NO_MEMORY);
    int rc = guest_read(&head, from, sizeof(head)) ||
                     guest_read(image, guest_ptr_add(from, sizeof(head)), size)
                 ? refuse(ARGUMENT_UNREADABLE, from.va)
                 : 0;
    if (!rc && (head.xcr0 & ~head.ever || head.ever & ~arch_xstate_mask()))
        rc = refuse(STATE_XCR0, head.ever, arch_xstate_mask());
    if (!rc)
        rc = arch_vcpu_set_xstate(v, head.xcr0, image, size);
    mem_free(image, size);
    return rc;
}

int saved_xstate_set(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuextstate *x = &op->u.vcpuextstate;
    struct vcpu *v;
    int rc = hold(d, x->vcpu, &v);

    if (rc)
        return rc;
    rc = x->size <= sizeof(struct xstate_head) || x->size > xstate_size()
             ? refuse(STATE_SIZE, x->size, xstate_size())
             : xstate_read(v, control_pointer(x->buffer), x->size - sizeof(struct xstate_head));
    domain_control_release(d);
    return rc;
}

/* --- model-specific registers ------------------------------------------------------------------------- */

#define MSRS_LIMIT 8u

int saved_msrs_get(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
    const guest_ptr_t to = control_pointer(m->msrs);
    struct xen_domctl_vcpu_msr msrs[MSRS_LIMIT];
    struct vcpu *v;
    int rc = hold(d, m->vcpu, &v);

    if (rc)
        return rc;
    ASSERT(arch_saved_msr_count() <= MSRS_LIMIT);
    if (to.va) {
        const unsigned n = arch_vcpu_get_msrs(v, msrs);
        if (m->msr_count < n)
            rc = refuse(STATE_MSR_ROOM, m->msr_count, n);
        else if (n && guest_write(to, msrs, n * sizeof(*msrs)))
            rc = refuse(ARGUMENT_UNREADABLE, to.va);
        m->msr_count = n;
    } else {
        m->msr_count = arch_saved_msr_count();
    }
    domain_control_release(d);
    return rc;
}

static int msr_set(struct vcpu *v, guest_ptr_t from)
{
    struct xen_domctl_vcpu_msr msr;

    return guest_read(&msr, from, sizeof(msr)) ? refuse(ARGUMENT_UNREADABLE, from.va)
                                               : arch_vcpu_set_msr(v, &msr);
}

int saved_msrs_set(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
    struct vcpu *v;
    int rc = hold(d, m->vcpu, &v);

    if (rc)
        return rc;
    if (m->msr_count > arch_saved_msr_count())
        rc = refuse(STATE_SIZE, m->msr_count, arch_saved_msr_count());
    for (uint32_t i = 0; !rc && i < m->msr_count; i++) {
        rc = msr_set(
            v, guest_ptr_add(control_pointer(m->msrs), i * sizeof(struct xen_domctl_vcpu_msr)));
        if (rc)
            m->msr_count = i;
    }
    domain_control_release(d);
    return rc;
}

/* --- roles of frames ---------------------------------------------------------------------------------- */

/* What frame @n is to @d: a table, anything else of its own, or not its own. */
static xen_pfn_t frame_type(struct domain *d, xen_pfn_t n)
{
    xen_pfn_t type = XEN_DOMCTL_PFINFO_NOTAB;

    if (!mfn_valid(mfn(n)) || !page_get(mfn_to_page(mfn(n)), d))
        return XEN_DOMCTL_PFINFO_XTAB;
    const uint64_t state = atomic_read(&mfn_to_page(mfn(n))->state);
    const enum page_type role = page_state_type(state);
    if (state & PAGE_SHARED)
        type = XEN_DOMCTL_PFINFO_XTAB;
    else if (role >= PAGE_TYPE_L1 && role <= PAGE_TYPE_L4)
        type = (xen_pfn_t)(role - PAGE_TYPE_L1 + 1) << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
    if (state & PAGE_PINNED)
        type |= XEN_DOMCTL_PFINFO_LPINTAB;
    page_put(mfn_to_page(mfn(n)));
    return type;
}

int saved_frame_types(struct domain *d, struct xen_domctl *op)
{
    const uint64_t count = op->u.getpageframeinfo3.num;
    const guest_ptr_t array = control_pointer(op->u.getpageframeinfo3.array);
    xen_pfn_t frame;

    if (count > FRAMES_AT_ONCE)
        return refuse(FRAMES_TOO_MANY, count);
    for (uint64_t i = 0; i < count; i++) {
        const guest_ptr_t at = guest_ptr_add(array, i * sizeof(frame));
        if (guest_read(&frame, at, sizeof(frame)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        frame = frame_type(d, frame);
        if (guest_write(at, &frame, sizeof(frame)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        if (i % 64 == 63 && preempt_point())
            break; /* nobody is left who would look */
    }
    return 0;
}
