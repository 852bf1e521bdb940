/*
 * Consoles' way in: typed bytes, and who gets them: the domain in focus, or the hypervisor (console.c has the picture).
 *
 * A byte goes into the ring of the domain in focus if there is room, else it is kept,
 * CONSOLE_INPUT_KEPT of them, and handed on when the guest has read.  What is typed before there is
 * any console waits for the first.
 */
#include "console-ring.h"

#include "arch.h"
#include "evtchn.h"
#include "lib.h"
#include "page.h"

#define FOCUS_KEY   1 /* Ctrl-A */
#define FOCUS_COUNT 3
#define INPUT_ORDER 2 /* 4 pages */
_Static_assert(CONSOLE_INPUT_KEPT == PAGE_SIZE << INPUT_ORDER, "one block");

/* All guarded by the console lock. */
static struct console_ring *focus; /* NULL: nobody, or the hypervisor */
static bool focus_hypervisor;
static const struct console_keys *keys; /* what is typed to the hypervisor; fixed at boot */
static unsigned focus_keys;             /* how many Ctrl-A in a row */
static struct console_input early;      /* typed before anybody could have it */
static bool stopped;                    /* console_input_room() has said 0 */

static bool input_put(struct console_input *in, char byte)
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
    if (unlikely(stopped)) {
        stopped = false;
        arch_serial_resume();
    }
}

static char input_take(struct console_input *in)
{
    char byte = in->bytes[in->first];
    in->first = (in->first + 1) % CONSOLE_INPUT_KEPT;
    in->count--;
    return byte;
}

void console_input_free(struct console_ring *c)
{
    if (c->input.bytes)
        page_free_virt(c->input.bytes, INPUT_ORDER);
    c->input = (struct console_input){0};
}

bool console_input_refill(struct console_ring *c)
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
    else if (console_input_refill(c))
        evtchn_set_pending(c->domain, c->port);
}

static void announce_focus(void)
{
    if (focus)
        printk("input goes to d%u (Ctrl-A three times moves it on)\n", focus->domain->id);
    else
        printk("input goes to the hypervisor: h for help (Ctrl-A three times moves it on)\n");
}

/* First domain, second, ..., the hypervisor, first domain again. */
static void move_focus(void)
{
    struct list *at = focus ? focus->link.next : consoles.list.next;
    if (!focus && !focus_hypervisor)
        at = &consoles.list;
    if (focus_hypervisor)
        keys->leave();
    focus_hypervisor = at == &consoles.list;
    focus = focus_hypervisor ? NULL : list_entry(at, struct console_ring, link);
    announce_focus();
    input_resume();
}

/* A byte for whoever has the focus (console lock held). */
static void deliver(char byte)
{
    struct console_ring *c = focus;
    if (focus_hypervisor) {
        keys->key(byte);
    } else if (c) {
        (void)input_put(&c->input, byte);
        tell_guest(c);
    } else {
        (void)input_put(&early, byte);
    }
}

/* Ctrl-A are kept back until it is clear that there are fewer than three. */
void console_input(char byte)
{
    spin_lock(&consoles.lock);
    if (byte == FOCUS_KEY) {
        if (++focus_keys == FOCUS_COUNT) {
            focus_keys = 0;
            move_focus();
        }
    } else {
        for (; focus_keys; focus_keys--)
            deliver(FOCUS_KEY);
        deliver(byte);
    }
    spin_unlock(&consoles.lock);
}

unsigned console_input_room(void)
{
    const struct console_input *in = focus ? &focus->input : &early;
    const unsigned room = focus_hypervisor ? 1 : CONSOLE_INPUT_KEPT - in->count;
    if (!room)
        stopped = true;
    return room;
}

void console_input_begin(struct console_ring *c)
{
    if (!focus_hypervisor)
        focus = c;
    c->input = early;
    early = (struct console_input){0};
    tell_guest(c);
}

void console_input_move_away(struct console_ring *c)
{
    if (focus == c)
        focus = list_empty(&consoles.list)
                    ? NULL
                    : list_entry(consoles.list.next, struct console_ring, link);
    input_resume();
}

void console_input_init(const struct console_keys *hypervisor_keys)
{
    keys = hypervisor_keys;
}

unsigned console_early_frames(void)
{
    return early.bytes ? 1u << INPUT_ORDER : 0;
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
