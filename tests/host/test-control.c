/* The control role: who may ask, in which order it is refused, what is told of domains, and the hypervisor's log. */
#define __XEN_TOOLS__ 1

#include "suite.h"
#include "control.h"
#include "domain-config.h"
#include "evtchn.h"
#include "grant-table.h"
#include "log.h"
#include "sched.h"

#include <xen/memory.h>

static struct guest g, other;

/* While the caller waits for an end the idle vCPU of its CPU works. */
static void work(void)
{
    machine.while_spinning = NULL;
    machine_run_work();
    machine_advance(2000000);
    machine_enter(g.v);
    machine.while_spinning = work;
}

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 64, 2);
    guest_create(&other, 7, 32, 1);
    g.d->roles = ROLE_CONTROL;
    machine_enter(g.v);
    machine.while_spinning = work;
}

static void finish(void)
{
    machine.while_spinning = NULL;
    world_check();
    guest_destroy(&other);
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(control, .init = start, .fini = finish);

static long domctl(struct xen_domctl *op, uint32_t cmd, domid_t domain)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = domain;
    long rc = hypercall(&g, domctl, machine_put(0x8000, op, sizeof(*op)).va);
    machine_get(op, 0x8000, sizeof(*op));
    return rc;
}

static long sysctl(struct xen_sysctl *op, uint32_t cmd)
{
    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    long rc = hypercall(&g, sysctl, machine_put(0x8000, op, sizeof(*op)).va);
    machine_get(op, 0x8000, sizeof(*op));
    return rc;
}

/* Nothing about other domains can be told from the answer to one that has no role. */
Test(control, without_the_role_all_domains_look_alike)
{
    struct xen_domctl op = {0};
    const domid_t ids[] = {1, 7, 8, DOMID_SELF, DOMID_FIRST_RESERVED};

    g.d->roles = ROLE_HARDWARE | ROLE_CONSOLE | ROLE_XENSTORE;
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuinfo, ids[i]), ROLE_MISSING);
    g.d->roles = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        assert_refused(&g, domctl(&op, XEN_DOMCTL_getdomaininfo, ids[i]), ROLE_MISSING);
}

Test(control, who_serves_the_store_is_told_which_domains_there_are)
{
    struct xen_domctl op = {0};

    g.d->roles = ROLE_XENSTORE;
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 7));
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getvcpuinfo, 7), ROLE_MISSING);
}

Test(control, domain_info_is_about_the_next_domain)
{
    struct xen_domctl op = {0};

    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 0));
    assert_eq_long(op.domain, 1);
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 2));
    assert_eq_long(op.domain, 7);
    assert_eq_long(op.u.getdomaininfo.domain, 7);
    assert_eq_long(op.u.getdomaininfo.tot_pages, other.d->tot_pages);
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 8));
    assert_eq_long(op.domain, 1000); /* the world's own */
    assert_refused(&g, domctl(&op, XEN_DOMCTL_getdomaininfo, 1001), CONTROL_DOMAIN_MISSING);
}

Test(control, domain_info_tells_how_a_domain_ended)
{
    struct xen_domctl op = {0};

    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 7));
    assert_eq_long(op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift, 0xffff);
    /* In between, when nobody has said yet how, it has not ended: the reason would be taken for "poweroff". */
    other.d->shut_down = true;
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 7));
    assert_eq_long(op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift, 0xffff);
    assert_eq_long(op.u.getdomaininfo.flags & XEN_DOMINF_shutdown, 0);
    other.d->shutdown_code = SHUTDOWN_reboot;
    other.d->shutdown_code_set = true;
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 7));
    assert_eq_long(op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift, SHUTDOWN_reboot);
    assert_eq_long(op.u.getdomaininfo.flags & XEN_DOMINF_shutdown, XEN_DOMINF_shutdown);
    other.d->shut_down = other.d->shutdown_code_set = false;
}

Test(control, a_vcpu_that_is_down_is_not_counted)
{
    struct xen_domctl op = {0};

    vcpu_pause(g.d->vcpu[1], PAUSE_DOWN);
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, 1));
    assert_eq_long(op.u.getdomaininfo.nr_online_vcpus, 1);
    assert_eq_long(op.u.getdomaininfo.max_vcpu_id, 1);
    op.u.getvcpuinfo.vcpu = 1;
    assert_ok(domctl(&op, XEN_DOMCTL_getvcpuinfo, 1));
    assert_eq_long(op.u.getvcpuinfo.online, 0);
}

Test(control, the_list_stops_where_there_is_no_room)
{
    struct xen_sysctl op = {0};

    op.u.getdomaininfolist.max_domains = 1;
    op.u.getdomaininfolist.buffer.p = (void *)machine_put(0x9000, "", 1).va;
    assert_ok(sysctl(&op, XEN_SYSCTL_getdomaininfolist));
    assert_eq_long(op.u.getdomaininfolist.num_domains, 1);
    op.u.getdomaininfolist.first_domain = 2;
    op.u.getdomaininfolist.max_domains = 3;
    assert_ok(sysctl(&op, XEN_SYSCTL_getdomaininfolist));
    assert_eq_long(op.u.getdomaininfolist.num_domains, 2); /* the other, and the world's own */
}

Test(control, parameters_of_the_scheduler_are_told_and_set)
{
    struct xen_domctl op = {0};

    other.d->weight = 512;
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    assert_ok(domctl(&op, XEN_DOMCTL_scheduler_op, 7));
    assert_eq_long(op.u.scheduler_op.u.credit2.weight, 512);
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.credit2.weight = 99;
    assert_ok(domctl(&op, XEN_DOMCTL_scheduler_op, 7));
    assert_eq_long(other.d->weight, 99);
    assert_eq_long(other.v->sched.weight, 99);
    op.u.scheduler_op.u.credit2.weight = 0;
    op.u.scheduler_op.u.credit2.cap = 30;
    assert_ok(domctl(&op, XEN_DOMCTL_scheduler_op, 7));
    assert_eq_long(other.d->weight, 99);
    assert_eq_long(other.d->cap, 30);
}

/* Whoever a cap has stopped goes on when there is none any more: the period that would have let it go on needs a cap. */
Test(control, a_cap_that_ends_lets_go)
{
    struct xen_domctl op = {0};

    other.d->cap = 10;
    sched_domain_charge(other.d, 10 * SCHED_CAP_PERIOD);
    assert_eq_long(other.v->pause & PAUSE_CAPPED, PAUSE_CAPPED);
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    assert_ok(domctl(&op, XEN_DOMCTL_scheduler_op, 7));
    machine_advance(1);
    assert_eq_long(other.v->pause & PAUSE_CAPPED, 0);
}

/* --- a domain that is made here --- */

static struct xen_domctl wanted(void)
{
    return (struct xen_domctl){.u.createdomain = {.max_vcpus = 2,
                                                  .max_evtchn_port = 5,
                                                  .max_grant_frames = 2,
                                                  .max_maptrack_frames = 1,
                                                  .grant_opts = XEN_DOMCTL_GRANT_version(1)}};
}

static struct domain *make(domid_t *id)
{
    struct xen_domctl op = wanted();

    assert_ok(domctl(&op, XEN_DOMCTL_createdomain, 0));
    *id = op.domain;
    struct domain *d = domain_get(*id);
    cr_assert(d);
    op.u.max_vcpus.max = 2;
    assert_ok(domctl(&op, XEN_DOMCTL_max_vcpus, *id));
    op.u.max_mem.max_memkb = 64;
    assert_ok(domctl(&op, XEN_DOMCTL_max_mem, *id));
    domain_put(d);
    return d;
}

static void destroy(domid_t id)
{
    struct xen_domctl op = {0};

    assert_ok(domctl(&op, XEN_DOMCTL_destroydomain, id));
    cr_assert(domain_number_free(id));
}

static long populate(domid_t id, unsigned n)
{
    xen_pfn_t list[16] = {0};
    struct xen_memory_reservation r = {.nr_extents = n, .domid = id};

    r.extent_start.p = (void *)machine_put(0x9000, list, sizeof(list)).va;
    return guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r));
}

static long claim(domid_t id, uint64_t n)
{
    struct xen_memory_reservation r = {.nr_extents = n, .domid = id};

    return guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_claim_pages, &r, sizeof(r));
}

Test(control, a_domain_is_made_and_ended)
{
    domid_t id;
    struct domain *d = make(&id);

    cr_assert(d->managed && !d->started && d->pauses == 1);
    assert_eq_long(d->vcpu[1]->pause & PAUSE_CONTROL, PAUSE_CONTROL);
    assert_eq_long(populate(id, 3), 3);
    world_check();
    destroy(id);
}

/* At each step of being made it can be ended, and what is made after that is refused. */
Test(control, what_is_dying_gets_nothing)
{
    struct xen_domctl op = {0};
    domid_t id;
    struct domain *d = make(&id);

    assert_ok(claim(id, 8));
    cr_assert(page_get(mfn_to_page(virt_to_mfn(d->shared)), d)); /* somebody maps a page of it */
    assert_ok(domctl(&op, XEN_DOMCTL_destroydomain, id));
    cr_assert(d->dying);
    assert_eq_long(d->claimed, 0);
    op.u.max_vcpus.max = 2;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_max_vcpus, id), CONTROL_DYING);
    struct vcpu_guest_context c = {.user_regs.rip = 1};
    op.u.vcpucontext.vcpu = 0;
    op.u.vcpucontext.ctxt.p = (void *)machine_put(0xa000, &c, sizeof(c)).va;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpucontext, id), CONTROL_DYING);
    assert_eq_long(populate(id, 1), 0);
    assert_refused(&g, claim(id, 8), CLAIM_RANGE);
    assert_ok(domctl(&op, XEN_DOMCTL_getdomaininfo, id));
    assert_eq_long(op.domain, id); /* a zombie is listed, as long as it holds something */
    assert_eq_long(op.u.getdomaininfo.flags & XEN_DOMINF_dying, XEN_DOMINF_dying);
    page_put(mfn_to_page(virt_to_mfn(d->shared)));
    for (unsigned i = 0; i < 20 && !domain_number_free(id); i++) {
        machine_advance(10000000);
        work();
    }
    cr_assert(domain_number_free(id));
}

/* The page that all may map is the next domain's only when nobody has the last one's. */
Test(control, claims_are_what_others_do_not_get)
{
    domid_t id;
    struct domain *d = make(&id);
    const uint64_t free = page_free_count();

    d->max_pages = 100000;
    assert_refused(&g, claim(id, free + 1), CLAIM_NO_MEMORY);
    assert_refused(&g, claim(id, free - PAGE_LEAVE_US + 1), CLAIM_NO_MEMORY);
    assert_ok(claim(id, free - 300));
    assert_refused(&g, claim(id, 10), CLAIMED_ALREADY);
    g.d->max_pages = 100000;
    assert_eq_long(populate(g.d->id, 16) < 16, free < 300 + 256 + 16 ? 1 : 0);
    assert_eq_long(populate(id, 16), 16);
    assert_eq_long(d->claimed, free - 300 - 16);
    assert_ok(claim(id, 0));
    assert_eq_long(d->claimed, 0);
    destroy(id);
}

/* Its ports are there before its vCPUs. */
Test(control, an_event_for_who_has_no_vcpu_yet_is_nobodys)
{
    struct xen_domctl op = wanted();
    struct evtchn_alloc_unbound offer = {.remote_dom = 1};
    struct evtchn_bind_interdomain bind = {0};

    assert_ok(domctl(&op, XEN_DOMCTL_createdomain, 0));
    offer.dom = bind.remote_dom = op.domain;
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &offer,
                       sizeof(offer)));
    bind.remote_port = offer.port;
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, &bind,
                       sizeof(bind)));
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &bind.local_port, 4));
    struct domain *d = domain_get(op.domain);
    evtchn_set_pending(d, offer.port);
    domain_put(d);
    destroy(op.domain);
}

/* As long as it is paused by who may. */
Test(control, ports_of_a_paused_domain_are_reset)
{
    domid_t id;
    struct domain *d = make(&id);
    struct evtchn_reset reset = {.dom = id};
    struct xen_domctl op = {0};

    assert_eq_long(evtchn_alloc_unbound(d, 1), 1);
    assert_ok(domctl(&op, XEN_DOMCTL_unpausedomain, id));
    assert_refused(
        &g, guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, &reset, sizeof(reset)),
        RESET_DOMAIN_NOT_PAUSED);
    assert_ok(domctl(&op, XEN_DOMCTL_pausedomain, id));
    assert_ok(guest_op(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, &reset, sizeof(reset)));
    assert_eq_long(evtchn_alloc_unbound(d, 1), 1); /* free again */
    destroy(id);
}

/* What may run is not paused by being made late. */
Test(control, a_vcpu_that_is_made_after_the_start_is_not_paused)
{
    struct xen_domctl op = wanted();

    assert_ok(domctl(&op, XEN_DOMCTL_createdomain, 0));
    const domid_t id = op.domain;
    assert_ok(domctl(&op, XEN_DOMCTL_unpausedomain, id));
    op.u.max_vcpus.max = 2;
    assert_ok(domctl(&op, XEN_DOMCTL_max_vcpus, id));
    struct domain *d = domain_get(id);
    assert_eq_long(d->vcpu[0]->pause, PAUSE_DOWN);
    domain_put(d);
    destroy(id);
}

/* Somebody's handle of a grant, say: whoever ends a domain does not wait for that. */
Test(control, an_end_does_not_wait_for_others_references)
{
    struct xen_domctl op = {0};
    domid_t id;

    make(&id);
    struct domain *d = domain_get(id);
    assert_ok(domctl(&op, XEN_DOMCTL_destroydomain, id));
    cr_assert(!domain_number_free(id));
    domain_put(d);
    for (unsigned i = 0; i < 20 && !domain_number_free(id); i++) {
        machine_advance(10000000);
        work();
    }
    cr_assert(domain_number_free(id));
}

Test(control, a_number_that_comes_again_is_not_given_out)
{
    struct xen_domctl op = wanted();

    domain_number_keep(9, true);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_createdomain, 9), CREATE_NUMBER_TAKEN);
    domain_number_keep(9, false);
    op = wanted();
    assert_ok(domctl(&op, XEN_DOMCTL_createdomain, 9));
    destroy(9);
}

Test(control, limits_are_kept)
{
    domid_t id;
    struct domain *d = make(&id);
    long port = 0;

    for (unsigned i = 0; i < 5; i++) {
        port = evtchn_alloc_unbound(d, 1);
        assert_eq_long(port, i + 1);
    }
    cr_assert(evtchn_alloc_unbound(d, 1) == -XEN_ENOSPC);
    cr_assert(grant_table_grow(d, 2) && !grant_table_grow(d, 3));
    assert_refused(&g, grant_table_set_version(d, 2), GRANT_VERSION_LIMIT);
    destroy(id);
}

Test(control, a_cpu_policy_only_takes_away)
{
    struct xen_domctl op = {0};
    domid_t id;
    struct domain *d = make(&id);
    xen_cpuid_leaf_t leaf = {.leaf = 1, .subleaf = XEN_CPUID_NO_SUBLEAF, .d = 0xfff3}, read[3];

    op.u.cpu_policy.nr_leaves = 1;
    op.u.cpu_policy.leaves.p = (void *)machine_put(0xa000, &leaf, sizeof(leaf)).va;
    assert_ok(domctl(&op, XEN_DOMCTL_set_cpu_policy, id));
    op.u.cpu_policy.nr_leaves = 3;
    assert_ok(domctl(&op, XEN_DOMCTL_get_cpu_policy, id));
    machine_get(read, 0xa000, sizeof(read));
    assert_eq_long(read[0].d, 0xff);
    assert_eq_long(read[1].d, 0xf3);
    op.u.cpu_policy.nr_leaves = 2;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_get_cpu_policy, id), POLICY_NO_ROOM);
    op.u.cpu_policy.nr_leaves = 1000000;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_set_cpu_policy, id), POLICY_TOO_LONG);
    op.u.cpu_policy.nr_leaves = 1;
    d->started = true;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_set_cpu_policy, id), POLICY_FIXED);
    destroy(id);
}

/* What Xen serves and is refused here. */
Test(control, what_is_not_served_changes_nothing)
{
    struct xen_domctl op = {0};
    struct xen_sysctl s = {0};
    domid_t id;

    make(&id);
    op.u.tsc_info.tsc_mode = 1;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_settscinfo, id), TSC_NOT_EMULATED);
    op.u.tsc_info.tsc_mode = 0;
    op.u.tsc_info.gtsc_khz = arch_tsc_khz() + 1;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_settscinfo, id), TSC_NOT_EMULATED);
    memset(&op, 0, sizeof(op));
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpucontext, id), STATE_RESET);
    s.u.cpu_policy.index = XEN_SYSCTL_cpu_policy_hvm_max;
    assert_refused(&g, sysctl(&s, XEN_SYSCTL_get_cpu_policy), POLICY_ASSISTED);
    destroy(id);
}

Test(control, a_domain_that_ends_the_machine_is_not_destroyed)
{
    static struct domain_config first = {.initial = true};
    struct xen_domctl op = {0};

    other.d->config = &first;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_destroydomain, 7), CONTROL_OF_SELF);
    other.d->config = NULL;
}

Test(control, affinity_moves_a_vcpu_of_another_domain)
{
    struct xen_domctl op = {0};
    uint8_t map = 2;

    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 8;
    op.u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)machine_put(0x9000, &map, 1).va;
    assert_ok(domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7));
    assert_eq_long(other.v->affinity, 2);
    map = 4; /* a CPU that is not there */
    machine_put(0x9000, &map, 1);
    assert_refused(&g, domctl(&op, XEN_DOMCTL_setvcpuaffinity, 7), AFFINITY_EMPTY);
    assert_eq_long(other.v->affinity, 2);
}

/* --- the log --- */

Test(control, the_log_keeps_the_last_bytes)
{
    static char text[LOG_SIZE], read[LOG_SIZE];
    const uint32_t begin = log_end();

    for (unsigned i = 0; i < LOG_SIZE; i++)
        text[i] = (char)('a' + i % 23);
    log_append(text, LOG_SIZE - 1);
    log_append(text, 100);
    assert_eq_long(log_end() - begin, LOG_SIZE + 99);
    assert_eq_long(log_end() - log_first_kept(), LOG_SIZE);
    log_copy(read, log_end() - 100, 100);
    cr_assert(!memcmp(read, text, 100));
}

Test(control, who_reads_on_gets_what_is_kept)
{
    log_append("12345", 5);
    const uint32_t end = log_end();

    assert_eq_long(log_first(end - 3), end - 3);
    assert_eq_long(log_first(end), end);
    assert_eq_long(log_first(end + 1), log_first_kept()); /* from the future, or very old */
    log_forget(end - 1);
    assert_eq_long(log_first_kept(), end - 1);
    assert_eq_long(log_first(end - 3), end - 1);
}

Test(control, the_log_is_read_in_pieces)
{
    struct xen_sysctl op = {0};
    static const char said[] = "a line of the hypervisor's, longer than one piece that is copied "
                               "at once, which is 128 bytes, "
                               "so that the second piece is read, too, behind the first\n";
    char read[sizeof(said)] = "";
    const uint32_t from = log_end();

    log_append(said, sizeof(said) - 1);
    op.u.readconsole.incremental = 1;
    op.u.readconsole.index = from;
    op.u.readconsole.count = 1000;
    op.u.readconsole.buffer.p = (void *)machine_put(0x9000, "", 1).va;
    assert_ok(sysctl(&op, XEN_SYSCTL_readconsole));
    assert_eq_long(op.u.readconsole.count, sizeof(said) - 1);
    assert_eq_long(op.u.readconsole.index, log_end());
    machine_get(read, 0x9000, sizeof(said) - 1);
    cr_assert_str_eq(read, said);
    op.u.readconsole.count = 1000;
    assert_ok(sysctl(&op, XEN_SYSCTL_readconsole));
    assert_eq_long(op.u.readconsole.count, 0);
}
