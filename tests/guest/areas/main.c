/*
 * Question: are the areas that tell a vCPU about its time right when it is
 * another vCPU's, or not running?
 *
 * A kernel registers them for a vCPU that it is about to start.  What they say
 * about time that was wanted and not got is the steal time that Linux shows:
 * with two busy vCPUs on one processor each of them must lose some.  And the
 * clock is one clock: what one vCPU has read, another must not undercut, if the
 * stable flag says so.
 *
 * Needs a domain of two vCPUs (dom0_max_vcpus=2).
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define SECOND 1000000000ul

static struct vcpu_runstate_info runstate;
static struct vcpu_time_info times;

static long register_runstate(unsigned vcpu, void *area)
{
    struct vcpu_register_runstate_memory_area reg = {.addr = {.v = area}};
    return hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, vcpu, &reg);
}

static long register_times(unsigned vcpu, void *area)
{
    struct vcpu_register_time_memory_area reg = {.addr = {.v = area}};
    return hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, vcpu, &reg);
}

static long place(unsigned vcpu, unsigned long mfn, unsigned offset)
{
    struct vcpu_register_vcpu_info arg = {.mfn = mfn, .offset = offset};
    return hypercall_vcpu_op(VCPUOP_register_vcpu_info, vcpu, &arg);
}

static void test_down(void)
{
    struct vcpu_runstate_info r = {0};
    char *page = page_alloc();
    vcpu_info_t *info = (vcpu_info_t *)(page + 64);

    runstate.state = -1;
    tap_is(register_runstate(1, &runstate), 0, "runstate area of a down vCPU");
    tap_is(runstate.state, RUNSTATE_offline, "runstate area: filled at once: offline");
    tap_ok(runstate.time[RUNSTATE_offline] > 0, "runstate area: for some time");
    tap_is(runstate.time[RUNSTATE_running], 0, "runstate area: it never ran");
    tap_is(hypercall_vcpu_op(VCPUOP_get_runstate_info, 1, &r), 0, "get_runstate_info");
    tap_is(r.state, RUNSTATE_offline, "get_runstate_info: offline");
    tap_is(register_times(1, &times), 0, "time area of a down vCPU");
    tap_ok(times.tsc_to_system_mul, "time area: filled at once");
    uint64_t before = clock_ns(), its = clock_ns_of(&times), after = clock_ns();
    tap_ok(its + 1000000 >= before && its <= after + 1000000, "time area: it tells the same time");
    tap_is(register_runstate(1000, &runstate), -XEN_ENOENT, "runstate area: no such vCPU");
    tap_is(register_times(1000, &times), -XEN_ENOENT, "time area: no such vCPU");

    event_vcpu_info(1)->evtchn_upcall_mask = 1;
    memset(page, 0, PAGE_SIZE);
    tap_is(place(1, page_mfn(page), 64), 0, "vcpu_info of a down vCPU");
    event_moved_vcpu_info(1, info);
    tap_is(info->evtchn_upcall_mask, 1, "vcpu_info: the mask moved along");
    tap_is(info->evtchn_upcall_pending, 1, "vcpu_info: an upcall is pending");
    tap_ok(info->evtchn_pending_sel == ~0ul, "vcpu_info: everything is selected");
    tap_is(place(1, page_mfn(page), 128), -XEN_EINVAL, "vcpu_info: not twice");
    tap_is(place(1000, page_mfn(page), 128), -XEN_ENOENT, "vcpu_info: no such vCPU");
}

static volatile unsigned running, stop;
static volatile uint64_t latest, backwards;

/* Read the clock in turns: nobody may see less than anybody has seen. */
static void look(const volatile struct vcpu_time_info *t)
{
    uint64_t seen = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), now = clock_ns_of(t);

    if (now < seen)
        backwards++;
    while (now > seen &&
           !__atomic_compare_exchange_n(&latest, &seen, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}

static void second(void *argument)
{
    running = 1;
    while (!stop)
        look(&event_vcpu_info(1)->time);
    hypercall_vcpu_op(VCPUOP_down, 1, NULL);
}

static void test_busy(void)
{
    static struct vcpu_runstate_info mine;
    struct vcpu_runstate_info before;
    uint64_t give_up = clock_ns() + 20 * SECOND;

    register_runstate(0, &mine);
    tap_is(vcpu_start(1, second, NULL), 0, "start the other vCPU");
    while (!running && clock_ns() < give_up)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is(running, 1, "it runs");
    hypercall_vcpu_op(VCPUOP_get_runstate_info, 1, &before);
    const uint64_t lost = mine.time[RUNSTATE_runnable], its = before.time[RUNSTATE_runnable];
    /* Two vCPUs on one processor: until each has been put aside for the other's sake. */
    do
        look(&event_vcpu_info(0)->time);
    while ((mine.time[RUNSTATE_runnable] == lost || runstate.time[RUNSTATE_runnable] <= its) &&
           clock_ns() < give_up);
    if (mine.time[RUNSTATE_runnable] == lost && runstate.time[RUNSTATE_runnable] <= its) {
        tap_skip("each has a processor to itself", "a busy vCPU loses time to the other");
        tap_skip("each has a processor to itself", "and the other to it");
        tap_skip("each has a processor to itself", "the other's area counts what it got");
    } else {
        tap_ok(mine.time[RUNSTATE_runnable] > lost, "a busy vCPU loses time to the other");
        tap_ok(runstate.time[RUNSTATE_runnable] > its, "and the other to it");
        tap_ok(runstate.time[RUNSTATE_running] > 0, "the other's area counts what it got");
    }
    stop = 1;
    give_up = clock_ns() + 10 * SECOND;
    do {
        hypercall_sched_op(SCHEDOP_yield, NULL);
        hypercall_vcpu_op(VCPUOP_get_runstate_info, 1, &before);
    } while (before.state != RUNSTATE_offline && clock_ns() < give_up);
    tap_is(before.state, RUNSTATE_offline, "it goes down");
    if (event_vcpu_info(0)->time.flags & XEN_PVCLOCK_TSC_STABLE_BIT)
        tap_is(backwards, 0, "one clock for both");
    else
        tap_skip("the clock is not said to be stable", "one clock for both");
}

void guest_main(void)
{
    if (!vcpu_have(2, "areas of another vCPU"))
        return;
    test_down();
    test_busy();
}
