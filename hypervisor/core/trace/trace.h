/*
 * The last things that happened to a vCPU: hypercalls, traps, refusals.  Printed by
 * every crash dump; cheap enough to be always on (one slot, four stores).
 */
#pragma once

#include "refuse.h"
#include "types.h"

#define TRACE_SLOTS 32u

enum trace_kind { TRACE_EMPTY, TRACE_HYPERCALL, TRACE_TRAP, TRACE_REFUSAL };

struct trace_record {
    uint32_t what; /* hypercall number, vector or rule */
    uint32_t kind; /* enum trace_kind */
    /* hypercall: first two arguments and result; trap: rip, cr2, error code; refusal: operands */
    uint64_t a, b, c;
};

/* Written by the vCPU's own CPU only.  entry.S and fastpath.S write records, too (asm-offsets.c). */
struct trace_ring {
    /* Where in @record the slot to overwrite is, the oldest: in units of TRACE_UNIT bytes, so that it comes round by itself. */
    uint8_t next;
    struct trace_record record[TRACE_SLOTS];
};
#define TRACE_UNIT 4
#define TRACE_STEP (sizeof(struct trace_record) / TRACE_UNIT)
_Static_assert(sizeof(((struct trace_ring *)NULL)->record) == 256 * TRACE_UNIT, "comes round");

static inline struct trace_record *trace_next(struct trace_ring *t, enum trace_kind kind,
                                              unsigned what)
{
    struct trace_record *r = (struct trace_record *)((char *)t->record + TRACE_UNIT * t->next);
    t->next = (uint8_t)(t->next + TRACE_STEP);
    r->what = what;
    r->kind = kind;
    return r;
}

/* The @age-th newest record: 1 is the newest, TRACE_SLOTS the oldest. */
static inline const struct trace_record *trace_past(const struct trace_ring *t, unsigned age)
{
    return &t->record[(t->next / TRACE_STEP + TRACE_SLOTS - age) % TRACE_SLOTS];
}

struct vcpu;
/* Oldest first, one line each, with names from the lists; @between is called between lines. */
void trace_dump(const struct vcpu *v, void (*between)(void));
