/* What happens when memory is gone. */
#pragma once

#include "base.h"

/*
 * There is no page for the running task, which cannot go on without one: choose
 * the process that ends for it, unless one is on its way already.  True if the
 * caller may hope, false if its own process ends.
 */
bool oom_choose(void);
