/* Other domains' memory in the address space of a process (foreign.c): 0 or -errno. */
#pragma once

#include "kernel/lib/base.h"

struct space;

/* @address of an area that is for that shows machine frame @frame of @domain, or of a @resource of it. */
MUST_CHECK int foreign_map(struct space *space, uintptr_t address, uint64_t frame, unsigned domain,
                           bool resource);
/* The same with what @domain has granted as @ref; @space must be loaded. */
MUST_CHECK int foreign_map_grant(struct space *space, uintptr_t address, unsigned ref,
                                 unsigned domain);
