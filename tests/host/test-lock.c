/* Locks in debug builds: the order of ranks is asserted, and waiting on oneself does not go
 * unnoticed. */
#include "suite.h"

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
