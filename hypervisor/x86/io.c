/*
 * I/O ports: whose they are, and what a guest without any finds there.
 *
 * No guest reaches the ports directly.  One that may execute I/O instructions (vIOPL, I/O bitmap)
 * but owns no ports finds an empty bus: reads are all ones, writes go nowhere, and a kernel's
 * probing concludes that there is no PIC, PIT or PCI.  The hardware domain gets the real ports, but
 * those that the hypervisor itself drives, which look empty to it, too.
 */
#include "cpu-state.h"

#define PORTS 65536u

/* Ports of the hypervisor's, a bit each; and four neighbours past the end so that a wide access can
 * be tested at once. */
static uint64_t claimed[PORTS / 64 + 1];

static const struct {
    uint16_t first, count;
} always_ours[] = {
    {0x20, 2},
    {0xa0, 2},  /* interrupt controllers */
    {0x40, 4},  /* interval timer */
    {0x4d0, 2}, /* edge/level control */
};

void io_claim(uint16_t first, unsigned count)
{
    for (unsigned port = first; port < first + count && port < PORTS; port++)
        claimed[port / 64] |= BIT(port % 64);
}

static bool is_claimed(uint16_t port, unsigned bytes)
{
    for (unsigned i = 0; i < ARRAY_SIZE(always_ours); i++)
        if (port + bytes > always_ours[i].first &&
            port < always_ours[i].first + always_ours[i].count)
            return true;
    for (unsigned i = 0; i < bytes; i++)
        if (claimed[(port + i) / 64] & BIT((port + i) % 64))
            return true;
    return false;
}

/* A guest bitmap denies: true unless every bit of @bytes ports from @port can be read and is clear.
 */
static bool bitmap_denies(struct vcpu *v, uint32_t port, unsigned bytes)
{
    /* The bitmap lies in the kernel's address space, whoever runs now. */
    uint64_t cr3 = v->kernel_mode ? 0 : read_cr3();
    guest_ptr_t at = guest_ptr_add(v->arch.iobitmap, port / 8);
    uint8_t map[2] = {0xff, 0xff};

    if (cr3)
        write_cr3(v->arch.kernel_cr3);
    if (guest_read(&map[0], at, 1) || guest_read(&map[1], guest_ptr_add(at, 1), 1))
        map[1] = 0xff; /* denies only what reaches into it */
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
        return ~0u;
    return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

void io_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t value)
{
    if (!has_port(v, port, bytes))
        return;
    if (bytes == 1)
        outb(port, (uint8_t)value);
    else if (bytes == 2)
        outw(port, (uint16_t)value);
    else
        outl(port, value);
}
