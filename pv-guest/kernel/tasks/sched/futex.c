/*
 * Futexes: a word of a process's memory, and the tasks that wait for it to change.
 *
 * The kernel knows a word only while somebody waits: waiters stand in a hash
 * table under the word's key.  Memory that may be in several address spaces is
 * known by its page, all other by its space and address.
 */
#include "errno.h"
#include "futex.h"
#include "page.h"
#include "platform/platform.h"
#include "process.h"
#include "sys-time.h"
#include "syscall.h"

#define BUCKETS 64

struct key {
    const void *where; /* struct page or struct space */
    uintptr_t offset;
};

struct waiter {
    struct list link;
    struct key key;
    uint32_t bits; /* FUTEX_WAIT_BITSET: which wakers it hears */
    bool woken;
    struct wait_queue queue;
};

static struct list *bucket(struct key key)
{
    static struct list buckets[BUCKETS];
    const uintptr_t hash = ((uintptr_t)key.where >> 6) + (key.offset >> 2) + (key.offset >> 12);
    struct list *b = &buckets[hash % BUCKETS];
    if (!b->next)
        list_init(b);
    return b;
}

static bool futex_same(struct key a, struct key b)
{
    return a.where == b.where && a.offset == b.offset;
}

/* The word at @address, which has been read or written just before, so its page is there. */
static int find_key(user_t address, bool private, struct key *key)
{
    struct space *const space = task_current()->space;
    const struct area *area = private ? NULL : area_find(space, address);
    *key = (struct key){space, address};
    if (!area || !area->shared)
        return 0;
    const pte_t *slot = table_slot(space, address, false);
    if (!slot || !pte_present(*slot))
        return -EFAULT;
    if (leaf_foreign(*slot))
        return -EFAULT;
    *key = (struct key){page_of(leaf_page(*slot)), address % PAGE_SIZE};
    return 0;
}

/* Read the word at @address and find its key. */
static int futex_look(user_t address, bool private, uint32_t *value, struct key *key)
{
    if (address % sizeof(*value))
        return -EINVAL;
    if (user_read(value, address, sizeof(*value)))
        return -EFAULT;
    return find_key(address, private, key);
}

static void waiter_wake(struct waiter *w)
{
    list_remove(&w->link);
    w->woken = true;
    wait_wake(&w->queue);
}

static long wake(struct key key, int count, uint32_t bits)
{
    struct waiter *w, *after;
    struct list *const b = bucket(key);
    long woken = 0;
    list_for_each_safe(w, after, b, link)
    {
        if (woken >= count)
            break;
        if (!futex_same(w->key, key) || !(w->bits & bits))
            continue;
        waiter_wake(w);
        woken++;
    }
    return woken;
}

/* Move up to @count waiters from one word to another, unwoken. */
static long futex_move(struct key from, struct key to, int count)
{
    struct waiter *w, *after;
    struct list *const b = bucket(from);
    long moved = 0;
    list_for_each_safe(w, after, b, link)
    {
        if (moved >= count)
            break;
        if (!futex_same(w->key, from))
            continue;
        list_remove(&w->link);
        w->key = to;
        list_add(&w->link, bucket(to));
        moved++;
    }
    return moved;
}

static long futex_wait(user_t address, bool private, uint32_t expected, uint32_t bits,
                       uint64_t deadline)
{
    uint32_t value;
    struct waiter w = {.bits = bits};
    int rc = futex_look(address, private, &value, &w.key);
    if (rc)
        return rc;
    if (value != expected)
        return -EAGAIN;
    if (!bits)
        return -EINVAL;

    /* Shared memory could be unmapped by us and given to others while we wait. */
    struct page *page = w.key.where == task_current()->space ? NULL : (struct page *)w.key.where;
    if (page)
        page_get(page);
    wait_init(&w.queue);
    list_add(&w.link, bucket(w.key));
    while (!w.woken && !rc)
        rc = wait_until(&w.queue, deadline);
    list_remove(&w.link);
    if (page)
        page_put(page);
    if (w.woken)
        return 0;
    return rc == -ERESTART && deadline != FOREVER ? -EINTR : rc;
}

/* FUTEX_WAKE_OP: an operation on the second word decides whether its waiters are woken. */
static int futex_operate(user_t address, uint32_t code, bool *wake_second)
{
    uint32_t old, new;
    const unsigned op = code >> 28 & 7, compare = code >> 24 & 15;
    const int operand = (int32_t)(code << 8) >> 20, against = (int32_t)(code << 20) >> 20;
    const int n = code >> 31 ? 1 << (operand & 31) : operand;

    if (user_read(&old, address, sizeof(old)))
        return -EFAULT;
    new = op == 0   ? (uint32_t)n
          : op == 1 ? old + n
          : op == 2 ? old | n
          : op == 3 ? old & ~n
                    : old ^ n;
    if (op > 4 || compare > 5)
        return -ENOSYS;
    if (user_write(address, &new, sizeof(new)))
        return -EFAULT;
    const int value = (int)old;
    const bool answers[] = {value == against, value != against,
                            value<against, value <= against, value> against, value >= against};
    *wake_second = answers[compare];
    return 0;
}

static long futex_wake(user_t address, bool private, int count, uint32_t bits)
{
    uint32_t value;
    struct key key;
    const int rc = futex_look(address, private, &value, &key);
    return rc ? rc : bits ? wake(key, count, bits) : -EINVAL;
}

static long futex_wake_op(const struct syscall_args *a, bool private)
{
    uint32_t value;
    struct key first, second;
    bool both;
    int rc = futex_look(a->arg[0], private, &value, &first);
    if (!rc)
        rc = futex_look(a->arg[4], private, &value, &second);
    if (!rc)
        rc = futex_operate(a->arg[4], a->arg[5], &both);
    if (rc)
        return rc;
    const long woken = wake(first, a->arg[2], ~0u);
    return woken + (both ? wake(second, a->arg[3], ~0u) : 0);
}

static long futex_requeue(const struct syscall_args *a, bool private, bool compare)
{
    uint32_t value, other;
    struct key from, to;
    int rc = futex_look(a->arg[0], private, &value, &from);
    if (!rc)
        rc = futex_look(a->arg[4], private, &other, &to);
    if (rc)
        return rc;
    if ((int)a->arg[2] < 0 || (int)a->arg[3] < 0)
        return -EINVAL;
    if (compare && value != (uint32_t)a->arg[5])
        return -EAGAIN;
    const long woken = wake(from, a->arg[2], ~0u);
    return woken + futex_move(from, to, a->arg[3]);
}

#define FUTEX_PRIVATE   128
#define FUTEX_REALTIME  256
#define FUTEX_OPERATION 127

long syscall_futex(const struct syscall_args *a)
{
    const user_t address = a->arg[0];
    const unsigned op = a->arg[1] & FUTEX_OPERATION;
    const bool private = a->arg[1] & FUTEX_PRIVATE, bitset = op == 9;
    uint64_t deadline;

    switch (op) {
    case 0: /* FUTEX_WAIT */
    case 9: /* FUTEX_WAIT_BITSET */
    {
        const int rc = timespec_deadline(a->arg[3], bitset, a->arg[1] & FUTEX_REALTIME, &deadline);
        return rc ? rc
                  : futex_wait(address, private, a->arg[2], bitset ? (uint32_t)a->arg[5] : ~0u,
                               deadline);
    }
    case 1: /* FUTEX_WAKE */
        return futex_wake(address, private, a->arg[2], ~0u);
    case 10: /* FUTEX_WAKE_BITSET */
        return futex_wake(address, private, a->arg[2], a->arg[5]);
    case 3: /* FUTEX_REQUEUE */
        return futex_requeue(a, private, false);
    case 4: /* FUTEX_CMP_REQUEUE */
        return futex_requeue(a, private, true);
    case 5: /* FUTEX_WAKE_OP */
        return futex_wake_op(a, private);
    default: /* locks with priority inheritance: a C library says so to its caller */
        return -ENOSYS;
    }
}

/* ---- Robust lists: locks that their owner's death releases ---- */

#define OWNER_TID   0x3fffffffu
#define OWNER_DIED  0x40000000u
#define HAS_WAITERS 0x80000000u
#define ROBUST_SIZE 24 /* struct robust_list_head: next, offset of the word, lock being taken */
#define ROBUST_MAX  2048

static void word_release(user_t address, int tid)
{
    uint32_t value;
    struct key key;
    if (futex_look(address, false, &value, &key) || (value & OWNER_TID) != (unsigned)tid)
        return;
    const uint32_t released = (value & HAS_WAITERS) | OWNER_DIED;
    if (!user_write(address, &released, sizeof(released)) && (value & HAS_WAITERS)) {
        wake(key, 1, ~0u);
        /* Who waits by the private form stands under the other key. */
        (void)!find_key(address, true, &key);
        wake(key, 1, ~0u);
    }
}

static void robust_release(const struct task *task)
{
    uint64_t head[3], next;
    if (!task->robust_list || user_read(head, task->robust_list, sizeof(head)))
        return;
    next = head[0];
    for (unsigned i = 0; i < ROBUST_MAX && next != task->robust_list; i++) {
        const user_t entry = next & ~1ul;
        if (user_read(&next, entry, sizeof(next)))
            break;
        if (entry != (head[2] & ~1ul))
            word_release(entry + head[1], task->tid);
    }
    if (head[2])
        word_release((head[2] & ~1ul) + head[1], task->tid);
}

void futex_task_exit(struct task *task)
{
    const uint32_t zero = 0;
    robust_release(task);
    if (!task->clear_tid || user_write(task->clear_tid, &zero, sizeof(zero)))
        return;
    (void)futex_wake(task->clear_tid, false, 1, ~0u);
    (void)futex_wake(task->clear_tid, true, 1, ~0u);
}

long syscall_set_robust_list(const struct syscall_args *a)
{
    if (a->arg[1] != ROBUST_SIZE)
        return -EINVAL;
    task_current()->robust_list = a->arg[0];
    return 0;
}

long syscall_get_robust_list(const struct syscall_args *a)
{
    const uint64_t size = ROBUST_SIZE;
    const struct task *t = a->arg[0] ? task_find(a->arg[0]) : task_current();
    if (!t)
        return -ESRCH;
    if (!access_look(t->process))
        return -EPERM;
    if (user_write(a->arg[1], &t->robust_list, sizeof(t->robust_list)))
        return -EFAULT;
    return user_write(a->arg[2], &size, sizeof(size));
}
