/*
 * The last things that happened to a vCPU: hypercalls, traps, refusals.  Printed by
 * every crash dump; cheap enough to be always on (one slot, four stores).
 */
#pragma once

#include "refuse.h"
#include "types.h"

#define TRACE_SLOTS 32u

enum trace_kind { TRACE_EMPTY, TRACE_HYPERCALL, TRACE_TRAP, TRACE_REFUSAL, TRACE_EVENT };

struct trace_record {
    uint32_t what;     /* kind << 16 | hypercall number, vector or rule */
    uint32_t sub;      /* traps: error code; refusals: - ; hypercalls: low half of rip */
    uint64_t a, b, c;  /* hypercall: first two arguments and result; trap: rip, cr2; refusal: operands */
};

struct trace_ring {
    uint32_t next;
    struct trace_record record[TRACE_SLOTS];
};

static inline struct trace_record *trace_next(struct trace_ring *t, enum trace_kind kind, unsigned what)
{
    struct trace_record *r = &t->record[t->next++ % TRACE_SLOTS];
    r->what = (uint32_t)kind << 16 | what;
    return r;
}

struct vcpu;
void trace_dump(const struct vcpu *v); /* oldest first, one line each, with names from the lists */
