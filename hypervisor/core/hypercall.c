/*
 * Dispatch: a table made from the list, one function call for each hypercall, and multicall.
 */
#include "hypercall.h"
#include "arch.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"
#include "trace.h"

#define CALL(name, nargs, cost, args) [__HYPERVISOR_##name] = hypercall_##name,
#define NONE(name, nargs, args)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* the default first, then the listed ones */
hypercall_fn *const hypercall_table[HYPERCALL_LIMIT] = {
    [0 ... HYPERCALL_LIMIT - 1] = hypercall_unserved, HYPERCALL_LIST(CALL, NONE)};
#pragma GCC diagnostic pop
hypercall_fn *const *hypercall_calls = hypercall_table;
#undef CALL
#undef NONE

#define CALL(name, nargs, cost, args) [__HYPERVISOR_##name] = #name,
#define NONE(name, nargs, args)       [__HYPERVISOR_##name] = #name,
static const char *const names[HYPERCALL_LIMIT] = {HYPERCALL_LIST(CALL, NONE)};
#undef CALL
#undef NONE

const char *hypercall_name(unsigned number)
{
    return number < HYPERCALL_LIMIT ? names[number] : NULL;
}

long hypercall_dispatch(struct vcpu *v, uint64_t number, const struct hypercall_args *a)
{
    struct trace_record *r = trace_next(&v->trace, TRACE_HYPERCALL, (uint32_t)number);

    r->a = a->arg[0];
    r->b = a->arg[1];
    long result = number < HYPERCALL_LIMIT ? hypercall_calls[number](v, a) : hypercall_unserved(v, a);
    r->c = (uint64_t)result;
    return result;
}

/* Any number that nobody serves: the newest record says which. */
long hypercall_unserved(struct vcpu *v, const struct hypercall_args *a)
{
    return refuse(HC_001, trace_past(&v->trace, 1)->what);
}

#define MULTICALL_STRIDE 32 /* entries between looks at interrupts */

/*
 * multicall(calls, count): each entry in turn, its result written back beside it.  An entry may be anything but another
 * multicall.  A successful iret ends the batch, since the registers are then another context's (XSA-213).
 */
static inline __attribute__((always_inline)) long multicall(struct vcpu *v, const struct hypercall_args *a,
                                                            hypercall_fn *const *table)
{
    guest_ptr_t at = guest_ptr(a->arg[0]);
    const uint32_t count = (uint32_t)a->arg[1];
    struct {
        uint64_t op, result;
        struct hypercall_args args;
    } call;
    _Static_assert(sizeof(call) == sizeof(multicall_entry_t), "xen/xen.h");

    if (unlikely(!guest_readable(at.va, (uint64_t)count * sizeof(call))))
        return refuse(HC_002, at.va);
    for (uint32_t i = 0; i < count; i++, at = guest_ptr_add(at, sizeof(call))) {
        if (unlikely(guest_read_checked(&call, at, sizeof(call))))
            return refuse(HC_002, at.va);
        if (unlikely(call.op == __HYPERVISOR_iret))
            return table[__HYPERVISOR_iret](v, &call.args);
        long result;
        if (unlikely(call.op == __HYPERVISOR_multicall))
            result = refuse(HC_003);
        else if (unlikely(call.op >= HYPERCALL_LIMIT || table[call.op] == hypercall_unserved))
            result = refuse(HC_001, call.op);
        else
            result = table[call.op](v, &call.args);
        if (unlikely(guest_write_u64_checked(guest_ptr_add(at, offsetof(multicall_entry_t, result)), (uint64_t)result)))
            return refuse(HC_002, at.va);
        if (unlikely(i % MULTICALL_STRIDE == MULTICALL_STRIDE - 1) && preempt_point())
            break;
    }
    return 0;
}

long hypercall_multicall(struct vcpu *v, const struct hypercall_args *a)
{
    return multicall(v, a, hypercall_table);
}

long hypercall_multicall_traced(struct vcpu *v, const struct hypercall_args *a)
{
    return multicall(v, a, hypercall_calls);
}
