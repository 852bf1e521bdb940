/*
 * Consoles: one serial line for the hypervisor and every domain.
 *
 *        guest writes              printk()
 *   console ring | console_io          |
 *            drain()                   |
 *               \                      |
 *   modes:  raw: bytes as they come    |          typed bytes: console_input()
 *           prefix: "(d1) " + line     |               |  Ctrl-A Ctrl-A Ctrl-A moves the focus
 *                 \                   /                v
 *                  the line (line.c)                 focus: a domain (ring, or bytes kept for it),
 *                         |                                 or the hypervisor (debug keys)
 *                 arch_serial_write()
 *
 * Each domain's console is a struct console_ring, also that of a domain which has no ring.  This file makes and ends them, and empties
 * rings; console-output.c is the way to the line, console-input.c that of typed bytes.
 *
 * The ring lies in guest memory.  Its frame is held with the writable type, so it can become
 * neither a page table nor somebody else's; each index is read once and believed only if it makes
 * sense.
 *
 * Locks: CONSOLE guards the list of consoles, the focus and everything about input.  What is printed
 * is guarded by line_enter().  The out half of a ring is drained with the domain's evtchn_lock held,
 * or when it does not run any more.
 */
#include "console.h"

#include "arch.h"
#include "audit.h"
#include "console-ring.h"
#include "domain-config.h"
#include "evtchn.h"
#include "lib.h"
#include "line.h"
#include "sched.h"

struct consoles consoles = {.lock = SPINLOCK_INIT(CONSOLE),
                            .list = {&consoles.list, &consoles.list}};

/* What was found in the out half of a ring. */
enum drained { DRAIN_NOTHING, DRAIN_ALL, DRAIN_MORE /* the UART is not ready for all of it */ };

/* Take what the guest has written, or the part of it that the UART takes now. */
static enum drained drain(struct console_ring *c)
{
    struct xencons_interface *r = c->ring;
    const uint32_t prod = atomic_read_acquire(&r->out_prod);
    const uint32_t cons = atomic_read(&r->out_cons);
    const uint32_t n = prod - cons;
    if (n == 0 || n > sizeof(r->out)) /* nothing, or nonsense: the guest's own loss */
        return DRAIN_NOTHING;

    const uint32_t start = MASK_XENCONS_IDX(cons, r->out);
    const uint32_t straight = MIN(n, (uint32_t)sizeof(r->out) - start);
    uint32_t done = (uint32_t)console_output_write(c, r->out + start, straight);
    if (done == straight && straight < n)
        done += (uint32_t)console_output_write(c, r->out, n - straight);
    atomic_set_release(&r->out_cons, cons + done);
    return done == n ? DRAIN_ALL : DRAIN_MORE;
}

/* The guest has written, or read, or both.  It is told when all is out, as if that had taken no time. */
static bool ring_notified(struct domain *d, uint32_t port)
{
    struct console_ring *c = d->console;
    if (!c || !c->ring)
        return false;
    const enum drained drained = drain(c);
    if (drained == DRAIN_MORE)
        return true;
    bool moved = drained == DRAIN_ALL;
    spin_lock(&consoles.lock);
    moved |= console_input_refill(c);
    spin_unlock(&consoles.lock);
    if (moved)
        evtchn_set_pending(d, port);
    return false;
}

static struct console_ring *console_create(struct domain *d)
{
    struct console_ring *c = mem_alloc(sizeof(*c));
    if (!c)
        return NULL;
    c->domain = d;
    c->mode = d->config ? d->config->console : CONSOLE_RAW;
    return c;
}

/* List @c; it gets the focus, and what was typed before, if its configuration says so.  False, and
 * nothing is done, if its domain has a console by now. */
static bool console_list(struct console_ring *c)
{
    spin_lock(&consoles.lock);
    if (c->domain->console) {
        spin_unlock(&consoles.lock);
        return false;
    }
    struct list *at = consoles.list.next;
    while (at != &consoles.list &&
           list_entry(at, struct console_ring, link)->domain->id < c->domain->id)
        at = at->next;
    list_add_before(at, &c->link);
    c->domain->console = c;

    if (!c->domain->config || c->domain->config->has_console)
        console_input_begin(c);
    spin_unlock(&consoles.lock);
    return true;
}

long console_attach(struct domain *d, mfn_t ring)
{
    struct page_info *pg = mfn_to_page(ring);
    struct console_ring *c = console_create(d);
    if (!c)
        return -XEN_ENOMEM;
    long port = evtchn_alloc_hypervisor(d, ring_notified);
    if (port < 0)
        goto no_port;
    int rc = page_get_and_type(pg, d, PAGE_TYPE_WRITABLE);
    if (rc) {
        port = rc;
        goto no_port; /* the port goes with the domain */
    }
    c->ring = mfn_to_virt(ring);
    c->port = (uint32_t)port;
    (void)console_list(c); /* the builder calls once */
    return port;

no_port:
    mem_free(c, sizeof(*c));
    return port;
}

void console_detach(struct domain *d)
{
    struct console_ring *c = d->console;
    if (!c)
        return;
    while (c->ring && drain(c) == DRAIN_MORE)
        (void)preempt_point();

    spin_lock(&consoles.lock);
    console_output_end(c);
    list_remove(&c->link);
    console_input_move_away(c);
    d->console = NULL;
    spin_unlock(&consoles.lock);

    console_input_free(c);
    if (c->ring)
        page_put_and_type(mfn_to_page(virt_to_mfn(c->ring)));
    mem_free(c, sizeof(*c));
}

struct console_ring *console_of(struct domain *d)
{
    if (!d->console) {
        struct console_ring *c = console_create(d);
        if (c && !console_list(c))
            mem_free(c, sizeof(*c));
    }
    return d->console;
}

/* A ring's frame is held as long as the ring is served: whoever ends that does so under these locks. */
static void count_ring(struct domain *d)
{
    spin_lock(&d->evtchn_lock);
    spin_lock(&consoles.lock);
    if (d->console && d->console->ring)
        audit_count(virt_to_mfn(d->console->ring), true);
    spin_unlock(&consoles.lock);
    spin_unlock(&d->evtchn_lock);
}

void console_init(const struct console_keys *keys)
{
    console_input_init(keys);
    console_output_init();

    static struct audit_holder holder = {.count = count_ring};
    audit_register(&holder);
}
