/*
 * The Test Anything Protocol, version 13, and the declarations that the
 * coverage check reads.
 *
 * A test's name is its identity: the runner compares hypervisors by it, so it
 * is fixed text, the same in every run.  Values that vary go into diagnostics.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/errno.h>

bool tap_ok(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Compare as signed numbers: results are errnos more often than not. */
bool tap_is(long got, long expected, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool tap_is_hex(uint64_t got, uint64_t expected, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tap_skip(const char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The test cannot go on; ends the domain. */
_Noreturn void tap_bail_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Print the plan; guest_main() returning does so too. */
void tap_done(void);

/*
 * COVERS(call, op) says that this image has a test of @op (or of @call itself:
 * COVERS_CALL).  They leave text in a section that is not loaded, which
 * tests/guest/coverage reads.  Refusal rules need no such word: the hypervisor
 * says itself which it applied (tests/guest/rules).
 */
#define COVERS_TEXT(text) \
    __asm__(".pushsection .covers,\"\",@progbits\n\t.asciz \"" text "\"\n\t.popsection")
#define COVERS_CALL(call) \
    COVERS_TEXT(#call);   \
    _Static_assert(__HYPERVISOR_##call >= 0, "a hypercall")
#define COVERS(call, op)        \
    COVERS_TEXT(#call " " #op); \
    _Static_assert((op) >= 0, "a sub-operation")
