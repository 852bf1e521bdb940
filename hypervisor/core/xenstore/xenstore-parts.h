/*
 * The parts of a xenstore, for those who make it up:
 *
 *   xenstore.c           the ring, and domains that come and go
 *   xenstore-request.c   one request, and its answer
 *   xenstore-watch.c     watches and their events; transactions
 *   xenstore-nodes.c     what is there from the start
 *   xenstore-tree.c      the tree itself (xenstore-tree.h)
 */
#pragma once

#include "domain.h"
#include "xenstore-tree.h"

#include <xen/io/xs_wire.h>

#define STORE_LIMIT   32768u /* bytes a guest's nodes, watches, transactions and events may take */
#define EVENT_RESERVE 4096u  /* of it, for events only */
#define WATCHES       128u   /* numbers as xenstored's */
#define TRANSACTIONS  10u
#define PIECE_NS      20000ull /* after so long nothing more is begun without a preemption point */
#define HOME_LIMIT    32u      /* "/local/domain/65535/" */
#define REL_PATH      2048u    /* XENSTORE_REL_PATH_MAX */

struct watch {
    struct list link;
    uint32_t size;     /* of this structure */
    uint16_t relative; /* bytes of @path that the guest did not say */
    uint16_t path_length;
    uint16_t token_length;
    char text[]; /* path, 0, token, 0 */
};

struct event {
    struct list link;
    uint32_t size; /* of this structure */
    uint32_t hash; /* of @text */
    struct xsd_sockmsg header;
    char text[]; /* path, 0, token, 0 */
};

struct transaction {
    struct list link;
    uint32_t id;
    struct tree_node *was, *now;
};

/* Watches are being told of a change. */
struct telling {
    struct tree_node *was; /* the tree that they know */
    struct tree_diff diff; /* between it and the store's */
    struct list *watch;    /* the next that is to hear of ...; the list's head: none */
    bool below_removed;
    size_t length;
    char path[TREE_PATH + 1]; /* ... this node */
};

/**
 * struct xenstore - one domain's store: its ring, its tree, and who waits for what.
 *
 * Guarded by the domain's evtchn_lock.
 */
struct xenstore {
    struct domain *domain;
    struct xenstore_domain_interface *ring;
    mfn_t console;
    uint32_t port, console_port;
    bool stopped; /* the ring makes no sense */

    struct tree_budget budget;
    struct tree_node *root;  /* NULL until somebody asks */
    uint32_t changes;        /* how many there have been */
    struct telling *telling; /* NULL: all have heard of the last change */
    uint64_t piece_end;      /* when the present piece of work should end */
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
    uint32_t sent; /* of the reply, or when there is none, of the first event */
    bool replying;
    struct list events;
};

/* "/local/domain/N/" into @to of HOME_LIMIT bytes; returns it. */
const char *xenstore_home(const struct domain *d, char *to);

/* The tree is there when this returns 0. */
int xenstore_open_tree(struct xenstore *s) must_check;
/* The tree is @now from now on (its reference is ours); watches, which know of all before, are to hear of the difference:
 * xenstore_tell(). */
void xenstore_replace_tree(struct xenstore *s, struct tree_node *now);
/* Tell watches of the last change, as long as the piece lasts, but one at least.  False: there is nobody to tell. */
bool xenstore_tell(struct xenstore *s);
/* Others should get their turn before more is begun. */
bool xenstore_piece_over(const struct xenstore *s);
/* Whoever has not heard of the last change never will. */
void xenstore_tell_nobody(struct xenstore *s);

/* The request is whole: answer it, into s->reply. */
void xenstore_answer(struct xenstore *s);
/* The reply is out, or not wanted. */
void xenstore_reply_free(struct xenstore *s);

/* The watch of absolute @path with @token, or NULL. */
struct watch *watch_find(struct xenstore *s, const char *path, const char *token);
/*
 * Add one, which begins with an event: @relative bytes of @path are not the guest's words.  0, or
 * -errno.
 */
int watch_add(struct xenstore *s, const char *path, size_t relative, const char *token) must_check;
void watch_free(struct xenstore *s, struct watch *w);
void watches_drop(struct xenstore *s);
void events_drop(struct xenstore *s);

struct transaction *transaction_find(struct xenstore *s, uint32_t id);
/* A new one of the tree as it is; NULL and *@rc. */
struct transaction *transaction_start(struct xenstore *s, int *rc) must_check;
void transaction_free(struct xenstore *s, struct transaction *t);
void transactions_drop(struct xenstore *s);
