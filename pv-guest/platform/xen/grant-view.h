/* Pages that another domain has granted, seen by this kernel, one behind the other (grant-view.c). */
#pragma once

#include <stdint.h>
#include <xen/grant_table.h>

#include "kernel/lib/base.h"

#define GRANT_VIEW_MOST 16

struct grant_view {
    void *address; /* NULL: there is none */
    unsigned count;
    grant_handle_t handles[GRANT_VIEW_MOST];
};

/* Map @count pages that @domain has granted as @refs: 0, -ENOMEM, or -EINVAL if one is not granted to be written. */
MUST_CHECK int grant_view_map(struct grant_view *view, domid_t domain, const grant_ref_t *refs,
                              unsigned count);
void grant_view_unmap(struct grant_view *view);
