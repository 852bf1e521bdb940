/*
 * Non-maskable interrupts: those of guests, and the machine's.
 *
 * A guest's vCPU is sent one by VCPUOP_send_nmi.  It reaches the handler of vector 2 (a gate of the
 * trap table, or CALLBACKTYPE_nmi: the same thing) on the next way out, before events and whatever
 * their mask says.  From then until the next iret hypercall the vCPU takes no other: one that comes
 * meanwhile waits.  A vCPU without a handler loses it.
 *
 * The machine's mean that hardware is in trouble, or that somebody presses a button to see who is
 * alive.  nmi=dom0 (the default, as in Xen's release builds): the first vCPU of the hardware domain
 * gets an NMI and a reason in shared_info; nmi=ignore: nothing; nmi=fatal: the machine ends with a
 * dump. One may come anywhere, locks held: then the CPU interrupts itself, and the NMI is looked at
 * when interrupts are on again.
 */
#include "guest.h"
#include "lib.h"
#include "machine.h"
#include "sched.h"
#include "traps.h"

#include <xen/nmi.h>

/* --- guests' --- */

void guest_nmi_returned(struct vcpu *v)
{
    v->arch.nmi_masked = 0;
    if (v->arch.nmi_waits) {
        v->arch.nmi_waits = 0;
        atomic_or(&v->exit_work, EXIT_NMI);
    }
}

/* --- the machine's --- */

static uint32_t arrived; /* and not looked at yet (atomic) */

/* Why, as port 0x61 says: XEN_NMIREASON_*. */
static uint64_t reason(void)
{
    const uint8_t port = inb(0x61);

    return (port & 0x80 ? XEN_NMIREASON_pci_serr : 0) | (port & 0x40 ? XEN_NMIREASON_io_error : 0) |
           (port & 0xc0 ? 0 : XEN_NMIREASON_unknown);
}

/* False: there is no hardware domain. */
static bool tell_hardware_domain(uint64_t why)
{
    for (struct domain *d = domain_get_from(0), *next; d; d = next) {
        const bool it = domain_has(d, ROLE_HARDWARE) && d->vcpu[0];
        if (it) {
            atomic_or(&d->shared->arch.nmi_reason, why);
            atomic_or(&d->vcpu[0]->exit_work, EXIT_NMI);
            vcpu_kick(d->vcpu[0]);
        }
        next = it ? NULL : domain_get_from(d->id + 1u);
        domain_put(d);
        if (it)
            return true;
    }
    return false;
}

static bool policy_is(const char *word)
{
    size_t len = 0;
    const char *is = cmdline_get("nmi", &len);

    return is && len == strlen(word) && !memcmp(is, word, len);
}

void nmi_look(void)
{
    if (!atomic_exchange(&arrived, 0) || policy_is("ignore"))
        return;
    const uint64_t why = reason();
    if (policy_is("fatal")) {
        printk("NMI on CPU%u, reason %lx, nmi=fatal\n", this_cpu(), (unsigned long)why);
        arch_dump_all();
        arch_machine_end(MACHINE_HALT, VERDICT_BUG);
    }
    printk("NMI on CPU%u, reason %lx: %s\n", this_cpu(), (unsigned long)why,
           tell_hardware_domain(why) ? "told to the hardware domain"
                                     : "there is no hardware domain");
}

void nmi_arrived(bool may_look)
{
    atomic_set(&arrived, 1);
    if (may_look)
        nmi_look();
    else
        lapic_ipi_self(INTERRUPT_KICK);
}
