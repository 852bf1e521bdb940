/*
 * Descriptors of processes: a process that cannot be taken for another one that has got its number.
 *
 * A process has one handle as long as there are such descriptors; the handle outlives it.
 */
#pragma once

#include "process.h"

struct file;

/* An open file that stands for @process; NULL without memory. */
struct file *pidfd_new(struct process *process, unsigned flags);
/* The process that descriptor @fd stands for: 0; -EBADF if it is no such descriptor; -ESRCH if nothing is left of it. */
MUST_CHECK int pidfd_process(int fd, struct process **process);
/* @process is a zombie now, which poll tells. */
void pidfd_ended(const struct process *process);
/* @process is about to be freed. */
void pidfd_gone(struct process *process);
