/*
 * Scheduling, the mechanism: who is runnable, switching, waking, moving between CPUs, idle work.
 * The policy, who goes first, is sched-policy.c.
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
#include "runstate.h"

/* vCPUs of one domain that go on as a period of its cap begins, and ns until the next of them do. */
#define CAP_RELEASED_AT_ONCE 8u
#define CAP_RELEASE_EVERY    100000u
/* vCPUs of domains over their caps that are taken off a queue when somebody else is to run. */
#define CAP_STOPPED_AT_ONCE 16u

/* ns between the beginnings of periods of domains with numbers next to each other: by the golden section all are far apart. */
#define CAP_APART (SCHED_CAP_PERIOD * 618ull / 1000)

struct cpu_queue {
    spinlock_t lock;
    bool slice_ended; /* and nobody has rescheduled since */
    bool alarm;       /* this CPU's alarm is set */
    /* Where @leaving goes if it wants to run but is in no queue; this CPU: nothing was chosen. */
    unsigned destination;
    struct sched_queue queue;
    struct vcpu *current; /* who was picked last */
    struct vcpu *idle;
    struct vcpu *leaving; /* who was switched away from: until sched_tail */
    struct timer slice;
} __attribute__((aligned(64))); /* a power of two: found by a shift */
_Static_assert(sizeof(struct cpu_queue) == 128, "struct cpu_queue");

static struct cpu_queue queues[MAX_CPUS];

static struct {
    spinlock_t lock;
    struct list list;
    uint32_t pending; /* queued or running (atomic) */
    uint32_t weight;  /* of all those together */
    /* Guarded by CPU 0's queue's lock: */
    bool running;
    struct work_account *account; /* of what runs, or NULL */
} works = {.lock = SPINLOCK_INIT(WORK), .list = {&works.list, &works.list}};

static struct vcpu *vcpu_of(struct sched_entity *e)
{
    return container_of(e, struct vcpu, sched);
}

struct vcpu *sched_idle_vcpu(unsigned cpu)
{
    return queues[cpu].idle;
}

/* The idle vCPU of CPU 0 competes like any other while there is work. */
static inline bool has_work(const struct vcpu *v)
{
    return v->id == 0 && atomic_read(&works.pending);
}

/* @v is an idle vCPU without work.  One that has work, or is still booting, competes like any other. */
static inline bool is_idling(const struct vcpu *v)
{
    return v->is_idle && !has_work(v) && !v->unwinding;
}

static inline bool wants_cpu(const struct vcpu *v)
{
    if (unlikely(v->is_idle))
        return !is_idling(v);
    uint32_t pause = atomic_read(&v->pause);
    return !(unlikely(v->unwinding) ? pause & PAUSE_SLEEP : pause);
}

/* --- caps --- */

/* @v ran for @ns.  Caller holds the queue's lock. */
static cold_ void cap_charge(struct vcpu *v, uint64_t now, uint64_t ns)
{
    struct domain *d = v->domain;
    spin_lock(&d->cap_lock);
    if (sched_cap_charge(&d->sched_cap, d->cap, now, ns)) {
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

/* --- inside one queue (lock held) --- */

static void charge(struct cpu_queue *cq, struct vcpu *v, uint64_t now)
{
    uint64_t ns = now > v->run_start ? now - v->run_start : 0;
    v->run_start = now;
    if (unlikely(v->is_idle)) {
        if (is_idling(v))
            return;
        if (v->id || !works.running)
            ns = MIN(ns, SCHED_SLICE); /* it may have halted for long before */
        else if (works.account)
            works.account->spent += ns;
    }
    sched_charge(&cq->queue, &v->sched, ns);
    if (unlikely(v->domain->cap))
        cap_charge(v, now, ns);
}

static void slice_over(struct timer *t)
{
    struct cpu_queue *cq = container_of(t, struct cpu_queue, slice);
    cq->slice_ended = true;
    atomic_or(&cq->current->exit_work, EXIT_RESCHEDULE);
}

/* The published time of whoever runs moves on.  A CPU that idles does without an alarm. */
static bool alarm_rings(void)
{
    struct cpu_queue *cq = &queues[this_cpu()];
    cq->alarm = !cq->current->is_idle;
    if (cq->alarm)
        vcpu_time_expire(cq->current);
    return cq->alarm;
}

static noinline_ void begin_with_alarm(struct cpu_queue *cq, struct vcpu *v)
{
    cq->alarm = true;
    timer_alarm_begin();
    vcpu_timers_resume(v);
}

/* @v, no idle vCPU, runs from now on.  The last thing that its callers do: it costs them no stack. */
static inline void begin_to_run(struct cpu_queue *cq, struct vcpu *v)
{
    if (unlikely(!cq->alarm))
        begin_with_alarm(cq, v);
    else
        vcpu_timers_resume(v);
}

/* Arm or stop this CPU's slice timer for @v, which starts, or goes on, now. */
static void slice_begin(struct cpu_queue *cq, struct vcpu *v, uint64_t now)
{
    uint64_t slice = cq->queue.count ? sched_slice(&cq->queue, &v->sched) : ~0ull;
    if (unlikely(v->domain->cap)) {
        uint64_t left = sched_cap_left(&v->domain->sched_cap, v->domain->cap);
        slice = MIN(slice, left);
    }
    if (slice != ~0ull)
        timer_set(&cq->slice, now + slice);
    else if (cq->slice.queued)
        timer_stop(&cq->slice);
}

static void ask_reschedule(unsigned cpu)
{
    atomic_or(&queues[cpu].current->exit_work, EXIT_RESCHEDULE);
    if (cpu != this_cpu())
        arch_kick_cpu(cpu);
}

/* Put @v, woken, into the queue of v->cpu, and have that CPU reschedule, or end its slice earlier, if @v is due before. */
static void insert(struct cpu_queue *cq, struct vcpu *v)
{
    struct vcpu *running = cq->current;
    bool here = v->cpu == this_cpu();
    const bool idling = is_idling(running);
    uint64_t now = arch_now();

    /* First: until it is charged the queue does not know how far the others have got. */
    if (!idling)
        charge(cq, running, now);
    if (!v->is_idle) {
        v->sched.weight = v->domain->weight ? v->domain->weight : SCHED_WEIGHT_NORMAL;
        vcpu_set_runstate(v, VCPU_RUNNABLE, now);
    } else {
        /* work has not waited for its turn: nobody's timer is late for it */
        sched_forget_credit(&cq->queue, &v->sched);
    }
    sched_enqueue(&cq->queue, &v->sched);

    if (idling) {
        ask_reschedule(v->cpu);
        return;
    }
    if (sched_preempts(&cq->queue, &running->sched, &v->sched) || !here)
        ask_reschedule(v->cpu); /* another CPU must at least arm its slice timer */
    else if (!cq->slice.queued ||
             now + sched_slice(&cq->queue, &running->sched) < cq->slice.deadline)
        slice_begin(cq, running, now);
}

/* --- where to run --- */

/* Lock the queue that @v belongs to. */
static struct cpu_queue *queue_lock(struct vcpu *v) NO_ANALYSIS
{
    for (;;) {
        unsigned cpu = atomic_read(&v->cpu);
        struct cpu_queue *cq = &queues[cpu];
        spin_lock(&cq->lock);
        if (likely(v->cpu == cpu))
            return cq;
        spin_unlock(&cq->lock);
    }
}

static void queue_unlock(struct cpu_queue *cq) NO_ANALYSIS
{
    spin_unlock(&cq->lock);
}

void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *info) NO_ANALYSIS
{
    struct cpu_queue *cq = queue_lock(v);
    runstate_get(v, info, true);
    queue_unlock(cq);
}

/* How many want @cpu; read without its lock, so only a hint. */
static unsigned load(unsigned cpu)
{
    const struct cpu_queue *cq = &queues[cpu];
    return atomic_read(&cq->queue.count) + !is_idling(cq->current);
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
    struct cpu_queue *cq = queue_lock(v);
    if (v->on_cpu && cq->current != v && v->cpu != this_cpu())
        arch_kick_cpu(v->cpu); /* it dozes there: it looks for itself */
    if (v->sched.queued || v->on_cpu || !wants_cpu(v)) {
        queue_unlock(cq);
        return;
    }

    if (target != v->cpu) {
        sched_move(&cq->queue, &queues[target].queue, &v->sched);
        atomic_set(&v->cpu, (uint16_t)target);
        queue_unlock(cq);
        /* Unlocked for a moment: somebody else may have woken it, or paused it again. */
        cq = queue_lock(v);
        if (v->sched.queued || v->on_cpu || !wants_cpu(v)) {
            queue_unlock(cq);
            return;
        }
    }
    insert(cq, v);
    queue_unlock(cq);
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
        struct cpu_queue *from = &queues[__builtin_ctzll(others)];
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
            sched_move(&from->queue, &queues[cpu].queue, &v->sched);
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
    return pause & (PAUSE_DOWN | PAUSE_DOMAIN) ? VCPU_OFFLINE : VCPU_RUNNABLE;
}

/* @v waited, and its domain has used up its cap meanwhile: it is stopped without having run. */
static cold_ bool cap_stops(struct vcpu *v, uint64_t now)
{
    cap_charge(v, now, 0);
    return !wants_cpu(v);
}

/* The next to run, taken from the queue: the idle vCPU if nobody waits. */
static struct vcpu *pick(struct cpu_queue *cq, uint64_t now)
{
    for (unsigned stopped = 0;; stopped++) {
        struct sched_entity *e = sched_first(&cq->queue);
        if (!e)
            return cq->idle;
        struct vcpu *v = vcpu_of(e);
        sched_dequeue(&cq->queue, e);
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
static bool leaves(struct cpu_queue *cq, const struct vcpu *v)
{
    const bool ended = cq->slice_ended;
    cq->slice_ended = false;
    if (v->is_idle || (likely(v->affinity & BIT(v->cpu)) && !(ended && cq->queue.count)))
        return false;
    cq->destination = choose_cpu(v);
    return cq->destination != v->cpu;
}

static bool may_doze(const struct cpu_queue *cq, const struct vcpu *v)
{
    return !sched_first(&cq->queue) && is_idling(cq->idle) && !v->exit_work &&
           !(atomic_read(&v->pause) & ~PAUSE_SLEEP);
}

/*
 * Nobody else wants this CPU and @v has gone to sleep.  Rather than switch to the idle vCPU and
 * back, halt right here on @v's stack, with all its registers still in the CPU.  To everybody else
 * the idle vCPU runs. True when @v wants to run again; false when there is a reason to leave its
 * stack after all.
 */
static bool doze(struct cpu_queue *cq, struct vcpu *v) NO_ANALYSIS
{
    const unsigned cpu = v->cpu;
    cq->current = cq->idle;
    while (may_doze(cq, v)) {
        if (wants_cpu(v))
            return true;
        spin_unlock(&cq->lock);
        /* Interrupts are off: whatever has happened since we looked ends arch_idle() at once. */
        if (!steal(cpu))
            arch_idle();
        spin_lock(&cq->lock);
    }
    return false;
}

/* @prev goes on, after it had been put away as asleep. */
static void run_again(struct cpu_queue *cq, struct vcpu *prev) NO_ANALYSIS
{
    uint64_t now = arch_now();
    cq->current = prev;
    prev->run_start = now;
    vcpu_set_runstate(prev, VCPU_RUNNING, now);
    slice_begin(cq, prev, now);
    spin_unlock(&cq->lock);
    begin_to_run(cq, prev);
}

static void switch_to(struct cpu_queue *cq, struct vcpu *prev, struct vcpu *next, uint64_t now)
{
    if (!next->is_idle)
        vcpu_set_runstate(next, VCPU_RUNNING, now);
    slice_begin(cq, next, now);
    next->run_start = now;
    next->on_cpu = true;
    cq->current = next;
    cq->leaving = prev;
    arch_switch(prev, next);
    sched_tail();
}

static void reschedule(bool give_way) NO_ANALYSIS
{
    struct vcpu *prev = current_vcpu();
    struct cpu_queue *cq = &queues[prev->cpu];

    spin_lock(&cq->lock);
    uint64_t now = arch_now();
    charge(cq, prev, now);
    cq->destination = prev->cpu;
    atomic_and(&prev->exit_work, ~EXIT_RESCHEDULE);

    const bool asleep = !wants_cpu(prev) && !prev->is_idle;
    if (asleep) {
        vcpu_set_runstate(prev, state_of(prev), now);
        vcpu_timers_suspend(prev);
        if (doze(cq, prev)) {
            run_again(cq, prev);
            return;
        }
        now = arch_now();
    }

    /* One that leaves is put elsewhere by sched_tail(), when it is off its stack. */
    if (wants_cpu(prev) && !leaves(cq, prev)) {
        if (give_way)
            sched_give_way(&cq->queue, &prev->sched);
        sched_enqueue(&cq->queue, &prev->sched);
    }
    struct vcpu *next = pick(cq, now);
    if (next != prev) {
        if (!prev->is_idle) {
            vcpu_set_runstate(prev, state_of(prev), now);
            vcpu_timers_suspend(prev);
        }
        switch_to(cq, prev, next, now);
    } else if (asleep) {
        run_again(cq, prev);
    } else {
        slice_begin(cq, prev, now);
        spin_unlock(&cq->lock);
    }
}

void sched_tail(void) NO_ANALYSIS
{
    struct vcpu *v = current_vcpu();
    struct cpu_queue *cq = &queues[v->cpu];
    struct vcpu *left = cq->leaving;

    cq->leaving = NULL;
    atomic_set_release(&left->on_cpu, false);
    bool homeless = !left->is_idle && !left->sched.queued && wants_cpu(left);
    const unsigned destination = cq->destination;
    spin_unlock(&cq->lock);

    /* It leaves for another CPU; or it has been woken since it was put away as asleep. */
    if (unlikely(homeless))
        wake_on(left, destination != v->cpu ? destination : choose_cpu(left));
    if (!v->is_idle)
        begin_to_run(cq, v);
}

void schedule(void)
{
    reschedule(false);
}

void sched_yield(void)
{
    struct vcpu *v = current_vcpu();
    if (!queues[v->cpu].queue.first && !(v->exit_work & EXIT_RESCHEDULE))
        return;
    uint8_t outer = v->unwinding;
    v->unwinding = true;
    reschedule(true);
    v->unwinding = outer;
    /* Reasons to stop that were ignored meanwhile count again at the next chance. */
    if (unlikely(v->pause))
        atomic_or(&v->exit_work, EXIT_RESCHEDULE);
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
    if (unlikely(v->exit_work & EXIT_RESCHEDULE)) {
        uint8_t outer = v->unwinding;
        v->unwinding = true;
        reschedule(false);
        v->unwinding = outer;
        if (unlikely(v->pause))
            atomic_or(&v->exit_work, EXIT_RESCHEDULE);
    }
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
    struct cpu_queue *cq = queue_lock(v);
    if (v->on_cpu) {
        ask_reschedule(v->cpu);
    } else {
        if (v->sched.queued && !wants_cpu(v))
            sched_dequeue(&cq->queue, &v->sched);
        if (!v->sched.queued)
            vcpu_set_runstate(v, state_of(v), arch_now());
    }
    queue_unlock(cq);
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
    struct cpu_queue *cq = queue_lock(v);
    if (!v->on_cpu && !v->sched.queued)
        vcpu_set_runstate(v, state_of(v), arch_now());
    queue_unlock(cq);
}

/* --- a new period of a cap --- */

/* While its cap had stopped @v it was due no CPU time, asleep as well or not: no credit for it. */
static void forget_stop(struct vcpu *v) NO_ANALYSIS
{
    struct cpu_queue *cq = queue_lock(v);
    if (!v->sched.queued && !v->on_cpu) {
        if (!is_idling(cq->current))
            charge(cq, cq->current, arch_now());
        sched_forget_credit(&cq->queue, &v->sched);
    }
    queue_unlock(cq);
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
    bool spent = sched_cap_charge(&d->sched_cap, d->cap, now, 0);
    uint64_t next = d->sched_cap.period_end;
    spin_unlock(&d->cap_lock);

    /* spent: by an overdraft of more than a period's worth, or by those who went on first */
    d->cap_rounds = !spent && !cap_release(d);
    if (spent)
        timer_set(t, next);
    else if (d->cap_rounds)
        timer_set(t, now + CAP_RELEASE_EVERY);
}

void vcpu_set_affinity(struct vcpu *v, uint64_t set) NO_ANALYSIS
{
    struct cpu_queue *cq = queue_lock(v);
    v->affinity = set;
    bool elsewhere = v->sched.queued && !(set & BIT(v->cpu));
    if (elsewhere)
        sched_dequeue(&cq->queue, &v->sched);
    else if (v->on_cpu)
        ask_reschedule(v->cpu);
    queue_unlock(cq);
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

/* --- idle vCPUs and their work --- */

static uint32_t work_weight(const struct work *w)
{
    return w->account && w->account->weight ? w->account->weight : SCHED_WEIGHT_NORMAL;
}

/* Work worth @more has come, or, less than 0, is done.  Caller holds both locks. */
static void works_weigh(struct vcpu *idle, int64_t more)
{
    works.weight = (uint32_t)(works.weight + more);
    idle->sched.weight = works.weight ? works.weight : SCHED_WEIGHT_NORMAL;
}

void work_add(struct work *w) NO_ANALYSIS
{
    struct cpu_queue *cq = &queues[0];
    spin_lock(&works.lock);
    spin_lock(&cq->lock);
    struct vcpu *idle = cq->idle;
    if (!w->link.next) {
        list_append(&works.list, &w->link);
        atomic_add(&works.pending, 1);
        works_weigh(idle, work_weight(w));
    }
    if (cq->current == idle)
        ask_reschedule(0); /* it looks for work before it halts */
    else if (!idle->sched.queued)
        insert(cq, idle);
    spin_unlock(&cq->lock);
    spin_unlock(&works.lock);
}

static struct work *work_take(void)
{
    struct work *w = NULL;
    spin_lock(&works.lock);
    if (!list_empty(&works.list)) {
        w = list_entry(works.list.next, struct work, link);
        list_remove(&w->link);
        w->link.next = NULL;
    }
    spin_unlock(&works.lock);
    return w;
}

static void work_begin(const struct work *w)
{
    struct cpu_queue *cq = &queues[0];
    spin_lock(&cq->lock);
    cq->idle->run_start = arch_now();
    works.running = true;
    works.account = w->account;
    spin_unlock(&cq->lock);
}

static void work_end(uint32_t weight)
{
    struct cpu_queue *cq = &queues[0];
    spin_lock(&works.lock);
    spin_lock(&cq->lock);
    charge(cq, cq->idle, arch_now());
    works.running = false;
    works.account = NULL;
    works_weigh(cq->idle, -(int64_t)weight);
    atomic_sub(&works.pending, 1);
    spin_unlock(&cq->lock);
    spin_unlock(&works.lock);
}

uint64_t work_spent(void)
{
    struct cpu_queue *cq = &queues[0];
    uint64_t spent = 0;

    spin_lock(&cq->lock);
    if (works.account) {
        charge(cq, cq->idle, arch_now());
        spent = works.account->spent;
        works.account->spent = 0;
    }
    spin_unlock(&cq->lock);
    return spent;
}

/* @w may be gone, or queued again, when its run() returns. */
static void work_run_all(void)
{
    for (struct work *w; (w = work_take());) {
        const uint32_t weight = work_weight(w);
        work_begin(w);
        w->run(w);
        work_end(weight);
        (void)preempt_point();
    }
}

noreturn_ void idle_loop(void)
{
    struct vcpu *self = current_vcpu();
    for (;;) {
        if (has_work(self))
            work_run_all();
        if ((self->exit_work & EXIT_RESCHEDULE) || sched_first(&queues[self->cpu].queue) ||
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
    d->cap_lock = (spinlock_t)SPINLOCK_INIT(CAP);
    d->watchdog_lock = (spinlock_t)SPINLOCK_INIT(WATCHDOG);
    timer_init_owned(&d->cap_timer, cap_refill, &d->timers);
    d->sched_cap.period_end = d->id * CAP_APART % SCHED_CAP_PERIOD;
}

void sched_domain_destroy(struct domain *d)
{
    timer_stop(&d->cap_timer);
    for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        timer_stop(&d->watchdog[i]);
}

void sched_init_cpu(unsigned cpu, struct vcpu *idle)
{
    struct cpu_queue *cq = &queues[cpu];
    cq->lock = (spinlock_t)SPINLOCK_INIT(SCHED);
    sched_queue_init(&cq->queue);
    timer_init(&cq->slice, slice_over);
    timer_alarm_init(alarm_rings);

    if (!idle)
        BUG();
    idle->is_idle = true;
    idle->cpu = (uint16_t)cpu;
    idle->pause = 0;
    idle->on_cpu = true;
    idle->affinity = BIT(cpu);
    cq->idle = cq->current = idle;
}
