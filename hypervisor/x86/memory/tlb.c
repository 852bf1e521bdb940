/*
 * TLB flushes: this CPU's, and requests that reach the others.
 *
 * Each request has a number of its own, the count of those to that CPU so far (flush_wanted).  A CPU that serves reads the
 * count, flushes, and then says how far it has come (flush_done): whoever has asked before it looked is served by one
 * flush, and whoever asked later is not.  So nobody takes the flush before his request for an answer to it, and nobody has to
 * wait for more than one flush, however many others ask.  (tests/models/flush.pml)
 *
 * Who waits does not know whether the other CPU runs: an emulator's may have lost the host's processor.  So after a while it
 * halts, and gives the host's processor to it.  It says so first (flush_sleepers), looks again, and halts; the other one
 * says how far it has come, and looks then who sleeps: whichever comes first, the other sees it.  (tests/models/flush-sleep.pml)
 */
#include "machine.h"
#include "guest.h"
#include "tlb.h"
#include "traps.h"

void arch_tlb_flush_local(void)
{
    const uint32_t began = tlb_flush_begin();

    write_cr3(read_cr3());
    tlb_flush_end(this_cpu(), began);
}

void arch_tlb_invlpg_local(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* So many looks, a few thousand instructions, before a CPU that waits halts. */
#define LOOKS 200u

/* Somebody wants ours forgotten: in the interrupt, or from a spin-wait's arch_relax(). */
void arch_serve_flush(void)
{
    struct percpu *p = this_percpu();
    const uint64_t wanted = atomic_read_acquire(&p->flush_wanted);

    if (wanted == p->flush_done)
        return;
    if (unlikely(atomic_read(&vcpu_audit_wanted)))
        vcpu_audit_cpu();
    arch_tlb_flush_local();
    if (wanted >
        p->flush_done) /* else we have served again while the flush clock's round made us wait */
        atomic_set_release(&p->flush_done, wanted);
    for (uint64_t left = atomic_exchange(&p->flush_sleepers, 0); left; left &= left - 1)
        lapic_ipi(percpu_of((unsigned)__builtin_ctzll(left))->apic_id, INTERRUPT_FLUSH);
}

static bool flush_served(const struct percpu *p, uint64_t number)
{
    return atomic_read_acquire(&p->flush_done) >= number;
}

/* Until @p's CPU has served request @number of ours. */
static void flush_await(struct percpu *p, uint64_t number)
{
    for (unsigned look = 0; look < LOOKS; look++) {
        if (flush_served(p, number))
            return;
        arch_relax();
    }
    while (!flush_served(p, number)) {
        atomic_or(&p->flush_sleepers, BIT(this_cpu()));
        if (!flush_served(p, number))
            lapic_halt();
        arch_relax(); /* the request of somebody else, if we did not halt */
    }
}

/* Returns the request's number. */
static uint64_t flush_ask(struct percpu *p)
{
    const uint64_t number = atomic_add(&p->flush_wanted, 1);

    lapic_ipi(p->apic_id, INTERRUPT_FLUSH);
    return number;
}

static inline void flush_own(bool all, uint64_t va)
{
    if (all)
        arch_tlb_flush_local();
    else
        arch_tlb_invlpg_local(va);
}

/* CPUs @others, which are online, and ours if it is among @cpus. */
static noinline_ void flush_others(uint64_t others, bool own, bool all, uint64_t va)
{
    uint64_t number[MAX_CPUS]; /* of others only */

    /* Ask first, flush our own while they are at it, then wait.  Others forget everything, whatever
     * was asked. */
    for (uint64_t left = others; left; left &= left - 1) {
        const unsigned cpu = (unsigned)__builtin_ctzll(left);
        number[cpu] = flush_ask(percpu_of(cpu));
    }
    if (own)
        flush_own(all, va);
    for (uint64_t left = others; left; left &= left - 1) {
        const unsigned cpu = (unsigned)__builtin_ctzll(left);
        flush_await(percpu_of(cpu), number[cpu]);
    }
}

void arch_tlb_flush(uint64_t cpus, bool all, uint64_t va)
{
    const unsigned self = this_cpu();
    const uint64_t others = cpus & arch_cpus_online() & ~BIT(self);

    if (unlikely(others))
        flush_others(others, cpus & BIT(self), all, va);
    else if (cpus & BIT(self))
        flush_own(all, va);
}
