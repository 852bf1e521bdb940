/* System calls on System V's message queues. */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "ipc.h"
#include "page.h"
#include "proc.h"
#include "syscall.h"
#include "timer.h"

#define MSG_NOERROR 010000
#define MSG_EXCEPT  020000
#define MSG_COPY    040000

#define MSG_STAT     11
#define MSG_INFO     12
#define MSG_STAT_ANY 13

struct message {
    struct list link;
    int64_t type;
    size_t size;
    char bytes[];
};

struct queue {
    struct ipc ipc;
    struct list messages;
    uint64_t bytes, count, most;
    uint64_t sent, received; /* times */
    int sender, receiver;    /* pids */
    struct wait_queue changed;
};

static uint64_t messages_total, bytes_total;

static void message_drop(struct queue *q, struct message *m)
{
    list_remove(&m->link);
    q->bytes -= m->size;
    q->count--;
    bytes_total -= m->size;
    messages_total--;
}

static void queue_destroy(struct ipc *ipc)
{
    struct queue *q = container_of(ipc, struct queue, ipc);
    while (!list_empty(&q->messages)) {
        struct message *m = list_entry(q->messages.next, struct message, link);
        message_drop(q, m);
        heap_free(m);
    }
    heap_free(q);
}

static struct ipc_table queues = {.most = IPC_QUEUES_MOST, .destroy = queue_destroy};

static struct queue *queue_of(struct ipc *ipc)
{
    return ipc ? container_of(ipc, struct queue, ipc) : NULL;
}

static int message_create(const struct ipc_request *r, struct ipc **made)
{
    struct queue *q = heap_alloc(sizeof(*q));
    if (!q)
        return -ENOMEM;
    list_init(&q->messages);
    wait_init(&q->changed);
    q->most = IPC_QUEUE_MOST;
    *made = &q->ipc;
    return 0;
}

long syscall_msgget(const struct syscall_args *a)
{
    const struct ipc_request r = {a->arg[0], a->arg[1], 0};
    return ipc_get(&queues, &r, NULL, message_create);
}

/* Sleep until something has changed: 0, -EIDRM if @q is gone, -EINTR. */
static int wait_change(struct queue *q)
{
    ipc_hold(&q->ipc);
    const int rc = wait_until(&q->changed, FOREVER);
    const bool removed = q->ipc.removed;
    ipc_put(&queues, &q->ipc);
    return removed ? -EIDRM : rc ? -EINTR : 0;
}

/* ---- Sending ---- */

static int wait_room(struct queue *q, size_t size, bool wait)
{
    for (;;) {
        if (!ipc_allowed(&q->ipc, IPC_WRITE))
            return -EACCES;
        if (q->bytes + size <= q->most && q->count + 1 <= q->most)
            return 0;
        if (!wait)
            return -EAGAIN;
        const int rc = wait_change(q);
        if (rc)
            return rc;
    }
}

static int message_read(user_t from, size_t size, struct message **read)
{
    struct message *m = heap_alloc_for(PAGE_FOR_FILE, sizeof(*m) + size);
    if (!m)
        return -ENOMEM;
    if (user_read(&m->type, from, sizeof(m->type)) ||
        user_read(m->bytes, from + sizeof(m->type), size)) {
        heap_free(m);
        return -EFAULT;
    }
    m->size = size;
    list_init(&m->link);
    *read = m;
    return 0;
}

/* msgsnd(id, message, size, flags) */
long syscall_msgsnd(const struct syscall_args *a)
{
    int64_t type;
    struct message *m;
    if (user_read(&type, a->arg[1], sizeof(type)))
        return -EFAULT;
    if (a->arg[2] > IPC_MESSAGE_MOST || (int)a->arg[0] < 0 || type < 1)
        return -EINVAL;
    int rc = message_read(a->arg[1], a->arg[2], &m);
    if (rc)
        return rc;
    m->type = type; /* which was looked at */
    struct queue *q = queue_of(ipc_find(&queues, a->arg[0]));
    rc = q ? wait_room(q, m->size, !(a->arg[3] & IPC_NOWAIT)) : -EINVAL;
    if (rc) {
        heap_free(m);
        return rc;
    }
    list_add(&m->link, &q->messages);
    q->bytes += m->size;
    q->count++;
    bytes_total += m->size;
    messages_total++;
    q->sender = process_current()->pid;
    q->sent = clock_now();
    wait_wake(&q->changed);
    return 0;
}

/* ---- Receiving ---- */

/* The @index-th: MSG_COPY. */
static struct message *find_number(const struct queue *q, int64_t index)
{
    struct message *m;
    list_for_each(m, &q->messages, link)
    {
        if (!index--)
            return m;
    }
    return NULL;
}

/* The first of the lowest type that is not above @most. */
static struct message *find_lowest(const struct queue *q, int64_t most)
{
    struct message *m, *found = NULL;
    list_for_each(m, &q->messages, link)
    {
        if (m->type <= most && (!found || m->type < found->type))
            found = m;
    }
    return found;
}

static struct message *find_message(const struct queue *q, int64_t type, unsigned flags)
{
    struct message *m;
    if (flags & MSG_COPY)
        return find_number(q, type);
    if (type < 0)
        return find_lowest(q, type == INT64_MIN ? INT64_MAX : -type);
    list_for_each(m, &q->messages, link)
    {
        if (!type || (m->type == type) != !!(flags & MSG_EXCEPT))
            return m;
    }
    return NULL;
}

static int wait_message(struct queue *q, int64_t type, unsigned flags, struct message **found)
{
    for (;;) {
        if (!ipc_allowed(&q->ipc, IPC_READ))
            return -EACCES;
        *found = find_message(q, type, flags);
        if (*found)
            return 0;
        if (flags & IPC_NOWAIT)
            return -ENOMSG;
        const int rc = wait_change(q);
        if (rc)
            return rc;
    }
}

static long message_write(const struct message *m, user_t to, size_t size)
{
    return user_write(to, &m->type, sizeof(m->type)) ||
                   user_write(to + sizeof(m->type), m->bytes, size)
               ? -EFAULT
               : (long)size;
}

/* msgrcv(id, message, size, type, flags) */
long syscall_msgrcv(const struct syscall_args *a)
{
    const unsigned flags = a->arg[4];
    const int64_t room = a->arg[2];
    struct message *m;
    if ((int)a->arg[0] < 0 || room < 0 ||
        ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))))
        return -EINVAL;
    struct queue *q = queue_of(ipc_find(&queues, a->arg[0]));
    const int rc = q ? wait_message(q, a->arg[3], flags, &m) : -EINVAL;
    if (rc)
        return rc;
    if ((size_t)room < m->size && !(flags & MSG_NOERROR))
        return -E2BIG;
    const size_t size = MIN((size_t)room, m->size);
    if (flags & MSG_COPY)
        return message_write(m, a->arg[1], size);
    message_drop(q, m);
    q->receiver = process_current()->pid;
    q->received = clock_now();
    wait_wake(&q->changed);
    const long n = message_write(m, a->arg[1], size);
    heap_free(m);
    return n;
}

/* ---- msgctl ---- */

/* struct msqid64_ds */
struct linux_queue {
    struct linux_ipc ipc;
    uint64_t sent, received, changed, bytes, count, most;
    int32_t sender, receiver;
    uint64_t unused[2];
};
_Static_assert(sizeof(struct linux_queue) == 120, "struct msqid64_ds");

static long tell_limits(bool used, user_t to)
{
    /* msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql, msgseg */
    int32_t limits[8] = {IPC_QUEUES_MOST * (IPC_QUEUE_MOST / 1024),
                         IPC_QUEUE_MOST,
                         IPC_MESSAGE_MOST,
                         IPC_QUEUE_MOST,
                         IPC_QUEUES_MOST,
                         16,
                         IPC_QUEUE_MOST,
                         0xffff};
    if (used) {
        limits[0] = queues.used;
        limits[1] = messages_total;
        limits[6] = bytes_total;
    }
    return user_write(to, limits, sizeof(limits)) ? -EFAULT : ipc_last_place(&queues);
}

static void message_tell(const struct ipc *ipc, void *to)
{
    const struct queue *q = container_of(ipc, const struct queue, ipc);
    struct linux_queue *told = to;
    told->sent = ipc_seconds(q->sent);
    told->received = ipc_seconds(q->received);
    told->changed = ipc_seconds(q->ipc.changed);
    told->bytes = q->bytes;
    told->count = q->count;
    told->most = q->most;
    told->sender = q->sender;
    told->receiver = q->receiver;
}

static int message_set(struct ipc *ipc, const void *told)
{
    struct queue *q = queue_of(ipc);
    const struct linux_queue *to = told;
    if (to->most > IPC_QUEUE_MOST && !access_capable(CAP_SYS_RESOURCE))
        return -EPERM;
    q->most = to->most;
    wait_wake(&q->changed); /* there may be room now, or no right any more */
    return 0;
}

static void message_remove(struct ipc *ipc)
{
    wait_wake(&queue_of(ipc)->changed);
    ipc_remove(&queues, ipc);
}

/* msgctl(id, command, buffer) */
long syscall_msgctl(const struct syscall_args *a)
{
    static const struct ipc_kind kind = {.table = &queues,
                                         .stat = MSG_STAT,
                                         .size = sizeof(struct linux_queue),
                                         .tell_limits = tell_limits,
                                         .tell = message_tell,
                                         .set = message_set,
                                         .remove = message_remove};
    const struct ipc_command c = {a->arg[0], a->arg[1], 0, a->arg[2]};
    return ipc_control(&kind, &c);
}

void proc_ipc_messages(struct text_buffer *out, const struct process *p, const struct task *task)
{
    struct ipc *ipc;
    unsigned place;
    text_add(
        out,
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid "
        "     stime      rtime      ctime\n");
    for_each_ipc(ipc, place, &queues)
    {
        const struct queue *q = queue_of(ipc);
        text_add(out, "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u ", ipc->key, ipc->id,
                 ipc->mode, q->bytes, q->count, q->sender, q->receiver, ipc->uid, ipc->gid,
                 ipc->creator_uid, ipc->creator_gid);
        text_add(out, "%10lu %10lu %10lu\n", ipc_seconds(q->sent), ipc_seconds(q->received),
                 ipc_seconds(ipc->changed));
    }
}
