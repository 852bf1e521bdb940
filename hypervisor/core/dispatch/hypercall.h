/* How a hypercall reaches its handler (core/dispatch/hypercall.c). */
#pragma once

#include "domain.h"
#include <paravane/hypercall-list.h>

struct hypercall_args {
    uint64_t arg[6];
};

typedef long hypercall_fn(struct vcpu *v, const struct hypercall_args *a);

#define CALL(name, nargs, cost, args) hypercall_fn hypercall_##name;
#define NONE(name, nargs, args)
HYPERCALL_LIST(CALL, NONE)
#undef CALL
#undef NONE

/* The handlers of a multiplexed call are made from its list of sub-operations; a table of them has no gap. */
typedef long subop_fn(struct vcpu *v, guest_ptr_t arg);
#define SUBOP_DECLARE(constant, served, fields) subop_fn op_##constant;
#define SUBOP_ENTRY(constant, served, fields)   [constant] = op_##constant,
#define SUBOP_ONE(constant, served, fields)     +1

#define HYPERCALL_LIMIT 64       /* entry.S */
hypercall_fn hypercall_unserved; /* -XEN_ENOSYS */
extern hypercall_fn *const hypercall_table[HYPERCALL_LIMIT];
/* it, or one around it (strace.c): what callers use; set at boot */
extern hypercall_fn *const *hypercall_calls;
hypercall_fn hypercall_multicall_traced; /* the same, through hypercall_calls */
/* What entry.S does in line for SYSCALL; paravane-slow, tests and fuzzers call it: call @number (any value) with @a, leaving a
 * record in the trace ring. */
long hypercall_dispatch(struct vcpu *v, uint64_t number, const struct hypercall_args *a);
const char *hypercall_name(unsigned number); /* "mmu_update", or NULL (core/trace/trace.c) */

/* Write the stubs that guests call into a page (core/boot/start-info.c). */
void hypercall_page_fill(void *page);
