/* The inline half of arch.h for the fake machine; what each means is said in arch.h. */
#pragma once

#include "guest-range.h"
#include "machine.h"
#include "pte.h"

#define ARCH_MUTEX_LOOKS machine.mutex_looks

static inline struct vcpu *current_vcpu(void)
{
    return machine.cpu[machine_cpu].current;
}

static inline unsigned this_cpu(void)
{
    return machine_cpu;
}

static inline void *mfn_to_virt(mfn_t m)
{
    return machine.memory + mfn_to_maddr(m);
}

static inline void *maddr_to_virt(uint64_t maddr)
{
    return machine.memory + maddr;
}

static inline mfn_t virt_to_mfn(const void *p)
{
    return maddr_to_mfn((uint64_t)((const uint8_t *)p - machine.memory));
}

static inline uint64_t arch_now(void)
{
    return machine.now;
}

static inline uint64_t arch_ticks(void)
{
    return machine.now;
}

void arch_relax(void);

static inline uint64_t vcpu_kernel_root(const struct vcpu *v)
{
    return v->arch.kernel_root;
}

static inline uint64_t vcpu_user_root(const struct vcpu *v)
{
    return v->arch.user_root;
}

static inline void vcpu_set_kernel_root(struct vcpu *v, uint64_t root)
{
    v->arch.kernel_root = root;
}

static inline void vcpu_set_user_root(struct vcpu *v, uint64_t root)
{
    v->arch.user_root = root;
}

static inline void arch_view_kernel(const struct vcpu *v)
{
    machine.cpu[machine_cpu].kernel_view = true;
}

static inline void arch_view_back(const struct vcpu *v)
{
    machine.cpu[machine_cpu].kernel_view = false;
}

/* The door to guest memory (guest-memory.c). */
must_check int guest_read(void *to, guest_ptr_t from, size_t n);
must_check int guest_read_checked(void *to, guest_ptr_t from, size_t n);
must_check int guest_write(guest_ptr_t to, const void *from, size_t n);

static inline must_check int guest_read_u64(uint64_t *to, guest_ptr_t from)
{
    return guest_read(to, from, sizeof(*to));
}

static inline must_check int guest_read_u32(uint32_t *to, guest_ptr_t from)
{
    return guest_read(to, from, sizeof(*to));
}

static inline bool guest_list_readable(guest_ptr_t at, size_t n)
{
    (void)at, (void)n; /* each read looks */
    return true;
}

static inline must_check int guest_read_word_checked(uint64_t *to, guest_ptr_t from, unsigned i)
{
    return guest_read(to, guest_ptr_add(from, i * sizeof(*to)), sizeof(*to));
}

static inline must_check int guest_write_u64(guest_ptr_t to, uint64_t value)
{
    return guest_write(to, &value, sizeof(value));
}

static inline must_check int guest_write_u64_checked(guest_ptr_t to, uint64_t value)
{
    return guest_write_u64(to, value);
}

static inline must_check int guest_write_u32(guest_ptr_t to, uint32_t value)
{
    return guest_write(to, &value, sizeof(value));
}

bool arch_serial_ready(size_t n);
