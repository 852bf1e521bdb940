/* Printing a vCPU's trace ring, with the names of what is in it. */
#include "trace.h"
#include "arch.h"
#include "hypercall.h"
#include "lib.h"

#define CALL(name, nargs, cost, args) [__HYPERVISOR_##name] = #name,
#define NONE(name, nargs, args)       [__HYPERVISOR_##name] = #name,
static const char *const hypercall_names[HYPERCALL_LIMIT] = {HYPERCALL_LIST(CALL, NONE)};
#undef CALL
#undef NONE

const char *hypercall_name(unsigned number)
{
    return number < HYPERCALL_LIMIT ? hypercall_names[number] : NULL;
}

static void record_dump(const struct trace_record *r)
{
    unsigned what = r->what;

    switch (r->kind) {
    case TRACE_HYPERCALL:
        printk("  hypercall %2u %-26s %lx %lx = %ld\n", what, hypercall_name(what) ?: "?",
               (unsigned long)r->a, (unsigned long)r->b, (long)r->c);
        break;
    case TRACE_TRAP:
        printk("  trap %3u error %x at <%016lx> address %lx\n", what, (unsigned)r->c,
               (unsigned long)r->a, (unsigned long)r->b);
        break;
    case TRACE_REFUSAL:
        printk("  refused %.2s-%s: ", rule_text[what].id, rule_text[what].id + 3);
        printk_more(rule_text[what].says, (unsigned long)r->a, (unsigned long)r->b,
                    (unsigned long)r->c);
        printk_more("\n");
        break;
    }
}

void trace_dump(const struct vcpu *v, void (*between)(void))
{
    printk("d%uv%u: last hypercalls, traps and refusals, oldest first\n", v->domain->id, v->id);
    for (unsigned age = TRACE_SLOTS; age > 0; age--) {
        record_dump(trace_past(&v->trace, age));
        between();
    }
}
