/* Tables of System V IPC, and who may do what with their objects. */
#include "ipc.h"
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "page.h"
#include "sys-time.h"
#include "text.h"
#include "timer.h"

#define PLACE_BITS   15
#define PLACES_NEW   64 /* ids go round among so many before the first comes again */
#define SEQUENCE_MAX 0xffff

static unsigned place_of(int id)
{
    return id & ((1u << PLACE_BITS) - 1);
}

struct ipc *ipc_find_place(const struct ipc_table *table, int place)
{
    return place >= 0 && (unsigned)place < table->size ? table->slots[place] : NULL;
}

struct ipc *ipc_find(const struct ipc_table *table, int id)
{
    struct ipc *ipc = id >= 0 ? ipc_find_place(table, place_of(id)) : NULL;
    return ipc && ipc->id == id ? ipc : NULL;
}

int ipc_last_place(const struct ipc_table *table)
{
    int last = 0;
    for (unsigned i = 0; i < table->size; i++)
        last = table->slots[i] ? (int)i : last;
    return last;
}

bool ipc_allowed(const struct ipc *ipc, unsigned want)
{
    const struct credentials *c = &process_current()->credentials;
    const unsigned asked = want >> 6 | want >> 3 | want;
    unsigned mode = ipc->mode;
    if (c->user.effective == ipc->creator_uid || c->user.effective == ipc->uid)
        mode >>= 6;
    else if (credentials_in_group(c, c->group.effective, ipc->creator_gid) ||
             credentials_in_group(c, c->group.effective, ipc->gid))
        mode >>= 3;
    return !(asked & ~mode & 7) || access_capable(CAP_IPC_OWNER);
}

bool ipc_owned(const struct ipc *ipc)
{
    const unsigned uid = process_current()->credentials.user.effective;
    return uid == ipc->creator_uid || uid == ipc->uid || access_capable(CAP_SYS_ADMIN);
}

/* Make room for one more. */
static int ipc_grow(struct ipc_table *t)
{
    if (t->used < t->size)
        return 0;
    const unsigned size = MIN(MAX(t->size * 2, (unsigned)PLACES_NEW), t->most);
    struct ipc **slots = heap_alloc(size * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    memcpy(slots, t->slots, t->size * sizeof(*slots));
    heap_free(t->slots);
    t->slots = slots;
    t->size = size;
    return 0;
}

/* Places are given in turn, and each time round ids are others: those of objects that were removed do not come again
 * for a long time. */
static void ipc_insert(struct ipc_table *t, struct ipc *ipc)
{
    unsigned place = t->used || t->sequence || t->last ? t->last + 1 : 0;
    for (;; place++) {
        if (place >= t->size) {
            place = 0;
            t->sequence = (t->sequence + 1) & SEQUENCE_MAX;
        }
        if (!t->slots[place])
            break;
    }
    t->slots[place] = ipc;
    t->last = place;
    t->used++;
    ipc->id = t->sequence << PLACE_BITS | place;
}

static struct ipc *find_key(const struct ipc_table *t, int key)
{
    for (unsigned i = 0; key && i < t->size; i++)
        if (t->slots[i] && t->slots[i]->key == key)
            return t->slots[i];
    return NULL;
}

static long ipc_make(struct ipc_table *t, const struct ipc_request *r,
                     int (*create)(const struct ipc_request *r, struct ipc **made))
{
    const struct credentials *c = &process_current()->credentials;
    struct ipc *ipc;
    if (!page_available(PAGE_FOR_FILE))
        return -ENOMEM;
    int rc = create(r, &ipc);
    if (rc)
        return rc;
    rc = t->used >= t->most ? -ENOSPC : ipc_grow(t);
    ipc->refs = 1;
    if (rc) {
        t->destroy(ipc);
        return rc;
    }
    ipc->key = r->key;
    ipc->uid = ipc->creator_uid = c->user.effective;
    ipc->gid = ipc->creator_gid = c->group.effective;
    ipc->mode = r->flags & 0777;
    ipc->changed = clock_now();
    ipc_insert(t, ipc);
    return ipc->id;
}

long ipc_get(struct ipc_table *t, const struct ipc_request *r,
             int (*check)(const struct ipc *ipc, size_t size),
             int (*create)(const struct ipc_request *r, struct ipc **made))
{
    const struct ipc *ipc = find_key(t, r->key);
    if (!r->key)
        return ipc_make(t, r, create);
    if (!ipc)
        return r->flags & IPC_CREATE ? ipc_make(t, r, create) : -ENOENT;
    if ((r->flags & IPC_CREATE) && (r->flags & IPC_EXCL))
        return -EEXIST;
    const int rc = check ? check(ipc, r->size) : 0;
    if (rc)
        return rc;
    return ipc_allowed(ipc, r->flags & 0777) ? ipc->id : -EACCES;
}

void ipc_put(struct ipc_table *t, struct ipc *ipc)
{
    if (!--ipc->refs)
        t->destroy(ipc);
}

void ipc_remove(struct ipc_table *t, struct ipc *ipc)
{
    t->slots[place_of(ipc->id)] = NULL;
    t->used--;
    ipc->removed = true;
    ipc_put(t, ipc);
}

/* ---- What shmctl, semctl and msgctl have in common ---- */

static long ipc_tell(const struct ipc_kind *k, const struct ipc *ipc, const struct ipc_command *c)
{
    union {
        struct linux_ipc ipc;
        uint64_t room[IPC_TOLD_MOST / sizeof(uint64_t)];
    } told = {.room = {0}};
    if (c->command != k->stat + 2 && !ipc_allowed(ipc, IPC_READ))
        return -EACCES;
    told.ipc = (struct linux_ipc){.key = ipc->key,
                                  .uid = ipc->uid,
                                  .gid = ipc->gid,
                                  .creator_uid = ipc->creator_uid,
                                  .creator_gid = ipc->creator_gid,
                                  .mode = ipc->mode,
                                  .sequence = ipc->id >> PLACE_BITS};
    k->tell(ipc, &told);
    if (user_write(c->at, &told, k->size))
        return -EFAULT;
    return c->command == IPC_STAT ? 0 : ipc->id;
}

/* IPC_SET, owner and the mode's nine bits and what the kind has besides; or IPC_RMID. */
static long change(const struct ipc_kind *k, struct ipc *ipc, int command, const void *told)
{
    const struct linux_ipc *to = told;
    if (!ipc_owned(ipc))
        return -EPERM;
    if (command == IPC_RMID) {
        k->remove(ipc);
        return 0;
    }
    const int rc = k->set ? k->set(ipc, told) : 0;
    if (rc)
        return rc;
    ipc->uid = to->uid;
    ipc->gid = to->gid;
    ipc->mode = (ipc->mode & ~0777u) | (to->mode & 0777);
    ipc->changed = clock_now();
    return 0;
}

long ipc_control(const struct ipc_kind *k, const struct ipc_command *c)
{
    uint64_t told[IPC_TOLD_MOST / sizeof(uint64_t)];
    const int info = k->stat + 1;
    if (c->id < 0 || c->command < 0)
        return -EINVAL;
    if (c->command == IPC_INFO || c->command == info)
        return k->tell_limits(c->command == info, c->at);
    if (c->command == IPC_SET && user_read(told, c->at, k->size))
        return -EFAULT;
    const bool by_place = c->command == k->stat || c->command == k->stat + 2;
    struct ipc *ipc = by_place ? ipc_find_place(k->table, c->id) : ipc_find(k->table, c->id);
    if (!ipc)
        return -EINVAL;
    if (by_place || c->command == IPC_STAT)
        return ipc_tell(k, ipc, c);
    if (c->command == IPC_SET || c->command == IPC_RMID)
        return change(k, ipc, c->command, told);
    return k->other ? k->other(ipc, c) : -EINVAL;
}

uint64_t ipc_seconds(uint64_t time)
{
    return time / NS;
}
