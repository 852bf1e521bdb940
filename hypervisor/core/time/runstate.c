/* Run states, the pvclock and the areas that show them, the periodic timer's start and stop (runstate.h). */
#include "runstate.h"
#include "arch.h"
#include "lib.h"
#include "timer.h"

#define TIME_REFRESH (1000000000ull - 2 * TIMER_ALARM) /* when a vCPU begins to run */

/* --- run states --- */

void vcpu_set_runstate(struct vcpu *v, enum vcpu_run_state s, uint64_t now)
{
    if (now > v->runstate_since)
        v->runstate_time[v->runstate] += now - v->runstate_since;
    v->runstate_since = now;
    v->runstate = s;
}

void runstate_get(const struct vcpu *v, struct vcpu_runstate_info *info, bool until_now)
{
    *info = (struct vcpu_runstate_info){
        .state = v->runstate,
        .state_entry_time = v->runstate_since,
    };
    memcpy(info->time, v->runstate_time, sizeof(info->time));
    uint64_t now = arch_now();
    if (until_now && now > v->runstate_since)
        info->time[v->runstate] += now - v->runstate_since;
}

void runstate_publish(struct vcpu *v, guest_ptr_t at, bool until_now)
{
    struct vcpu_runstate_info info;
    const guest_ptr_t entry_time =
        guest_ptr_add(at, offsetof(struct vcpu_runstate_info, state_entry_time));

    runstate_get(v, &info, until_now);
    if (v->domain->vm_assist & BIT(VMASST_TYPE_runstate_update_flag)) {
        /* Readers that see the flag, or two different entry times, read again. */
        info.state_entry_time |= XEN_RUNSTATE_UPDATE;
        if (guest_write_u64(entry_time, info.state_entry_time))
            return;
        compiler_barrier();
        if (guest_write(at, &info, sizeof(info)))
            return;
        compiler_barrier();
        (void)!guest_write_u64(entry_time, info.state_entry_time & ~XEN_RUNSTATE_UPDATE);
    } else {
        (void)!guest_write(at, &info, sizeof(info));
    }
}

/* --- the pvclock --- */

void time_area_publish(const struct vcpu_time_info *t, guest_ptr_t at)
{
    const uint32_t version = t->version;
    const guest_ptr_t where = guest_ptr_add(at, offsetof(struct vcpu_time_info, version));
    struct vcpu_time_info copy = *t;

    copy.version = version | 1;
    if (guest_write_u32(where, copy.version))
        return;
    compiler_barrier();
    if (guest_write(at, &copy, sizeof(copy)))
        return;
    compiler_barrier();
    (void)!guest_write_u32(where, version);
}

/* The guest may write to its vcpu_info, version included: only its own readers care. */
void time_publish(struct vcpu *v)
{
    struct vcpu_time_info now = {0};
    struct vcpu_time_info *t = &v->info->time;
    arch_time_info(v, &now);

    uint32_t version = (atomic_read(&t->version) | 1) + 1;
    atomic_set(&t->version, version - 1);
    compiler_barrier();
    t->tsc_timestamp = now.tsc_timestamp;
    t->system_time = now.system_time;
    t->tsc_to_system_mul = now.tsc_to_system_mul;
    t->tsc_shift = now.tsc_shift;
    t->flags = now.flags;
    compiler_barrier();
    atomic_set(&t->version, version);

    v->time_cpu = v->cpu;
    v->time_published = now.system_time;
}

/*
 * The record of an invariant TSC stays true for ever; but some guests read system_time as it stands,
 * so it is never older than a second while its vCPU runs.  One that begins to run, which is when
 * this is asked, gets a new record if the old one would not last until the CPU's alarm: that is
 * twice TIMER_ALARM away at most.
 */
static bool time_is_stale(const struct vcpu *v)
{
    return v->time_cpu != v->cpu || v->runstate_since - v->time_published > TIME_REFRESH;
}

void vcpu_time_expire(struct vcpu *v)
{
    v->time_cpu = UINT16_MAX;
    atomic_or(&v->exit_work, EXIT_RUNSTATE);
}

void vcpu_publish_areas(struct vcpu *v)
{
    if (time_is_stale(v)) {
        time_publish(v);
        v->time_area_stale = true;
    }
    const bool time = v->time_area.va && v->time_area_stale;
    v->time_area_stale = false;
    if (!v->runstate_area.va && !time)
        return;

    arch_view_kernel(v);
    if (v->runstate_area.va)
        runstate_publish(v, v->runstate_area, false);
    if (time) {
        struct vcpu_time_info t = v->info->time;
        t.version &= ~1u;
        time_area_publish(&t, v->time_area);
    }
    arch_view_back(v);
}

/* --- with the scheduler ---------------------------------------------------------------------- */

void vcpu_timers_destroy(struct vcpu *v)
{
    timer_stop(&v->singleshot);
    timer_stop(&v->periodic);
    timer_stop(&v->poll_timer);
}

void vcpu_periodic_start(struct vcpu *v)
{
    if (!v->period || !v->virq_port[VIRQ_TIMER])
        return;
    if (arch_now() - v->period_last >= v->period)
        v->periodic.fire(&v->periodic); /* which sets it for the next tick */
    else
        timer_set(&v->periodic, v->period_last + v->period);
}

static inline void runstate_areas_resume(struct vcpu *v)
{
    if (v->runstate_area.va || time_is_stale(v))
        atomic_or(&v->exit_work, EXIT_RUNSTATE);
}

static noinline_ void runstate_periodic_resume(struct vcpu *v)
{
    vcpu_periodic_start(v);
    runstate_areas_resume(v);
}

void vcpu_timers_resume(struct vcpu *v)
{
    if (unlikely(v->period))
        runstate_periodic_resume(v);
    else
        runstate_areas_resume(v);
}

void vcpu_timers_suspend(struct vcpu *v)
{
    if (v->periodic.queued)
        timer_stop(&v->periodic);
}
