/* Futexes: words of memory that tasks wait for. */
#pragma once

#include "task.h"

/* @task ends: release the locks on its robust list, clear its tid word and wake who waits for it.
 */
void futex_task_exit(struct task *task);
