/*
 * Machine checks: what the processor says about its own errors.
 *
 * A machine check that raises #MC ends the machine: nothing that ran can be trusted, and no guest
 * is told, as guests without hardware see a virtual machine check architecture with nothing in its
 * banks (msr.c).  What the banks say is printed first.
 *
 * The mca hypercall is how a controlling domain's kernel collects errors that were survived; there
 * are none here, ever.
 */
#include "guest.h"
#include "hypercall.h"
#include "lib.h"
#include "machine.h"
#include "refuse.h"
#include "traps.h"

#include <xen/arch-x86/xen-mca.h>

#define MSR_MCG_CAP    0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MC0_STATUS 0x401
#define BANKS          0xff
#define STATUS_VALID   BIT(63)
#define STATUS_ADDRV   BIT(58)

void machine_check(const struct guest_regs *regs)
{
    printk("machine check on CPU%u, status %lx\n", this_cpu(),
           (unsigned long)rdmsr(MSR_MCG_STATUS));
    for (unsigned i = 0; i < (rdmsr(MSR_MCG_CAP) & BANKS); i++) {
        const uint64_t status = rdmsr(MSR_MC0_STATUS + 4 * i);
        if (status & STATUS_VALID)
            printk("bank %u: status %016lx address %016lx\n", i, (unsigned long)status,
                   (unsigned long)(status & STATUS_ADDRV ? rdmsr(MSR_MC0_STATUS + 4 * i + 1) : 0));
    }
    printk("%s was running: rip <%016lx>\n", regs->cs & 3 ? "a guest" : "the hypervisor",
           (unsigned long)regs->rip);
    arch_machine_end(MACHINE_HALT, VERDICT_BUG);
}

static long fetch(guest_ptr_t arg, struct xen_mc_fetch *op)
{
    const uint32_t queue = op->flags & ~(uint32_t)XEN_MC_ACK;

    if (queue != XEN_MC_NONURGENT && queue != XEN_MC_URGENT)
        return refuse(MCA_OP_UNKNOWN, XEN_MC_fetch);
    if (!(op->flags & XEN_MC_ACK) && !*(const uint64_t *)&op->data)
        return refuse(MCA_OP_UNKNOWN, XEN_MC_fetch);
    op->flags = op->flags & XEN_MC_ACK ? XEN_MC_OK : XEN_MC_NODATA;
    if (guest_write_u32(guest_ptr_add(arg, offsetof(struct xen_mc, u.mc_fetch.flags)), op->flags))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    return 0;
}

/* mca(op): the role is asked for first, then the structure read, then its version compared. */
long hypercall_arch_0(struct vcpu *v, const struct hypercall_args *a)
{
    const guest_ptr_t arg = guest_ptr(a->arg[0]);
    struct {
        uint32_t cmd, version;
        union {
            struct xen_mc_fetch fetch;
        };
    } op;
    uint64_t last;

    if (!domain_has(v->domain, ROLE_CONTROL))
        return refuse(ROLE_MISSING, __HYPERVISOR_mca, 0);
    /* The whole structure has to be readable, not only what is looked at. */
    if (guest_read(&op, arg, sizeof(op)) ||
        guest_read_u64(&last, guest_ptr_add(arg, sizeof(struct xen_mc) - 8)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.version != XEN_MCA_INTERFACE_VERSION)
        return refuse(INTERFACE_VERSION_OTHER, __HYPERVISOR_mca, op.version,
                      XEN_MCA_INTERFACE_VERSION);
    return op.cmd == XEN_MC_fetch ? fetch(arg, &op.fetch) : refuse(MCA_OP_UNKNOWN, op.cmd);
}
