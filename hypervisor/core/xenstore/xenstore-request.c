/*
 * One request to a domain's store, and its answer: the protocol of <xen/io/xs_wire.h>.
 *
 * Errors, and which comes first when there are several, are xenstored's.  They go over the wire as
 * names.  What only says how things are (no such node, a conflict) is an answer like any other;
 * what says no is a rule (XS-nnn of rule-list.h).
 */
#include "xenstore-parts.h"

#include "lib.h"
#include "refuse.h"

/* One request: whole, in our memory, and terminated by a 0 that is not the guest's. */
struct call {
    struct xenstore *s;
    struct transaction *t; /* NULL: outside of any */
    char *text;            /* behind HOME_LIMIT bytes of room */
    uint32_t length;
    const char *path; /* absolute, once path_of() has succeeded */
    uint32_t rest;    /* what follows the path and its 0: place and length */
    uint32_t rest_length;
};

static struct tree_node **tree_of(const struct call *c)
{
    return c->t ? &c->t->now : &c->s->root;
}

/* Room for a reply's payload, or NULL: no memory. */
static char *reply_room(struct xenstore *s, size_t length)
{
    s->reply_payload = length <= sizeof(s->reply_small) ? s->reply_small : mem_alloc(length);
    s->reply.len = s->reply_payload ? (uint32_t)length : 0;
    return s->reply_payload;
}

static int reply_text(struct xenstore *s, const char *text, size_t length)
{
    char *to = reply_room(s, length);

    if (!to)
        return -XEN_ENOMEM;
    memcpy(to, text, length);
    return 0;
}

void xenstore_reply_free(struct xenstore *s)
{
    if (s->reply_payload && s->reply_payload != s->reply_small)
        mem_free(s->reply_payload, s->reply.len);
    s->reply_payload = NULL;
    s->replying = false;
}

/* The first string of the request is a path: make it absolute, in the room in front of it. */
static int path_of(struct call *c)
{
    const size_t said = strnlen(c->text, c->length);
    const char *path = c->text;
    char home[HOME_LIMIT];

    if (said == c->length || said == 0)
        return refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
    if (*path != '/') {
        const size_t n = strlen(xenstore_home(c->s->domain, home));
        if (said > REL_PATH)
            return refuse(STORE_PATH_WRONG, said);
        c->path = memcpy(c->text - n, home, n);
    } else {
        c->path = path;
    }
    if (!tree_path_ok(c->path, (size_t)(path + said - c->path)))
        return refuse(STORE_PATH_WRONG, said);
    c->rest = (uint32_t)said + 1;
    c->rest_length = c->length - c->rest;
    return 0;
}

/* The same, and nothing follows it. */
static int only_path(struct call *c)
{
    int rc = path_of(c);

    if (!rc && c->rest_length)
        rc = refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
    return rc;
}

static const char perm_letter[] = "nrwb"; /* by TREE_READ | TREE_WRITE */

/* What may domain @id do with @n? */
static unsigned may(const struct tree_node *n, domid_t id)
{
    const struct tree_perms *p = &n->perms;

    if (p->perm[0].id == id)
        return TREE_READ | TREE_WRITE;
    for (unsigned i = 1; i < p->count; i++)
        if (p->perm[i].id == id)
            return p->perm[i].may;
    return p->perm[0].may;
}

/* The node at the call's path, if the guest may do @what there; or NULL and *@rc.  That nothing is
 * there may only be learned by who might do it above. */
static const struct tree_node *node_for(struct call *c, unsigned what, int *rc)
{
    const struct tree_node *nearest, *n = tree_find(*tree_of(c), c->path, &nearest);

    if (!(may(n ?: nearest, c->s->domain->id) & what)) {
        *rc = refuse(STORE_PERMISSION, c->s->request.type);
        return NULL;
    }
    *rc = n ? 0 : -XEN_ENOENT;
    return n;
}

static const struct tree_node *node_to_read(struct call *c, int *rc)
{
    *rc = only_path(c);
    return *rc ? NULL : node_for(c, TREE_READ, rc);
}

/* Commit @rc, the answer of tree_set() or tree_remove(): @now is the call's tree. */
static int changed(struct call *c, int rc, struct tree_node *now)
{
    if (rc == -XEN_ENOSPC)
        return refuse(STORE_QUOTA, c->s->budget.used);
    if (rc)
        return rc;
    if (c->t) {
        tree_put(&c->s->budget, c->t->now);
        c->t->now = now;
    } else {
        xenstore_replace_tree(c->s, now);
    }
    return 0;
}

static int set_node(struct call *c, struct tree_change *change)
{
    struct tree_node *now = NULL;

    change->owner = c->s->domain->id;
    change->number = ++c->s->changes;
    int rc = tree_set(&c->s->budget, *tree_of(c), c->path, change, &now);
    return changed(c, rc, now);
}

static int answer_read(struct call *c)
{
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    return n ? reply_text(c->s, tree_value(n), n->value_length) : rc;
}

/* The names below a node, each with its 0: how many bytes; copied if @to. */
static size_t list_names(const struct tree_node *n, char *to)
{
    size_t at = 0;

    for (unsigned i = 0; i < n->children; i++) {
        const size_t length = n->child[i]->name_length;
        if (to) {
            memcpy(to + at, n->child[i]->bytes, length);
            to[at + length] = '\0';
        }
        at += length + 1;
    }
    return at;
}

static int answer_directory(struct call *c)
{
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    if (!n)
        return rc;
    const size_t bytes = list_names(n, NULL);
    if (bytes > XENSTORE_PAYLOAD_MAX)
        return refuse(STORE_REPLY_TOO_LONG, bytes);
    char *to = reply_room(c->s, bytes);
    if (!to)
        return -XEN_ENOMEM;
    (void)list_names(n, to);
    return 0;
}

static int answer_get_perms(struct call *c)
{
    char text[TREE_PERMS * 8]; /* "b65535" and its 0 each */
    size_t bytes = 0;
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    if (!n)
        return rc;
    for (unsigned i = 0; i < n->perms.count; i++) {
        const struct tree_perm *p = &n->perms.perm[i];
        bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, "%c%u", perm_letter[p->may],
                                  p->id) +
                 1;
    }
    return reply_text(c->s, text, bytes);
}

static int answer_write(struct call *c)
{
    int rc = path_of(c);

    if (rc)
        return rc;
    (void)node_for(c, TREE_WRITE, &rc);
    if (rc && rc != -XEN_ENOENT)
        return rc;
    return set_node(c, &(struct tree_change){.value = c->text + c->rest, .length = c->rest_length});
}

static int answer_mkdir(struct call *c)
{
    int rc = only_path(c);

    if (rc)
        return rc;
    if (node_for(c, TREE_WRITE, &rc) || rc != -XEN_ENOENT)
        return rc;
    return set_node(c, &(struct tree_change){.value = ""});
}

static int answer_rm(struct call *c)
{
    const struct tree_node *nearest;
    struct tree_node *now = NULL;
    int rc = only_path(c);

    if (rc)
        return rc;
    if (!node_for(c, TREE_WRITE, &rc)) {
        if (rc != -XEN_ENOENT)
            return rc;
        /* Gone already is fine, if only the last name is missing. */
        char *last = strrchr(c->path, '/');
        *last = '\0';
        return tree_find(*tree_of(c), c->path, &nearest) ? 0 : -XEN_ENOENT;
    }
    if (!c->path[1])
        return refuse(STORE_PATH_WRONG, 1);
    c->s->changes++;
    rc = tree_remove(&c->s->budget, *tree_of(c), c->path, &now);
    return changed(c, rc, now);
}

/* "r5": false if it is no such thing. */
static bool read_perm(const char *text, struct tree_perm *p)
{
    const char *letter = *text ? strchr(perm_letter, *text) : NULL;
    char *end;

    if (!letter || text[1] < '0' || text[1] > '9')
        return false;
    const unsigned long id = strtoul(text + 1, &end, 10);
    p->may = (uint16_t)(letter - perm_letter);
    p->id = (domid_t)id;
    return !*end && id < DOMID_FIRST_RESERVED;
}

static int read_perms(const struct call *c, struct tree_perms *perms)
{
    const char *at = c->text + c->rest, *end = at + c->rest_length;

    perms->count = 0;
    while (at < end) {
        const size_t n = strnlen(at, (size_t)(end - at));
        if (perms->count == TREE_PERMS)
            return refuse(STORE_QUOTA, perms->count);
        if (at + n == end || !read_perm(at, &perms->perm[perms->count++]))
            return refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
        at += n + 1;
    }
    return perms->count ? 0 : refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
}

/* The owner's right, and nobody gives a node away. */
static int answer_set_perms(struct call *c)
{
    const domid_t me = c->s->domain->id;
    struct tree_perms perms = {.count = 0};
    int rc = path_of(c);

    if (!rc)
        rc = read_perms(c, &perms);
    if (rc)
        return rc;
    const struct tree_node *n = node_for(c, TREE_WRITE, &rc);
    if (!n)
        return rc;
    if (n->perms.perm[0].id != me || perms.perm[0].id != me)
        return refuse(STORE_PERMISSION, c->s->request.type);
    return set_node(c, &(struct tree_change){.perms = &perms});
}

/* A number as the only string of the request. */
static int only_number(const struct call *c, unsigned long *n)
{
    char *end;

    if (!c->length || strnlen(c->text, c->length) != c->length - 1 || c->length == 1)
        return refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
    *n = strtoul(c->text, &end, 10);
    return *end ? refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length) : 0;
}

static int answer_get_domain_path(struct call *c)
{
    char path[HOME_LIMIT];
    unsigned long id;
    int rc = only_number(c, &id);

    if (rc)
        return rc;
    snprintf(path, sizeof(path), "/local/domain/%u", (unsigned)(domid_t)id);
    return reply_text(c->s, path, strlen(path) + 1);
}

static int answer_is_introduced(struct call *c)
{
    unsigned long id;
    int rc = only_number(c, &id);

    return rc
               ?: reply_text(c->s,
                             id == 0 || id == c->s->domain->id || id == DOMID_SELF ? "T" : "F", 2);
}

/* --- requests: watches and transactions --- */

/* A watch's two strings: the path, absolute or one of the special ones, and the token. */
static int watch_strings(struct call *c, const char **token)
{
    if (c->length && c->text[0] == '@') {
        const size_t said = strnlen(c->text, c->length);
        if (said == c->length || said > REL_PATH)
            return refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
        c->path = c->text;
        c->rest = (uint32_t)said + 1;
        c->rest_length = c->length - c->rest;
    } else {
        int rc = path_of(c);
        if (rc)
            return rc;
    }
    *token = c->text + c->rest;
    if (!c->rest_length || strnlen(*token, c->rest_length) != c->rest_length - 1)
        return refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
    return 0;
}

static int answer_watch(struct call *c)
{
    const char *token;
    int rc = watch_strings(c, &token);

    if (rc)
        return rc;
    if (watch_find(c->s, c->path, token))
        return -XEN_EEXIST;
    return watch_add(c->s, c->path, c->path < c->text ? (size_t)(c->text - c->path) : 0, token);
}

static int answer_unwatch(struct call *c)
{
    const char *token;
    int rc = watch_strings(c, &token);

    if (rc)
        return rc;
    struct watch *w = watch_find(c->s, c->path, token);
    if (!w)
        return -XEN_ENOENT;
    watch_free(c->s, w);
    return 0;
}

static int answer_reset_watches(struct call *c)
{
    watches_drop(c->s);
    transactions_drop(c->s);
    return 0;
}

static int answer_transaction_start(struct call *c)
{
    char text[12];
    int rc;

    if (c->t)
        return -XEN_EBUSY;
    struct transaction *t = transaction_start(c->s, &rc);
    if (!t)
        return rc;
    snprintf(text, sizeof(text), "%u", t->id);
    return reply_text(c->s, text, strlen(text) + 1);
}

/* One that has only read saw one state of the tree, whatever happened since.  One that has written
 * may go in only if nothing happened: its tree becomes everybody's. */
static int answer_transaction_end(struct call *c)
{
    struct xenstore *s = c->s;
    struct transaction *t = c->t;
    int rc = 0;

    if (c->length != 2 || c->text[1] || (c->text[0] != 'T' && c->text[0] != 'F'))
        return refuse(STORE_STRINGS_WRONG, s->request.type, c->length);
    if (!t)
        return -XEN_ENOENT;
    if (c->text[0] == 'T' && t->now != t->was) {
        if (s->root == t->was)
            xenstore_replace_tree(s, tree_get(t->now));
        else
            rc = -XEN_EAGAIN;
    }
    transaction_free(s, t);
    return rc;
}

static int answer_privileged(struct call *c)
{
    return refuse(STORE_PERMISSION, c->s->request.type);
}

/* --- dispatch -------------------------------------------------------------------------------- */

static int (*const answer[])(struct call *c) = {
    [XS_CONTROL] = answer_privileged,
    [XS_DIRECTORY] = answer_directory,
    [XS_READ] = answer_read,
    [XS_GET_PERMS] = answer_get_perms,
    [XS_WATCH] = answer_watch,
    [XS_UNWATCH] = answer_unwatch,
    [XS_TRANSACTION_START] = answer_transaction_start,
    [XS_TRANSACTION_END] = answer_transaction_end,
    [XS_INTRODUCE] = answer_privileged,
    [XS_RELEASE] = answer_privileged,
    [XS_GET_DOMAIN_PATH] = answer_get_domain_path,
    [XS_WRITE] = answer_write,
    [XS_MKDIR] = answer_mkdir,
    [XS_RM] = answer_rm,
    [XS_SET_PERMS] = answer_set_perms,
    [XS_IS_DOMAIN_INTRODUCED] = answer_is_introduced,
    [XS_RESUME] = answer_privileged,
    [XS_SET_TARGET] = answer_privileged,
    [XS_RESET_WATCHES] = answer_reset_watches,
};

/* The names that go over the wire. */
static const char *error_name(int rc)
{
    switch (-rc) {
    case XEN_EACCES:
        return "EACCES";
    case XEN_EEXIST:
        return "EEXIST";
    case XEN_ENOENT:
        return "ENOENT";
    case XEN_ENOMEM:
        return "ENOMEM";
    case XEN_ENOSPC:
        return "ENOSPC";
    case XEN_ENOSYS:
        return "ENOSYS";
    case XEN_EBUSY:
        return "EBUSY";
    case XEN_EAGAIN:
        return "EAGAIN";
    case XEN_E2BIG:
        return "E2BIG";
    default:
        return "EINVAL";
    }
}

static int dispatch(struct call *c)
{
    const struct xsd_sockmsg *m = &c->s->request;

    if (m->type >= ARRAY_SIZE(answer) || !answer[m->type])
        return refuse(STORE_MESSAGE_UNKNOWN, m->type);
    int rc = xenstore_open_tree(c->s);
    if (rc)
        return rc;
    c->t = m->tx_id ? transaction_find(c->s, m->tx_id) : NULL;
    if (m->tx_id && !c->t)
        return -XEN_ENOENT;
    return answer[m->type](c);
}

void xenstore_answer(struct xenstore *s)
{
    struct call c = {.s = s, .length = s->request.len};

    if (s->payload)
        c.text = s->payload + HOME_LIMIT;
    s->reply = s->request;
    s->reply.len = 0;
    int rc = s->discarding ? -XEN_ENOMEM : dispatch(&c);
    if (rc) {
        xenstore_reply_free(s);
        s->reply.type = XS_ERROR;
        rc = reply_text(s, error_name(rc), strlen(error_name(rc)) + 1);
    } else if (!s->reply_payload) {
        rc = reply_text(s, "OK", 3);
    }
    s->replying = true;
    s->sent = 0;
}
