/*
 * Model-specific registers as guests see them: a short list; everything else is #GP(0), which
 * kernels expect.
 *
 * Segment bases are the real registers.  The rest are constants or the vCPU's own values; none
 * reaches the machine.
 */
#include "cpu-state.h"

#define MSR_TSC         0x00000010
#define MSR_PLATFORM_ID 0x00000017
#define MSR_PATCH_LEVEL 0x0000008b
#define MSR_MISC_ENABLE 0x000001a0

#define APIC_BASE_DEFAULT 0xfee00800ull /* enabled, at the usual place */
#define APIC_BASE_BOOT    BIT(8)

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
    case MSR_PAT:
        *value = PAT_ABI;
        return true;
    case MSR_APIC_BASE:
        *value = APIC_BASE_DEFAULT | (v->id == 0 ? APIC_BASE_BOOT : 0);
        return true;
    case MSR_TSC_AUX:
        *value = v->arch.tsc_aux;
        return true;
    case MSR_PATCH_LEVEL:
        *value = 0;
        return true;
    default:
        return false;
    }
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
    case MSR_TSC_AUX:
        if (value >> 32)
            return false;
        v->arch.tsc_aux = (uint32_t)value;
        control_restore(v);
        return true;
    default:
        return false;
    }
}
