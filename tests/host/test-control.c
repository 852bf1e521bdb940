/* The control role: who may ask, in which order it is refused, what is told of domains, and the hypervisor's log. */
#define __XEN_TOOLS__ 1

#include "suite.h"
#include "control.h"
#include "log.h"
#include "sched.h"

static struct guest g, other;

static void start(void)
{
    world_start(2, 2048);
    guest_create(&g, 1, 64, 2);
    guest_create(&other, 7, 32, 1);
    g.d->roles = ROLE_CONTROL;
    machine_enter(g.v);
}

static void finish(void)
{
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

Test(control, parameters_of_the_scheduler_are_told_and_not_changed)
{
    struct xen_domctl op = {0};

    other.d->weight = 512;
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    assert_ok(domctl(&op, XEN_DOMCTL_scheduler_op, 7));
    assert_eq_long(op.u.scheduler_op.u.credit2.weight, 512);
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.credit2.weight = 99;
    assert_refused(&g, domctl(&op, XEN_DOMCTL_scheduler_op, 7), SCHEDULER_FIXED);
    assert_eq_long(other.d->weight, 512);
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
