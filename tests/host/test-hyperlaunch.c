/*
 * Device trees and the domains built from them: what is read, the rule for each mistake, and that
 * building and tearing down leaves no frame behind, also when memory runs out at any point.
 */
#include "suite.h"
#include "console.h"
#include "image.h"
#include "sched.h"
#include "verdict.h"

#include <libfdt.h>

static uint8_t kernel[0x8000];
static uint64_t tree_words[0x40000];
static void *const tree = tree_words;
static size_t size;
static struct domain_config *configs[MAX_DOMAINS_AT_BOOT];
static unsigned count;
static struct boot_error e;

static void start(void)
{
    world_start(2, 4096);
    size_t n = image_kernel(kernel, sizeof(kernel));
    (void)module_add(kernel, 1, "tree"); /* module 0 is where the tree is */
    (void)module_add(kernel, n, "from the loader");
    (void)module_add("ramdisk", 7, "ramdisk");
}

TestSuite(hyperlaunch, .init = start);

static int node_of(const char *path)
{
    int node = fdt_path_offset(tree, path);
    cr_assert(node >= 0, "%s: %s", path, fdt_strerror(node));
    return node;
}

/* A tree with room for changes. */
static void make(unsigned domains, bool rich)
{
    (void)image_tree(tree, sizeof(tree_words) / 2, domains, rich);
    cr_assert(fdt_open_into(tree, tree, sizeof(tree_words)) == 0);
    size = fdt_totalsize(tree);
}

static int read_tree(void)
{
    e = (struct boot_error){0};
    return hyperlaunch_read(tree, size, boot_module_count, configs, &count, &e);
}

static void free_configs(void)
{
    for (unsigned i = 0; i < count; i++)
        mem_free(configs[i], sizeof(*configs[i]));
    count = 0;
}

static void assert_rule_(enum rule_id rule, const char *where)
{
    uint64_t free = page_free_count();
    int rc = read_tree();
    cr_assert(rc == -XEN_EINVAL, "%d", rc);
    cr_assert(e.rule == rule, "%s (%s), expected %s", rule_text[e.rule].id, e.where,
              rule_text[rule].id);
    cr_assert(!where || strstr(e.where, where), "\"%s\" does not say \"%s\"", e.where, where);
    assert_eq_long(count, 0);
    assert_eq_long(page_free_count(), free);
}
#define assert_rule(name, where) assert_rule_(RULE_##name, where)

#define GUEST0 "/chosen/hypervisor/guest0"

/* --- reading
 * -------------------------------------------------------------------------------------------------
 */

Test(hyperlaunch, plain_tree_has_defaults)
{
    make(2, false);
    assert_ok(read_tree());
    assert_eq_long(count, 2);
    const struct domain_config *c = configs[0];
    assert_eq_long(c->id, 1);
    assert_eq_long(configs[1]->id, 2);
    cr_assert(!strcmp(c->name, "guest0") && !strcmp(configs[1]->name, "guest1"));
    cr_assert(!strcmp(c->cmdline, "from the loader"), "%s", c->cmdline);
    assert_eq_long(c->memory, 1 << 20);
    assert_eq_long(c->max_memory, 1 << 20);
    assert_eq_long(c->vcpus, 1);
    assert_eq_long(configs[1]->vcpus, 2);
    assert_eq_long(c->roles, 0);
    assert_eq_long(c->weight, 256);
    assert_eq_long(c->cap, 0);
    assert_eq_long(c->on_poweroff, END_DESTROY);
    assert_eq_long(c->on_reboot, END_RESTART);
    assert_eq_long(c->console, CONSOLE_PREFIX);
    assert_eq_long(c->kernel, 1);
    assert_eq_long(c->ramdisk, -1);
    cr_assert(c->has_console && !configs[1]->has_console);
    free_configs();
}

Test(hyperlaunch, rich_tree_is_read_whole)
{
    make(2, true);
    assert_ok(read_tree());
    const struct domain_config *c = configs[0];
    assert_eq_long(c->id, 5);
    assert_eq_long(c->max_memory, 2 << 20);
    cr_assert(!strcmp(c->cmdline, "console=hvc0 quiet"));
    cr_assert(c->roles & ROLE_CONTROL && c->roles & ROLE_HARDWARE);
    assert_eq_long(c->on_crash, END_PRESERVE);
    assert_eq_long(c->weight, 512);
    assert_eq_long(c->cap, 50);
    assert_eq_long(c->affinity, 3);
    assert_eq_long(c->handle[2], 3);
    assert_eq_long(c->ramdisk, 2);
    free_configs();
}

Test(hyperlaunch, every_mistake_has_its_rule)
{
    static const struct {
        const char *node, *property;
        const char *bytes; /* NULL: delete the property */
        int length;
        enum rule_id rule;
    } mistake[] = {
        {GUEST0, "memory", NULL, 0, RULE_PROPERTY_MISSING},
        {GUEST0, "memory", "\0\0\0\1", 3, RULE_PROPERTY_LENGTH},
        {GUEST0, "memory", "\0\0\0\0\0\0\0\0", 8, RULE_PROPERTY_RANGE},
        {GUEST0, "memory", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, RULE_PROPERTY_RANGE},
        {GUEST0, "cpus", "\0\0\0\0", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "cpus", "\0\0\1\0", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "cpus", "\0\0\0\0\0", 5, RULE_PROPERTY_LENGTH},
        {GUEST0, "mode", "\0\0\0\3", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "domid", "\0\0\x7f\xf0", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "domid", "\xff\xff\xff\xff", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "domid", "\0\0\0\6", 4, RULE_DOMID_TWICE}, /* guest1's */
        {GUEST0, "domain-uuid", "1", 1, RULE_PROPERTY_LENGTH},
        {GUEST0, "paravane,on-reboot", "explode", 8, RULE_PROPERTY_WORD_UNKNOWN},
        {GUEST0, "paravane,on-reboot", "restart", 7, RULE_PROPERTY_NOT_A_STRING},
        {GUEST0, "paravane,on-reboot", "", 0, RULE_PROPERTY_NOT_A_STRING},
        {GUEST0, "paravane,on-crash", "a\0b", 4, RULE_PROPERTY_NOT_A_STRING},
        {GUEST0, "paravane,console", "loud", 5, RULE_PROPERTY_WORD_UNKNOWN},
        {GUEST0, "paravane,cpu-weight", "\0\0\0\0", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "paravane,cpu-weight", "\0\1\0\0", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "paravane,cpu-affinity", "\0\0\0\0", 4, RULE_PROPERTY_RANGE},
        {GUEST0, "paravane,cpu-affinity", "\0\0", 2, RULE_PROPERTY_LENGTH},
        {GUEST0 "/module@1", "mb-index", NULL, 0, RULE_PROPERTY_MISSING},
        {GUEST0 "/module@1", "mb-index", "\0\0\0\0", 4, RULE_MODULE_MISSING},
        {GUEST0 "/module@1", "mb-index", "\0\0\0\3", 4, RULE_MODULE_MISSING},
        {GUEST0 "/module@1", "mb-index", "\xff\xff\xff\xfe", 4, RULE_MODULE_MISSING},
        {GUEST0 "/module@1", "mb-index", "\xff\xff\xff\xff", 4, RULE_MODULE_MISSING},
        {GUEST0 "/module@1", "compatible", "module,config", 14, RULE_KERNEL_MISSING},
        {GUEST0 "/module@1", "compatible", "module,ramdisk", 15, RULE_KERNEL_TWICE},
        {"/chosen/hypervisor", "compatible", "xen", 4, RULE_TREE_WITHOUT_DOMAINS_NODE},
        {"/chosen/hypervisor", "paravane,console", "\0\0\0\x63", 4, RULE_CONSOLE_DOMAIN_MISSING},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(mistake); i++) {
        make(2, true);
        int node = node_of(mistake[i].node);
        int rc = mistake[i].bytes ? fdt_setprop(tree, node, mistake[i].property, mistake[i].bytes,
                                                mistake[i].length)
                                  : fdt_delprop(tree, node, mistake[i].property);
        cr_assert(rc == 0, "%s: %s", mistake[i].property, fdt_strerror(rc));
        cr_log_info("mistake %u: %s", i, mistake[i].property);
        assert_rule_(mistake[i].rule, mistake[i].rule == RULE_DOMID_TWICE ? "guest1" : NULL);
    }
}

/* Two that want to be domain 0, with one before them that has no number. */
Test(hyperlaunch, second_initial_domain_is_refused)
{
    static const char initial[4] = {(char)0x80, 0, 0, 0};
    make(3, false);
    for (unsigned i = 1; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "/chosen/hypervisor/guest%u", i);
        (void)fdt_delprop(tree, node_of(name), "domid");
        cr_assert(fdt_setprop(tree, node_of(name), "functions", initial, 4) == 0);
    }
    assert_rule(DOMID_TWICE, "guest2");
}

Test(hyperlaunch, no_domain_and_too_many)
{
    make(0, false);
    assert_rule(TREE_WITHOUT_DOMAIN, NULL);
    make(1, false);
    cr_assert(fdt_setprop_string(tree, node_of(GUEST0), "compatible", "xen,config") == 0);
    assert_rule(TREE_WITHOUT_DOMAIN, NULL);
    make(MAX_DOMAINS_AT_BOOT, false);
    assert_ok(read_tree());
    assert_eq_long(count, MAX_DOMAINS_AT_BOOT);
    free_configs();
    make(MAX_DOMAINS_AT_BOOT + 1, false);
    assert_rule(DOMAINS_TOO_MANY, NULL);
}

Test(hyperlaunch, damaged_frame_of_the_tree)
{
    for (size_t cut = 0; cut < 64; cut++) {
        make(1, false);
        size = cut;
        assert_rule(TREE_MALFORMED, NULL);
    }
    make(1, false);
    fdt_set_version(tree, 15);
    assert_rule(TREE_MALFORMED, NULL);
    make(1, false);
    fdt_set_totalsize(tree, 0xffffffff);
    assert_rule(TREE_MALFORMED, NULL);
}

/* A length of -12 led libfdt 1.6.1 back to the same property for ever. */
Test(hyperlaunch, lengths_that_wrap_around_end)
{
    for (uint32_t length = ~0u; length > ~0u - 64; length--) {
        make(1, true);
        int at;
        const struct fdt_property *p = fdt_get_property(tree, node_of(GUEST0), "cpus", &at);
        *(fdt32_t *)&p->len = cpu_to_fdt32(length);
        assert_rule(TREE_MALFORMED, NULL);
    }
}

Test(hyperlaunch, long_words_are_cut_or_refused)
{
    char text[1100];
    make(1, true);
    memset(text, 'x', sizeof(text));
    text[1024] = 0;
    cr_assert(fdt_setprop(tree, node_of(GUEST0 "/module@1"), "bootargs", text, 1025) == 0);
    assert_rule(PROPERTY_TOO_LONG, "bootargs");
    make(1, true);
    text[1023] = 0;
    cr_assert(fdt_setprop(tree, node_of(GUEST0 "/module@1"), "bootargs", text, 1024) == 0);
    assert_ok(read_tree());
    assert_eq_long(strlen(configs[0]->cmdline), 1023);
    free_configs();
}

/* --- building
 * --------------------------------------------------------------------------------------------------
 */

/* What the builder does with a domain that never ran. */
static void destroy(struct domain *d)
{
    console_detach(d);
    domain_destroy(d);
}

static void destroy_all(void)
{
    for (struct domain *d = domain_next(NULL), *next; d; d = next) {
        next = domain_next(d);
        if (d->id != 1000)
            destroy(d);
    }
}

Test(hyperlaunch, built_domains_are_sound_and_leave_nothing)
{
    uint64_t free = page_free_count();
    make(2, true);
    assert_ok(read_tree());
    for (unsigned i = 0; i < count; i++) {
        struct domain *d;
        assert_ok(builder_build(configs[i], &d, &e));
        assert_eq_long(d->tot_pages, 256);
        assert_eq_long(d->vcpu[0]->arch.rip, IMAGE_BASE);
    }
    world_check();
    destroy_all();
    free_configs();
    assert_eq_long(page_free_count(), free);
    world_check();
}

Test(hyperlaunch, start_info_tells_the_truth)
{
    make(1, true);
    assert_ok(read_tree());
    struct domain *d;
    assert_ok(builder_build(configs[0], &d, &e));
    domain_start(d);
    machine_enter(d->vcpu[0]);
    struct start_info si;
    assert_ok(guest_read(&si, guest_ptr(d->vcpu[0]->arch.rsi), sizeof(si)));
    cr_assert(!strcmp(si.magic, "xen-3.0-x86_64"));
    assert_eq_long(si.nr_pages, 256);
    assert_eq_long(si.mod_len, 7);
    char text[8] = "";
    assert_ok(guest_read(text, guest_ptr(si.mod_start), 7));
    cr_assert(!strcmp(text, "ramdisk"));
    cr_assert(!strcmp((char *)si.cmd_line, "console=hvc0 quiet"));
    /* The p2m list, the m2p table and the page tables agree about every frame. */
    for (unsigned i = 0; i < 256; i++) {
        uint64_t m;
        assert_ok(guest_read_u64(&m, guest_ptr(si.mfn_list + i * 8ull)));
        assert_eq_long(machine_to_phys[m], i);
        assert_eq_long(mfn_to_page(mfn(m))->owner, d->id);
    }
    uint8_t byte;
    assert_ok(guest_read(&byte, guest_ptr(IMAGE_BASE), 1));
    assert_eq_long(byte, 0x90);
    uint64_t l4;
    assert_ok(guest_read_u64(&l4, guest_ptr(si.pt_base)));
    cr_assert(guest_write_u64(guest_ptr(si.pt_base), 0) < 0, "page tables are mapped read-only");
}

Test(hyperlaunch, too_little_memory_is_said_at_any_size)
{
    make(1, true);
    assert_ok(read_tree());
    uint64_t free = page_free_count();
    struct domain_config *c = configs[0];
    for (uint64_t pages = 1; pages < 300; pages++) {
        struct domain *d;
        c->memory = c->max_memory = pages << PAGE_SHIFT;
        e = (struct boot_error){0};
        int rc = builder_build(c, &d, &e);
        cr_assert(rc == 0 || e.rule == RULE_DOMAIN_MEMORY_TOO_SMALL, "%lu pages: %s",
                  (unsigned long)pages, rule_text[e.rule].id);
        if (!rc)
            destroy(d);
        cr_assert(rc || pages > 10);
        assert_eq_long(page_free_count(), free);
    }
    world_check();
}

Test(hyperlaunch, absurd_memory_is_too_much)
{
    static const uint64_t bytes[] = {1ull << 40, 1ull << 50, (1ull << 63) - PAGE_SIZE};
    make(1, true);
    assert_ok(read_tree());
    for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++) {
        struct domain *d;
        configs[0]->memory = configs[0]->max_memory = bytes[i];
        e = (struct boot_error){0};
        cr_assert(builder_build(configs[0], &d, &e) && e.rule == RULE_MACHINE_MEMORY_SHORT, "%s",
                  rule_text[e.rule].id);
    }
}

/* Memory of the machine runs out after 0, 1, 2, ... frames: whatever was being built, it is undone
 * without a trace. */
Test(hyperlaunch, running_out_of_machine_memory_is_undone)
{
    make(1, true);
    assert_ok(read_tree());
    struct page_info *held[4096];
    unsigned n = 0, failed = 0;
    while ((held[n] = page_alloc(0)))
        n++;
    for (unsigned left = 0; left < 320 && n; left++) {
        struct domain *d;
        uint64_t free = page_free_count();
        assert_eq_long(free, left);
        int rc = builder_build(configs[0], &d, &e);
        if (rc) {
            failed++;
            cr_assert(e.rule == RULE_MACHINE_MEMORY_SHORT || e.rule == RULE_STRUCTURES_NO_MEMORY ||
                          e.rule == RULE_FIRST_TABLES_REFUSED,
                      "%u frames: %s", left, rule_text[e.rule].id);
        } else {
            destroy(d);
        }
        assert_eq_long(page_free_count(), free);
        page_free(held[--n], 0);
    }
    cr_assert(failed > 256 && failed < 320, "%u", failed);
    while (n-- > 0)
        page_free(held[n], 0);
    world_check();
}

static void boot(void *unused)
{
    builder_start_all();
}

Test(hyperlaunch, cannot_boot_is_one_sentence_and_a_verdict)
{
    make(1, false);
    cr_assert(fdt_delprop(tree, node_of(GUEST0), "memory") == 0);
    boot_module_count = 0;
    (void)module_add(tree, size, "tree");
    machine_log_clear();
    assert_eq_long(machine_catch_end(boot, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_TREE);
    cr_assert(machine_logged("(PV) cannot boot: IM-037 /chosen/hypervisor/guest0 memory: the "
                             "property is required\r\n"),
              "%s", machine.log);
    boot_module_count = 0;
    machine_log_clear();
    assert_eq_long(machine_catch_end(boot, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_BOOT);
    (void)module_add("no kernel", 9, "x");
    machine_log_clear();
    assert_eq_long(machine_catch_end(boot, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_IMAGE);
    cr_assert(machine_logged("cannot boot: IM-001"), "%s", machine.log);
}

static void end_early(void *unused)
{
    cannot_boot(VERDICT_BOOT, "no %s below %u MiB", "memory", 16);
}

/* What has no rule, because it is the machine that lacks something. */
Test(hyperlaunch, cannot_boot_before_anything_is_read)
{
    machine_log_clear();
    assert_eq_long(machine_catch_end(end_early, NULL), MACHINE_POWEROFF + 1);
    assert_eq_long(machine.verdict, VERDICT_BOOT);
    cr_assert(machine_logged("cannot boot: no memory below 16 MiB"), "%s", machine.log);
}

Test(hyperlaunch, plain_modules_make_domain_zero)
{
    boot_module_count = 0;
    size_t n = image_kernel(kernel, sizeof(kernel));
    (void)module_add(kernel, n, "console=hvc0");
    (void)module_add("ramdisk", 7, "initrd");
    string_copy(hypervisor_cmdline, "dom0_mem=2M dom0_max_vcpus=2", sizeof(hypervisor_cmdline));
    assert_eq_long(machine_catch_end(boot, NULL), 0);
    struct domain *d = domain_get(0);
    cr_assert(d);
    assert_eq_long(d->tot_pages, 512);
    cr_assert(d->vcpu[1] && !d->vcpu[2]);
    machine_enter(d->vcpu[0]);
    struct start_info si;
    assert_ok(guest_read(&si, guest_ptr(d->vcpu[0]->arch.rsi), sizeof(si)));
    assert_eq_long(si.flags & 3, SIF_PRIVILEGED | SIF_INITDOMAIN);
    cr_assert(!strcmp((char *)si.cmd_line, "console=hvc0"));
    domain_put(d);
    world_check();
}
