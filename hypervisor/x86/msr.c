/*
 * Model-specific registers as guests see them: a short list; everything else is #GP(0), which
 * kernels expect.
 *
 * Segment bases and TSC_AUX are real registers of the vCPU's.  The rest are constants: values that
 * Linux asks for while it looks around, the same that Xen gives to PV guests; writes to them are
 * dropped, or refused. Nothing reaches the machine.
 */
#include "cpu-state.h"
#include "hypercall.h"

#define MSR_TSC         0x00000010
#define MSR_PATCH_LEVEL 0x0000008b
#define MSR_XEN_PAGE    0x40000000 /* writes a hypercall page; CPUID leaf 0x40000002 names it */

#define APIC_BASE_DEFAULT 0xfee00800ull /* enabled, at the usual place */
#define APIC_BASE_BOOT    BIT(8)

enum vendor { ANY, INTEL, AMD };

enum on_write {
    REFUSED, /* #GP */
    IGNORED, /* any value is taken and forgotten */
    SAME,    /* only the value read is taken */
};

static const struct constant {
    uint32_t first, last;
    uint64_t value;
    uint8_t vendor, on_write;
} constants[] = {
    {0x00000000, 0x00000001, 0, ANY, REFUSED},        /* machine check of the Pentium */
    {0x00000017, 0x00000017, 0, INTEL, REFUSED},      /* PLATFORM_ID */
    {0x0000003a, 0x0000003a, 1, INTEL, REFUSED},      /* FEATURE_CONTROL: locked */
    {0x000000ce, 0x000000ce, 0, ANY, REFUSED},        /* PLATFORM_INFO */
    {0x00000140, 0x00000140, 0, ANY, SAME},           /* MISC_FEATURES_ENABLES */
    {0x00000179, 0x00000179, 2, ANY, IGNORED},        /* MCG_CAP: two banks */
    {0x0000017a, 0x0000017b, 0, ANY, IGNORED},        /* MCG_STATUS, MCG_CTL */
    {0x000001a0, 0x000001a0, 0x801801, ANY, IGNORED}, /* MISC_ENABLE: no BTS, no PEBS, no xTPR */
    {0x00000280, 0x0000029f, 0, ANY, IGNORED},        /* MCi_CTL2 */
    {0x00000345, 0x00000345, 0, ANY, REFUSED},        /* PERF_CAPABILITIES */
    {0x00000400, 0x00000400, ~0ull, ANY, IGNORED},    /* MC0_CTL */
    {0x00000401, 0x00000403, 0, ANY, SAME},           /* MC0_STATUS, ADDR, MISC */
    {0x00000404, 0x00000404, ~0ull, ANY, IGNORED},    /* MC1_CTL */
    {0x00000405, 0x00000407, 0, ANY, SAME},
    {0x00000408, 0x0000047f, 0, ANY, IGNORED}, /* banks that MCG_CAP does not have */
    {0xc0010010, 0xc0010010, 0, AMD, REFUSED}, /* SYSCFG */
    {0xc0010015, 0xc0010015, 0, AMD, IGNORED}, /* HWCR */
    {0xc0010016, 0xc001001a, 0, AMD, REFUSED}, /* IORRs, TOP_MEM */
    {0xc001001d, 0xc001001d, 0, AMD, REFUSED}, /* TOP_MEM2 */
    {0xc001001f, 0xc001001f, 0, AMD, IGNORED}, /* NB_CFG */
    {0xc0010061, 0xc001006b, 0, AMD, IGNORED}, /* P-states */
    {0xc0010112, 0xc0010113, 0, AMD, REFUSED}, /* TSEG */
    {0xc0011029, 0xc0011029, 2, AMD, IGNORED}, /* DE_CFG: LFENCE serializes */
};

static const struct constant *constant_find(uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
        const struct constant *c = &constants[i];
        if (msr >= c->first && msr <= c->last &&
            (c->vendor == ANY || (c->vendor == AMD) == cpuid_vendor_is_amd))
            return c;
    }
    return NULL;
}

bool msr_guest_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    const struct constant *c;

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
    case MSR_PAT:
        *value = PAT_ABI;
        return true;
    case MSR_APIC_BASE:
        *value = APIC_BASE_DEFAULT | (v->id == 0 ? APIC_BASE_BOOT : 0);
        return true;
    case MSR_TSC_AUX:
        *value = v->arch.tsc_aux;
        return cpuid_has_rdtscp;
    case MSR_XEN_PAGE:
        *value = 0;
        return true;
    case MSR_PATCH_LEVEL:
        /* Intel: in the upper half. */
        *value = cpuid_vendor_is_amd ? 0x01000065 : 1ull << 32;
        return true;
    default:
        c = constant_find(msr);
        *value = c ? c->value : 0;
        return c != NULL;
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
    const struct constant *c;

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
        c = constant_find(msr);
        return c && (c->on_write == IGNORED || (c->on_write == SAME && value == c->value));
    }
}
