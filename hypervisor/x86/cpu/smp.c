/*
 * More than one CPU: starting them, and who is online.
 *
 * The boot CPU prepares everything for another one (area, run queue, idle vCPU), then wakes it with
 * INIT and STARTUP; it comes up in boot.S's ap_entry and goes straight to ap_main() on its idle
 * stack.  One at a time.
 *
 * A CPU may come late, long after the boot CPU has given it up and guests run: an emulator's is a
 * thread, which a loaded host does not run for a while, and a STARTUP cannot be taken back.  So all
 * that it uses on its way stays as it is for ever: the code at AP_ENTRY_PHYS, the page tables it
 * switches paging on with (ap_l4), and its own area, stack and CPU number.  None of these has a
 * value that differs from CPU to CPU but the stack, which each finds by its own APIC ID; so the next
 * one can be started while the last may still come.  Whether it is still wanted is decided once, in
 * ap_state[]: the first of the two sides to say so decides (tests/boot/test-late-cpus.sh).
 */
#include "machine.h"
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

extern const char ap_entry[], ap_entry_end[]; /* boot.S, which reads the next two */
uint64_t ap_l4[PT_ENTRIES] __attribute__((aligned(PAGE_SIZE)));
uint64_t ap_stack[256]; /* by APIC ID; 0: it was never started */
noreturn_ void ap_main(void);

enum ap_state { AP_WANTED, AP_ARRIVED, AP_GIVEN_UP };
static uint32_t ap_state[MAX_CPUS]; /* (atomic) leaves AP_WANTED once */

/* True if nobody has decided before. */
static bool ap_decide(unsigned cpu, uint32_t state)
{
    uint32_t wanted = AP_WANTED;
    return atomic_compare_exchange(&ap_state[cpu], &wanted, state);
}

void ap_main(void)
{
    const unsigned cpu = this_cpu();

    write_cr3(mfn_to_maddr(virt_to_mfn(hypervisor_l4)));
    cpu_load(cpu);
    lapic_init();
    time_init_cpu();
    if (!ap_decide(cpu, AP_ARRIVED)) {
        printk("CPU%u (APIC %u) has come too late: it stays halted\n", cpu, lapic_id());
        cpu_halt();
    }
    atomic_or(&online, BIT(cpu));
    idle_loop();
}

#define MILLISECOND 1000000ull

/* The time that counts here is the machine's.  An emulator's goes on while the host does not run
 * the thread of the CPU that is waited for: what takes a microsecond may take seconds. */
#define AP_WAIT_MS 10000

/* Until @cpu has arrived, or it is @end. */
static bool wait_for(unsigned cpu, uint64_t end)
{
    while (atomic_read(&ap_state[cpu]) == AP_WANTED) {
        if (arch_now() >= end)
            return false;
        cpu_pause();
    }
    return true;
}

static int prepare_cpu(unsigned cpu, uint32_t apic_id)
{
    int rc = cpu_area_init(cpu, apic_id);
    if (rc)
        return rc;
    sched_init_cpu(cpu, vcpu_create(&idle_domain, cpu));
    cpu_set_idle(cpu, sched_idle_vcpu(cpu));
    atomic_set_release(&ap_stack[apic_id], percpu_of(cpu)->stack_top);
    return 0;
}

/* False: it did not come within @wait_ms, and now it may not any more. */
static bool start_cpu(unsigned cpu, uint32_t apic_id, uint64_t wait_ms)
{
    const uint64_t start = arch_now(), end = start + wait_ms * MILLISECOND;

    /* A second STARTUP if the first was not heard; one that comes twice does nothing (Intel SDM
     * volume 3, 9.4.4.1 has delays that old boards needed). */
    lapic_init_ipi(apic_id);
    wait_for(cpu, MIN(end, start + MILLISECOND / 5));
    lapic_startup_ipi(apic_id, AP_ENTRY_PHYS);
    if (!wait_for(cpu, MIN(end, start + 200 * MILLISECOND))) {
        lapic_startup_ipi(apic_id, AP_ENTRY_PHYS);
        wait_for(cpu, end);
    }
    if (ap_decide(cpu, AP_GIVEN_UP))
        return false;
    atomic_or(&online, BIT(cpu)); /* as it does itself, in a moment */
    return true;
}

/* What is the same for all of them, and stays. */
static int prepare_entry(void)
{
    memcpy(maddr_to_virt(AP_ENTRY_PHYS), ap_entry, (size_t)(ap_entry_end - ap_entry));
    int rc = hyp_map(AP_ENTRY_PHYS, maddr_to_mfn(AP_ENTRY_PHYS), PTE_P | PTE_A);
    if (rc)
        return rc;
    arch_fill_l4(ap_l4);
    hyp_move_low(ap_l4);
    return 0;
}

void smp_start_others(void)
{
    const unsigned long limit = MIN(cmdline_number("maxcpus", MAX_CPUS), MAX_CPUS);
    const uint64_t wait_ms = MIN(cmdline_number("ap-wait", AP_WAIT_MS), UINT32_MAX);
    if (acpi.cpus < 2 || limit < 2 || cmdline_flag("nosmp"))
        return;

    int rc = prepare_entry();
    unsigned cpu = 1, running = 1;
    for (unsigned i = 0; i < acpi.cpus && !rc && cpu < limit; i++) {
        const uint32_t apic_id = acpi.apic_id[i];
        if (apic_id == percpu_of(0)->apic_id)
            continue;
        rc = prepare_cpu(cpu, apic_id);
        if (rc)
            break;
        if (start_cpu(cpu, apic_id, wait_ms))
            running++;
        else
            printk(
                "CPU%u (APIC %u) has not come %lu ms after INIT and STARTUP: going on without it\n",
                cpu, apic_id, wait_ms);
        cpu++; /* a number that was given out once is never given to another */
    }
    if (rc)
        printk("too little memory for more CPUs\n");
    printk("%u CPUs\n", running);
}
