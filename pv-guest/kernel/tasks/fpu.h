/* The registers of x87, SSE and AVX, which belong to the running process; the kernel has no use for
 * them. */
#pragma once

#include "base.h"

/* What XSAVE writes for these three: 512 bytes as FXSAVE, a header, the upper halves of AVX. */
#define FPU_SIZE 832

struct task;

/* Once on each CPU: allow what there is. */
void fpu_init(void);
/* Save the registers of the running task in task->fpu. */
void fpu_save(struct task *task);
void fpu_load(const struct task *task);
/* What a process starts with: all exceptions masked, registers empty. */
void fpu_reset(struct task *task);
/* task->fpu is what a process has written: make it something that fpu_load can load. */
void fpu_mend(struct task *task);
/* How much of task->fpu there is. */
size_t fpu_size(void);
