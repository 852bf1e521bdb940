/*
 * How the machine ends, and how this CPU waits.
 *
 * A test harness gives debug-exit=0xPORT: the verdict goes to QEMU's isa-debug-exit device there,
 * and becomes its exit status (2 * verdict + 1).  Otherwise ACPI switches off; what ACPI cannot do
 * is tried the older ways.
 */
#include "machine.h"
#include "line.h"
#include "guest.h"
#include "sched.h"
#include "strace.h"

void cpu_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void stop_other_cpus(void)
{
    for (uint64_t left = arch_cpus_online() & ~BIT(this_cpu()); left; left &= left - 1)
        lapic_ipi(percpu_of((unsigned)__builtin_ctzll(left))->apic_id, INTERRUPT_STOP);
}

static void power_off(void)
{
    enum { SLEEP_TYPE_SHIFT = 10, SLEEP_ENABLE = 1 << 13 };
    if (acpi.has_s5 && acpi.pm1a_control) {
        outw(acpi.pm1a_control, (uint16_t)(acpi.s5_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
        if (acpi.pm1b_control)
            outw(acpi.pm1b_control, (uint16_t)(acpi.s5_b << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
    }
    outw(0x604, 0x2000);                   /* QEMU's pc and q35 without tables */
    outw(0xb004, 0x2000);                  /* Bochs, older QEMU */
    for (unsigned i = 0; i < 1000000; i++) /* it takes a moment */
        cpu_pause();
    printk("this machine cannot switch itself off: halted\n");
}

static void reset(void)
{
    if (acpi.reset_space == 1)
        outb((uint16_t)acpi.reset_address, acpi.reset_value);
    outb(0xcf9, 0x02); /* PCI reset: hard, then go */
    outb(0xcf9, 0x06);
    outb(0x64, 0xfe); /* keyboard controller: pulse the reset line */

    /* Triple fault: an interrupt without a descriptor table. */
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};
    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

void arch_machine_end(enum machine_end how, int verdict)
{
    line_be_urgent();
    serial_drain();
    strace_flush();
    unsigned long exit_port = cmdline_number("debug-exit", 0);
    if (exit_port)
        outb((uint16_t)exit_port, (uint8_t)verdict);
    stop_other_cpus();
    if (how == MACHINE_REBOOT && cmdline_flag("noreboot"))
        how = MACHINE_HALT;
    if (how == MACHINE_REBOOT)
        reset();
    else if (how == MACHINE_POWEROFF)
        power_off();
    cpu_halt();
}

/* --- waiting --------------------------------------------------------------------------------- */

void arch_idle(void)
{
    /* Interrupts are off: nothing can slip in between the look and the halt, for sti holds them off
     * until hlt has begun. */
    if (!atomic_read(&current_vcpu()->exit_work))
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    else
        arch_serve_interrupts();
}

void arch_serve_interrupts(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}
