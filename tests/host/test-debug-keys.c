/*
 * The hypervisor's own keyboard: how it gets the focus and gives it back, what each key says, and
 * the line that writes to the store of a guest.
 */
#include "suite.h"
#include "builder.h"
#include "console.h"
#include "trace.h"
#include "xenstore.h"
#include "verdict.h"

#include <xen/io/console.h>

static struct guest a, b;

static void type(const char *s)
{
    for (; *s; s++)
        console_input(*s);
}

/* Typed, and what the idle vCPU does about it. */
static void press(const char *keys)
{
    machine_log_clear();
    type(keys);
    machine_run_work();
}

#define assert_says(text) cr_assert(machine_logged(text), "no \"%s\" in:\n%s", text, machine.log)

static void start(void)
{
    world_start(2, 2048);
    guest_create(&a, 1, 64, 2);
    guest_create(&b, 2, 64, 1);
    cr_assert(console_attach(a.d, guest_mfn(&a, 30)) > 0);
    cr_assert(console_attach(b.d, guest_mfn(&b, 30)) > 0);
    press("\1\1\1"); /* from the second domain on to the hypervisor */
    assert_says("input goes to the hypervisor: h for help");
}

TestSuite(debug_keys, .init = start);

Test(debug_keys, focus_goes_round)
{
    const struct xencons_interface *ring = (struct xencons_interface *)guest_page(&a, 30);

    press("\1\1\1");
    assert_says("input goes to d1");
    press("\1x\1\1y");
    assert_eq_long(ring->in_prod, 5);
    cr_assert(!memcmp(ring->in, "\1x\1\1y", 5), "fewer than three are the guest's");
    press("\1\1\1");
    assert_says("input goes to d2");
    press("\1\1\1");
    assert_says("input goes to the hypervisor");
    assert_eq_long(console_input_room(), 1);
}

Test(debug_keys, each_says_what_it_is_for)
{
    static const struct {
        const char *key, *says;
    } keys[] = {{"h", "a: audit  d: dump vCPUs"},
                {"?", "a: audit  d: dump vCPUs"},
                {"a", "audit: 0 differences"},
                {"q", "d1 guest1: 64 of 80 pages, 2 vCPUs"},
                {"q", "  v1: CPU "},
                {"m", "memory: "}};

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        press(keys[i].key);
        assert_says(keys[i].says);
    }
    press("d");
    assert_eq_long(a.d->vcpu[1]->arch.dumps, 1);
    press("\r\n");
    assert_eq_long(machine.log_length, 0);
    b.d->shut_down = true;
    press("q");
    assert_says("1 vCPUs, shut down");
    b.d->shut_down = false;
}

static void press_ending(void *key)
{
    press(key);
}

Test(debug_keys, two_end_the_machine)
{
    assert_eq_long(machine_catch_end(press_ending, "R"), MACHINE_REBOOT + 1);
    assert_eq_long(machine.verdict, 0);
}

Test(debug_keys, a_bug_is_told_once_and_ends_the_machine)
{
    assert_eq_long(machine_catch_end(press_ending, "C"), MACHINE_REBOOT + 1);
    assert_eq_long(machine.verdict, VERDICT_BUG);
    assert_says("BUG: hypervisor/core/dispatch/debug-keys.c:");
    assert_says("asked for by debug key C");
}

static void bug_twice(void *unused)
{
    bug("somewhere/hypervisor/core/x.c", 7, "the second");
}

Test(debug_keys, a_bug_while_a_bug_is_told)
{
    (void)machine_catch_end(bug_twice, NULL);
    assert_says("BUG: hypervisor/core/x.c:7: the second\r\n");
    (void)machine_catch_end(bug_twice, NULL);
    assert_says("the second (while reporting the first)");
    machine_log_clear();
    (void)machine_catch_end(bug_twice, NULL);
    assert_eq_long(machine.log_length, 0);
}

Test(debug_keys, line_is_edited)
{
    press("s1 naX\bmY\x7f\7e");
    assert_says("store> ");
    press("\r");
    assert_says("d1 name: its store is not the hypervisor's to serve");
    press("s1 x\1\1\1");   /* the focus moves on: the line is given up */
    press("\1\1\1\1\1\1"); /* and comes back */
    press("h");
    assert_says("a: audit");
    char longer[400] = "s";
    memset(longer + 1, 'y', 300);
    press(longer);
    press("\n");
    assert_says("type: DOMAIN PATH [VALUE]");
}

Test(debug_keys, line_says_what_is_wrong)
{
    static const struct {
        const char *line, *says;
    } lines[] = {{"", "type: DOMAIN PATH"},
                 {"x name", "type: DOMAIN PATH"},
                 {"1", "type: DOMAIN PATH"},
                 {"1 ", "type: DOMAIN PATH"},
                 {"32752 a", "type: DOMAIN PATH"},
                 {"77 name", "there is no domain 77"},
                 {"2 name", "d2 name: its store is not"}};

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        press("s");
        press(lines[i].line);
        press("\r");
        assert_says(lines[i].says);
    }
}

Test(debug_keys, line_writes_a_node_and_prints_it)
{
    static struct domain_config config = {.handle = {0xab, [15] = 0xcd}, .memory = 4 << 20};
    a.d->config = &config;
    cr_assert(xenstore_attach(a.d, guest_mfn(&a, 31), guest_mfn(&a, 30), 1) > 0);
    press("s1 memory/target 131072\r");
    assert_says("/local/domain/1/memory/target = \"131072\"");
    press("s1 memory\r");
    assert_says("  target");
    press("s1 vm\r");
    assert_says("/local/domain/1/vm = \"/vm/ab000000-0000-0000-0000-0000000000cd\"");
    press("s1 data/x\r");
    assert_says("d1 data/x: there is no such node");
    press("s1 a//b 1\r");
    assert_says("d1 a//b: this is no path of a node");
    press("s1 data/\x7f/y a b\r");
    assert_says("/local/domain/1/data/y = \"a b\"");
    a.d->config = NULL;
    world_check();
}

/* --- what a crash says of a vCPU ----------------------------------------------------------------------------- */

static unsigned between;

static void count_between(void)
{
    between++;
}

Test(debug_keys, the_last_things_that_happened_are_told_by_name)
{
    struct trace_record *r;

    machine_log_clear();
    for (unsigned i = 0; i < TRACE_SLOTS; i++) /* nothing that a record could not be */
        *trace_next(&a.v->trace, (enum trace_kind)99, 0) = (struct trace_record){.kind = 99};
    r = trace_next(&a.v->trace, TRACE_TRAP, 14);
    r->a = 0x1234;
    r->b = 0x5678;
    r->c = 2;
    r = trace_next(&a.v->trace, TRACE_HYPERCALL, 1000);
    r->a = r->b = r->c = 7;
    machine_enter(a.v);
    assert_refused(&a, hypercall(&a, mmu_update, 1ull << 46, 1, 0, DOMID_SELF),
                   ARGUMENT_UNREADABLE);
    trace_dump(a.v, count_between);
    assert_eq_long(between, TRACE_SLOTS);
    assert_says("d1v0: last hypercalls, traps and refusals, oldest first");
    assert_says("trap  14 error 2 at <0000000000001234> address 5678");
    assert_says("hypercall 1000 ?");
    assert_says("refused ");
}
