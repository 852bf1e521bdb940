/* vCPU operations: where vcpu_info lies, run-state areas, timers of the guest, going up and down.
 */
#include "suite.h"
#include "evtchn.h"
#include "runstate.h"
#include "sched.h"

#include <xen/vcpu.h>

static struct guest g;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 64, 2);
    machine_enter(g.v);
}

static void finish(void)
{
    world_check();
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(vcpu_op, .init = start, .fini = finish);

static long op(unsigned cmd, unsigned vcpu, const void *arg, size_t size)
{
    return hypercall(&g, vcpu_op, cmd, vcpu, machine_put(0x8000, arg, size).va);
}

/* --- vcpu_info
 * ---------------------------------------------------------------------------------------------- */

Test(vcpu_op, info_moves_into_a_frame_and_holds_it)
{
    struct vcpu_register_vcpu_info where = {.mfn = g.mfn[30], .offset = 128};
    uint32_t refs = page_state_refs(guest_info(&g, 30)->state);

    g.v->info->evtchn_upcall_mask = 1;
    assert_ok(op(VCPUOP_register_vcpu_info, 0, &where, sizeof(where)));
    assert_eq_long(page_state_refs(guest_info(&g, 30)->state), refs + 1);
    struct vcpu_info *info = (struct vcpu_info *)((char *)guest_page(&g, 30) + 128);
    cr_assert(g.v->info == info);
    assert_eq_long(info->evtchn_upcall_mask, 1);
    assert_eq_long(info->evtchn_upcall_pending, 1); /* whatever came meanwhile is looked for */
    assert_eq_long(info->evtchn_pending_sel, ~0ul);
    assert_refused(&g, op(VCPUOP_register_vcpu_info, 0, &where, sizeof(where)),
                   VCPU_INFO_SET_ALREADY);
    /* The frame cannot become a page table, and outlives being given back. */
    assert_ok(guest_protect(&g, 30, RO));
    assert_refused(&g, guest_pin(&g, 30, 1), PIN_ROLE_CONFLICT);
    assert_ok(guest_protect(&g, 30, 0));
    page_release(g.d, guest_info(&g, 30));
    assert_eq_long(guest_info(&g, 30)->owner, 1);
}

Test(vcpu_op, info_goes_nowhere_else)
{
    struct guest other;
    guest_create(&other, 2, 16, 1);
    machine_enter(g.v);
    struct vcpu_register_vcpu_info where = {.mfn = g.mfn[30],
                                            .offset = PAGE_SIZE - sizeof(struct vcpu_info) + 8};

    assert_refused(&g, op(VCPUOP_register_vcpu_info, 0, &where, sizeof(where)), VCPU_INFO_OFFSET);
    where.offset = ~0u;
    assert_refused(&g, op(VCPUOP_register_vcpu_info, 0, &where, sizeof(where)), VCPU_INFO_OFFSET);
    where.offset = 4;
    assert_refused(&g, op(VCPUOP_register_vcpu_info, 0, &where, sizeof(where)), VCPU_INFO_OFFSET);
    const uint64_t bad[] = {other.mfn[9], g.mfn[0], g.mfn[3], machine.hole_first, max_mfn, ~0ull};
    where.offset = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        where.mfn = bad[i];
        struct page_info *before = frames_snapshot();
        assert_refused(&g, op(VCPUOP_register_vcpu_info, 0, &where, sizeof(where)),
                       VCPU_INFO_FRAME_UNFIT);
        assert_eq_long(frames_differ(before), 0);
    }
    where.mfn = g.mfn[30];
    assert_refused(&g, op(VCPUOP_register_vcpu_info, 1, &where, sizeof(where)),
                   VCPU_INFO_OF_RUNNING_VCPU); /* it runs */
    assert_refused(&g, op(VCPUOP_register_vcpu_info, 2, &where, sizeof(where)), VCPU_MISSING);
    guest_destroy(&other);
    machine_enter(g.v);
}

Test(vcpu_op, runstate_area_is_kept_up_to_date)
{
    struct vcpu_register_runstate_memory_area area = {.addr.p = guest_va(30) + 64};
    struct vcpu_runstate_info s;

    assert_ok(op(VCPUOP_register_runstate_memory_area, 0, &area, sizeof(area)));
    memcpy(&s, (char *)guest_page(&g, 30) + 64, sizeof(s));
    assert_eq_long(s.state, RUNSTATE_running);
    machine_advance(7000000);
    assert_ok(op(VCPUOP_get_runstate_info, 0, &s, sizeof(s)));
    machine_get(&s, 0x8000, sizeof(s));
    cr_assert(s.time[RUNSTATE_running] >= 7000000);
    /* An area that is not there any more is the guest's own loss. */
    assert_ok(guest_protect(&g, 30, 0));
    g.v->exit_work |= EXIT_RUNSTATE;
    vcpu_publish_areas(g.v);
    area.addr.p = HYPERVISOR_VIRT_START_;
    assert_eq_long(op(VCPUOP_register_runstate_memory_area, 0, &area, sizeof(area)), -XEN_EFAULT);
}

/* --- timers
 * -----------------------------------------------------------------------------------------------------
 */

static uint32_t bind_timer(unsigned vcpu)
{
    struct evtchn_bind_virq o = {.virq = VIRQ_TIMER, .vcpu = vcpu};
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &o, sizeof(o)));
    assert_ok(op(VCPUOP_stop_periodic_timer, 0, "", 1));
    return o.port;
}

static bool ticked(uint32_t port)
{
    uint64_t *word = &((uint64_t *)g.d->shared->evtchn_pending)[port / 64];
    bool was = *word >> port % 64 & 1;
    *word &= ~BIT(port % 64);
    return was;
}

Test(vcpu_op, set_timer_op_fires_once)
{
    uint32_t port = bind_timer(0);
    (void)ticked(port);
    assert_ok(hypercall(&g, set_timer_op, machine.now + 1000000));
    machine_advance(999999);
    cr_assert(!ticked(port));
    machine_advance(1);
    cr_assert(ticked(port));
    machine_advance(100000000);
    cr_assert(!ticked(port));
    assert_ok(hypercall(&g, set_timer_op, machine.now - 5));
    cr_assert(ticked(port));
    assert_ok(hypercall(&g, set_timer_op, machine.now + 1000000));
    assert_ok(hypercall(&g, set_timer_op, 0));
    machine_advance(10000000);
    cr_assert(!ticked(port));
}

Test(vcpu_op, periodic_timer_ticks)
{
    uint32_t port = bind_timer(0);
    struct vcpu_set_periodic_timer p = {.period_ns = 2000000};
    assert_ok(op(VCPUOP_set_periodic_timer, 0, &p, sizeof(p)));
    machine_enter(g.v);
    (void)ticked(port);
    unsigned ticks = 0;
    for (unsigned i = 0; i < 100; i++) {
        machine_advance(1000000);
        ticks += ticked(port);
    }
    cr_assert(ticks >= 49 && ticks <= 51, "%u ticks in 100 ms", ticks);
    p.period_ns = 999999;
    assert_refused(&g, op(VCPUOP_set_periodic_timer, 0, &p, sizeof(p)), TIMER_PERIOD_RANGE);
    p.period_ns = ~0ull;
    assert_refused(&g, op(VCPUOP_set_periodic_timer, 0, &p, sizeof(p)), TIMER_PERIOD_RANGE);
}

Test(vcpu_op, period_of_a_vcpu_that_runs_elsewhere)
{
    struct vcpu_set_periodic_timer p = {.period_ns = 5000000};
    assert_ok(op(VCPUOP_set_periodic_timer, 1, &p, sizeof(p)));
    assert_eq_long(g.d->vcpu[1]->period, 5000000);
    assert_eq_long(g.d->vcpu[1]->pause, 0);
}

/* --- up and down
 * --------------------------------------------------------------------------------------------------
 */

Test(vcpu_op, down_and_up)
{
    struct vcpu *other = g.d->vcpu[1];

    assert_eq_long(op(VCPUOP_is_up, 1, "", 1), 1);
    assert_ok(op(VCPUOP_down, 1, "", 1));
    assert_eq_long(op(VCPUOP_is_up, 1, "", 1), 0);
    cr_assert(other->pause & PAUSE_DOWN);
    assert_ok(op(VCPUOP_up, 1, "", 1));
    assert_eq_long(op(VCPUOP_is_up, 1, "", 1), 1);
    machine_enter(other);
    machine_enter(g.v);
    assert_refused(&g, op(VCPUOP_up, 5, "", 1), VCPU_MISSING);
    assert_refused(&g, op(VCPUOP_up, ~0u, "", 1), VCPU_MISSING);
    assert_refused(&g, op(40, 0, "", 1), VCPU_OP_UNKNOWN);
}
