/*
 * Event channels: who waits for them (SCHEDOP_poll), and who is woken when.
 *
 * One port may have a domain's 64 vCPUs as pollers, and the timers of many domains may be due together: to wake all in one go
 * would keep a neighbour waiting for thousands of wake-ups.  So an event wakes WAKE_AT_ONCE of its pollers.  The others are noted
 * in d->wake_later, and woken WAKE_IN_TURN at a time by d->wake_timer; moments of different domains are WAKE_EVERY apart on a CPU.
 *
 * None is forgotten: while d->wake_later is not empty, the timer is set, or its handler runs, or who found it empty is about to set it.
 * None is woken for an event that it no longer waits for: who begins a poll takes itself off (evtchn_poll_begin).  Another CPU may
 * have seen the earlier poll and act on it only now: then the new poll ends early, as any poll may.
 */
#include "arch.h"
#include "evtchn-port.h"
#include "sched.h"

#define WAKE_AT_ONCE 4u       /* pollers that one event wakes */
#define WAKE_IN_TURN 8u       /* of the others, at one moment */
#define WAKE_EVERY   10000u   /* ns between two such moments of a CPU's */
#define WAKE_AHEAD   1000000u /* ns, at most: moments that nobody needs any more are booked, too */

static uint64_t wake_booked[MAX_CPUS]; /* the last moment so far; only its CPU looks */

static uint64_t wake_moment(void)
{
    uint64_t *booked = &wake_booked[this_cpu()];
    const uint64_t now = arch_now();

    *booked = MIN(MAX(*booked, now) + WAKE_EVERY, now + WAKE_AHEAD);
    return *booked;
}

static void wake_in_turn(struct timer *t)
{
    struct domain *d = container_of(t, struct domain, wake_timer);

    for (unsigned left = WAKE_IN_TURN; left; left--) {
        const uint64_t who = atomic_read(&d->wake_later);
        if (!who)
            return;
        /* Round: the last are not kept waiting by the first, who may be back in a poll already. */
        const uint64_t behind = who & ~(BIT(d->wake_turn) - 1);
        const unsigned id = (unsigned)__builtin_ctzll(behind ? behind : who);
        d->wake_turn = (uint8_t)((id + 1) % MAX_VCPUS);
        if (atomic_and(&d->wake_later, ~BIT(id)) & BIT(id))
            vcpu_unpause(d->vcpu[id], PAUSE_POLLING);
    }
    if (atomic_read(&d->wake_later))
        timer_set(t, wake_moment());
}

void evtchn_poll_init(struct domain *d)
{
    timer_init_owned(&d->wake_timer, wake_in_turn, &d->timers);
}

/* @v's poll is over; if @left is 0, soon. */
static inline void poller_wake(struct vcpu *v, unsigned *left, uint64_t *later)
{
    /* Who is about to sleep says so before it looks for events. */
    if (!(atomic_read(&v->pause) & PAUSE_POLLING))
        return;
    if (*left) {
        --*left;
        vcpu_unpause(v, PAUSE_POLLING);
    } else {
        *later |= BIT(v->id);
    }
}

static void note_later(struct domain *d, uint64_t who)
{
    if (who && !atomic_or(&d->wake_later, who))
        timer_set(&d->wake_timer, wake_moment());
}

void evtchn_wake_pollers_(struct domain *d, uint32_t port)
{
    unsigned left = WAKE_AT_ONCE;
    uint64_t later = 0;

    for (uint64_t who = atomic_read(&d->pollers); who; who &= who - 1) {
        struct vcpu *v = d->vcpu[__builtin_ctzll(who)];
        const uint32_t polled = atomic_read(&v->poll_port);
        if (polled == port || polled == ~0u)
            poller_wake(v, &left, &later);
    }
    note_later(d, later);
}

void evtchn_wake_pollers_of(struct domain *d, uint32_t first, uint32_t end)
{
    unsigned left = WAKE_AT_ONCE;
    uint64_t later = 0;

    for (uint64_t who = atomic_read(&d->pollers); who; who &= who - 1) {
        struct vcpu *v = d->vcpu[__builtin_ctzll(who)];
        const uint32_t polled = atomic_read(&v->poll_port);
        if (polled == ~0u || (polled >= first && polled < end && evtchn_poll_port(d, polled) > 0))
            poller_wake(v, &left, &later);
    }
    note_later(d, later);
}

void evtchn_poll_begin(struct vcpu *v)
{
    struct domain *d = v->domain;

    if (unlikely(atomic_read(&d->wake_later) & BIT(v->id)))
        atomic_and(&d->wake_later, ~BIT(v->id));
    atomic_set(&v->poll_port, ~0u);
    atomic_or(&d->pollers, BIT(v->id));
    atomic_or(&v->pause, PAUSE_POLLING);
}

int evtchn_poll_port(struct domain *d, uint32_t port)
{
    const struct evtchn *e = port_of(d, port);
    if (!e)
        return -1;
    if (e->state <= ECS_RESERVED)
        return 0;
    if (atomic_read(&d->evtchn_fifo))
        return evtchn_fifo_is_pending(d, port);
    return port < PORTS_2LEVEL && evtchn_2level_is_pending(d, port);
}
