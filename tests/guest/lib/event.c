/* One upcall handler scans selector word, pending and mask bits, as any PV kernel does. */
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "trap.h"

#include <paravane/hypercall.h>

#define NR_PORTS   4096
#define WORD(port) ((port) / 64)
#define BIT(port)  (1ul << ((port) % 64))

volatile unsigned event_upcalls;
static volatile vcpu_info_t *vcpu_infos[XEN_LEGACY_MAX_VCPUS];
static event_handler_t *handlers[NR_PORTS];
static unsigned counts[NR_PORTS];

volatile vcpu_info_t *event_vcpu_info(unsigned vcpu)
{
    return vcpu_infos[vcpu];
}

void event_moved_vcpu_info(unsigned vcpu, vcpu_info_t *to)
{
    vcpu_infos[vcpu] = to;
}

static bool upcall(struct trap_frame *frame)
{
    volatile vcpu_info_t *info = vcpu_infos[0];

    event_upcalls++;
    info->evtchn_upcall_pending = 0;
    unsigned long words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; words; words &= words - 1) {
        unsigned w = __builtin_ctzl(words);
        unsigned long ports = guest_shared->evtchn_pending[w] & ~guest_shared->evtchn_mask[w];
        for (; ports; ports &= ports - 1) {
            evtchn_port_t port = w * 64 + __builtin_ctzl(ports);
            event_clear(port);
            counts[port]++;
            if (handlers[port])
                handlers[port](port, frame);
        }
    }
    return true;
}

void event_init(void)
{
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        vcpu_infos[i] = &guest_shared->vcpu_info[i];
    for (unsigned w = 0; w < NR_PORTS / 64; w++)
        guest_shared->evtchn_mask[w] = ~0ul;
    trap_handle(TRAP_EVENT, upcall);
}

void event_handle(evtchn_port_t port, event_handler_t *handler)
{
    handlers[port] = handler;
}

unsigned event_count(evtchn_port_t port)
{
    return counts[port];
}

bool event_pending(evtchn_port_t port)
{
    return *(volatile unsigned long *)&guest_shared->evtchn_pending[WORD(port)] & BIT(port);
}

void event_clear(evtchn_port_t port)
{
    __atomic_and_fetch(&guest_shared->evtchn_pending[WORD(port)], ~BIT(port), __ATOMIC_SEQ_CST);
}

void event_mask(evtchn_port_t port)
{
    __atomic_or_fetch(&guest_shared->evtchn_mask[WORD(port)], BIT(port), __ATOMIC_SEQ_CST);
}

void event_unmask_bit(evtchn_port_t port)
{
    __atomic_and_fetch(&guest_shared->evtchn_mask[WORD(port)], ~BIT(port), __ATOMIC_SEQ_CST);
}

void event_unmask(evtchn_port_t port)
{
    struct evtchn_unmask arg = {.port = port};
    hypercall_event_channel_op(EVTCHNOP_unmask, &arg);
}

void event_enable(void)
{
    vcpu_infos[0]->evtchn_upcall_mask = 0;
    __asm__ volatile("" ::: "memory");
    /* What became pending meanwhile is delivered on the way out of any hypercall. */
    if (vcpu_infos[0]->evtchn_upcall_pending)
        hypercall_xen_version(0, 0);
}

void event_disable(void)
{
    vcpu_infos[0]->evtchn_upcall_mask = 1;
    __asm__ volatile("" ::: "memory");
}

long event_alloc_unbound(domid_t remote, evtchn_port_t *port)
{
    struct evtchn_alloc_unbound arg = {.dom = DOMID_SELF, .remote_dom = remote};
    long rc = hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &arg);
    *port = arg.port;
    return rc;
}

long event_bind_interdomain(domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
    struct evtchn_bind_interdomain arg = {.remote_dom = remote, .remote_port = remote_port};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &arg);
    *port = arg.local_port;
    return rc;
}

long event_bind_virq(unsigned virq, unsigned vcpu, evtchn_port_t *port)
{
    struct evtchn_bind_virq arg = {.virq = virq, .vcpu = vcpu};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_virq, &arg);
    *port = arg.port;
    return rc;
}

long event_bind_ipi(unsigned vcpu, evtchn_port_t *port)
{
    struct evtchn_bind_ipi arg = {.vcpu = vcpu};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_ipi, &arg);
    *port = arg.port;
    return rc;
}

long event_close(evtchn_port_t port)
{
    struct evtchn_close arg = {.port = port};
    return hypercall_event_channel_op(EVTCHNOP_close, &arg);
}

long event_send(evtchn_port_t port)
{
    struct evtchn_send arg = {.port = port};
    return hypercall_event_channel_op(EVTCHNOP_send, &arg);
}

long event_status(evtchn_port_t port, struct evtchn_status *status)
{
    *status = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
    return hypercall_event_channel_op(EVTCHNOP_status, status);
}
