/* What the audit asks of those who hold references outside page tables (core/mmu/audit.c). */
#pragma once

#include "domain.h"

/* One reference to @m, with a type reference if @typed.  Called by the holders during page_audit() only. */
void audit_count(mfn_t m, bool typed);

/*
 * Who holds references that belong to a domain as a whole: counts them for each.  Registered at boot; again does nothing.
 * Those with invariants of their own are told before of each L1 entry of domain @id that names another's frame, and asked
 * afterwards for their own differences: each printed, how many.
 */
struct audit_holder {
    void (*count)(struct domain *d);
    void (*foreign)(uint16_t id); /* or NULL */
    unsigned (*compare)(void);    /* or NULL */
    struct audit_holder *next;
};
void audit_register(struct audit_holder *h);

/* With -Daudit=always entry.S calls this after every hypercall: any difference is a BUG. */
void audit_always(void);

/* How often it did. */
void audit_tell(void);
