/*
 * The slow half of a spinlock, and the rank check of debug builds (lock.h has the ranks and why).
 */
#include "arch.h"

void spin_lock_wait(spinlock_t *l)
{
    do {
        while (atomic_read(&l->held))
            arch_relax();
    } while (atomic_exchange(&l->held, 1));
}

#ifdef PARAVANE_DEBUG
#define RANK(name) +1
#define RANK_LIMIT (1 LOCK_RANKS(RANK))

/* How many locks of each rank a CPU holds. */
static uint8_t held[MAX_CPUS][RANK_LIMIT];

/* Two domains' locks may be held together, in the order of their numbers. */
static bool rank_nests_in_itself(unsigned rank)
{
    return rank == LOCK_RANK_EVTCHN || rank == LOCK_RANK_GRANT;
}

void lock_rank_push(const spinlock_t *l)
{
    uint8_t *mine = held[this_cpu()];
    for (unsigned r = l->rank; r < RANK_LIMIT; r++)
        ASSERT(mine[r] == 0 || (r == l->rank && mine[r] == 1 && rank_nests_in_itself(r)));
    mine[l->rank]++;
}

void lock_rank_pop(const spinlock_t *l)
{
    uint8_t *mine = held[this_cpu()];
    ASSERT(mine[l->rank] > 0);
    mine[l->rank]--;
}
#endif
