/*
 * Guest memory that faults: each operation is repeated with its first, second, ... access of guest memory faulting, until none does.
 *
 * A row says how many accesses an operation makes, and what it answers if one of them faults (-EFAULT, unless the row says
 * otherwise) and if none does.  Whether the answer's rule was recorded, and the audit, after each.
 */
/* The structures of domain 0's calls. */
#define __XEN_TOOLS__ 1

#include "suite.h"
#include "evtchn.h"
#include "runstate.h"
#include "sched.h"

#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

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

TestSuite(door, .init = start, .fini = finish);

#define ARG  (WINDOW_VA + 0x8000) /* the operation's structure */
#define LIST (WINDOW_VA + 0xa000) /* what it points to */
#define TO   ((void *)LIST)

#define FAULT (-XEN_EFAULT)
#define NEVER 1000 /* the operation is not tried without a fault */

struct row {
    const char *name;
    unsigned number;
    uint64_t arg[4];
    const void *in; /* copied to ARG */
    size_t size;
    long good;
    unsigned accesses;
    /* what it answers if access n faults and it is not -EFAULT: 1 + that, at n - 1 */
    long other[8];
    void (*before)(void);
};
#define IS(answer) (1 + (answer))

/* Ports 1, unbound, and 2, an IPI, and no other; two levels. */
static void two_ports(void)
{
    struct evtchn_reset all = {DOMID_SELF};
    struct evtchn_alloc_unbound port = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_bind_ipi ipi = {0};

    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, &all, sizeof(all)));
    assert_ok(
        guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &port, sizeof(port)));
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)));
    assert_eq_long(port.port, 1);
    assert_eq_long(ipi.port, 2);
    g.v->info->evtchn_upcall_pending = 0;
}

static void with_queues(void)
{
    struct evtchn_init_control queues = {.control_gfn = g.mfn[40]};

    two_ports();
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_init_control, &queues,
                       sizeof(queues)));
}

static void pending(void)
{
    const uint32_t ports[] = {1, 2, 3};

    two_ports();
    g.d->shared->evtchn_pending[0] = BIT(2);
    (void)machine_put(LIST - WINDOW_VA, ports, sizeof(ports));
}

static void not_initialised(void)
{
    g.d->vcpu[1]->initialised = VCPU_UNINITIALISED;
}

static void with_update_flag(void)
{
    assert_ok(hypercall(&g, vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag));
}

static void with_roles(void)
{
    g.d->roles = ROLE_CONTROL | ROLE_HARDWARE;
}

static void no_roles(void)
{
    g.d->roles = 0;
}

/* Frames 50 to 53, which nothing maps; the list names them. */
static void frames_to_give(void)
{
    for (unsigned i = 50; i < 54; i++) {
        if (guest_info(&g, i)->owner != g.d->id)
            continue;
        assert_ok(guest_protect(&g, i, 0));
        (void)machine_put(LIST - WINDOW_VA + (i - 50) * 8, &g.mfn[i], 8);
    }
}

static void pfns(void)
{
    const uint64_t list[] = {60, 61};
    (void)machine_put(LIST - WINDOW_VA, list, sizeof(list));
}

static void requests(void)
{
    mmu_update_t r[20];

    for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = (mmu_update_t){guest_l1_entry(&g, 30), guest_pte(&g, 30, RW)};
    (void)machine_put(ARG - WINDOW_VA, r, sizeof(r));
}

static void calls(void)
{
    const multicall_entry_t c[] = {{.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize}},
                                   {.op = 9999}};
    (void)machine_put(ARG - WINDOW_VA, c, sizeof(c));
}

static void a_set(void)
{
    const uint64_t vcpus = 1;
    (void)machine_put(LIST - WINDOW_VA, &vcpus, sizeof(vcpus));
}

static long call(const struct row *r)
{
    const struct hypercall_args a = {{r->arg[0], r->arg[1], r->arg[2], r->arg[3]}};

    return hypercall_dispatch(g.v, r->number, &a);
}

static void attempt(const struct row *r, unsigned n)
{
    const bool faults = n <= r->accesses;
    const long want = !faults ? r->good : r->other[n - 1] ? r->other[n - 1] - 1 : FAULT;

    if (!faults && r->good == NEVER)
        return;
    if (r->before)
        r->before();
    if (r->in)
        (void)machine_put(ARG - WINDOW_VA, r->in, r->size);
    machine_enter(g.v);
    machine.door_faults = n;
    const long rc = call(r);
    const unsigned left = machine.door_faults;
    machine.door_faults = 0;

    cr_assert(faults ? !left : left, "%s: more, or fewer, accesses than %u", r->name, r->accesses);
    cr_assert(rc == want, "%s: access %u faults: %ld instead of %ld", r->name, n, rc, want);
    cr_assert(rc != FAULT || rule_text[last_rule(g.v)].error == XEN_EFAULT,
              "%s: access %u faults: recorded is %s", r->name, n, rule_text[last_rule(g.v)].id);
    world_check();
}

static void attempt_all(const struct row *r, size_t count)
{
    for (; count--; r++)
        for (unsigned n = 1; n <= r->accesses + 1; n++)
            attempt(r, n);
}

#define EVENT(op) .name = #op, .number = __HYPERVISOR_event_channel_op, .arg = {EVTCHNOP_##op, ARG}
#define GIVE(...) .in = &(__VA_ARGS__), .size = sizeof(__VA_ARGS__)

Test(door, events)
{
    const struct row rows[] = {
        {EVENT(alloc_unbound),
         GIVE((struct evtchn_alloc_unbound){.dom = DOMID_SELF, .remote_dom = 7}), .accesses = 2,
         .before = two_ports},
        {EVENT(bind_interdomain),
         GIVE((struct evtchn_bind_interdomain){.remote_dom = DOMID_SELF, .remote_port = 1}),
         .accesses = 2, .before = two_ports},
        {EVENT(bind_virq), GIVE((struct evtchn_bind_virq){.virq = VIRQ_DEBUG}), .accesses = 2,
         .before = two_ports},
        {EVENT(bind_ipi), GIVE((struct evtchn_bind_ipi){.vcpu = 1}), .accesses = 2,
         .before = two_ports},
        {EVENT(bind_pirq), GIVE((struct evtchn_bind_pirq){.pirq = 4}), .accesses = 1,
         .good = -XEN_EPERM},
        {EVENT(close), GIVE((struct evtchn_close){1}), .accesses = 1, .before = two_ports},
        {EVENT(send), GIVE((struct evtchn_send){2}), .accesses = 1, .before = two_ports},
        {EVENT(status), GIVE((struct evtchn_status){.dom = DOMID_SELF, .port = 1}), .accesses = 2,
         .before = two_ports},
        {EVENT(bind_vcpu), GIVE((struct evtchn_bind_vcpu){.port = 1, .vcpu = 1}), .accesses = 1,
         .before = two_ports},
        {EVENT(unmask), GIVE((struct evtchn_unmask){1}), .accesses = 1, .before = two_ports},
        {EVENT(reset), GIVE((struct evtchn_reset){DOMID_SELF}), .accesses = 1, .before = two_ports},
        {EVENT(init_control), GIVE((struct evtchn_init_control){.control_gfn = g.mfn[41]}),
         .accesses = 2, .before = two_ports},
        {EVENT(expand_array), GIVE((struct evtchn_expand_array){g.mfn[41]}), .accesses = 1,
         .before = with_queues},
        {EVENT(expand_array), GIVE((struct evtchn_expand_array){g.mfn[41]}),
         .good = -XEN_EOPNOTSUPP, .accesses = 1, .before = two_ports},
        {EVENT(set_priority), GIVE((struct evtchn_set_priority){1, 3}), .accesses = 1,
         .before = with_queues},
        {EVENT(set_priority), GIVE((struct evtchn_set_priority){1, 16}), .good = -XEN_EINVAL,
         .accesses = 1, .before = with_queues},
        {EVENT(set_priority), GIVE((struct evtchn_set_priority){3, 3}), .good = -XEN_EACCES,
         .accesses = 1, .before = with_queues},
        {EVENT(set_priority), GIVE((struct evtchn_set_priority){9999, 3}), .good = -XEN_EINVAL,
         .accesses = 1, .before = with_queues},
        {EVENT(set_priority), GIVE((struct evtchn_set_priority){1, 3}), .good = -XEN_ENOSYS,
         .accesses = 1, .before = two_ports},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
}

#define VCPU(op, id) .name = #op, .number = __HYPERVISOR_vcpu_op, .arg = {VCPUOP_##op, id, ARG}
#define AREA(n)      ((struct vcpu_register_runstate_memory_area){.addr.p = LIST})
#define GONE         IS(0) /* an area that went away is the guest's own loss */

Test(door, vcpus)
{
    static struct vcpu_guest_context context;
    const struct row rows[] = {
        {VCPU(initialise, 1), .in = &context, .size = sizeof(context), .accesses = 1,
         .good = -XEN_EINVAL, .before = not_initialised},
        {VCPU(up, 1), .good = -XEN_EINVAL, .before = not_initialised},
        {VCPU(get_runstate_info, 0), .accesses = 1},
        {VCPU(register_runstate_memory_area, 0), GIVE(AREA()), .accesses = 2, .other = {0, GONE}},
        {VCPU(register_runstate_memory_area, 1), GIVE(AREA()), .accesses = 4,
         .other = {0, GONE, GONE, GONE}, .before = with_update_flag},
        {VCPU(register_vcpu_time_memory_area, 1),
         GIVE((struct vcpu_register_time_memory_area){.addr.p = LIST}), .accesses = 4,
         .other = {0, GONE, GONE, GONE}},
        {VCPU(register_vcpu_time_memory_area, 0),
         GIVE((struct vcpu_register_time_memory_area){.addr.p = HYPERVISOR_VIRT_START_}),
         .accesses = 1, .good = FAULT},
        {VCPU(set_periodic_timer, 0), GIVE((struct vcpu_set_periodic_timer){1000000}),
         .accesses = 1},
        {VCPU(set_singleshot_timer, 0), GIVE((struct vcpu_set_singleshot_timer){1, 0}),
         .accesses = 1},
        {VCPU(set_singleshot_timer, 0), GIVE((struct vcpu_set_singleshot_timer){1ull << 50, 0}),
         .accesses = 1},
        {VCPU(set_singleshot_timer, 1), .good = -XEN_EINVAL},
        {VCPU(stop_singleshot_timer, 0)},
        {VCPU(stop_singleshot_timer, 1), .good = -XEN_EINVAL},
        {VCPU(register_vcpu_info, 0),
         GIVE((struct vcpu_register_vcpu_info){.mfn = g.mfn[30], .offset = 4}), .accesses = 1,
         .good = -XEN_ENXIO},
        {VCPU(get_physid, 0), .good = -XEN_EINVAL},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
    g.d->vcpu[1]->initialised = VCPU_INITIALISED;
}

/* What was registered is written on the way to the guest: what faults there is not seen by anybody. */
Test(door, areas_on_the_way_to_the_guest)
{
    struct vcpu_time_info t = {0};

    with_update_flag();
    assert_ok(hypercall(&g, vcpu_op, VCPUOP_register_runstate_memory_area, 0,
                        machine_put(0x8000, &AREA(), sizeof(AREA())).va));
    assert_ok(hypercall(&g, vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0,
                        machine_put(0x8000, &(uint64_t){LIST + 256}, 8).va));
    for (unsigned n = 1; n <= 7; n++) {
        vcpu_time_expire(g.v);
        machine.door_faults = n;
        vcpu_publish_areas(g.v);
        cr_assert(n == 7 ? machine.door_faults : !machine.door_faults, "access %u", n);
        machine.door_faults = 0;
    }
    machine_get(&t, LIST - WINDOW_VA + 256, sizeof(t));
    assert_eq_long(t.version % 2, 0);
    cr_assert(t.version, "nothing was published");
    struct vcpu_runstate_info s;
    machine_get(&s, LIST - WINDOW_VA, sizeof(s));
    assert_eq_long(s.state, RUNSTATE_running);
    cr_assert(!(s.state_entry_time & XEN_RUNSTATE_UPDATE));
}

#define SCHEDULER(op) .name = #op, .number = __HYPERVISOR_sched_op, .arg = {SCHEDOP_##op, ARG}

Test(door, scheduler)
{
    const struct row rows[] = {
        {SCHEDULER(shutdown), .accesses = 1, .good = NEVER},
        {SCHEDULER(shutdown_code), GIVE((struct sched_shutdown){SHUTDOWN_poweroff}), .accesses = 1},
        {SCHEDULER(remote_shutdown), GIVE((struct sched_remote_shutdown){.domain_id = 9}),
         .accesses = 1, .good = -XEN_EPERM},
        {SCHEDULER(watchdog), GIVE((struct sched_watchdog){.id = 3}), .accesses = 1,
         .good = -XEN_EINVAL},
        {SCHEDULER(pin_override), .good = -XEN_EPERM},
        {SCHEDULER(pin_override), GIVE((int32_t){-1}), .accesses = 1, .before = with_roles},
        {SCHEDULER(pin_override), GIVE((int32_t){64}), .accesses = 1, .good = -XEN_EINVAL,
         .before = with_roles},
        {SCHEDULER(pin_override), GIVE((int32_t){7}), .accesses = 1, .good = -XEN_EINVAL,
         .before = with_roles},
        {SCHEDULER(pin_override), GIVE((int32_t){0}), .accesses = 1, .before = with_roles},
        {SCHEDULER(pin_override), GIVE((int32_t){0}), .accesses = 1, .before = with_roles},
        {SCHEDULER(pin_override), GIVE((int32_t){-1}), .accesses = 1, .before = with_roles},
        {SCHEDULER(poll), GIVE((struct sched_poll){.ports.p = TO, .nr_ports = 3}), .accesses = 3,
         .before = pending},
        {SCHEDULER(poll), GIVE((struct sched_poll){.ports.p = TO, .nr_ports = 129}), .accesses = 1,
         .good = -XEN_EINVAL},
        {SCHEDULER(poll),
         GIVE((struct sched_poll){.ports.p = (void *)HYPERVISOR_VIRT_START_, .nr_ports = 1}),
         .accesses = 1, .good = FAULT},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
    cr_assert(!g.d->shut_down && !g.d->pollers);
    assert_eq_long(g.v->affinity, 1);
    g.d->roles = 0;
}

#define MEMORY(op) .name = #op, .number = __HYPERVISOR_memory_op, .arg = {XENMEM_##op, ARG}
#define LISTED(n) \
    ((struct xen_memory_reservation){.extent_start.p = TO, .nr_extents = n, .domid = DOMID_SELF})

Test(door, memory)
{
    const struct row rows[] = {
        {MEMORY(increase_reservation), GIVE(LISTED(2)), .accesses = 3, .good = 2,
         .other = {IS(0), IS(0), IS(1)}, .before = pfns},
        {MEMORY(populate_physmap), GIVE(LISTED(2)), .accesses = 5, .good = 2,
         .other = {IS(0), IS(0), IS(0), IS(1), IS(1)}, .before = pfns},
        {MEMORY(decrease_reservation), GIVE(LISTED(1)), .accesses = 2, .good = 1,
         .other = {IS(0), IS(0)}, .before = frames_to_give},
        {MEMORY(exchange), GIVE((struct xen_memory_exchange){.in = LISTED(1), .out = LISTED(2)}),
         .accesses = 2, .good = -XEN_EINVAL},
        {MEMORY(current_reservation), GIVE((struct xen_memory_domain){DOMID_SELF}), .accesses = 1,
         .good = NEVER},
        {MEMORY(maximum_reservation), GIVE((struct xen_memory_domain){9}), .accesses = 1,
         .good = -XEN_EPERM},
        {MEMORY(memory_map), GIVE((struct xen_memory_map){.nr_entries = 5, .buffer.p = TO}),
         .accesses = 3},
        {MEMORY(memory_map), GIVE((struct xen_memory_map){.nr_entries = 0}), .accesses = 2},
        {MEMORY(machine_memory_map), .good = -XEN_EPERM},
        {MEMORY(machphys_mapping), .accesses = 1},
        {MEMORY(machphys_mfn_list),
         GIVE((struct xen_machphys_mfn_list){.max_extents = 1, .extent_start.p = TO}),
         .accesses = 3},
        {MEMORY(set_memory_map), GIVE((struct xen_foreign_memory_map){.domid = DOMID_SELF}),
         .accesses = 1},
        {MEMORY(set_memory_map), GIVE((struct xen_foreign_memory_map){.domid = 9}), .accesses = 1,
         .good = -XEN_EPERM},
        {MEMORY(get_vnumainfo), .good = -XEN_EOPNOTSUPP},
        {MEMORY(memory_map), GIVE((struct xen_memory_map){.nr_entries = 5, .buffer.p = TO}),
         .accesses = 1, .good = -XEN_ENOSYS, .before = with_roles},
        {MEMORY(machine_memory_map), GIVE((struct xen_memory_map){.nr_entries = 0}), .accesses = 2,
         .before = with_roles},
        {MEMORY(machine_memory_map), GIVE((struct xen_memory_map){.nr_entries = 0, .buffer.p = TO}),
         .accesses = 1, .good = -XEN_EINVAL, .before = with_roles},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
    no_roles();
}

/* A chunk that was exchanged stays so when the answer cannot be written; one whose input faults is not touched. */
Test(door, exchange)
{
    struct xen_memory_exchange e = {.in = LISTED(1), .out = LISTED(1)};
    const uint64_t pfn = 50;

    e.out.extent_start.p = (void *)(LIST + 256);
    for (unsigned n = 1; n <= 6; n++) {
        const uint64_t mine = g.mfn[50];
        const uint32_t had = g.d->tot_pages;
        (void)machine_put(LIST - WINDOW_VA, &mine, 8);
        (void)machine_put(LIST - WINDOW_VA + 256, &pfn, 8);
        (void)machine_put(ARG - WINDOW_VA, &e, sizeof(e));
        assert_ok(guest_protect(&g, 50, 0));
        machine_enter(g.v);
        machine.door_faults = n;
        const struct hypercall_args a = {{XENMEM_exchange, ARG}};
        assert_eq_long(hypercall_dispatch(g.v, __HYPERVISOR_memory_op, &a), n == 6 ? 0 : FAULT);
        machine.door_faults = 0;
        assert_eq_long(g.d->tot_pages, had);
        const bool swapped =
            mfn_to_page(mfn(mine))->owner != g.d->id || machine_to_phys[mine] != pfn;
        assert_eq_long(swapped, n > 2);
        world_check();
        for (uint64_t m = 0; swapped && m < max_mfn; m++)
            if (mfn_to_page(mfn(m))->owner == g.d->id &&
                (machine_to_phys[m] == pfn || machine_to_phys[m] == M2P_INVALID) &&
                !(mfn_to_page(mfn(m))->state & PAGE_SHARED)) {
                g.mfn[50] = m;
                machine_to_phys[m] = pfn;
            }
    }
}

#define GRANTS(op) \
    .name = #op, .number = __HYPERVISOR_grant_table_op, .arg = {GNTTABOP_##op, ARG, 1}

static int16_t setup_status(void)
{
    struct gnttab_setup_table t;

    machine_get(&t, ARG - WINDOW_VA, sizeof(t));
    return t.status;
}

Test(door, grants)
{
    const struct row setup = {
        GRANTS(setup_table),
        GIVE((struct gnttab_setup_table){.dom = DOMID_SELF, .nr_frames = 2, .frame_list.p = TO}),
        .accesses = 4, .other = {0, IS(0), IS(0)}};
    const struct row rows[] = {
        {GRANTS(setup_table), GIVE((struct gnttab_setup_table){.dom = 9}), .accesses = 2},
        {GRANTS(query_size), GIVE((struct gnttab_query_size){.dom = DOMID_SELF}), .accesses = 2},
        {GRANTS(set_version), GIVE((struct gnttab_set_version){1}), .accesses = 2},
        {GRANTS(set_version), GIVE((struct gnttab_set_version){3}), .accesses = 2,
         .good = -XEN_EINVAL},
        {GRANTS(get_version), GIVE((struct gnttab_get_version){.dom = DOMID_SELF}), .accesses = 2},
        {GRANTS(get_status_frames), GIVE((struct gnttab_get_status_frames){.dom = DOMID_SELF}),
         .accesses = 2},
        {GRANTS(map_grant_ref), GIVE((struct gnttab_map_grant_ref){.ref = 9}), .accesses = 4},
        {GRANTS(unmap_grant_ref), GIVE((struct gnttab_unmap_grant_ref){.handle = 9}),
         .accesses = 4},
        {GRANTS(unmap_and_replace), GIVE((struct gnttab_unmap_and_replace){.handle = 9}),
         .accesses = 4},
        {GRANTS(copy), GIVE((struct gnttab_copy){.len = 9}), .accesses = 6},
        {GRANTS(swap_grant_ref), GIVE((struct gnttab_swap_grant_ref){.ref_a = 9}), .accesses = 2},
        {GRANTS(cache_flush), GIVE((struct gnttab_cache_flush){.op = 1}), .accesses = 1},
        {GRANTS(get_version), GIVE((struct gnttab_get_version){.dom = 9}), .accesses = 1,
         .good = -XEN_EPERM},
        {GRANTS(get_version), GIVE((struct gnttab_get_version){.dom = 9}), .accesses = 1,
         .good = -XEN_ESRCH, .before = with_roles},
    };
    for (unsigned n = 1; n <= 5; n++) {
        attempt(&setup, n);
        if (n == 2 || n == 3)
            assert_eq_long(setup_status(), GNTST_bad_virt_addr);
    }
    assert_eq_long(setup_status(), GNTST_okay);
    attempt_all(rows, ARRAY_SIZE(rows));
    no_roles();
}

#define VERSION(cmd) .name = #cmd, .number = __HYPERVISOR_xen_version, .arg = {XENVER_##cmd, ARG}

Test(door, version)
{
    const struct row rows[] = {
        {VERSION(extraversion), .accesses = 1},
        {VERSION(compile_info), .accesses = 1},
        {VERSION(capabilities), .accesses = 1},
        {VERSION(changeset), .accesses = 1},
        {VERSION(platform_parameters), .accesses = 1},
        {VERSION(get_features), GIVE((xen_feature_info_t){0}), .accesses = 2},
        {VERSION(guest_handle), .accesses = 1},
        {VERSION(commandline), .accesses = 1},
        {VERSION(build_id), .good = -XEN_EPERM},
        {VERSION(build_id), GIVE((xen_build_id_t){.len = 0}), .accesses = 1, .good = -XEN_EINVAL,
         .before = with_roles},
        {VERSION(build_id), GIVE((uint32_t[2]){20}), .accesses = 1, .good = -XEN_ENODATA,
         .before = with_roles},
        {VERSION(commandline), .accesses = 1, .before = with_roles},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
    no_roles();
}

#define CONTROL(call, ...) \
    .name = #call, .number = __HYPERVISOR_##call, .arg = {ARG}, GIVE(__VA_ARGS__)

Test(door, control)
{
    const struct row rows[] = {
        {CONTROL(domctl, (struct xen_domctl){.cmd = XEN_DOMCTL_getdomaininfo,
                                             .interface_version = XEN_DOMCTL_INTERFACE_VERSION}),
         .accesses = 2, .before = with_roles},
        {CONTROL(sysctl, (struct xen_sysctl){.cmd = XEN_SYSCTL_sched_id,
                                             .interface_version = XEN_SYSCTL_INTERFACE_VERSION}),
         .accesses = 2, .before = with_roles},
        {CONTROL(platform_op,
                 (struct xen_platform_op){.cmd = XENPF_settime64,
                                          .interface_version = XENPF_INTERFACE_VERSION}),
         .accesses = 1, .before = with_roles},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
    no_roles();
}

#define CONSOLE(cmd, n) \
    .name = #cmd, .number = __HYPERVISOR_console_io, .arg = {CONSOLEIO_##cmd, n, ARG}

Test(door, page_tables_and_batches)
{
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_MULTI};
    flush.arg2.vcpumask.p = TO;
    const struct row rows[] = {
        /* A batch that is not whole is read one by one: 16 + 1, or 4 and 4 single ones. */
        {"mmu_update",
         __HYPERVISOR_mmu_update,
         {ARG, 20, LIST, DOMID_SELF},
         .accesses = 3,
         .other = {IS(0), IS(0), IS(0)},
         .before = requests},
        {"mmuext_op",
         __HYPERVISOR_mmuext_op,
         {ARG, 1, LIST + 64, DOMID_SELF},
         GIVE(flush),
         .accesses = 3,
         .other = {0, IS(-XEN_EINVAL), IS(0)},
         .before = a_set},
        {"update_va_mapping",
         __HYPERVISOR_update_va_mapping,
         {guest_va(30), guest_pte(&g, 30, RW), LIST | UVMF_TLB_FLUSH},
         .accesses = 1,
         .before = a_set},
        {"update_va_mapping",
         __HYPERVISOR_update_va_mapping,
         {guest_va(30), guest_pte(&g, 30, RW), LIST | UVMF_INVLPG},
         .accesses = 1,
         .before = a_set},
        {"multicall", __HYPERVISOR_multicall, {ARG, 2}, .accesses = 4, .before = calls},
        {CONSOLE(write, 200), .accesses = 2, .before = with_roles},
        {CONSOLE(write, 1), .good = -XEN_EPERM, .before = no_roles},
        {CONSOLE(read, ~0u), .good = -XEN_E2BIG, .before = with_roles},
    };
    attempt_all(rows, ARRAY_SIZE(rows));
    no_roles();
}
