/*
 * Scheduling, the mechanism: who is runnable, switching, waking, moving between CPUs, idling.
 * The policy, who goes first, is sched-policy.c; caps are sched-cap.c, work that belongs to no vCPU is work.c.
 *
 *             vcpu_unpause (last reason gone)
 *    asleep ---------------------------------> queued <----------+
 *      ^                                         |  pick         | slice over, or
 *      |  schedule() with a reason in v->pause   v               | someone was woken
 *      +------------------------------------- running -----------+
 *
 * Each physical CPU has a queue, a lock for it, and an idle vCPU that runs when nobody wants to.  A
 * vCPU belongs to the queue of v->cpu whether it waits there or not; that changes only under the
 * lock of the queue it leaves, while it is neither queued nor running.
 *
 * The lock is held across the switch of stacks: taken by the vCPU that leaves, released by the one
 * that arrives (sched_tail).  So nobody can pick up the one that leaves before its registers have
 * been put away.
 *
 * Ticks: while one vCPU runs alone, none but the alarm of its CPU (timer.c).  Only when somebody waits, or a cap limits it, is a slice
 * timer armed.
 *
 * Idling: a vCPU that goes to sleep while nobody else wants its CPU halts on its own stack (doze),
 * for it will most likely be the next to run; the idle vCPU proper runs when there is work, or when the
 * sleeper has to leave its stack.
 *
 * Several CPUs: a vCPU that wakes, or whose slice ends while others wait, goes to the least wanted CPU
 * (choose_cpu); one that idles takes from the others (steal).
 *
 * A vCPU that is preempted in the middle of an operation (sched_yield) holds references, maybe a
 * mutex.  It must come back to give them up even if its domain has been shut down or capped
 * meanwhile: v->unwinding says so.  Where an operation holds nothing it can be paused: pause_point.
 */
#include "sched.h"

#include "arch.h"
#include "lib.h"
#include "run-queue.h"
#include "runstate.h"

/* vCPUs of domains over their caps that are taken off a queue when somebody else is to run. */
#define CAP_STOPPED_AT_ONCE 16u

struct run_queue run_queues[MAX_CPUS];

struct vcpu *sched_idle_vcpu(unsigned cpu)
{
    return run_queues[cpu].idle;
}

/* --- inside one queue (lock held) --- */

void run_queue_charge(struct run_queue *rq, struct vcpu *v, uint64_t now)
{
    uint64_t ns = now > v->run_start ? now - v->run_start : 0;
    v->run_start = now;
    if (unlikely(v->is_idle)) {
        if (is_idling(v))
            return;
        ns = work_charge(v, ns);
    }
    sched_charge(&rq->queue, &v->sched, ns);
    if (unlikely(v->domain->cap))
        sched_cap_spend(v, now, ns);
}

static void slice_over(struct timer *t)
{
    struct run_queue *rq = container_of(t, struct run_queue, slice);
    rq->slice_ended = true;
    atomic_or(&rq->current->exit_work, EXIT_RESCHEDULE);
}

/* The published time of whoever runs moves on.  A CPU that idles does without an alarm. */
static bool alarm_rings(void)
{
    struct run_queue *rq = &run_queues[this_cpu()];
    rq->alarm = !rq->current->is_idle;
    if (rq->alarm)
        vcpu_time_expire(rq->current);
    return rq->alarm;
}

static noinline_ void begin_with_alarm(struct run_queue *rq, struct vcpu *v)
{
    rq->alarm = true;
    timer_alarm_begin();
    vcpu_timers_resume(v);
}

/* @v, no idle vCPU, runs from now on.  The last thing that its callers do: it costs them no stack. */
static inline void begin_to_run(struct run_queue *rq, struct vcpu *v)
{
    if (unlikely(!rq->alarm))
        begin_with_alarm(rq, v);
    else
        vcpu_timers_resume(v);
}

/* Arm or stop this CPU's slice timer for @v, which starts, or goes on, now. */
static void slice_begin(struct run_queue *rq, struct vcpu *v, uint64_t now)
{
    uint64_t slice = rq->queue.count ? sched_slice(&rq->queue, &v->sched) : ~0ull;
    if (unlikely(v->domain->cap)) {
        uint64_t left = sched_cap_left(&v->domain->sched_cap, v->domain->cap);
        slice = MIN(slice, left);
    }
    if (slice != ~0ull)
        timer_set(&rq->slice, now + slice);
    else if (rq->slice.queued)
        timer_stop(&rq->slice);
}

void run_queue_ask(unsigned cpu)
{
    atomic_or(&run_queues[cpu].current->exit_work, EXIT_RESCHEDULE);
    if (cpu != this_cpu())
        arch_kick_cpu(cpu);
}

void run_queue_insert(struct run_queue *rq, struct vcpu *v)
{
    struct vcpu *running = rq->current;
    bool here = v->cpu == this_cpu();
    const bool idling = is_idling(running);
    uint64_t now = arch_now();

    /* First: until it is charged the queue does not know how far the others have got. */
    if (!idling)
        run_queue_charge(rq, running, now);
    if (!v->is_idle) {
        v->sched.weight = v->domain->weight ? v->domain->weight : SCHED_WEIGHT_NORMAL;
        vcpu_set_runstate(v, VCPU_RUNNABLE, now);
    } else {
        /* work has not waited for its turn: nobody's timer is late for it */
        sched_forget_credit(&rq->queue, &v->sched);
    }
    sched_enqueue(&rq->queue, &v->sched);

    if (idling) {
        run_queue_ask(v->cpu);
        return;
    }
    if (sched_preempts(&rq->queue, &running->sched, &v->sched) || !here)
        run_queue_ask(v->cpu); /* another CPU must at least arm its slice timer */
    else if (!rq->slice.queued ||
             now + sched_slice(&rq->queue, &running->sched) < rq->slice.deadline)
        slice_begin(rq, running, now);
}

/* --- where to run --- */

struct run_queue *run_queue_lock(struct vcpu *v) NO_ANALYSIS
{
    for (;;) {
        unsigned cpu = atomic_read(&v->cpu);
        struct run_queue *rq = &run_queues[cpu];
        spin_lock(&rq->lock);
        if (likely(v->cpu == cpu))
            return rq;
        spin_unlock(&rq->lock);
    }
}

void run_queue_unlock(struct run_queue *rq) NO_ANALYSIS
{
    spin_unlock(&rq->lock);
}

void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *info) NO_ANALYSIS
{
    struct run_queue *rq = run_queue_lock(v);
    runstate_get(v, info, true);
    run_queue_unlock(rq);
}

/* How many want @cpu; read without its lock, so only a hint. */
static unsigned load(unsigned cpu)
{
    const struct run_queue *rq = &run_queues[cpu];
    return atomic_read(&rq->queue.count) + !is_idling(rq->current);
}

/* Among the CPUs where @v may run, the least loaded one; @v's own, where its cache is, unless it is
 * beaten. */
static unsigned choose_cpu(const struct vcpu *v)
{
    uint64_t allowed = v->affinity & arch_cpus_online();
    if (!allowed)
        return v->cpu;
    const bool may_stay = allowed & BIT(v->cpu);
    if (likely(may_stay && (allowed == BIT(v->cpu) || !load(v->cpu))))
        return v->cpu;
    unsigned best = may_stay ? v->cpu : (unsigned)__builtin_ctzll(allowed);
    unsigned least = load(best);
    for (uint64_t others = allowed; least && others; others &= others - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(others);
        if (load(cpu) < least) {
            best = cpu;
            least = load(cpu);
        }
    }
    return best;
}

/* @v became runnable, maybe: put it into @target's queue if it is not in one and not on its way
 * out. */
static void wake_on(struct vcpu *v, unsigned target) NO_ANALYSIS
{
    struct run_queue *rq = run_queue_lock(v);
    if (v->on_cpu && rq->current != v && v->cpu != this_cpu())
        arch_kick_cpu(v->cpu); /* it dozes there: it looks for itself */
    if (v->sched.queued || v->on_cpu || !wants_cpu(v)) {
        run_queue_unlock(rq);
        return;
    }

    if (target != v->cpu) {
        sched_move(&rq->queue, &run_queues[target].queue, &v->sched);
        atomic_set(&v->cpu, (uint16_t)target);
        run_queue_unlock(rq);
        /* Unlocked for a moment: somebody else may have woken it, or paused it again. */
        rq = run_queue_lock(v);
        if (v->sched.queued || v->on_cpu || !wants_cpu(v)) {
            run_queue_unlock(rq);
            return;
        }
    }
    run_queue_insert(rq, v);
    run_queue_unlock(rq);
}

static void wake(struct vcpu *v)
{
    wake_on(v, choose_cpu(v));
}

/* An idle CPU takes a waiting vCPU from another CPU's queue: true if it got one. */
static bool steal(unsigned cpu) NO_ANALYSIS
{
    uint64_t others = arch_cpus_online() & ~BIT(cpu);
    for (; others; others &= others - 1) {
        struct run_queue *from = &run_queues[__builtin_ctzll(others)];
        if (!atomic_read(&from->queue.count))
            continue;

        struct vcpu *v = NULL;
        spin_lock(&from->lock);
        heap_for_each(it, from->queue.first)
        {
            struct vcpu *candidate = vcpu_of(container_of(it, struct sched_entity, node));
            if (!candidate->is_idle && (candidate->affinity & BIT(cpu))) {
                v = candidate;
                break;
            }
        }
        if (v) {
            sched_dequeue(&from->queue, &v->sched);
            sched_move(&from->queue, &run_queues[cpu].queue, &v->sched);
            atomic_set(&v->cpu, (uint16_t)cpu);
        }
        spin_unlock(&from->lock);

        if (v) {
            wake_on(v, cpu);
            return true;
        }
    }
    return false;
}

/* --- switching --- */

static enum vcpu_run_state state_of(const struct vcpu *v)
{
    uint32_t pause = atomic_read(&v->pause);
    if (pause & (PAUSE_BLOCKED | PAUSE_POLLING))
        return VCPU_BLOCKED;
    return pause & (PAUSE_DOWN | PAUSE_DOMAIN | PAUSE_CONTROL) ? VCPU_OFFLINE : VCPU_RUNNABLE;
}

/* @v waited, and its domain has used up its cap meanwhile: it is stopped without having run. */
static cold_ bool cap_stops(struct vcpu *v, uint64_t now)
{
    sched_cap_spend(v, now, 0);
    return !wants_cpu(v);
}

/* The next to run, taken from the queue: the idle vCPU if nobody waits. */
static struct vcpu *pick(struct run_queue *rq, uint64_t now)
{
    for (unsigned stopped = 0;; stopped++) {
        struct sched_entity *e = sched_first(&rq->queue);
        if (!e)
            return rq->idle;
        struct vcpu *v = vcpu_of(e);
        sched_dequeue(&rq->queue, e);
        /* Many could be stopped in a row: others among them begin a slice that is over. */
        if (likely(!v->domain->cap) || stopped == CAP_STOPPED_AT_ONCE || !cap_stops(v, now))
            return v;
    }
}

/*
 * Should @v, which wants the CPU, get another one?  Yes if it may not run here; or if its slice is
 * over, others wait, and another CPU is wanted by fewer: that way three that spin on two CPUs take
 * turns and get two thirds each.
 */
static bool leaves(struct run_queue *rq, const struct vcpu *v)
{
    const bool ended = rq->slice_ended;
    rq->slice_ended = false;
    if (v->is_idle || (likely(v->affinity & BIT(v->cpu)) && !(ended && rq->queue.count)))
        return false;
    rq->destination = choose_cpu(v);
    return rq->destination != v->cpu;
}

static bool may_doze(const struct run_queue *rq, const struct vcpu *v)
{
    return !sched_first(&rq->queue) && is_idling(rq->idle) && !v->exit_work &&
           !(atomic_read(&v->pause) & ~PAUSE_SLEEP);
}

/*
 * Nobody else wants this CPU and @v has gone to sleep.  Rather than switch to the idle vCPU and
 * back, halt right here on @v's stack, with all its registers still in the CPU.  To everybody else
 * the idle vCPU runs. True when @v wants to run again; false when there is a reason to leave its
 * stack after all.
 */
static bool doze(struct run_queue *rq, struct vcpu *v) NO_ANALYSIS
{
    const unsigned cpu = v->cpu;
    rq->current = rq->idle;
    while (may_doze(rq, v)) {
        if (wants_cpu(v))
            return true;
        spin_unlock(&rq->lock);
        /* Interrupts are off: whatever has happened since we looked ends arch_idle() at once. */
        if (!steal(cpu))
            arch_idle();
        spin_lock(&rq->lock);
    }
    return false;
}

/* @prev goes on, after it had been put away as asleep. */
static void run_again(struct run_queue *rq, struct vcpu *prev) NO_ANALYSIS
{
    uint64_t now = arch_now();
    rq->current = prev;
    prev->run_start = now;
    vcpu_set_runstate(prev, VCPU_RUNNING, now);
    slice_begin(rq, prev, now);
    spin_unlock(&rq->lock);
    begin_to_run(rq, prev);
}

static void switch_to(struct run_queue *rq, struct vcpu *prev, struct vcpu *next, uint64_t now)
{
    if (!next->is_idle)
        vcpu_set_runstate(next, VCPU_RUNNING, now);
    slice_begin(rq, next, now);
    next->run_start = now;
    next->on_cpu = true;
    rq->current = next;
    rq->leaving = prev;
    arch_switch(prev, next);
    sched_tail();
}

static void reschedule(bool give_way) NO_ANALYSIS
{
    struct vcpu *prev = current_vcpu();
    struct run_queue *rq = &run_queues[prev->cpu];

    spin_lock(&rq->lock);
    uint64_t now = arch_now();
    run_queue_charge(rq, prev, now);
    rq->destination = prev->cpu;
    atomic_and(&prev->exit_work, ~EXIT_RESCHEDULE);

    const bool asleep = !wants_cpu(prev) && !prev->is_idle;
    if (asleep) {
        vcpu_set_runstate(prev, state_of(prev), now);
        vcpu_timers_suspend(prev);
        if (doze(rq, prev)) {
            run_again(rq, prev);
            return;
        }
        now = arch_now();
    }

    /* One that leaves is put elsewhere by sched_tail(), when it is off its stack. */
    if (wants_cpu(prev) && !leaves(rq, prev)) {
        if (give_way)
            sched_give_way(&rq->queue, &prev->sched);
        sched_enqueue(&rq->queue, &prev->sched);
    }
    struct vcpu *next = pick(rq, now);
    if (next != prev) {
        if (!prev->is_idle) {
            vcpu_set_runstate(prev, state_of(prev), now);
            vcpu_timers_suspend(prev);
        }
        switch_to(rq, prev, next, now);
    } else if (asleep) {
        run_again(rq, prev);
    } else {
        slice_begin(rq, prev, now);
        spin_unlock(&rq->lock);
    }
}

void sched_tail(void) NO_ANALYSIS
{
    struct vcpu *v = current_vcpu();
    struct run_queue *rq = &run_queues[v->cpu];
    struct vcpu *left = rq->leaving;

    rq->leaving = NULL;
    atomic_set_release(&left->on_cpu, false);
    bool homeless = !left->is_idle && !left->sched.queued && wants_cpu(left);
    const unsigned destination = rq->destination;
    spin_unlock(&rq->lock);

    /* It leaves for another CPU; or it has been woken since it was put away as asleep. */
    if (unlikely(homeless))
        wake_on(left, destination != v->cpu ? destination : choose_cpu(left));
    if (!v->is_idle)
        begin_to_run(rq, v);
}

void schedule(void)
{
    reschedule(false);
}

/* @v, in the middle of an operation, lets others run. */
static void put_aside(struct vcpu *v, bool give_way)
{
    uint8_t outer = v->unwinding;
    v->unwinding = true;
    reschedule(give_way);
    v->unwinding = outer;
    /* Reasons to stop that were ignored meanwhile count again at the next chance. */
    if (unlikely(v->pause))
        atomic_or(&v->exit_work, EXIT_RESCHEDULE);
}

void sched_yield(void)
{
    struct vcpu *v = current_vcpu();
    if (run_queues[v->cpu].queue.first || (v->exit_work & EXIT_RESCHEDULE))
        put_aside(v, true);
}

/* An idle vCPU is never asleep: it halts, or lets others run, until the reason is gone. */
static void idle_sleep(struct vcpu *idle, uint32_t why)
{
    while (atomic_read(&idle->pause) & why) {
        if (run_queues[idle->cpu].queue.first || (idle->exit_work & EXIT_RESCHEDULE))
            put_aside(idle, true);
        else
            arch_idle();
    }
}

void sched_sleep(uint32_t why)
{
    struct vcpu *v = current_vcpu();

    if (v->is_idle)
        idle_sleep(v, why);
    while (atomic_read(&v->pause) & why)
        put_aside(v, false);
}

void sched_wake(struct vcpu *v, uint32_t why) NO_ANALYSIS
{
    if (!v->is_idle) {
        vcpu_unpause(v, why);
        return;
    }
    atomic_and(&v->pause, ~why);
    struct run_queue *rq = run_queue_lock(v); /* whoever runs there is not gone meanwhile */
    run_queue_ask(v->cpu);
    run_queue_unlock(rq);
}

/* Whoever ends the domain waits until nobody is in the middle of something, and others' ends wait for that. */
static bool is_being_ended(const struct domain *d)
{
    return d->dying || atomic_read(&d->shut_down);
}

bool preempt_point(void)
{
    arch_serve_interrupts();
    struct vcpu *v = current_vcpu();
    if (unlikely(v->exit_work & EXIT_RESCHEDULE))
        put_aside(v, false);
    return is_being_ended(v->domain);
}

bool pause_point(void)
{
    arch_serve_interrupts();
    struct vcpu *v = current_vcpu();
    if (unlikely(v->exit_work & EXIT_RESCHEDULE))
        schedule();
    return is_being_ended(v->domain);
}

/* --- pausing and waking --- */

void vcpu_pause(struct vcpu *v, uint32_t why) NO_ANALYSIS
{
    atomic_or(&v->pause, why);
    struct run_queue *rq = run_queue_lock(v);
    if (v->on_cpu) {
        run_queue_ask(v->cpu);
    } else {
        if (v->sched.queued && !wants_cpu(v))
            sched_dequeue(&rq->queue, &v->sched);
        if (!v->sched.queued)
            vcpu_set_runstate(v, state_of(v), arch_now());
    }
    run_queue_unlock(rq);
}

bool vcpu_is_stopped(const struct vcpu *v)
{
    return !atomic_read_acquire(&v->on_cpu) && !v->unwinding;
}

void vcpu_pause_sync(struct vcpu *v, uint32_t why)
{
    vcpu_pause(v, why);
    if (v == current_vcpu())
        return;
    while (!vcpu_is_stopped(v)) {
        sched_yield();
        arch_relax();
    }
}

void vcpu_unpause(struct vcpu *v, uint32_t why) NO_ANALYSIS
{
    uint32_t before = atomic_and(&v->pause, ~why);
    if (!(before & why))
        return;
    if (likely(!(before & ~why) || v->unwinding)) {
        wake(v);
        return;
    }
    struct run_queue *rq = run_queue_lock(v);
    if (!v->on_cpu && !v->sched.queued)
        vcpu_set_runstate(v, state_of(v), arch_now());
    run_queue_unlock(rq);
}

void sched_domain_adjust(struct domain *d, uint32_t weight, uint32_t cap) NO_ANALYSIS
{
    d->weight = weight;
    for_each_vcpu(d, v) {
        struct run_queue *rq = run_queue_lock(v);
        v->sched.weight = weight;
        run_queue_unlock(rq);
    }
    spin_lock(&d->cap_lock);
    const bool ends = d->cap && !cap;
    d->cap = cap;
    spin_unlock(&d->cap_lock);
    if (ends) /* those that it has stopped go on */
        timer_set(&d->cap_timer, arch_now());
}

void vcpu_set_affinity(struct vcpu *v, uint64_t set) NO_ANALYSIS
{
    struct run_queue *rq = run_queue_lock(v);
    v->affinity = set;
    bool elsewhere = v->sched.queued && !(set & BIT(v->cpu));
    if (elsewhere)
        sched_dequeue(&rq->queue, &v->sched);
    else if (v->on_cpu)
        run_queue_ask(v->cpu);
    run_queue_unlock(rq);
    if (elsewhere)
        wake(v);
}

void vcpu_kick(struct vcpu *v)
{
    if (atomic_read(&v->pause) & (PAUSE_BLOCKED | PAUSE_POLLING))
        vcpu_unpause(v, PAUSE_BLOCKED | PAUSE_POLLING);
    else if (v->on_cpu && v->cpu != this_cpu())
        arch_kick_cpu(v->cpu);
}

/* --- idle vCPUs --- */

noreturn_ void idle_loop(void)
{
    struct vcpu *self = current_vcpu();
    for (;;) {
        if (has_work(self))
            work_run_all();
        if ((self->exit_work & EXIT_RESCHEDULE) || sched_first(&run_queues[self->cpu].queue) ||
            steal(self->cpu))
            schedule();
        else
            arch_idle();
    }
}

/* --- set-up --- */

void sched_vcpu_init(struct vcpu *v)
{
    sched_entity_init(&v->sched, v->domain->weight, MAX(v->domain->max_vcpus, 1));
    v->affinity = ~0ull; /* the first wake-up chooses a CPU, if 0 is not the best */
    v->time_cpu = UINT16_MAX;
    v->runstate = VCPU_OFFLINE;
    v->runstate_since = arch_now();
}

void sched_vcpu_destroy(struct vcpu *v)
{
    vcpu_timers_destroy(v);
}

void sched_domain_init(struct domain *d)
{
    for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++) /* sched-op.c says what they do */
        timer_init_owned(&d->watchdog[i], NULL, &d->timers);
    d->watchdog_lock = (spinlock_t)SPINLOCK_INIT(WATCHDOG);
    sched_cap_init(d);
}

void sched_domain_destroy(struct domain *d)
{
    timer_stop(&d->cap_timer);
    for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        timer_stop(&d->watchdog[i]);
}

void sched_init_cpu(unsigned cpu, struct vcpu *idle)
{
    struct run_queue *rq = &run_queues[cpu];
    rq->lock = (spinlock_t)SPINLOCK_INIT(SCHED);
    sched_queue_init(&rq->queue);
    timer_init(&rq->slice, slice_over);
    timer_alarm_init(alarm_rings);

    if (!idle)
        BUG();
    idle->is_idle = true;
    idle->cpu = (uint16_t)cpu;
    idle->pause = 0;
    idle->on_cpu = true;
    idle->affinity = BIT(cpu);
    rq->idle = rq->current = idle;
}
