/*
 * Wants: a vector of its own choice, memory through the hypervisor's hands, or a hypervisor that trips over a device.
 *
 * A domain with the hardware role reaches ports, device memory, PCI configuration space and physical interrupts.  Four vCPUs do all of
 * that at once with numbers that are right, nearly right, and not at all: they map and unmap messages of the machine's card
 * while others write its capabilities, move its BARs onto RAM and the interrupt controllers, turn its memory off, and store
 * to every page of device memory that lets itself be mapped.  At least 10,000 steps, then as long as the victim lives.
 *
 * What such a domain may do, it does not do here: tell a device to write to memory (bus mastering stays off), move an I/O
 * port over another, change the chipset, or end the machine by its reset.  It is part of the trusted base (SECURITY.md); but
 * what the hypervisor does for it must not go wrong.
 *
 * QEMU 7.2 with a thread for each CPU can die of it: while one CPU moves a BAR or turns memory off another makes a store to any
 * device, and QEMU finds no device for it.  The hypervisor's own stores to its interrupt
 * controllers are enough, so nothing can be left out here; that run is skipped.  With icount one thread plays all CPUs, and the
 * same steps are judged.
 *
 * Fails: each number is looked at; address, data and table of messages are the hypervisor's; what is not device memory is
 * not mapped, and what a message could be stored to neither; the audit recounts who has bound what.
 */
#include "attack.h"
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "pci.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>

enum { VCPUS = 4, STEPS = 2500, PAGES = 8 };

#define PTE_DEVICE  (PTE_RW | PTE_PWT | PTE_PCD)
#define VENDOR_RED  0x1af4
#define CARD_OF_RED 0x1000 /* virtio-net */

static int card;
static unsigned msix; /* where that capability is */
static uint32_t bar_was[6];
static char *pages[VCPUS];        /* where device memory is mapped, PAGES each */
static volatile unsigned reached; /* frames that must not be mapped, and were */
static volatile char busy;        /* the ports of configuration space: the domain has one latch */

static void lock(void)
{
    while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static void unlock(void)
{
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

static uint32_t odd_number(struct chance *c)
{
    static const uint32_t odd[] = {0,  1,   2,   16,  23,  24,  63,         64,         95,
                                   96, 159, 160, 254, 255, 256, 0x7fffffff, 0x80000000, ~0u};

    return chance_below(c, 4) ? odd[chance_below(c, sizeof(odd) / sizeof(odd[0]))]
                              : (uint32_t)chance_next(c);
}

static uint32_t pirq_number(struct chance *c)
{
    return chance_below(c, 8) ? 250 + chance_below(c, 6) : odd_number(c);
}

/* --- hypercalls --- */

static void map(struct chance *c)
{
    struct physdev_map_pirq op = {
        .domid = chance_below(c, 16) ? DOMID_SELF : (domid_t)odd_number(c),
        .type = (int)(chance_below(c, 16) ? chance_below(c, 6) : odd_number(c)),
        .index = chance_below(c, 8) ? -1 : (int)odd_number(c),
        .pirq = chance_below(c, 4) ? -1 : (int)pirq_number(c),
        .bus = chance_below(c, 16) ? 0 : (int)odd_number(c),
        .devfn = chance_below(c, 8) ? card : (int)odd_number(c),
        .entry_nr = (int)(chance_below(c, 4) ? chance_below(c, 5) : odd_number(c)),
        .table_base = chance_below(c, 3) ? 1 : 0,
    };
    hypercall_physdev_op(PHYSDEVOP_map_pirq, &op);
}

static void unmap(struct chance *c)
{
    struct physdev_unmap_pirq op = {.domid = DOMID_SELF, .pirq = (int)pirq_number(c)};
    hypercall_physdev_op(PHYSDEVOP_unmap_pirq, &op);
}

static void bind(struct chance *c)
{
    struct evtchn_bind_pirq op = {.pirq = pirq_number(c)};
    if (hypercall_event_channel_op(EVTCHNOP_bind_pirq, &op))
        return;
    struct evtchn_bind_vcpu move = {.port = op.port, .vcpu = chance_below(c, VCPUS)};
    hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &move);
    if (chance_below(c, 2))
        event_close(op.port);
}

static void close(struct chance *c)
{
    event_close(chance_below(c, 64));
}

/* A structure of chance for any operation.  Lines are left to those that the map above names. */
static void any_physdev(struct chance *c)
{
    uint32_t op[16];

    for (unsigned i = 0; i < 16; i++)
        op[i] = chance_below(c, 3) ? odd_number(c) : (uint32_t)card << 8 * chance_below(c, 3);
    struct physdev_set_iopl level = {.iopl = 1};
    hypercall_physdev_op(chance_below(c, 36), op);
    hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);
}

static void any_platform(struct chance *c)
{
    struct xen_platform_op op;
    uint32_t *words = (uint32_t *)&op;

    for (unsigned i = 0; i < sizeof(op) / 4; i++)
        words[i] = odd_number(c);
    op.cmd = chance_below(c, 70);
    op.interface_version = XENPF_INTERFACE_VERSION;
    if (hypercall_raw(__HYPERVISOR_platform_op, (unsigned long)&op, 0, 0, 0, 0) == 0)
        reached++; /* it has no control role */
}

/* --- configuration space: all of the card but I/O ports and bus mastering --- */

static void config(struct chance *c)
{
    const unsigned bytes = 1u << chance_below(c, 3);
    /* Most of them: where its messages are said.  Few: what moves its memory, which costs the emulator milliseconds.  None: the
     * card's own capabilities, of which the emulator dies. */
    const unsigned offset =
        (chance_below(c, 16) ? msix + chance_below(c, 12) : chance_below(c, 0x40)) & ~(bytes - 1);

    lock();
    if (offset + bytes > 4 && offset < 6) {
        config_write((unsigned)card, 4, 1, chance_below(c, 2) ? 2 : 0);
    } else if (offset >= 0x10 && offset < 0x28) {
        static const uint32_t bars[] = {0,          0x00100000, 0x00400000, 0xfee00000,
                                        0xfee01000, 0xfec00000, 0xfed00000, 0xffffffff};
        const unsigned n = (offset - 0x10) / 4;
        if (!(bar_was[n] & 1))
            config_write((unsigned)card, 0x10 + 4 * n, 4,
                         chance_below(c, 2) ? bar_was[n] : bars[chance_below(c, 8)]);
    } else {
        config_write((unsigned)card, offset, bytes, odd_number(c));
    }
    unlock();
}

static void config_others(struct chance *c)
{
    const uint16_t port = (uint16_t)(0xcf8 + chance_below(c, 8));

    lock();
    (void)config_read(chance_below(c, 65536), chance_below(c, 256), 1u << chance_below(c, 3));
    port_write(0xcf8, 4, 0x80000000u | (uint32_t)chance_next(c));
    (void)port_read(port, 1u << chance_below(c, 3));
    unlock();
}

static void ports(struct chance *c)
{
    /* Those that the hypervisor keeps: they are to look empty. */
    static const uint16_t kept[] = {0x20,  0x21,  0xa0,  0xa1,  0x40,  0x43,
                                    0x3f8, 0x3f9, 0x3fa, 0x3fc, 0x3fe, 0x4d0};

    port_write(kept[chance_below(c, sizeof(kept) / sizeof(kept[0]))], 1, odd_number(c));
    (void)port_read((uint16_t)chance_next(c) & 0xfff, 1);
}

/* --- device memory --- */

static unsigned long pick_frame(struct chance *c)
{
    switch (chance_below(c, 6)) {
    case 0:
        return 0xfee00 + chance_below(c, 256);
    case 1:
        return 0xfec00 + chance_below(c, 2);
    case 2:
        return 0xfed00;
    case 3:
        return chance_next(c) & 0xfffff; /* RAM, or nothing */
    default:
        return (bar_was[chance_below(c, 6)] >> PAGE_SHIFT) + chance_below(c, 5);
    }
}

static bool is_forbidden(unsigned long frame)
{
    return (frame >= 0xfee00 && frame < 0xfef00) || frame == 0xfec00;
}

/* A store of two bytes of code, which fault() skips: the page may be read-only a moment later. */
static void store(volatile uint32_t *at, uint32_t value)
{
    __asm__ volatile("mov %0, (%1)" : : "a"(value), "d"(at) : "memory");
}

static bool fault(struct trap_frame *f)
{
    const uint8_t *code = (const uint8_t *)f->rip;

    if (code[0] != 0x89 || code[1] != 0x02)
        return false;
    f->rip += 2;
    return true;
}

static void forge(volatile uint32_t *page, struct chance *c)
{
    volatile uint32_t *entry = page + 4 * chance_below(c, 8);

    store(&entry[0], 0xfee00000);
    store(&entry[1], 0);
    store(&entry[2], 0xf0 + chance_below(c, 16));
    store(&entry[3], 0);
}

static void memory(unsigned vcpu, struct chance *c)
{
    char *page = pages[vcpu] + chance_below(c, PAGES) * PAGE_SIZE;
    const unsigned long frame = pick_frame(c);

    if (hypercall_update_va_mapping((unsigned long)page, pte_of(frame, PTE_DEVICE),
                                    UVMF_INVLPG | UVMF_ALL) == 0)
        __atomic_fetch_add(&reached, is_forbidden(frame), __ATOMIC_RELAXED);
    /* Stores only to the card's table: its registers kill the emulator, and what lies elsewhere may be the machine's. */
    if (frame == bar_was[1] >> PAGE_SHIFT)
        forge((volatile uint32_t *)page, c);
}

static void step(unsigned vcpu, struct chance *c)
{
    static void (*const kinds[])(struct chance * c) = {
        map,         map,          map,    unmap,  bind,          bind, close,
        any_physdev, any_platform, config, config, config_others, ports};
    const unsigned kind = chance_below(c, sizeof(kinds) / sizeof(kinds[0]) + 3);

    if (kind < sizeof(kinds) / sizeof(kinds[0]))
        kinds[kind](c);
    else
        memory(vcpu, c);
}

static void attack(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    for (unsigned i = 0; i < STEPS || attack_goes_on(); i += 50)
        for (unsigned j = 0; j < 50; j++)
            step(vcpu, &c);
}

static volatile unsigned done; /* vCPUs */

static void attack_beside(unsigned vcpu)
{
    struct physdev_set_iopl level = {.iopl = 1};

    hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);
    attack(vcpu);
    __atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
    attack_rest();
}

void guest_main(void)
{
    struct physdev_set_iopl level = {.iopl = 1};

    attack_begin("hardware-doors");
    trap_handle(TRAP_PF, fault);
    hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);
    card = config_find(VENDOR_RED, CARD_OF_RED);
    if (!tap_ok(card >= 0, "it has the card"))
        return;
    config_write((unsigned)card, 4, 2, 2); /* memory: no I/O ports, no bus mastering */
    msix = config_capability((unsigned)card, 0x11);
    for (unsigned i = 0; i < 6; i++)
        bar_was[i] = config_read((unsigned)card, 0x10 + 4 * i, 4);
    for (unsigned i = 0; i < VCPUS; i++) {
        pages[i] = page_alloc();
        for (unsigned j = 1; j < PAGES; j++)
            (void)page_alloc();
    }
    attack_vcpus(VCPUS, attack_beside);
    attack(0);
    while (done < VCPUS - 1)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is(reached, 0, "nothing was reached that is not to be");
}
