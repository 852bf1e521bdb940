/*
 * Lines: interrupts of devices, for domains with the hardware role.
 *
 *     device -> pin of the IO-APIC -> vector INTERRUPT_LINE + pin -> line_interrupt() -> the event channel that is
 *     bound to it
 *
 * A line has the number of its pin (a GSI), and the same number as pirq; the pins of the first IO-APIC are all there
 * are.  A domain maps a line to say that it means to use it, says how it is triggered, and binds it to a port: from
 * then on the pin is unmasked, and the line is nobody else's.  A line that is triggered by its level stays asserted
 * until its device has been served, so its pin is masked when it arrives and unmasked when the guest says that it has
 * done so (PHYSDEVOP_eoi): a guest that does not gets no further interrupt, and one that is torn down has its pins
 * masked.  What triggers by an edge needs no masking.
 *
 * Lines of the hypervisor's own devices, the serial lines and the interval timer, are taken (lines_take).
 */
#include "machine.h"
#include "evtchn.h"
#include "lines.h"
#include "lock.h"
#include "refuse.h"

static struct line {
    struct domain *user; /* who has bound it, or NULL */
    uint32_t port;       /* its */
    bool taken;          /* for a device of the hypervisor's */
    struct line_mode mode;
    bool in_service; /* triggered by level, and masked until the user has served it */
} lines[LINES_MAX];
static unsigned count;
static spinlock_t lock = SPINLOCK_INIT(LINES); /* guards all of it, and the IO-APIC's registers */

void lines_init(void)
{
    count = MIN(ioapic_pins(), LINES_MAX);
    for (unsigned gsi = 0; gsi < count; gsi++)
        lines[gsi].mode.level = lines[gsi].mode.low = gsi >= ARRAY_SIZE(acpi.isa_gsi);
    for (unsigned irq = 0; irq < ARRAY_SIZE(acpi.isa_gsi); irq++) {
        const unsigned gsi = acpi.isa_gsi[irq], flags = acpi.isa_flags[irq];
        /* What another interrupt is wired to is not the one that nothing is said of. */
        if (gsi >= count || (gsi == irq && !flags))
            continue;
        /* MPS flags: 3 in bits 1:0 is active low, 3 in bits 3:2 is level; ISA's default is high, edge. */
        lines[gsi].mode.low = (flags & 3) == 3;
        lines[gsi].mode.level = (flags >> 2 & 3) == 3;
    }
    lines_take(0, 0); /* the interval timer's */
}

void lines_take(unsigned irq, uint8_t vector)
{
    const unsigned gsi = acpi.isa_gsi[irq];

    if (gsi >= count)
        return;
    spin_lock(&lock);
    lines[gsi].taken = true;
    if (vector)
        ioapic_route(gsi, vector, 0, lines[gsi].mode.level, lines[gsi].mode.low);
    spin_unlock(&lock);
}

static bool is_mapped(const struct domain *d, unsigned gsi) REQUIRES(&lock)
{
    return gsi < count && (d->arch.lines & BIT(gsi));
}

int line_bind(struct domain *d, unsigned gsi, uint32_t port, unsigned cpu)
{
    int rc = 0;

    spin_lock(&lock);
    struct line *l = is_mapped(d, gsi) ? &lines[gsi] : NULL;
    if (!l)
        rc = refuse(PIRQ_NOT_MAPPED, gsi);
    else if (l->user == d)
        rc = refuse(PIRQ_BOUND, gsi);
    else if (l->taken || l->user)
        rc = refuse(PIRQ_BUSY, gsi);
    if (!rc) {
        l->user = d;
        l->port = port;
        l->in_service = false;
        ioapic_route(gsi, (uint8_t)(INTERRUPT_LINE + gsi), cpu, l->mode.level, l->mode.low);
    }
    spin_unlock(&lock);
    return rc;
}

void line_move(unsigned gsi, unsigned cpu)
{
    spin_lock(&lock);
    ioapic_aim(gsi, cpu);
    spin_unlock(&lock);
}

void line_release(unsigned gsi)
{
    spin_lock(&lock);
    ioapic_mask(gsi);
    lines[gsi].user = NULL;
    lines[gsi].in_service = false;
    spin_unlock(&lock);
}

void line_interrupt(unsigned gsi)
{
    spin_lock(&lock);
    struct line *l = &lines[gsi];
    /* The pin of a line that was released a moment ago is masked, its interrupt may have been under way. */
    if (l->user) {
        if (l->mode.level) {
            l->in_service = true;
            ioapic_mask(gsi);
        }
        evtchn_set_pending(l->user, l->port);
    }
    spin_unlock(&lock);
}

bool line_is_level(unsigned gsi)
{
    return lines[gsi].mode.level;
}

#define FIRST_FREE 16u /* below are those whose numbers every PC knows */

int line_reserve(struct domain *d)
{
    int found = -1;

    spin_lock(&lock);
    for (unsigned gsi = FIRST_FREE; gsi < count && found < 0; gsi++)
        if (!((d->arch.lines | d->arch.lines_reserved) & BIT(gsi)))
            found = (int)gsi;
    if (found >= 0)
        d->arch.lines_reserved |= BIT(found);
    spin_unlock(&lock);
    return found;
}

int line_map(struct domain *d, unsigned gsi)
{
    if (gsi >= count)
        return refuse(LINE_RANGE, gsi, count);
    spin_lock(&lock);
    d->arch.lines |= BIT(gsi);
    spin_unlock(&lock);
    return 0;
}

int line_unmap(struct domain *d, unsigned gsi)
{
    int rc = 0;

    spin_lock(&lock);
    if (!is_mapped(d, gsi))
        rc = refuse(PIRQ_NOT_OWNED, gsi);
    else if (lines[gsi].user == d)
        rc = refuse(PIRQ_STILL_BOUND, gsi);
    else
        d->arch.lines &= ~BIT(gsi), d->arch.lines_reserved &= ~BIT(gsi);
    spin_unlock(&lock);
    return rc;
}

int line_configure(unsigned gsi, struct line_mode mode)
{
    int rc = 0;

    if (gsi >= count)
        return refuse(LINE_RANGE, gsi, count);
    spin_lock(&lock);
    if (lines[gsi].user || lines[gsi].taken) {
        rc = refuse(LINE_IN_USE, gsi);
    } else {
        lines[gsi].mode = mode;
    }
    spin_unlock(&lock);
    return rc;
}

int line_served(struct domain *d, unsigned gsi)
{
    int rc = 0;

    spin_lock(&lock);
    if (!is_mapped(d, gsi)) {
        rc = refuse(PIRQ_NOT_OWNED, gsi);
    } else if (lines[gsi].user == d && lines[gsi].in_service) {
        lines[gsi].in_service = false;
        ioapic_unmask(gsi);
    }
    spin_unlock(&lock);
    return rc;
}

int ioapic_peek(uint64_t address, unsigned index, uint32_t *value)
{
    if (address != acpi.ioapic || !count || index > 0xff)
        return refuse(IOAPIC_MISSING, address, index);
    spin_lock(&lock);
    *value = ioapic_register(index);
    spin_unlock(&lock);
    return 0;
}

uint32_t line_port(const struct domain *d, unsigned gsi)
{
    spin_lock(&lock);
    const uint32_t port = gsi < count && lines[gsi].user == d ? lines[gsi].port : 0;
    spin_unlock(&lock);
    return port;
}

unsigned lines_bound(const struct domain *d, unsigned *wrong)
{
    unsigned bound = 0;

    for (unsigned gsi = 0; gsi < count; gsi++) {
        if (lines[gsi].user != d)
            continue;
        bound++;
        if (!(d->arch.lines & BIT(gsi)) || !evtchn_is_pirq(d, lines[gsi].port, gsi))
            ++*wrong;
    }
    return bound;
}
