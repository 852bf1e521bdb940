/* The IO-APIC, and the two old PICs, silenced. */
#include "machine.h"
#include "guest.h"

#define IOAPIC_VERSION  0x01
#define IOAPIC_ENTRY(n) (0x10 + 2 * (n))
#define ENTRY_MASKED    BIT(16)
#define ENTRY_LEVEL     BIT(15)
#define ENTRY_LOW       BIT(13) /* active low */

static volatile uint32_t *registers; /* [0] selects, [4] is the window */
static unsigned pins;

static uint32_t ioapic_read(unsigned index)
{
    registers[0] = index;
    return registers[4];
}

static void ioapic_write(unsigned index, uint32_t value)
{
    registers[0] = index;
    registers[4] = value;
}

void pic_mask(void)
{
    /* Move both off the exceptions' vectors first: a spurious interrupt cannot be masked. */
    static const struct {
        uint16_t port;
        uint8_t value;
    } words[] = {{0x20, 0x11}, {0x21, INTERRUPT_PIC_FIRST},
                 {0x21, 4},    {0x21, 1},
                 {0xa0, 0x11}, {0xa1, INTERRUPT_PIC_FIRST + 8},
                 {0xa1, 2},    {0xa1, 1},
                 {0x21, 0xff}, {0xa1, 0xff}};
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        outb(words[i].port, words[i].value);
}

void ioapic_init(void)
{
    registers = device_map(acpi.ioapic, PAGE_SIZE);
    if (!registers)
        return;
    pins = (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;
    for (unsigned i = 0; i < pins; i++)
        ioapic_write(IOAPIC_ENTRY(i), ENTRY_MASKED);
}

unsigned ioapic_pins(void)
{
    return pins;
}

uint32_t ioapic_register(unsigned index)
{
    return ioapic_read(index);
}

void ioapic_aim(unsigned pin, unsigned cpu)
{
    ioapic_write(IOAPIC_ENTRY(pin) + 1, percpu_of(cpu)->apic_id << 24);
}

void ioapic_route(unsigned pin, uint8_t vector, unsigned cpu, bool level, bool low)
{
    ioapic_write(IOAPIC_ENTRY(pin), ENTRY_MASKED);
    ioapic_aim(pin, cpu);
    ioapic_write(IOAPIC_ENTRY(pin), vector | (low ? ENTRY_LOW : 0) | (level ? ENTRY_LEVEL : 0));
}

void ioapic_mask(unsigned pin)
{
    ioapic_write(IOAPIC_ENTRY(pin), ioapic_read(IOAPIC_ENTRY(pin)) | ENTRY_MASKED);
}

void ioapic_unmask(unsigned pin)
{
    ioapic_write(IOAPIC_ENTRY(pin), ioapic_read(IOAPIC_ENTRY(pin)) & ~(uint32_t)ENTRY_MASKED);
}
