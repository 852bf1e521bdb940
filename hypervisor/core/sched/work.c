/*
 * Work that belongs to no vCPU: a list, which the idle vCPU of CPU 0 works off, at the weight of those that it is done for.
 */
#include "arch.h"
#include "lib.h"
#include "run-queue.h"
#include "sched.h"

uint32_t work_pending;

static struct {
    spinlock_t lock;
    struct list list;
    uint32_t weight; /* of all those together */
    /* Guarded by CPU 0's queue's lock: */
    bool running;
    struct work_account *account; /* of what runs, or NULL */
} works = {.lock = SPINLOCK_INIT(WORK), .list = {&works.list, &works.list}};

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
    struct run_queue *rq = &run_queues[0];
    spin_lock(&works.lock);
    spin_lock(&rq->lock);
    struct vcpu *idle = rq->idle;
    if (!w->link.next) {
        list_append(&works.list, &w->link);
        atomic_add(&work_pending, 1);
        w->weight = work_weight(w); /* the account may be another when it runs */
        works_weigh(idle, w->weight);
    }
    if (rq->current == idle)
        run_queue_ask(0); /* it looks for work before it halts */
    else if (!idle->sched.queued)
        run_queue_insert(rq, idle);
    spin_unlock(&rq->lock);
    spin_unlock(&works.lock);
}

static struct work *work_take(uint32_t *weight)
{
    struct work *w = NULL;
    spin_lock(&works.lock);
    if (!list_empty(&works.list)) {
        w = list_entry(works.list.next, struct work, link);
        list_remove(&w->link);
        w->link.next = NULL;
        *weight = w->weight;
    }
    spin_unlock(&works.lock);
    return w;
}

static void work_begin(const struct work *w)
{
    struct run_queue *rq = &run_queues[0];
    spin_lock(&rq->lock);
    rq->idle->run_start = arch_now();
    works.running = true;
    works.account = w->account;
    spin_unlock(&rq->lock);
}

static void work_end(uint32_t weight)
{
    struct run_queue *rq = &run_queues[0];
    spin_lock(&works.lock);
    spin_lock(&rq->lock);
    run_queue_charge(rq, rq->idle, arch_now());
    works.running = false;
    works.account = NULL;
    works_weigh(rq->idle, -(int64_t)weight);
    atomic_sub(&work_pending, 1);
    spin_unlock(&rq->lock);
    spin_unlock(&works.lock);
}

uint64_t work_spent(void)
{
    struct run_queue *rq = &run_queues[0];
    uint64_t spent = 0;

    spin_lock(&rq->lock);
    if (works.account) {
        run_queue_charge(rq, rq->idle, arch_now());
        spent = works.account->spent;
        works.account->spent = 0;
    }
    spin_unlock(&rq->lock);
    return spent;
}

uint64_t work_charge(const struct vcpu *idle, uint64_t ns)
{
    if (idle->id || !works.running)
        return MIN(ns, SCHED_SLICE); /* it may have halted for long before */
    if (works.account)
        works.account->spent += ns;
    return ns;
}

/* @w may be queued again as soon as it is taken, and be gone when its run() returns. */
void work_run_all(void)
{
    uint32_t weight;

    for (struct work *w; (w = work_take(&weight));) {
        work_begin(w);
        w->run(w);
        work_end(weight);
        (void)preempt_point();
    }
}
