/* The wall clock that every domain's shared_info shows (core/domain/wallclock.c). */
#pragma once

#include "domain.h"

/* UTC in ns at system time 0, for every domain's shared_info. */
void wallclock_set(uint64_t ns);
/* For @d's alone, as it was set last. */
void wallclock_show(struct domain *d);
