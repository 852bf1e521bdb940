/* A vCPU's timers: the periodic one, the one-shot one, SCHEDOP_poll's; the first two raise its timer event. */
#include "vcpu-timers.h"

#include "arch.h"
#include "evtchn.h"
#include "sched.h"

#define PERIOD_DEFAULT 10000000ull /* 10 ms */

static void timer_event(struct vcpu *v)
{
    virq_raise(v, VIRQ_TIMER);
}

static void singleshot_fired(struct timer *t)
{
    timer_event(container_of(t, struct vcpu, singleshot));
}

static void periodic_fired(struct timer *t)
{
    struct vcpu *v = container_of(t, struct vcpu, periodic);
    if (!v->on_cpu) /* set_period() was late */
        return;
    v->period_last = arch_now();
    timer_event(v);
    if (v->period && v->virq_port[VIRQ_TIMER])
        timer_set(t, v->period_last + v->period);
}

static void poll_timed_out(struct timer *t)
{
    vcpu_unpause(container_of(t, struct vcpu, poll_timer), PAUSE_POLLING);
}

void vcpu_timers_init(struct vcpu *v)
{
    struct timer_owner *owner = &v->domain->timers;

    timer_init_owned(&v->singleshot, singleshot_fired, owner);
    timer_init(&v->periodic, periodic_fired); /* ticks only while it runs: one a CPU */
    timer_init_owned(&v->poll_timer, poll_timed_out, owner);
    v->period = PERIOD_DEFAULT;
}
