/*
 * One record of a hypercall (paravane/strace-record.h) as a line that a person reads.
 *
 *   event_channel_op(EVTCHNOP_bind_virq, {virq=0, vcpu=0}) = 0 {port=5}
 *   update_va_mapping(0xffffffff82a00000, 0x8010000003f2067, 0x2) = -EBUSY refused PT-004: L1 entry
 * would ...
 *
 * Names, kinds and fields are those of hypercall-list.h, sentences those of rule-list.h: this file
 * has no table of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <paravane/strace-record.h>

#include "memory.h"

/* The call with its arguments and its result, without an end of line.  The record's data stand
 * behind it. */
void strace_format(struct bytes *out, const struct strace_record *r);

/* "mmu_update", or NULL: no such number. */
const char *strace_call_name(unsigned number);
/* The same of @r; of an emulated instruction "rdmsr". */
const char *strace_name(const struct strace_record *r);
/* "EVTCHNOP_send" if that is the @i-th sub-operation that @r names; NULL if it names no more, or an unknown one. */
const char *strace_operation_name(const struct strace_record *r, unsigned i);

/* Did the call answer an error? */
bool strace_failed(const struct strace_record *r);

/* Is this the name of a hypercall, of a sub-operation? */
bool strace_is_call(const char *name, size_t length);
bool strace_is_operation(const char *name, size_t length);

/* The number of rules that this program knows. */
extern const unsigned strace_rules;
