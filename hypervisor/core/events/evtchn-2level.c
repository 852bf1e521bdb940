/*
 * Event channels, 2-level: how a signal reaches a guest through bits.
 *
 * Signalling a port sets its bit in shared_info; if the port is not masked, the bit of its 64-port
 * word in the selector of the vCPU it notifies; and if that was clear, the vCPU's upcall_pending
 * flag, which wakes the vCPU and makes the next way out an upcall:
 *
 *     evtchn_pending[port]  --unmasked-->  vcpu_info.evtchn_pending_sel[port / 64]
 *                           --first-->     vcpu_info.evtchn_upcall_pending  -->  vcpu_kick()
 *
 * The three words lie in guest memory and the guest clears them with plain or atomic instructions,
 * so each is set by one atomic operation and nothing here depends on what they say.
 */
#include "evtchn-port.h"

#include "sched.h"

void evtchn_2level_mark(struct vcpu *v, uint32_t port)
{
    struct vcpu_info *info = atomic_read(&v->info);
    if (atomic_test_and_set_bit((uint64_t *)&info->evtchn_pending_sel, port / 64))
        return;
    if (!atomic_exchange(&info->evtchn_upcall_pending, 1))
        vcpu_kick(v);
}

void evtchn_2level_unmask(struct vcpu *v, uint32_t port)
{
    struct domain *d = v->domain;
    if (atomic_test_and_clear_bit(evtchn_mask_map(d), port) &&
        atomic_test_bit(evtchn_pending_map(d), port))
        evtchn_2level_mark(v, port);
}

bool evtchn_2level_is_pending(const struct domain *d, uint32_t port)
{
    return atomic_test_bit(evtchn_pending_map(d), port);
}

void evtchn_2level_forget(struct domain *d, uint32_t port)
{
    atomic_and(&evtchn_pending_map(d)[port / 64], ~BIT(port % 64));
}
