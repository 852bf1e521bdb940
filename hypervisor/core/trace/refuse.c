/* Refusals: recorded always, said when asked for. */
#include "refuse.h"
#include "arch.h"
#include "lib.h"
#include "hypercall.h"
#include "trace.h"

bool refuse_explains;
refuse_recorder_fn *refuse_recorder;

/* What is VCPU_SET_UNREADABLE in C is "PT-017" to people. */
#define RULE(id, word, err, why, sentence, source) [RULE_##word] = {#id, XEN_##err, why, sentence},
#define XEN_0                                      0
const struct rule_text rule_text[RULE_LIMIT] = {[RULE_NONE] = {"--", 0, "", ""}, RULE_LIST(RULE)};
#undef RULE

/* What the vCPU is in the middle of: the newest hypercall or trap in its ring. */
static const char *refused_call(const struct trace_ring *t)
{
    for (unsigned age = 1; age <= TRACE_SLOTS; age++) {
        const struct trace_record *r = trace_past(t, age);
        if (r->kind == TRACE_HYPERCALL)
            return hypercall_name(r->what) ?: "hypercall";
        if (r->kind == TRACE_TRAP)
            return "trap";
    }
    return "";
}

int refuse_(enum rule_id rule, uint64_t a, uint64_t b, uint64_t c)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(refuse_explains)) {
        const struct rule_text *t = &rule_text[rule];
        printk("d%uv%u refused %.2s-%s %s: ", v->domain->id, v->id, t->id, t->id + 3,
               refused_call(&v->trace));
        printk_more(t->says, (unsigned long)a, (unsigned long)b, (unsigned long)c);
        printk_more("\n");
    }
    if (unlikely(refuse_recorder))
        refuse_recorder(v, rule, a, b, c);
    struct trace_record *r = trace_next(&v->trace, TRACE_REFUSAL, rule);
    r->a = a;
    r->b = b;
    r->c = c;
    return -rule_text[rule].error;
}
