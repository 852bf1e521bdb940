/*
 * Question: do event channels carry events, and refuse everything that is not
 * a channel?
 *
 * An event is two bits and an upcall.  Pending is set by the sender; if the
 * port is not masked and its word was not selected yet, the vCPU gets an upcall
 * as soon as it is not masked.  Losing one is the classic bug, so each way from
 * masked to unmasked is tried with the event already there.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

COVERS_CALL(event_channel_op);
COVERS(event_channel_op, EVTCHNOP_bind_interdomain);
COVERS(event_channel_op, EVTCHNOP_bind_virq);
COVERS(event_channel_op, EVTCHNOP_bind_pirq);
COVERS(event_channel_op, EVTCHNOP_close);
COVERS(event_channel_op, EVTCHNOP_send);
COVERS(event_channel_op, EVTCHNOP_status);
COVERS(event_channel_op, EVTCHNOP_alloc_unbound);
COVERS(event_channel_op, EVTCHNOP_bind_ipi);
COVERS(event_channel_op, EVTCHNOP_bind_vcpu);
COVERS(event_channel_op, EVTCHNOP_unmask);
COVERS(event_channel_op, EVTCHNOP_reset);
COVERS(event_channel_op, EVTCHNOP_init_control);
COVERS(event_channel_op, EVTCHNOP_expand_array);
COVERS(event_channel_op, EVTCHNOP_set_priority);

static struct evtchn_status st;

static void test_alloc_unbound(void)
{
    evtchn_port_t a, b, c;

    tap_is(event_alloc_unbound(DOMID_SELF, &a), 0, "alloc_unbound for SELF");
    tap_ok(a > 0 && a < 4096, "alloc_unbound: never port 0");
    tap_is(event_alloc_unbound(77, &b), 0, "alloc_unbound for a domain that does not exist");
    tap_ok(a != b, "alloc_unbound: another port");
    tap_is(event_status(a, &st), 0, "status of an unbound port");
    tap_is(st.status, EVTCHNSTAT_unbound, "status: unbound");
    domid_t self = st.u.unbound.dom;
    tap_ok(self < DOMID_FIRST_RESERVED, "status: the remote is ourselves, by number");
    tap_is(st.vcpu, 0, "status: vCPU 0");
    event_status(b, &st);
    tap_is(st.u.unbound.dom, 77, "status: the other's remote");
    tap_is(event_send(b), 0, "send to an unbound port does nothing");
    tap_ok(!event_pending(b), "no bit is set");
    tap_is(event_close(a), 0, "close");
    tap_is(event_status(a, &st), 0, "status of a closed port");
    tap_is(st.status, EVTCHNSTAT_closed, "status: closed");
    tap_is(event_close(a), -XEN_EINVAL, "close twice");
    tap_is(event_alloc_unbound(DOMID_SELF, &c), 0, "alloc_unbound again");
    tap_is(c, a, "the lowest free port is taken");
    event_close(b), event_close(c);

    struct evtchn_alloc_unbound arg = {.dom = 77, .remote_dom = 0};
    tap_is(hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &arg), guest_role(-XEN_ESRCH),
           "alloc_unbound in a domain that does not exist");
    tap_is(hypercall_event_channel_op(EVTCHNOP_alloc_unbound, (void *)0x1000), -XEN_EFAULT,
           "alloc_unbound: an unmapped argument");
}

static void test_interdomain(void)
{
    evtchn_port_t listen, bound, other;

    event_alloc_unbound(DOMID_SELF, &listen);
    event_status(listen, &st);
    domid_t self = st.u.unbound.dom;
    tap_is(event_bind_interdomain(DOMID_SELF, listen, &bound), 0, "bind_interdomain: loopback");
    tap_ok(event_pending(bound), "bind_interdomain: the new port starts pending");
    tap_ok(!event_pending(listen), "bind_interdomain: the old one does not");
    event_status(bound, &st);
    tap_is(st.status, EVTCHNSTAT_interdomain, "status: interdomain");
    tap_is(st.u.interdomain.port, listen, "status: the remote port");
    event_status(listen, &st);
    tap_is(st.u.interdomain.port, bound, "status: the other way");
    tap_is(event_send(bound), 0, "send");
    tap_ok(event_pending(listen), "send sets the other end's bit");
    event_clear(listen);
    event_clear(bound);
    event_send(listen);
    tap_ok(event_pending(bound), "and the other way");
    tap_is(event_bind_interdomain(DOMID_SELF, listen, &other), -XEN_EINVAL,
           "bind_interdomain: it is taken");
    tap_is(event_bind_interdomain(DOMID_SELF, 0, &other), -XEN_EINVAL, "bind_interdomain: port 0");
    tap_is(event_bind_interdomain(DOMID_SELF, 4095, &other), -XEN_EINVAL,
           "bind_interdomain: a free port");
    tap_is(event_bind_interdomain(DOMID_SELF, ~0u, &other), -XEN_EINVAL,
           "bind_interdomain: port ~0");
    tap_is(event_bind_interdomain(77, 1, &other), -XEN_ESRCH, "bind_interdomain: no such domain");
    tap_is(event_close(bound), 0, "close one end");
    event_status(listen, &st);
    tap_is(st.status, EVTCHNSTAT_unbound, "the other is unbound again");
    tap_is(st.u.unbound.dom, self, "and waits for the closer's domain");
    tap_is(event_send(listen), 0, "send on it does nothing");
    event_close(listen);

    event_alloc_unbound(77, &listen);
    tap_is(event_bind_interdomain(DOMID_SELF, listen, &other), -XEN_EINVAL,
           "bind_interdomain: meant for another domain");
    event_close(listen);
}

static void test_virq_ipi(void)
{
    evtchn_port_t timer, again, ipi, global;

    tap_is(event_bind_virq(VIRQ_TIMER, 0, &timer), 0, "bind_virq: timer");
    event_status(timer, &st);
    tap_is(st.status, EVTCHNSTAT_virq, "status: virq");
    tap_is(st.u.virq, VIRQ_TIMER, "status: its number");
    tap_is(event_bind_virq(VIRQ_TIMER, 0, &again), -XEN_EEXIST, "bind_virq: twice");
    tap_is(event_bind_virq(NR_VIRQS, 0, &again), -XEN_EINVAL, "bind_virq: no such virq");
    tap_is(event_bind_virq(~0u, 0, &again), -XEN_EINVAL, "bind_virq: virq ~0");
    tap_is(event_bind_virq(VIRQ_DEBUG, 1000, &again), -XEN_ENOENT, "bind_virq: no such vCPU");
    tap_is(event_bind_virq(VIRQ_CON_RING, 1, &again), -XEN_EINVAL,
           "bind_virq: a global one on vCPU 1");
    tap_is(event_bind_virq(VIRQ_CON_RING, 0, &global), 0, "bind_virq: a global one on vCPU 0");
    tap_is(event_send(timer), -XEN_EINVAL, "send on a virq");
    event_close(timer), event_close(global);
    tap_is(event_bind_virq(VIRQ_TIMER, 0, &timer), 0, "bind_virq: after close, again");
    event_close(timer);

    tap_is(event_bind_ipi(0, &ipi), 0, "bind_ipi");
    event_status(ipi, &st);
    tap_is(st.status, EVTCHNSTAT_ipi, "status: ipi");
    tap_is(event_send(ipi), 0, "send on an ipi");
    tap_ok(event_pending(ipi), "it is pending");
    tap_is(event_bind_ipi(1000, &again), -XEN_ENOENT, "bind_ipi: no such vCPU");
    event_close(ipi);
    tap_ok(!event_pending(ipi), "close clears the pending bit");

    struct evtchn_bind_pirq pirq = {.pirq = ~0u};
    tap_is(hypercall_event_channel_op(EVTCHNOP_bind_pirq, &pirq), -XEN_EINVAL,
           "bind_pirq: no such pirq");
    if (!guest_is_first()) {
        pirq.pirq = 4;
        tap_is(hypercall_event_channel_op(EVTCHNOP_bind_pirq, &pirq), -XEN_EPERM,
               "bind_pirq: the hardware domain's");
    }
}

/* Every way from "pending while masked" to the upcall. */
static void test_delivery(void)
{
    evtchn_port_t p;
    volatile vcpu_info_t *info = event_vcpu_info(0);
    static struct trap_info nothing;

    event_bind_ipi(0, &p);

    event_enable();
    event_unmask_bit(p);
    unsigned n = event_count(p);
    event_send(p);
    tap_is(event_count(p) - n, 1, "unmasked: the upcall comes with send");
    tap_ok(!event_pending(p), "the handler cleared it");
    event_send(p);
    event_send(p);
    tap_is(event_count(p) - n, 3, "and every time");

    event_mask(p);
    n = event_count(p);
    event_send(p);
    tap_is(event_count(p) - n, 0, "port masked: no upcall");
    tap_ok(event_pending(p), "port masked: pending all the same");
    tap_ok(!(info->evtchn_pending_sel), "port masked: not selected");
    event_unmask(p);
    tap_is(event_count(p) - n, 1, "EVTCHNOP_unmask delivers it");
    tap_ok(!(guest_shared->evtchn_mask[p / 64] >> (p % 64) & 1),
           "EVTCHNOP_unmask clears the mask bit");

    event_disable();
    n = event_count(p);
    event_send(p);
    tap_is(event_count(p) - n, 0, "vCPU masked: no upcall");
    tap_is(info->evtchn_upcall_pending, 1, "vCPU masked: upcall_pending is set");
    info->evtchn_upcall_mask = 0;
    hypercall_xen_version(0, NULL);
    tap_is(event_count(p) - n, 1, "any hypercall after clearing the mask delivers it");
    event_disable();

    event_send(p);
    n = event_count(p);
    info->evtchn_upcall_mask = 0;
    hypercall_set_trap_table(&nothing);
    tap_is(event_count(p) - n, 1, "set_trap_table does");
    event_disable();
    event_send(p);
    n = event_count(p);
    info->evtchn_upcall_mask = 0;
    HYPERCALL0(63);
    tap_is(event_count(p) - n, 1, "a hypercall that does not exist does");
    event_disable();
    event_close(p);
}

static void test_one_upcall(void)
{
    evtchn_port_t p, q;

    event_bind_ipi(0, &p);
    event_bind_ipi(0, &q);
    event_unmask_bit(p);
    event_disable();
    event_unmask_bit(q);
    event_send(p), event_send(q);
    unsigned upcalls = event_upcalls, n = event_count(p), m = event_count(q);
    event_enable();
    tap_is(event_count(p) - n + event_count(q) - m, 2, "two pending events");
    tap_is(event_upcalls - upcalls, 1, "come in one upcall");
    event_disable();
    event_send(p);
    event_clear(p);
    n = event_count(p);
    event_enable();
    tap_is(event_count(p) - n, 0, "a bit that the guest cleared is not seen");
    event_disable();
    event_close(p), event_close(q);
}

static uint8_t mask_in_upcall;
static uint64_t cs_in_upcall;
static void look(evtchn_port_t port, struct trap_frame *f)
{
    mask_in_upcall = event_vcpu_info(0)->evtchn_upcall_mask;
    cs_in_upcall = f->cs;
}

static void test_upcall_frame(void)
{
    evtchn_port_t p;

    event_bind_ipi(0, &p);
    event_handle(p, look);
    event_unmask_bit(p);
    event_enable();
    event_send(p);
    tap_is(mask_in_upcall, 1, "the upcall runs masked");
    tap_is(event_vcpu_info(0)->evtchn_upcall_mask, 0, "its return unmasks");
    tap_is_hex(cs_in_upcall & 0xffff, KERNEL_CS, "its frame: cs");
    tap_is_hex(cs_in_upcall >> 32 & 0xff, 0, "its frame: the mask before");
    event_disable();
    event_close(p);
}

static long bind_vcpu(evtchn_port_t port, unsigned vcpu)
{
    struct evtchn_bind_vcpu arg = {.port = port, .vcpu = vcpu};
    return hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &arg);
}

static long unmask(evtchn_port_t port)
{
    struct evtchn_unmask arg = {.port = port};
    return hypercall_event_channel_op(EVTCHNOP_unmask, &arg);
}

static void test_bad_ports(void)
{
    static const evtchn_port_t bad[] = {0, 4095, 4096, 0x20000, 0x7fffffff, ~0u};
    evtchn_port_t p;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_is(event_send(bad[i]), -XEN_EINVAL, "send on port 0x%x", bad[i]);
        tap_is(event_close(bad[i]), -XEN_EINVAL, "close port 0x%x", bad[i]);
        tap_is(bind_vcpu(bad[i], 0), -XEN_EINVAL, "bind_vcpu of port 0x%x", bad[i]);
    }
    tap_is(event_status(~0u, &st), -XEN_EINVAL, "status of port ~0");
    tap_is(unmask(~0u), -XEN_EINVAL, "unmask port ~0");
    tap_is(event_status(4096, &st), -XEN_EINVAL, "status of port 4096");
    struct evtchn_status foreign = {.dom = 77, .port = 1};
    tap_is(hypercall_event_channel_op(EVTCHNOP_status, &foreign), guest_role(-XEN_ESRCH),
           "status in a domain that does not exist");
    event_alloc_unbound(DOMID_SELF, &p);
    tap_is(bind_vcpu(p, 0), 0, "bind_vcpu to vCPU 0");
    tap_is(bind_vcpu(p, 1000), -XEN_ENOENT, "bind_vcpu to a vCPU that is not there");
    event_close(p);
    event_bind_ipi(0, &p);
    tap_is(bind_vcpu(p, 0), -XEN_EINVAL, "bind_vcpu of an ipi");
    event_close(p);
    event_bind_virq(VIRQ_TIMER, 0, &p);
    tap_is(bind_vcpu(p, 0), -XEN_EINVAL, "bind_vcpu of a per-vCPU virq");
    event_close(p);
    tap_is(hypercall_event_channel_op(15, &st), -XEN_ENOSYS, "no operation 15");
    tap_is(hypercall_event_channel_op(~0, &st), -XEN_ENOSYS, "no operation ~0");
}

static void test_exhaustion(void)
{
    static evtchn_port_t ports[4096];
    unsigned n = 0;
    long rc;

    while (n < 4096 && !(rc = event_alloc_unbound(DOMID_SELF, &ports[n])))
        n++;
    tap_is(rc, -XEN_ENOSPC, "ports run out");
    tap_ok(n > 4000, "after more than 4000");
    long bad = 0;
    for (unsigned i = 0; i < n; i++)
        bad |= event_close(ports[i]);
    tap_is(bad, 0, "all can be closed");
}

static void test_fifo(void)
{
    struct evtchn_expand_array expand = {.array_gfn = page_mfn(page_alloc())};
    struct evtchn_set_priority priority = {.port = 1, .priority = 3};
    struct evtchn_init_control control = {.control_gfn = 0xffffffffff};
    evtchn_port_t p;

    event_alloc_unbound(DOMID_SELF, &p);
    priority.port = p;
    tap_is(hypercall_event_channel_op(EVTCHNOP_expand_array, &expand), -XEN_EOPNOTSUPP,
           "expand_array before init_control");
    tap_is(hypercall_event_channel_op(EVTCHNOP_set_priority, &priority), -XEN_ENOSYS,
           "set_priority of a 2-level port");
    tap_is(hypercall_event_channel_op(EVTCHNOP_init_control, &control), -XEN_EINVAL,
           "init_control with a bad frame");
    event_close(p);
    event_bind_ipi(0, &p);
    event_send(p);
    tap_ok(event_pending(p), "2-level still works after that");
    event_close(p);
}

static void test_reset(void)
{
    evtchn_port_t a, b, c;
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    event_alloc_unbound(DOMID_SELF, &a);
    event_bind_interdomain(DOMID_SELF, a, &b);
    event_bind_virq(VIRQ_TIMER, 0, &c);
    reset.dom = 77;
    tap_is(hypercall_event_channel_op(EVTCHNOP_reset, &reset), guest_role(-XEN_ESRCH),
           "reset: no such domain");
    reset.dom = DOMID_SELF;
    tap_is(hypercall_event_channel_op(EVTCHNOP_reset, &reset), 0, "reset");
    event_status(a, &st);
    tap_is(st.status, EVTCHNSTAT_closed, "reset: the first is closed");
    event_status(b, &st);
    tap_is(st.status, EVTCHNSTAT_closed, "reset: the second is closed");
    event_status(c, &st);
    tap_is(st.status, EVTCHNSTAT_closed, "reset: the virq is closed");
    tap_is(event_bind_virq(VIRQ_TIMER, 0, &c), 0, "reset: the virq can be bound again");
    event_close(c);
}

void guest_main(void)
{
    test_alloc_unbound();
    test_interdomain();
    test_virq_ipi();
    test_delivery();
    test_one_upcall();
    test_upcall_frame();
    test_bad_ports();
    test_exhaustion();
    test_fifo();
    test_reset();
}
