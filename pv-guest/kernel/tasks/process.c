/* Creating, finding and freeing processes. */
#include "heap.h"
#include "inode.h"
#include "pidfd.h"
#include "platform/platform.h"
#include "process.h"
#include "signal.h"

struct list all_processes = LIST_INIT(all_processes);
struct process *init_process;

struct process *process_create(struct process *parent)
{
    struct process *p = heap_alloc(sizeof(*p));
    if (!p)
        return NULL;
    p->places = &p->own_places;
    p->actions = p->own_actions;
    list_init(&p->threads);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->timers);
    list_init(&p->undos);
    list_init(&p->aio_contexts);
    wait_init(&p->threads_end);
    wait_init(&p->child_wait);
    signal_set_init(&p->signals);
    timer_init(&p->alarm, signal_alarm_over);
    p->start_time = platform_time();
    p->pid = task_number_new();
    p->parent = parent;
    if (parent)
        list_add(&p->sibling, &parent->children);
    else
        credentials_init(&p->credentials);
    list_add(&p->link, &all_processes);
    return p;
}

void process_free(struct process *p)
{
    pidfd_gone(p);
    signal_set_drop(&p->signals, ~0ul);
    credentials_drop(&p->credentials);
    if (p->actions != p->own_actions)
        actions_unshare(p);
    list_remove(&p->sibling);
    list_remove(&p->link);
    heap_free(p);
}

struct process *process_find(int pid)
{
    struct process *p;
    for_each_process(p)
    {
        if (p->pid == pid)
            return p;
    }
    return NULL;
}

bool process_group_orphaned(int group, int session)
{
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == group && !p->zombie && p->parent && p->parent->group != group &&
            p->parent->session == session)
            return false;
    }
    return true;
}
