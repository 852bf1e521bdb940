/*
 * Question: does vcpu_op let a vCPU put its shared structures where it wants,
 * and only there?
 *
 * vcpu_info may move out of shared_info once, to any 64 bytes that do not cross
 * a page; pending events must move along.  The runstate and time areas are
 * guest addresses that the hypervisor writes when it likes: one that becomes
 * unmapped is skipped, not a fault.
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

COVERS_CALL(vcpu_op);
COVERS(vcpu_op, VCPUOP_is_up);
COVERS(vcpu_op, VCPUOP_get_runstate_info);
COVERS(vcpu_op, VCPUOP_register_runstate_memory_area);
COVERS(vcpu_op, VCPUOP_register_vcpu_time_memory_area);
COVERS(vcpu_op, VCPUOP_register_vcpu_info);
COVERS(vcpu_op, VCPUOP_get_physid);

static void test_is_up(void)
{
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 0, NULL), 1, "is_up: vCPU 0");
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 1000, NULL), -XEN_ENOENT, "is_up: vCPU 1000");
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 8191, NULL), -XEN_ENOENT, "is_up: vCPU 8191");
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, ~0u, NULL), -XEN_ENOENT, "is_up: vCPU ~0");
    tap_is(hypercall_vcpu_op(14, 0, NULL), -XEN_ENOSYS, "no operation 14");
    tap_is(hypercall_vcpu_op(~0, 0, NULL), -XEN_ENOSYS, "no operation ~0");
    tap_is(hypercall_vcpu_op(14, 1000, NULL), -XEN_ENOENT, "no vCPU comes before no operation");
}

static uint64_t sum(const struct vcpu_runstate_info *r)
{
    return r->time[0] + r->time[1] + r->time[2] + r->time[3];
}

static void test_runstate(void)
{
    struct vcpu_runstate_info r = {.state = -1};
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area reg = {.addr = {.v = &area}};

    tap_is(hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &r), 0, "get_runstate_info");
    tap_is(r.state, RUNSTATE_running, "runstate: running");
    tap_ok(r.state_entry_time <= clock_ns(), "runstate: entered in the past");
    tap_ok(sum(&r) > 0, "runstate: times are counted");
    tap_is(hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, (void *)0x1000), -XEN_EFAULT,
           "get_runstate_info: an unmapped argument");

    area.state = -1;
    tap_is(hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0,
           "register_runstate_memory_area");
    tap_is(area.state, RUNSTATE_running, "the area is filled at once");
    uint64_t blocked = area.time[RUNSTATE_blocked];
    struct sched_poll poll;
    uint64_t give_up = clock_ns() + 10000000000ul;
    do { /* when the processor is away for longer than the wait, the poll does not block */
        poll = (struct sched_poll){.timeout = clock_ns() + 3000000};
        hypercall_sched_op(SCHEDOP_poll, &poll);
    } while (area.time[RUNSTATE_blocked] == blocked && clock_ns() < give_up);
    tap_ok(area.time[RUNSTATE_blocked] > blocked, "the area counts blocked time");
    tap_ok(!(area.state_entry_time & XEN_RUNSTATE_UPDATE), "the update flag is off");
    hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag);
    poll.timeout = clock_ns() + 1000000;
    hypercall_sched_op(SCHEDOP_poll, &poll);
    tap_ok(!(area.state_entry_time & XEN_RUNSTATE_UPDATE),
           "with the assist it is off after updates");

    tap_is(hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, (void *)0x1000), -XEN_EFAULT,
           "register_runstate_memory_area: an unmapped argument");
    reg.addr.v = (void *)0x1000;
    tap_is(hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0,
           "an area that is not mapped is accepted");
    poll.timeout = clock_ns() + 1000000;
    tap_is(hypercall_sched_op(SCHEDOP_poll, &poll), 0, "and skipped");
    reg.addr.v = (void *)0xffff830000000000;
    tap_is(hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), -XEN_EFAULT,
           "an area of the hypervisor's is refused");
    reg.addr.v = NULL;
    hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
}

static void test_time_area(void)
{
    static struct vcpu_time_info area;
    struct vcpu_register_time_memory_area reg = {.addr = {.v = &area}};

    tap_is(hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &reg), 0,
           "register_vcpu_time_memory_area");
    tap_ok(area.tsc_to_system_mul, "the area is filled at once");
    uint64_t before = clock_ns(), a = clock_ns_of(&area), after = clock_ns();
    tap_ok(a + 1000000 >= before && a <= after + 1000000, "it tells the same time");
    reg.addr.v = (void *)0xffff830000000000;
    tap_is(hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &reg), -XEN_EFAULT,
           "an area of the hypervisor's is refused");
    tap_is(hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, (void *)0x1000), -XEN_EFAULT,
           "register_vcpu_time_memory_area: an unmapped argument");
}

static long place(unsigned long mfn, unsigned offset)
{
    struct vcpu_register_vcpu_info arg = {.mfn = mfn, .offset = offset};
    return hypercall_vcpu_op(VCPUOP_register_vcpu_info, 0, &arg);
}

static void test_vcpu_info(void)
{
    char *page = page_alloc();
    unsigned long mfn = page_mfn(page);
    evtchn_port_t p;

    event_bind_ipi(0, &p);
    event_unmask_bit(p);
    event_disable();
    event_send(p);

    tap_is(place(mfn, PAGE_SIZE - 63), -XEN_ENXIO, "vcpu_info: crosses the page");
    tap_is(place(mfn, PAGE_SIZE), -XEN_ENXIO, "vcpu_info: behind the page");
    tap_is(place(mfn, ~0u), -XEN_ENXIO, "vcpu_info: offset ~0");
    tap_is(place(mfn, 4), -XEN_ENXIO, "vcpu_info: misaligned");
    tap_is(place(0xffffffffff, 0), -XEN_EINVAL, "vcpu_info: a frame beyond memory");
    tap_is(place(0x100, 0), -XEN_EINVAL, "vcpu_info: a frame of the hypervisor's");
    tap_is(place(memory_root_mfn(), 0), -XEN_EINVAL, "vcpu_info: a page table");
    tap_is(hypercall_vcpu_op(VCPUOP_register_vcpu_info, 0, (void *)0x1000), -XEN_EFAULT,
           "vcpu_info: an unmapped argument");
    tap_is(place(mfn, 128), 0, "vcpu_info: moved");

    vcpu_info_t *info = (vcpu_info_t *)(page + 128);
    event_moved_vcpu_info(0, info);
    tap_is(info->evtchn_upcall_mask, 1, "the mask moved along");
    tap_is(info->evtchn_upcall_pending, 1, "an upcall is pending");
    tap_ok(info->time.tsc_to_system_mul, "the clock moved along");
    unsigned n = event_count(p);
    event_enable();
    tap_is(event_count(p) - n, 1, "the pending event was not lost");
    event_send(p);
    tap_is(event_count(p) - n, 2, "new events use the new place");
    event_disable();
    tap_is(place(mfn, 256), -XEN_EINVAL, "vcpu_info: not twice");
    tap_is(page_protect(page, PTE_RO), 0, "its page may be made read-only by us");
    page_protect(page, PTE_RW);
    tap_is(mmuext(MMUEXT_PIN_L1_TABLE, mfn), -XEN_EINVAL, "but never becomes a page table");
    event_close(p);
}

static void test_physid(void)
{
    struct vcpu_get_physid id = {0};
    long rc = hypercall_vcpu_op(VCPUOP_get_physid, 0, &id);
    tap_ok(rc == 0 || rc == -XEN_EINVAL || rc == -XEN_EPERM, "get_physid: an id, or not pinned");
}

void guest_main(void)
{
    test_is_up();
    test_runstate();
    test_time_area();
    test_vcpu_info();
    test_physid();
}
