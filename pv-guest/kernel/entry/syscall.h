/*
 * System calls: one handler each, all of one shape.
 *
 * A handler decodes its arguments from @a, which is part of the frame, in its first lines and returns
 * what the process sees: a result or a negative errno.
 */
#pragma once

#include "frame.h"
#include "syscall-list.h"
#include "user.h"

void syscall_handle(struct frame *frame);
/* The command line asked for a line per call. */
void syscall_trace(bool on);
/* syscall-trace.c: say what is called, and what came of it. */
void syscall_trace_call(uint64_t number, const struct syscall_args *a);
void syscall_trace_result(uint64_t number, long result);
const char *syscall_name(uint64_t number);

#define SYSCALL_PROTOTYPE(number, name, arguments) \
    long syscall_##name(const struct syscall_args *a);
#define SYSCALL_NOTHING(number, name)
SYSCALL_LIST(SYSCALL_PROTOTYPE, SYSCALL_NOTHING)
