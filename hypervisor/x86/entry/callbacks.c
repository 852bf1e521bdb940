/*
 * Where the guest wants to be entered: trap table, callbacks, kernel stack, segment bases.
 *
 * All of this is the calling vCPU's own state; the entry and exit paths (bounce.c) read it.
 * Addresses are checked here once to be canonical.  Nothing more is needed: a frame is built, and
 * the handler's first instruction fetched, with the guest's own rights, so an address in the
 * hypervisor's half faults as any bad address does.
 */
#include "cpu-state.h"
#include "hypercall.h"
#include "sched.h"

#include <xen/callback.h>
#include <xen/nmi.h>

/* --- trap table ------------------------------------------------------------------ */

#define TRAPS_PER_PREEMPTION 256u

/* One entry at @at: 0, 1 at the end of the table, or -errno. */
static inline int trap_table_read(struct trap_info *table, guest_ptr_t at)
{
    uint64_t entry[2]; /* the first word: vector, flags, cs; the second: address */

    if (unlikely(guest_read(entry, at, sizeof(entry))))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    const uint64_t word = entry[0], address = entry[1];
    if (!address)
        return 1;
    if (!va_canonical(address))
        return refuse(HANDLER_NOT_CANONICAL, word & 0xff, address);

    struct trap_info *t = &table[word & 0xff];
    t->vector = (uint8_t)word;
    t->flags = (uint8_t)(word >> 8);
    t->cs = (uint16_t)(word >> 16) | 3; /* ring 3, where guest kernels run */
    t->address = address;
    return 0;
}
_Static_assert(sizeof(struct trap_info) == 16 && offsetof(struct trap_info, flags) == 1 &&
                   offsetof(struct trap_info, cs) == 2 && offsetof(struct trap_info, address) == 8,
               "trap_table_read");

/* set_trap_table(table): entries up to the first with address 0; NULL forgets all. */
long hypercall_set_trap_table(struct vcpu *v, const struct hypercall_args *a)
{
    guest_ptr_t at = guest_ptr(a->arg[0]);

    if (!at.va) {
        memset(v->arch.traps, 0, 256 * sizeof(struct trap_info));
        return 0;
    }
    /* The guest's memory ends somewhere, so this does; it may take long, since one frame can be
     * mapped everywhere. */
    for (unsigned n = 1;; n++) {
        int rc = trap_table_read(v->arch.traps, at);
        if (rc)
            return rc > 0 ? 0 : rc;
        at = guest_ptr_add(at, sizeof(struct trap_info));
        if (n % TRAPS_PER_PREEMPTION == 0 && pause_point())
            return 0; /* dying: nobody will see the answer */
    }
}

/* --- callbacks ------------------------------------------------------------------- */

/* The NMI callback is the gate of vector 2: set_trap_table() changes it, too. */
static void nmi_handler_set(struct vcpu *v, uint64_t address)
{
    struct trap_info *t = &v->arch.traps[VECTOR_NMI];

    *t = (struct trap_info){0};
    if (!address)
        return;
    t->vector = VECTOR_NMI;
    t->cs = SEL_GUEST_CS64;
    t->address = address;
    TI_SET_IF(t, 1);
}

static int callback_register(struct vcpu *v, unsigned type, unsigned flags, uint64_t address)
{
    struct arch_vcpu *s = &v->arch;
    const uint8_t masks = (flags & CALLBACKF_mask_events) != 0;

    if (!va_canonical(address))
        return refuse(CALLBACK_NOT_CANONICAL, type, address);
    switch (type) {
    case CALLBACKTYPE_event:
        s->event_callback = address;
        return 0;
    case CALLBACKTYPE_failsafe:
        s->failsafe_callback = address;
        s->failsafe_masks = masks;
        return 0;
    case CALLBACKTYPE_syscall:
        s->syscall_callback = address;
        s->syscall_masks = masks;
        return 0;
    case CALLBACKTYPE_syscall32:
        s->syscall32_callback = address;
        s->syscall32_masks = masks;
        return 0;
    case CALLBACKTYPE_sysenter:
        s->sysenter_callback = address;
        s->sysenter_masks = masks;
        return 0;
    case CALLBACKTYPE_nmi:
        nmi_handler_set(v, address);
        return 0;
    default:
        return refuse(CALLBACK_TYPE_UNKNOWN, type);
    }
}

static int callback_unregister(struct vcpu *v, unsigned type)
{
    switch (type) {
    case CALLBACKTYPE_nmi:
        nmi_handler_set(v, 0);
        return 0;
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_syscall32:
    case CALLBACKTYPE_sysenter:
        return refuse(CALLBACK_NEEDED, type);
    default:
        return refuse(CALLBACK_TYPE_UNKNOWN, type);
    }
}

/* callback_op(cmd, arg) */
long hypercall_callback_op(struct vcpu *v, const struct hypercall_args *a)
{
    struct callback_register reg;
    struct callback_unregister unreg;

    switch ((uint32_t)a->arg[0]) {
    case CALLBACKOP_register:
        if (guest_read(&reg, guest_ptr(a->arg[1]), sizeof(reg)))
            return refuse(ARGUMENT_UNREADABLE, a->arg[1]);
        return callback_register(v, reg.type, reg.flags, reg.address);
    case CALLBACKOP_unregister:
        if (guest_read(&unreg, guest_ptr(a->arg[1]), sizeof(unreg)))
            return refuse(ARGUMENT_UNREADABLE, a->arg[1]);
        return callback_unregister(v, unreg.type);
    default:
        return refuse(CALLBACK_OP_UNKNOWN, (uint32_t)a->arg[0]);
    }
}

/* nmi_op(cmd, arg): the older way to the same handler. */
long hypercall_nmi_op(struct vcpu *v, const struct hypercall_args *a)
{
    struct xennmi_callback cb;

    switch ((uint32_t)a->arg[0]) {
    case XENNMI_register_callback:
        if (guest_read(&cb, guest_ptr(a->arg[1]), sizeof(cb)))
            return refuse(ARGUMENT_UNREADABLE, a->arg[1]);
        return callback_register(v, CALLBACKTYPE_nmi, 0, cb.handler_address);
    case XENNMI_unregister_callback:
        return callback_unregister(v, CALLBACKTYPE_nmi);
    default:
        return refuse(NMI_OP_UNKNOWN, (uint32_t)a->arg[0]);
    }
}

/* set_callbacks(event, failsafe, syscall): the three of them at once, with no flags.  Never fails:
 * a bad address is left out, as Xen does. */
long hypercall_set_callbacks(struct vcpu *v, const struct hypercall_args *a)
{
    (void)callback_register(v, CALLBACKTYPE_event, 0, a->arg[0]);
    (void)callback_register(v, CALLBACKTYPE_failsafe, 0, a->arg[1]);
    (void)callback_register(v, CALLBACKTYPE_syscall, 0, a->arg[2]);
    return 0;
}

/* --- kernel stack and segment bases ---------------------------------------------- */

/* stack_switch(ss, sp): where the kernel's stack is when it is entered from user mode. */
long hypercall_stack_switch(struct vcpu *v, const struct hypercall_args *a)
{
    v->arch.kernel_ss = a->arg[0] | 3;
    v->arch.kernel_sp = a->arg[1];
    return 0;
}

/*
 * Load @selector into GS for user mode: the base that comes with it belongs to the swapped-out
 * side.  A selector that cannot be loaded becomes 0: the caller (Linux) has no way to handle a
 * failure.
 */
static void gs_user_selector(uint16_t selector)
{
    if (selector > 3)
        selector |= 3;
    /* Here we can wait for the lock that showing a page of the LDT needs; a fault at the load cannot, and another
     * vCPU that holds it just then would cost the program its segment. */
    if (selector & 4)
        (void)descriptors_ldt_fault(current_vcpu(), selector & ~7u, true);
    __asm__ volatile("swapgs");
    /* Loading a null selector leaves the base as it was on AMD: clear it by way of a flat segment.
     */
    if (selector <= 3)
        __asm__ volatile("mov %0, %%gs" ::"r"(SEL_GUEST_DS));
    __asm__ goto volatile("1: mov %0, %%gs\n\t" FIXUP("1b", "%l[bad]")
                          :
                          : "r"((uint32_t)selector)
                          :
                          : bad);
    __asm__ volatile("swapgs");
    return;
bad:
    __asm__ volatile("mov %0, %%gs; mov %1, %%gs; swapgs" ::"r"(SEL_GUEST_DS), "r"(0));
}

static noinline_ long segment_base_other(unsigned which, uint64_t base)
{
    if (unlikely(!va_canonical(base)) && which < SEGBASE_GS_USER_SEL)
        return refuse(SEGMENT_BASE_NOT_CANONICAL, which, base);
    switch (which) {
    case SEGBASE_FS:
        fs_base_write(base);
        return 0;
    case SEGBASE_GS_USER:
        gs_base_other_write(base);
        return 0;
    case SEGBASE_GS_KERNEL:
        gs_base_write(base);
        return 0;
    case SEGBASE_GS_USER_SEL:
        gs_user_selector((uint16_t)base);
        return 0;
    default:
        return refuse(SEGMENT_BASE_UNKNOWN, which);
    }
}

/* set_segment_base(which, base) */
long hypercall_set_segment_base(struct vcpu *v, const struct hypercall_args *a)
{
    const unsigned which = (unsigned)a->arg[0];
    const uint64_t base = a->arg[1];

    if (which != SEGBASE_FS || unlikely(!va_canonical(base)))
        return segment_base_other(which, base);
    fs_base_write(base); /* at every switch between programs */
    return 0;
}
