/* The slow half of a mutex (lock.h). */
#include "sched.h"

/* The holder may be a vCPU that was preempted: let others run, this CPU's interrupts included. */
void mutex_lock_wait(mutex_t *m)
{
    do {
        while (atomic_read(&m->held)) {
            arch_relax();
            preempt_point();
            if (atomic_read(&m->held))
                sched_yield();
        }
    } while (atomic_exchange(&m->held, 1));
}
