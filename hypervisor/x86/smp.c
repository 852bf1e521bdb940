/* More than one CPU: who is online, and TLB flushes that reach the others. */
#include "machine.h"
#include "guest.h"
#include "sched.h"
#include "tlb.h"

static uint64_t online;

uint64_t arch_cpus_online(void)
{
    return atomic_read(&online);
}

void smp_boot_cpu_online(void)
{
    atomic_or(&online, BIT(this_cpu()));
}

void smp_start_others(void)
{
    if (acpi.cpus > 1)
        printk("%u processors found, 1 used\n", acpi.cpus);
}

/* --- TLBs
 * -----------------------------------------------------------------------------------------------
 */

void arch_tlb_flush_local(void)
{
    write_cr3(read_cr3());
    tlb_flushed(this_cpu());
}

void arch_tlb_invlpg_local(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* Another CPU wants ours forgotten: in its interrupt, or from a spin-wait's arch_relax(). */
void arch_serve_flush(void)
{
    struct percpu *p = this_percpu();
    if (!atomic_read(&p->flush_request))
        return;
    arch_tlb_flush_local();
    atomic_set_release(&p->flush_request, 0);
}

void arch_tlb_flush(uint64_t cpus, bool all, uint64_t va)
{
    const unsigned self = this_cpu();
    uint64_t others = cpus & arch_cpus_online() & ~BIT(self);

    /* Ask first, flush our own while they are at it, then wait.  Others forget everything, whatever
     * was asked. */
    for (uint64_t left = others; left; left &= left - 1) {
        struct percpu *p = percpu_of((unsigned)__builtin_ctzll(left));
        atomic_set_release(&p->flush_request, 1);
        lapic_ipi(p->apic_id, INTERRUPT_FLUSH);
    }
    if (cpus & BIT(self)) {
        if (all)
            arch_tlb_flush_local();
        else
            arch_tlb_invlpg_local(va);
    }
    for (uint64_t left = others; left; left &= left - 1) {
        struct percpu *p = percpu_of((unsigned)__builtin_ctzll(left));
        while (atomic_read_acquire(&p->flush_request))
            arch_relax();
    }
}
