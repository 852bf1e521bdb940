/*
 * More than one CPU: starting them, who is online, and TLB flushes that reach the others.
 *
 * The boot CPU prepares everything for another one (area, run queue, idle vCPU), then wakes it with
 * INIT and STARTUP; it comes up in boot.S's ap_entry and goes straight to ap_main() on its idle
 * stack.  One at a time.
 */
#include "machine.h"
#include "traps.h"
#include "guest.h"
#include "sched.h"
#include "tlb.h"
#include "traps.h"

static uint64_t online;

uint64_t arch_cpus_online(void)
{
    return atomic_read(&online);
}

void smp_boot_cpu_online(void)
{
    atomic_or(&online, BIT(this_cpu()));
}

/* --- starting -------------------------------------------------------------------------------- */

extern const char ap_entry[], ap_entry_end[], ap_cr3[], ap_stack[]; /* boot.S */
noreturn_ void ap_main(void);

void ap_main(void)
{
    cpu_load(this_cpu());
    lapic_init();
    time_init_cpu();
    atomic_or(&online, BIT(this_cpu()));
    idle_loop();
}

static bool wait_online(unsigned cpu, uint64_t ns)
{
    uint64_t end = arch_now() + ns;
    while (!(atomic_read(&online) & BIT(cpu)) && arch_now() < end)
        __asm__ volatile("pause");
    return atomic_read(&online) & BIT(cpu);
}

#define MILLISECOND 1000000ull

/* 0, -XEN_ENOMEM, or -XEN_EBUSY: it did not answer. */
static int start_cpu(unsigned cpu, uint32_t apic_id)
{
    int rc = cpu_area_init(cpu, apic_id);
    if (rc)
        return rc;
    sched_init_cpu(cpu);
    cpu_set_idle(cpu, sched_idle_vcpu(cpu));

    char *page = maddr_to_virt(AP_ENTRY_PHYS);
    memcpy(page, ap_entry, (size_t)(ap_entry_end - ap_entry));
    *(uint64_t *)(page + (ap_cr3 - ap_entry)) = mfn_to_maddr(virt_to_mfn(hypervisor_l4));
    *(uint64_t *)(page + (ap_stack - ap_entry)) = percpu_of(cpu)->stack_top;

    /* A second STARTUP only if the first was not heard (Intel SDM volume 3, 9.4.4.1 has delays that
     * old boards needed). */
    lapic_init_ipi(apic_id);
    if (wait_online(cpu, MILLISECOND / 5))
        return 0;
    for (unsigned tries = 0; tries < 2; tries++) {
        lapic_startup_ipi(apic_id, AP_ENTRY_PHYS);
        if (wait_online(cpu, 200 * MILLISECOND))
            return 0;
    }
    return -XEN_EBUSY;
}

void smp_start_others(void)
{
    unsigned long limit = MIN(cmdline_number("maxcpus", MAX_CPUS), MAX_CPUS);
    if (acpi.cpus < 2 || limit < 2 || cmdline_flag("nosmp"))
        return;
    if (hyp_map(AP_ENTRY_PHYS, maddr_to_mfn(AP_ENTRY_PHYS), PTE_P | PTE_RW | PTE_A | PTE_D))
        return;

    unsigned cpu = 1;
    for (unsigned i = 0; i < acpi.cpus && cpu < limit; i++) {
        if (acpi.apic_id[i] == percpu_of(0)->apic_id)
            continue;
        int rc = start_cpu(cpu, acpi.apic_id[i]);
        if (rc) {
            printk("CPU%u (APIC %u) does not start: error %d\n", cpu, acpi.apic_id[i], rc);
            break; /* its area may still be written by a late riser: leave it, and use its number
                      for nobody */
        }
        cpu++;
    }
    hyp_unmap_low();
    printk("%u CPUs\n", cpu);
}

/* --- TLBs ------------------------------------------------------------------------------------ */

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

/*
 * Requests.  Each has a number of its own, the count of those to that CPU so far (flush_wanted).  A CPU that serves reads the
 * count, flushes, and then says how far it has come (flush_done): whoever has asked before it looked is served by one
 * flush, and whoever asked later is not.  So nobody takes the flush before his request for an answer to it, and nobody has to
 * wait for more than one flush, however many others ask.  (tests/models/flush.pml)
 */

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
    if (wanted > p->flush_done) /* else we have served again while the flush clock's round made us wait */
        atomic_set_release(&p->flush_done, wanted);
}

/* Returns the request's number. */
static uint64_t flush_ask(struct percpu *p)
{
    const uint64_t number = atomic_add(&p->flush_wanted, 1);

    lapic_ipi(p->apic_id, INTERRUPT_FLUSH);
    return number;
}

void arch_tlb_flush(uint64_t cpus, bool all, uint64_t va)
{
    const unsigned self = this_cpu();
    const uint64_t others = cpus & arch_cpus_online() & ~BIT(self);
    uint64_t number[MAX_CPUS]; /* of others only */

    /* Ask first, flush our own while they are at it, then wait.  Others forget everything, whatever
     * was asked. */
    for (uint64_t left = others; left; left &= left - 1) {
        const unsigned cpu = (unsigned)__builtin_ctzll(left);
        number[cpu] = flush_ask(percpu_of(cpu));
    }
    if (cpus & BIT(self)) {
        if (all)
            arch_tlb_flush_local();
        else
            arch_tlb_invlpg_local(va);
    }
    for (uint64_t left = others; left; left &= left - 1) {
        const unsigned cpu = (unsigned)__builtin_ctzll(left);
        while (atomic_read_acquire(&percpu_of(cpu)->flush_done) < number[cpu])
            arch_relax();
    }
}
