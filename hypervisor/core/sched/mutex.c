/*
 * The slow half of a mutex (lock.h): waiting for one, and waking who waits.  (tests/models/mutex.pml)
 *
 * The holder may be a vCPU that was preempted, or whose CPU the host does not run: who waits sleeps, so that the one that it waits
 * for gets the CPU, ours or the host's.  A short look first, as most are held for less than a sleep and a wake-up take.
 *
 *     waiter                                      holder
 *       joins the list, @waiting = 1
 *       @held = 1, was it 0?  then it has it        @held = 0, and was @waiting 1?  in one step
 *       else: sleeps                                then: the first of the list is woken
 *
 * The two steps on one word come in some order: either the waiter gets the mutex, or the holder sees that somebody waits.  Who is
 * woken may find that another was faster, and joins the list again, at its head.  Nobody is forgotten: while the list is not empty @waiting
 * is 1, and each who lets go wakes one.
 */
#include "sched.h"

static spinlock_t waiters = SPINLOCK_INIT(WAITERS);

static void waiters_add(mutex_t *m, struct vcpu *v, bool first)
{
    v->mutex_next = first ? m->first : NULL;
    if (first || !m->first)
        m->first = v;
    else
        m->last->mutex_next = v;
    if (!v->mutex_next)
        m->last = v;
    atomic_set(&m->waiting, 1);
}

static void waiters_remove(mutex_t *m, struct vcpu *v)
{
    struct vcpu **link = &m->first, *before = NULL;

    for (; *link != v; link = &before->mutex_next)
        before = *link;
    *link = v->mutex_next;
    if (m->last == v)
        m->last = before;
    atomic_set(&m->waiting, m->first != NULL);
}

/* True: it was free after all, and is ours.  False: we are in the list, and have a reason not to run. */
static bool mutex_join(mutex_t *m, struct vcpu *v, bool first)
{
    spin_lock(&waiters);
    waiters_add(m, v, first);
    atomic_or(&v->pause, PAUSE_WAITING);
    const bool ours = !atomic_exchange(&m->held, 1);
    if (ours) {
        waiters_remove(m, v);
        atomic_and(&v->pause, ~PAUSE_WAITING);
    }
    spin_unlock(&waiters);
    return ours;
}

void mutex_lock_wait(mutex_t *m)
{
    struct vcpu *v = current_vcpu();

    for (unsigned look = 0; look < ARCH_MUTEX_LOOKS; look++) {
        arch_relax();
        (void)preempt_point();
        if (!atomic_read(&m->held) && !atomic_exchange(&m->held, 1))
            return;
    }
    for (bool again = false; !mutex_join(m, v, again); again = true) {
        sched_sleep(PAUSE_WAITING);
        if (!atomic_exchange(&m->held, 1))
            return;
    }
}

void mutex_wake(mutex_t *m)
{
    spin_lock(&waiters);
    struct vcpu *v = m->first;
    if (v)
        waiters_remove(m, v);
    spin_unlock(&waiters);
    if (v)
        sched_wake(v, PAUSE_WAITING);
}
