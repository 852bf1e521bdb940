/*
 * Debug registers: a guest's breakpoints, kept out of the hypervisor's own memory.
 *
 * DR7 decides everything: while none of its enable bits is set, DR0..DR3 need not be in the CPU, so
 * they are loaded only for vCPUs that use them, and DR7 is cleared when such a vCPU leaves.  DR6 is
 * read at each #DB, merged into the guest's view and reset.
 *
 * A breakpoint on an address of the guest's may also hit when the hypervisor reads or writes there
 * on the guest's behalf: the #DB handler recognizes ring 0, resets DR6 and goes on.
 */
#include "cpu-state.h"
#include "hypercall.h"

#define DR6_CAUSES        0xe00full /* B0..B3, BD, BS, BT */
#define DR6_RESERVED_ZERO 0x1000ull
#define DR7_RESERVED_ZERO 0xd800ull
#define DR7_ENABLES       0xffull /* L0 G0 .. L3 G3 */
#define DR7_GD            BIT(13)
#define DR7_TYPE_IO       2u /* R/Wn: break on I/O, needs CR4.DE */

static void dr7_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr7" ::"r"(value) : "memory");
}

static bool is_running(const struct vcpu *v)
{
    return v == current_vcpu();
}

static void address_registers_load(const struct vcpu *v)
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3; mov %4, %%dr6"
                     :
                     : "r"(v->arch.dr[0]), "r"(v->arch.dr[1]), "r"(v->arch.dr[2]),
                       "r"(v->arch.dr[3]), "r"(DR6_DEFAULT));
}

void debugreg_save(struct vcpu *v)
{
    if (unlikely(v->arch.dr7 & DR7_ENABLES))
        dr7_write(DR7_DEFAULT);
}

void debugreg_restore(struct vcpu *v)
{
    if (unlikely(v->arch.dr7 & DR7_ENABLES)) {
        address_registers_load(v);
        dr7_write(v->arch.dr7);
    }
}

void debugreg_reset(void)
{
    __asm__ volatile("mov %0, %%dr6" ::"r"(DR6_DEFAULT));
}

void debugreg_trap(struct vcpu *v)
{
    uint64_t dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    debugreg_reset();
    v->arch.dr6 |= dr6 & DR6_CAUSES;
}

static long dr_address_set(struct vcpu *v, unsigned reg, uint64_t value)
{
    if (!guest_range_ok(value, 8))
        return refuse(BREAKPOINT_ADDRESS, reg, value);
    v->arch.dr[reg] = value;
    if (is_running(v) && (v->arch.dr7 & DR7_ENABLES))
        address_registers_load(v);
    return 0;
}

static long dr6_set(struct vcpu *v, uint64_t value)
{
    if (value >> 32)
        return refuse(DEBUG_REGISTER_RESERVED_BITS, 6, value);
    v->arch.dr6 = (value & ~DR6_RESERVED_ZERO) | DR6_DEFAULT;
    return 0;
}

static long dr7_set(struct vcpu *v, uint64_t value)
{
    if (value >> 32)
        return refuse(DEBUG_REGISTER_RESERVED_BITS, 7, value);
    value = (value & ~DR7_RESERVED_ZERO) | DR7_DEFAULT;
    if (value & DR7_GD)
        return refuse(GENERAL_DETECT_NOT_ALLOWED, value);

    uint64_t io =
        0; /* enable bits of I/O breakpoints: remembered for the guest, never given to the CPU */
    for (unsigned i = 0; (value & DR7_ENABLES) && i < 4; i++) {
        if ((value >> (16 + 4 * i) & 3) != DR7_TYPE_IO)
            continue;
        if (!(v->arch.cr4 & CR4_DE))
            return refuse(IO_BREAKPOINT_WITHOUT_DE, value);
        io |= value & (3ull << (2 * i));
    }

    bool was_active = v->arch.dr7 & DR7_ENABLES;
    v->arch.dr7 = value & ~io;
    v->arch.dr7_io = io;
    if (!is_running(v))
        return 0;
    if (v->arch.dr7 & DR7_ENABLES) {
        if (!was_active)
            address_registers_load(v);
        dr7_write(v->arch.dr7);
    } else if (was_active) {
        dr7_write(DR7_DEFAULT);
    }
    return 0;
}

/* DR4 and DR5 are other names of DR6 and DR7 unless CR4.DE makes them vanish. */
static unsigned dr_alias(const struct vcpu *v, unsigned reg)
{
    return (reg == 4 || reg == 5) && !(v->arch.cr4 & CR4_DE) ? reg + 2 : reg;
}

long debugreg_set(struct vcpu *v, unsigned reg, uint64_t value)
{
    switch (dr_alias(v, reg)) {
    case 0 ... 3:
        return dr_address_set(v, reg, value);
    case 6:
        return dr6_set(v, value);
    case 7:
        return dr7_set(v, value);
    default:
        return refuse(DEBUG_REGISTER_UNKNOWN, reg);
    }
}

long debugreg_get(const struct vcpu *v, unsigned reg, uint64_t *value)
{
    switch (dr_alias(v, reg)) {
    case 0 ... 3:
        *value = v->arch.dr[reg];
        return 0;
    case 6:
        *value = v->arch.dr6;
        return 0;
    case 7:
        *value = v->arch.dr7 | v->arch.dr7_io;
        return 0;
    default:
        return refuse(DEBUG_REGISTER_UNKNOWN, reg);
    }
}

/* set_debugreg(reg, value) */
long hypercall_set_debugreg(struct vcpu *v, const struct hypercall_args *a)
{
    return debugreg_set(v, (unsigned)a->arg[0], a->arg[1]);
}

/* get_debugreg(reg): the value itself, which no errno can be told from; as Xen's. */
long hypercall_get_debugreg(struct vcpu *v, const struct hypercall_args *a)
{
    uint64_t value = 0;
    long rc = debugreg_get(v, (unsigned)a->arg[0], &value);

    return rc ? rc : (long)value;
}
