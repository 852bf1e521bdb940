/* Bringing up another vCPU of this domain. */
#pragma once

/* Run @function(@argument) on vCPU @id, on a stack of its own.  0 or the first errno. */
long vcpu_start(unsigned id, void (*function)(void *), void *argument);
