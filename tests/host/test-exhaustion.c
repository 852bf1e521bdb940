/*
 * Memory that ends: each operation is repeated with its first, second, ... allocation failing, until none does.
 *
 * The linker puts what is below in the place of the allocators (--wrap), so that each allocation of core's counts, one of a page for
 * small objects, too.  An operation that fails says so, and leaves nothing behind: no frame, no count.
 */
#include "suite.h"
#include "audit.h"
#include "builder.h"
#include "console.h"
#include "evtchn.h"
#include "grant-table.h"
#include "image.h"
#include "sched.h"
#include "xenstore.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

static unsigned fails_at; /* so many allocations from now one fails; 0: none does */

static bool fails(void)
{
    return fails_at && !--fails_at;
}

void *__real_mem_alloc(size_t size);
void *__wrap_mem_alloc(size_t size);
void *__wrap_mem_alloc(size_t size)
{
    return fails() ? NULL : __real_mem_alloc(size);
}

void *__real_page_alloc_zeroed(unsigned order);
void *__wrap_page_alloc_zeroed(unsigned order);
void *__wrap_page_alloc_zeroed(unsigned order)
{
    return fails() ? NULL : __real_page_alloc_zeroed(order);
}

struct page_info *__real_page_alloc(unsigned order);
struct page_info *__wrap_page_alloc(unsigned order);
struct page_info *__wrap_page_alloc(unsigned order)
{
    return fails() ? NULL : __real_page_alloc(order);
}

struct page_info *__real_page_alloc_leaving(unsigned order, uint64_t leave);
struct page_info *__wrap_page_alloc_leaving(unsigned order, uint64_t leave);
struct page_info *__wrap_page_alloc_leaving(unsigned order, uint64_t leave)
{
    return fails() ? NULL : __real_page_alloc_leaving(order, leave);
}

#define MOST 1000u /* allocations of one operation */

/*
 * @run until no allocation of it fails: @failed(its result) says whether it is what a lack of memory should give.  @undo what
 * succeeded.  The number of allocations.
 */
static unsigned until_it_works(const char *name, long (*run)(void), bool (*failed)(long rc),
                               void (*undo)(void))
{
    for (unsigned n = 1; n <= MOST; n++) {
        const uint64_t free = page_free_count();
        fails_at = n;
        const long rc = run();
        const bool hit = !fails_at;
        fails_at = 0;
        if (hit) {
            cr_assert(failed(rc), "%s: allocation %u fails: %ld", name, n, rc);
            cr_assert(page_free_count() == free, "%s: allocation %u fails: %ld frames are lost",
                      name, n, (long)(free - page_free_count()));
            world_check();
            continue;
        }
        cr_assert(!failed(rc), "%s: nothing fails: %ld", name, rc);
        if (undo)
            undo();
        return n - 1;
    }
    cr_assert(false, "%s never works", name);
    return 0;
}

static bool no_memory(long rc)
{
    return rc == -XEN_ENOMEM;
}

static struct guest g;

static void start(void)
{
    world_start(2, 4096);
    guest_create(&g, 1, 64, 2);
    machine_enter(g.v);
}

static void finish(void)
{
    world_check();
    guest_destroy(&g);
    world_check_empty();
}

TestSuite(exhaustion, .init = start, .fini = finish);

/* --- domains --- */

static struct domain *made;

static void unmake(void)
{
    console_detach(made); /* they hold frames of its */
    xenstore_detach(made);
    domain_destroy(made);
    made = NULL;
}

static long make(void)
{
    made = domain_create(7, "seven", 2);
    if (!made)
        return -XEN_ENOMEM;
    for (unsigned i = 0; i < 2; i++) {
        if (vcpu_create(made, i))
            continue;
        unmake();
        return -XEN_ENOMEM;
    }
    return 0;
}

Test(exhaustion, domain_with_two_vcpus)
{
    cr_assert(until_it_works("domain", make, no_memory, unmake) >= 8);
}

static struct domain_config config;

/* Too little memory, or built although an allocation failed: smaller blocks and fewer ports will do.  How many allocations failed. */
static unsigned build_until_nothing_fails(void)
{
    for (unsigned n = 1; n <= MOST; n++) {
        struct boot_error e = {0};
        const uint64_t free = page_free_count();
        fails_at = n;
        const int rc = builder_build(&config, &made, &e);
        const bool hit = !fails_at;
        fails_at = 0;
        cr_assert(!rc || (hit && (e.rule == RULE_MACHINE_MEMORY_SHORT ||
                                  e.rule == RULE_STRUCTURES_NO_MEMORY)),
                  "allocation %u fails: %d, %s", n, rc, rule_text[e.rule].id);
        world_check();
        if (!rc)
            unmake();
        cr_assert(page_free_count() == free, "allocation %u fails: %ld frames are lost", n,
                  (long)(free - page_free_count()));
        if (!hit)
            return n - 1;
    }
    cr_assert(false, "never built");
    return 0;
}

static void configure(void)
{
    static uint8_t kernel[0x8000], ramdisk[0x3000];

    config.kernel = (int)module_add(kernel, image_kernel(kernel, sizeof(kernel)), "");
    config.ramdisk = (int)module_add(ramdisk, sizeof(ramdisk), "");
    config.id = 7;
    config.vcpus = 2;
    config.weight = 256;
    config.memory = config.max_memory = 2 << 20;
    string_copy(config.name, "seven", sizeof(config.name));
}

/* The modules stay. */
static void finish_builds(void)
{
    world_check();
    guest_destroy(&g);
    world_check();
}

TestSuite(exhausted_builds, .init = start, .fini = finish_builds);

Test(exhausted_builds, plain_domain)
{
    configure();
    cr_assert(build_until_nothing_fails() >= 10);
}

Test(exhausted_builds, domain_with_the_role_of_control)
{
    configure();
    config.roles = ROLE_CONTROL | ROLE_HARDWARE;
    cr_assert(build_until_nothing_fails() >= 10);
}

/* --- hypercalls --- */

static bool refused_as(enum rule_id rule, long rc)
{
    return rc == -rule_text[rule].error && last_rule(g.v) == rule;
}

#define REFUSED_AS(rule)                    \
    static bool is_##rule(long rc)          \
    {                                       \
        return refused_as(RULE_##rule, rc); \
    }
REFUSED_AS(PORTS_NO_MEMORY)
REFUSED_AS(QUEUES_NO_MEMORY)
REFUSED_AS(EXCHANGE_NO_MEMORY)
REFUSED_AS(CONTEXT_NO_MEMORY)
REFUSED_AS(GRANT_STATUS_NO_MEMORY)

static long event(unsigned cmd, void *arg, size_t size)
{
    return guest_op(g.v, __HYPERVISOR_event_channel_op, cmd, arg, size);
}

static long open_port(void)
{
    struct evtchn_alloc_unbound o = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    return event(EVTCHNOP_alloc_unbound, &o, sizeof(o));
}

static long open_ipi(void)
{
    struct evtchn_bind_ipi o = {0};
    return event(EVTCHNOP_bind_ipi, &o, sizeof(o));
}

static long open_virq(void)
{
    struct evtchn_bind_virq o = {.virq = VIRQ_DEBUG};
    return event(EVTCHNOP_bind_virq, &o, sizeof(o));
}

static long open_loop(void)
{
    struct evtchn_bind_interdomain o = {.remote_dom = DOMID_SELF, .remote_port = 1};
    return event(EVTCHNOP_bind_interdomain, &o, sizeof(o));
}

static long open_ours(void)
{
    return evtchn_alloc_hypervisor(g.d, NULL) < 0 ? -rule_text[RULE_PORTS_NO_MEMORY].error : 0;
}

/* The first 127 are there from the beginning. */
Test(exhaustion, port_in_a_new_bucket)
{
    static long (*const open[])(void) = {open_port, open_ipi, open_virq, open_loop, open_ours};
    unsigned ports = 1;

    for (unsigned i = 0; i < ARRAY_SIZE(open); i++) {
        for (; ports % 128; ports++)
            assert_ok(open_port());
        cr_assert(until_it_works("port", open[i], is_PORTS_NO_MEMORY, NULL) >= 1);
        ports++;
    }
}

static long queues(void)
{
    struct evtchn_init_control o = {.control_gfn = g.mfn[40]};
    return event(EVTCHNOP_init_control, &o, sizeof(o));
}

Test(exhaustion, event_queues)
{
    cr_assert(until_it_works("queues", queues, is_QUEUES_NO_MEMORY, NULL) >= 1);
}

static long initialise(void)
{
    const uint64_t at = machine_put(0x8000, (char[sizeof(struct vcpu_guest_context)]){0},
                                    sizeof(struct vcpu_guest_context))
                            .va;
    return hypercall(&g, vcpu_op, VCPUOP_initialise, 1, at);
}

/* The context is looked at, and is a bad one, when there is memory for it. */
Test(exhaustion, context_of_a_vcpu)
{
    g.d->vcpu[1]->initialised = VCPU_UNINITIALISED;
    cr_assert(until_it_works("initialise", initialise, is_CONTEXT_NO_MEMORY, NULL) >= 1);
    assert_eq_long(g.d->vcpu[1]->initialised, VCPU_UNINITIALISED);
    g.d->vcpu[1]->initialised = VCPU_INITIALISED;
}

static uint64_t given, got;

static long exchange(void)
{
    struct xen_memory_exchange e = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .domid = DOMID_SELF}};

    got = 50;
    e.in.extent_start.p = (void *)machine_put(0x6000, &given, 8).va;
    e.out.extent_start.p = (void *)machine_put(0x6100, &got, 8).va;
    const long rc = guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_exchange, &e, sizeof(e));
    machine_get(&got, 0x6100, 8);
    cr_assert(rc == 0 || mfn_to_page(mfn(given))->owner == g.d->id);
    assert_eq_long(e.nr_exchanged, rc == 0);
    return rc;
}

Test(exhaustion, exchange_of_a_frame)
{
    given = g.mfn[50];
    assert_ok(guest_protect(&g, 50, 0));
    const uint32_t had = g.d->tot_pages;
    cr_assert(until_it_works("exchange", exchange, is_EXCHANGE_NO_MEMORY, NULL) >= 3);
    assert_eq_long(g.d->tot_pages, had);
    assert_eq_long(machine_to_phys[got], 50);
}

static long grow_grants(void)
{
    struct gnttab_setup_table t = {.dom = DOMID_SELF, .nr_frames = 2};

    t.frame_list.p = (void *)(WINDOW_VA + 0x6000);
    const uint64_t at = machine_put(0x3000, &t, sizeof(t)).va;
    assert_ok(hypercall(&g, grant_table_op, GNTTABOP_setup_table, at, 1));
    machine_get(&t, 0x3000, sizeof(t));
    return t.status;
}

static bool general_error(long status)
{
    return status == GNTST_general_error;
}

Test(exhaustion, grant_table_that_grows)
{
    cr_assert(until_it_works("grants", grow_grants, general_error, NULL) >= 1);
    assert_eq_long(g.d->grants->frames, 2);
}

static grant_ref_t mapped_ref;

/* A grant to itself, which leaves nothing behind; of reference 0 nobody is permitted anything. */
static long map_grant(void)
{
    struct gnttab_map_grant_ref m = {.flags = GNTMAP_device_map, .ref = mapped_ref, .dom = g.d->id};
    *grant_entry_v1(g.d->grants, mapped_ref) =
        (grant_entry_v1_t){.flags = mapped_ref ? GTF_permit_access : 0,
                           .domid = g.d->id,
                           .frame = (uint32_t)g.mfn[50]};
    assert_ok(hypercall(&g, grant_table_op, GNTTABOP_map_grant_ref,
                        machine_put(0x3000, &m, sizeof(m)).va, 1));
    machine_get(&m, 0x3000, sizeof(m));
    if (m.status)
        return m.status;
    struct gnttab_unmap_grant_ref u = {.dev_bus_addr = m.dev_bus_addr, .handle = m.handle};
    assert_ok(hypercall(&g, grant_table_op, GNTTABOP_unmap_grant_ref,
                        machine_put(0x3000, &u, sizeof(u)).va, 1));
    machine_get(&u, 0x3000, sizeof(u));
    assert_ok(u.status);
    return 0;
}

static bool no_space(long status)
{
    return status == GNTST_no_space;
}

/* What is made for handles stays, also when the first page of them could not be made: so each allocation fails in a new domain. */
Test(exhaustion, grant_that_is_mapped)
{
    unsigned n = 1;

    for (bool hit = true; hit; n++) {
        mapped_ref = 0;
        fails_at = n;
        const long status = map_grant();
        hit = !fails_at;
        fails_at = 0;
        assert_eq_long(status, hit ? GNTST_no_space : GNTST_general_error);
        world_check();
        if (hit) {
            guest_destroy(&g);
            guest_create(&g, 1, 64, 2);
        }
    }
    cr_assert(n > 3);
    mapped_ref = 20;
    cr_assert(until_it_works("the first map", map_grant, no_space, NULL) >= 1);
    mapped_ref = 300; /* in the next page of counts */
    cr_assert(until_it_works("map in another page", map_grant, no_space, NULL) >= 1);
}

static long to_version_2(void)
{
    struct gnttab_set_version v = {2};

    return hypercall(&g, grant_table_op, GNTTABOP_set_version,
                     machine_put(0x3000, &v, sizeof(v)).va, 1);
}

Test(exhaustion, grant_table_of_version_2)
{
    cr_assert(until_it_works("version 2", to_version_2, is_GRANT_STATUS_NO_MEMORY, NULL) >= 1);
    assert_eq_long(g.d->grants->version, 2);
}

static long populate(void)
{
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    const uint64_t pfn = 70;

    r.extent_start.p = (void *)machine_put(0x6000, &pfn, 8).va;
    return guest_op(g.v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r));
}

static bool none_done(long done)
{
    return done == 0;
}

Test(exhaustion, populate)
{
    cr_assert(until_it_works("populate", populate, none_done, NULL) >= 1);
}

/* --- console and store --- */

#define RING 30u

static long attach_console(void)
{
    return console_attach(g.d, guest_mfn(&g, RING));
}

static struct xenstore_domain_interface *ring;
static uint32_t port;

static long attach_store(void)
{
    return xenstore_attach(g.d, guest_mfn(&g, RING), guest_mfn(&g, RING), 7);
}

static void store(void)
{
    port = (uint32_t)attach_store();
    ring = (struct xenstore_domain_interface *)guest_page(&g, RING);
}

Test(exhaustion, console)
{
    cr_assert(until_it_works("console", attach_console, no_memory, NULL) >= 1);
}

Test(exhaustion, store)
{
    cr_assert(until_it_works("store", attach_store, no_memory, NULL) >= 1);
}

static char reply[XENSTORE_PAYLOAD_MAX + 1];
static struct xsd_sockmsg reply_header;

static void notify(void)
{
    struct evtchn_send o = {port};
    assert_ok(event(EVTCHNOP_send, &o, sizeof(o)));
}

static void put(const void *from, size_t n)
{
    for (const char *c = from; n; n--) {
        while (ring->req_prod - ring->req_cons == XENSTORE_RING_SIZE)
            notify();
        ring->req[MASK_XENSTORE_IDX(ring->req_prod++)] = *c++;
    }
}

static void get(void *to, size_t n)
{
    for (char *c = to; n; n--) {
        if (ring->rsp_prod == ring->rsp_cons)
            notify();
        cr_assert(ring->rsp_prod != ring->rsp_cons, "no answer");
        *c++ = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons++)];
    }
}

static long ask(uint32_t type, uint32_t tx, const char *payload, size_t n)
{
    const struct xsd_sockmsg m = {type, 5, tx, (uint32_t)n};

    put(&m, sizeof(m));
    put(payload, n);
    do {
        get(&reply_header, sizeof(reply_header));
        get(reply, reply_header.len);
        reply[reply_header.len] = 0;
    } while (reply_header.type == XS_WATCH_EVENT);
    return reply_header.type != XS_ERROR ? 0 : !strcmp(reply, "ENOMEM") ? -XEN_ENOMEM : -XEN_EINVAL;
}

static uint32_t transaction;
static char long_value[600];

/* clang-format off */
static long ask_write(void) { return ask(XS_WRITE, 0, "data/a/b/c\0value", 16); }
static long ask_write_long(void) { return ask(XS_WRITE, 0, long_value, sizeof(long_value)); }
static long ask_read_long(void) { return ask(XS_READ, 0, "data/long", 10); }
static long ask_mkdir(void) { return ask(XS_MKDIR, 0, "data/x/y/z", 11); }
static long ask_rm(void) { return ask(XS_RM, 0, "data/a", 7); }
static long ask_perms(void) { return ask(XS_SET_PERMS, 0, "data/a\0n1\0r2", 13); }
static long ask_watch(void) { return ask(XS_WATCH, 0, "data\0token", 11); }
static long ask_list(void) { return ask(XS_DIRECTORY, 0, "data/many", 10); }
/* clang-format on */
static long ask_start(void)
{
    const long rc = ask(XS_TRANSACTION_START, 0, "", 1);
    if (!rc)
        transaction = (uint32_t)strtoul(reply, NULL, 10);
    return rc;
}
/* clang-format off */
static long ask_write_in(void) { return ask(XS_WRITE, transaction, "data/a\0w", 9); }
static long ask_end(void) { return ask(XS_TRANSACTION_END, transaction, "T", 2); }
/* clang-format on */

/* Each as the guest sees it: ENOMEM, and then the same again works. */
static void works_in_the_end(const char *name, long (*run)(void))
{
    long last = 0;

    for (unsigned n = 1; n <= MOST; n++) {
        fails_at = n;
        const long rc = run();
        const bool hit = !fails_at;
        fails_at = 0;
        world_check();
        if (!rc) /* what failed was an event of its, at most */
            return;
        cr_assert(hit && rc == -XEN_ENOMEM, "%s: allocation %u fails: %s", name, n, reply);
        last = rc;
    }
    cr_assert(false, "%s never works: %ld", name, last);
}

Test(exhaustion, requests_to_the_store)
{
    store();
    memcpy(long_value, "data/long", 10);
    memset(long_value + 10, 'v', sizeof(long_value) - 10);
    works_in_the_end("write", ask_write);
    works_in_the_end("write a long one", ask_write_long);
    works_in_the_end("read a long one", ask_read_long);
    assert_eq_long(reply_header.len, sizeof(long_value) - 10);
    works_in_the_end("mkdir", ask_mkdir);
    works_in_the_end("perms", ask_perms);
    for (unsigned i = 0; i < 12; i++) {
        char path[64];
        const int n = snprintf(path, sizeof(path), "data/many/a-name-that-is-long-%u", i);
        assert_ok(ask(XS_WRITE, 0, path, (size_t)n + 1));
    }
    works_in_the_end("list", ask_list);
    works_in_the_end("start", ask_start);
    works_in_the_end("write in it", ask_write_in);
    works_in_the_end("end", ask_end);
    works_in_the_end("watch", ask_watch);
    works_in_the_end("write while watched", ask_write);
    works_in_the_end("rm", ask_rm);
    /* What a watch hears of may be lost for want of memory, and is not when there is some. */
    for (unsigned n = 1; n < 40; n++) {
        fails_at = n;
        (void)ask_write();
        fails_at = 0;
        notify();
        world_check();
    }
    assert_ok(ask(XS_READ, 0, "data/a/b/c", 11));
    assert_eq_long(strcmp(reply, "value"), 0);
}

static long write_outside(void)
{
    return xenstore_write(g.d, "control/shutdown", "poweroff");
}

static long print_outside(void)
{
    return xenstore_print(g.d, "control/shutdown");
}

Test(exhaustion, store_from_outside)
{
    char longest[4000];

    memset(longest, 'p', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    store();
    works_in_the_end("write", write_outside);
    works_in_the_end("print", print_outside);
    assert_eq_long(xenstore_write(g.d, longest, "x"), -XEN_EINVAL);
    assert_eq_long(xenstore_write(g.d, "no/such node", "x"), -XEN_EINVAL);
    assert_eq_long(xenstore_print(g.d, "no/such"), -XEN_ENOENT);
}

/* --- the audit itself --- */

Test(exhaustion, audit_without_memory_says_so)
{
    machine_log_clear();
    fails_at = 1;
    (void)page_audit();
    cr_assert(!fails_at);
    cr_assert(machine.log_length, "it says nothing");
}
