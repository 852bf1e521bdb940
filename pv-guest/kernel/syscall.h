/*
 * System calls: one handler each, all of one shape.
 *
 * A handler decodes its arguments from @a in its first lines and returns what
 * the process sees: a result or a negative errno.
 */
#pragma once

#include "frame.h"
#include "syscall-list.h"
#include "user.h"

struct syscall_args {
    uint64_t arg[6];
    struct frame *frame;
};

void syscall_handle(struct frame *frame);
/* The command line asked for a line per call. */
void syscall_trace(bool on);

#define SYSCALL_PROTOTYPE(number, name) long syscall_##name(const struct syscall_args *a);
#define SYSCALL_NOTHING(number, name)
SYSCALL_LIST(SYSCALL_PROTOTYPE, SYSCALL_NOTHING)
