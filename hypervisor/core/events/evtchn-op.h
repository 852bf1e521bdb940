/* The sub-operations of event channels: a handler for each line of EVTCHNOP_LIST (evtchn-bind.c, evtchn-close.c, evtchn-op.c), and what
 * these files share. */
#pragma once

#include "evtchn.h"
#include "hypercall.h"

EVTCHNOP_LIST(SUBOP_DECLARE)

/* One of a domain, or one of each vCPU? */
static inline bool virq_is_global(uint32_t virq)
{
    switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU:
        return false;
    default:
        return true;
    }
}
