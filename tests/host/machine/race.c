/* See race.h. */
#include "race.h"
#include "arch.h"
#include "lib.h"
#include "sched.h"

#include <signal.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#include <sanitizer/common_interface_defs.h>
#else /* tools/coverage builds without it */
static void __sanitizer_start_switch_fiber(void **fake, const void *stack, size_t bytes)
{
}
static void __sanitizer_finish_switch_fiber(void *fake, const void **stack, size_t *bytes)
{
    *stack = NULL;
    *bytes = 0;
}
#endif

#define STACK_BYTES 0x40000u
#define WORDS       0x10000u /* learnt; a power of two, and more than any operation touches */
#define WAITS       100000u
/* of learning: where memory comes in another order each time nothing that is learnt lasts */
#define ROUNDS 4u

/* An operation that has begun; the last one is whoever called race_explore(). */
struct fiber {
    ucontext_t context;
    void *stack, *fake; /* AddressSanitizer's own */
    size_t stack_bytes;
    unsigned cpu;
    bool ended;
    bool asleep; /* its CPU halts until it is kicked */
};
#define HOME RACE_OPS

struct plan {
    unsigned start, count;
    struct {
        unsigned after; /* so many steps after whatever switch came before */
        unsigned ahead; /* to the operation that is so many numbers ahead */
    } at[RACE_SWITCHES];
};

/* Who touched a word: bits of operations. */
struct word {
    const volatile void *at;
    uint8_t read, written;
};

static struct {
    const struct race_op *ops;
    unsigned count, switches;
    void (*begin)(void), (*end)(void);
    struct fiber fiber[RACE_OPS + 1];
    unsigned running; /* HOME: nothing is played */
    struct plan plan;
    unsigned taken, steps; /* switches of the plan so far; steps since the last */
    unsigned waits;
    unsigned long runs;
    struct word word[WORDS];
    unsigned words;
    bool learnt;
    char told[1024];
    size_t told_bytes;
} race = {.running = HOME};

/* --- what is worth a switch --- */

static bool is_shared(const struct word *w)
{
    const uint8_t all = w->read | w->written;
    return w->written && (all & (all - 1));
}

/* Operation number race.running touches @at: is that a word where operations meet? */
static bool learn(const volatile void *at, bool write)
{
    const uint8_t who = (uint8_t)BIT(race.running);
    uint32_t i = (uint32_t)(((uintptr_t)at >> 1) * 0x9e3779b97f4a7c15ull >> 40);

    while (race.word[i % WORDS].at && race.word[i % WORDS].at != at)
        i++;
    struct word *w = &race.word[i % WORDS];
    if (!w->at && ++race.words == WORDS)
        abort(); /* the next search would never end */
    const bool was = is_shared(w);
    w->at = at;
    *(write ? &w->written : &w->read) |= who;
    race.learnt |= is_shared(w) && !was;
    return is_shared(w);
}

/* --- fibers --- */

static void arrived(struct fiber *self)
{
    struct fiber *home = &race.fiber[HOME];
    const void *stack;
    size_t bytes;

    /* of whom we come from: home, the first time */
    __sanitizer_finish_switch_fiber(self->fake, &stack, &bytes);
    if (!home->stack) {
        home->stack = (void *)(uintptr_t)stack;
        home->stack_bytes = bytes;
    }
    machine_on_cpu(self->cpu);
}

static void switch_to(unsigned to)
{
    struct fiber *self = &race.fiber[race.running], *next = &race.fiber[to];

    self->cpu = machine_cpu;
    race.running = to;
    race.steps = 0;
    __sanitizer_start_switch_fiber(self->ended ? NULL : &self->fake, next->stack,
                                   next->stack_bytes);
    swapcontext(&self->context, &next->context);
    arrived(self);
}

static bool can_run(const struct fiber *f)
{
    return !f->ended && (!f->asleep || machine.cpu[f->cpu].kicked);
}

/* The next operation behind @from that can run; HOME: none. */
static unsigned other_than(unsigned from)
{
    for (unsigned i = 1; i < race.count; i++)
        if (can_run(&race.fiber[(from + i) % race.count]))
            return (from + i) % race.count;
    return HOME;
}

/* The next operation behind @from, which ends, that can run or else will never be woken; HOME: none. */
static unsigned next_after(unsigned from)
{
    const unsigned other = other_than(from);

    for (unsigned i = 1; other == HOME && i < race.count; i++)
        if (!race.fiber[(from + i) % race.count].ended)
            return (from + i) % race.count;
    return other;
}

/* The running operation stops here. */
static void tell(const char *why)
{
    if (race.told_bytes < sizeof(race.told))
        race.told_bytes += (size_t)snprintf(
            race.told + race.told_bytes, sizeof(race.told) - race.told_bytes, "%s%s, %u steps%s",
            race.told_bytes ? "; " : "", race.ops[race.running].name, race.steps, why);
}

/* Back to the guest: a vCPU that was asked to leave its CPU does. */
static void leave(void)
{
    if (current_vcpu()->exit_work & EXIT_RESCHEDULE)
        schedule();
}

void race_end(void)
{
    race.fiber[race.running].ended = true;
    tell(" (ends)");
    switch_to(next_after(race.running));
}

static void fiber_main(void)
{
    const struct race_op *op = &race.ops[race.running];

    arrived(&race.fiber[race.running]);
    op->run(op->arg);
    leave();
    race_end();
}

static void fiber_make(unsigned i)
{
    struct fiber *f = &race.fiber[i];

    if (!f->stack) {
        f->stack_bytes = STACK_BYTES;
        f->stack = malloc(STACK_BYTES);
    }
    f->ended = f->asleep = false;
    f->fake = NULL;
    f->cpu = race.ops[i].cpu;
    machine.cpu[f->cpu].kicked = false;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = f->stack_bytes;
    makecontext(&f->context, fiber_main, 0);
}

/* --- switching --- */

void (*race_adversary)(const volatile void *at, bool write);

void race_point(const volatile void *at, bool write)
{
    if (race_adversary)
        race_adversary(at, write);
    if (race.running == HOME || !learn(at, write))
        return;
    race.waits = 0;
    if (race.taken == race.plan.count || race.steps++ < race.plan.at[race.taken].after)
        return;
    unsigned to = (race.running + race.plan.at[race.taken].ahead) % race.count;
    if (!can_run(&race.fiber[to]))
        to = other_than(race.running);
    if (to == HOME)
        return; /* nobody is left to switch to: play() sees that the plan was not all taken */
    race.taken++;
    tell("");
    switch_to(to);
}

bool race_wait(void)
{
    if (race.running == HOME)
        return false;
    const unsigned to = other_than(race.running);
    if (to == HOME)
        return false;
    if (++race.waits > WAITS) {
        fprintf(stderr, "all wait for each other: %s\n", race_told());
        abort();
    }
    tell(" (waits)");
    switch_to(to);
    return true;
}

bool race_halt(void)
{
    if (race.running == HOME)
        return false;
    struct fiber *self = &race.fiber[race.running];
    const unsigned to = other_than(race.running);
    if (!machine.cpu[machine_cpu].kicked) {
        if (to == HOME)
            return false;
        tell(" (sleeps)");
        self->asleep = true;
        switch_to(to);
        self->asleep = false;
    }
    const bool kicked = machine.cpu[machine_cpu].kicked;
    machine.cpu[machine_cpu].kicked = false;
    return kicked;
}

bool race_is_on(unsigned cpu)
{
    return race.running != HOME && race.ops[race.running].cpu == cpu;
}

bool race_holds_cpu(unsigned cpu)
{
    if (race.running == HOME)
        return false;
    for (unsigned i = 0; i < race.count; i++)
        if (!race.fiber[i].ended &&
            (race.ops[i].cpu == cpu || (i != race.running && race.fiber[i].cpu == cpu)))
            return true;
    return false;
}

const char *race_told(void)
{
    return race.told;
}

static void tell_and_die(int signal)
{
    if (race.running != HOME)
        tell(" (and here it stopped)");
    fprintf(stderr, "played: %s\n", race_told());
    (void)signal;
}

/* One run by race.plan.  Was all of it taken? */
static bool play(void)
{
    race.begin();
    for (unsigned i = 0; i < race.count; i++)
        fiber_make(i);
    race.taken = race.steps = race.waits = 0;
    race.told_bytes = 0;
    race.runs++;
    race.fiber[HOME].ended = false;
    switch_to(race.plan.start);
    race.end();
    return race.taken == race.plan.count;
}

/* All plans that begin with the one so far. */
static void explore(void)
{
    const unsigned at = race.plan.count;

    if (at == race.switches)
        return;
    race.plan.count++;
    for (unsigned ahead = 1; ahead < race.count; ahead++) {
        race.plan.at[at].ahead = ahead;
        for (race.plan.at[at].after = 0; play(); race.plan.at[at].after++)
            explore();
    }
    race.plan.count = at;
}

unsigned long race_explore(const struct race_op *ops, unsigned count, unsigned switches,
                           void (*begin)(void), void (*end)(void))
{
    ASSERT(count <= RACE_OPS && switches <= RACE_SWITCHES);
    race.ops = ops;
    race.count = count;
    race.switches = switches;
    race.begin = begin;
    race.end = end;
    race.runs = 0;
    memset(race.word, 0, sizeof(race.word));
    race.words = 0;
    void (*before)(int) = signal(SIGABRT, tell_and_die);
    unsigned rounds = 0;
    do {
        race.learnt = false;
        for (race.plan.start = 0; race.plan.start < count; race.plan.start++) {
            (void)play();
            explore();
        }
    } while (race.learnt && ++rounds < ROUNDS);
    signal(SIGABRT, before);
    return race.runs;
}
