/*
 * System V IPC: what segments, semaphores and message queues have in common.
 *
 * An object is found by its id, which is a place in its kind's table and a count
 * that makes it differ from those that had the place before.  Programs agree on
 * a key; an object without one (IPC_PRIVATE) is known to whoever learns its id.
 */
#pragma once

#include "process.h"
#include "text-buffer.h"
#include "user.h"

#define IPC_CREATE 01000 /* IPC_CREAT */
#define IPC_EXCL   02000
#define IPC_NOWAIT 04000

#define IPC_RMID 0
#define IPC_SET  1
#define IPC_STAT 2
#define IPC_INFO 3

#define IPC_READ  0444 /* what ipc_allowed is asked: for whom does not matter */
#define IPC_WRITE 0222

/* Limits, which are Linux's. */
#define IPC_SEGMENTS_MOST   4096
#define IPC_SEGMENT_MOST    (~0ul - (1ul << 24)) /* bytes of one, and pages of all */
#define IPC_SETS_MOST       32000
#define IPC_SET_MOST        32000 /* semaphores of a set */
#define IPC_OPERATIONS_MOST 500
#define IPC_QUEUES_MOST     32000
#define IPC_MESSAGE_MOST    8192  /* bytes of one */
#define IPC_QUEUE_MOST      16384 /* of a queue, unless root says more */

/**
 * struct ipc - one object.
 *
 * I1  @refs = the table's, and one of each call that sleeps for it.
 * I2  It is in its table exactly while it is not @removed.
 */
struct ipc {
    unsigned refs;
    int key, id; /* key 0: none */
    unsigned uid, gid, creator_uid, creator_gid, mode;
    bool removed;
    uint64_t changed; /* clock_now */
};

struct ipc_table {
    struct ipc **slots;
    unsigned size, used, most, last, sequence;
    void (*destroy)(struct ipc *ipc); /* free it; the last reference has gone */
};

/* What a process asks for by shmget, semget or msgget. */
struct ipc_request {
    int key;
    unsigned flags; /* IPC_CREATE, IPC_EXCL, and a mode */
    size_t size;
};

/*
 * The id of the object with request->key, made if it has to be: @check says whether an old one will do, @create makes a
 * new one, both 0 or -errno.
 */
long ipc_get(struct ipc_table *table, const struct ipc_request *request,
             int (*check)(const struct ipc *ipc, size_t size),
             int (*create)(const struct ipc_request *request, struct ipc **made));
/* The object @id, or NULL.  Without a reference. */
struct ipc *ipc_find(const struct ipc_table *table, int id);
/* The object in @place of the table, for the *_STAT calls.  NULL: there is none. */
struct ipc *ipc_find_place(const struct ipc_table *table, int place);
static inline void ipc_hold(struct ipc *ipc)
{
    ipc->refs++;
}
void ipc_put(struct ipc_table *table, struct ipc *ipc);
/* It is in no table any more; those who hold it see @removed. */
void ipc_remove(struct ipc_table *table, struct ipc *ipc);
/* May the running process do what the bits of @want (IPC_READ, IPC_WRITE or a mode) say? */
bool ipc_allowed(const struct ipc *ipc, unsigned want);
/* May it change or remove it? */
bool ipc_owned(const struct ipc *ipc);
/* The last place in use; 0 also if there is none. */
int ipc_last_place(const struct ipc_table *table);

/* struct ipc64_perm */
struct linux_ipc {
    int32_t key;
    uint32_t uid, gid, creator_uid, creator_gid, mode;
    uint16_t sequence, pad;
    uint64_t unused[2];
};
_Static_assert(sizeof(struct linux_ipc) == 48, "struct ipc64_perm");
#define IPC_TOLD_MOST 120 /* bytes of what a kind tells of an object */

/* One of shmctl, semctl, msgctl. */
struct ipc_command {
    int id, command;
    unsigned number; /* of a semaphore */
    user_t at;
};

/* What a kind of object has of its own in those calls. */
struct ipc_kind {
    struct ipc_table *table;
    int stat;    /* the number of its *_STAT, behind which *_INFO and *_STAT_ANY come */
    size_t size; /* of what it tells and is told, which begins with a struct linux_ipc */
    long (*tell_limits)(bool used, user_t to);
    void (*tell)(const struct ipc *ipc, void *told); /* all but that beginning */
    int (*set)(struct ipc *ipc, const void *told);   /* besides owner and mode: 0 or -errno */
    void (*remove)(struct ipc *ipc);
    long (*other)(struct ipc *ipc,
                  const struct ipc_command *c); /* its other commands; NULL: none */
};
/* Do what @c says: looks for the object, and whether the process may. */
long ipc_control(const struct ipc_kind *kind, const struct ipc_command *c);
/* A time of clock_now() in seconds. */
uint64_t ipc_seconds(uint64_t time);

#define for_each_ipc(ipc, place, table)             \
    for (place = 0; place < (table)->size; place++) \
        if (((ipc) = ipc_find_place((table), place)))

/*
 * sys-semaphore.c: the running process ends, or leaves what it had to undo: its semaphores get back what it took.
 * Others may run meanwhile.
 */
void semaphores_undo(struct process *p);

/* sys-shared-memory.c: an area of the segment that @inode is has come, or gone. */
void segment_mapped(struct inode *inode);
void segment_unmapped(struct inode *inode);
/* The key of that segment, for /proc. */
int segment_key(const struct inode *inode);
