/* Asynchronous input and output: contexts, which a process has until it ends or executes another program. */
#pragma once

struct process;

/* @p has no contexts any more. */
void aio_drop(struct process *p);
