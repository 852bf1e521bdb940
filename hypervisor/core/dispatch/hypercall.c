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

long hypercall_dispatch(struct vcpu *v, uint64_t number, const struct hypercall_args *a)
{
    struct trace_record *r = trace_next(&v->trace, TRACE_HYPERCALL, (uint32_t)number);

    r->a = a->arg[0];
    r->b = a->arg[1];
    long result =
        number < HYPERCALL_LIMIT ? hypercall_calls[number](v, a) : hypercall_unserved(v, a);
    r->c = (uint64_t)result;
    return result;
}

/* Any number that nobody serves: the newest record says which. */
long hypercall_unserved(struct vcpu *v, const struct hypercall_args *a)
{
    return refuse(HYPERCALL_UNKNOWN, trace_past(&v->trace, 1)->what);
}

/*
 * How much a call may have done since it last looked at interrupts, in parts of MULTICALL_SPAN: that many go by in a multicall
 * between two looks.  Whatever can take long looks by itself, each few thousand instructions (page tables, frames one by one); what is
 * left is from its last look to its end.  Together never 200,000 instructions: tests/bench/latency.
 */
#define MULTICALL_SPAN 32
#define COST_FAST      1
#define COST_ENTRY     2 /* up to 16 requests */
#define COST_TABLE     8 /* a table of 512 entries */
#define COST_BATCH     8
struct multicall_entry_copy {
    uint64_t op, result;
    struct hypercall_args args;
};
_Static_assert(sizeof(struct multicall_entry_copy) == sizeof(multicall_entry_t), "xen/xen.h");

/*
 * What an entry of a batch may be, and its cost.  @fn NULL: nothing that anybody serves, or one of the two that are more, or less, in a
 * batch.  One object: the loop below reaches both by one register.
 */
#define CALL(name, nargs, cost, args) .fn[__HYPERVISOR_##name] = hypercall_##name,
#define NONE(name, nargs, args)
#define COST_CALL(name, nargs, class, args) .cost[__HYPERVISOR_##name] = COST_##class,
#define COST_NONE(name, nargs, args)        .cost[__HYPERVISOR_##name] = COST_FAST,
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* the listed ones first, then the two */
static const struct {
    hypercall_fn *fn[HYPERCALL_LIMIT];
    int cost[HYPERCALL_LIMIT];
} entries = {HYPERCALL_LIST(CALL, NONE) HYPERCALL_LIST(COST_CALL, COST_NONE).fn[__HYPERVISOR_iret] =
                 NULL,
             .fn[__HYPERVISOR_multicall] = NULL};
#pragma GCC diagnostic pop
#undef COST_CALL
#undef COST_NONE
#undef CALL
#undef NONE

cold_ static long entry_refuse(uint64_t op)
{
    return op == __HYPERVISOR_multicall ? refuse(MULTICALL_NESTED) : refuse(HYPERCALL_UNKNOWN, op);
}

/*
 * multicall(calls, count): each entry in turn, its result written back beside it.  An entry may be anything but another
 * multicall.  A successful iret ends the batch, since the registers are then another context's (XSA-213).
 */
static inline __attribute__((always_inline)) long
multicall(struct vcpu *v, const struct hypercall_args *a, bool traced)
{
    guest_ptr_t at = guest_ptr(a->arg[0]);
    const uint32_t count = (uint32_t)a->arg[1];
    struct multicall_entry_copy call;

    if (unlikely(!guest_readable(at.va, (uint64_t)count * sizeof(call))))
        return refuse(ARGUMENT_UNREADABLE, at.va);
    int left = MULTICALL_SPAN - 1; /* negative: look */
    for (uint32_t done = 0; done < count; at = guest_ptr_add(at, sizeof(call))) {
        /* An entry before this one, or another vCPU, may have shut a window (guest-range.h) that the range lies in. */
        if (unlikely(linear_windows_exist) &&
            unlikely(!guest_readable_beside_windows(at.va, sizeof(call))))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        if (unlikely(guest_read_checked(&call, at, sizeof(call))))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        hypercall_fn *fn = call.op < HYPERCALL_LIMIT ? entries.fn[call.op] : NULL;
        if (unlikely(!fn) && call.op == __HYPERVISOR_iret)
            return (traced ? hypercall_calls[__HYPERVISOR_iret] : hypercall_iret)(v, &call.args);
        if (fn && traced)
            fn = hypercall_calls[call.op];
        long result;
        if (likely(fn)) {
            result = fn(v, &call.args);
        } else {
            result = entry_refuse(call.op);
            call.op = __HYPERVISOR_xen_version; /* as cheap as that */
        }
        if (unlikely(guest_write_u64_checked(guest_ptr_add(at, offsetof(multicall_entry_t, result)),
                                             (uint64_t)result)))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        done++;
        left -= entries.cost[call.op];
        if (unlikely(left < 0)) {
            left = MULTICALL_SPAN - 1;
            if (pause_point())
                break;
        }
    }
    return 0;
}

long hypercall_multicall(struct vcpu *v, const struct hypercall_args *a)
{
    return multicall(v, a, false);
}

long hypercall_multicall_traced(struct vcpu *v, const struct hypercall_args *a)
{
    return multicall(v, a, true);
}
