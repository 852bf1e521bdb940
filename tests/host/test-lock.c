/* Locks in debug builds: the order of ranks is asserted, and waiting on oneself does not go
 * unnoticed. */
#include "suite.h"
#include "sched.h"

static void start(void)
{
    machine_start(2, 1024);
}

TestSuite(lock, .init = start);

static spinlock_t evtchn = SPINLOCK_INIT(EVTCHN), evtchn2 = SPINLOCK_INIT(EVTCHN),
                  evtchn3 = SPINLOCK_INIT(EVTCHN), sched = SPINLOCK_INIT(SCHED),
                  sched2 = SPINLOCK_INIT(SCHED), print = SPINLOCK_INIT(PRINT);

Test(lock, ranks_upwards)
{
    spin_lock(&evtchn);
    spin_lock(&sched);
    spin_lock(&print);
    spin_unlock(&print);
    spin_unlock(&sched);
    spin_unlock(&evtchn);
    spin_lock(&print);
    spin_unlock(&print);
    spin_lock(&evtchn);
    spin_unlock(&evtchn);
}

Test(lock, two_domains_event_channels_nest)
{
    spin_lock(&evtchn);
    spin_lock(&evtchn2);
    spin_unlock(&evtchn);
    spin_unlock(&evtchn2);
}

Test(lock, three_do_not, .signal = SIGABRT)
{
    spin_lock(&evtchn);
    spin_lock(&evtchn2);
    spin_lock(&evtchn3);
}

Test(lock, ranks_downwards_are_a_bug, .signal = SIGABRT)
{
    spin_lock(&sched);
    spin_lock(&evtchn);
}

Test(lock, two_run_queues_are_a_bug, .signal = SIGABRT)
{
    spin_lock(&sched);
    spin_lock(&sched2);
}

Test(lock, each_cpu_has_its_own_order)
{
    spin_lock(&sched);
    machine_on_cpu(1);
    spin_lock(&evtchn);
    spin_unlock(&evtchn);
    machine_on_cpu(0);
    spin_unlock(&sched);
}

Test(lock, unlocking_what_is_not_held_is_a_bug, .signal = SIGABRT)
{
    spin_unlock(&sched);
}

Test(lock, waiting_for_oneself_is_seen, .signal = SIGABRT)
{
    static mutex_t m;
    mutex_lock(&m);
    mutex_lock(&m);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static unsigned looks;
static mutex_t shared;

static void other_cpu_lets_go(void)
{
    if (++looks < 3)
        return;
    atomic_set_release(&sched.held, 0);
    atomic_set_release(&shared.held, 0);
}

Test(lock, waits_until_another_cpu_lets_go)
{
    machine.while_spinning = other_cpu_lets_go;
    sched.held = 1; /* by CPU 1 */
    spin_lock(&sched);
    assert_eq_long(looks, 3);
    assert_eq_long(sched.held, 1);
    spin_unlock(&sched);
    assert_eq_long(sched.held, 0);
}

/* A waiter serves its interrupts meanwhile. */
static unsigned fired;
static void count_fire(struct timer *t)
{
    fired++;
}

Test(lock, waiting_for_a_mutex_lets_others_run)
{
    static struct timer t;
    machine.while_spinning = other_cpu_lets_go;
    timer_init(&t, count_fire);
    timer_set(&t, machine.now);
    shared.held = 1;
    mutex_lock(&shared);
    assert_eq_long(looks, 3);
    assert_eq_long(fired, 1);
    assert_eq_long(shared.held, 1);
    mutex_unlock(&shared);
    assert_eq_long(shared.held, 0);
}
