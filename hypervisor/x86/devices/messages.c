/*
 * Messages: interrupts that a device sends by a store to 0xfee00000 + CPU, the vector being what it stores (MSI, MSI-X).
 *
 *     device -> (address, data) -> vector INTERRUPT_MESSAGE + i -> message_interrupt(i) -> the event channel that is bound to it
 *
 * Whoever chooses address and data can send any vector to any CPU.  So no guest chooses them:
 *
 *   MSI     address, data and masks are in the device's capability in configuration space.  The hypervisor writes them; of a domain's
 *           writes there only the enable bit reaches the device, and it is set only while the message is mapped.
 *   MSI-X   they are in a table in the device's memory.  While an entry of it is mapped, the table's frames are read-only for all
 *           domains (device-memory.c; what was writable before is demoted), and the BAR that says where it lies cannot be written.
 *           When the first entry is mapped all others are masked.  While none is, the device sends nothing: it is enabled only
 *           together with its mask for all.
 *
 * A message is free, or kept for a domain (get_free_pirq: it has no device yet), or mapped: it has a device and a domain.  Bound to a
 * port it is unmasked; otherwise it is masked, or, if the device has no mask, dropped when it arrives.
 *
 * None of that holds back a device that a domain tells to write to 0xfee00000 by itself, as DMA: there is no IOMMU (SECURITY.md).
 *
 * Parts: pci.c reaches configuration space (lock PCI); device-memory.c makes the table read-only (DEVICES), device-maps.c demotes old
 * mappings (each mmu); pirq.c gives the number; lines.c is the other kind (LINES).  Here: MESSAGES, outside of PCI and DEVICES; the
 * mutex @changing outside of all.
 */
#include "messages.h"

#include "atomic.h"
#include "bus-master.h"
#include "device-maps.h"
#include "device-memory.h"
#include "evtchn.h"
#include "lock.h"
#include "machine.h"
#include "pci.h"
#include "refuse.h"
#include "sched.h"

/* Capability, MSI. */
#define MSI_CONTROL    2u
#define MSI_ENABLE     BIT(0)
#define MSI_SEVERAL    0x70u /* how many are allowed: one */
#define MSI_WIDE       BIT(7)
#define MSI_MASKABLE   BIT(8)
#define MSI_ADDRESS    4u
#define MSI_DATA(wide) ((wide) ? 12u : 8u)
#define MSI_MASK(wide) ((wide) ? 16u : 12u)
/* MSI-X. */
#define MSIX_CONTROL  2u
#define MSIX_ENABLE   BIT(15)
#define MSIX_MASK_ALL BIT(14)
#define MSIX_ENTRIES  0x7ffu /* less one */
#define MSIX_TABLE    4u
#define MSIX_LENGTH   12u
#define ENTRY_SIZE    16u
#define ENTRY_ADDRESS 0u
#define ENTRY_DATA    8u
#define ENTRY_CONTROL 12u
#define ENTRY_MASKED  BIT(0)

#define BAR_PORT 1u
#define BAR_TYPE 6u /* 4: 64 bits wide */

#define MESSAGE_ADDRESS 0xfee00000u

/* A device of which messages are mapped. */
struct source {
    uint16_t function;
    bool msix, wide, maskable; /* the last two: of MSI */
    bool ready;                /* MSI-X: nobody else can write to the table */
    uint8_t at;                /* of its capability */
    uint8_t bar, bar_end;      /* MSI-X: offsets of the words that say where the table is, */
    uint32_t bar_word[2];      /* and what they say */
    uint16_t entries;
    uint16_t mapped; /* how many; 0: this record is free */
    uint64_t table, first_frame, last_frame;
};

static struct message {
    struct domain *user;   /* NULL: free */
    struct source *source; /* NULL: only kept */
    uint32_t port;         /* 0: not bound */
    uint16_t entry;
    uint16_t cpu;
} messages[MESSAGES];
static struct source sources[MESSAGES];
static spinlock_t lock =
    SPINLOCK_INIT(MESSAGES); /* guards all of it, and what devices know of it */
static mutex_t changing;     /* one is mapped or unmapped at a time */

/* --- what the device knows --- */

static uint8_t vector_of(const struct message *m)
{
    return (uint8_t)(INTERRUPT_MESSAGE + (unsigned)(m - messages));
}

static uint32_t address_of(const struct message *m)
{
    return MESSAGE_ADDRESS | (percpu_of(m->cpu)->apic_id & 0xff) << 12;
}

/* A table can be reached only while the device answers to memory accesses. */
static uint16_t table_open(const struct source *s)
{
    const uint16_t command = (uint16_t)pci_read(s->function, PCI_COMMAND, 2);

    if (!(command & PCI_COMMAND_MEMORY))
        pci_write(s->function, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    return command;
}

static void table_close(const struct source *s, uint16_t command)
{
    if (!(command & PCI_COMMAND_MEMORY))
        pci_write(s->function, PCI_COMMAND, 2, command);
}

/* Mask first, open last: in between address and data do not belong together. */
static void write_msix(const struct message *m)
{
    const uint64_t at = m->source->table + (uint64_t)m->entry * ENTRY_SIZE;
    const uint16_t command = table_open(m->source);

    device_memory_write(at + ENTRY_CONTROL, 4, ENTRY_MASKED);
    device_memory_write(at + ENTRY_ADDRESS, 4, address_of(m));
    device_memory_write(at + ENTRY_ADDRESS + 4, 4, 0);
    device_memory_write(at + ENTRY_DATA, 4, vector_of(m));
    if (m->port)
        device_memory_write(at + ENTRY_CONTROL, 4, 0);
    (void)device_memory_read(at + ENTRY_CONTROL, 4); /* it has arrived */
    table_close(m->source, command);
}

static void write_msi(const struct message *m)
{
    const struct source *s = m->source;

    if (s->maskable)
        pci_write(s->function, s->at + MSI_MASK(s->wide), 4, ~0u);
    pci_write(s->function, s->at + MSI_ADDRESS, 4, address_of(m));
    if (s->wide)
        pci_write(s->function, s->at + MSI_ADDRESS + 4, 4, 0);
    pci_write(s->function, s->at + MSI_DATA(s->wide), 2, vector_of(m));
    if (s->maskable && m->port)
        pci_write(s->function, s->at + MSI_MASK(s->wide), 4, ~1u);
}

/* A table that is not known to answer is not written to: what is there may be something else. */
static void message_write(const struct message *m)
{
    if (!m->source->msix)
        write_msi(m);
    else if (m->source->ready)
        write_msix(m);
}

static uint16_t control_get(const struct source *s)
{
    return (uint16_t)pci_read(s->function, s->at + MSI_CONTROL, 2);
}

static void control_set(const struct source *s, unsigned value)
{
    pci_write(s->function, s->at + MSI_CONTROL, 2, value);
}

/* It sends nothing, whatever it knows. */
static void source_silence(const struct source *s)
{
    control_set(s, s->msix ? (control_get(s) | MSIX_MASK_ALL) & ~MSIX_ENABLE
                           : control_get(s) & ~(MSI_ENABLE | MSI_SEVERAL));
}

/* Mask entries @first to @end - 1.  False: they do not stay so: it is not the table that answers. */
static bool table_mask(const struct source *s, unsigned first, unsigned end) REQUIRES(&lock)
{
    const uint16_t command = table_open(s);
    bool good = true;

    for (unsigned i = first; i < end; i++) {
        const uint64_t at = s->table + i * ENTRY_SIZE + ENTRY_CONTROL;
        device_memory_write(at, 4, ENTRY_MASKED);
        good &= (device_memory_read(at, 4) & ENTRY_MASKED) != 0;
    }
    table_close(s, command);
    return good;
}

/*
 * Is it this device that answers at @at, the data of a masked entry?  Another one could have been put at the same address, and then our
 * stores would go there.  So: what was stored is read again, but not while the device does not answer to memory accesses.
 */
static bool table_answers(const struct source *s, uint64_t at) REQUIRES(&lock)
{
    const uint32_t sign = (uint32_t)rdtsc() * 2654435761u | 1;
    const uint16_t command = table_open(s);

    device_memory_write(at, 4, sign);
    bool good = device_memory_read(at, 4) == sign;
    pci_write(s->function, PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
    good &= device_memory_read(at, 4) != sign;
    pci_write(s->function, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    good &= device_memory_read(at, 4) == sign;
    table_close(s, command);
    return good;
}

#define TAKEN_AT_ONCE 64u /* entries between two preemption points */

/* The table is nobody else's to write: every entry of it is masked, so that what others wrote there is not sent.  False: it is not
 * there.  @changing is held, and keeps @s. */
static bool table_take(struct source *s)
{
    bool good = true;

    spin_lock(&lock);
    control_set(s, control_get(s) | MSIX_MASK_ALL);
    spin_unlock(&lock);
    for (unsigned i = 0; i < s->entries && good; i += TAKEN_AT_ONCE) {
        spin_lock(&lock);
        good = table_mask(s, i, i + 1) &&
               table_answers(s, s->table + i * ENTRY_SIZE + ENTRY_DATA) &&
               table_mask(s, i + 1, MIN(i + TAKEN_AT_ONCE, s->entries));
        spin_unlock(&lock);
        (void)preempt_point();
    }
    spin_lock(&lock);
    s->ready = good;
    if (!good)
        source_silence(s);
    spin_unlock(&lock);
    return good;
}

/* --- devices of which messages are mapped --- */

static struct source *source_of(uint16_t function) REQUIRES(&lock)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (sources[i].mapped && sources[i].function == function)
            return &sources[i];
    return NULL;
}

/* Where the table lies, as the device's BAR says: in device memory of its own, or -XEN_ENXIO. */
static int table_find(struct source *s)
{
    const uint32_t word = pci_read(s->function, s->at + MSIX_TABLE, 4);
    const unsigned bar = PCI_BAR + (word & 7) * 4;
    uint64_t base = bar < PCI_BAR_END ? pci_read(s->function, bar, 4) : BAR_PORT;

    s->bar = (uint8_t)bar;
    s->bar_end = (uint8_t)(bar + ((base & BAR_TYPE) == 4 ? 8 : 4));
    if ((base & BAR_TYPE) == 4 && bar + 4 < PCI_BAR_END)
        base |= (uint64_t)pci_read(s->function, bar + 4, 4) << 32;
    s->bar_word[0] = (uint32_t)base;
    s->bar_word[1] = (uint32_t)(base >> 32);
    s->table = (base & ~0xfull) + (word & ~7u);
    s->first_frame = s->table >> PAGE_SHIFT;
    s->last_frame = (s->table + s->entries * ENTRY_SIZE - 1) >> PAGE_SHIFT;
    if ((base & BAR_PORT) || !(base & ~0xfull) || s->last_frame < s->first_frame ||
        !device_memory_is_free(s->first_frame, s->last_frame) ||
        !device_memory_protect(s->first_frame, s->last_frame))
        return refuse(MESSAGE_TABLE_NOWHERE, s->function, s->table);
    return 0;
}

static int source_begin(struct source *s, const struct message_source *what) REQUIRES(&lock)
{
    const unsigned at =
        pci_capability(what->function, what->msix ? PCI_CAPABILITY_MSIX : PCI_CAPABILITY_MSI);

    if (!at)
        return refuse(PCI_CAPABILITY_MISSING, what->function,
                      what->msix ? PCI_CAPABILITY_MSIX : PCI_CAPABILITY_MSI);
    *s = (struct source){.function = what->function, .at = (uint8_t)at, .msix = what->msix};
    const unsigned control = control_get(s);
    s->wide = control & MSI_WIDE;
    s->maskable = control & MSI_MASKABLE;
    s->entries = what->msix ? (uint16_t)((control & MSIX_ENTRIES) + 1) : 1;
    if (what->entry >= s->entries)
        return refuse(MESSAGE_ENTRY_RANGE, what->entry, what->function, s->entries);
    return what->msix ? table_find(s) : 0;
}

/* The device of @what, as one of which a message more is mapped. */
static int source_get(const struct message_source *what, struct source **out) REQUIRES(&lock)
{
    struct source *s = source_of(what->function);

    if (!s) {
        for (s = sources; s->mapped;)
            s++; /* there are as many as messages, and one of those is free */
        int rc = source_begin(s, what);
        if (rc)
            return rc;
    } else if (s->msix != what->msix) {
        return refuse(MESSAGE_OTHER_KIND, what->function);
    } else if (what->entry >= s->entries) {
        return refuse(MESSAGE_ENTRY_RANGE, what->entry, what->function, s->entries);
    }
    for (unsigned i = 0; i < MESSAGES && s->mapped; i++)
        if (messages[i].user && messages[i].source == s && messages[i].entry == what->entry)
            return refuse(MESSAGE_TAKEN, what->entry, what->function);
    s->mapped++;
    *out = s;
    return 0;
}

static void source_put(struct source *s) REQUIRES(&lock)
{
    if (--s->mapped)
        return;
    source_silence(s);
    if (s->msix)
        device_memory_unprotect(s->first_frame, s->last_frame);
}

/* --- map and unmap --- */

/* Domains with the role share the messages: one cannot take all of them from the others. */
static unsigned share_of_each(void)
{
    unsigned users = 0, next = 0;

    for (struct domain *d; (d = domain_get_from_with(next, ROLE_HARDWARE)); users++) {
        next = d->id + 1u;
        domain_put(d);
    }
    return MESSAGES / MAX(users, 1u);
}

static unsigned held_by(const struct domain *d) REQUIRES(&lock)
{
    unsigned held = 0;

    for (unsigned i = 0; i < MESSAGES; i++)
        held += messages[i].user == d;
    return held;
}

/* @share: how many @d may have. */
static int message_find(const struct domain *d, int wanted, unsigned share) REQUIRES(&lock)
{
    const bool kept = wanted >= 0 && (unsigned)wanted < MESSAGES && messages[wanted].user == d;

    if (!kept && share < MESSAGES && held_by(d) >= share)
        return refuse(MESSAGES_SHARE, share);
    if (wanted >= 0) {
        const struct message *m = &messages[wanted];
        if ((unsigned)wanted >= MESSAGES)
            return refuse(PIRQ_NO_MESSAGE, PIRQS - 1 - (unsigned)wanted);
        return !m->user || (m->user == d && !m->source)
                   ? wanted
                   : refuse(PIRQ_TAKEN, PIRQS - 1 - (unsigned)wanted);
    }
    for (unsigned i = 0; i < MESSAGES; i++)
        if (!messages[i].user)
            return (int)i;
    return refuse(PIRQS_EXHAUSTED, MESSAGES);
}

/* All but what the device is told. */
static int message_begin(struct domain *d, const struct message_source *what, int wanted,
                         unsigned share) REQUIRES(&lock)
{
    struct source *s = NULL;
    const int i = message_find(d, wanted, share);
    int rc = i < 0 ? i : source_get(what, &s);

    if (rc)
        return rc;
    messages[i] = (struct message){.user = d, .source = s, .entry = what->entry};
    return i;
}

/* Closed, and nobody's. */
static void message_free(struct message *m) REQUIRES(&lock)
{
    struct source *s = m->source;

    m->port = 0;
    if (s) {
        message_write(m);
        source_put(s);
    }
    *m = (struct message){0};
}

/* Tell @s of all its messages.  @changing is held, and keeps it. */
static void source_write(const struct source *s)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        spin_lock(&lock);
        if (messages[i].source == s)
            message_write(&messages[i]);
        spin_unlock(&lock);
        (void)preempt_point();
    }
}

/* From here on nobody gets the table of @s writable, nobody has it so, and nothing is in it but what we say.  0 or -errno. */
static int source_take(struct source *s)
{
    device_maps_demote();
    if (!table_take(s))
        return refuse(MESSAGE_TABLE_NOWHERE, s->function, s->table);
    source_write(s); /* all: the table may have been taken before, and lost */
    return 0;
}

int message_map(struct domain *d, const struct message_source *what, int wanted)
{
    if (!pci_is_there(what->function))
        return refuse(PCI_DEVICE_MISSING, what->function);
    const unsigned share = share_of_each();
    mutex_lock(&changing);
    spin_lock(&lock);
    const bool kept = wanted >= 0 && (unsigned)wanted < MESSAGES && messages[wanted].user == d;
    const int i = message_begin(d, what, wanted, share);
    struct source *s = i >= 0 ? messages[i].source : NULL;
    const bool take = s && s->msix && !s->ready;
    if (s && !take)
        message_write(&messages[i]);
    spin_unlock(&lock);
    const int rc = take ? source_take(s) : 0;
    if (rc) {
        spin_lock(&lock);
        message_free(&messages[i]);
        messages[i].user = kept ? d : NULL;
        spin_unlock(&lock);
    }
    mutex_unlock(&changing);
    return rc ? rc : i;
}

int message_unmap(struct domain *d, unsigned message)
{
    struct message *m = &messages[message];
    int rc = 0;

    mutex_lock(&changing);
    spin_lock(&lock);
    if (m->user != d)
        rc = refuse(PIRQ_NOT_OWNED, PIRQS - 1 - message);
    else if (m->port)
        rc = refuse(PIRQ_BUSY, PIRQS - 1 - message);
    else
        message_free(m);
    spin_unlock(&lock);
    mutex_unlock(&changing);
    return rc;
}

void messages_end(struct domain *d)
{
    mutex_lock(&changing);
    for (unsigned i = 0; i < MESSAGES; i++) {
        spin_lock(&lock);
        if (messages[i].user == d)
            message_free(&messages[i]);
        spin_unlock(&lock);
        (void)preempt_point();
    }
    mutex_unlock(&changing);
}

int message_reserve(struct domain *d)
{
    const unsigned share = share_of_each();

    spin_lock(&lock);
    const int i = message_find(d, -1, share);
    if (i >= 0)
        messages[i].user = d;
    spin_unlock(&lock);
    return i;
}

unsigned messages_of(uint16_t function)
{
    spin_lock(&lock);
    const struct source *s = source_of(function);
    const unsigned n = s ? s->mapped : 0;
    spin_unlock(&lock);
    return n;
}

/* The table is again where it was.  All words at once, while the device does not answer. */
static void bar_restore(const struct source *s) REQUIRES(&lock)
{
    const uint16_t command = (uint16_t)pci_read(s->function, PCI_COMMAND, 2);

    pci_write(s->function, PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
    for (unsigned at = s->bar; at < s->bar_end; at += 4)
        pci_write(s->function, at, 4, s->bar_word[(at - s->bar) / 4]);
    pci_write(s->function, PCI_COMMAND, 2, command);
}

/* @changing is held, and keeps @s. */
static int source_restore(struct source *s)
{
    if (s->msix) {
        spin_lock(&lock);
        bar_restore(s);
        spin_unlock(&lock);
    }
    const int rc = s->msix ? source_take(s) : 0;
    if (rc)
        return rc;
    if (!s->msix)
        source_write(s);
    spin_lock(&lock);
    control_set(s, s->msix ? (control_get(s) | MSIX_ENABLE) & ~MSIX_MASK_ALL
                           : control_get(s) | MSI_ENABLE);
    spin_unlock(&lock);
    return 0;
}

int messages_restore(uint16_t function)
{
    mutex_lock(&changing);
    spin_lock(&lock);
    struct source *s = source_of(function);
    spin_unlock(&lock);
    const int rc = s ? source_restore(s) : 0;
    mutex_unlock(&changing);
    return rc;
}

/* --- bind, move, release, arrive --- */

bool message_is_mapped(const struct domain *d, unsigned message)
{
    return atomic_read(&messages[message].user) == d;
}

uint32_t message_port(const struct domain *d, unsigned message)
{
    spin_lock(&lock);
    const uint32_t port = messages[message].user == d ? messages[message].port : 0;
    spin_unlock(&lock);
    return port;
}

int message_bind(struct domain *d, unsigned message, uint32_t port, unsigned cpu)
{
    struct message *m = &messages[message];
    int rc = 0;

    spin_lock(&lock);
    if (m->user != d || !m->source || (m->source->msix && !m->source->ready)) {
        rc = refuse(PIRQ_NOT_MAPPED, PIRQS - 1 - message);
    } else if (m->port) {
        rc = refuse(PIRQ_BOUND, PIRQS - 1 - message);
    } else {
        m->port = port;
        m->cpu = (uint16_t)cpu;
        message_write(m);
    }
    spin_unlock(&lock);
    return rc;
}

void message_move(const struct domain *d, unsigned message, unsigned cpu)
{
    struct message *m = &messages[message];

    spin_lock(&lock);
    if (m->user == d && m->port && m->cpu != cpu) {
        m->cpu = (uint16_t)cpu;
        message_write(m);
    }
    spin_unlock(&lock);
}

void message_release(const struct domain *d, unsigned message, uint32_t port)
{
    struct message *m = &messages[message];

    spin_lock(&lock);
    if (m->user == d && m->port == port) {
        m->port = 0;
        message_write(m);
    }
    spin_unlock(&lock);
}

void message_interrupt(unsigned message)
{
    const struct message *m = &messages[message];

    spin_lock(&lock);
    if (m->port)
        evtchn_set_pending(m->user, m->port);
    spin_unlock(&lock);
}

/* --- audit --- */

unsigned messages_bound(const struct domain *d, unsigned *wrong)
{
    unsigned bound = 0;

    for (unsigned i = 0; i < MESSAGES; i++) {
        if (messages[i].user != d || !messages[i].port)
            continue;
        bound++;
        if (!messages[i].source || !evtchn_is_pirq(d, messages[i].port, PIRQS - 1 - i))
            ++*wrong;
    }
    return bound;
}

static bool is_listed(const struct domain *d)
{
    const struct domain *other = domain_next(NULL);

    while (other && other != d)
        other = domain_next(other);
    return other;
}

unsigned messages_miscounted(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < MESSAGES; i++) {
        if (messages[i].user && !is_listed(messages[i].user)) {
            printk("audit: message %u is that of a domain that has ended\n", i);
            wrong++;
        }
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        unsigned mapped = 0;
        for (unsigned j = 0; j < MESSAGES; j++)
            mapped += messages[j].user && messages[j].source == &sources[i];
        if (mapped != sources[i].mapped) {
            printk("audit: device %x has %u messages, %u are its\n", sources[i].function,
                   sources[i].mapped, mapped);
            wrong++;
        }
    }
    return wrong;
}

/* --- what a domain may write of configuration space --- */

/* One of a capability's bytes: @now, and what it would become. */
static uint8_t msi_byte(unsigned byte, uint8_t now, uint8_t wanted, bool mapped)
{
    if (byte != MSI_CONTROL)
        return now;
    return (uint8_t)((now & ~(MSI_ENABLE | MSI_SEVERAL)) | (mapped ? wanted & MSI_ENABLE : 0));
}

static uint8_t msix_byte(unsigned byte, uint8_t now, uint8_t wanted, bool mapped)
{
    const unsigned enable = MSIX_ENABLE >> 8, mask_all = MSIX_MASK_ALL >> 8;

    if (byte != MSIX_CONTROL + 1)
        return now;
    if (!mapped && (wanted & enable))
        wanted |= mask_all;
    return (uint8_t)((now & ~(enable | mask_all)) | (wanted & (enable | mask_all)));
}

static unsigned msi_length(uint16_t function, unsigned at)
{
    const unsigned control = pci_read(function, at + MSI_CONTROL, 2);

    return (control & MSI_MASKABLE ? MSI_MASK(control & MSI_WIDE) + 8
                                   : MSI_DATA(control & MSI_WIDE) + 2);
}

static bool any_mapped(void) REQUIRES(&lock)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (sources[i].mapped)
            return true;
    return false;
}

/* Which bytes of a device's configuration space are looked at. */
struct guard {
    unsigned msi, msi_end, msix, msix_end, bar, bar_end;
    unsigned fixed, fixed_end; /* nobody's */
    bool msi_mapped, msix_mapped;
};

static void guard_make(struct guard *g, uint16_t function, unsigned offset) REQUIRES(&lock)
{
    const struct source *s = source_of(function);

    *g = (struct guard){.msi_mapped = s && !s->msix, .msix_mapped = s && s->msix && s->ready};
    if (s && s->msix) {
        g->bar = s->bar;
        g->bar_end = s->bar_end;
    }
    /* A host bridge says where configuration space and RAM are.  The numbers of buses behind other bridges say which device is
     * meant by which number. */
    if (pci_read(function, PCI_CLASS, 2) == PCI_CLASS_HOST) {
        g->fixed = 0x40;
        g->fixed_end = 256;
    } else if ((pci_read(function, PCI_HEADER_TYPE, 1) & 0x7f) == PCI_HEADER_BRIDGE &&
               any_mapped()) {
        g->fixed = PCI_BUS_NUMBERS;
        g->fixed_end = PCI_BUS_NUMBERS + 3;
    }
    if (offset < 0x40)
        return; /* there are no capabilities */
    g->msi = pci_capability(function, PCI_CAPABILITY_MSI);
    g->msi_end = g->msi ? g->msi + msi_length(function, g->msi) : 0;
    g->msix = pci_capability(function, PCI_CAPABILITY_MSIX);
    g->msix_end = g->msix ? g->msix + MSIX_LENGTH : 0;
}

static uint8_t guarded_byte(const struct guard *g, unsigned at, uint8_t now, uint8_t wanted)
{
    if (at >= g->fixed && at < g->fixed_end)
        return now;
    if (at >= g->msi && at < g->msi_end)
        return msi_byte(at - g->msi, now, wanted, g->msi_mapped);
    if (at >= g->msix && at < g->msix_end)
        return msix_byte(at - g->msix, now, wanted, g->msix_mapped);
    return at >= g->bar && at < g->bar_end ? now : wanted;
}

void messages_config_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value)
{
    struct guard g;

    spin_lock(&lock);
    guard_make(&g, function, offset);
    if (offset >= g.fixed &&
        offset + bytes <= g.fixed_end) { /* not even as it is: bits may be cleared by a 1 */
        spin_unlock(&lock);
        return;
    }
    const uint32_t now = g.msi_end | g.msix_end | g.bar_end | g.fixed_end
                             ? pci_read(function, offset, bytes)
                             : value;
    uint32_t made = 0;
    for (unsigned i = 0; i < bytes; i++)
        made |= (uint32_t)guarded_byte(&g, offset + i, (uint8_t)(now >> 8 * i),
                                       (uint8_t)(value >> 8 * i))
                << 8 * i;
    if (offset == PCI_COMMAND && made & PCI_COMMAND_MASTER &&
        !bus_master_begin(function, current_vcpu()->domain->id))
        made &= ~(uint32_t)PCI_COMMAND_MASTER;
    pci_write(function, offset, bytes, made);
    spin_unlock(&lock);
}

void messages_master_off(uint16_t function)
{
    spin_lock(&lock); /* table_open() and others change the same word */
    const uint32_t command = pci_read(function, PCI_COMMAND, 2);
    if (command & PCI_COMMAND_MASTER) {
        pci_write(function, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MASTER);
        (void)pci_read(function, PCI_COMMAND, 2); /* behind all that it has sent */
    }
    spin_unlock(&lock);
}
