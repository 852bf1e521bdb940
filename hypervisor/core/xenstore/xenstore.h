/*
 * The store that a domain finds behind its store ring when no domain serves one (core/xenstore/xenstore.c).
 */
#pragma once

#include "domain.h"

struct xenstore;

/* Domain @id has FUNCTION_XENSTORE: the rings of all are for it to serve. */
void xenstore_left_to(domid_t id);
/*
 * Give @d's ring, in guest frame @ring, to whoever serves: a domain, or the hypervisor, or nobody
 * (store=no).  The guest's port, which is 0 in the last case; or -errno.  Before @d runs.
 */
long xenstore_connect(struct domain *d, mfn_t ring, mfn_t console,
                      uint32_t console_port) must_check;

/* Serve @d's ring, in guest frame @ring; @console and @console_port go into the tree.  The guest's
 * port, or -errno.  Before @d runs. */
long xenstore_attach(struct domain *d, mfn_t ring, mfn_t console, uint32_t console_port) must_check;
/* Forget all of it.  @d does not run any more. */
void xenstore_detach(struct domain *d);
/* Boot: the audit is to count the frames of all rings. */
void xenstore_audit_init(void);

/* Write as domain 0 would: @path is absolute, or below /local/domain/ID.  0, or -errno.  Takes evtchn_lock and has preemption
 * points: only in work, as teardown is (sched.h), so that the store stays there meanwhile. */
int xenstore_write(struct domain *d, const char *path, const char *value) must_check;
/* Print the node at @path, and the names below it.  0, or -errno.  Where: as xenstore_write(). */
int xenstore_print(struct domain *d, const char *path) must_check;
