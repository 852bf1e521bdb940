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
 * Output.  The hypervisor, and raw domains, take an unfinished line away from its owner.  A domain
 * whose lines are prefixed waits with its own text, which is kept in a small buffer, until the line
 * is free; but not for long: a prompt that no newline follows must show while the user sits there,
 * so after FLUSH_AFTER the text is printed on a new line.
 *
 * How long a CPU is away.  A UART of 115200 baud takes 87 us for a byte, and whoever writes waits for
 * it with interrupts off.  So what a guest writes goes out one FIFO at a time, only when the UART is
 * ready, and between two the caller lets others run (write_all(), evtchn.c's send); on an emulator
 * that is always ready it does so every BURST bytes, of which each may begin a line with a prefix.  The longest single piece is a line that was held
 * back, or one of printk's: 200 bytes.
 *
 * Input.  A byte goes into the ring of the domain in focus if there is room, else it is kept,
 * CONSOLE_INPUT_KEPT of them, and handed on when the guest has read.  What is typed before there is
 * any console waits for the first.
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
#include "domain-config.h"
#include "evtchn.h"
#include "lib.h"
#include "line.h"
#include "sched.h"

#include <xen/io/console.h>

#define LINE_KEPT   200u
#define PIECE       16u         /* bytes: what a UART takes at once */
#define BURST       128u        /* bytes between two preemption points, UART always ready */
#define FLUSH_AFTER 20000000ull /* ns */
#define FLUSH_NEXT  1000000ull  /* ns, between two consoles' held text */
#define FOCUS_KEY   1           /* Ctrl-A */
#define FOCUS_COUNT 3
#define INPUT_ORDER 2 /* 4 pages */
_Static_assert(CONSOLE_INPUT_KEPT == PAGE_SIZE << INPUT_ORDER, "one block");

/* Bytes typed but not yet taken.  The memory is there from the first byte on. */
struct input {
    char *bytes;
    uint32_t first, count;
};

struct console_ring {
    struct list link; /* in order of domain numbers */
    struct domain *domain;
    struct xencons_interface *ring; /* NULL: console_io only */
    uint32_t port;
    uint8_t mode; /* enum console_mode */

    struct input input; /* guarded by the console lock */

    /* Guarded by line_enter(). */
    char last;     /* byte printed */
    uint16_t held; /* bytes of @line that wait for the line to be free */
    char line[LINE_KEPT];
};

static struct {
    spinlock_t lock;
    struct list list;
    struct console_ring *focus; /* NULL: nobody, or the hypervisor */
    bool focus_hypervisor;
    const struct console_keys *keys; /* what is typed to the hypervisor; fixed at boot */
    unsigned focus_keys;             /* how many Ctrl-A in a row */
    struct input early;              /* typed before anybody could have it */
    bool stopped;                    /* console_input_room() has said 0 */
    struct timer flush;
    uint8_t flush_armed; /* (atomic) */
} consoles = {.lock = SPINLOCK_INIT(CONSOLE), .list = {&consoles.list, &consoles.list}};

/* --- on the line --- */

/* One byte of @c's on its own line.  From a ring, bytes are the terminal's, but a newline that
 * comes alone would leave the cursor where it is: console_io and prefixed lines get their carriage
 * return here. */
static inline void put_byte(struct console_ring *c, char byte)
{
    if (byte == '\n' && c->last != '\r' && (c->mode == CONSOLE_PREFIX || !c->ring))
        line_emit('\r');
    line_emit(byte);
    c->last = byte;
    serial_line.open = byte != '\n';
}

static void put_prefix(const struct console_ring *c)
{
    char prefix[16];
    snprintf(prefix, sizeof(prefix), "(d%u) ", c->domain->id);
    line_emit_text(prefix);
}

/* Print what was held back, on a line of @c's own. */
static void put_held(struct console_ring *c)
{
    line_take(c);
    if (!serial_line.open)
        put_prefix(c);
    for (unsigned i = 0; i < c->held; i++)
        put_byte(c, c->line[i]);
    c->held = 0;
}

static void hold_byte(struct console_ring *c, char byte)
{
    c->line[c->held++] = byte;
    if (byte == '\n' || c->held == LINE_KEPT)
        put_held(c);
}

static noinline_ void write_prefixed(struct console_ring *c, const char *s, size_t n)
{
    for (; n; n--, s++) {
        if (serial_line.open && serial_line.owner != c) {
            hold_byte(c, *s);
        } else if (c->held) { /* the line has become free */
            put_held(c);
            put_byte(c, *s);
        } else {
            serial_line.owner = c;
            if (!serial_line.open)
                put_prefix(c);
            put_byte(c, *s);
        }
    }
}

static inline void write_raw(struct console_ring *c, const char *s, size_t n)
{
    line_take(c);
    for (; n; n--, s++)
        put_byte(c, *s);
}

static void flush_at(uint64_t when)
{
    if (!atomic_exchange(&consoles.flush_armed, 1))
        timer_set(&consoles.flush, when);
}

/* One console's text at a time: this is an interrupt. */
static void flush_held(struct timer *t)
{
    bool done = false, more = false;

    atomic_set(&consoles.flush_armed, 0);
    spin_lock(&consoles.lock);
    list_for_each(it, &consoles.list)
    {
        struct console_ring *c = list_entry(it, struct console_ring, link);
        bool entered = line_enter();
        more |= c->held && done;
        if (c->held && !done) {
            put_held(c);
            done = true;
        }
        line_leave(entered);
    }
    spin_unlock(&consoles.lock);
    if (more)
        flush_at(arch_now() + FLUSH_NEXT);
}

/* As many of @n bytes as the UART takes now without making us wait, or BURST; how many.  0: it is not ready. */
static inline __attribute__((always_inline)) size_t console_write(struct console_ring *c,
                                                                  const char *s, size_t n)
{
    size_t done = 0;

    if (c->mode == CONSOLE_OFF)
        return n;
    bool entered = line_enter();
    for (;;) {
        const size_t piece = MIN(n - done, PIECE);
        if (!arch_serial_ready(piece))
            break;
        if (c->mode == CONSOLE_PREFIX)
            write_prefixed(c, s + done, piece);
        else
            write_raw(c, s + done, piece);
        done += piece;
        if (done == n || done >= BURST)
            break;
        line_flush();
    }
    bool held = c->held;
    line_leave(entered);
    if (held)
        flush_at(arch_now() + FLUSH_AFTER);
    return done;
}

/* The same where it matters less how long it takes. */
static noinline_ size_t console_write_on(struct console_ring *c, const char *s, size_t n)
{
    return console_write(c, s, n);
}

/* --- rings: out --- */

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
    uint32_t done = (uint32_t)console_write_on(c, r->out + start, straight);
    if (done == straight && straight < n)
        done += (uint32_t)console_write_on(c, r->out, n - straight);
    atomic_set_release(&r->out_cons, cons + done);
    return done == n ? DRAIN_ALL : DRAIN_MORE;
}

/* --- input
 * ------------------------------------------------------------------------------------------------
 */

static bool input_put(struct input *in, char byte)
{
    if (!in->bytes)
        in->bytes = page_alloc_zeroed(INPUT_ORDER);
    if (!in->bytes || in->count == CONSOLE_INPUT_KEPT)
        return false;
    in->bytes[(in->first + in->count++) % CONSOLE_INPUT_KEPT] = byte;
    return true;
}

/* There is room again. */
static void input_resume(void)
{
    if (unlikely(consoles.stopped)) {
        consoles.stopped = false;
        arch_serial_resume();
    }
}

static char input_take(struct input *in)
{
    char byte = in->bytes[in->first];
    in->first = (in->first + 1) % CONSOLE_INPUT_KEPT;
    in->count--;
    return byte;
}

static void input_free(struct input *in)
{
    if (in->bytes)
        page_free_virt(in->bytes, INPUT_ORDER);
    *in = (struct input){0};
}

/* Move bytes that were kept into the guest's ring.  True if any. */
static bool refill(struct console_ring *c)
{
    struct xencons_interface *r = c->ring;
    uint32_t prod = atomic_read(&r->in_prod);
    const uint32_t used = prod - atomic_read_acquire(&r->in_cons);
    if (used >= sizeof(r->in) || !c->input.count)
        return false;

    for (uint32_t room = (uint32_t)sizeof(r->in) - used; room && c->input.count; room--)
        r->in[MASK_XENCONS_IDX(prod++, r->in)] = input_take(&c->input);
    atomic_set_release(&r->in_prod, prod);
    input_resume();
    return true;
}

static void tell_guest(struct console_ring *c)
{
    if (!c->input.count)
        return;
    if (!c->ring)
        virq_raise_global(c->domain, VIRQ_CONSOLE);
    else if (refill(c))
        evtchn_set_pending(c->domain, c->port);
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
    moved |= refill(c);
    spin_unlock(&consoles.lock);
    if (moved)
        evtchn_set_pending(d, port);
    return false;
}

/* --- the focus --- */

static void announce_focus(void)
{
    if (consoles.focus)
        printk("input goes to d%u (Ctrl-A three times moves it on)\n", consoles.focus->domain->id);
    else
        printk("input goes to the hypervisor: h for help (Ctrl-A three times moves it on)\n");
}

/* First domain, second, ..., the hypervisor, first domain again. */
static void move_focus(void)
{
    struct list *at = consoles.focus ? consoles.focus->link.next : consoles.list.next;
    if (!consoles.focus && !consoles.focus_hypervisor)
        at = &consoles.list;
    if (consoles.focus_hypervisor)
        consoles.keys->leave();
    consoles.focus_hypervisor = at == &consoles.list;
    consoles.focus = consoles.focus_hypervisor ? NULL : list_entry(at, struct console_ring, link);
    announce_focus();
    input_resume();
}

/* A byte for whoever has the focus (console lock held). */
static void deliver(char byte)
{
    struct console_ring *c = consoles.focus;
    if (consoles.focus_hypervisor) {
        consoles.keys->key(byte);
    } else if (c) {
        (void)input_put(&c->input, byte);
        tell_guest(c);
    } else {
        (void)input_put(&consoles.early, byte);
    }
}

/* Ctrl-A are kept back until it is clear that there are fewer than three. */
void console_input(char byte)
{
    spin_lock(&consoles.lock);
    if (byte == FOCUS_KEY) {
        if (++consoles.focus_keys == FOCUS_COUNT) {
            consoles.focus_keys = 0;
            move_focus();
        }
    } else {
        for (; consoles.focus_keys; consoles.focus_keys--)
            deliver(FOCUS_KEY);
        deliver(byte);
    }
    spin_unlock(&consoles.lock);
}

unsigned console_input_room(void)
{
    const struct input *in = consoles.focus ? &consoles.focus->input : &consoles.early;
    const unsigned room = consoles.focus_hypervisor ? 1 : CONSOLE_INPUT_KEPT - in->count;
    if (!room)
        consoles.stopped = true;
    return room;
}

/* --- consoles come and go --- */

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

    if (!c->domain->config || c->domain->config->has_console) {
        if (!consoles.focus_hypervisor)
            consoles.focus = c;
        c->input = consoles.early;
        consoles.early = (struct input){0};
        tell_guest(c);
    }
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
    bool entered = line_enter();
    if (c->held)
        put_held(c);
    if (serial_line.owner == c)
        line_take(NULL);
    line_leave(entered);

    list_remove(&c->link);
    if (consoles.focus == c)
        consoles.focus = list_empty(&consoles.list)
                             ? NULL
                             : list_entry(consoles.list.next, struct console_ring, link);
    input_resume();
    d->console = NULL;
    spin_unlock(&consoles.lock);

    input_free(&c->input);
    if (c->ring)
        page_put_and_type(mfn_to_page(virt_to_mfn(c->ring)));
    mem_free(c, sizeof(*c));
}

unsigned console_early_frames(void)
{
    return consoles.early.bytes ? 1u << INPUT_ORDER : 0;
}

/* The console of a domain that uses console_io: made when it is first used. */
static struct console_ring *console_of(struct domain *d)
{
    if (!d->console) {
        struct console_ring *c = console_create(d);
        if (c && !console_list(c))
            mem_free(c, sizeof(*c));
    }
    return d->console;
}

int console_domain_write(struct domain *d, const char *s, size_t n)
{
    struct console_ring *c = d->console ?: console_of(d);
    if (unlikely(!c))
        return -XEN_ENOMEM;
    size_t done = n ? console_write(c, s, n) : 0;
    while (unlikely(done < n) && !preempt_point()) /* true: its domain is being ended */
        done += console_write_on(c, s + done, n - done);
    return 0;
}

int console_domain_read(struct domain *d, char *s, size_t n)
{
    struct console_ring *c = console_of(d);
    if (!c)
        return -XEN_ENOMEM;
    int done = 0;
    spin_lock(&consoles.lock);
    while ((size_t)done < n && c->input.count)
        s[done++] = input_take(&c->input);
    input_resume();
    spin_unlock(&consoles.lock);
    return done;
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
    consoles.keys = keys;
    timer_init(&consoles.flush, flush_held);

    static struct audit_holder holder = {.count = count_ring};
    audit_register(&holder);
}
