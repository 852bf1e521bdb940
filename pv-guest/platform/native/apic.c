/*
 * Interrupt controllers: the local APIC with its timer, the IO-APIC for the
 * serial line, and the two old PICs, silenced.
 */
#include "kernel/lib/print.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

/* Registers of the local APIC, as byte offsets (Intel SDM volume 3, 11.4.1). */
enum {
    LAPIC_ID = 0x020,
    LAPIC_TASK_PRIORITY = 0x080,
    LAPIC_EOI = 0x0b0,
    LAPIC_SPURIOUS = 0x0f0,
    LAPIC_IN_SERVICE = 0x100, /* 256 bits, 32 in each 16 bytes */
    LAPIC_COMMAND_LOW = 0x300,
    LAPIC_COMMAND_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
};
#define SPURIOUS_ENABLE   (1u << 8)
#define LVT_MASKED        (1u << 16)
#define LVT_NMI           (4u << 8)
#define TIMER_DIVIDE_BY_1 0xb
#define COMMAND_NMI       (4u << 8)
#define COMMAND_INIT      (5u << 8)
#define COMMAND_STARTUP   (6u << 8)
#define COMMAND_PENDING   (1u << 12)
#define COMMAND_ASSERT    (1u << 14)
#define COMMAND_OTHERS    (3u << 18) /* whoever there is but this CPU */

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_ENABLE (1u << 11)

static volatile uint32_t *local;
static volatile uint32_t *io; /* [0] selects, [4] is the window */

static uint32_t local_read(unsigned offset)
{
    return local[offset / 4];
}

static void local_write(unsigned offset, uint32_t value)
{
    local[offset / 4] = value;
}

void apic_init_cpu(void)
{
    msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE);
    local_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | INTERRUPT_SPURIOUS);
    local_write(LAPIC_TASK_PRIORITY, 0);
    local_write(LAPIC_LVT_TIMER, INTERRUPT_TIMER); /* one shot */
    local_write(LAPIC_LVT_LINT0, LVT_MASKED);
    local_write(LAPIC_LVT_LINT1, LVT_NMI);
    local_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    local_write(LAPIC_TIMER_INITIAL, 0);
}

void apic_timer_start(uint32_t ticks)
{
    local_write(LAPIC_TIMER_INITIAL, ticks);
}

uint32_t apic_timer_left(void)
{
    return local_read(LAPIC_TIMER_CURRENT);
}

uint8_t apic_id(void)
{
    return (uint8_t)(local_read(LAPIC_ID) >> 24);
}

static void command(uint8_t to, uint32_t what)
{
    while (local_read(LAPIC_COMMAND_LOW) & COMMAND_PENDING)
        __builtin_ia32_pause();
    local_write(LAPIC_COMMAND_HIGH, (uint32_t)to << 24);
    local_write(LAPIC_COMMAND_LOW, COMMAND_ASSERT | what);
}

void apic_interrupt(unsigned cpu, uint8_t vector)
{
    command(acpi.apic_id[cpu], vector);
}

void apic_start(unsigned cpu, bool again)
{
    if (!again)
        command(acpi.apic_id[cpu], COMMAND_INIT);
    command(acpi.apic_id[cpu], COMMAND_STARTUP | AP_START >> PAGE_SHIFT);
}

void apic_stop_others(void)
{
    command(0, COMMAND_OTHERS | COMMAND_NMI);
}

void apic_end(void)
{
    local_write(LAPIC_EOI, 0);
}

/* ---- IO-APIC and PICs --------------------------------------------------------------- */

#define IOAPIC_VERSION  0x01
#define IOAPIC_ENTRY(n) (0x10 + 2 * (n))
#define ENTRY_LOW       (1u << 13) /* active low */
#define ENTRY_LEVEL     (1u << 15)
#define ENTRY_MASKED    (1u << 16)

static uint32_t io_read(unsigned index)
{
    io[0] = index;
    return io[4];
}

static void io_write(unsigned index, uint32_t value)
{
    io[0] = index;
    io[4] = value;
}

static unsigned io_pins(void)
{
    return (io_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

void apic_route(unsigned isa_interrupt, uint8_t vector)
{
    const unsigned pin = acpi.isa_gsi[isa_interrupt], flags = acpi.isa_flags[isa_interrupt];
    if (pin >= io_pins())
        panic("ISA interrupt %u is wired to pin %u, which the IO-APIC does not have", isa_interrupt,
              pin);
    /* MADT: 3 in bits 0-1 is active low, 3 in bits 2-3 is level; ISA's own is high, edge. */
    io_write(IOAPIC_ENTRY(pin) + 1, local_read(LAPIC_ID));
    io_write(IOAPIC_ENTRY(pin), vector | ((flags & 3) == 3 ? ENTRY_LOW : 0) |
                                    ((flags >> 2 & 3) == 3 ? ENTRY_LEVEL : 0));
}

/* Off the exceptions' vectors first: a spurious interrupt cannot be masked. */
static void pic_mask(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } words[] = {{0x20, 0x11}, {0x21, INTERRUPT_OLD_PIC},     {0x21, 4}, {0x21, 1}, {0x21, 0xff},
                 {0xa0, 0x11}, {0xa1, INTERRUPT_OLD_PIC + 8}, {0xa1, 2}, {0xa1, 1}, {0xa1, 0xff}};
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        out8(words[i].port, words[i].value);
}

void apic_init(void)
{
    pic_mask();
    local = device_map(acpi.lapic, PAGE_SIZE);
    io = device_map(acpi.ioapic, PAGE_SIZE);
    for (unsigned i = 0, n = io_pins(); i < n; i++)
        io_write(IOAPIC_ENTRY(i), ENTRY_MASKED);
    apic_init_cpu();

    /* CPU 0 is this one, wherever the firmware has listed it, if it has listed any. */
    const uint8_t self = apic_id();
    for (unsigned i = 1; i < acpi.cpus; i++)
        if (acpi.apic_id[i] == self)
            acpi.apic_id[i] = acpi.apic_id[0];
    acpi.apic_id[0] = self;
    acpi.cpus = MAX(acpi.cpus, 1u);
}

/* ---- Arrival ------------------------------------------------------------------------ */

/* What is in service says which it was: the kernel is never interrupted, so it is one. */
void platform_interrupt(void)
{
    const uint32_t serving = local_read(LAPIC_IN_SERVICE + INTERRUPT_TIMER / 32 * 16);
    apic_end();
    if (serving & 1u << INTERRUPT_TIMER % 32)
        timer_interrupt();
    if (serving & 1u << INTERRUPT_SERIAL % 32)
        console_interrupt();
    if (serving & 1u << INTERRUPT_KICK % 32)
        cpu_interrupt();
}
