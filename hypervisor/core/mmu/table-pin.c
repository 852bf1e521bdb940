/*
 * Pins: a guest has a table stay valid although nothing names it (MMUEXT_PIN_Ln_TABLE).
 */
#include "page-tables.h"
#include "lib.h"
#include "refuse.h"

int page_table_pin(struct domain *d, struct domain *owner, mfn_t m, int level)
{
    struct page_info *pg = mfn_to_page(m);
    uint64_t state = mfn_valid(m) ? page_state_of(pg, owner->id) : 0;
    if (!state)
        return refuse(PIN_FRAME_NOT_OWNED, m.n);
    int rc = page_get_and_type(pg, owner, page_type_of_level(level));
    if (rc) {
        if (page_state_count(state) && page_state_type(state) != page_type_of_level(level))
            return refuse(PIN_ROLE_CONFLICT, m.n, level, page_state_type(state));
        return rc;
    }
    if (atomic_or(&pg->state, PAGE_PINNED) & PAGE_PINNED) {
        page_put_and_type(pg);
        return refuse(PINNED_ALREADY, m.n);
    }
    return 0;
}

int page_table_unpin(struct domain *d, mfn_t m)
{
    struct page_info *pg = mfn_to_page(m);
    uint64_t state = mfn_valid(m) ? page_state_of(pg, d->id) : 0;
    if (unlikely(!(state & PAGE_PINNED)))
        return state ? refuse(NOT_PINNED, m.n) : refuse(PIN_FRAME_NOT_OWNED, m.n);
    /* The lock keeps the pin, and the pin the frame. */
    atomic_and(&pg->state, ~PAGE_PINNED);
    page_put_and_type(pg);
    return 0;
}
