/*
 * SCHEDOP_*: what a guest says about its own running: yield, block, poll, shut down, watchdogs.
 */
#include "arch.h"
#include "evtchn.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "sched.h"

#define POLL_PORTS_MAX 128u
#define NS_PER_S       1000000000ull

/* An NMI waits to be delivered: it ends each sleep, whatever is masked. */
static bool nmi_pending(const struct vcpu *v)
{
    return atomic_read(&v->exit_work) & EXIT_NMI;
}

/*
 * Unmask upcalls and sleep until one is pending, as one step: an event or NMI that comes between the
 * two must not be slept through.  So the intention to sleep is announced before the last look (who
 * sends sets pending or EXIT_NMI first; vcpu_kick() then looks at the announcement).
 */
static long op_SCHEDOP_block(struct vcpu *v, guest_ptr_t arg)
{
    atomic_set(&v->info->evtchn_upcall_mask, 0);
    if (atomic_read(&v->info->evtchn_upcall_pending))
        return 0;
    atomic_or(&v->pause, PAUSE_BLOCKED);
    if (atomic_read(&v->info->evtchn_upcall_pending) || nmi_pending(v))
        atomic_and(&v->pause, ~PAUSE_BLOCKED);
    else
        schedule();
    return 0;
}

/* Is one of the ports pending?  1, 0, or -errno.  @last: the last port looked at. */
static int poll_ports(struct vcpu *v, guest_ptr_t ports, uint32_t count, uint32_t *last)
{
    for (uint32_t i = 0; i < count; i++) {
        if (guest_read_u32(last, guest_ptr_add(ports, i * sizeof(uint32_t))))
            return refuse(ARGUMENT_UNREADABLE, ports.va);
        int pending = evtchn_poll_port(v->domain, *last);
        if (pending < 0)
            return refuse(POLL_PORT_MISSING, *last);
        if (pending)
            return 1;
    }
    return 0;
}

/*
 * Sleep until one of some ports is pending, masked or not, an upcall becomes pending, or the
 * timeout (absolute, 0: none) passes.  The same order as in op_SCHEDOP_block: announce, look, sleep.
 */
static long op_SCHEDOP_poll(struct vcpu *v, guest_ptr_t arg)
{
    struct sched_poll op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    const guest_ptr_t ports = guest_ptr((uint64_t)op.ports.p);
    if (op.nr_ports > POLL_PORTS_MAX)
        return refuse(POLL_TOO_MANY, op.nr_ports);
    if (!guest_range_ok(ports.va, op.nr_ports * sizeof(uint32_t)))
        return refuse(ARGUMENT_UNREADABLE, ports.va);

    uint32_t port = 0;
    evtchn_poll_begin(v);
    int rc = vcpu_event_pending(v) || nmi_pending(v) ? 1 : poll_ports(v, ports, op.nr_ports, &port);
    if (rc) {
        atomic_and(&v->pause, ~PAUSE_POLLING);
    } else {
        if (op.nr_ports == 1)
            atomic_set(&v->poll_port, port);
        if (op.timeout)
            timer_set(&v->poll_timer, op.timeout);
        schedule(); /* at once back if somebody has woken us since */
        if (op.timeout)
            timer_stop(&v->poll_timer);
    }
    atomic_and(&v->domain->pollers, ~BIT(v->id));
    atomic_set(&v->poll_port, 0);
    return rc < 0 ? rc : 0;
}

static long op_SCHEDOP_shutdown(struct vcpu *v, guest_ptr_t arg)
{
    uint32_t reason;
    if (guest_read_u32(&reason, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    domain_shutdown(v->domain, (uint8_t)reason);
    return 0;
}

/* What the reason will have been when the domain shuts down.  The first word counts. */
static long op_SCHEDOP_shutdown_code(struct vcpu *v, guest_ptr_t arg)
{
    uint32_t reason;
    if (guest_read_u32(&reason, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    struct domain *d = v->domain;
    if (!d->shutdown_code_set) {
        d->shutdown_code = (uint8_t)reason;
        atomic_set_release(&d->shutdown_code_set, true);
    }
    return 0;
}

static long op_SCHEDOP_remote_shutdown(struct vcpu *v, guest_ptr_t arg)
{
    struct sched_remote_shutdown op;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!domain_has(v->domain, ROLE_CONTROL)) /* first: nobody learns which domains exist */
        return refuse(SHUTDOWN_NOT_ALLOWED, op.domain_id);
    struct domain *d = domain_get(op.domain_id);
    if (!d)
        return refuse(SHUTDOWN_DOMAIN_MISSING, op.domain_id);
    domain_shutdown(d, (uint8_t)op.reason);
    domain_put(d);
    return 0;
}

static void watchdog_fired(struct domain *d, unsigned slot)
{
    if (d->dying || d->shut_down)
        return;
    printk("d%u: watchdog %u fired\n", d->id, slot + 1);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

static void watchdog0_fired(struct timer *t)
{
    watchdog_fired(container_of(t, struct domain, watchdog[0]), 0);
}

static void watchdog1_fired(struct timer *t)
{
    watchdog_fired(container_of(t, struct domain, watchdog[1]), 1);
}

static void watchdog_arm(struct domain *d, unsigned slot, uint32_t seconds)
{
    static void (*const fired[])(struct timer *) = {watchdog0_fired, watchdog1_fired};
    d->watchdog[slot].fire = fired[slot];
    timer_set(&d->watchdog[slot], arch_now() + seconds * NS_PER_S);
}

/* The first that is free; its id, or -errno. */
static long watchdog_start(struct domain *d, uint32_t seconds)
{
    for (unsigned slot = 0; slot < ARRAY_SIZE(d->watchdog); slot++) {
        if (d->watchdogs & BIT(slot))
            continue;
        d->watchdogs |= BIT(slot);
        watchdog_arm(d, slot, seconds);
        return slot + 1;
    }
    return refuse(WATCHDOGS_IN_USE);
}

static long watchdog_set(struct domain *d, uint32_t id, uint32_t seconds)
{
    const unsigned slot = id - 1;

    if (!(d->watchdogs & BIT(slot)))
        return refuse(WATCHDOG_NOT_STARTED, id);
    if (seconds) {
        watchdog_arm(d, slot, seconds);
    } else {
        timer_stop(&d->watchdog[slot]);
        d->watchdogs &= ~BIT(slot);
    }
    return 0;
}

/* id 0: start one, its id is the result; else set it anew, or stop it (timeout 0). */
static long op_SCHEDOP_watchdog(struct vcpu *v, guest_ptr_t arg)
{
    struct sched_watchdog op;
    struct domain *d = v->domain;
    if (guest_read(&op, arg, sizeof(op)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (op.id > ARRAY_SIZE(d->watchdog))
        return refuse(WATCHDOG_MISSING, op.id);

    spin_lock(&d->watchdog_lock);
    long rc = op.id ? watchdog_set(d, op.id, op.timeout) : watchdog_start(d, op.timeout);
    spin_unlock(&d->watchdog_lock);
    return rc;
}

/* Run this vCPU on one physical CPU, for firmware calls that need it; a negative number ends that.
 */
static long op_SCHEDOP_pin_override(struct vcpu *v, guest_ptr_t arg)
{
    if (!domain_has(v->domain, ROLE_HARDWARE))
        return refuse(PIN_OVERRIDE_NOT_ALLOWED);
    uint32_t word;
    if (guest_read_u32(&word, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    const int32_t cpu = (int32_t)word;
    if (cpu >= 0) {
        if (cpu >= MAX_CPUS || !(arch_cpus_online() & BIT(cpu)))
            return refuse(PIN_CPU_OFFLINE, cpu);
        if (!v->pin_affinity)
            v->pin_affinity = v->affinity;
        vcpu_set_affinity(v, BIT(cpu));
    } else if (v->pin_affinity) {
        vcpu_set_affinity(v, v->pin_affinity);
        v->pin_affinity = 0;
    }
    return 0;
}

static long op_SCHEDOP_yield(struct vcpu *v, guest_ptr_t arg)
{
    sched_yield();
    return 0;
}

static subop_fn *const sched_op[] = {SCHEDOP_LIST(SUBOP_ENTRY)};
_Static_assert(ARRAY_SIZE(sched_op) == 0 SCHEDOP_LIST(SUBOP_ONE), "the list has no gap");

long hypercall_sched_op(struct vcpu *v, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0];

    if (unlikely(cmd >= ARRAY_SIZE(sched_op)))
        return refuse(SCHED_OP_UNKNOWN, cmd);
    return sched_op[cmd](v, guest_ptr(a->arg[1]));
}
