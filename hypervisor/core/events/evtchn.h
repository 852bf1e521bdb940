/* Event channels (core/events/evtchn.c): ports that domains send one-bit signals through. */
#pragma once

#include "domain.h"

enum evtchn_state {
    ECS_FREE,
    ECS_RESERVED,
    ECS_UNBOUND,
    ECS_INTERDOMAIN,
    ECS_VIRQ,
    ECS_IPI,
    ECS_HYPERVISOR,
    ECS_PIRQ
};

/* A port whose other end is the hypervisor (a console ring): @notify runs on the guest's send, with d->evtchn_lock held.
 * True: there is more to do; it is called again after a preemption point, without the lock between the two. */
typedef bool (*evtchn_notify_fn)(struct domain *d, uint32_t port);

void evtchn_begin(struct domain *d); /* locks and timer: once, before the domain is listed */
int evtchn_init(struct domain *d);   /* -XEN_ENOMEM */
/* @d, which nobody else can find yet, may have as many ports as the ABI knows; if there is no memory for that, as many as others. */
void evtchn_allow_all_ports(struct domain *d);
/* @d, which nobody else can find yet, may have ports up to number @highest. */
void evtchn_limit_ports(struct domain *d, uint32_t highest);
/* The three steps of the end: @d is dying, and opens no port any more; all are closed, peers become unbound, the
 * frames of its queues are given back; and when nobody else has a reference to @d, the ports themselves are freed. */
void evtchn_stop(struct domain *d);
void evtchn_close_all(struct domain *d);
void evtchn_destroy(struct domain *d);
/* Allocate a port of @d before it runs. @remote: who may bind to it. Returns the port or -errno. */
long evtchn_alloc_unbound(struct domain *d, domid_t remote);
long evtchn_alloc_hypervisor(struct domain *d, evtchn_notify_fn notify);
/* Signal @port of @d from the hypervisor side. */
void evtchn_set_pending(struct domain *d, uint32_t port);
/* Raise @virq: on vCPU @v for per-vCPU ones, global ones via vCPU 0 of @d.  Nothing happens if unbound. */
void virq_raise(struct vcpu *v, unsigned virq);
void virq_raise_global(struct domain *d, unsigned virq);
/* Raise the global @virq in all domains that control others, or serve their store. */
void virq_raise_controllers(unsigned virq);
/* SCHEDOP_poll: @v, which runs, is about to sleep until some ports are pending, and will look at them now. */
void evtchn_poll_begin(struct vcpu *v);
/* SCHEDOP_poll: has @port of @d been signalled?  1, 0, or -1: there is no such port. */
int evtchn_poll_port(struct domain *d, uint32_t port);

/* Unmask @port and, if it is pending, do what its signal would have done: 0 or -errno. */
int evtchn_unmask(struct domain *d, uint32_t port) must_check;

/* For the audit: is @port bound to @pirq?  How many ports are bound to any? */
bool evtchn_is_pirq(const struct domain *d, uint32_t port, uint32_t pirq);
unsigned evtchn_pirqs(const struct domain *d);
/* Boot: the audit is to count the frames of all event queues. */
void evtchn_audit_init(void);

static inline bool vcpu_event_pending(const struct vcpu *v)
{
    return v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask;
}
