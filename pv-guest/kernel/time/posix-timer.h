/* Timers that a process makes: timer_create and its kin. */
#pragma once

#include "process.h"

/* exec and exit take them away. */
void posix_timers_delete(struct process *process);
