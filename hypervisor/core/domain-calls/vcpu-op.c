/*
 * What a guest asks about its virtual CPUs, and their time: VCPUOP_*, set_timer_op, the run-state
 * and time areas.
 *
 * How time reaches a guest, and what the scheduler does about it: runstate.h.
 */
#include "arch.h"
#include "evtchn.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"
#include "runstate.h"
#include "sched.h"
#include "vcpu-op.h"

#define NS_PER_MS        1000000ull
#define PERIOD_MIN       NS_PER_MS
#define PERIOD_MAX       ((1ull << 62) - 1) /* Xen's longest difference of two system times */
#define TIMER_FAR        50 /* bits: set_timer_op beyond 2^50 ns ahead, 13 days, is not meant */
#define TIMER_FAR_ANSWER (100 * NS_PER_MS)
#define INFO_LEGACY      XEN_LEGACY_MAX_VCPUS

/* --- timers ---------------------------------------------------------------------------------- */

static void set_period(struct vcpu *v, uint64_t period)
{
    timer_stop(&v->periodic);
    v->period = period;
    if (v == current_vcpu())
        vcpu_periodic_start(v);
    else if (period &&
             v->on_cpu) /* it runs elsewhere: the timer may as well tick here until it stops */
        timer_set(&v->periodic, arch_now() + period);
}

/*
 * set_timer_op(deadline): VIRQ_TIMER at system time @deadline; 0 cancels.  Deadlines that wrapped
 * around, and those absurdly far ahead, are taken for a guest that has work to do now and cannot
 * count: a soon, but not an immediate, event (some guests mean "never").
 */
long hypercall_set_timer_op(struct vcpu *v, const struct hypercall_args *a)
{
    const uint64_t deadline = a->arg[0];

    if (deadline == 0) {
        timer_stop(&v->singleshot);
        return 0;
    }
    uint64_t now = arch_now();
    bool absurd = (int64_t)deadline < 0 || (deadline > now && (deadline - now) >> TIMER_FAR);
    if (deadline <= now) { /* due: no need to trouble the hardware */
        timer_stop(&v->singleshot);
        virq_raise(v, VIRQ_TIMER);
        return 0;
    }
    timer_set(&v->singleshot, absurd ? now + TIMER_FAR_ANSWER : deadline);
    return 0;
}

static long op_VCPUOP_set_singleshot_timer(struct vcpu *v, guest_ptr_t arg)
{
    struct vcpu_set_singleshot_timer set; /* flags are not looked at, as in Xen 4.17 */
    if (v != current_vcpu())
        return refuse(TIMER_OF_OTHER_VCPU, v->id);
    if (guest_read(&set, arg, sizeof(set)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    const uint64_t deadline = set.timeout_abs_ns;
    if (deadline <= arch_now()) {
        timer_stop(&v->singleshot);
        virq_raise(v, VIRQ_TIMER);
    } else {
        timer_set(&v->singleshot, deadline);
    }
    return 0;
}

static long op_VCPUOP_set_periodic_timer(struct vcpu *v, guest_ptr_t arg)
{
    uint64_t period;
    if (guest_read_u64(&period, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (period < PERIOD_MIN || period > PERIOD_MAX)
        return refuse(TIMER_PERIOD_RANGE, period);
    set_period(v, period);
    return 0;
}

/* --- bringing vCPUs up and down --- */

int vcpu_initialise(struct vcpu *v, const struct vcpu_guest_context *context)
{
    uint8_t none = VCPU_UNINITIALISED; /* two vCPUs may try to initialise the same third */

    if (!atomic_compare_exchange(&v->initialised, &none, VCPU_INITIALISING))
        return refuse(VCPU_INITIALISED_ALREADY, v->id);
    const int rc = arch_vcpu_set_context(v, context);
    atomic_set_release(&v->initialised, rc ? VCPU_UNINITIALISED : VCPU_INITIALISED);
    return rc;
}

static long op_VCPUOP_initialise(struct vcpu *v, guest_ptr_t arg)
{
    if (v->id >= INFO_LEGACY && !v->info_page)
        return refuse(VCPU_INFO_MISSING, v->id);

    struct vcpu_guest_context *context = mem_alloc(sizeof(*context));
    if (!context)
        return refuse(CONTEXT_NO_MEMORY);
    const long rc = guest_read(context, arg, sizeof(*context)) ? refuse(ARGUMENT_UNREADABLE, arg.va)
                                                               : vcpu_initialise(v, context);
    mem_free(context, sizeof(*context));
    return rc;
}

static long op_VCPUOP_up(struct vcpu *v, guest_ptr_t arg)
{
    if (atomic_read_acquire(&v->initialised) != VCPU_INITIALISED)
        return refuse(VCPU_NOT_INITIALISED, v->id);
    vcpu_unpause(v, PAUSE_DOWN);
    return 0;
}

/* The last vCPU that goes down takes the domain with it.  Down first, then the look: of two that go down together
 * at least one sees the other. */
static long op_VCPUOP_down(struct vcpu *v, guest_ptr_t arg)
{
    bool last = true;

    vcpu_pause(v, PAUSE_DOWN);
    for_each_vcpu(v->domain, other)
        if (!(atomic_read(&other->pause) & PAUSE_DOWN))
            last = false;
    if (last)
        domain_shutdown(v->domain, SHUTDOWN_poweroff);
    return 0;
}

void vcpu_send_nmi(struct vcpu *v)
{
    atomic_or(&v->exit_work, EXIT_NMI);
    vcpu_kick(v);
}

static long op_VCPUOP_send_nmi(struct vcpu *v, guest_ptr_t arg)
{
    if (arg.va)
        return refuse(NMI_WITH_ARGUMENT, arg.va);
    vcpu_send_nmi(v);
    return 0;
}

/* --- areas ----------------------------------------------------------------------------------- */

static long op_VCPUOP_get_runstate_info(struct vcpu *v, guest_ptr_t arg)
{
    struct vcpu_runstate_info info;
    vcpu_runstate(v, &info);
    return guest_write(arg, &info, sizeof(info)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long op_VCPUOP_register_runstate_memory_area(struct vcpu *v, guest_ptr_t arg)
{
    uint64_t at;
    if (guest_read_u64(&at, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!guest_range_ok(at, sizeof(struct vcpu_runstate_info)))
        return refuse(ARGUMENT_UNREADABLE, at);
    v->runstate_area = guest_ptr(at);
    if (at)
        runstate_publish(v, v->runstate_area, v != current_vcpu());
    return 0;
}

static long op_VCPUOP_register_vcpu_time_memory_area(struct vcpu *v, guest_ptr_t arg)
{
    uint64_t at;
    if (guest_read_u64(&at, arg))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (!guest_range_ok(at, sizeof(struct vcpu_time_info)))
        return refuse(ARGUMENT_UNREADABLE, at);
    v->time_area = guest_ptr(at);
    v->time_area_stale = true;
    atomic_or(&v->exit_work, EXIT_RUNSTATE);
    if (v != current_vcpu() && at) { /* which may not run for long */
        struct vcpu_time_info t = {.version = v->info->time.version & ~1u};
        arch_time_info(v, &t);
        time_area_publish(&t, v->time_area);
    }
    return 0;
}

/*
 * register_vcpu_info: move @v's vcpu_info to where the guest wants it, once.  From then on the
 * hypervisor writes there at any time, so the frame is held like one that is mapped writable: it
 * can never become a page table. Events that are signalled during the move may miss the new place;
 * marking everything pending makes up for it.
 */
static long op_VCPUOP_register_vcpu_info(struct vcpu *v, guest_ptr_t arg)
{
    struct domain *d = v->domain;
    struct vcpu_register_vcpu_info where;
    if (guest_read(&where, arg, sizeof(where)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);

    if (where.offset > PAGE_SIZE - sizeof(struct vcpu_info) || where.offset % 8)
        return refuse(VCPU_INFO_OFFSET, where.offset);
    if (v->info_page)
        return refuse(VCPU_INFO_SET_ALREADY, v->id);
    if (v != current_vcpu() && !(atomic_read(&v->pause) & PAUSE_DOWN))
        return refuse(VCPU_INFO_OF_RUNNING_VCPU, v->id);
    if (!mfn_valid(mfn(where.mfn)))
        return refuse(VCPU_INFO_FRAME_UNFIT, where.mfn);
    struct page_info *pg = mfn_to_page(mfn(where.mfn));
    if (page_get_and_type(pg, d, PAGE_TYPE_WRITABLE))
        return refuse(VCPU_INFO_FRAME_UNFIT, where.mfn);

    struct vcpu_info *to = (struct vcpu_info *)((char *)mfn_to_virt(mfn(where.mfn)) + where.offset);
    spin_lock(&d->evtchn_lock);
    bool mine = !v->info_page; /* another vCPU may have registered it meanwhile */
    if (mine) {
        memcpy(to, v->info, sizeof(*to));
        atomic_set(&v->info, to);
        v->info_page = pg;
    }
    spin_unlock(&d->evtchn_lock);
    if (!mine) {
        page_put_and_type(pg);
        return refuse(VCPU_INFO_SET_ALREADY, v->id);
    }

    memory_barrier();
    atomic_set(&to->evtchn_pending_sel, ~0ul);
    atomic_exchange(&to->evtchn_upcall_pending, 1);
    vcpu_kick(v);
    v->time_cpu = UINT16_MAX; /* the copy may be of any age */
    if (v == current_vcpu())
        time_publish(v);
    return 0;
}

static long op_VCPUOP_is_up(struct vcpu *v, guest_ptr_t arg)
{
    return !(atomic_read(&v->pause) & PAUSE_DOWN);
}

static long op_VCPUOP_stop_periodic_timer(struct vcpu *v, guest_ptr_t arg)
{
    set_period(v, 0);
    return 0;
}

static long op_VCPUOP_stop_singleshot_timer(struct vcpu *v, guest_ptr_t arg)
{
    if (v != current_vcpu())
        return refuse(TIMER_OF_OTHER_VCPU, v->id);
    timer_stop(&v->singleshot);
    return 0;
}

static long op_VCPUOP_get_physid(struct vcpu *v, guest_ptr_t arg)
{
    return refuse(VCPU_NOT_PINNED, v->id);
}

static subop_fn *const vcpu_op[] = {VCPUOP_LIST(SUBOP_ENTRY)};
_Static_assert(ARRAY_SIZE(vcpu_op) == 0 VCPUOP_LIST(SUBOP_ONE), "the list has no gap");

/* vcpu_op(cmd, vcpu, arg): the vCPU is looked up before the command. */
long hypercall_vcpu_op(struct vcpu *caller, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0], id = (uint32_t)a->arg[1];
    const struct domain *d = caller->domain;
    struct vcpu *v = domain_vcpu(d, id);

    if (unlikely(!v))
        return refuse(VCPU_MISSING, id);
    if (unlikely(cmd >= ARRAY_SIZE(vcpu_op)))
        return refuse(VCPU_OP_UNKNOWN, cmd);
    return vcpu_op[cmd](v, guest_ptr(a->arg[2]));
}
