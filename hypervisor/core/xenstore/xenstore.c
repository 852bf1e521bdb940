/*
 * The xenstore of a domain that has no other: a ring in its memory, and what answers there.
 *
 *    guest: request --> req ring --evtchn_send--> served() --> whole? --> xenstore_answer()
 *                                                                            |  tree
 *    guest <-- rsp ring <-- pump_out() <-- the reply, then watch events <----+
 *
 * Guests ask even if there is nobody to meet: GRUB waits for an answer before its prompt, Linux's
 * balloon driver and its shutdown handler live on two nodes.  So each domain gets a small store of
 * its own, with the nodes that xl writes for a guest without devices (xenstore-nodes.c).  No other
 * domain sees it: where guests are to meet, a domain with FUNCTION_XENSTORE serves a real one, and
 * this one stands back.
 *
 * The protocol is <xen/io/xs_wire.h>'s (xenstore-request.c).  The tree (xenstore-tree.c) is never
 * changed in place, so a transaction is a reference to the tree as it was and one to the tree as
 * the transaction has it.
 *
 * What the guest can cost us.  It works on its own time, in its event_channel_op, with its
 * evtchn_lock held, but in pieces: after PIECE_NS no further request, nor watch that hears of a change, is begun before the
 * lock was given up and others could run (evtchn_notify_fn).  What is begun is bounded by the budget below.  No request is looked
 * at while a change is still being told.  Indices are read once a piece, so a piece moves at most a ring's length each way
 * however fast another vCPU refills it.  A request is copied before anybody looks at it.  While a
 * reply or an event waits for room, no further request is read.  All that is kept comes out of a
 * budget (STORE_LIMIT), and nothing is allocated before the first request.  Indices that make no
 * sense end the service, as they do in xenstored, until the guest asks for reconnection.
 *
 * Guarded by the domain's evtchn_lock.
 */
#include "xenstore.h"

#include "arch.h"
#include "audit.h"
#include "evtchn.h"
#include "grant-table.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"
#include "xenstore-parts.h"

#include <xen/grant_table.h>

/* --- who serves ------------------------------------------------------------------------------ */

static domid_t server = DOMID_SELF; /* DOMID_SELF: no domain, so the hypervisor */

void xenstore_left_to(domid_t id)
{
    server = id;
}

/* store=no on the command line. */
static bool nobody_serves(void)
{
    size_t length;
    const char *word = cmdline_get("store", &length);

    return word && length == 2 && !strncmp(word, "no", 2);
}

long xenstore_connect(struct domain *d, mfn_t ring, mfn_t console, uint32_t console_port)
{
    if (server != DOMID_SELF) {
        grant_table_seed(d, GNTTAB_RESERVED_XENSTORE, server, ring);
        return evtchn_alloc_unbound(d, server);
    }
    if (nobody_serves())
        return 0;
    grant_table_seed(d, GNTTAB_RESERVED_XENSTORE, 0, ring);
    return xenstore_attach(d, ring, console, console_port);
}

/* --- the ring -------------------------------------------------------------------------------- */

/* One half of the ring, as found in one look: @at is ours, @room bytes may be moved. */
struct half {
    char *bytes;
    uint32_t at, room;
};

/* Without @to they are lost. */
static uint32_t move_in(struct half *h, void *to, uint32_t want)
{
    const uint32_t n = MIN(want, h->room);

    for (uint32_t i = 0; to && i < n; i++)
        ((char *)to)[i] = atomic_read(&h->bytes[MASK_XENSTORE_IDX(h->at + i)]);
    h->at += n;
    h->room -= n;
    return n;
}

static uint32_t move_out(struct half *h, const void *from, uint32_t want)
{
    const uint32_t n = MIN(want, h->room);

    for (uint32_t i = 0; i < n; i++)
        h->bytes[MASK_XENSTORE_IDX(h->at + i)] = ((const char *)from)[i];
    h->at += n;
    h->room -= n;
    return n;
}

/* As much of a message as there is room for; true when it is out. */
static bool send_message(struct half *h, const struct xsd_sockmsg *header, const char *payload,
                         uint32_t *sent)
{
    if (*sent < sizeof(*header))
        *sent += move_out(h, (const char *)header + *sent, (uint32_t)sizeof(*header) - *sent);
    if (*sent >= sizeof(*header))
        *sent += move_out(h, payload + (*sent - sizeof(*header)),
                          header->len - (*sent - (uint32_t)sizeof(*header)));
    if (*sent < sizeof(*header) + header->len)
        return false;
    *sent = 0;
    return true;
}

/* The reply, then the events; true if nothing is left to send. */
static bool pump_out(struct xenstore *s, struct half *out)
{
    if (s->replying) {
        if (!send_message(out, &s->reply, s->reply_payload, &s->sent))
            return false;
        xenstore_reply_free(s);
    }
    while (!list_empty(&s->events)) {
        struct event *e = list_entry(s->events.next, struct event, link);
        if (!send_message(out, &e->header, e->text, &s->sent))
            return false;
        list_remove(&e->link);
        budget_free(&s->budget, e, e->size);
    }
    return true;
}

static void request_free(struct xenstore *s)
{
    if (s->payload)
        mem_free(s->payload, HOME_LIMIT + s->request.len + 1);
    s->payload = NULL;
    s->discarding = false;
    s->have = 0;
}

static void stop(struct xenstore *s, uint32_t why)
{
    s->stopped = true;
    atomic_set(&s->ring->error, why);
    request_free(s);
}

/* More of the request; true when it is whole. */
static bool pump_in(struct xenstore *s, struct half *in)
{
    struct xsd_sockmsg *m = &s->request;

    if (s->have < sizeof(*m)) {
        s->have += move_in(in, (char *)m + s->have, (uint32_t)sizeof(*m) - s->have);
        if (s->have < sizeof(*m))
            return false;
        if (m->len > XENSTORE_PAYLOAD_MAX) {
            (void)refuse(STORE_MESSAGE_TOO_LONG, m->len);
            stop(s, XENSTORE_ERROR_PROTO);
            return false;
        }
    }
    if (!s->payload && !s->discarding) {
        s->payload = mem_alloc(HOME_LIMIT + m->len + 1); /* zeroed */
        s->discarding = !s->payload;
    }
    const uint32_t at = s->have - (uint32_t)sizeof(*m);
    s->have += move_in(in, s->payload ? s->payload + HOME_LIMIT + at : NULL, m->len - at);
    return s->have == sizeof(*m) + m->len;
}

/* Each index is read once.  False if they make no sense. */
static bool look(struct xenstore *s, struct half *in, struct half *out)
{
    struct xenstore_domain_interface *r = s->ring;
    const uint32_t req_prod = atomic_read_acquire(&r->req_prod),
                   rsp_cons = atomic_read_acquire(&r->rsp_cons);

    *in = (struct half){r->req, atomic_read(&r->req_cons), 0};
    *out = (struct half){r->rsp, atomic_read(&r->rsp_prod), 0};
    if (req_prod - in->at > XENSTORE_RING_SIZE || out->at - rsp_cons > XENSTORE_RING_SIZE) {
        (void)refuse(STORE_RING_BROKEN, req_prod - in->at, out->at - rsp_cons);
        stop(s, XENSTORE_ERROR_RINGIDX);
        return false;
    }
    in->room = req_prod - in->at;
    out->room = XENSTORE_RING_SIZE - (out->at - rsp_cons);
    return true;
}

static void forget_connection(struct xenstore *s)
{
    request_free(s);
    xenstore_reply_free(s);
    s->sent = 0;
    xenstore_tell_nobody(s);
    events_drop(s);
    watches_drop(s);
    transactions_drop(s);
}

/* The guest wants to begin again, with an empty ring. */
static void reconnect(struct xenstore *s)
{
    struct xenstore_domain_interface *r = s->ring;

    forget_connection(s);
    s->stopped = false;
    atomic_set(&r->req_cons, 0u);
    atomic_set(&r->req_prod, 0u);
    atomic_set(&r->rsp_cons, 0u);
    atomic_set(&r->rsp_prod, 0u);
    atomic_set(&r->error, (uint32_t)XENSTORE_ERROR_NONE);
    atomic_set_release(&r->connection, (uint32_t)XENSTORE_CONNECTED);
    evtchn_set_pending(s->domain, s->port);
}

bool xenstore_piece_over(const struct xenstore *s)
{
    return arch_now() >= s->piece_end;
}

/* Answer what is whole.  True: there is more to do. */
static bool answer_all(struct xenstore *s, struct half *in, struct half *out)
{
    while (!s->telling && pump_out(s, out) && pump_in(s, in)) {
        xenstore_answer(s);
        request_free(s);
        if (xenstore_piece_over(s))
            return true;
    }
    return s->telling;
}

/* A piece of work: tell watches, or move what can be moved and answer what is whole.  True: there is more to do. */
static bool serve(struct xenstore *s)
{
    struct half in, out;

    s->piece_end = arch_now() + PIECE_NS;
    if (xenstore_tell(s))
        return true;
    if (s->stopped || !look(s, &in, &out))
        return false;
    if (!s->root && in.room && !xenstore_open_tree(s))
        return true;
    const uint32_t req = in.at, rsp = out.at;
    const bool more = answer_all(s, &in, &out);
    atomic_set_release(&s->ring->rsp_prod, out.at);
    atomic_set_release(&s->ring->req_cons, in.at);
    if (in.at != req || out.at != rsp)
        evtchn_set_pending(s->domain, s->port);
    return more;
}

/* The guest has signalled its port; evtchn_lock is held. */
static bool served(struct domain *d, uint32_t port)
{
    struct xenstore *s = d->store;

    if (!s)
        return false;
    if (atomic_read(&s->ring->connection) == XENSTORE_RECONNECT)
        reconnect(s);
    else
        return serve(s);
    return false;
}

/* --- domains come and go --------------------------------------------------------------------- */

long xenstore_attach(struct domain *d, mfn_t ring, mfn_t console, uint32_t console_port)
{
    struct xenstore *s = mem_alloc(sizeof(*s));

    if (!s)
        return -XEN_ENOMEM;
    long port = evtchn_alloc_hypervisor(d, served);
    int rc = port < 0 ? (int)port : page_get_and_type(mfn_to_page(ring), d, PAGE_TYPE_WRITABLE);
    if (rc) {
        mem_free(s, sizeof(*s)); /* the port goes with the domain */
        return rc;
    }
    s->domain = d;
    s->ring = mfn_to_virt(ring);
    s->console = console;
    s->port = (uint32_t)port;
    s->console_port = console_port;
    s->budget.limit = STORE_LIMIT - EVENT_RESERVE;
    list_init(&s->watches);
    list_init(&s->transactions);
    list_init(&s->events);
    s->ring->server_features = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;
    spin_lock(&d->evtchn_lock);
    d->store = s;
    spin_unlock(&d->evtchn_lock);
    return port;
}

void xenstore_detach(struct domain *d)
{
    spin_lock(&d->evtchn_lock);
    struct xenstore *s = d->store;
    d->store = NULL;
    spin_unlock(&d->evtchn_lock);
    if (!s)
        return;
    forget_connection(s);
    tree_put(&s->budget, s->root);
    ASSERT(s->budget.used == 0);
    page_put_and_type(mfn_to_page(virt_to_mfn(s->ring)));
    mem_free(s, sizeof(*s));
}

/* The frame is held as long as the ring is served: whoever ends that does so under this lock. */
static void count_ring(struct domain *d)
{
    spin_lock(&d->evtchn_lock);
    if (d->store)
        audit_count(virt_to_mfn(d->store->ring), true);
    spin_unlock(&d->evtchn_lock);
}

void xenstore_audit_init(void)
{
    static struct audit_holder holder = {.count = count_ring};
    audit_register(&holder);
}

/* --- from outside ---------------------------------------------------------------------------- */

/* The path of a node of @s in full, checked, in @to of TREE_PATH + 1 bytes. */
static int full_path(const struct xenstore *s, const char *path, char *to)
{
    char home[HOME_LIMIT];

    *home = '\0';
    if (*path != '/')
        (void)xenstore_home(s->domain, home);
    if (strlen(path) > REL_PATH)
        return -XEN_EINVAL;
    snprintf(to, TREE_PATH + 1, "%s%s", home, path);
    return tree_path_ok(to, strlen(to)) ? 0 : -XEN_EINVAL;
}

/* Do what the store has to do, with preemption points; NULL: @d has none (any more).  The lock is held before and after. */
static struct xenstore *serve_all(struct domain *d) REQUIRES(&d->evtchn_lock)
{
    for (;;) {
        struct xenstore *s = d->store;
        if (!s || (s->stopped && !s->telling) || !serve(s))
            return s;
        spin_unlock(&d->evtchn_lock);
        (void)preempt_point();
        spin_lock(&d->evtchn_lock);
    }
}

static int write_node(struct xenstore *s, const char *path, const char *value)
{
    const struct tree_change c = {value, strlen(value), NULL, DOMID_SELF, ++s->changes};
    struct tree_node *now;
    int rc = tree_set(&s->budget, s->root, path, &c, &now);

    if (!rc)
        xenstore_replace_tree(s, now);
    return rc;
}

/* @full has room for the path in full. */
static int store_and_path(struct xenstore *s, const char *path, char *full)
{
    int rc = s ? xenstore_open_tree(s) : -XEN_ENOSYS;

    return rc ?: full_path(s, path, full);
}

int xenstore_write(struct domain *d, const char *path, const char *value)
{
    char *full = mem_alloc(TREE_PATH + 1);

    if (!full)
        return -XEN_ENOMEM;
    spin_lock(&d->evtchn_lock);
    struct xenstore *s = serve_all(d); /* nobody is being told of an older change */
    int rc = store_and_path(s, path, full);
    if (!rc)
        rc = write_node(s, full, value);
    (void)serve_all(d); /* events go out */
    spin_unlock(&d->evtchn_lock);
    mem_free(full, TREE_PATH + 1);
    return rc;
}

static void print_node(const struct tree_node *n, const char *path)
{
    printk("%s = \"", path);
    for (unsigned i = 0; i < n->value_length; i++) {
        const char c = tree_value(n)[i];
        printk_more("%c", c >= ' ' && c <= '~' ? c : '.');
        (void)preempt_point();
    }
    printk_more("\"\n");
    for (unsigned i = 0; i < n->children; i++) {
        printk("  %.*s\n", n->child[i]->name_length, n->child[i]->bytes);
        (void)preempt_point();
    }
}

/* The tree is held while it is printed: it does not change.  The store does not end meanwhile: that is work, too. */
int xenstore_print(struct domain *d, const char *path)
{
    char *full = mem_alloc(TREE_PATH + 1);
    const struct tree_node *n = NULL, *nearest;
    struct tree_node *root = NULL;

    if (!full)
        return -XEN_ENOMEM;
    spin_lock(&d->evtchn_lock);
    int rc = store_and_path(d->store, path, full);
    if (!rc)
        n = tree_find(d->store->root, full, &nearest);
    if (n)
        root = tree_get(d->store->root);
    spin_unlock(&d->evtchn_lock);
    if (n) {
        print_node(n, full);
        spin_lock(&d->evtchn_lock);
        tree_put(&d->store->budget, root);
        spin_unlock(&d->evtchn_lock);
    }
    mem_free(full, TREE_PATH + 1);
    return rc ?: n ? 0 : -XEN_ENOENT;
}
