/*
 * A mutex under three vCPUs that take it and let it go, in every order (machine/race.h).  Who waits sleeps at once, so that every run
 * has sleeps and wake-ups.  Only one holds it at a time, and nobody sleeps for good.
 *
 * A longer run: PARAVANE_RACE_SWITCHES=4 (3 by default).
 */
#include "suite.h"
#include "guest.h"
#include "race.h"
#include "sched.h"

static struct guest guest;
static mutex_t mutex;
static unsigned inside, turns;
static unsigned long slept;

static void take_and_let_go(void *arg)
{
    (void)arg;
    mutex_lock(&mutex);
    assert_eq_long(atomic_add(&inside, 1), 1);
    (void)atomic_sub(&inside, 1);
    turns++;
    mutex_unlock(&mutex);
}

static void overslept(struct vcpu *v)
{
    fprintf(stderr, "vCPU %u sleeps for good; played: %s\n", v->id, race_told());
    abort();
}

/* Counts the sleeps: a vCPU that halts in the middle of a run. */
static void begin(void)
{
    for (unsigned i = 0; i < 3; i++) {
        machine_enter(guest.d->vcpu[i]);
        guest.d->vcpu[i]->exit_work = 0;
    }
    turns = 0;
}

static void end(void)
{
    assert_eq_long(turns, 3);
    assert_eq_long(mutex.word, 0);
    assert_eq_long(mutex.first == NULL, 1);
    for (unsigned i = 0; i < 3; i++)
        assert_eq_long(guest.d->vcpu[i]->pause, 0);
    slept += strstr(race_told(), "(sleeps)") != NULL;
}

Test(race_mutex, three_take_it)
{
    const char *switches = getenv("PARAVANE_RACE_SWITCHES");
    const struct race_op ops[] = {
        {"first", take_and_let_go, NULL, 1},
        {"second", take_and_let_go, NULL, 2},
        {"third", take_and_let_go, NULL, 3},
    };

    world_start(4, 1024);
    guest_create_at(&guest, 1, 16, 3, 1);
    machine.overslept = overslept;
    machine.mutex_looks = 0;
    const unsigned long runs =
        race_explore(ops, ARRAY_SIZE(ops), switches ? (unsigned)atoi(switches) : 3, begin, end);
    printf("# %lu runs, %lu with a sleep\n", runs, slept);
    assert_eq_long(runs > 1000, 1);
    assert_eq_long(slept > 100, 1);
    machine.overslept = NULL;
}
