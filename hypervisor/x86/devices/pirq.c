/*
 * Physical interrupts (pirq): the numbers under which a domain with the hardware role knows lines and messages.
 *
 *     0 .. count of lines - 1                  lines of the IO-APIC, each by its own number (lines.c)
 *     PIRQS - MESSAGES .. PIRQS - 1            messages of devices, the first free from the top downwards (messages.c)
 *
 * A domain may name a page of its own in which the hypervisor keeps a bit for each: must it say when it has served it
 * (PHYSDEVOP_eoi)?  Only a line that is triggered by its level needs that.
 */
#include "pirq.h"

#include "arch.h"
#include "audit.h"
#include "evtchn.h"
#include "lines.h"
#include "machine.h"
#include "bus-master.h"
#include "messages.h"
#include "page.h"
#include "refuse.h"

_Static_assert(LINES_MAX + MESSAGES <= PIRQS, "each has a number of its own");
_Static_assert(INTERRUPT_MESSAGE + MESSAGES <= INTERRUPT_AT_ANY_TIME,
               "each has a vector of its own");

static bool is_message(unsigned pirq)
{
    return pirq >= PIRQS - MESSAGES && pirq < PIRQS;
}

/* The bit of @d's page that says whether @pirq wants its EOI. */
static void eoi_map_set(const struct domain *d, unsigned pirq, bool wanted)
{
    struct page_info *page = atomic_read(&d->arch.eoi_map);

    if (!page)
        return;
    uint64_t *bits = mfn_to_virt(page_to_mfn(page));
    if (wanted)
        (void)atomic_test_and_set_bit(bits, pirq);
    else
        (void)atomic_and(&bits[pirq / 64], ~BIT(pirq % 64));
}

int arch_pirq_bind(struct domain *d, unsigned pirq, uint32_t port, unsigned cpu)
{
    const int rc = is_message(pirq) ? message_bind(d, PIRQS - 1 - pirq, port, cpu)
                                    : line_bind(d, pirq, port, cpu);

    if (!rc)
        eoi_map_set(d, pirq, !is_message(pirq) && line_is_level(pirq));
    return rc;
}

void arch_pirq_move(struct domain *d, unsigned pirq, unsigned cpu)
{
    if (is_message(pirq))
        message_move(d, PIRQS - 1 - pirq, cpu);
    else
        line_move(pirq, cpu);
}

void arch_pirq_release(struct domain *d, unsigned pirq, uint32_t port)
{
    if (is_message(pirq))
        message_release(d, PIRQS - 1 - pirq, port);
    else
        line_release(pirq);
    eoi_map_set(d, pirq, false);
}

int pirq_unmap(struct domain *d, unsigned pirq)
{
    return is_message(pirq) ? message_unmap(d, PIRQS - 1 - pirq) : line_unmap(d, pirq);
}

int pirq_served(struct domain *d, unsigned pirq)
{
    int rc = 0;

    if (!is_message(pirq))
        rc = line_served(d, pirq);
    else if (!message_is_mapped(d, PIRQS - 1 - pirq))
        rc = refuse(PIRQ_NOT_OWNED, pirq);
    if (rc || likely(!d->arch.eoi_unmasks))
        return rc;
    const uint32_t port = is_message(pirq) ? message_port(d, PIRQS - 1 - pirq) : line_port(d, pirq);
    return port ? evtchn_unmask(d, port) : 0;
}

int pirq_reserve(struct domain *d, enum pirq_kind kind)
{
    const int gsi = kind == PIRQ_OF_LINE ? line_reserve(d) : -1;
    const int message = gsi >= 0 ? 0 : message_reserve(d);

    return gsi >= 0 ? gsi : message < 0 ? message : (int)PIRQS - 1 - message;
}

int pirq_eoi_map(struct domain *d, uint64_t frame, enum eoi_effect effect)
{
    struct page_info *page = mfn_valid(mfn(frame)) ? mfn_to_page(mfn(frame)) : NULL;

    mutex_lock(&d->mmu);
    int rc = page && page_get_and_type(page, d, PAGE_TYPE_WRITABLE) == 0
                 ? 0
                 : refuse(EOI_MAP_FRAME, frame);
    if (!rc && d->arch.eoi_map) {
        page_put_and_type(page);
        rc = refuse(EOI_MAP_SET, frame);
    }
    if (!rc) {
        d->arch.eoi_unmasks = effect == EOI_UNMASKS_PORT;
        atomic_set_release(&d->arch.eoi_map, page);
    }
    mutex_unlock(&d->mmu);
    return rc;
}

void arch_devices_end(struct domain *d)
{
    struct page_info *page = d->arch.eoi_map;

    messages_end(d);
    bus_masters_end(d);
    if (!page)
        return;
    mutex_lock(&d->mmu);
    d->arch.eoi_map = NULL;
    page_put_and_type(page);
    mutex_unlock(&d->mmu);
}

/* --- audit --- */

static void count_map(struct domain *d)
{
    if (d->arch.eoi_map)
        audit_count(page_to_mfn(d->arch.eoi_map), true);
}

/* Each line and message that is bound has a port that says so, and each such port has one. */
static unsigned compare(void)
{
    unsigned differences = messages_miscounted();

    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        unsigned wrong = 0;
        const unsigned bound = lines_bound(d, &wrong) + messages_bound(d, &wrong);
        const unsigned ports = evtchn_pirqs(d);
        if (!wrong && bound == ports)
            continue;
        printk("audit: domain %u has %u physical interrupts bound, %u of them wrongly, and %u "
               "ports for them\n",
               d->id, bound, wrong, ports);
        differences++;
    }
    return differences;
}

void pirq_audit_init(void)
{
    static struct audit_holder holder = {.count = count_map, .compare = compare};
    audit_register(&holder);
}
