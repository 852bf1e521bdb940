/* Grants: pages of ours that another domain may use. */
#pragma once

#include <xen/grant_table.h>

#include "platform/xen/machine.h"

/* Let @domain read @frame, and write it unless @read_only: 0 and *@ref, -ENOSPC, or what the hypervisor says. */
MUST_CHECK int grant_give(unsigned domain, mfn_t frame, bool read_only, grant_ref_t *ref);
/*
 * Take it back.  False: that domain is using the frame, which may therefore be nobody else's for ever; the reference is
 * lost with it.
 */
MUST_CHECK bool grant_end(grant_ref_t ref);
