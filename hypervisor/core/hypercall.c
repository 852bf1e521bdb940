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
/* NULL: not served. */
static hypercall_fn *const hypercall_table[HYPERCALL_LIMIT] = {HYPERCALL_LIST(CALL, NONE)};
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
    struct trace_record *r = trace_next(&v->trace, TRACE_HYPERCALL, (uint16_t)number);

    r->a = a->arg[0];
    r->b = a->arg[1];
    hypercall_fn *fn = number < HYPERCALL_LIMIT ? hypercall_table[number] : NULL;
    long result = likely(fn) ? fn(v, a) : refuse(HC_001, number);
    r->c = (uint64_t)result;
    return result;
}

/*
 * multicall(calls, count): each entry in turn, its result written back beside it.  An entry may be anything but another
 * multicall.  A successful iret ends the batch, since the registers are then another context's (XSA-213).
 */
long hypercall_multicall(struct vcpu *v, const struct hypercall_args *a)
{
    guest_ptr_t at = guest_ptr(a->arg[0]);
    const uint32_t count = (uint32_t)a->arg[1];
    struct {
        uint64_t op, result;
        struct hypercall_args args;
    } call;
    _Static_assert(sizeof(call) == sizeof(multicall_entry_t), "xen/xen.h");

    if (unlikely(!guest_range_ok(at.va, (uint64_t)count * sizeof(call))))
        return refuse(HC_002, at.va);
    for (uint32_t i = 0; i < count; i++, at = guest_ptr_add(at, sizeof(call))) {
        if (unlikely(guest_read(&call, at, sizeof(call))))
            return refuse(HC_002, at.va);
        if (unlikely(call.op == __HYPERVISOR_iret))
            return hypercall_iret(v, &call.args);
        long result;
        if (unlikely(call.op == __HYPERVISOR_multicall))
            result = refuse(HC_003);
        else if (unlikely(call.op >= HYPERCALL_LIMIT || !hypercall_table[call.op]))
            result = refuse(HC_001, call.op);
        else
            result = hypercall_table[call.op](v, &call.args);
        if (unlikely(guest_write_u64(guest_ptr_add(at, offsetof(multicall_entry_t, result)), (uint64_t)result)))
            return refuse(HC_002, at.va);
        if (unlikely(v->exit_work & EXIT_RESCHEDULE))
            (void)preempt_point();
    }
    return 0;
}
