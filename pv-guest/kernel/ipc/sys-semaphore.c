/*
 * System calls on System V's semaphores.
 *
 * An array of operations is done as a whole or not at all.  Who has to wait
 * stands in the set's line, and whoever changes a value does for those in line
 * what has become possible, in their order: so nobody can take again what
 * another one waits for.
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "ipc.h"
#include "platform/platform.h"
#include "proc.h"
#include "sys-time.h"
#include "syscall.h"
#include "text.h"
#include "timer.h"

#define SEM_UNDO 0x1000

#define GETPID       11
#define GETVAL       12
#define GETALL       13
#define GETNCNT      14
#define GETZCNT      15
#define SETVAL       16
#define SETALL       17
#define SEM_STAT     18
#define SEM_INFO     19
#define SEM_STAT_ANY 20

#define VALUE_MOST 32767

struct semaphore {
    int value, pid; /* pid: who was the last to change it */
};

struct set {
    struct ipc ipc;
    struct list line;  /* struct waiter */
    struct list undos; /* struct undo.in_set */
    uint64_t operated; /* clock_now */
    unsigned count;
    struct semaphore semaphores[];
};

/* What @process has taken by SEM_UNDO of a set, to be given back when it ends. */
struct undo {
    struct list in_process, in_set;
    struct set *set;
    struct process *process;
    int16_t adjust[];
};

struct linux_sembuf {
    uint16_t number;
    int16_t operation, flags;
};

struct waiter {
    struct list link;
    const struct linux_sembuf *operations;
    unsigned count;
    struct undo *undo;
    int pid;
    const struct linux_sembuf *blocked_by;
    bool done;
    int result;
    struct wait_queue queue;
};

static unsigned long semaphores_total;

static void undo_free(struct undo *u)
{
    list_remove(&u->in_process);
    list_remove(&u->in_set);
    heap_free(u);
}

static void waiter_done(struct waiter *w, int result)
{
    list_remove(&w->link);
    w->done = true;
    w->result = result;
    wait_wake(&w->queue);
}

static void set_destroy(struct ipc *ipc)
{
    struct set *s = container_of(ipc, struct set, ipc);
    semaphores_total -= s->count;
    heap_free(s);
}

static struct ipc_table sets = {.most = IPC_SETS_MOST, .destroy = set_destroy};

static struct set *set_of(struct ipc *ipc)
{
    return ipc ? container_of(ipc, struct set, ipc) : NULL;
}

static void set_remove(struct set *s)
{
    struct waiter *w, *next_waiter;
    struct undo *u, *next_undo;
    list_for_each_safe(w, next_waiter, &s->line, link) waiter_done(w, -EIDRM);
    list_for_each_safe(u, next_undo, &s->undos, in_set) undo_free(u);
    ipc_remove(&sets, &s->ipc);
}

static int semaphore_check(const struct ipc *ipc, size_t count)
{
    return count > container_of(ipc, const struct set, ipc)->count ? -EINVAL : 0;
}

static int semaphore_create(const struct ipc_request *r, struct ipc **made)
{
    if (!r->size)
        return -EINVAL;
    struct set *s = heap_alloc(sizeof(*s) + r->size * sizeof(s->semaphores[0]));
    if (!s)
        return -ENOMEM;
    list_init(&s->line);
    list_init(&s->undos);
    s->count = r->size;
    semaphores_total += s->count;
    *made = &s->ipc;
    return 0;
}

long syscall_semget(const struct syscall_args *a)
{
    const struct ipc_request r = {a->arg[0], a->arg[2], (unsigned)a->arg[1]};
    return r.size > IPC_SET_MOST ? -EINVAL : ipc_get(&sets, &r, semaphore_check, semaphore_create);
}

/* ---- Operations ---- */

/* One of them: 0, -EAGAIN if it has to wait, or -ERANGE. */
static int semaphore_operate(struct set *s, const struct linux_sembuf *o, struct undo *u)
{
    struct semaphore *const sem = &s->semaphores[o->number];
    if (!o->operation)
        return sem->value ? -EAGAIN : 0;
    const int value = sem->value + o->operation;
    if (value < 0)
        return -EAGAIN;
    if (value > VALUE_MOST)
        return -ERANGE;
    if (o->flags & SEM_UNDO) {
        const int adjust = u->adjust[o->number] - o->operation;
        if (adjust < -VALUE_MOST - 1 || adjust > VALUE_MOST)
            return -ERANGE;
        u->adjust[o->number] = adjust;
    }
    sem->value = value;
    return 0;
}

static void take_back(struct set *s, const struct linux_sembuf *o, unsigned count, struct undo *u)
{
    while (count--) {
        s->semaphores[o[count].number].value -= o[count].operation;
        if (o[count].operation && (o[count].flags & SEM_UNDO))
            u->adjust[o[count].number] += o[count].operation;
    }
}

/* All of @w's, or none: 0; -EAGAIN, *@wait telling whether it is to wait; or -ERANGE. */
static int operate_all(struct set *s, struct waiter *w, bool *wait)
{
    *wait = false;
    for (unsigned i = 0; i < w->count; i++) {
        const int rc = semaphore_operate(s, &w->operations[i], w->undo);
        if (!rc)
            continue;
        take_back(s, w->operations, i, w->undo);
        w->blocked_by = &w->operations[i];
        *wait = rc == -EAGAIN && !(w->operations[i].flags & IPC_NOWAIT);
        return rc;
    }
    for (unsigned i = 0; i < w->count; i++)
        s->semaphores[w->operations[i].number].pid = w->pid;
    s->operated = clock_now();
    return 0;
}

static bool alters(const struct waiter *w)
{
    for (unsigned i = 0; i < w->count; i++)
        if (w->operations[i].operation)
            return true;
    return false;
}

/* A value has changed: do what those in line have waited for.  Others run in between, and @s may be gone afterwards. */
static void serve(struct set *s)
{
    struct waiter *w, *after;
    bool again = true, wait;
    ipc_hold(&s->ipc);
    while (again) {
        again = false;
        list_for_each_safe(w, after, &s->line, link)
        {
            const int rc = operate_all(s, w, &wait);
            if (wait)
                continue;
            again |= !rc && alters(w);
            waiter_done(w, rc);
        }
        if (again)
            sched_point();
    }
    ipc_put(&sets, &s->ipc);
}

/* What the running process has to undo of @s; NULL without memory. */
static struct undo *undo_get(struct set *s)
{
    struct process *const p = process_current();
    struct undo *u;
    list_for_each(u, &p->undos, in_process)
    {
        if (u->set == s)
            return u;
    }
    u = heap_alloc_for(PAGE_FOR_FILE, sizeof(*u) + s->count * sizeof(u->adjust[0]));
    if (!u)
        return NULL;
    u->set = s;
    u->process = p;
    list_add(&u->in_process, &p->undos);
    list_add(&u->in_set, &s->undos);
    return u;
}

void semaphores_undo(struct process *p)
{
    while (!list_empty(&p->undos)) {
        struct undo *u = list_entry(p->undos.next, struct undo, in_process);
        struct set *s = u->set;
        for (unsigned i = 0; i < s->count; i++) {
            struct semaphore *sem = &s->semaphores[i];
            if (!u->adjust[i])
                continue;
            sem->value = MIN(MAX(sem->value + u->adjust[i], 0), VALUE_MOST);
            sem->pid = p->pid;
        }
        undo_free(u);
        s->operated = clock_now();
        serve(s);
    }
}

static int wait_turn(struct set *s, struct waiter *w, uint64_t deadline)
{
    int rc = 0;
    wait_init(&w->queue);
    list_add(&w->link, &s->line);
    ipc_hold(&s->ipc);
    while (!rc && !w->done)
        rc = wait_until(&w->queue, deadline);
    list_remove(&w->link);
    ipc_put(&sets, &s->ipc);
    if (w->done)
        return w->result;
    return rc == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

/* Which rights @w needs, whether it undoes, and whether @s has all the semaphores. */
static int semaphore_look(const struct set *s, const struct waiter *w, unsigned *want, bool *undoes)
{
    *want = IPC_READ;
    *undoes = false;
    for (unsigned i = 0; i < w->count; i++) {
        if (w->operations[i].number >= s->count)
            return -EFBIG;
        *undoes |= w->operations[i].operation && (w->operations[i].flags & SEM_UNDO);
        if (w->operations[i].operation)
            *want = IPC_WRITE;
    }
    return 0;
}

static long operate_on(int id, struct waiter *w, uint64_t deadline)
{
    struct set *s = set_of(ipc_find(&sets, id));
    unsigned want;
    bool undoes, wait;
    if (!s)
        return -EINVAL;
    int rc = semaphore_look(s, w, &want, &undoes);
    if (rc)
        return rc;
    if (!ipc_allowed(&s->ipc, want))
        return -EACCES;
    if (undoes && !(w->undo = undo_get(s)))
        return -ENOMEM;
    w->pid = process_current()->pid;
    rc = operate_all(s, w, &wait);
    if (wait)
        return wait_turn(s, w, deadline);
    if (!rc && want == IPC_WRITE)
        serve(s);
    return rc;
}

/* semtimedop(id, operations, count, timeout) */
long syscall_semtimedop(const struct syscall_args *a)
{
    const unsigned count = a->arg[2];
    uint64_t deadline = FOREVER;
    if (count > IPC_OPERATIONS_MOST)
        return -E2BIG;
    if (!count || (int)a->arg[0] < 0)
        return -EINVAL;
    struct linux_sembuf *operations = heap_alloc(count * sizeof(*operations));
    if (!operations)
        return -ENOMEM;
    long rc = user_read(operations, a->arg[1], count * sizeof(*operations));
    if (!rc)
        rc = timespec_deadline(a->arg[3], false, false, &deadline);
    struct waiter w = {.operations = operations, .count = count};
    if (!rc)
        rc = operate_on(a->arg[0], &w, deadline);
    heap_free(operations);
    return rc;
}

long syscall_semop(const struct syscall_args *a)
{
    const struct syscall_args forever = {.arg = {a->arg[0], a->arg[1], a->arg[2]}};
    return syscall_semtimedop(&forever);
}

/* ---- semctl ---- */

/* struct semid64_ds */
struct linux_set {
    struct linux_ipc ipc;
    uint64_t operated, unused1, changed, unused2, count, unused3, unused4;
};
_Static_assert(sizeof(struct linux_set) == 104, "struct semid64_ds");

static long tell_limits(bool used, user_t to)
{
    /* semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem */
    int32_t limits[10] = {IPC_SETS_MOST * IPC_SET_MOST,
                          IPC_SETS_MOST,
                          IPC_SETS_MOST * IPC_SET_MOST,
                          IPC_SETS_MOST * IPC_SET_MOST,
                          IPC_SET_MOST,
                          IPC_OPERATIONS_MOST,
                          IPC_OPERATIONS_MOST,
                          20,
                          VALUE_MOST,
                          VALUE_MOST};
    if (used) {
        limits[7] = sets.used;
        limits[9] = semaphores_total;
    }
    return user_write(to, limits, sizeof(limits)) ? -EFAULT : ipc_last_place(&sets);
}

static void semaphore_tell(const struct ipc *ipc, void *to)
{
    const struct set *s = container_of(ipc, const struct set, ipc);
    struct linux_set *told = to;
    told->operated = ipc_seconds(s->operated);
    told->changed = ipc_seconds(s->ipc.changed);
    told->count = s->count;
}

/* Nobody has anything to undo of semaphores @from to @to any more. */
static void forget_undo(struct set *s, unsigned from, unsigned to)
{
    struct undo *u;
    list_for_each(u, &s->undos, in_set)
    {
        memset(&u->adjust[from], 0, (to - from) * sizeof(u->adjust[0]));
    }
}

static int waiting_count(const struct set *s, unsigned number, bool for_zero)
{
    const struct waiter *w;
    int n = 0;
    list_for_each(w, &s->line, link) n +=
        w->blocked_by->number == number && !w->blocked_by->operation == for_zero;
    return n;
}

static void set_value(struct set *s, unsigned number, int value)
{
    s->semaphores[number].value = value;
    s->semaphores[number].pid = process_current()->pid;
}

static long values_all(struct set *s, bool write, user_t at)
{
    uint16_t *values = heap_alloc(s->count * sizeof(*values));
    const size_t size = s->count * sizeof(*values);
    long rc = values ? 0 : -ENOMEM;
    for (unsigned i = 0; !rc && i < s->count; i++)
        values[i] = s->semaphores[i].value;
    if (!rc)
        rc = write ? user_read(values, at, size) : user_write(at, values, size);
    for (unsigned i = 0; !rc && write && i < s->count; i++)
        rc = values[i] > VALUE_MOST ? -ERANGE : 0;
    for (unsigned i = 0; !rc && write && i < s->count; i++)
        set_value(s, i, values[i]);
    heap_free(values);
    if (rc || !write)
        return rc;
    forget_undo(s, 0, s->count);
    s->ipc.changed = clock_now();
    serve(s);
    return 0;
}

static long value_set(struct set *s, unsigned number, int value)
{
    if (number >= s->count)
        return -EINVAL;
    if (!ipc_allowed(&s->ipc, IPC_WRITE))
        return -EACCES;
    set_value(s, number, value);
    forget_undo(s, number, number + 1);
    s->ipc.changed = clock_now();
    serve(s);
    return 0;
}

static long value_get(struct set *s, unsigned number, int command, user_t all)
{
    if (!ipc_allowed(&s->ipc, command == SETALL ? IPC_WRITE : IPC_READ))
        return -EACCES;
    if (command == SETALL || command == GETALL)
        return values_all(s, command == SETALL, all);
    if (number >= s->count)
        return -EINVAL;
    switch (command) {
    case GETVAL:
        return s->semaphores[number].value;
    case GETPID:
        return s->semaphores[number].pid;
    default:
        return waiting_count(s, number, command == GETZCNT);
    }
}

static void semaphore_remove(struct ipc *ipc)
{
    set_remove(set_of(ipc));
}

static long value_command(struct ipc *ipc, const struct ipc_command *c)
{
    struct set *s = set_of(ipc);
    if (c->command == SETVAL)
        return value_set(s, c->number, (int)c->at);
    return c->command >= GETPID && c->command <= SETALL ? value_get(s, c->number, c->command, c->at)
                                                        : -EINVAL;
}

/* semctl(id, number, command, argument) */
long syscall_semctl(const struct syscall_args *a)
{
    static const struct ipc_kind kind = {.table = &sets,
                                         .stat = SEM_STAT,
                                         .size = sizeof(struct linux_set),
                                         .tell_limits = tell_limits,
                                         .tell = semaphore_tell,
                                         .remove = semaphore_remove,
                                         .other = value_command};
    const struct ipc_command c = {a->arg[0], a->arg[2], a->arg[1], a->arg[3]};
    const int value = c.at;
    if (c.id >= 0 && c.command == SETVAL && (value < 0 || value > VALUE_MOST))
        return -ERANGE;
    return ipc_control(&kind, &c);
}

void proc_ipc_semaphores(struct text_buffer *out, const struct process *p, const struct task *task)
{
    struct ipc *ipc;
    unsigned place;
    text_add(
        out,
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    for_each_ipc(ipc, place, &sets)
    {
        const struct set *s = set_of(ipc);
        text_add(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lu %10lu\n", ipc->key, ipc->id,
                 ipc->mode, s->count, ipc->uid, ipc->gid, ipc->creator_uid, ipc->creator_gid,
                 ipc_seconds(s->operated), ipc_seconds(ipc->changed));
    }
}
