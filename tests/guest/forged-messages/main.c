/*
 * Question: can a domain that drives a device say what the device's interrupts are?
 *
 * A message (MSI, MSI-X) is a store of a vector to an address that names a CPU: who can write either sends any interrupt to any CPU.
 * So address and data, in the capability or in the table, are the hypervisor's, and what this image writes there by every way that
 * it has, ports of configuration space, the device's memory through old mappings and new ones, must not be found there
 * afterwards.  The device is a network card.  Xen lets its domain 0 do much of this.
 */
#include "card.h"
#include "trap.h"

enum { FORGED = 0x55 };

static volatile uint32_t *table; /* mapped to be written before any message is mapped */
static unsigned long table_mfn;

static bool is_forged(const volatile uint32_t *entry)
{
    return entry[0] == 0xfee55000 || entry[2] == FORGED;
}

static void forge(volatile uint32_t *entry)
{
    entry[0] = 0xfee55000;
    entry[1] = 0;
    entry[2] = FORGED;
    entry[3] = 0;
}

static bool writable(volatile uint32_t *at)
{
    return *memory_entry((unsigned long)at, 1) & PTE_W;
}

static void test_table_before(void)
{
    table_mfn = bar(3) >> PAGE_SHIFT;
    table = memory_map_frame(table_mfn, PTE_DEVICE);
    forge(&table[4]);
    tap_ok(is_forged(&table[4]), "nobody uses the table: it can be written");
    enable_msix(0x8000);
    tap_ok(config_read((unsigned)card, msix + 2, 2) & 0x4000,
           "nothing is mapped: enabled, it stays masked");
    enable_msix(0);
}

static void test_table_after(int entry)
{
    volatile uint32_t *again = memory_map_frame(table_mfn, PTE_DEVICE);

    tap_ok(!is_forged(&table[4 * entry]), "mapped: the hypervisor has written the entry");
    tap_ok(table[4 + 3] & 1, "what was forged before is masked");
    tap_ok(!writable(table), "the mapping that was writable is not any more");
    tap_ok(!writable(again), "nor is a new one");
    tap_is(TRAPS(forge(&table[4 * entry])), NO_TRAP, "a store to the table goes on");
    tap_ok(!is_forged(&table[4 * entry]), "and comes to nothing");
    tap_is(TRAPS(forge(&again[4 * entry])), NO_TRAP, "by the new mapping, too");
    tap_ok(!is_forged(&table[4 * entry]), "nothing");
    tap_is(TRAPS(__asm__ volatile("lock orl $1, 12(%0)"
                                  :
                                  : "r"(&table[4])
                                  : "memory")),
           NO_TRAP, "a locked or");
    tap_is(TRAPS(__asm__ volatile("xchgl %0, 8(%1)"
                                  :
                                  : "r"(FORGED), "r"(&table[4 * entry])
                                  : "memory")),
           NO_TRAP, "an exchange");
    tap_ok(!is_forged(&table[4 * entry]), "nothing");
    memory_unmap_frame((void *)again);
}

static void test_bar(void)
{
    const uint32_t was = config_read((unsigned)card, 0x1c, 4);

    config_write((unsigned)card, 0x1c, 4, 0xe0000000);
    tap_is(config_read((unsigned)card, 0x1c, 4), was, "the table stays where it is");
    config_write((unsigned)card, 0x1e, 2, 0xe000);
    tap_is(config_read((unsigned)card, 0x1c, 4), was, "also if half of its address is written");
    config_write((unsigned)card, 0x1f, 1, 0xe0);
    tap_is(config_read((unsigned)card, 0x1c, 4), was, "or a quarter");
}

static void test_msix(void)
{
    evtchn_port_t port;
    int pirq = -1, other = -1;

    test_table_before();
    tap_is(map_entry(2, &pirq), 0, "map entry 2");
    test_table_after(2);
    test_bar();
    tap_is(map_entry(2, &other), -XEN_EEXIST, "map: entry 2 again");
    tap_is(map_msi(&other), -XEN_EBUSY, "map: MSI while MSI-X is mapped");
    tap_is(bind(pirq, &port), 0, "bind");
    tap_is(unmap(pirq), -XEN_EBUSY, "unmap: bound");
    tap_is(device_op(PHYSDEVOP_pci_device_remove, 0, card), -XEN_EBUSY,
           "pci_device_remove: mapped");
    enable_msix(0x8000);
    tap_is(config_read((unsigned)card, msix + 2, 2) & 0xc000, 0x8000, "enabled");
    tap_is(event_close(port), 0, "close");
    tap_ok(table[4 * 2 + 3] & 1, "closed: its entry is masked");
    tap_is(unmap(pirq), 0, "unmap");
    tap_ok(!(config_read((unsigned)card, msix + 2, 2) & 0x8000),
           "nothing is mapped: the device is silent");
}

/* Its table would lie in memory, or where it would be another interrupt's. */
static void test_table_nowhere(void)
{
    const uint32_t was = config_read((unsigned)card, 0x1c, 4);
    static const uint32_t places[] = {0x00100000, 0xfee00000, 0xfec00000, 0};

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        config_write((unsigned)card, 0x1c, 4, places[i]);
        tap_is(map_as(DOMID_SELF, MAP_PIRQ_TYPE_MSI_SEG, -1, -1, 0, card, 0, 1, NULL), -XEN_ENXIO,
               "map: the table would lie at %x", places[i]);
    }
    config_write((unsigned)card, 0x1c, 4, was);
}

/* Memory of another device is put over the table: stores that are meant for that would go there, and come back from there. */
static void test_table_covered(void)
{
    const int memory = config_find(0x1af4, 0x1110);
    const uint32_t low = memory < 0 ? 0 : config_read((unsigned)memory, 0x18, 4),
                   high = memory < 0 ? 0 : config_read((unsigned)memory, 0x1c, 4);
    int pirq = -1;

    if (!tap_ok(low & ~0xfu, "there is a device with memory"))
        return;
    config_write((unsigned)memory, 4, 2, 2);
    config_write((unsigned)memory, 0x1c, 4, 0);
    config_write((unsigned)memory, 0x18, 4, (uint32_t)bar(3) & ~0xfffffu);
    tap_is(map_entry(2, &pirq), -XEN_ENXIO, "map: something else lies over the table");
    config_write((unsigned)memory, 0x18, 4, low);
    config_write((unsigned)memory, 0x1c, 4, high);
    tap_is(map_entry(2, &pirq), 0, "map: it has gone");
    tap_is(unmap(pirq), 0, "unmap");
}

/* What says where configuration space and RAM are. */
static void test_host_bridge(void)
{
    const uint32_t was = config_read(0, 0x70, 4);

    config_write(0, 0x70, 4, ~was);
    tap_is_hex(config_read(0, 0x70, 4), was, "the host bridge keeps what it says");
}

/* --- MSI --- */

/* Every byte of the capability but the words that tell what it is. */
static void test_capability(void)
{
    const uint32_t address = config_read((unsigned)card, msi + 4, 4),
                   data = config_read((unsigned)card, msi + 12, 2);

    for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
        for (unsigned at = msi; at < msi + 14; at += bytes)
            config_write((unsigned)card, at, bytes, 0xfee55000 >> 8 * (at % 4));
    tap_is_hex(config_read((unsigned)card, msi + 4, 4), address, "the address is not the guest's");
    tap_is_hex(config_read((unsigned)card, msi + 12, 2), data, "nor is the data");
}

static void test_msi(void)
{
    evtchn_port_t port;
    int pirq = -1, other;

    config_write((unsigned)card, msi + 2, 2, 1);
    tap_ok(!(config_read((unsigned)card, msi + 2, 2) & 1), "nothing is mapped: it is not enabled");
    test_capability();
    tap_is(map_msi(&pirq), 0, "map MSI");
    tap_is(map_msi(&other), -XEN_EEXIST, "map: MSI again");
    tap_is(map_entry(0, &other), -XEN_EBUSY, "map: MSI-X while MSI is mapped");
    test_capability();
    tap_is(bind(pirq, &port), 0, "bind MSI");
    config_write((unsigned)card, msi + 2, 2, 0x71);
    tap_is(config_read((unsigned)card, msi + 2, 2) & 0x71, 1, "enabled, for one message");
    tap_is(event_close(port), 0, "close");
    tap_is(unmap(pirq), 0, "unmap MSI");
    tap_ok(!(config_read((unsigned)card, msi + 2, 2) & 1),
           "nothing is mapped: it is not enabled any more");
}

/* A USB controller that could send sixteen messages in a row is allowed one. */
static void test_several(void)
{
    const int usb = config_find(0x1033, 0x0194);
    const unsigned at = usb < 0 ? 0 : config_capability((unsigned)usb, MSI);

    if (!tap_ok(at && (config_read((unsigned)usb, at + 2, 2) & 0xe) != 0, "it could send several"))
        return;
    config_write((unsigned)usb, at + 2, 2, 0x20);
    tap_is(config_read((unsigned)usb, at + 2, 2) & 0x70, 0, "of the guest it is not allowed to");
}

/* All numbers are given out. */
static void test_exhaustion(void)
{
    uint32_t pirq, count = 0;

    while (count < 1000 && free_pirq(MAP_PIRQ_TYPE_MSI, &pirq) == 0)
        count++;
    tap_is(free_pirq(MAP_PIRQ_TYPE_MSI, &pirq), -XEN_ENOSPC, "get_free_pirq: none is left");
    tap_is(map_msi(NULL), -XEN_ENOSPC, "map MSI: none is left");
    tap_is(count, 96, "there were as many as vectors for them");
    for (int i = 255; count--; i--)
        (void)unmap(i);
}

/* A message bound and one mapped are left behind: the domain's end silences them. */
static void leave(void)
{
    evtchn_port_t port;
    int pirq;

    if (map_entry(4, &pirq) == 0)
        (void)bind(pirq, &port);
    (void)map_entry(3, &pirq);
}

void guest_main(void)
{
    event_init();
    card_begin();
    test_msix();
    test_table_nowhere();
    test_table_covered();
    test_host_bridge();
    test_msi();
    test_several();
    test_exhaustion();
    leave();
}
