/* New processes and threads. */
#include "errno.h"
#include "file.h"
#include "fork.h"
#include "inode.h"
#include "page.h"
#include "pidfd.h"
#include "platform/platform.h"
#include "text.h"

/* What a thread shares; it shares where paths start (CLONE_FS), too, whether or not it is asked to. */
#define CLONE_SHARED (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

static struct wait_queue vfork_parents = WAIT_QUEUE_INIT(vfork_parents);

void task_vfork_done(struct task *child)
{
    if (!child->vfork_parent)
        return;
    child->vfork_parent->vfork_waiting = false;
    child->vfork_parent = NULL;
    wait_wake(&vfork_parents);
}

/* What a child process has of its parent besides memory and files. */
static void process_inherit(struct process *child, const struct process *parent)
{
    child->group = parent->group;
    child->session = parent->session;
    credentials_copy(&child->credentials, &parent->credentials);
    child->nice = parent->nice;
    child->io_priority = parent->io_priority;
    child->personality = parent->personality;
    child->no_new_privileges = parent->no_new_privileges;
    child->no_huge_pages = parent->no_huge_pages;
    child->arguments_start = parent->arguments_start;
    child->arguments_end = parent->arguments_end;
    child->variables_start = parent->variables_start;
    child->variables_end = parent->variables_end;
    memcpy(child->own_actions, parent->actions, sizeof(child->own_actions));
    memcpy(child->limits, parent->limits, sizeof(child->limits));
    places_copy(child, parent);
    child->program = parent->program;
    if (child->program)
        inode_get(child->program);
}

/* What a task starts with that its creator had. */
static void task_inherit(struct task *child, const struct task *parent)
{
    child->blocked = parent->blocked;
    child->cpus = parent->cpus;
    if (!parent->policy.reset_on_fork)
        child->policy = parent->policy;
    child->timer_slack = child->timer_slack_first = parent->timer_slack;
    child->fs_base = parent->fs_base;
    child->gs_base = parent->gs_base;
    memcpy(child->name, parent->name, sizeof(child->name));
    memcpy(child->fpu, parent->fpu, fpu_size());
    *task_frame(child) = *task_frame(parent);
    task_frame(child)->rax = 0;
}

static struct files *child_files(struct task *parent, uint64_t flags)
{
    if (!(flags & CLONE_FILES))
        return files_copy(parent->files);
    parent->files->refs++;
    return parent->files;
}

static struct space *child_space(struct task *parent, uint64_t flags)
{
    if (!(flags & CLONE_VM))
        return space_fork(parent->space, task_frame(parent)->rsp, parent->fs_base);
    space_get(parent->space);
    return parent->space;
}

/* What cannot be asked for: 0 or -errno. */
static int check_flags(const struct process *parent, uint64_t flags)
{
    if (flags & CLONE_NAMESPACES)
        return access_capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM; /* there are none */
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_PARENT) && parent == init_process)
        return -EINVAL;
    if (!(flags & CLONE_THREAD))
        return 0;
    return (flags & CLONE_SHARED) != CLONE_SHARED || (flags & (CLONE_VFORK | CLONE_PIDFD)) ? -EINVAL
                                                                                           : 0;
}

/*
 * How many tasks there may be, besides what RLIMIT_NPROC says of a user other than root: each costs memory that processes cannot be made to
 * give back.  One process group may have three quarters of them, so that a shell
 * can still start what ends the others.
 */
unsigned fork_tasks_most(void)
{
    return MIN(MAX(page_count().total / 64, 64ul), (unsigned long)PID_MAX / 2);
}

static bool too_many(const struct process *parent)
{
    const unsigned most = fork_tasks_most();
    const uint64_t limit = parent->limits[RLIMIT_NPROC].current;
    const unsigned user = parent->credentials.user.real;
    const struct process *p;
    unsigned group = 0, own = 0;

    if (task_count < MIN(most / 4, limit))
        return false;
    for_each_process(p)
    {
        group += p->group == parent->group ? p->thread_count : 0;
        own += p->credentials.user.real == user ? p->thread_count : 0;
    }
    return (own >= limit && !access_capable(CAP_SYS_RESOURCE)) || task_count >= most ||
           group >= most - most / 4;
}

/* Its own memory and files, or the creator's. */
static int task_equip(struct task *child, struct task *parent, uint64_t flags)
{
    fpu_save(parent);
    child->files = child_files(parent, flags);
    if (!child->files)
        return -ENOMEM;
    child->space = child_space(parent, flags);
    if (child->space)
        return 0;
    files_put(child->files);
    return -ENOMEM;
}

/* A descriptor for @p at r->pidfd of the caller's memory: its number, or -errno. */
static int give_pidfd(struct process *p, const struct fork_request *r)
{
    const int fd = fd_open(pidfd_new(p, 0), true);
    if (fd < 0 || !user_write(r->pidfd, &fd, sizeof(fd)))
        return fd;
    (void)!fd_close(fd);
    return -EFAULT;
}

/* What a new process has besides a task: the descriptor that stands for it, which is its parent's alone. */
static int process_equip(struct task *child, struct process *p, const struct fork_request *r)
{
    const int fd = r->flags & CLONE_PIDFD ? give_pidfd(p, r) : 0;
    if (fd < 0)
        return fd;
    const int rc = task_equip(child, task_current(), r->flags);
    if (rc && (r->flags & CLONE_PIDFD))
        (void)!fd_close(fd);
    else if ((r->flags & (CLONE_PIDFD | CLONE_FILES)) == CLONE_PIDFD)
        files_forget(child->files, fd);
    return rc;
}

/* What a child is going to have in common with @creator needs memory, which there has to be before it is made. */
static int prepare_share(struct process *creator, uint64_t flags)
{
    int rc = 0;
    if (flags & CLONE_THREAD)
        return 0;
    if (flags & CLONE_FS)
        rc = places_make_shared(creator);
    if (!rc && (flags & CLONE_SIGHAND))
        rc = actions_make_shared(creator);
    return rc;
}

static void process_share(struct process *p, struct process *creator, uint64_t flags)
{
    if (flags & CLONE_FS)
        places_share(p, creator);
    if (flags & CLONE_SIGHAND)
        actions_share(p, creator);
}

/* A task for @request that could begin at once: 0 and *made, or -errno. */
static int child_create(const struct fork_request *r, struct task *parent, struct task **made)
{
    const bool thread = r->flags & CLONE_THREAD;
    struct process *const creator = parent->process;
    struct process *p = thread                    ? creator
                        : r->flags & CLONE_PARENT ? process_create(creator->parent)
                                                  : process_create(creator);
    struct task *child = p ? task_create(p, NULL) : NULL;
    const int rc = child ? process_equip(child, p, r) : -ENOMEM;

    if (!rc) {
        task_inherit(child, parent);
        if (!thread) {
            process_inherit(p, creator);
            p->exit_signal = r->flags & CLONE_PARENT ? creator->exit_signal : r->exit_signal;
            process_share(p, creator, r->flags);
        }
        if (!(r->flags & CLONE_VM) || (r->flags & CLONE_VFORK))
            child->alternate = parent->alternate;
        else
            child->alternate.flags = SS_DISABLE;
        *made = child;
        return 0;
    }
    if (child)
        task_free(child);
    if (p && !thread)
        process_free(p);
    return rc;
}

static int write_tid(struct task *child, const struct fork_request *r)
{
    if (r->flags & CLONE_PARENT_SETTID)
        return user_write(r->parent_tid, &child->tid, sizeof(child->tid));
    return 0;
}

long task_fork(const struct fork_request *r)
{
    struct task *const parent = task_current();
    const int refused = check_flags(parent->process, r->flags);
    if (refused)
        return refused;
    if ((r->flags & CLONE_SETTLS) && r->tls >= USER_END)
        return -EPERM; /* no base for FS that a platform would take */
    if (too_many(parent->process))
        return -EAGAIN;
    /* Rather no new process than one that must be killed at its first write. */
    if (!page_available(PAGE_FOR_FILE))
        return -ENOMEM;
    struct task *child;
    int rc = prepare_share(parent->process, r->flags);
    if (!rc)
        rc = child_create(r, parent, &child);
    if (rc)
        return rc;

    if (r->stack)
        task_frame(child)->rsp = r->stack;
    if (r->flags & CLONE_SETTLS)
        child->fs_base = r->tls;
    if (r->flags & CLONE_CHILD_CLEARTID)
        child->clear_tid = r->child_tid;
    child->set_tid = r->flags & CLONE_CHILD_SETTID ? r->child_tid : 0;
    const int tid = child->tid;
    (void)!write_tid(child, r); /* a bad pointer is the caller's loss, as on Linux */

    if (r->flags & CLONE_VFORK) {
        child->vfork_parent = parent;
        parent->vfork_waiting = true;
    }
    sched_ready(child);
    /* The child first: it is about to exec, or to undo what it has inherited of
     * signals, and each page that the parent writes before that is a copy. */
    if (!(r->flags & CLONE_THREAD))
        sched_yield_to(child);
    while (parent->vfork_waiting)
        wait_uninterruptible(&vfork_parents);
    return tid;
}
