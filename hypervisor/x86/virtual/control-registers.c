/* What a guest sees of control registers, and what of the real ones follows it. */
#include "instruction.h"

/* Bits that a guest may choose, and bits of the machine's that it may see. */
#define CR4_GUEST   (CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE)
#define CR4_VISIBLE (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)

uint64_t cr4_guest_view(uint64_t want)
{
    /* The machine's own: bits that follow the guest are never taken from it. */
    uint64_t machine = read_cr4();
    uint64_t can =
        CR4_TSD | CR4_DE | (machine & CR4_OSXSAVE) | (cpuid_has_fsgsbase ? CR4_FSGSBASE : 0);

    return (want & CR4_GUEST & can) | (machine & CR4_VISIBLE);
}

/* Bits of the real CR4 that follow the guest's. FSGSBASE must: a guest kernel that does not know of
 * the instructions keeps bases apart by hypercall, and its user mode must not change them behind
 * its back. */
#define CR4_FOLLOWS_GUEST (CR4_TSD | CR4_FSGSBASE)

void control_restore(const struct vcpu *v)
{
    struct percpu *p = this_percpu();
    uint64_t want = (p->cr4 & ~CR4_FOLLOWS_GUEST) | (v->arch.cr4 & CR4_FOLLOWS_GUEST);

    if (unlikely(want != p->cr4)) {
        p->cr4 = want;
        write_cr4(want);
    }
    if (unlikely(v->arch.tsc_aux != p->tsc_aux)) {
        p->tsc_aux = v->arch.tsc_aux;
        wrmsr(MSR_TSC_AUX, p->tsc_aux);
    }
}

uint64_t cr0_guest_view(const struct vcpu *v)
{
    return CR0_GUEST | (v->arch.ts ? CR0_TS : 0);
}
