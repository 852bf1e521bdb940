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

/*
 * A multiplexed call whose operations take one pointer has a table of them, made from its list: event_channel_op, sched_op,
 * vcpu_op, xen_version (these have no gap), and physdev_op.  The others have a switch, each for its reason:
 *
 *   memory_op                     the command carries the extent to go on with, and an operation reports how far it has got
 *   mmuext_op                     one call is a batch of different operations, which share what they took, and report together
 *   grant_table_op                one call is a batch of one operation: its count goes to a loop
 *   console_io, vm_assist,        two or three operations, whose other arguments are not one pointer
 *   callback_op, set_segment_base
 *   domctl, sysctl, platform_op   one structure, read, checked (version, role, domain) and written back for all operations
 *   xenpmu_op, kexec_op, argo_op... have no operation that is served
 */
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
