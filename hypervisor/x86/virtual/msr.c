/*
 * Model-specific registers as guests see them: those of msr-list.h; everything else is #GP(0),
 * which kernels expect.
 *
 * Segment bases and TSC_AUX are real registers of the vCPU's.  Most others are constants: values
 * that kernels ask for while they look around, the same that Xen gives to PV guests; writes to them
 * are dropped, or refused, and never reach the machine.
 */
#include "cpu-state.h"
#include "hypercall.h"

#include <paravane/msr-list.h>

#define MSR_TSC         0x00000010
#define MSR_PATCH_LEVEL 0x0000008b
#define MSR_MCG_STATUS  0x0000017a
#define MSR_MC0_CTL2    0x00000280
#define MSR_XEN_PAGE    0x40000000 /* writes a hypercall page; CPUID leaf 0x40000002 names it */

#define APIC_BASE_DEFAULT 0xfee00800ull /* enabled, at the usual place */
#define APIC_BASE_BOOT    BIT(8)

enum who { ANY, INTEL, AMD, DEVICES_INTEL };
enum on_access { VALUE, OWN, KEPT, NEVER, REFUSED, IGNORED, SAME };

/* The rows that are data: OWN ones are in the two switches below. */
static const struct msr {
    uint32_t first, last;
    uint64_t value;
    uint8_t who, read, write;
} msrs[] = {
#define MSR(first, last, name, who, read, value, write, what) \
    {first, last, value, who, read, write},
    MSR_LIST(MSR)
#undef MSR
};

static bool msr_is_for(const struct msr *m, const struct vcpu *v)
{
    switch (m->who) {
    case INTEL:
        return !cpuid_vendor_is_amd;
    case AMD:
        return cpuid_vendor_is_amd;
    case DEVICES_INTEL:
        return !cpuid_vendor_is_amd && domain_has(v->domain, ROLE_HARDWARE);
    default:
        return true;
    }
}

static const struct msr *msr_find(const struct vcpu *v, uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        if (msr >= msrs[i].first && msr <= msrs[i].last && msr_is_for(&msrs[i], v))
            return &msrs[i];
    return NULL;
}

static uint64_t *msr_kept(struct vcpu *v, uint32_t msr)
{
    return &v->arch.msr_kept[msr == MSR_MCG_STATUS ? 0 : 1 + (msr - MSR_MC0_CTL2)];
}

static bool msr_read_by_list(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    const struct msr *m = msr_find(v, msr);

    if (!m || m->read == NEVER)
        return false;
    *value = m->read == KEPT ? *msr_kept(v, msr) : m->value;
    return true;
}

static bool msr_write_by_list(struct vcpu *v, uint32_t msr, uint64_t value)
{
    const struct msr *m = msr_find(v, msr);

    if (!m)
        return false;
    switch (m->write) {
    case IGNORED:
        return true;
    case SAME:
        return value == m->value;
    case KEPT:
        *msr_kept(v, msr) = value;
        return true;
    default:
        return false;
    }
}

bool msr_guest_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        *value = rdmsr(msr);
        return true;
    case MSR_TSC:
        *value = rdtsc();
        return true;
    case MSR_EFER:
        *value = rdmsr(MSR_EFER);
        return true;
    case MSR_APIC_BASE:
        *value = APIC_BASE_DEFAULT | (v->id == 0 ? APIC_BASE_BOOT : 0);
        return true;
    case MSR_TSC_AUX:
        *value = v->arch.tsc_aux;
        return cpuid_has_rdtscp;
    case MSR_PATCH_LEVEL:
        /* Intel: in the upper half. */
        *value = cpuid_vendor_is_amd ? 0x01000065 : 1ull << 32;
        return true;
    default:
        return msr_read_by_list(v, msr, value);
    }
}

/* Fill the frame that @value names with the hypercall stubs; its low bits number the page, of which
 * there is one. */
static bool hypercall_page_write(struct vcpu *v, uint64_t value)
{
    mfn_t m = maddr_to_mfn(value);

    if ((value & ~PAGE_MASK) || !mfn_valid(m) ||
        page_get_and_type(mfn_to_page(m), v->domain, PAGE_TYPE_WRITABLE))
        return false;
    hypercall_page_fill(mfn_to_virt(m));
    page_put_and_type(mfn_to_page(m));
    return true;
}

bool msr_guest_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        /* Not left to the CPU: emulators do not check. */
        if (!va_canonical(value))
            return false;
        wrmsr(msr, value);
        return true;
    case MSR_EFER: /* Linux writes back what it read */
        return value == rdmsr(MSR_EFER);
    case MSR_PATCH_LEVEL: /* read-only; but Intel tells system software to write 0 before it reads */
        return !cpuid_vendor_is_amd && value == 0;
    case MSR_TSC_AUX:
        if (!cpuid_has_rdtscp || value >> 32)
            return false;
        v->arch.tsc_aux = (uint32_t)value;
        control_restore(v);
        return true;
    case MSR_XEN_PAGE:
        return hypercall_page_write(v, value);
    default:
        return msr_write_by_list(v, msr, value);
    }
}
