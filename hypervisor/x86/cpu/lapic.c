/*
 * The local APIC: this CPU's timer, interrupts between CPUs, and where every interrupt arrives in
 * C.
 */
#include "machine.h"
#include "guest.h"
#include "lines.h"
#include "messages.h"
#include "sched.h"
#include "timer.h"
#include "traps.h"

/* Registers, as byte offsets (Intel SDM volume 3, 11.4.1). */
enum {
    LAPIC_ID = 0x020,
    LAPIC_TASK_PRIORITY = 0x080,
    LAPIC_EOI = 0x0b0,
    LAPIC_SPURIOUS = 0x0f0,
    LAPIC_ERROR_STATUS = 0x280,
    LAPIC_COMMAND_LOW = 0x300,
    LAPIC_COMMAND_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_COUNTER = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE   BIT(8)
#define LVT_MASKED        BIT(16)
#define LVT_NMI           (4u << 8)
#define TIMER_DIVIDE_BY_1 0xb
#define COMMAND_PENDING   BIT(12)
#define COMMAND_ASSERT    BIT(14)
#define COMMAND_SELF      BIT(18)
#define COMMAND_INIT      (5u << 8)
#define COMMAND_STARTUP   (6u << 8)
#define APIC_BASE_BOOT    BIT(8)
#define APIC_BASE_ENABLE  BIT(11)

static volatile uint32_t *registers;

static uint32_t lapic_read(unsigned offset)
{
    return registers[offset / 4];
}

static void lapic_write(unsigned offset, uint32_t value)
{
    registers[offset / 4] = value;
}

void lapic_map(void)
{
    registers = device_map(acpi.lapic, PAGE_SIZE);
    if (!registers)
        cannot_boot(VERDICT_MEMORY, "too little memory to map the interrupt controller");
}

void lapic_init(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
    lapic_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | INTERRUPT_SPURIOUS);
    lapic_write(LAPIC_TASK_PRIORITY, 0);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | INTERRUPT_TIMER);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    /* One NMI is one: the boot CPU takes it for all. */
    lapic_write(LAPIC_LVT_LINT1, rdmsr(MSR_APIC_BASE) & APIC_BASE_BOOT ? LVT_NMI : LVT_MASKED);
    lapic_write(LAPIC_LVT_ERROR, INTERRUPT_ERROR);
    lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    lapic_write(LAPIC_EOI, 0);
}

uint32_t lapic_id(void)
{
    return lapic_read(LAPIC_ID) >> 24;
}

/* --- timer ----------------------------------------------------------------------------------- */

uint32_t lapic_timer_count(void)
{
    return lapic_read(LAPIC_TIMER_CURRENT);
}

void lapic_timer_mode(uint32_t mode)
{
    lapic_write(LAPIC_LVT_TIMER, mode | INTERRUPT_TIMER);
}

void lapic_timer_start(uint32_t ticks)
{
    lapic_write(LAPIC_TIMER_INITIAL, ticks);
}

/* --- between CPUs ---------------------------------------------------------------------------- */

static void lapic_command(uint32_t apic_id, uint32_t command)
{
    while (lapic_read(LAPIC_COMMAND_LOW) & COMMAND_PENDING)
        cpu_pause();
    lapic_write(LAPIC_COMMAND_HIGH, apic_id << 24);
    lapic_write(LAPIC_COMMAND_LOW, command);
}

void lapic_ipi(uint32_t apic_id, uint8_t vector)
{
    lapic_command(apic_id, COMMAND_ASSERT | vector);
}

/* Writes no destination: also right in the middle of lapic_command() (from an NMI). */
void lapic_ipi_self(uint8_t vector)
{
    lapic_write(LAPIC_COMMAND_LOW, COMMAND_SELF | COMMAND_ASSERT | vector);
}

void lapic_init_ipi(uint32_t apic_id)
{
    lapic_command(apic_id, COMMAND_ASSERT | COMMAND_INIT);
}

void lapic_startup_ipi(uint32_t apic_id, uint64_t entry)
{
    lapic_command(apic_id, COMMAND_ASSERT | COMMAND_STARTUP | (uint32_t)(entry >> PAGE_SHIFT));
}

void lapic_halt(void)
{
    /* sti holds interrupts off until hlt has begun: what was sent before it ends it at once. */
    lapic_write(LAPIC_TASK_PRIORITY, INTERRUPT_AT_ANY_TIME - 0x10);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    lapic_write(LAPIC_TASK_PRIORITY, 0);
}

void arch_kick_cpu(unsigned cpu)
{
    if (cpu != this_cpu())
        lapic_ipi(percpu_of(cpu)->apic_id, INTERRUPT_KICK);
}

/* --- arrival --------------------------------------------------------------------------------- */

static cold_ void unexpected(unsigned vector)
{
    printk("CPU%u: interrupt %x that nobody asked for\n", this_cpu(), vector);
}

/* From a pin of the IO-APIC. */
static noinline_ void device_interrupt(unsigned vector)
{
    /* A line that is triggered by its level is masked first, or it would be there again at once. */
    if (vector >= INTERRUPT_LINE)
        line_interrupt(vector - INTERRUPT_LINE);
    lapic_write(LAPIC_EOI, 0);
    if (vector < INTERRUPT_SERIAL + 2)
        serial_interrupt(vector - INTERRUPT_SERIAL);
    else if (vector < INTERRUPT_LINE)
        unexpected(vector);
}

void interrupt(unsigned vector)
{
    /* Masked PICs and the spurious vector are not in service: no end of interrupt for them. */
    if (vector == INTERRUPT_SPURIOUS || vector < INTERRUPT_SERIAL)
        return;
    if (vector < INTERRUPT_LINE + LINES_MAX) {
        device_interrupt(vector);
        return;
    }
    lapic_write(LAPIC_EOI, 0);

    switch (vector) {
    case INTERRUPT_TIMER:
        this_percpu()->timer_deadline = ~0ull;
        timer_interrupt();
        cpu_pause(); /* TURN_MAX in time.c says why */
        break;
    case INTERRUPT_KICK: /* its work was to interrupt: exit_work is looked at on the way out */
        nmi_look();
        break;
    case INTERRUPT_FLUSH:
        arch_serve_flush();
        break;
    case INTERRUPT_STOP:
        for (;;)
            __asm__ volatile("cli; hlt");
    case INTERRUPT_ERROR:
        lapic_write(LAPIC_ERROR_STATUS, 0);
        printk("CPU%u: APIC error %x\n", this_cpu(), lapic_read(LAPIC_ERROR_STATUS));
        break;
    default:
        if (vector - INTERRUPT_MESSAGE < MESSAGES)
            message_interrupt(vector - INTERRUPT_MESSAGE);
        else
            unexpected(vector);
        break;
    }
}
