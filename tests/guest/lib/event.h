/* Event channels of the 2-level kind: ports, their two bits, and upcalls. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>

struct trap_frame;
typedef void event_handler_t(evtchn_port_t port, struct trap_frame *frame);

void event_init(void);
/* The vcpu_info in force: shared_info's until event_moved_vcpu_info(). */
volatile vcpu_info_t *event_vcpu_info(unsigned vcpu);
void event_moved_vcpu_info(unsigned vcpu, vcpu_info_t *to);

void event_handle(evtchn_port_t port, event_handler_t *handler);
/* How many upcalls came, and how often @port was found pending by one. */
extern volatile unsigned event_upcalls;
unsigned event_count(evtchn_port_t port);

bool event_pending(evtchn_port_t port);
void event_clear(evtchn_port_t port);
void event_mask(evtchn_port_t port);
void event_unmask_bit(evtchn_port_t port); /* only the bit; no replay */
void event_unmask(evtchn_port_t port);     /* EVTCHNOP_unmask */

/* Upcalls of vCPU 0 on (delivering what is pending) and off. */
void event_enable(void);
void event_disable(void);

/* Each returns 0 or an errno; the new port in @port. */
long event_alloc_unbound(domid_t remote, evtchn_port_t *port);
long event_bind_interdomain(domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
long event_bind_virq(unsigned virq, unsigned vcpu, evtchn_port_t *port);
long event_bind_ipi(unsigned vcpu, evtchn_port_t *port);
long event_close(evtchn_port_t port);
long event_send(evtchn_port_t port);
long event_status(evtchn_port_t port, struct evtchn_status *status);
