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
static int grow(struct ipc_table *t)
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

/* Places are given in turn, so that an id that was removed is not soon another object's. */
static void insert(struct ipc_table *t, struct ipc *ipc)
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

static long make(struct ipc_table *t, const struct ipc_request *r,
                 int (*create)(const struct ipc_request *r, struct ipc **made))
{
    const struct credentials *c = &process_current()->credentials;
    struct ipc *ipc;
    if (!page_available(PAGE_FOR_FILE))
        return -ENOMEM;
    int rc = create(r, &ipc);
    if (rc)
        return rc;
    rc = t->used >= t->most ? -ENOSPC : grow(t);
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
    insert(t, ipc);
    return ipc->id;
}

long ipc_get(struct ipc_table *t, const struct ipc_request *r,
             int (*check)(const struct ipc *ipc, size_t size),
             int (*create)(const struct ipc_request *r, struct ipc **made))
{
    const struct ipc *ipc = find_key(t, r->key);
    if (!r->key)
        return make(t, r, create);
    if (!ipc)
        return r->flags & IPC_CREATE ? make(t, r, create) : -ENOENT;
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

struct linux_ipc ipc_told(const struct ipc *ipc)
{
    return (struct linux_ipc){.key = ipc->key,
                              .uid = ipc->uid,
                              .gid = ipc->gid,
                              .creator_uid = ipc->creator_uid,
                              .creator_gid = ipc->creator_gid,
                              .mode = ipc->mode,
                              .sequence = ipc->id >> PLACE_BITS};
}

void ipc_set(struct ipc *ipc, const struct linux_ipc *to)
{
    ipc->uid = to->uid;
    ipc->gid = to->gid;
    ipc->mode = (ipc->mode & ~0777u) | (to->mode & 0777);
    ipc->changed = clock_now();
}

uint64_t ipc_seconds(uint64_t time)
{
    return time / NS;
}
