/* New processes. */
#include "errno.h"
#include "file.h"
#include "fork.h"
#include "inode.h"
#include "page.h"
#include "platform/platform.h"
#include "task.h"
#include "text.h"

static struct wait_queue vfork_parents = WAIT_QUEUE_INIT(vfork_parents);

void task_vfork_done(struct task *child)
{
    if (!child->vfork_parent)
        return;
    child->vfork_parent->vfork_waiting = false;
    child->vfork_parent = NULL;
    wait_wake(&vfork_parents);
}

/* What a child has of its parent besides memory and files. */
static void inherit(struct task *child, const struct task *parent)
{
    child->group = parent->group;
    child->session = parent->session;
    child->umask = parent->umask;
    child->blocked = parent->blocked;
    child->fs_base = parent->fs_base;
    child->gs_base = parent->gs_base;
    child->alternate = parent->alternate;
    memcpy(child->name, parent->name, sizeof(child->name));
    memcpy(child->actions, parent->actions, sizeof(child->actions));
    memcpy(child->fpu, parent->fpu, fpu_size());
    child->cwd = parent->cwd;
    inode_get(child->cwd);
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
        return space_fork(parent->space);
    space_get(parent->space);
    return parent->space;
}

/* A thread would need to share what only vfork shares for a while. */
static bool unsupported(uint64_t flags)
{
    return (flags & CLONE_THREAD) || ((flags & CLONE_VM) && !(flags & CLONE_VFORK));
}

long task_fork(const struct fork_request *r)
{
    struct task *const parent = task_current();
    if (unsupported(r->flags))
        return -EINVAL;
    /* Rather no new process than one that must be killed at its first write. */
    if (!page_available(PAGE_FOR_FILE))
        return -ENOMEM;
    struct task *child = task_create(parent, NULL);
    if (!child)
        return -ENOMEM;

    fpu_save(parent);
    child->files = child_files(parent, r->flags);
    child->space = child_space(parent, r->flags);
    if (!child->files || !child->space) {
        if (child->files)
            files_put(child->files);
        if (child->space)
            space_put(child->space);
        task_free(child);
        return -ENOMEM;
    }
    inherit(child, parent);
    *task_frame(child) = *task_frame(parent);
    task_frame(child)->rax = 0;
    if (r->stack)
        task_frame(child)->rsp = r->stack;
    if (r->flags & CLONE_SETTLS)
        child->fs_base = r->tls;
    if (r->flags & CLONE_CHILD_CLEARTID)
        child->clear_tid = r->child_tid;
    const int pid = child->pid;
    if (r->flags & CLONE_PARENT_SETTID)
        (void)!user_write(r->parent_tid, &pid, sizeof(pid));
    child->set_tid = r->flags & CLONE_CHILD_SETTID ? r->child_tid : 0;

    if (r->flags & CLONE_VFORK) {
        child->vfork_parent = parent;
        parent->vfork_waiting = true;
    }
    /* The child first: it is about to exec, or to undo what it has inherited of
     * signals, and each page that the parent writes before that is a copy. */
    sched_ready(child);
    sched_yield_to(child);
    while (parent->vfork_waiting)
        wait_deaf(&vfork_parents);
    return pid;
}
