/*
 * vm_assist: which conveniences a guest relies on.
 *
 * The bits are kept; who cares reads d->vm_assist (the run-state areas, the emulated IOPL).
 * Page-table writes are emulated whether or not the guest asked for it, as Xen does.
 */
#include "arch.h"
#include "hypercall.h"
#include "refuse.h"
#include "vcpu-op.h"

#define ASSISTS                                                                    \
    (BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) |        \
     BIT(VMASST_TYPE_writable_pagetables) | BIT(VMASST_TYPE_pae_extended_cr3) |    \
     BIT(VMASST_TYPE_architectural_iopl) | BIT(VMASST_TYPE_runstate_update_flag) | \
     BIT(VMASST_TYPE_m2p_strict))

void vm_assist_set(struct domain *d, uint64_t bits)
{
    atomic_set(&d->vm_assist, bits & ASSISTS);
    if (bits & BIT(VMASST_TYPE_architectural_iopl))
        atomic_or(&d->slow_paths, SLOW_IOPL);
}

/* vm_assist(cmd, type) */
long hypercall_vm_assist(struct vcpu *v, const struct hypercall_args *a)
{
    const unsigned cmd = (unsigned)a->arg[0], type = (unsigned)a->arg[1];
    uint64_t *assists = &v->domain->vm_assist;

    if (type >= 64 || !(ASSISTS & BIT(type)))
        return refuse(VM_ASSIST_TYPE_UNKNOWN, type);
    switch (cmd) {
    case VMASST_CMD_enable:
        atomic_or(assists, BIT(type));
        if (type == VMASST_TYPE_architectural_iopl)
            atomic_or(&v->domain->slow_paths, SLOW_IOPL);
        return 0;
    case VMASST_CMD_disable:
        atomic_and(assists, ~BIT(type));
        if (type == VMASST_TYPE_architectural_iopl)
            atomic_and(&v->domain->slow_paths, ~SLOW_IOPL);
        return 0;
    default:
        return refuse(VM_ASSIST_COMMAND_UNKNOWN, cmd);
    }
}
