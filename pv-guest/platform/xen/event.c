/*
 * Event channels, two-level: a bit for each port in shared memory, a bit for
 * each word of those in the selector, and one flag that says there is anything.
 *
 * The hypervisor sets from the port upwards, the guest clears from the flag
 * downwards, so nothing is lost between the two.  Selector and flag are each
 * CPU's own; the ports' bits are common, so a CPU looks only at the ports that
 * are bound to it.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "kernel/lib/print.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

#define DEFERRED_MOST 4

static void (*handlers[EVENT_PORTS])(void);
static void (*port_handlers[EVENT_PORTS])(unsigned port); /* of those that processes have bound */

void event_init(void)
{
    for (unsigned port = 0; port < 64 * ARRAY_SIZE(shared->evtchn_mask); port += 64)
        shared->evtchn_mask[port / 64] = ~0ul;
}

void event_mask(unsigned port)
{
    __atomic_fetch_or(&shared->evtchn_mask[port / 64], 1ul << port % 64, __ATOMIC_SEQ_CST);
}

void event_unmask(unsigned port)
{
    /*
     * What came while it was masked raises no upcall by itself.  The hypervisor does that, if it is the hypervisor
     * that clears the mask's bit: it takes a port whose bit is clear for one that has had its upcall.
     */
    struct evtchn_unmask unmask = {.port = port};
    (void)hypercall_event_channel_op(EVTCHNOP_unmask, &unmask);
}

void event_handle(struct vcpu *v, unsigned port, void (*handler)(void))
{
    BUG_ON(port >= EVENT_PORTS);
    handlers[port] = handler;
    v->ports[port / 64] |= 1ul << port % 64;
    event_unmask(port);
}

void event_handle_port(struct vcpu *v, unsigned port, void (*handler)(unsigned port))
{
    BUG_ON(port >= EVENT_PORTS || handlers[port]);
    port_handlers[port] = handler;
    v->ports[port / 64] |= 1ul << port % 64;
    event_unmask(port);
}

void event_forget(struct vcpu *v, unsigned port)
{
    event_mask(port);
    v->ports[port / 64] &= ~(1ul << port % 64);
    port_handlers[port] = NULL;
}

void event_bind_virq(struct vcpu *v, unsigned virq, void (*handler)(void))
{
    struct evtchn_bind_virq bind = {.virq = virq, .vcpu = v->number};
    const long rc = hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind);
    if (rc)
        panic("virtual interrupt %u of CPU %u refused: %ld", virq, v->number, rc);
    event_handle(v, bind.port, handler);
}

unsigned event_bind_ipi(struct vcpu *v, void (*handler)(void))
{
    struct evtchn_bind_ipi bind = {.vcpu = v->number};
    const long rc = hypercall_event_channel_op(EVTCHNOP_bind_ipi, &bind);
    if (rc)
        panic("interrupts between CPUs refused: %ld", rc);
    event_handle(v, bind.port, handler);
    return bind.port;
}

static void (*deferred[DEFERRED_MOST])(void);
static unsigned deferred_count;

void event_defer(void (*function)(void))
{
    for (unsigned i = 0; i < deferred_count; i++)
        if (deferred[i] == function)
            return;
    BUG_ON(deferred_count == DEFERRED_MOST);
    deferred[deferred_count++] = function;
}

static void run_deferred(void)
{
    while (deferred_count)
        deferred[--deferred_count]();
}

static void handle_port(unsigned port)
{
    __atomic_fetch_and(&shared->evtchn_pending[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
    if (port_handlers[port])
        port_handlers[port](port);
    else
        handlers[port]();
}

void platform_interrupt(void)
{
    const struct vcpu *const this = vcpu_this();
    struct vcpu_info *const v = this->info;

    while (__atomic_exchange_n(&v->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        uint64_t words = __atomic_exchange_n(&v->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (words &= (1ul << EVENT_WORDS) - 1; words; words &= words - 1) {
            const unsigned word = __builtin_ctzl(words);
            uint64_t bits =
                this->ports[word] & shared->evtchn_pending[word] & ~shared->evtchn_mask[word];
            for (; bits; bits &= bits - 1)
                handle_port(word * 64 + __builtin_ctzl(bits));
        }
        run_deferred();
    }
}
