/* The entrance of domctl, sysctl and platform_op, and sets of CPUs in a caller's memory. */
#include "control.h"

#include "sched.h"

int control_may(const struct vcpu *v, unsigned number, uint32_t cmd, uint16_t roles)
{
    return domain_has(v->domain, roles) ? 0 : refuse(ROLE_MISSING, number, cmd);
}

int control_enter(unsigned number, guest_ptr_t arg, void *op, size_t size, uint32_t version)
{
    const uint32_t *word = op; /* cmd, version: all three structures begin with them */

    if (guest_read(op, arg, size))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (word[1] != version)
        return refuse(INTERFACE_VERSION_OTHER, number, word[1], version);
    return 0;
}

unsigned control_cpu_limit(void)
{
    return 64 - (unsigned)__builtin_clzll(arch_cpus_online());
}

int control_write_set(const struct xenctl_bitmap *to, uint64_t set, unsigned limit)
{
    const guest_ptr_t at = control_pointer(to->bitmap);
    const unsigned bytes = to->nr_bits / 8 + !!(to->nr_bits % 8);
    const unsigned known = MIN(bytes, (limit + 7) / 8);

    set &= limit < 64 ? BIT(limit) - 1 : ~0ull;
    if (known && guest_write(at, &set, known))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    for (unsigned i = known; i < bytes; i++) {
        if (guest_write(guest_ptr_add(at, i), &(uint8_t){0}, 1))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        if (i % 4096 == 0 && preempt_point())
            return 0; /* nobody is left who would look */
    }
    return 0;
}

int control_write_cpus(const struct xenctl_bitmap *to, uint64_t set)
{
    return control_write_set(to, set, control_cpu_limit());
}

int control_read_cpus(const struct xenctl_bitmap *from, uint64_t *set)
{
    const guest_ptr_t at = control_pointer(from->bitmap);
    const unsigned bits = MIN(from->nr_bits, control_cpu_limit());

    *set = 0;
    if (bits && guest_read(set, at, (bits + 7) / 8))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    *set &= bits < 64 ? BIT(bits) - 1 : ~0ull;
    return 0;
}

int control_vcpu(const struct domain *d, uint32_t id, struct vcpu **v)
{
    if (id >= d->max_vcpus)
        return refuse(CONTROL_VCPU_RANGE, id, d->max_vcpus);
    *v = domain_vcpu(d, id);
    return *v ? 0 : refuse(CONTROL_VCPU_MISSING, id);
}
