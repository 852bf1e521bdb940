/*
 * The store of all domains that have no other: a ring in the memory of each, and what answers there.
 *
 *    guest: request --> req ring --evtchn_send--> served() --> whole? --> xenstore_answer()
 *                                                                            |  tree
 *    guest <-- rsp ring <-- pump_out() <-- the reply, then watch events <----+
 *                                                                            |
 *    another guest <-- its rsp ring <-- xenstore_deliver() <-- its events <--+
 *
 * Here domains meet: a frontend and its backend find each other by nodes that one writes and the other watches.  GRUB
 * waits for an answer before its prompt, Linux's balloon driver and its shutdown handler live on two nodes.  Each
 * domain has a home, /local/domain/N, with the nodes that xl writes (xenstore-nodes.c), from the first time that
 * somebody asks for it.  Where a domain has FUNCTION_XENSTORE it serves a store, and this one stands back.
 *
 * The protocol is <xen/io/xs_wire.h>'s (xenstore-request.c), the rules are xenstored's: owners and permissions, what a
 * new node gets, who hears of what, when a transaction fails, what is left of a domain that is gone.
 *
 * What a guest can cost others.  It works on its own time, in its event_channel_op, under the lock of all, but in
 * pieces: after PIECE_NS no further request, nor domain that hears of a change, is begun before the lock was given up
 * and others could run (evtchn_notify_fn).  What is begun is bounded by what one domain may have (xenstore-parts.h).
 * No request of a domain is looked at while its last change is still being told.  Indices are read once a piece, so a
 * piece moves at most a ring's length each way however fast another vCPU refills it.  A request is copied before
 * anybody looks at it.  While a reply or an event waits for room, no further request is read.  All that is kept counts
 * for somebody's account (STORE_LIMIT): nodes for their owner.  Indices that make no sense end the service, as they do
 * in xenstored, until the guest asks for reconnection.
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

struct store store = {
    .lock = SPINLOCK_INIT(STORE),
    .others = {.limit = UINT32_MAX,
               .node_limit = UINT32_MAX,
               .nodes = {&store.others.nodes, &store.others.nodes}},
    .clients = {&store.clients, &store.clients},
    .privileged = {&store.privileged, &store.privileged},
};

/* It has no ring, and watches nothing. */
struct xenstore store_tool = {
    .privileged = true,
    .account = {.limit = UINT32_MAX,
                .node_limit = UINT32_MAX,
                .nodes = {&store_tool.account.nodes, &store_tool.account.nodes}},
};

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
        event_free(s, e);
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

void xenstore_deliver(struct xenstore *s)
{
    struct half in, out;

    if (s->stopped || !look(s, &in, &out))
        return;
    const uint32_t rsp = out.at;
    (void)pump_out(s, &out);
    if (out.at == rsp)
        return;
    atomic_set_release(&s->ring->rsp_prod, out.at);
    evtchn_set_pending(s->domain, s->port);
}

/* What is being told is told, but the answer is lost. */
static void forget_connection(struct xenstore *s)
{
    request_free(s);
    xenstore_reply_free(s);
    s->sent = 0;
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

/* A privileged one sees all: one more home is made.  False: there are all. */
static bool found_another(void)
{
    if (store.unfounded)
        list_for_each(it, &store.clients)
        {
            struct xenstore *s = list_entry(it, struct xenstore, link);
            if (!s->founded)
                return !xenstore_found(s);
        }
    return false;
}

/* A piece of work: tell watches, or move what can be moved and answer what is whole.  True: there is more to do. */
static bool serve(struct xenstore *s) REQUIRES(&store.lock)
{
    struct half in, out;

    s->piece_end = arch_now() + PIECE_NS;
    if (xenstore_tell(s))
        return true;
    if (s->stopped || !look(s, &in, &out))
        return false;
    if (in.room && ((!s->founded && !xenstore_found(s)) || (s->privileged && found_another())))
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
    bool more = false;

    spin_lock(&store.lock);
    struct xenstore *s = d->store;
    if (s && atomic_read(&s->ring->connection) == XENSTORE_RECONNECT)
        reconnect(s);
    else if (s)
        more = serve(s);
    spin_unlock(&store.lock);
    return more;
}

/* --- domains come and go ---------------------------------------------------------------------

 * By number: the last to come is the first to be found. */

struct xenstore *client_of(domid_t id)
{
    struct xenstore *s = store.by_id[id % CLIENT_BUCKETS];

    while (s && s->id != id)
        s = s->same_bucket;
    return s;
}

struct tree_account *account_of(domid_t id)
{
    struct xenstore *s = client_of(id);

    return s ? &s->account : &store.others;
}

static void come(struct xenstore *s) REQUIRES(&store.lock)
{
    struct xenstore **bucket = &store.by_id[s->id % CLIENT_BUCKETS];

    s->same_bucket = *bucket;
    *bucket = s;
    list_append(&store.clients, &s->link);
    if (s->privileged)
        list_append(&store.privileged, &s->privileged_link);
    store.client_count++;
    store.unfounded++;
    s->introduced = tree_generation() + 1;
    xenstore_tell_special("@introduceDomain", s->id);
}

static void go(struct xenstore *s) REQUIRES(&store.lock)
{
    struct xenstore **at = &store.by_id[s->id % CLIENT_BUCKETS];

    tellings_forget(s);
    while (*at != s)
        at = &(*at)->same_bucket;
    *at = s->same_bucket;
    list_remove(&s->link);
    if (s->privileged)
        list_remove(&s->privileged_link);
    if (!s->founded)
        store.unfounded--;
    xenstore_tell_special("@releaseDomain", s->id);
    if (--store.client_count || !store.root)
        return;
    tree_free(store.root);
    store.root = NULL;
    ASSERT(store.others.used == 0);
}

static struct xenstore *client_new(struct domain *d, mfn_t ring)
{
    struct xenstore *s = mem_alloc(sizeof(*s));

    if (!s)
        return NULL;
    s->domain = d;
    s->id = d->id;
    s->privileged = domain_has(d, ROLE_CONTROL);
    s->ring = mfn_to_virt(ring);
    account_init(&s->account, s->privileged ? UINT32_MAX : STORE_LIMIT - EVENT_RESERVE, NODES);
    list_init(&s->watches);
    list_init(&s->transactions);
    list_init(&s->events);
    return s;
}

long xenstore_attach(struct domain *d, mfn_t ring, mfn_t console, uint32_t console_port)
{
    struct xenstore *s = client_new(d, ring);

    if (!s)
        return -XEN_ENOMEM;
    long port = evtchn_alloc_hypervisor(d, served);
    int rc = port < 0 ? (int)port : page_get_and_type(mfn_to_page(ring), d, PAGE_TYPE_WRITABLE);
    if (rc) {
        mem_free(s, sizeof(*s)); /* the port goes with the domain */
        return rc;
    }
    s->console = console;
    s->port = (uint32_t)port;
    s->console_port = console_port;
    s->ring->server_features = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;
    spin_lock(&store.lock);
    d->store = s;
    come(s);
    spin_unlock(&store.lock);
    return port;
}

/* All hear of what @s did last, with preemption points; the lock is held before and after. */
static void tell_all(struct xenstore *s) REQUIRES(&store.lock)
{
    for (;;) {
        s->piece_end = arch_now() + PIECE_NS;
        if (!xenstore_tell(s))
            return;
        spin_unlock(&store.lock);
        (void)preempt_point();
        spin_lock(&store.lock);
    }
}

/* The node at @path, if it is there, and all below it. */
static void remove_all(struct xenstore *s, const char *path) REQUIRES(&store.lock)
{
    struct tree_node *nearest, *n = store.root ? tree_find(store.root, path, &nearest) : NULL;

    if (!n)
        return;
    if (access_remove(s, NULL, path)) { /* no memory: nobody hears of it */
        tree_take(n);
        tree_free(n);
    }
    tell_all(s);
}

/* Its home, and what it owns elsewhere. */
static void remove_traces(struct xenstore *s) REQUIRES(&store.lock)
{
    char path[VM_LIMIT];
    struct tree_node *n;

    (void)xenstore_home(s->id, path);
    path[strlen(path) - 1] = '\0';
    remove_all(s, path);
    if (xenstore_vm(s, path))
        remove_all(s, path);
    while ((n = transaction_orphan(s)) != NULL) {
        char *full = mem_alloc(TREE_PATH + 1);
        if (full) {
            (void)tree_path_below(store.root, n, full, 0);
            remove_all(s, full);
            mem_free(full, TREE_PATH + 1);
        } else {
            tree_take(n);
            tree_free(n);
        }
    }
}

void xenstore_detach(struct domain *d)
{
    spin_lock(&store.lock);
    struct xenstore *s = d->store;
    d->store = NULL;
    if (s) {
        tell_all(s);
        forget_connection(s);
        remove_traces(s);
        go(s);
    }
    spin_unlock(&store.lock);
    if (!s)
        return;
    if (s->hearing)
        account_free(&s->account, s->hearing, sizeof(*s->hearing));
    ASSERT(s->account.used == 0 && s->account.node_count == 0);
    page_put_and_type(mfn_to_page(virt_to_mfn(s->ring)));
    mem_free(s, sizeof(*s));
}

/* The frame is held as long as the ring is served: whoever ends that does so under this lock. */
static void count_ring(struct domain *d)
{
    spin_lock(&store.lock);
    if (d->store)
        audit_count(virt_to_mfn(d->store->ring), true);
    spin_unlock(&store.lock);
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
        (void)xenstore_home(s->id, home);
    if (strlen(path) > REL_PATH)
        return -XEN_EINVAL;
    snprintf(to, TREE_PATH + 1, "%s%s", home, path);
    return tree_path_ok(to, strlen(to)) ? 0 : -XEN_EINVAL;
}

/* @full has room for the path in full. */
static int store_and_path(struct xenstore *s, const char *path, char *full)
{
    int rc = s ? xenstore_found(s) : -XEN_ENOSYS;

    return rc ?: full_path(s, path, full);
}

int xenstore_write(struct domain *d, const char *path, const char *value)
{
    char *full = mem_alloc(TREE_PATH + 1);

    if (!full)
        return -XEN_ENOMEM;
    spin_lock(&store.lock);
    tell_all(&store_tool); /* another who writes may be at it */
    int rc = store_and_path(d->store, path, full);
    if (!rc) {
        xenstore_found_at(full);
        rc = access_set(&store_tool, NULL, full, value, strlen(value), NULL);
    }
    tell_all(&store_tool);
    spin_unlock(&store.lock);
    mem_free(full, TREE_PATH + 1);
    return rc;
}

static void print_value(const char *path, const char *value, size_t length)
{
    printk("%s = \"", path);
    for (size_t i = 0; i < length; i++) {
        const char c = value[i];
        printk_more("%c", c >= ' ' && c <= '~' ? c : '.');
        (void)preempt_point();
    }
    printk_more("\"\n");
}

/* Number @i below the node at @path, into @name; false: there are not so many. */
static bool name_below(const char *path, unsigned i, char name[TREE_NAME + 1])
{
    struct tree_node *nearest;
    bool there = false;

    spin_lock(&store.lock);
    const struct tree_node *n = store.root ? tree_find(store.root, path, &nearest) : NULL;
    if (n && i < n->children) {
        const struct tree_node *c = n->below;
        while (i--)
            c = c->next;
        memcpy(name, tree_name(c), c->name_length);
        name[c->name_length] = '\0';
        there = true;
    }
    spin_unlock(&store.lock);
    return there;
}

/* A value, as long as it may be, then names: each as it is when its turn comes. */
static int print_node(struct domain *d, const char *path, char *full, char *value)
{
    struct tree_node *nearest;
    const struct tree_node *n = NULL;
    size_t length = 0;
    char name[TREE_NAME + 1];

    spin_lock(&store.lock);
    int rc = store_and_path(d->store, path, full);
    if (!rc) {
        xenstore_found_at(full);
        n = tree_find(store.root, full, &nearest);
        rc = n ? 0 : -XEN_ENOENT;
    }
    if (n) {
        length = n->value_length;
        memcpy(value, tree_value(n), length);
    }
    spin_unlock(&store.lock);
    if (rc)
        return rc;
    print_value(full, value, length);
    for (unsigned i = 0; name_below(full, i, name); i++) {
        printk("  %s\n", name);
        (void)preempt_point();
    }
    return 0;
}

int xenstore_print(struct domain *d, const char *path)
{
    char *full = mem_alloc(TREE_PATH + 1 + TREE_NODE);

    if (!full)
        return -XEN_ENOMEM;
    int rc = print_node(d, path, full, full + TREE_PATH + 1);
    mem_free(full, TREE_PATH + 1 + TREE_NODE);
    return rc;
}
