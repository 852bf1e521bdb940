/*
 * Weighted fair queueing with bounded credit for sleepers.
 *
 * Each entity's vruntime is the CPU time it consumed, scaled so that everybody's grows equally fast
 * when each has got what its weight entitles it to.  Whoever is furthest behind runs.  So:
 *
 *   fairness  two spinners of weight 512 and 256 get 2/3 and 1/3: both vruntimes advance together.
 *   latency   one that sleeps falls behind; when woken it is behind the running one by more than SCHED_SLEEP_MARGIN and takes
 *             the CPU at once, or as soon as it is (sched_slice()).
 *   bounded   its lag is cut to its credit: it can be ahead of its turn for at most that much CPU time in a row, then the ordinary
 *             order holds.  A domain's vCPUs share one credit, so that many of them are ahead no longer than one.  A flood of
 *             wake-ups cannot starve others.
 *   no drift  @floor follows the least vruntime upwards, so newcomers start level with the others rather than at zero (which
 *             would give them the CPU for as long as others have lived).
 */
#include "sched-policy.h"

/* The floor starts this high so that "a credit below the floor" never underflows. */
#define FLOOR_START (1000ull * SCHED_SLEEP_CREDIT)
#define NEVER_RAN   0

void sched_queue_init(struct sched_queue *q)
{
    *q = (struct sched_queue){.floor = FLOOR_START};
}

void sched_entity_init(struct sched_entity *e, uint32_t weight, uint32_t sharers)
{
    e->node = (struct heap_node){0};
    e->vruntime = NEVER_RAN;
    e->weight = weight ? weight : SCHED_WEIGHT_NORMAL;
    e->credit = SCHED_SLEEP_CREDIT / sharers;
    e->queued = false;
}

void sched_enqueue(struct sched_queue *q, struct sched_entity *e)
{
    if (e->vruntime == NEVER_RAN)
        e->vruntime = q->floor;
    else if (e->vruntime < q->floor - e->credit)
        e->vruntime = q->floor - e->credit;
    if (!q->first || e->vruntime > q->last)
        q->last = e->vruntime;
    e->node.order = q->arrivals++;
    heap_insert(&q->first, &e->node);
    e->queued = true;
    q->count++;
}

void sched_forget_credit(const struct sched_queue *q, struct sched_entity *e)
{
    if (e->vruntime < q->floor + 2 * SCHED_WAKE_MARGIN)
        e->vruntime = q->floor + 2 * SCHED_WAKE_MARGIN;
}

void sched_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    heap_remove(&q->first, &e->node);
    e->queued = false;
    q->count--;
}

static uint64_t scaled(uint64_t ns, uint32_t weight)
{
    return weight == SCHED_WEIGHT_NORMAL ? ns : ns * SCHED_WEIGHT_NORMAL / weight;
}

void sched_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ns)
{
    e->vruntime += scaled(ns, e->weight);

    const struct sched_entity *first = sched_first(q);
    uint64_t least = first && first->vruntime < e->vruntime ? first->vruntime : e->vruntime;
    if (q->floor < least)
        q->floor = least;
}

/* How far @e must lag behind the running one to take the CPU from it.  Two that slept may be level, both with all their credit:
 * the second waits for the first no longer than it must; what they change places for is bounded by the credit. */
static uint64_t margin(const struct sched_queue *q, const struct sched_entity *e)
{
    return e->vruntime < q->floor ? SCHED_SLEEP_MARGIN : SCHED_WAKE_MARGIN;
}

bool sched_preempts(const struct sched_queue *q, const struct sched_entity *running,
                    const struct sched_entity *woken)
{
    return woken->vruntime + margin(q, woken) < running->vruntime;
}

/*
 * Those who keep wanting the CPU take turns of a whole slice.  Who waits below the floor has slept: its turn comes as soon as
 * the running one is ahead of it by the margin, as if it woke only then.  Without that, each of many who woke a moment earlier
 * would keep it waiting for a slice.
 */
uint64_t sched_slice(const struct sched_queue *q, const struct sched_entity *running)
{
    const struct sched_entity *first = sched_first(q);

    if (!first)
        return ~0ull;
    if (first->vruntime >= q->floor)
        return SCHED_SLICE;
    const uint64_t due = first->vruntime + SCHED_SLEEP_MARGIN + 1;
    const uint64_t lead = due > running->vruntime ? due - running->vruntime : 0;
    return MIN(lead * running->weight / SCHED_WEIGHT_NORMAL, SCHED_SLICE);
}

/* Behind everybody who waits, but never so far that a long queue turns one yield into a long wait.
 */
void sched_give_way(struct sched_queue *q, struct sched_entity *e)
{
    if (!q->first)
        return;
    uint64_t behind = q->last + 1;
    uint64_t limit = sched_first(q)->vruntime + SCHED_YIELD_SPAN;
    if (behind > limit)
        behind = limit;
    if (e->vruntime < behind)
        e->vruntime = behind;
}

void sched_move(const struct sched_queue *from, const struct sched_queue *to,
                struct sched_entity *e)
{
    if (e->vruntime == NEVER_RAN)
        return;
    e->vruntime += to->floor - from->floor;
    if ((int64_t)e->vruntime < 1) /* it slept since long before @from's floor of today */
        e->vruntime = 1;
}

static uint64_t cap_budget(uint32_t percent)
{
    return (uint64_t)SCHED_CAP_PERIOD / 100 * percent;
}

bool sched_cap_charge(struct sched_cap *cap, uint32_t percent, uint64_t now, uint64_t ns)
{
    uint64_t budget = cap_budget(percent);
    cap->used += ns;
    if (now >= cap->period_end) {
        uint64_t periods = (now - cap->period_end) / SCHED_CAP_PERIOD + 1;
        cap->period_end += periods * SCHED_CAP_PERIOD;
        cap->used = cap->used / budget >= periods ? cap->used - periods * budget : 0;
    }
    return cap->used >= budget;
}

uint64_t sched_cap_left(const struct sched_cap *cap, uint32_t percent)
{
    uint64_t budget = cap_budget(percent);
    return cap->used < budget ? budget - cap->used : 0;
}
