/* Pages that another domain has granted, seen by this kernel, one behind the other. */
#include "platform/xen/grant-view.h"

#include <paravane/hypercall.h>

#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "platform/platform.h"
#include "platform/xen/map-window.h"

int grant_view_map(struct grant_view *view, domid_t domain, const grant_ref_t *refs, unsigned count)
{
    const uintptr_t at = map_window_take(count);
    *view = (struct grant_view){0};
    if (!at)
        return -ENOMEM;
    view->address = (void *)at;
    for (; view->count < count; view->count++) {
        struct gnttab_map_grant_ref map = {.host_addr = at + view->count * PAGE_SIZE,
                                           .flags = GNTMAP_host_map,
                                           .ref = refs[view->count],
                                           .dom = domain};
        if (hypercall_grant_table_op(GNTTABOP_map_grant_ref, &map, 1) || map.status) {
            /* What there is is unmapped; its place is as long as what was asked for. */
            map_window_give(at + view->count * PAGE_SIZE, count - view->count);
            grant_view_unmap(view);
            return -EINVAL;
        }
        view->handles[view->count] = map.handle;
    }
    return 0;
}

void grant_view_unmap(struct grant_view *view)
{
    const uintptr_t at = (uintptr_t)view->address;
    bool kept = false;
    for (unsigned i = 0; i < view->count; i++) {
        struct gnttab_unmap_grant_ref unmap = {.host_addr = at + i * PAGE_SIZE,
                                               .handle = view->handles[i]};
        const long rc = hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
        kept = kept || rc || unmap.status;
    }
    if (kept) /* the place is lost, for what is mapped there stays */
        print("grants cannot be unmapped\n");
    else if (view->count)
        map_window_give(at, view->count);
    *view = (struct grant_view){0};
}
