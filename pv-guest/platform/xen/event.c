/*
 * Event channels, two-level: a bit for each port in shared memory, a bit for
 * each word of those in the selector, and one flag that says there is anything.
 *
 * The hypervisor sets from the port upwards, the guest clears from the flag
 * downwards, so nothing is lost between the two.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>

#include "kernel/print.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

#define EVENT_PORTS 64 /* ports that have a handler; the kernel uses three */

static void (*handlers[EVENT_PORTS])(void);

static void mask_set(unsigned port)
{
    __atomic_fetch_or(&shared->evtchn_mask[port / 64], 1ul << port % 64, __ATOMIC_SEQ_CST);
}

static void mask_clear(unsigned port)
{
    __atomic_fetch_and(&shared->evtchn_mask[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
}

void event_init(void)
{
    for (unsigned port = 0; port < 64 * ARRAY_SIZE(shared->evtchn_mask); port += 64)
        shared->evtchn_mask[port / 64] = ~0ul;
}

void event_handle(unsigned port, void (*handler)(void))
{
    BUG_ON(port >= EVENT_PORTS);
    handlers[port] = handler;
    mask_clear(port);
    /* What came while it was masked raises no upcall by itself: ask for a replay. */
    struct evtchn_unmask unmask = {.port = port};
    (void)hypercall_event_channel_op(EVTCHNOP_unmask, &unmask);
}

void event_bind_virq(unsigned virq, void (*handler)(void))
{
    struct evtchn_bind_virq bind = {.virq = virq, .vcpu = 0};
    const long rc = hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind);
    if (rc)
        panic("virtual interrupt %u refused: %ld", virq, rc);
    event_handle(bind.port, handler);
}

static void handle_port(unsigned port)
{
    __atomic_fetch_and(&shared->evtchn_pending[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
    if (port < EVENT_PORTS && handlers[port])
        handlers[port]();
    else
        mask_set(port);
}

void platform_interrupt(void)
{
    struct vcpu_info *const v = THIS_VCPU;

    while (__atomic_exchange_n(&v->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        uint64_t words = __atomic_exchange_n(&v->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; words; words &= words - 1) {
            const unsigned word = __builtin_ctzl(words);
            uint64_t bits = shared->evtchn_pending[word] & ~shared->evtchn_mask[word];
            for (; bits; bits &= bits - 1)
                handle_port(word * 64 + __builtin_ctzl(bits));
        }
    }
}
