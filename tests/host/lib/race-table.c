/* See race-table.h. */
#include "race-table.h"
#include "arch.h"
#include "lib.h"

struct race_played race_now[RACE_OPS];
unsigned race_now_count;

unsigned race_flags(void)
{
    unsigned flags = 0;

    for (unsigned i = 0; i < race_now_count; i++)
        flags |= race_now[i].row->flags;
    return flags;
}

static void run_row(void *arg)
{
    struct race_played *p = &race_now[(uintptr_t)arg];

    p->rc = p->row->run(p->row->by);
    p->rule = p->row->by ? last_rule(p->row->by->v) : RULE_NONE;
    p->ended = true;
}

static void (*begin_world)(void);
static struct race_op op[RACE_OPS];

static void begin_run(void)
{
    for (unsigned i = 0; i < race_now_count; i++)
        race_now[i].ended = false;
    begin_world();
    for (unsigned i = 0; i < race_now_count; i++)
        op[i].cpu = race_now[i].row->by ? race_now[i].row->by->v->cpu : 0;
}

unsigned long race_play(const struct race_row *const *rows, unsigned count, unsigned switches,
                        void (*begin)(void), void (*end)(void))
{
    const char *depth = getenv("PARAVANE_RACE_SWITCHES");

    race_now_count = count;
    begin_world = begin;
    for (unsigned i = 0; i < count; i++) {
        race_now[i] = (struct race_played){.row = rows[i]};
        op[i] = (struct race_op){rows[i]->name, run_row, (void *)(uintptr_t)i, 0};
    }
    return race_explore(op, count, depth ? (unsigned)atoi(depth) : switches, begin_run, end);
}

void race_check_results(void)
{
    for (unsigned i = 0; i < race_now_count; i++) {
        struct race_played *p = &race_now[i];
        bool good =
            !p->ended || p->rc == 0 || (p->rule != RULE_NONE && p->rc == -rule_text[p->rule].error);

        for (unsigned k = 0; k < ARRAY_SIZE(p->row->may); k++)
            good |= p->rc == p->row->may[k];
        if (!good)
            race_wrong("%s gives %ld, its last rule is %s", p->row->name, p->rc,
                       rule_text[p->rule].id);
    }
}

void race_check_nobody_is_forgotten(const struct domain *d)
{
    for_each_vcpu(d, v)
        if (!v->pause && !v->on_cpu && !v->sched.queued)
            race_wrong("d%uv%u wants to run and is in no queue", d->id, v->id);
    for_each_vcpu(d, v)
        if (!(v->affinity & BIT(v->cpu)))
            race_wrong("d%uv%u is on CPU %u, where it may not run", d->id, v->id, v->cpu);
}
