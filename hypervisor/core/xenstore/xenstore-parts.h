/*
 * The parts of the store, for those who make it up:
 *
 *   xenstore.c              the rings, and domains that come and go
 *   xenstore-request.c      one request, and its answer
 *   xenstore-transaction.c  what a request sees and changes, in a transaction or outside of any
 *   xenstore-watch.c        watches, and who is told of a change
 *   xenstore-nodes.c        what is there from the start
 *   xenstore-tree.c         the tree itself (xenstore-tree.h)
 */
#pragma once

#include "domain.h"
#include "lock.h"
#include "xenstore-tree.h"

#include <xen/io/xs_wire.h>

/* Bytes that a domain's nodes, watches, transactions and events may take. */
#define STORE_LIMIT       (192u << 10)
#define EVENT_RESERVE     (16u << 10) /* of it, for events only */
#define NODES             1000u       /* numbers as xenstored's */
#define WATCHES           128u
#define TRANSACTIONS      10u
#define TRANSACTION_NODES 256u     /* that one has looked at or changed */
#define EVENTS            512u     /* that wait for a domain that does not read */
#define EVENTS_OF_ONE     64u      /* of these, those that one other domain has caused */
#define PIECE_NS          20000ull /* after so long nothing more is begun without a preemption point */
#define HOME_LIMIT        32u      /* "/local/domain/65535/" */
#define REL_PATH          2048u    /* XENSTORE_REL_PATH_MAX */
#define VM_LIMIT          48u      /* "/vm/UUID" */
#define BUCKETS           32u
#define CLIENT_BUCKETS    256u

/* A path, cut behind each of its names: "/", "/local", "/local/domain", ...  A special path is one piece. */
struct cut_path {
    const char *path;
    unsigned count;
    struct {
        uint32_t hash;
        uint32_t length;
    } cut[TREE_DEPTH + 1]; /* the last is the whole path */
};

struct watch {
    struct list link, bucket;
    uint32_t size;     /* of this structure */
    uint16_t relative; /* bytes of @path that the guest did not say */
    uint16_t path_length;
    uint16_t token_length;
    char text[]; /* path, 0, token, 0 */
};

struct event {
    struct list link, bucket;
    uint32_t size; /* of this structure */
    uint32_t hash; /* of @text */
    domid_t from;  /* who has caused it */
    struct xsd_sockmsg header;
    char text[]; /* path, 0, token, 0 */
};

/* Watches and events by hash: there since the first watch. */
struct hearing {
    struct list watch[BUCKETS], event[BUCKETS];
};

/* Who may hear of a change: whoever may read the node, or the one above it, before or after.  Privileged ones may
 * always. */
struct readers {
    domid_t id[4 * TREE_PERMS];
    uint8_t count;
    bool everybody;
};

/* What a transaction knows of one node.  Until its end nobody else sees @node. */
struct entry {
    struct list link, bucket;
    uint32_t size; /* of this structure */
    uint32_t hash; /* of @path */
    uint64_t seen; /* the node's generation when it was looked at first; 0: it was not there */
    struct tree_node *node; /* what the transaction has there; NULL: nothing */
    bool changed, told;     /* @node is news; for watches, too */
    bool exact;             /* only for those of this very path: it went away with the one above */
    uint16_t depth, length;
    struct readers readers; /* once it is committed */
    char path[];
};

struct transaction {
    struct list link;
    uint32_t id;
    bool failed; /* half of a change is in it, the rest found no memory */
    unsigned entries;
    int nodes; /* that its domain has more when it is committed */
    struct list order;
    struct list bucket[BUCKETS];
};

/*
 * Changes that watches are being told of.  The unit of it is one change and one domain: after each others may get
 * their turn.
 */
struct telling {
    size_t size;
    /* Where changes come from, whichever there is; the first may be in @path already. */
    struct transaction *t;
    struct list *at; /* its next entry */
    /* A part that was taken away, and the next to be freed; its top's path is in @path. */
    struct tree_node *gone, *node;
    size_t gone_length;

    /* The change, and who has yet to hear of it. */
    bool telling, exact;
    struct readers readers;
    unsigned reader;
    struct list *client, *clients; /* and then these */
    struct cut_path cut;
    char path[];
};

/**
 * struct xenstore - a domain at the store: its ring, what it pays for, and what it waits for.
 *
 * Guarded by the store's lock.
 */
struct xenstore {
    struct domain *domain; /* NULL: the hypervisor, in a toolstack's place */
    domid_t id;
    bool privileged;
    bool founded; /* its own nodes are there */
    bool stopped; /* the ring makes no sense */
    struct xenstore_domain_interface *ring;
    mfn_t console;
    uint32_t port, console_port;
    uint64_t introduced; /* permissions of older nodes mean another domain of this number */

    struct list link, privileged_link;
    struct xenstore *same_bucket; /* clients of the store by number */

    struct tree_account account;
    struct telling *telling; /* NULL: all have heard of what it did last */
    uint64_t piece_end;      /* when the present piece of work should end */
    struct hearing *hearing;
    struct list watches, transactions;
    uint32_t watch_count, transaction_count, last_transaction;

    /* The request that is coming in: HOME_LIMIT bytes of room, then the payload. */
    struct xsd_sockmsg request;
    uint32_t have; /* bytes of header and payload */
    char *payload;
    bool discarding; /* there was no memory for it */

    /* What is going out: the reply, then events. */
    struct xsd_sockmsg reply;
    char *reply_payload, reply_small[16];
    uint32_t reply_size; /* of @reply_payload */
    uint32_t sent;       /* of the reply, or when there is none, of the first event */
    bool replying;
    struct list events;
    uint32_t event_count;
};

/* The store of all domains. */
struct store {
    spinlock_t lock;            /* guards all of it, and domain.store */
    struct tree_node *root;     /* NULL until somebody asks */
    struct tree_account others; /* pays for what belongs to nobody who is here */
    struct list clients, privileged;
    struct xenstore *by_id[CLIENT_BUCKETS];
    unsigned client_count, unfounded;
    char scratch[TREE_PATH + 1]; /* for a path, between two calls */
};
extern struct store store;
/* In a toolstack's place, and domain 0's. */
extern struct xenstore store_tool;

/* xenstore.c */

/* Who has that number; or NULL. */
struct xenstore *client_of(domid_t id);
/* Who pays for what domain @id owns. */
struct tree_account *account_of(domid_t id);
/* Others should get their turn before more is begun. */
bool xenstore_piece_over(const struct xenstore *s);
/* Events go into the ring, as many as there is room for. */
void xenstore_deliver(struct xenstore *s);

/* xenstore-nodes.c */

/* "/local/domain/N/" into @to of HOME_LIMIT bytes; returns it. */
const char *xenstore_home(domid_t id, char *to);
/* The nodes that @s has from the start are there when this returns 0. */
int xenstore_found(struct xenstore *s) must_check;
/* "/vm/UUID" of @s into @to of VM_LIMIT bytes; false: it has none. */
bool xenstore_vm(const struct xenstore *s, char *to);
/* The same for the domain that @path belongs to, if it does to one: -errno is like not being there. */
void xenstore_found_at(const char *path);

/* xenstore-request.c */

/* The request is whole: answer it, into s->reply. */
void xenstore_answer(struct xenstore *s);
/* The reply is out, or not wanted. */
void xenstore_reply_free(struct xenstore *s);

/* xenstore-transaction.c: @t is NULL outside of a transaction; paths are ok. */

/* The permissions of @n, without those that mean a domain that is no more. */
void perms_now(const struct tree_node *n, struct tree_perms *p);
/* What may @s do with @n? */
unsigned perms_may(const struct tree_node *n, const struct xenstore *s);

/* The node, or NULL and *@rc: 0, there is none, and *@nearest is the deepest above it; or -errno. */
const struct tree_node *access_find(struct xenstore *s, struct transaction *t, const char *path,
                                    const struct tree_node **nearest, int *rc) must_check;
/* Each name below @n, which access_find() found at @path. */
void access_names(struct transaction *t, const char *path, const struct tree_node *n,
                  void (*each)(void *to, const char *name, size_t length), void *to);
/* Give the node at @path this value and these permissions, or leave one of them (NULL): missing ones are made, above
 * it, too. 0, and outside of a transaction watches are to be told (xenstore_tell); or -XEN_ENOSPC, -XEN_ENOMEM. */
int access_set(struct xenstore *s, struct transaction *t, const char *path, const char *value,
               size_t length, const struct tree_perms *perms) must_check;
/* The same without anybody being told. */
int access_found(struct xenstore *s, const char *path, const char *value,
                 const struct tree_perms *perms) must_check;
/* The tree without the node at @path, which is there and not the root. */
int access_remove(struct xenstore *s, struct transaction *t, const char *path) must_check;

struct transaction *transaction_find(struct xenstore *s, uint32_t id);
struct transaction *transaction_start(struct xenstore *s, int *rc) must_check;
/* 0, -XEN_EAGAIN, -XEN_ENOSPC, and it is over; or -XEN_ENOMEM: it may be tried again, unless half of a change is in
 * it. */
int transaction_commit(struct xenstore *s, struct transaction *t) must_check;
void transaction_drop(struct xenstore *s, struct transaction *t);
void transaction_free(struct xenstore *s, struct transaction *t);
void transactions_drop(struct xenstore *s);
/* What belongs to @s, which is going, and is no part of what was taken away already: one such node, or NULL. */
struct tree_node *transaction_orphan(struct xenstore *s);

/* xenstore-watch.c */

void readers_add(struct readers *r, const struct tree_node *n);
/* A telling for @s of a change at @path, which is not made yet; NULL: no memory. */
struct telling *telling_new(const char *path) must_check;
void telling_free(struct telling *t);
/* @path, which stays, is what @t is about now; set its readers after it. */
void telling_aim(struct telling *t, const char *path, size_t length, bool exact);
/* It begins. */
void telling_begin(struct xenstore *s, struct telling *t);
/* Tell watches of what @s did, as long as the piece lasts, but one domain at least.  False: there is nobody to tell. */
bool xenstore_tell(struct xenstore *s);
/* All of "@introduceDomain" or "@releaseDomain" that may hear of it. */
void xenstore_tell_special(const char *path, domid_t from);
/* @s goes: nobody is to come to it any more. */
void tellings_forget(struct xenstore *s);

/* The watch of absolute @path with @token, or NULL. */
struct watch *watch_find(struct xenstore *s, const char *path, const char *token);
/* Add one, which begins with an event: @relative bytes of @path are not the guest's words.  0, or -errno. */
int watch_add(struct xenstore *s, const char *path, size_t relative, const char *token) must_check;
void watch_free(struct xenstore *s, struct watch *w);
void watches_drop(struct xenstore *s);
void event_free(struct xenstore *s, struct event *e);
void events_drop(struct xenstore *s);
