/*
 * A record of every hypercall, for `paravane strace` (paravane/strace-record.h has the layout and the transport).
 *
 * Off, it costs nothing: calls are dispatched through hypercall_calls, which names another table when tracing
 * is on (core/dispatch/strace.c).  Refusals, new domains and ends of domains, which are off the hot paths, have a place where
 * strace_init() puts what they are to call.
 */
#pragma once

#include "types.h"
#include "refuse.h"

struct vcpu;
struct domain;

extern bool strace_on; /* set at boot, then constant */

/* Read the word strace=0xPORT; before any guest runs. */
void strace_init(void);
/* The instruction at @rip was executed in @v's stead: STRACE_INSTRUCTION and its kin, and what is recorded of it. */
cold_ void strace_emulated(struct vcpu *v, unsigned what, uint64_t rip, const uint64_t arg[6]);
/* Let the reader have what there is. */
void strace_flush(void);
