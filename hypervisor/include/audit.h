/* What the audit asks of those who hold references outside page tables (core/audit.c). */
#pragma once

#include "domain.h"

/* One reference to @m, with a type reference if @typed.  Called by the holders during page_audit() only. */
void audit_count(mfn_t m, bool typed);

/* Holders that belong to a domain as a whole: the rings of console and store (core/console.c). */
void audit_domain_holders(struct domain *d);
/* Its event queues (core/evtchn-fifo.c). */
void evtchn_audit(struct domain *d);

/* With -Daudit=always entry.S calls this after every hypercall: any difference is a BUG. */
void audit_always(void);

/* How often it did. */
void audit_tell(void);
