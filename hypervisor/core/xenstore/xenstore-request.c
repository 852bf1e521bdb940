/*
 * One request to the store, and its answer: the protocol of <xen/io/xs_wire.h>.
 *
 * Errors, and which comes first when there are several, are xenstored's.  They go over the wire as names.  What only
 * says how things are (no such node, a conflict) is an answer like any other; what says no is a rule (XS-nnn of
 * rule-list.h).
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

/* Room for a reply's payload, or NULL: no memory. */
static char *reply_room(struct xenstore *s, size_t length)
{
    s->reply_payload = length <= sizeof(s->reply_small) ? s->reply_small : mem_alloc(length);
    s->reply.len = s->reply_size = s->reply_payload ? (uint32_t)length : 0;
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
        mem_free(s->reply_payload, s->reply_size);
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
        const size_t n = strlen(xenstore_home(c->s->id, home));
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
    xenstore_found_at(c->path);
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

/* The node at the call's path, if the guest may do @what there; or NULL and *@rc.  That nothing is
 * there may only be learned by who might do it above. */
static const struct tree_node *node_for(struct call *c, unsigned what, int *rc)
{
    const struct tree_node *nearest, *n = access_find(c->s, c->t, c->path, &nearest, rc);

    if (*rc)
        return NULL;
    if (!(perms_may(n ?: nearest, c->s) & what)) {
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

static int answer_read(struct call *c)
{
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    return n ? reply_text(c->s, tree_value(n), n->value_length) : rc;
}

/* Names, each with its 0, as one text: of it, what is behind @skip bytes and has room. */
struct names {
    char *to; /* NULL: none is kept */
    size_t at, skip, room;
    size_t kept;
    bool full;
};

static void add_name(void *to, const char *name, size_t length)
{
    struct names *n = to;
    const size_t at = n->at;

    n->at += length + 1;
    if (at < n->skip || n->full)
        return;
    n->full = length + 1 > n->room - n->kept;
    if (n->full || !n->to)
        return;
    memcpy(n->to + n->kept, name, length);
    n->to[n->kept + length] = '\0';
    n->kept += length + 1;
}

static int answer_directory(struct call *c)
{
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);
    struct names names = {.room = XENSTORE_PAYLOAD_MAX};

    if (!n)
        return rc;
    access_names(c->t, c->path, n, add_name, &names);
    if (names.at > XENSTORE_PAYLOAD_MAX)
        return refuse(STORE_REPLY_TOO_LONG, names.at);
    names = (struct names){.to = reply_room(c->s, names.at), .room = names.at};
    if (!names.to)
        return -XEN_ENOMEM;
    access_names(c->t, c->path, n, add_name, &names);
    return 0;
}

/* The node's generation, and as many names from that place on as a message holds; an empty one ends them. */
static int answer_directory_part(struct call *c)
{
    int rc = path_of(c);
    const char *from = c->text + c->rest;
    char *end;

    if (rc)
        return rc;
    if (!c->rest_length || strnlen(from, c->rest_length) != c->rest_length - 1)
        return refuse(STORE_STRINGS_WRONG, c->s->request.type, c->length);
    const struct tree_node *n = node_for(c, TREE_READ, &rc);
    char *text = n ? reply_room(c->s, XENSTORE_PAYLOAD_MAX) : NULL;
    if (!text)
        return n ? -XEN_ENOMEM : rc;
    const size_t head = (size_t)snprintf(text, 24, "%lu", (unsigned long)n->generation) + 1;
    struct names names = {.to = text + head, .room = XENSTORE_PAYLOAD_MAX - head - 1};
    names.skip = strtoul(from, &end, 10);
    access_names(c->t, c->path, n, add_name, &names);
    if (!names.full)
        names.to[names.kept++] = '\0';
    c->s->reply.len = (uint32_t)(head + names.kept);
    return 0;
}

static int answer_get_perms(struct call *c)
{
    char text[TREE_PERMS * 8]; /* "b65535" and its 0 each */
    size_t bytes = 0;
    struct tree_perms perms;
    int rc;
    const struct tree_node *n = node_to_read(c, &rc);

    if (!n)
        return rc;
    perms_now(n, &perms);
    for (unsigned i = 0; i < perms.count; i++) {
        const struct tree_perm *p = &perms.perm[i];
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
    return access_set(c->s, c->t, c->path, c->text + c->rest, c->rest_length, NULL);
}

static int answer_mkdir(struct call *c)
{
    int rc = only_path(c);

    if (rc)
        return rc;
    if (node_for(c, TREE_WRITE, &rc) || rc != -XEN_ENOENT)
        return rc;
    return access_set(c->s, c->t, c->path, "", 0, NULL);
}

static int answer_rm(struct call *c)
{
    const struct tree_node *nearest;
    int rc = only_path(c);

    if (rc)
        return rc;
    if (!node_for(c, TREE_WRITE, &rc)) {
        if (rc != -XEN_ENOENT)
            return rc;
        /* Gone already is fine, if only the last name is missing. */
        char *last = strrchr(c->path, '/');
        *last = '\0';
        const struct tree_node *above =
            access_find(c->s, c->t, *c->path ? c->path : "/", &nearest, &rc);
        return rc ?: above ? 0 : -XEN_ENOENT;
    }
    return c->path[1] ? access_remove(c->s, c->t, c->path) : refuse(STORE_PATH_WRONG, 1);
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

/* The owner's right, and no guest gives a node away. */
static int answer_set_perms(struct call *c)
{
    const domid_t me = c->s->id;
    struct tree_perms perms = {.count = 0};
    int rc = path_of(c);

    if (!rc)
        rc = read_perms(c, &perms);
    if (rc)
        return rc;
    const struct tree_node *n = node_for(c, TREE_WRITE, &rc);
    if (!n)
        return rc;
    if (!c->s->privileged && (tree_owner(n) != me || perms.perm[0].id != me))
        return refuse(STORE_PERMISSION, c->s->request.type);
    return access_set(c->s, c->t, c->path, NULL, 0, &perms);
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

    if (rc)
        return rc;
    const bool here =
        id == 0 || id == DOMID_SELF || (id < DOMID_FIRST_RESERVED && client_of((domid_t)id));
    return reply_text(c->s, here ? "T" : "F", 2);
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

static int answer_transaction_end(struct call *c)
{
    struct xenstore *s = c->s;

    if (c->length != 2 || c->text[1] || (c->text[0] != 'T' && c->text[0] != 'F'))
        return refuse(STORE_STRINGS_WRONG, s->request.type, c->length);
    if (!c->t)
        return -XEN_ENOENT;
    if (c->text[0] == 'T')
        return transaction_commit(s, c->t);
    transaction_drop(s, c->t);
    return 0;
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
    [XS_DIRECTORY_PART] = answer_directory_part,
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
    int rc = xenstore_found(c->s);
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
