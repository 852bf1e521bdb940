/*
 * The store between domains: who may read and write what, who hears of it, what fails a transaction, who pays, and
 * what is left of a domain that is gone.  The answers are xenstored's.
 */
#include "suite.h"
#include "evtchn.h"
#include "xenstore.h"

#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>

#define RING    30u /* the guest's frame */
#define DOMAINS 4u

static struct side {
    struct guest g;
    struct xenstore_domain_interface *ring;
    struct evtchn_send port;
    bool there;
    struct xsd_sockmsg answer;
    char text[XENSTORE_PAYLOAD_MAX + 1];
    unsigned events;
    char event[512]; /* the last */
} sides[DOMAINS];

static uint64_t frames_at_rest;

static void come(unsigned id, uint16_t roles)
{
    struct side *s = &sides[id];

    guest_create(&s->g, (domid_t)id, 64, 1);
    s->g.d->roles |= roles;
    long rc = xenstore_attach(s->g.d, guest_mfn(&s->g, RING), guest_mfn(&s->g, RING), 7);
    cr_assert(rc > 0);
    s->port.port = (uint32_t)rc;
    s->ring = (struct xenstore_domain_interface *)guest_page(&s->g, RING);
    memset(s->ring, 0, PAGE_SIZE);
    s->there = true;
    s->events = 0;
    s->event[0] = 0;
}

static void go(unsigned id)
{
    guest_destroy(&sides[id].g);
    sides[id].there = false;
}

static void start(void)
{
    world_start(1, 2048);
    frames_at_rest = page_free_count();
    for (unsigned id = 1; id < DOMAINS; id++)
        come(id, 0);
}

static void finish(void)
{
    world_check();
    for (unsigned id = 1; id < DOMAINS; id++)
        if (sides[id].there)
            go(id);
    world_check_empty();
    assert_eq_long(page_free_count(), frames_at_rest);
}

TestSuite(xenstore_domains, .init = start, .fini = finish);

static void notify(struct side *s)
{
    assert_ok(
        guest_op(s->g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &s->port, sizeof(s->port)));
}

static void put(struct side *s, const void *from, size_t n)
{
    for (const char *c = from; n; n--) {
        if (s->ring->req_prod - s->ring->req_cons == XENSTORE_RING_SIZE)
            notify(s);
        s->ring->req[MASK_XENSTORE_IDX(s->ring->req_prod++)] = *c++;
    }
}

static void get(struct side *s, void *to, size_t n)
{
    for (char *c = to; n; n--) {
        if (s->ring->rsp_prod == s->ring->rsp_cons)
            notify(s);
        cr_assert(s->ring->rsp_prod != s->ring->rsp_cons, "no answer");
        *c++ = s->ring->rsp[MASK_XENSTORE_IDX(s->ring->rsp_cons++)];
    }
}

static void receive(struct side *s)
{
    get(s, &s->answer, sizeof(s->answer));
    get(s, s->text, s->answer.len);
    s->text[s->answer.len] = 0;
    if (s->answer.type == XS_WATCH_EVENT) {
        s->events++;
        string_copy(s->event, s->text, sizeof(s->event));
    }
}

static const char *ask_in(unsigned id, uint32_t tx, uint32_t type, const char *payload, size_t n)
{
    struct side *s = &sides[id];
    const struct xsd_sockmsg m = {type, 77, tx, (uint32_t)n};

    put(s, &m, sizeof(m));
    put(s, payload, n);
    do
        receive(s);
    while (s->answer.type == XS_WATCH_EVENT);
    return s->text;
}

#define ask(id, type, text)        ask_in(id, 0, XS_##type, text, sizeof(text) - 1)
#define ask_tx(id, tx, type, text) ask_in(id, tx, XS_##type, text, sizeof(text) - 1)

#define assert_text(have, want)                                                   \
    do {                                                                          \
        const char *have_ = (have);                                               \
        cr_assert(!strcmp(have_, want), "\"%s\" instead of \"%s\"", have_, want); \
    } while (0)

/* What is in the ring already, without asking: how many events. */
static unsigned heard(unsigned id)
{
    struct side *s = &sides[id];

    while (s->ring->rsp_prod != s->ring->rsp_cons)
        receive(s);
    const unsigned n = s->events;
    s->events = 0;
    return n;
}

static uint32_t begin(unsigned id)
{
    return (uint32_t)strtoul(ask(id, TRANSACTION_START, "\0"), NULL, 10);
}

/* --- permissions ----------------------------------------------------------------------------- */

Test(xenstore_domains, permissions_are_the_nodes)
{
    assert_text(ask(1, READ, "/local/domain/2/name\0"), "EACCES");
    assert_text(ask(1, READ, "/local/domain/2/data/none\0"), "EACCES");
    assert_text(ask(2, WRITE, "data/a\0secret"), "OK");
    assert_text(ask(1, READ, "/local/domain/2/data/a\0"), "EACCES");
    assert_text(ask(2, SET_PERMS, "data/a\0n2\0r1\0"), "OK");
    assert_text(ask(1, READ, "/local/domain/2/data/a\0"), "secret");
    assert_text(ask(3, READ, "/local/domain/2/data/a\0"), "EACCES");
    assert_text(ask(1, WRITE, "/local/domain/2/data/a\0x"), "EACCES");
    assert_text(ask(2, SET_PERMS, "data/a\0r2\0w1\0"), "OK");
    assert_text(ask(3, READ, "/local/domain/2/data/a\0"), "secret");
    assert_text(ask(1, READ, "/local/domain/2/data/a\0"), "EACCES"); /* w only */
    assert_text(ask(1, WRITE, "/local/domain/2/data/a\0x"), "OK");
    assert_text(ask(1, SET_PERMS, "/local/domain/2/data/a\0b1\0"), "EACCES");
    assert_text(ask(2, SET_PERMS, "data/a\0n2\0b1\0"), "OK");

    /* What domain 1 makes there is its own, and lets those in that the node above does. */
    assert_text(ask(1, WRITE, "/local/domain/2/data/a/b/c\0deep"), "OK");
    ask(1, GET_PERMS, "/local/domain/2/data/a/b\0");
    assert_text(sides[1].text, "n1");
    assert_text(sides[1].text + 3, "b1");
    assert_text(ask(2, READ, "data/a/b/c\0"), "EACCES");
    assert_text(ask(1, GET_PERMS, "/local/domain/1\0"), "n0");
    assert_text(ask(1, RM, "/local/domain\0"), "EACCES");
    assert_text(ask(1, DIRECTORY, "/local/domain\0"), "EACCES");
    assert_text(ask(2, RM, "data/a\0"), "OK"); /* with what another owns below */
}

Test(xenstore_domains, domains_are_introduced)
{
    assert_text(ask(1, IS_DOMAIN_INTRODUCED, "2\0"), "T");
    assert_text(ask(1, IS_DOMAIN_INTRODUCED, "5\0"), "F");
    go(2);
    assert_text(ask(1, IS_DOMAIN_INTRODUCED, "2\0"), "F");
}

/* --- watches --------------------------------------------------------------------------------- */

Test(xenstore_domains, watches_hear_what_their_domain_may_read)
{
    assert_text(ask(2, WRITE, "data/a\0x"), "OK");
    assert_text(ask(2, SET_PERMS, "data/a\0n2\0r1\0"), "OK");
    assert_text(ask(1, WATCH, "/local/domain/2/data\0t\0"), "OK");
    assert_text(ask(3, WATCH, "/local/domain/2/data\0t\0"), "OK");
    assert_text(ask(3, WATCH, "/\0root\0"), "OK");
    assert_eq_long(heard(1), 1);
    assert_eq_long(heard(3), 2);

    assert_text(ask(2, WRITE, "data/a\0y"), "OK");
    assert_eq_long(heard(1), 1);
    assert_text(sides[1].event, "/local/domain/2/data/a");
    assert_eq_long(heard(3), 0);
    assert_text(ask(2, WRITE, "data/b\0y"), "OK"); /* not for domain 1, nor is the one above */
    assert_eq_long(heard(1), 0);
    assert_text(ask(2, WRITE, "data/a/b/c\0y"), "OK");
    assert_eq_long(heard(1), 1);

    /* Those who might before, and those who may from now on. */
    assert_text(ask(2, SET_PERMS, "data/a\0n2\0r3\0"), "OK");
    assert_eq_long(heard(1), 1);
    assert_eq_long(heard(3), 2);
    /* What everybody may read. */
    assert_text(ask(2, SET_PERMS, "data/a\0r2\0"), "OK");
    assert_eq_long(heard(1), 1);
    assert_eq_long(heard(3), 2);
    /* Who may read the one above hears that one comes or goes; a watch of what went along hears, too. */
    assert_text(ask(1, WATCH, "/local/domain/2/data/a/b/c\0leaf\0"), "OK");
    (void)heard(1);
    assert_text(ask(2, RM, "data/a\0"), "OK");
    assert_eq_long(heard(1), 2);
    assert_eq_long(heard(3), 2);
}

Test(xenstore_domains, one_writer_cannot_fill_the_queue_of_another_domain)
{
    char message[64];

    assert_text(ask(2, WRITE, "data/a\0x"), "OK");
    assert_text(ask(2, SET_PERMS, "data/a\0n2\0r1\0"), "OK");
    assert_text(ask(3, WRITE, "data/a\0x"), "OK");
    assert_text(ask(3, SET_PERMS, "data/a\0n3\0r1\0"), "OK");
    assert_text(ask(1, WATCH, "/local/domain/2/data\0t\0"), "OK");
    assert_text(ask(1, WATCH, "/local/domain/3/data\0t\0"), "OK");
    (void)heard(1);
    for (unsigned i = 0; i < 300; i++) {
        const int n = snprintf(message, sizeof(message), "data/a/%u", i);
        assert_text(ask_in(2, 0, XS_WRITE, message, (size_t)n + 1), "OK");
    }
    assert_text(ask(3, WRITE, "data/a\0important"), "OK");
    unsigned last = 0;
    for (unsigned n; notify(&sides[1]), (n = heard(1)) != 0;)
        last += n;
    cr_assert(last < 120, "%u events", last);
    assert_text(sides[1].event, "/local/domain/3/data/a");
}

Test(xenstore_domains, special_watches_are_for_the_privileged)
{
    go(3);
    come(3, ROLE_CONTROL);
    assert_text(ask(1, WATCH, "@releaseDomain\0t\0"), "OK");
    assert_text(ask(3, WATCH, "@releaseDomain\0t\0"), "OK");
    assert_text(ask(3, WATCH, "@introduceDomain\0t\0"), "OK");
    assert_eq_long(heard(1), 1);
    assert_eq_long(heard(3), 2);
    go(2);
    assert_eq_long(heard(1), 0);
    assert_eq_long(heard(3), 1);
    assert_text(sides[3].event, "@releaseDomain");
    come(2, 0);
    assert_eq_long(heard(3), 1);
    assert_text(sides[3].event, "@introduceDomain");

    /* It sees all, and may do all. */
    ask(3, DIRECTORY, "/local/domain\0");
    assert_eq_long(sides[3].answer.len, 6);
    assert_text(ask(3, WRITE, "/local/domain/2/data/x\0y"), "OK");
    assert_text(ask(3, SET_PERMS, "/local/domain/2/data/x\0n1\0"), "OK");
    assert_text(ask(1, READ, "/local/domain/2/data/x\0"), "y");
}

/* --- transactions ---------------------------------------------------------------------------- */

Test(xenstore_domains, transactions_conflict_by_node)
{
    assert_text(ask(2, WRITE,
                    "data/a/x\0"
                    "1"),
                "OK");
    assert_text(ask(2, WRITE,
                    "data/b/x\0"
                    "1"),
                "OK");
    uint32_t t = begin(2);
    assert_text(ask_tx(2, t, WRITE, "data/a/x\0two"), "OK");
    assert_text(ask(1, WRITE, "data/own\0x"), "OK"); /* another domain's */
    assert_text(ask(2, WRITE,
                    "data/b/x\0"
                    "2"),
                "OK"); /* another node */
    assert_text(ask_tx(2, t, TRANSACTION_END, "T\0"), "OK");
    assert_text(ask(2, READ, "data/a/x\0"), "two");

    t = begin(2);
    assert_text(ask_tx(2, t, READ, "data/a/x\0"), "two");
    assert_text(ask_tx(2, t, WRITE,
                       "data/b/x\0"
                       "3"),
                "OK");
    assert_text(ask(2, WRITE, "data/a/x\0three"), "OK"); /* one that it has read */
    assert_text(ask_tx(2, t, TRANSACTION_END, "T\0"), "EAGAIN");

    t = begin(2);
    assert_text(ask_tx(2, t, WRITE, "data/a/x\0four"), "OK");
    assert_text(ask(2, RM, "data\0"), "OK"); /* one above it */
    assert_text(ask_tx(2, t, TRANSACTION_END, "T\0"), "EAGAIN");
    assert_text(ask(2, READ, "data/a/x\0"), "ENOENT");
}

/* --- who pays -------------------------------------------------------------------------------- */

static unsigned fill(unsigned id, const char *below)
{
    char message[64];
    unsigned n = 0;

    for (; n < 2000; n++) {
        const int length = snprintf(message, sizeof(message), "%s/%u", below, n);
        if (*ask_in(id, 0, XS_MKDIR, message, (size_t)length + 1) == 'E')
            break;
    }
    return n;
}

Test(xenstore_domains, thousand_nodes_of_an_owner)
{
    assert_text(ask(2, WRITE, "data/for-1\0x"), "OK");
    assert_text(ask(2, SET_PERMS, "data/for-1\0n2\0b1\0"), "OK");
    const unsigned own = fill(1, "data");
    assert_text(sides[1].text, "ENOSPC");
    cr_assert(own > 900 && own < 1000, "%u nodes and those from the start", own);
    /* Wherever it is: the owner pays. */
    assert_text(ask(1, WRITE, "/local/domain/2/data/for-1/x\0y"), "ENOSPC");
    uint32_t t = begin(1);
    assert_text(ask_tx(1, t, WRITE, "data/more\0x"), "ENOSPC");
    assert_text(ask_tx(1, t, TRANSACTION_END, "F\0"), "OK");
    assert_text(ask(1, WRITE, "data/5\0rewritten"), "OK");
    /* What is removed is paid for no more, whoever removes it. */
    assert_text(ask(1, RM, "data/7\0"), "OK");
    assert_text(ask(1, WRITE, "/local/domain/2/data/for-1/x\0y"), "OK");
    assert_text(ask(1, MKDIR, "data/7\0"), "ENOSPC");
    assert_text(ask(2, RM, "data/for-1\0"), "OK");
    assert_text(ask(1, MKDIR, "data/7\0"), "OK");
    assert_text(ask(1, MKDIR, "data/8888\0"), "ENOSPC");
    assert_text(ask(1, RM, "data\0"), "OK");
    assert_text(ask(1, WRITE, "error/x\0y"), "OK");
    assert_text(ask(2, WRITE, "data/y\0y"), "OK"); /* nobody else noticed */
}

Test(xenstore_domains, two_transactions_cannot_exceed_the_nodes_together)
{
    const unsigned own = fill(1, "data");
    char message[32];

    for (unsigned i = 0; i < 2; i++) {
        const int n = snprintf(message, sizeof(message), "data/%u", i);
        assert_text(ask_in(1, 0, XS_RM, message, (size_t)n + 1), "OK");
    }
    cr_assert(own > 2);
    uint32_t t = begin(1), u = begin(1);
    assert_text(ask_tx(1, t, WRITE, "error/a\0x"), "OK");
    assert_text(ask_tx(1, t, WRITE, "error/b\0x"), "OK");
    assert_text(ask_tx(1, u, WRITE, "attr/a\0x"), "OK");
    assert_text(ask_tx(1, t, TRANSACTION_END, "T\0"), "OK");
    assert_text(ask_tx(1, u, TRANSACTION_END, "T\0"), "ENOSPC");
}

/* --- the dead -------------------------------------------------------------------------------- */

Test(xenstore_domains, nothing_is_left_of_the_dead)
{
    assert_text(ask(2, WRITE, "data/for-1\0x"), "OK");
    assert_text(ask(2, SET_PERMS, "data/for-1\0n2\0b1\0r3\0"), "OK");
    assert_text(ask(1, WRITE, "/local/domain/2/data/for-1/a/b\0x"), "OK");
    assert_text(ask(2, WRITE, "data/for-1/a\0x"), "EACCES");
    assert_text(ask(3, WATCH, "/local/domain/2/data/for-1\0t\0"), "OK");
    (void)heard(3);
    go(1);
    assert_eq_long(heard(3), 1);
    assert_text(sides[3].event, "/local/domain/2/data/for-1/a");
    assert_text(ask(2, READ, "data/for-1/a\0"), "ENOENT");
    assert_text(ask(2, READ, "data/for-1\0"), "x");
    /* One that comes with the same number has none of its rights. */
    come(1, 0);
    assert_text(ask(1, READ, "/local/domain/2/data/for-1\0"), "EACCES");
    assert_text(ask(2, WRITE, "data/for-1/new\0x"),
                "OK"); /* the node changes, its permissions do not */
    assert_text(ask(1, READ, "/local/domain/2/data/for-1\0"), "EACCES");
    assert_text(ask(2, WRITE, "data/for-1\0z"), "OK");
    assert_text(ask(1, READ, "/local/domain/2/data/for-1\0"), "EACCES");
    assert_text(ask(3, READ, "/local/domain/2/data/for-1\0"), "z");
    assert_text(ask(2, SET_PERMS, "data/for-1\0n2\0r1\0"), "OK");
    assert_text(ask(1, READ, "/local/domain/2/data/for-1\0"), "z");
}

/* --- lists in parts -------------------------------------------------------------------------- */

Test(xenstore_domains, a_long_list_comes_in_parts)
{
    char message[300], generation[24];
    unsigned names = 0, at = 0;

    for (unsigned i = 0; i < 40; i++) {
        snprintf(message, sizeof(message), "data/%03u", i);
        memset(message + 8, 'l', 200);
        message[208] = 0;
        assert_text(ask_in(1, 0, XS_MKDIR, message, 209), "OK");
    }
    assert_text(ask(1, DIRECTORY, "data\0"), "E2BIG");
    for (bool first = true;; first = false) {
        const size_t n = (size_t)snprintf(message, sizeof(message), "data%c%u", 0, at) + 1;
        const char *part = ask_in(1, 0, XS_DIRECTORY_PART, message, n);
        const char *end = part + sides[1].answer.len, *name = part + strlen(part) + 1;
        cr_assert(first || !strcmp(part, generation));
        string_copy(generation, part, sizeof(generation));
        for (; name < end && *name; name += strlen(name) + 1, names++)
            at += (unsigned)strlen(name) + 1;
        if (name < end)
            break;
    }
    assert_eq_long(names, 40);
    assert_text(ask(1, DIRECTORY_PART, "data\0"), "EINVAL");
    assert_text(ask(1, DIRECTORY_PART,
                    "data/none\0"
                    "0\0"),
                "ENOENT");
}
