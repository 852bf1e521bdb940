/*
 * Caps: how much CPU time a domain may have in each period (sched-policy.c has the arithmetic).
 *
 *   spend     a vCPU has run: when the period's budget is used up, those of the domain that run or are to run are stopped
 *   refill    a timer begins the next period: the stopped ones go on, a few at a time
 *
 * Who is stopped has PAUSE_CAPPED among its reasons to pause.
 */
#include "arch.h"
#include "lib.h"
#include "run-queue.h"
#include "sched.h"

/* vCPUs of one domain that go on as a period of its cap begins, and ns until the next of them do. */
#define CAP_RELEASED_AT_ONCE 8u
#define CAP_RELEASE_EVERY    100000u

/* ns between the beginnings of periods of domains with numbers next to each other: by the golden section all are far apart. */
#define CAP_APART (SCHED_CAP_PERIOD * 618ull / 1000)

void sched_cap_spend(struct vcpu *v, uint64_t now, uint64_t ns)
{
    struct domain *d = v->domain;
    spin_lock(&d->cap_lock);
    /* Under the lock: it may have been taken away since the caller looked. */
    if (d->cap && sched_cap_charge(&d->sched_cap, d->cap, now, ns)) {
        atomic_or(&v->pause, PAUSE_CAPPED);
        if (!d->cap_timer.queued)
            timer_set(&d->cap_timer, d->sched_cap.period_end);
    }
    spin_unlock(&d->cap_lock);
}

void sched_domain_charge(struct domain *d, uint64_t ns)
{
    if (!d->cap)
        return;
    const uint64_t now = arch_now();
    spin_lock(&d->cap_lock);
    /* what its last life owed, less the periods since */
    (void)sched_cap_charge(&d->sched_cap, d->cap, now, 0);
    d->sched_cap.period_end = MAX(d->sched_cap.period_end, now + SCHED_CAP_PERIOD);
    if (sched_cap_charge(&d->sched_cap, d->cap, now, ns)) {
        for_each_vcpu(d, v)
            atomic_or(&v->pause, PAUSE_CAPPED);
        timer_set(&d->cap_timer, d->sched_cap.period_end);
    }
    spin_unlock(&d->cap_lock);
}

/* While its cap had stopped @v it was due no CPU time, asleep as well or not: no credit for it. */
static void forget_stop(struct vcpu *v) NO_ANALYSIS
{
    struct run_queue *rq = run_queue_lock(v);
    if (!v->sched.queued && !v->on_cpu) {
        if (!is_idling(rq->current))
            run_queue_charge(rq, rq->current, arch_now());
        sched_forget_credit(&rq->queue, &v->sched);
    }
    run_queue_unlock(rq);
}

static uint16_t cap_turn(const struct domain *d, unsigned vcpu)
{
    return (uint16_t)((vcpu + 1) % d->max_vcpus);
}

/*
 * At most CAP_RELEASED_AT_ONCE of @d's vCPUs that its cap had stopped go on.  They are level, so the first may use up the
 * whole period: each period begins behind the vCPU that the one before began with.  False: more are stopped; the next
 * round goes on at @cap_at.
 */
static bool cap_release(struct domain *d)
{
    unsigned left = CAP_RELEASED_AT_ONCE;
    const bool first_round = !d->cap_rounds;

    if (first_round)
        d->cap_at = d->cap_first;
    for (unsigned i = 0; i < d->max_vcpus; i++, d->cap_at = cap_turn(d, d->cap_at)) {
        struct vcpu *v = d->vcpu[d->cap_at];
        if (!v || !(atomic_read(&v->pause) & PAUSE_CAPPED))
            continue;
        if (first_round && left == CAP_RELEASED_AT_ONCE)
            d->cap_first = cap_turn(d, d->cap_at);
        if (!left--)
            return false;
        forget_stop(v);
        vcpu_unpause(v, PAUSE_CAPPED);
    }
    return true;
}

/* A new period: not all of many vCPUs are released in one go. */
static void cap_refill(struct timer *t)
{
    struct domain *d = container_of(t, struct domain, cap_timer);
    const uint64_t now = arch_now();
    spin_lock(&d->cap_lock);
    bool spent = d->cap && sched_cap_charge(&d->sched_cap, d->cap, now, 0);
    uint64_t next = d->sched_cap.period_end;
    spin_unlock(&d->cap_lock);

    /* spent: by an overdraft of more than a period's worth, or by those who went on first */
    d->cap_rounds = !spent && !cap_release(d);
    if (spent)
        timer_set(t, next);
    else if (d->cap_rounds)
        timer_set(t, now + CAP_RELEASE_EVERY);
}

void sched_cap_init(struct domain *d)
{
    d->cap_lock = (spinlock_t)SPINLOCK_INIT(CAP);
    timer_init_owned(&d->cap_timer, cap_refill, &d->timers);
    d->sched_cap.period_end = d->id * CAP_APART % SCHED_CAP_PERIOD;
}
