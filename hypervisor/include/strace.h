/*
 * A record of every hypercall, for `paravane strace` (paravane/strace-record.h has the layout and the transport).
 *
 * Off, it costs nothing: calls are dispatched through hypercall_calls, which names another table when tracing
 * is on (core/strace.c).  Only refusals, which are off the hot paths, look at strace_on.
 */
#pragma once

#include "types.h"
#include "refuse.h"

struct vcpu;
struct domain;

extern bool strace_on; /* set at boot, then constant */

/* Read the word strace=0xPORT; before any guest runs. */
void strace_init(void);
/* @v was refused something: part of the record of the call it is in, or a record of its own. */
void strace_refused(struct vcpu *v, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c);
/* The instruction at @rip was executed in @v's stead: STRACE_INSTRUCTION and its kin, and what is recorded of it. */
cold_ void strace_emulated(struct vcpu *v, unsigned what, uint64_t rip, const uint64_t arg[6]);
/* @d's vCPUs have stopped for good: calls that they were in are recorded as unfinished. */
void strace_domain_ended(struct domain *d);
/* Let the reader have what there is. */
void strace_flush(void);
