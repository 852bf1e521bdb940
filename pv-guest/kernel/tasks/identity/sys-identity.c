/* System calls about who a process is: numbers, groups, sessions, users. */
#include "errno.h"
#include "heap.h"
#include "process.h"
#include "syscall.h"

long syscall_getpid(const struct syscall_args *a)
{
    return process_current()->pid;
}

long syscall_gettid(const struct syscall_args *a)
{
    return task_current()->tid;
}

long syscall_getppid(const struct syscall_args *a)
{
    const struct process *parent = process_current()->parent;
    return parent ? parent->pid : 0;
}

/* The process that @pid (0: the caller) means. */
static struct process *by_pid(int pid)
{
    return pid ? process_find(pid) : process_current();
}

long syscall_getpgid(const struct syscall_args *a)
{
    const struct process *p = by_pid(a->arg[0]);
    return p ? p->group : -ESRCH;
}

long syscall_getpgrp(const struct syscall_args *a)
{
    return process_current()->group;
}

long syscall_getsid(const struct syscall_args *a)
{
    const struct process *p = by_pid(a->arg[0]);
    return p ? p->session : -ESRCH;
}

static bool group_in_session(int group, int session)
{
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == group && p->session == session)
            return true;
    }
    return false;
}

long syscall_setpgid(const struct syscall_args *a)
{
    struct process *const self = process_current(), *p = by_pid(a->arg[0]);
    const int group = (int)a->arg[1] ? (int)a->arg[1] : p ? p->pid : (int)a->arg[0];

    if (group < 0)
        return -EINVAL;
    if (!p || (p != self && p->parent != self))
        return -ESRCH;
    if (p->session != self->session || p->pid == p->session)
        return -EPERM;
    if (p != self && p->has_exec)
        return -EACCES;
    if (group != p->pid && !group_in_session(group, self->session))
        return -EPERM;
    p->group = group;
    return 0;
}

long syscall_setsid(const struct syscall_args *a)
{
    struct process *const self = process_current();
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == self->pid)
            return -EPERM;
    }
    return self->session = self->group = self->pid;
}

/* ---- Users and groups ---- */

static struct credentials *own(void)
{
    return &process_current()->credentials;
}

long syscall_getuid(const struct syscall_args *a)
{
    return own()->user.real;
}

long syscall_geteuid(const struct syscall_args *a)
{
    return own()->user.effective;
}

long syscall_getgid(const struct syscall_args *a)
{
    return own()->group.real;
}

long syscall_getegid(const struct syscall_args *a)
{
    return own()->group.effective;
}

static long give_ids(const struct ids *ids, const struct syscall_args *a)
{
    return user_write(a->arg[0], &ids->real, sizeof(ids->real)) ||
                   user_write(a->arg[1], &ids->effective, sizeof(ids->effective)) ||
                   user_write(a->arg[2], &ids->saved, sizeof(ids->saved))
               ? -EFAULT
               : 0;
}

long syscall_getresuid(const struct syscall_args *a)
{
    return give_ids(&own()->user, a);
}

long syscall_getresgid(const struct syscall_args *a)
{
    return give_ids(&own()->group, a);
}

#define KEEP (~0u) /* -1: leave that number as it is */

/* Is @id one that @ids have, or none at all? */
static bool identity_has(const struct ids *ids, unsigned id)
{
    return id == KEEP || id == ids->real || id == ids->effective || id == ids->saved;
}

/* Numbers that are about to change, and who may change them to what he likes. */
struct change {
    struct ids *ids, old;
    bool may;
};

static struct change change_user(void)
{
    return (struct change){&own()->user, own()->user, access_capable(CAP_SETUID)};
}

static struct change change_group(void)
{
    return (struct change){&own()->group, own()->group, access_capable(CAP_SETGID)};
}

/* @rc: what came of changing the user's numbers, which capabilities follow. */
static long user_changed(const struct change *c, long rc)
{
    if (!rc)
        credentials_user_changed(own(), &c->old, process_current()->keep_capabilities);
    return rc;
}

/* setuid and setgid: root becomes @id for good, others choose between what they have. */
static long become(const struct change *c, unsigned id)
{
    struct ids *const ids = c->ids;
    if (id == KEEP)
        return -EINVAL;
    if (c->may)
        *ids = (struct ids){id, id, id, id};
    else if (id == ids->real || id == ids->saved)
        ids->effective = ids->file = id;
    else
        return -EPERM;
    return 0;
}

long syscall_setuid(const struct syscall_args *a)
{
    const struct change c = change_user();
    return user_changed(&c, become(&c, a->arg[0]));
}

long syscall_setgid(const struct syscall_args *a)
{
    const struct change c = change_group();
    return become(&c, a->arg[0]);
}

static long set_three(const struct change *c, unsigned real, unsigned effective, unsigned saved)
{
    struct ids *const ids = c->ids;
    if (!c->may &&
        !(identity_has(ids, real) && identity_has(ids, effective) && identity_has(ids, saved)))
        return -EPERM;
    ids->real = real == KEEP ? ids->real : real;
    ids->effective = effective == KEEP ? ids->effective : effective;
    ids->saved = saved == KEEP ? ids->saved : saved;
    ids->file = ids->effective;
    return 0;
}

/* The saved number follows if the real one is set, or the effective one to something else than the real one. */
static long set_two(const struct change *c, unsigned real, unsigned effective)
{
    struct ids *const ids = c->ids;
    const bool may = (real == KEEP || real == ids->real || real == ids->effective) &&
                     identity_has(ids, effective);
    if (!c->may && !may)
        return -EPERM;
    const bool saves = real != KEEP || (effective != KEEP && effective != ids->real);
    ids->real = real == KEEP ? ids->real : real;
    ids->effective = effective == KEEP ? ids->effective : effective;
    if (saves)
        ids->saved = ids->effective;
    ids->file = ids->effective;
    return 0;
}

long syscall_setresuid(const struct syscall_args *a)
{
    const struct change c = change_user();
    return user_changed(&c, set_three(&c, a->arg[0], a->arg[1], a->arg[2]));
}

long syscall_setresgid(const struct syscall_args *a)
{
    const struct change c = change_group();
    return set_three(&c, a->arg[0], a->arg[1], a->arg[2]);
}

long syscall_setreuid(const struct syscall_args *a)
{
    const struct change c = change_user();
    return user_changed(&c, set_two(&c, a->arg[0], a->arg[1]));
}

long syscall_setregid(const struct syscall_args *a)
{
    const struct change c = change_group();
    return set_two(&c, a->arg[0], a->arg[1]);
}

/* These tell the old number, whether or not there is a new one. */
static long set_file_id(const struct change *c, unsigned id)
{
    struct ids *const ids = c->ids;
    const unsigned old = ids->file;
    if (id != KEEP && (c->may || identity_has(ids, id) || id == old))
        ids->file = id;
    return old;
}

long syscall_setfsuid(const struct syscall_args *a)
{
    const struct change c = change_user();
    const long old = set_file_id(&c, a->arg[0]);
    credentials_file_user_changed(own(), old);
    return old;
}

long syscall_setfsgid(const struct syscall_args *a)
{
    const struct change c = change_group();
    return set_file_id(&c, a->arg[0]);
}

long syscall_getgroups(const struct syscall_args *a)
{
    const struct group_set *g = own()->groups;
    const int count = g ? (int)g->count : 0, room = (int)a->arg[0];
    if (room < 0 || (room && room < count))
        return -EINVAL;
    if (room && count && user_write(a->arg[1], g->ids, count * sizeof(g->ids[0])))
        return -EFAULT;
    return count;
}

/* Ascending, as Linux tells them. */
static void sort(unsigned *ids, unsigned count)
{
    for (unsigned gap = count / 2; gap; gap /= 2)
        for (unsigned i = gap; i < count; i++)
            for (unsigned k = i; k >= gap && ids[k - gap] > ids[k]; k -= gap) {
                const unsigned smaller = ids[k];
                ids[k] = ids[k - gap];
                ids[k - gap] = smaller;
            }
}

long syscall_setgroups(const struct syscall_args *a)
{
    const unsigned count = a->arg[0];
    if (!access_capable(CAP_SETGID))
        return -EPERM;
    if (count > GROUPS_LIMIT)
        return -EINVAL;
    struct group_set *g = heap_alloc(sizeof(*g) + count * sizeof(g->ids[0]));
    if (!g)
        return -ENOMEM;
    if (user_read(g->ids, a->arg[1], count * sizeof(g->ids[0]))) {
        heap_free(g);
        return -EFAULT;
    }
    g->refs = 1;
    g->count = count;
    sort(g->ids, count);
    credentials_drop(own());
    own()->groups = g;
    return 0;
}
