/*
 * Memory is gone: somebody has to end.
 *
 * That is the process that holds most, because it ends the trouble at once, and
 * because the greedy one is most often to blame.  Never pid 1, with which the
 * machine would end.  Everybody who shares the memory goes, too, or nothing
 * would be gained.
 */
#include "oom.h"
#include "print.h"
#include "proc.h"
#include "signal.h"

static struct space *space_of(const struct process *p)
{
    const struct task *t = proc_thread(p);
    return t ? t->space : NULL;
}

static bool is_ending(const struct process *p)
{
    return p->exiting || (p->signals.pending & SIGNAL_BIT(SIGKILL));
}

/* The process with most memory; NULL if there is only pid 1. */
static struct process *biggest(void)
{
    struct process *p, *found = NULL;
    for_each_process(p)
    {
        const struct space *space = space_of(p);
        if (p == init_process || !space)
            continue;
        if (!found || space->resident > space_of(found)->resident)
            found = p;
    }
    return found;
}

/* Is there one whose memory will be free soon? */
static bool help_is_coming(void)
{
    const struct process *p;
    for_each_process(p)
    {
        if (is_ending(p) && p != process_current() && space_of(p) &&
            space_of(p) != task_current()->space)
            return true;
    }
    return false;
}

bool oom_choose(void)
{
    struct process *const self = process_current(), *victim, *p;
    if (is_ending(self))
        return false;
    if (help_is_coming())
        return true;
    victim = biggest();
    if (!victim)
        victim = self;
    const struct space *space = space_of(victim);
    print("out of memory: killing %s (pid %d), which has %lu KiB\n", proc_thread(victim)->name,
          victim->pid, space->resident * 4);
    if (victim == init_process) {
        signal_fault(task_current(), SIGKILL, 0);
        return false;
    }
    for_each_process(p) if (p != init_process && space_of(p) == space) signal_send(p, SIGKILL);
    return space != task_current()->space;
}
