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
 * A message is free, or reserved for a domain (get_free_pirq: it has no device yet), or mapped: it has a device and a domain.  Bound to a
 * port it is unmasked; otherwise it is masked, or, if the device has no mask, dropped when it arrives.
 *
 * None of that holds back a device that a domain tells to write to 0xfee00000 by itself, as DMA: there is no IOMMU (SECURITY.md).
 *
 * Here is whose a message is.  message-device.c tells devices, message-config.c looks at what domains write into
 * configuration space, which pci.c reaches (lock PCI); device-memory.c makes the table read-only (DEVICES), device-maps.c
 * demotes old mappings (each mmu); pirq.c gives the number; lines.c is the other kind (LINES).  Locks: MESSAGES, outside of
 * PCI and DEVICES; the mutex @changing outside of all.
 */
#include "message-device.h"

#include "atomic.h"
#include "device-maps.h"
#include "device-memory.h"
#include "evtchn.h"
#include "machine.h"
#include "pci.h"
#include "refuse.h"
#include "sched.h"

#define MESSAGE_ADDRESS 0xfee00000u

static struct message {
    struct domain *user;           /* NULL: free */
    struct message_device *device; /* NULL: only reserved */
    uint32_t port;                 /* 0: not bound */
    uint16_t entry;
    uint16_t cpu;
} messages[MESSAGES];
static struct message_device devices[MESSAGES];
spinlock_t messages_lock = SPINLOCK_INIT(MESSAGES);
static mutex_t changing; /* one is mapped or unmapped at a time */

static void message_write(const struct message *m) REQUIRES(&messages_lock)
{
    const struct message_content content = {
        .address = MESSAGE_ADDRESS | (percpu_of(m->cpu)->apic_id & 0xff) << 12,
        .entry = m->entry,
        .vector = (uint8_t)(INTERRUPT_MESSAGE + (unsigned)(m - messages)),
        .unmasked = m->port != 0,
    };
    message_device_write(m->device, &content);
}

/* --- devices of which messages are mapped --- */

struct message_device *message_device_of(uint16_t function)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (devices[i].mapped && devices[i].function == function)
            return &devices[i];
    return NULL;
}

bool messages_any_mapped(void)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (devices[i].mapped)
            return true;
    return false;
}

/* The device of @what, as one of which a message more is mapped. */
static int device_get(const struct message_source *what, struct message_device **out)
    REQUIRES(&messages_lock)
{
    struct message_device *s = message_device_of(what->function);

    if (!s) {
        for (s = devices; s->mapped;)
            s++; /* there are as many as messages, and one of those is free */
        int rc = message_device_find(s, what);
        if (rc)
            return rc;
    } else if (s->msix != what->msix) {
        return refuse(MESSAGE_OTHER_KIND, what->function);
    } else if (what->entry >= s->entries) {
        return refuse(MESSAGE_ENTRY_RANGE, what->entry, what->function, s->entries);
    }
    for (unsigned i = 0; i < MESSAGES && s->mapped; i++)
        if (messages[i].user && messages[i].device == s && messages[i].entry == what->entry)
            return refuse(MESSAGE_TAKEN, what->entry, what->function);
    s->mapped++;
    *out = s;
    return 0;
}

static void device_put(struct message_device *s) REQUIRES(&messages_lock)
{
    if (--s->mapped)
        return;
    message_device_silence(s);
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

static unsigned held_by(const struct domain *d) REQUIRES(&messages_lock)
{
    unsigned held = 0;

    for (unsigned i = 0; i < MESSAGES; i++)
        held += messages[i].user == d;
    return held;
}

/* @share: how many @d may have. */
static int message_find(const struct domain *d, int wanted, unsigned share) REQUIRES(&messages_lock)
{
    const bool reserved = wanted >= 0 && (unsigned)wanted < MESSAGES && messages[wanted].user == d;

    if (!reserved && share < MESSAGES && held_by(d) >= share)
        return refuse(MESSAGES_SHARE, share);
    if (wanted >= 0) {
        const struct message *m = &messages[wanted];
        if ((unsigned)wanted >= MESSAGES)
            return refuse(PIRQ_NO_MESSAGE, PIRQS - 1 - (unsigned)wanted);
        return !m->user || (m->user == d && !m->device)
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
                         unsigned share) REQUIRES(&messages_lock)
{
    struct message_device *s = NULL;
    const int i = message_find(d, wanted, share);
    int rc = i < 0 ? i : device_get(what, &s);

    if (rc)
        return rc;
    messages[i] = (struct message){.user = d, .device = s, .entry = what->entry};
    return i;
}

/* Masked, and nobody's. */
static void message_free(struct message *m) REQUIRES(&messages_lock)
{
    struct message_device *s = m->device;

    m->port = 0;
    if (s) {
        message_write(m);
        device_put(s);
    }
    *m = (struct message){0};
}

/* Tell @s of all its messages.  @changing is held, and keeps it. */
static void device_write(const struct message_device *s)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        spin_lock(&messages_lock);
        if (messages[i].device == s)
            message_write(&messages[i]);
        spin_unlock(&messages_lock);
        (void)preempt_point();
    }
}

/* From here on nobody gets the table of @s writable, nobody has it so, and nothing is in it but what we say.  0 or -errno. */
static int device_take(struct message_device *s)
{
    device_maps_demote();
    if (!message_table_take(s))
        return refuse(MESSAGE_TABLE_NOWHERE, s->function, s->table);
    device_write(s); /* all: the table may have been taken before, and lost */
    return 0;
}

int message_map(struct domain *d, const struct message_source *what, int wanted)
{
    if (!pci_is_there(what->function))
        return refuse(PCI_DEVICE_MISSING, what->function);
    const unsigned share = share_of_each();
    mutex_lock(&changing);
    spin_lock(&messages_lock);
    const bool reserved = wanted >= 0 && (unsigned)wanted < MESSAGES && messages[wanted].user == d;
    const int i = message_begin(d, what, wanted, share);
    struct message_device *s = i >= 0 ? messages[i].device : NULL;
    const bool take = s && s->msix && !s->ready;
    if (s && !take)
        message_write(&messages[i]);
    spin_unlock(&messages_lock);
    const int rc = take ? device_take(s) : 0;
    if (rc) {
        spin_lock(&messages_lock);
        message_free(&messages[i]);
        messages[i].user = reserved ? d : NULL;
        spin_unlock(&messages_lock);
    }
    mutex_unlock(&changing);
    return rc ? rc : i;
}

int message_unmap(struct domain *d, unsigned message)
{
    struct message *m = &messages[message];
    int rc = 0;

    mutex_lock(&changing);
    spin_lock(&messages_lock);
    if (m->user != d)
        rc = refuse(PIRQ_NOT_OWNED, PIRQS - 1 - message);
    else if (m->port)
        rc = refuse(PIRQ_STILL_BOUND, PIRQS - 1 - message);
    else
        message_free(m);
    spin_unlock(&messages_lock);
    mutex_unlock(&changing);
    return rc;
}

void messages_end(struct domain *d)
{
    mutex_lock(&changing);
    for (unsigned i = 0; i < MESSAGES; i++) {
        spin_lock(&messages_lock);
        if (messages[i].user == d)
            message_free(&messages[i]);
        spin_unlock(&messages_lock);
        (void)preempt_point();
    }
    mutex_unlock(&changing);
}

int message_reserve(struct domain *d)
{
    const unsigned share = share_of_each();

    spin_lock(&messages_lock);
    const int i = message_find(d, -1, share);
    if (i >= 0)
        messages[i].user = d;
    spin_unlock(&messages_lock);
    return i;
}

unsigned messages_of(uint16_t function)
{
    spin_lock(&messages_lock);
    const struct message_device *s = message_device_of(function);
    const unsigned n = s ? s->mapped : 0;
    spin_unlock(&messages_lock);
    return n;
}

/* @changing is held, and keeps @s. */
static int device_restore(struct message_device *s)
{
    if (s->msix) {
        spin_lock(&messages_lock);
        message_bar_restore(s);
        spin_unlock(&messages_lock);
    }
    const int rc = s->msix ? device_take(s) : 0;
    if (rc)
        return rc;
    if (!s->msix)
        device_write(s);
    spin_lock(&messages_lock);
    message_control_set(s, s->msix ? (message_control_get(s) | MSIX_ENABLE) & ~MSIX_MASK_ALL
                                   : message_control_get(s) | MSI_ENABLE);
    spin_unlock(&messages_lock);
    return 0;
}

int messages_restore(uint16_t function)
{
    mutex_lock(&changing);
    spin_lock(&messages_lock);
    struct message_device *s = message_device_of(function);
    spin_unlock(&messages_lock);
    const int rc = s ? device_restore(s) : 0;
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
    spin_lock(&messages_lock);
    const uint32_t port = messages[message].user == d ? messages[message].port : 0;
    spin_unlock(&messages_lock);
    return port;
}

int message_bind(struct domain *d, unsigned message, uint32_t port, unsigned cpu)
{
    struct message *m = &messages[message];
    int rc = 0;

    spin_lock(&messages_lock);
    if (m->user != d || !m->device || (m->device->msix && !m->device->ready)) {
        rc = refuse(PIRQ_NOT_MAPPED, PIRQS - 1 - message);
    } else if (m->port) {
        rc = refuse(PIRQ_BOUND, PIRQS - 1 - message);
    } else {
        m->port = port;
        m->cpu = (uint16_t)cpu;
        message_write(m);
    }
    spin_unlock(&messages_lock);
    return rc;
}

void message_move(const struct domain *d, unsigned message, unsigned cpu)
{
    struct message *m = &messages[message];

    spin_lock(&messages_lock);
    if (m->user == d && m->port && m->cpu != cpu) {
        m->cpu = (uint16_t)cpu;
        message_write(m);
    }
    spin_unlock(&messages_lock);
}

void message_release(const struct domain *d, unsigned message, uint32_t port)
{
    struct message *m = &messages[message];

    spin_lock(&messages_lock);
    if (m->user == d && m->port == port) {
        m->port = 0;
        message_write(m);
    }
    spin_unlock(&messages_lock);
}

void message_interrupt(unsigned message)
{
    const struct message *m = &messages[message];

    spin_lock(&messages_lock);
    if (m->port)
        evtchn_set_pending(m->user, m->port);
    spin_unlock(&messages_lock);
}

/* --- audit --- */

unsigned messages_bound(const struct domain *d, unsigned *wrong)
{
    unsigned bound = 0;

    for (unsigned i = 0; i < MESSAGES; i++) {
        if (messages[i].user != d || !messages[i].port)
            continue;
        bound++;
        if (!messages[i].device || !evtchn_is_pirq(d, messages[i].port, PIRQS - 1 - i))
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
            mapped += messages[j].user && messages[j].device == &devices[i];
        if (mapped != devices[i].mapped) {
            printk("audit: device %x has %u messages, %u are its\n", devices[i].function,
                   devices[i].mapped, mapped);
            wrong++;
        }
    }
    return wrong;
}
