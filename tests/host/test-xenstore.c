/*
 * A domain's store, over its ring: what it keeps is what a plain list keeps, transactions and all;
 * what it takes is bounded and comes back; nobody but the ring's owner loses by a bad ring.
 */
#include "suite.h"
#include "evtchn.h"
#include "xenstore.h"

#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>

#define RING 30u /* the guest's frame */

static struct guest g;
static struct xenstore_domain_interface *ring;
static uint32_t port;
static uint64_t frames_at_rest;

static void start(void)
{
    world_start(1, 2048);
    guest_create(&g, 1, 64, 1);
    frames_at_rest = page_free_count();
    long rc = xenstore_attach(g.d, guest_mfn(&g, RING), guest_mfn(&g, RING), 7);
    cr_assert(rc > 0);
    port = (uint32_t)rc;
    ring = (struct xenstore_domain_interface *)guest_page(&g, RING);
}

static void finish(void)
{
    world_check();
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(xenstore, .init = start, .fini = finish);

static void notify(void)
{
    struct evtchn_send o = {port};
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &o, sizeof(o)));
}

static void put(const void *from, size_t n)
{
    for (const char *c = from; n; n--) {
        if (ring->req_prod - ring->req_cons == XENSTORE_RING_SIZE)
            notify();
        cr_assert(ring->req_prod - ring->req_cons < XENSTORE_RING_SIZE, "requests are not taken");
        ring->req[MASK_XENSTORE_IDX(ring->req_prod++)] = *c++;
    }
}

static void get(void *to, size_t n)
{
    for (char *c = to; n; n--) {
        if (ring->rsp_prod == ring->rsp_cons)
            notify();
        cr_assert(ring->rsp_prod != ring->rsp_cons, "no answer");
        *c++ = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons++)];
    }
}

static struct xsd_sockmsg answer;
static char text[XENSTORE_PAYLOAD_MAX + 1];
static unsigned events;

static void receive(void)
{
    get(&answer, sizeof(answer));
    cr_assert(answer.len <= XENSTORE_PAYLOAD_MAX);
    get(text, answer.len);
    text[answer.len] = 0;
    events += answer.type == XS_WATCH_EVENT;
}

/* Ask; the answer's payload, which is its error's name if it is one. */
static const char *ask(uint32_t type, uint32_t tx, const char *payload, size_t n)
{
    const struct xsd_sockmsg m = {type, 77, tx, (uint32_t)n};

    put(&m, sizeof(m));
    put(payload, n);
    do
        receive();
    while (answer.type == XS_WATCH_EVENT);
    cr_assert(answer.req_id == 77 && (answer.type == type || answer.type == XS_ERROR));
    return text;
}

static const char *ask_text(uint32_t type, uint32_t tx, const char *payload)
{
    return ask(type, tx, payload, strlen(payload) + 1);
}

#define assert_text(have, want)                                                   \
    do {                                                                          \
        const char *have_ = (have);                                               \
        cr_assert(!strcmp(have_, want), "\"%s\" instead of \"%s\"", have_, want); \
    } while (0)

/* --- against a model ------------------------------------------------------------------------- */

#define PATHS 21u

/* Which of the paths exist, with which value. */
struct model {
    bool there[PATHS];
    unsigned value[PATHS];
};

/* data/a, data/a/a, data/a/b, ... : three names on each of two levels below three of the first, and
 * those. */
static const char *path_of(unsigned i)
{
    static char path[16];

    if (i < 3)
        snprintf(path, sizeof(path), "data/%c", 'a' + i);
    else if (i < 12)
        snprintf(path, sizeof(path), "data/%c/%c", 'a' + (i - 3) / 3, 'a' + (i - 3) % 3);
    else
        snprintf(path, sizeof(path), "data/%c/%c/x", 'a' + (i - 12) / 3, 'a' + (i - 12) % 3);
    return path;
}

/* Is path @i at or below @top? */
static bool below(unsigned i, unsigned top)
{
    char a[16];

    string_copy(a, path_of(top), sizeof(a));
    return !strncmp(path_of(i), a, strlen(a));
}

static void model_write(struct model *m, unsigned at, unsigned value)
{
    for (unsigned i = 0; i < PATHS; i++)
        if (i != at && below(at, i) && !m->there[i]) {
            m->there[i] = true;
            m->value[i] = 0;
        }
    m->there[at] = true;
    m->value[at] = value;
}

static void model_remove(struct model *m, unsigned at)
{
    for (unsigned i = 0; i < PATHS; i++)
        if (below(i, at))
            m->there[i] = false;
}

static void check_node(const struct model *m, unsigned i, uint32_t tx)
{
    char want[16] = "ENOENT";

    if (m->there[i])
        snprintf(want, sizeof(want), m->value[i] ? "%u" : "", m->value[i]);
    assert_text(ask_text(XS_READ, tx, path_of(i)), want);
}

struct open_transaction {
    uint32_t id; /* 0: none */
    bool wrote;
    unsigned began; /* after so many changes of the store */
    struct model model;
};

static struct model store;
static struct open_transaction open[4];
static unsigned changes;

static void step_end(struct open_transaction *t, bool commit)
{
    const bool conflict = commit && t->wrote && t->began != changes;

    assert_text(ask_text(XS_TRANSACTION_END, t->id, commit ? "T" : "F"),
                conflict ? "EAGAIN" : "OK");
    if (commit && t->wrote && !conflict) {
        store = t->model;
        changes++;
    }
    t->id = 0;
}

static void step(struct random *r)
{
    struct open_transaction *t = &open[random_below(r, 4)], *in = random_below(r, 3) ? t : NULL;
    struct model *m = in && in->id ? &in->model : &store;
    const uint32_t tx = in ? in->id : 0;
    const unsigned at = random_below(r, PATHS), value = 1 + random_below(r, 1000),
                   what = random_below(r, 10);
    char message[40];

    if (what == 0) {
        if (t->id) {
            step_end(t, random_below(r, 2));
            return;
        }
        t->id = (uint32_t)strtoul(ask_text(XS_TRANSACTION_START, 0, ""), NULL, 10);
        t->wrote = false;
        t->began = changes;
        t->model = store;
        cr_assert(t->id != 0);
        return;
    }
    if (what < 5) {
        check_node(m, at, tx);
        return;
    }
    if (what < 8) {
        snprintf(message, sizeof(message), "%s%c%u", path_of(at), 0, value);
        size_t n = strlen(message) + 1;
        n += (size_t)snprintf(message + n, sizeof(message) - n, "%u", value);
        assert_text(ask(XS_WRITE, tx, message, n), "OK");
        model_write(m, at, value);
    } else {
        const bool there = m->there[at];
        const char *said = ask_text(XS_RM, tx, path_of(at));
        if (!there) {
            cr_assert(!strcmp(said, "OK") || !strcmp(said, "ENOENT"));
            return;
        }
        assert_text(said, "OK");
        model_remove(m, at);
    }
    if (m == &store)
        changes++;
    else
        in->wrote = true;
}

Test(xenstore, keeps_what_a_plain_list_keeps)
{
    struct random r = random_start(4);

    for (unsigned i = soak(20000); i; i--)
        step(&r);
    for (unsigned i = 0; i < 4; i++)
        if (open[i].id)
            step_end(&open[i], true);
    for (unsigned i = 0; i < PATHS; i++)
        check_node(&store, i, 0);
}

/* --- memory ---------------------------------------------------------------------------------- */

Test(xenstore, takes_nothing_until_asked_and_little_then)
{
    cr_assert(frames_at_rest - page_free_count() <= 1, "an unused store takes a slab at most");
    assert_text(ask_text(XS_READ, 0, "domid"), "1");
    cr_assert(frames_at_rest - page_free_count() <= 4, "%lu frames for the first nodes",
              frames_at_rest - page_free_count());
}

Test(xenstore, full_is_less_than_64_kib_and_all_comes_back)
{
    char message[300];
    unsigned n = 0, watches = 0;

    for (unsigned size = 240; size; size /= 2)
        for (;; n++) {
            snprintf(message, sizeof(message), "data/n%u", n);
            memset(message + strlen(message) + 1, 'x', size);
            if (*ask(XS_WRITE, 0, message, strlen(message) + 1 + size) == 'E')
                break;
        }
    assert_text(text, "ENOSPC");
    for (;; watches++) {
        snprintf(message, sizeof(message), "data%ct%u", 0, watches);
        if (*ask(XS_WATCH, 0, message, 12) == 'E')
            break;
    }
    cr_assert(frames_at_rest - page_free_count() <= 16, "%lu frames",
              frames_at_rest - page_free_count());
    assert_text(ask_text(XS_RM, 0, "data"), "OK");
    assert_text(ask_text(XS_RESET_WATCHES, 0, ""), "OK");
    cr_assert(frames_at_rest - page_free_count() <= 5, "%lu frames",
              frames_at_rest - page_free_count());
}

Test(xenstore, out_of_memory_is_an_answer)
{
    void *held[4096];
    unsigned n = 0;

    assert_text(ask_text(XS_READ, 0, "domid"), "1");
    while (n < 4096 && (held[n] = page_alloc_zeroed(0)))
        n++;
    char message[1200] = "data/big";
    unsigned failed = 0;
    for (unsigned i = 0; i < 64; i++) {
        message[5] = (char)('a' + i % 26);
        failed += !strcmp(ask(XS_WRITE, 0, message, 9 + i * 16), "ENOMEM");
    }
    cr_assert(failed > 0);
    assert_text(ask_text(XS_READ, 0, "domid"), "1");
    while (n)
        page_free_virt(held[--n], 0);
    assert_text(ask(XS_WRITE, 0, message, 1000), "OK");
}

/* --- from outside ---------------------------------------------------------------------------- */

Test(xenstore, writes_from_outside_fire_watches)
{
    assert_text(ask(XS_WATCH, 0, "memory/target\0w", 16), "OK");
    receive();
    events = 0;
    assert_ok(xenstore_write(g.d, "memory/target", "1234"));
    receive();
    assert_eq_long(answer.type, XS_WATCH_EVENT);
    assert_text(text, "memory/target");
    assert_text(text + 14, "w");
    assert_text(ask_text(XS_READ, 0, "memory/target"), "1234");
    assert_ok(xenstore_print(g.d, "/local/domain/1/memory/target"));
    cr_assert(machine_logged("/local/domain/1/memory/target = \"1234\""));
    assert_eq_long(xenstore_print(g.d, "memory/none"), -XEN_ENOENT);
    assert_eq_long(xenstore_write(g.d, "memory//target", "1"), -XEN_EINVAL);

    /* A guest that does not listen keeps one event that says the same, not a thousand. */
    uint64_t before = page_free_count();
    for (unsigned i = 0; i < 1000; i++)
        assert_ok(xenstore_write(g.d, "memory/target", "5"));
    cr_assert(before - page_free_count() <= 1);
    events = 0;
    while (notify(), ring->rsp_prod != ring->rsp_cons)
        receive();
    cr_assert(events < 1024 / 32 + 2, "%u events", events);
}

/* --- bad rings ------------------------------------------------------------------------------- */

Test(xenstore, one_call_moves_one_ring_at_most)
{
    const struct xsd_sockmsg m = {XS_READ, 1, 0, 6};

    /* Answers that nobody reads: requests wait, and no more than the ring is taken. */
    for (unsigned i = 0; i < 1024 / (sizeof(m) + 6); i++) {
        put(&m, sizeof(m));
        put("domid", 6);
    }
    notify();
    cr_assert(ring->rsp_prod - ring->rsp_cons <= XENSTORE_RING_SIZE);
    unsigned answers = 0;
    for (; ring->rsp_prod != ring->rsp_cons || (notify(), ring->rsp_prod != ring->rsp_cons);
         answers++)
        receive();
    assert_eq_long(answers, 1024 / (sizeof(m) + 6));
}

Test(xenstore, ruined_indices_hurt_nobody)
{
    struct random r = random_start(9);

    for (unsigned i = 0; i < 5000; i++) {
        uint32_t *index[] = {&ring->req_cons, &ring->req_prod, &ring->rsp_cons, &ring->rsp_prod};
        *index[random_below(&r, 4)] +=
            random_below(&r, 3) ? random_below(&r, 2000) : (uint32_t)random_next(&r);
        for (unsigned k = 0; k < 20; k++)
            ring->req[random_below(&r, 1024)] =
                (char)(random_below(&r, 4) ? random_below(&r, 24) : 0);
        notify();
        if (random_below(&r, 3) == 0) {
            ring->connection = XENSTORE_RECONNECT;
            notify();
            assert_eq_long(ring->connection, XENSTORE_CONNECTED);
        }
    }
    ring->connection = XENSTORE_RECONNECT;
    notify();
    assert_text(ask_text(XS_READ, 0, "domid"), "1");
}

Test(xenstore, ring_frame_is_no_table_while_served)
{
    assert_ok(guest_protect(&g, RING, RO));
    assert_refused(&g, guest_pin(&g, RING, 1), PIN_ROLE_CONFLICT);
    xenstore_detach(g.d);
    memset(ring, 0, PAGE_SIZE);
    assert_ok(guest_pin(&g, RING, 1)); /* nobody serves it any more */
    assert_eq_long(xenstore_attach(g.d, guest_mfn(&g, RING), guest_mfn(&g, RING), 7), -XEN_EINVAL);
    assert_ok(guest_unpin(&g, RING));
}

/* --- limits and special cases ---------------------------------------------------------------- */

#define ask_bytes(type, text) ask(type, 0, text, sizeof(text) - 1)

Test(xenstore, watches_and_transactions_are_counted)
{
    char message[32];

    for (unsigned i = 0; i < 128; i++) {
        const int n = snprintf(message, sizeof(message), "data/w%c%u", 0, i);
        assert_text(ask(XS_WATCH, 0, message, (size_t)n + 1), "OK");
    }
    assert_text(ask_bytes(XS_WATCH, "data\0more\0"), "E2BIG");
    assert_text(ask_bytes(XS_UNWATCH, "data/w\0"
                                      "7\0"),
                "OK");
    assert_text(ask_bytes(XS_WATCH, "data\0more\0"), "OK");
    for (unsigned i = 0; i < 10; i++)
        cr_assert(*ask_text(XS_TRANSACTION_START, 0, "") != 'E', "%s", text);
    assert_text(ask_text(XS_TRANSACTION_START, 0, ""), "ENOSPC");
    assert_text(ask_text(XS_RESET_WATCHES, 0, ""), "OK");
    cr_assert(*ask_text(XS_TRANSACTION_START, 0, "") != 'E', "%s", text);
}

Test(xenstore, special_watches)
{
    assert_text(ask_bytes(XS_WATCH, "@releaseDomain\0t\0"), "OK");
    assert_text(ask_bytes(XS_WATCH, "@releaseDomain\0t\0"), "EEXIST");
    assert_text(ask_bytes(XS_WATCH, "@releaseDomain"), "EINVAL");
    assert_text(ask_bytes(XS_UNWATCH, "@releaseDomain\0t\0"), "OK");
    assert_text(ask_bytes(XS_UNWATCH, "@releaseDomain\0t\0"), "ENOENT");
    assert_text(ask_bytes(XS_WATCH, "/\0all\0"), "OK");
    assert_text(ask_bytes(XS_WRITE, "data/a\0x"), "OK");
    receive();
    assert_text(text, "/local/domain/1/data/a");
    assert_text(text + strlen(text) + 1, "all");
}

Test(xenstore, permissions)
{
    assert_text(ask_bytes(XS_WRITE, "data/a\0x"), "OK");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n1\0r2\0w3\0b4\0r5\0"), "OK");
    assert_text(ask_text(XS_GET_PERMS, 0, "data/a"), "n1");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n1\0r2\0w3\0b4\0r5\0r6\0"), "ENOSPC");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n2\0"), "EACCES"); /* given away */
    assert_text(ask_bytes(XS_SET_PERMS, "memory\0n1\0"), "EACCES"); /* another's */
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0x1\0"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0nx\0"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n/\0"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n1x\0"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n99999\0"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0\0"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0n1"), "EINVAL");
    assert_text(ask_bytes(XS_SET_PERMS, "data/a\0"), "EINVAL");
    assert_text(ask_text(XS_IS_DOMAIN_INTRODUCED, 0, "0"), "T");
    assert_text(ask_text(XS_IS_DOMAIN_INTRODUCED, 0, "1"), "T");
    assert_text(ask_text(XS_IS_DOMAIN_INTRODUCED, 0, "32752"), "T");
    assert_text(ask_text(XS_IS_DOMAIN_INTRODUCED, 0, "2"), "F");
}

Test(xenstore, paths_and_lists_that_are_too_long)
{
    static char message[XENSTORE_PAYLOAD_MAX];
    unsigned i;

    memset(message, 'p', sizeof(message) - 1);
    assert_text(ask(XS_READ, 0, message, 2060), "EINVAL");
    memset(message, '/', sizeof(message) - 1);
    assert_text(ask(XS_READ, 0, message, 2060), "EINVAL");
    message[1] = 'n';
    memset(message + 2, 'n', 300);
    message[302] = 0;
    assert_text(ask(XS_READ, 0, message, 303), "EINVAL");
    assert_text(ask_text(XS_RM, 0, "/"), "EACCES");
    for (i = 0; i < 40; i++) {
        snprintf(message, sizeof(message), "data/%03u", i);
        memset(message + 8, 'l', 200);
        message[208] = 0;
        if (*ask(XS_WRITE, 0, message, 209) == 'E')
            break;
    }
    cr_assert(i > 21, "only %u of them: %s", i, text);
    assert_text(ask_text(XS_DIRECTORY, 0, "data"), "E2BIG");
}

Test(xenstore, room_for_an_answer_comes_bit_by_bit)
{
    const struct xsd_sockmsg m = {XS_READ, 3, 0, 6};

    assert_text(ask_text(XS_READ, 0, "domid"), "1");
    ring->rsp_cons -= XENSTORE_RING_SIZE - 5; /* room for 5 bytes */
    put(&m, sizeof(m));
    put("domid", 6);
    for (unsigned i = 0; i < 10; i++) {
        notify();
        ring->rsp_cons += 5;
    }
    assert_eq_long(ring->error, 0);
}
