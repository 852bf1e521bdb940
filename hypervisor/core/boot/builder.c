/*
 * Which domains there are, and bringing them up.
 *
 *   first module is a device tree:  hyperlaunch.c says what to build
 *   else, Xen's way:                module 0 is domain 0's kernel, module 1 its ramdisk;
 *                                   dom0_mem= and dom0_max_vcpus= size it
 *
 * Whatever cannot be built ends the machine before anything runs: one sentence, one verdict.
 */
#include "builder.h"
#include "arch.h"
#include "console.h"
#include "evtchn.h"
#include "grant-table.h"
#include "lib.h"
#include "sched.h"
#include "verdict.h"
#include "xenstore.h"

struct boot_module boot_module[MAX_MODULES];
unsigned boot_module_count;

_Static_assert(MAX_MODULES <= 64, "free_modules() keeps a set of them in a word");

/* Left to the hypervisor when domain 0 gets all memory: its stack, grant frames, page tables, and
 * change. */
#define RESERVE_PAGES(free) (256 + (free) / 128)

const void *boot_module_data(unsigned i)
{
    uint64_t start = boot_module[i].start;
    return (const uint8_t *)mfn_to_virt(maddr_to_mfn(start)) + (start & ~PAGE_MASK);
}

const char *boot_module_args(unsigned i)
{
    return boot_module[i].cmdline;
}

/* --- what is wrong --------------------------------------------------------------------------- */

static void say(const char *what, const struct boot_error *e)
{
    const struct rule_text *t = &rule_text[e->rule];

    printk("%s: %.2s-%s ", what, t->id, t->id + 3);
    if (e->where[0])
        printk_more("%s: ", e->where);
    printk_more(t->says, (unsigned long)e->a, (unsigned long)e->b, (unsigned long)e->c);
    printk_more("\n");
}

static int verdict_of(enum rule_id rule)
{
    if (rule == RULE_BOOT_NO_MODULE)
        return VERDICT_BOOT;
    switch (rule) {
#define RULE(id, word, ...) case RULE_##word:
        RULE_LIST_IMAGE(RULE)
        return VERDICT_IMAGE;
        RULE_LIST_ROOM(RULE)
        return VERDICT_MEMORY;
#undef RULE
    default:
        return VERDICT_TREE;
    }
}

void builder_cannot_boot(const struct boot_error *e)
{
    say("cannot boot", e);
    arch_machine_end(MACHINE_POWEROFF, verdict_of(e->rule));
}

/* --- building -------------------------------------------------------------------------------- */

static int create_vcpus(struct domain *d, const struct domain_config *c, struct boot_error *e)
{
    for (unsigned i = 0; i < c->vcpus; i++) {
        struct vcpu *v = vcpu_create(d, i);
        if (!v)
            return boot_error(e, STRUCTURES_NO_MEMORY, c->vcpus);
        if (c->affinity & arch_cpus_online())
            vcpu_set_affinity(v, c->affinity);
        (void)preempt_point(); /* its record, its area and its FPU image have been cleared */
    }
    return 0;
}

static int build_into(struct domain *d, struct domain_config *c, struct boot_error *e)
{
    struct bootstrap b = {.d = d, .config = c};

    int rc = create_vcpus(d, c, e);
    if (!rc)
        rc = bootstrap_build(&b, e);
    if (!rc && start_info_fill(&b))
        rc = boot_error(e, STRUCTURES_NO_MEMORY, c->vcpus);
    bootstrap_free(&b);
    return rc;
}

/* Of each size of small objects there may have been a slab with room left. */
#define SPARE_SLABS 8u

/* At worst no two of its frames are neighbours when it is built again: then the list of its extents is long. */
static uint64_t overhead_of(const struct domain *d, uint64_t spent)
{
    return spent - d->tot_pages + SPARE_SLABS + d->tot_pages / EXTENTS_PER_PAGE + 1;
}

static int rebuild(struct domain_config *c);

static int build(struct domain_config *c, struct domain **out, struct boot_error *e)
{
    const uint64_t free = page_free_count();
    struct domain *d = domain_create(c->id, c->name, c->vcpus);
    int rc = d ? 0 : boot_error(e, STRUCTURES_NO_MEMORY, c->vcpus);

    snprintf(e->where, sizeof(e->where), "d%u (%s)", c->id, c->name);
    if (rc)
        return rc;
    d->config = c;
    c->rebuild = rebuild;
    d->roles = c->roles;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    if (domain_has(d, ROLE_CONTROL))
        evtchn_allow_all_ports(d);
    d->weight = c->account.weight = c->weight;
    d->cap = c->cap;
    d->max_pages = (uint32_t)MIN(MAX(c->max_memory, c->memory) >> PAGE_SHIFT, UINT32_MAX / 2);
    const uint32_t promised = d->promised = c->promised;
    c->promised = 0;
    rc = build_into(d, c, e);
    if (rc) {
        /* What it has taken of that will be wanted again. */
        atomic_set(&d->keep, promised - d->promised);
        console_detach(d);
        xenstore_detach(d);
        domain_destroy(d);
        return rc;
    }
    if (!c->overhead)
        c->overhead = (uint32_t)overhead_of(d, free - page_free_count());
    *out = d;
    return 0;
}

int builder_build(struct domain_config *c, struct domain **out, struct boot_error *e)
{
    struct vcpu *builder = current_vcpu(); /* put aside, it takes this along */

    builder->takes_promised = true;
    int rc = build(c, out, e);
    builder->takes_promised = false;
    return rc;
}

void builder_keep(struct domain_config *c)
{
    const uint64_t free = page_free_count(), taken = page_promised() + PAGE_LEAVE_US;

    c->overhead_promised = (uint32_t)MIN(c->overhead, free > taken ? free - taken : 0);
    page_promise(c->overhead_promised);
}

static int rebuild(struct domain_config *c)
{
    struct boot_error e = {0};
    struct domain *d;

    c->restarts++;
    int rc = builder_build(c, &d, &e);
    if (rc) {
        c->restarts--;
        c->failures++;
        if (builder_tells(c))
            say("cannot restart", &e);
        return verdict_of(e.rule) == VERDICT_MEMORY ? -XEN_ENOMEM : rc;
    }
    c->failures = 0;
    page_promise_end(d->promised); /* it has what it needs */
    d->promised = 0;
    d->sched_cap = c->sched_cap; /* who is built again still owes what it owed */
    sched_domain_charge(d, work_spent());
    domain_start(d);
    return 0;
}

/* --- plain modules --------------------------------------------------------------------------- */

static uint64_t all_memory(void)
{
    uint64_t free = page_free_count();
    return free > RESERVE_PAGES(free) ? (free - RESERVE_PAGES(free)) << PAGE_SHIFT : 0;
}

/* "N%" of all memory; 0 if there is no such thing at @s. */
static uint64_t memory_fraction(const char *s, const char **end)
{
    char *after;
    const unsigned long percent = strtoul(s, &after, 10);

    if (after == s || *after != '%' || percent > 100)
        return 0;
    *end = after + 1;
    return all_memory() / 100 * percent;
}

/* One size of dom0_mem=: "128M", "25%", "64M+10%"; "-64M" is all memory less that. */
static uint64_t memory_word(const char *s, const char **end)
{
    bool less = *s == '-';
    uint64_t size = memory_fraction(s + less, end), all = all_memory();

    if (!size) {
        size = MIN(parse_size(s + less, end), all);
        if (**end == '+')
            size += memory_fraction(*end + 1, end);
    }
    if (!less)
        return size;
    return all > size ? all - size : 0;
}

/* dom0_mem=[min:SIZE,][max:SIZE,][SIZE], in any order (xen-command-line).  More than there is means
 * all there is, as on Xen. */
static void memory_words(struct domain_config *c)
{
    size_t length;
    const char *at = cmdline_get("dom0_mem", &length), *end = at + length;
    uint64_t want = 0, least = 0, most = ~0ull;

    while (at && at < end) {
        uint64_t *to = &want;
        if (!strncmp(at, "min:", 4)) {
            to = &least;
            at += 4;
        } else if (!strncmp(at, "max:", 4)) {
            to = &most;
            at += 4;
        }
        const char *after = at;
        *to = memory_word(at, &after);
        at = after;
        while (at < end && *at != ',')
            at++;
        at++;
    }
    if (!want)
        want = all_memory();
    c->memory = MIN(MIN(MAX(want, least), most), all_memory()) & PAGE_MASK;
    c->max_memory = most == ~0ull ? c->memory : MAX(most & PAGE_MASK, c->memory);
}

static struct domain_config *plain_config(struct boot_error *e)
{
    struct domain_config *c = mem_alloc(sizeof(*c));

    if (!boot_module_count) {
        (void)boot_error(e, BOOT_NO_MODULE);
        return NULL;
    }
    if (!c) {
        (void)boot_error(e, STRUCTURES_NO_MEMORY, 1);
        return NULL;
    }
    c->initial = c->has_console = true;
    c->roles = ROLE_CONTROL | ROLE_HARDWARE | ROLE_XENSTORE | ROLE_CONSOLE;
    c->vcpus =
        (unsigned)MIN(MAX(cmdline_number("dom0_max_vcpus", 1), 1ul), (unsigned long)MAX_VCPUS);
    c->weight = 256;
    c->kernel = 0;
    c->ramdisk = boot_module_count > 1 ? 1 : -1;
    string_copy(c->name, "Domain-0", sizeof(c->name));
    string_copy(c->cmdline, boot_module_args(0), sizeof(c->cmdline));
    memory_words(c);
    return c;
}

/* --- all of them ----------------------------------------------------------------------------- */

static unsigned read_configs(struct domain_config **configs, struct boot_error *e)
{
    unsigned count = 1;

    if (boot_module_count && hyperlaunch_is_tree(boot_module_data(0), boot_module[0].size)) {
        if (hyperlaunch_read(boot_module_data(0), boot_module[0].size, boot_module_count, configs,
                             &count, e))
            builder_cannot_boot(e);
        return count;
    }
    configs[0] = plain_config(e);
    if (!configs[0])
        builder_cannot_boot(e);
    return count;
}

static bool may_restart(const struct domain_config *c)
{
    return !c->initial && (c->on_poweroff == END_RESTART || c->on_reboot == END_RESTART ||
                           c->on_crash == END_RESTART || c->on_watchdog == END_RESTART);
}

/* Modules that nobody is built from again: their memory joins the rest, to be scrubbed before it
 * is given away.  How many frames that was. */
static uint64_t free_modules(struct domain_config *const *configs, unsigned count)
{
    uint64_t needed = 0, freed = 0;

    for (unsigned i = 0; i < count; i++)
        if (may_restart(configs[i])) {
            needed |= BIT(configs[i]->kernel);
            needed |= configs[i]->ramdisk >= 0 ? BIT(configs[i]->ramdisk) : 0;
        }
    for (unsigned i = 0; i < boot_module_count; i++) {
        uint64_t first = ROUND_UP(boot_module[i].start, PAGE_SIZE) >> PAGE_SHIFT;
        uint64_t end = (boot_module[i].start + boot_module[i].size) >> PAGE_SHIFT;

        if (needed >> i & 1)
            continue;
        for (uint64_t n = first; n < end && mfn_valid(mfn(n)); n++) {
            if (mfn_to_page(mfn(n))->owner != OWNER_HYPERVISOR)
                continue; /* a loader with odd ideas of RAM */
            page_free(mfn_to_page(mfn(n)), 0);
            freed++;
        }
    }
    return freed;
}

/* The order of a block with room for @bytes. */
static unsigned order_of_block(uint64_t bytes)
{
    unsigned order = 0;

    while (PAGE_SIZE << order < bytes)
        order++;
    return order;
}

void builder_start_all(void)
{
    static struct boot_error e;
    const unsigned most = boot_module_count ? MAX(hyperlaunch_most(boot_module[0].size), 1u) : 1;
    const unsigned order =
        order_of_block(most * (sizeof(struct domain_config *) + sizeof(struct domain *)));
    /* Kept for good: a page, unless there are hundreds. */
    struct domain_config **configs = page_alloc_zeroed(order);

    if (!configs) {
        (void)boot_error(&e, STRUCTURES_NO_MEMORY, 1);
        builder_cannot_boot(&e);
    }
    struct domain **built = (struct domain **)(configs + most);
    unsigned count = read_configs(configs, &e);

    refuse_explains = cmdline_flag("explain");
    for (unsigned i = 0; i < count; i++)
        if (configs[i]->roles & ROLE_XENSTORE && !configs[i]->initial)
            xenstore_left_to(configs[i]->id);
    for (unsigned i = 0; i < count; i++)
        if (builder_build(configs[i], &built[i], &e))
            builder_cannot_boot(&e);
    domain_expect_free(free_modules(configs, count));
    for (unsigned i = 0; i < count; i++) {
        domain_publish(built[i]); /* the first to run finds all others */
        if (may_restart(configs[i]))
            builder_keep(configs[i]);
    }
    for (unsigned i = 0; i < count; i++)
        domain_start(built[i]);
}
