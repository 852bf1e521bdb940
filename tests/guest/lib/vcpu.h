/* Bringing up another vCPU of this domain. */
#pragma once

#include <stdbool.h>

/* Has this domain @count vCPUs?  If not, @what is left out, and TAP says so: whoever starts an image by hand may not know
 * how many it wants. */
bool vcpu_have(unsigned count, const char *what);

/* Run @function(@argument) on vCPU @id, on a stack of its own.  0 or the first errno. */
long vcpu_start(unsigned id, void (*function)(void *), void *argument);
