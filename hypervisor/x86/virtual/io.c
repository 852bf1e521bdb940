/*
 * I/O ports: whose they are, and what a guest without any finds there.
 *
 * No guest reaches the ports directly.  One that may execute I/O instructions (vIOPL, I/O bitmap)
 * but owns no ports finds channel 2 of an interval timer (pit.c) on an otherwise empty bus: reads
 * are all ones, writes go nowhere, and a kernel's probing concludes that there is no PIC or PCI.
 *
 * The hardware domain gets the real ports, but those that the hypervisor itself drives, which look
 * empty to it, too.  The interval timer is shared: its channels 0 and 1 are the hypervisor's,
 * channel 2 was needed for calibration at boot at most and has the loudspeaker behind it.  One
 * control port programs all of them, so what the domain writes there is looked at.
 */
#include "cpu-state.h"
#include "pci.h"

#define PORTS 65536u

/* Ports of the hypervisor's, a bit each; one word more, so that a wide access may look past the
 * last port. */
static uint64_t claimed[PORTS / 64 + 1] = {
    [0x20 / 64] = 3ull << 0x20,          /* interrupt controllers: 20, 21 */
    [0xa0 / 64] = 3ull << (0xa0 - 0x80), /* a0, a1 */
    [0x40 / 64] = 0xb,                   /* interval timer: 40, 41, 43 */
    [0x4d0 / 64] = 3ull << (0x4d0 % 64), /* edge/level control */
};

void io_claim(uint16_t first, unsigned count)
{
    for (unsigned port = first; port < first + count && port < PORTS; port++)
        claimed[port / 64] |= BIT(port % 64);
}

static bool is_claimed(uint16_t port, unsigned bytes)
{
    uint64_t here = claimed[port / 64] >> port % 64;

    if (port % 64 + bytes > 64)
        here |= claimed[port / 64 + 1] << (64 - port % 64);
    return here & (BIT(bytes) - 1);
}

/* A guest bitmap denies: true unless every bit of @bytes ports from @port can be read and is clear.
 */
static bool bitmap_denies(struct vcpu *v, uint32_t port, unsigned bytes)
{
    /* The bitmap lies in the kernel's address space, whoever runs now. */
    uint64_t cr3 = v->kernel_mode ? 0 : read_cr3();
    guest_ptr_t at = guest_ptr_add(v->arch.iobitmap, port / 8);
    uint8_t map[2];

    if (cr3)
        write_cr3(v->arch.kernel_cr3);
    if (guest_read(map, at, sizeof(map)))
        map[0] = map[1] = 0xff;
    if (cr3)
        write_cr3(cr3);
    return ((map[0] | map[1] << 8) >> port % 8) & ((1u << bytes) - 1);
}

bool io_allowed(struct vcpu *v, uint32_t port, unsigned bytes)
{
    if (likely(io_privileged(v)))
        return true;
    return port + bytes <= v->arch.iobitmap_ports && !bitmap_denies(v, port, bytes);
}

static bool has_port(const struct vcpu *v, uint16_t port, unsigned bytes)
{
    return unlikely(domain_has(v->domain, ROLE_HARDWARE)) && port + bytes <= PORTS &&
           !is_claimed(port, bytes);
}

uint32_t io_read(struct vcpu *v, uint16_t port, unsigned bytes)
{
    if (!has_port(v, port, bytes))
        return bytes == 1 && pit_has_port(port) ? pit_port_read(&v->domain->arch.pit, port) : ~0u;
    if (pci_has_port(port, bytes))
        return pci_port_read(&v->domain->arch.pci_address, port, bytes);
    return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

/* A byte to the interval timer, by a domain that does not own the port. The hardware domain's
 * control words and read-back commands reach the real one as far as they are about channel 2. */
static void timer_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    if (!domain_has(v->domain, ROLE_HARDWARE))
        pit_port_write(&v->domain->arch.pit, port, value);
    else if (value >> 6 == 2)
        outb(port, value);
    else if ((value & 0xc8) == 0xc8)
        outb(port, value & 0xf8);
}

#define FAST_A20  0x92 /* a reset, too */
#define KEYBOARD  0x64
#define KB_OUTPUT 0xd1 /* the next byte says whether address bit 20 works */
#define KB_NO_A20 0xdd
#define KB_PULSE  0xf0 /* and up to 0xff: a reset among them */

/* Without address bit 20 all domains' memory would be mixed.  How a machine is reset is the hypervisor's to know. */
static bool stops_the_machine(uint16_t port, unsigned bytes, uint32_t value)
{
    if (port <= FAST_A20 && port + bytes > FAST_A20)
        return true;
    if (port > KEYBOARD || port + bytes <= KEYBOARD)
        return false;
    const uint8_t command = (uint8_t)(value >> 8 * (KEYBOARD - port));
    return command == KB_OUTPUT || command == KB_NO_A20 || command >= KB_PULSE;
}

void io_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t value)
{
    if (!has_port(v, port, bytes)) {
        if (bytes == 1 && pit_has_port(port))
            timer_write(v, port, (uint8_t)value);
        return;
    }
    if (stops_the_machine(port, bytes, value))
        return;
    if (pci_has_port(port, bytes))
        pci_port_write(&v->domain->arch.pci_address, port, bytes, value);
    else if (bytes == 1)
        outb(port, (uint8_t)value);
    else if (bytes == 2)
        outw(port, (uint16_t)value);
    else
        outl(port, value);
}
