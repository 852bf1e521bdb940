/*
 * Core on threads of its own: each CPU of the fake machine is one, and their vCPUs call at the same time what frame-ops.h has.
 * Built with ThreadSanitizer, which sees two plain accesses that meet without a lock between them.  Afterwards the audit.
 *
 *   test-threads [ROUNDS]
 */
#include "arch.h"
#include "frame-ops.h"
#include "lib.h"
#include "race.h"

#include <time.h>

/* In the place of machine/race.c: nothing is played, and who waits lets the host's other threads run. */
void race_point(const volatile void *at, bool write)
{
}

bool race_wait(void)
{
    const struct timespec moment = {0, 1000};
    return nanosleep(&moment, NULL) == 0;
}

bool race_halt(void)
{
    return false;
}

bool race_is_on(unsigned cpu)
{
    return false;
}

void race_end(void)
{
}

bool race_holds_cpu(unsigned cpu)
{
    return true;
}

struct worker {
    struct actor *by;
    long (*const *op)(struct actor *);
    unsigned ops, rounds;
};

static void *work(void *arg)
{
    const struct worker *w = arg;
    struct random r = {w->by->g->v->cpu};

    machine_on_cpu(w->by->g->v->cpu);
    for (unsigned i = 0; i < w->rounds; i++)
        (void)w->op[random_below(&r, w->ops)](w->by);
    return NULL;
}

/* What guest 1 does; guest 2, whose frames are its own; and the guest that controls others. */
static long (*const owner[])(struct actor *) = {map_ro,   map_rw,    unmap,   unmap,    pin,
                                                unpin,    pin_upper, clear,   machphys, write_entry,
                                                decrease, populate,  exchange};
static long (*const neighbour[])(struct actor *) = {populate, map_rw, map_ro,   unmap,
                                                    pin,      unpin,  decrease, machphys};
static long (*const controller[])(struct actor *) = {
    foreign_map_ro,   foreign_map_rw,   unmap,      unmap, foreign_decrease,
    foreign_populate, foreign_machphys, foreign_pin};

int main(int argc, char **argv)
{
    const unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 3000;
    struct worker worker[] = {
        {&first, owner, ARRAY_SIZE(owner), rounds},
        {&second, owner, ARRAY_SIZE(owner), rounds},
        {&other, neighbour, ARRAY_SIZE(neighbour), rounds},
        {&control, controller, ARRAY_SIZE(controller), rounds},
    };
    pthread_t thread[ARRAY_SIZE(worker)];

    world_start(7, 1024);
    frame_others_create();
    frame_one_create();
    frame = one->mfn[FRAME];
    for (unsigned i = 0; i < ARRAY_SIZE(worker); i++)
        if (pthread_create(&thread[i], NULL, work, &worker[i]))
            abort();
    for (unsigned i = 0; i < ARRAY_SIZE(worker); i++)
        pthread_join(thread[i], NULL);
    machine_on_cpu(0);
    world_check();
    printf("1..1\nok 1 - %u rounds of %u vCPUs at the same time\n", rounds,
           (unsigned)ARRAY_SIZE(worker));
    return 0;
}
