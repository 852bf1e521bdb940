/*
 * Wants: the machine's ports.
 *
 * A bitmap in the guest's memory says which ports its programs may use; the hypervisor reads it at
 * each access.  Its length and its address are the guest's: bits behind the last port, an access of
 * four bytes of which the last lies there, a bitmap that ends where memory ends, or begins in the
 * hypervisor's half.  And whatever the bitmap allows: the real ports are the hypervisor's.
 *
 * Fails: a bit that cannot be read denies; an access needs the bits of all its bytes; what is
 * allowed reaches only what a guest may reach.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>

#define BITMAP 0xa00000ul /* two pages, of which each may be missing */

static long bitmap_at(unsigned long at, unsigned ports)
{
    struct physdev_set_iobitmap m = {.nr_ports = ports};

    *(void **)&m.bitmap = (void *)at;
    return hypercall_physdev_op(PHYSDEVOP_set_iobitmap, &m);
}

/* IN of @bytes from @port: what it read, or -1 if it faulted. */
static long in(unsigned port, unsigned bytes)
{
    uint32_t value = 0;
    int v;

    if (bytes == 1)
        v = TRAPS(__asm__ volatile("inb %w1, %b0" : "+a"(value) : "d"(port)));
    else if (bytes == 2)
        v = TRAPS(__asm__ volatile("inw %w1, %w0" : "+a"(value) : "d"(port)));
    else
        v = TRAPS(__asm__ volatile("inl %w1, %0" : "+a"(value) : "d"(port)));
    return v == NO_TRAP ? (long)value : -1;
}

static bool is_timer_port(unsigned port)
{
    return port == 0x42 || port == 0x43 || port == 0x61;
}

void guest_main(void)
{
    static const uint32_t ones[] = {0, 0xff, 0xffff, 0, 0xffffffff};
    static const uint16_t ports[] = {0x20,  0x21,  0x60,  0x64,  0x70, 0x71,
                                     0xcf8, 0xcfc, 0x3f8, 0x3fd, 0xf4};
    struct chance c = chance_of(0);
    uint8_t *pages[2] = {page_alloc(), page_alloc()};
    unsigned open = 0, real = 0;

    attack_begin("port-bitmap");
    for (unsigned k = 0; k < 2; k++)
        if (memory_map_at(BITMAP + k * PAGE_SIZE, pte_of(page_mfn(pages[k]), PTE_RW)))
            tap_bail_out("no place for the bitmap");
    while (attack_goes_on())
        for (unsigned i = 0; i < 50; i++) {
            const unsigned bytes = 1u << chance_below(&c, 3), nr = chance_below(&c, 65537),
                           port = chance_below(&c, 2) ? nr - chance_below(&c, 8)
                                                      : ports[chance_below(&c, 11)];
            /* In front of a hole, in the hypervisor's half, at the end of everything. */
            static const unsigned long places[] = {BITMAP, BITMAP + 0x1f00, 0xffff830000000000,
                                                   0xffff7ffffffffff0, 0xffffffffffffff00};
            const unsigned long at = places[chance_below(&c, 5)];
            if (bitmap_at(at, nr))
                continue;
            const long got = in(port & 0xffff, bytes);
            if (got == -1)
                continue;
            open += (port & 0xffff) + bytes > nr || at >= 0xffff7ffffffffff0;
            /* Channel 2 of an interval timer is every guest's. */
            if (got == ones[bytes] || (bytes == 1 && is_timer_port(port & 0xffff)))
                continue;
            real++;
            tap_note("port %x reads %lx, %u bytes", port & 0xffff, got, bytes);
        }
    bitmap_at(0, 0);
    tap_is(open, 0, "no port behind the bitmap is open, nor by a bitmap that cannot be read");
    tap_is(real, 0, "what is open reads ones");
}
