/*
 * Reading the hyperlaunch tree: /chosen/hypervisor and its xen,domain nodes become configurations.
 *
 * The binding, word for word, is hypercall-abi/hyperlaunch.md.  The tree comes from outside: libfdt
 * checks its frame as a whole first (fdt_check_full), every property is checked for its length
 * before it is looked at, and everything is copied, so that neither the tree nor libfdt is needed
 * once the machine runs.
 */
#include "arch.h"
#include "builder.h"
#include "lib.h"

#include <libfdt.h>

#define LAST_DOMID 0x7fefu
#define MODE_PV64  5u
#define KIB_LIMIT  BIT(36) /* 64 TiB: keeps sizes in bytes far from overflow */

#define PERMISSION_CONTROL   BIT(0)
#define PERMISSION_HARDWARE  BIT(1)
#define FUNCTION_CONSOLE     BIT(2)
#define FUNCTION_XENSTORE    BIT(30)
#define FUNCTION_LEGACY_DOM0 BIT(31)
#define ROLES_OF_DOM0        (ROLE_CONTROL | ROLE_HARDWARE | ROLE_XENSTORE | ROLE_CONSOLE)

/* The properties of one node, looked at once: libfdt goes through all of them, and checks each, for every
 * name that it is asked for. */
#define PROPERTIES_KEPT 24u
struct properties {
    int node; /* -1: none yet */
    unsigned count;
    bool complete; /* else libfdt is asked for names that are not here */
    struct {
        const char *name;
        const void *value;
        int length;
    } of[PROPERTIES_KEPT];
};

/* The tree, the place that is being read (for messages), and where complaints go. */
struct reader {
    const void *fdt;
    uint64_t size;
    int node;
    unsigned modules;
    const char *domain; /* node names; NULL outside */
    const char *module;
    struct properties *properties;
    struct boot_error *e;
};

/* --- complaints ------------------------------------------------------------------------------ */

/* Names come from the tree: nothing but plain characters may reach the console. */
static void make_plain(char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
}

static int complain_(const struct reader *r, const char *property, enum rule_id rule, uint64_t a,
                     uint64_t b, uint64_t c)
{
    snprintf(r->e->where, sizeof(r->e->where), "/chosen/hypervisor%s%.24s%s%.24s%s%.24s",
             r->domain ? "/" : "", r->domain ?: "", r->module ? "/" : "", r->module ?: "",
             property ? " " : "", property ?: "");
    make_plain(r->e->where);
    return boot_error_(r->e, rule, a, b, c);
}

#define complain(r, property, rule, ...) \
    complain_((r), (property), RULE_##rule, DETAIL_ARGS(__VA_ARGS__))

/* --- properties: 0 and the value if there is one, 0 and nothing if not; or a complaint ------- */

static void properties_read(struct properties *p, const void *fdt, int node)
{
    int at;

    p->node = node;
    p->count = 0;
    p->complete = true;
    fdt_for_each_property_offset(at, fdt, node)
    {
        if (p->count == PROPERTIES_KEPT) {
            p->complete = false;
            return;
        }
        p->of[p->count].value =
            fdt_getprop_by_offset(fdt, at, &p->of[p->count].name, &p->of[p->count].length);
        if (p->of[p->count].value)
            p->count++;
    }
}

/* The first of that name, as fdt_getprop() finds it. */
static const void *property(const struct reader *r, const char *name, int *length)
{
    struct properties *p = r->properties;

    if (p->node != r->node)
        properties_read(p, r->fdt, r->node);
    for (unsigned i = 0; i < p->count; i++)
        if (!strcmp(p->of[i].name, name)) {
            *length = p->of[i].length;
            return p->of[i].value;
        }
    return p->complete ? NULL : fdt_getprop(r->fdt, r->node, name, length);
}

static int read_u32(const struct reader *r, const char *name, uint64_t least, uint64_t most,
                    uint32_t *value)
{
    int length;
    const fdt32_t *p = property(r, name, &length);

    if (!p)
        return 0;
    if (length != sizeof(*p))
        return complain(r, name, PROPERTY_LENGTH, length, sizeof(*p));
    uint32_t v = fdt32_ld(p);
    if (v < least || v > most)
        return complain(r, name, PROPERTY_RANGE, v, least, most);
    *value = v;
    return 0;
}

/* KiB in one cell or two; bytes. */
static int read_kib(const struct reader *r, const char *name, uint64_t *bytes)
{
    int length;
    const uint8_t *p = property(r, name, &length);

    if (!p)
        return 0;
    if (length != 4 && length != 8)
        return complain(r, name, PROPERTY_LENGTH, length, 8);
    uint64_t kib = length == 8 ? fdt64_ld((const fdt64_t *)p) : fdt32_ld((const fdt32_t *)p);
    if (kib < PAGE_SIZE / 1024 || kib >= KIB_LIMIT)
        return complain(r, name, PROPERTY_RANGE, kib, PAGE_SIZE / 1024, KIB_LIMIT - 1);
    *bytes = (kib << 10) & PAGE_MASK;
    return 0;
}

/* A terminated string of at most @most characters, where it lies. */
static int read_string(const struct reader *r, const char *name, size_t most, const char **value)
{
    int length;
    const char *p = property(r, name, &length);

    if (!p)
        return 0;
    if (length <= 0 || p[length - 1] != '\0' || strnlen(p, (size_t)length) != (size_t)length - 1)
        return complain(r, name, PROPERTY_NOT_A_STRING);
    if ((size_t)length - 1 > most)
        return complain(r, name, PROPERTY_TOO_LONG, length - 1, most);
    *value = p;
    return 0;
}

/* One of @words; its index. */
static int read_word(const struct reader *r, const char *name, const char *const *words,
                     unsigned count, uint8_t *value)
{
    const char *s = NULL;
    int rc = read_string(r, name, 32, &s);

    if (rc || !s)
        return rc;
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(s, words[i])) {
            *value = (uint8_t)i;
            return 0;
        }
    return complain(r, name, PROPERTY_WORD_UNKNOWN);
}

/* A bitmap in cells, lowest 32 bits first; bits from 64 up name CPUs that do not exist. */
static int read_cpus(const struct reader *r, const char *name, uint64_t *set)
{
    int length;
    const fdt32_t *p = property(r, name, &length);
    uint64_t low = 0;

    if (!p)
        return 0;
    if (length < 4 || length % 4)
        return complain(r, name, PROPERTY_LENGTH, length, 4);
    for (int i = 0; i < length / 4 && i < 2; i++)
        low |= (uint64_t)fdt32_ld(p + i) << 32 * i;
    if (!low)
        return complain(r, name, PROPERTY_RANGE, 0, 1, ~0ul);
    *set = low;
    return 0;
}

/* Does "compatible" list @what? */
static bool compatible(const struct reader *r, const char *what)
{
    int length;
    const char *p = property(r, "compatible", &length);

    return p && length > 0 && p[length - 1] == '\0' && fdt_stringlist_contains(p, length, what);
}

/* --- modules --------------------------------------------------------------------------------- */

static int read_module(struct reader *r, struct domain_config *c)
{
    const bool kernel = compatible(r, "module,kernel");
    uint32_t index = 0;
    int length;
    const char *args = NULL;

    if (!kernel && !compatible(r, "module,ramdisk"))
        return 0;
    int *slot = kernel ? &c->kernel : &c->ramdisk;
    if (*slot >= 0)
        return complain(r, NULL, KERNEL_TWICE);
    if (!property(r, "mb-index", &length))
        return complain(r, "mb-index", PROPERTY_MISSING);
    int rc = read_u32(r, "mb-index", 0, ~0u, &index);
    if (rc)
        return rc;
    if (index < 1 || index >= r->modules)
        return complain(r, "mb-index", MODULE_MISSING, index, r->modules);
    *slot = (int)index;
    if (!kernel)
        return 0;
    rc = read_string(r, "bootargs", sizeof(c->cmdline) - 1, &args);
    if (!rc)
        string_copy(c->cmdline, args ?: boot_module_args(index), sizeof(c->cmdline));
    return rc;
}

static int read_modules(struct reader *r, struct domain_config *c)
{
    const int parent = r->node;
    int node, rc = 0;

    fdt_for_each_subnode(node, r->fdt, parent)
    {
        r->node = node;
        r->module = fdt_get_name(r->fdt, node, NULL);
        rc = read_module(r, c);
        if (rc)
            break;
    }
    r->node = parent;
    r->module = NULL;
    if (!rc && c->kernel < 0)
        return complain(r, NULL, KERNEL_MISSING);
    return rc;
}

/* --- domains --------------------------------------------------------------------------------- */

/* How often, and with which words, a domain's end is handled; the console. */
static int read_policies(const struct reader *r, struct domain_config *c)
{
    static const char *const end_words[] = {"destroy", "restart", "preserve"};
    static const char *const console_words[] = {"raw", "prefix", "off"};

    c->on_poweroff = c->on_crash = c->on_watchdog = END_DESTROY;
    c->on_reboot = END_RESTART;
    int rc =
        read_word(r, "paravane,on-poweroff", end_words, ARRAY_SIZE(end_words), &c->on_poweroff);
    if (!rc)
        rc = read_word(r, "paravane,on-reboot", end_words, ARRAY_SIZE(end_words), &c->on_reboot);
    if (!rc)
        rc = read_word(r, "paravane,on-crash", end_words, ARRAY_SIZE(end_words), &c->on_crash);
    if (!rc)
        rc =
            read_word(r, "paravane,on-watchdog", end_words, ARRAY_SIZE(end_words), &c->on_watchdog);
    if (!rc)
        rc =
            read_word(r, "paravane,console", console_words, ARRAY_SIZE(console_words), &c->console);
    return rc;
}

static int read_resources(const struct reader *r, struct domain_config *c)
{
    uint32_t cpus = 1;

    int rc = read_kib(r, "memory", &c->memory);
    if (!rc && !c->memory)
        return complain(r, "memory", PROPERTY_MISSING);
    c->max_memory = c->memory;
    if (!rc)
        rc = read_kib(r, "paravane,max-memory", &c->max_memory);
    if (!rc && c->max_memory < c->memory)
        return complain(r, "paravane,max-memory", PROPERTY_RANGE, c->max_memory >> 10,
                        c->memory >> 10, KIB_LIMIT - 1);
    if (!rc)
        rc = read_u32(r, "cpus", 1, MAX_VCPUS, &cpus);
    c->vcpus = cpus;
    c->weight = 256;
    if (!rc)
        rc = read_u32(r, "paravane,cpu-weight", 1, 65535, &c->weight);
    if (!rc)
        rc = read_u32(r, "paravane,cpu-cap", 0, 100 * MAX_CPUS, &c->cap);
    if (!rc)
        rc = read_cpus(r, "paravane,cpu-affinity", &c->affinity);
    return rc;
}

/* Number, mode, roles. */
static int read_identity(const struct reader *r, struct domain_config *c)
{
    uint32_t id = 0, mode = MODE_PV64, permissions = 0, functions = 0;
    int length;

    int rc = read_u32(r, "domid", 0, LAST_DOMID, &id);
    if (!rc)
        rc = read_u32(r, "mode", MODE_PV64, MODE_PV64, &mode);
    if (!rc)
        rc = read_u32(r, "permissions", 0, ~0u, &permissions);
    if (!rc)
        rc = read_u32(r, "functions", 0, ~0u, &functions);
    if (rc)
        return rc;
    const void *uuid = property(r, "domain-uuid", &length);
    if (uuid && length != sizeof(c->handle))
        return complain(r, "domain-uuid", PROPERTY_LENGTH, length, sizeof(c->handle));
    if (uuid)
        memcpy(c->handle, uuid, sizeof(c->handle));

    c->roles = (uint16_t)((permissions & PERMISSION_CONTROL ? ROLE_CONTROL : 0) |
                          (permissions & PERMISSION_HARDWARE ? ROLE_HARDWARE : 0) |
                          (functions & FUNCTION_CONSOLE ? ROLE_CONSOLE : 0) |
                          (functions & FUNCTION_XENSTORE ? ROLE_XENSTORE : 0));
    c->initial = functions & FUNCTION_LEGACY_DOM0;
    if (c->initial)
        c->roles = ROLES_OF_DOM0;
    if (c->initial && id)
        return complain(r, "domid", PROPERTY_RANGE, id, 0, 0);
    c->id = (domid_t)id;
    return 0;
}

static int read_domain(struct reader *r, struct domain_config *c)
{
    int rc, length = 0;

    /* The node's name up to an @; names without one have none to cut. */
    const char *at = memchr(r->domain, '@', strlen(r->domain));
    length = (int)(at ? (size_t)(at - r->domain) : strlen(r->domain));
    snprintf(c->name, sizeof(c->name), "%.*s", MIN(length, (int)sizeof(c->name) - 1), r->domain);
    make_plain(c->name);
    c->kernel = c->ramdisk = -1;
    c->console = 0xff; /* the default depends on how many domains there are */
    rc = read_identity(r, c);
    if (!rc)
        rc = read_resources(r, c);
    if (!rc)
        rc = read_policies(r, c);
    if (!rc)
        rc = read_modules(r, c);
    return rc;
}

/* --- all of them ----------------------------------------------------------------------------- */

static struct domain_config *with_id(struct domain_config *const *configs, unsigned count,
                                     unsigned id)
{
    for (unsigned i = 0; i < count; i++)
        if (configs[i]->id == id)
            return configs[i];
    return NULL;
}

/* Numbers for those that did not ask for one; nobody twice.  Number 0 is the initial domain's; of the
 * others it says that they did not ask. */
static int number_domains(struct reader *r, struct domain_config **configs, unsigned count)
{
    static uint64_t taken[ROUND_UP(DOMID_FIRST_RESERVED, 64) / 64];
    unsigned next = 1;

    memset(taken, 0, sizeof(taken));
    for (unsigned i = 0; i < count; i++) {
        const struct domain_config *c = configs[i];
        if (!c->id && !c->initial)
            continue;
        if (taken[c->id / 64] >> c->id % 64 & 1) {
            r->domain = c->name;
            return complain(r, "domid", DOMID_TWICE, c->id);
        }
        taken[c->id / 64] |= BIT(c->id % 64);
    }
    for (unsigned i = 0; i < count; i++) {
        struct domain_config *c = configs[i];
        if (c->id || c->initial)
            continue;
        while (taken[next / 64] >> next % 64 & 1)
            next++;
        c->id = (domid_t)next++;
    }
    return 0;
}

static void sort_by_id(struct domain_config **configs, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned k = i; k > 0 && configs[k]->id < configs[k - 1]->id; k--) {
            struct domain_config *c = configs[k];
            configs[k] = configs[k - 1];
            configs[k - 1] = c;
        }
}

/* Whose output looks how, and who is typed to. */
static int set_consoles(struct reader *r, struct domain_config **configs, unsigned count)
{
    uint32_t wanted = ~0u;
    struct domain_config *focus = NULL;

    int rc = read_u32(r, "paravane,console", 0, LAST_DOMID, &wanted);
    if (rc)
        return rc;
    for (unsigned i = 0; i < count; i++) {
        struct domain_config *c = configs[i];
        if (c->console == 0xff)
            c->console = count == 1 ? CONSOLE_RAW : CONSOLE_PREFIX;
        if (!focus && c->roles & ROLE_CONSOLE)
            focus = c;
    }
    if (wanted != ~0u)
        focus = with_id(configs, count, wanted);
    else if (!focus)
        focus = configs[0];
    if (!focus)
        return complain(r, "paravane,console", CONSOLE_DOMAIN_MISSING, wanted);
    focus->has_console = true;
    return 0;
}

static int read_all(struct reader *r, struct domain_config **configs, unsigned *count)
{
    const int hypervisor = r->node;
    int node, rc;

    fdt_for_each_subnode(node, r->fdt, hypervisor)
    {
        r->node = node;
        if (!compatible(r, "xen,domain"))
            continue;
        r->domain = fdt_get_name(r->fdt, node, NULL);
        if (*count == hyperlaunch_most(r->size))
            return complain(r, NULL, DOMAINS_TOO_MANY, MAX_DOMAINS_AT_BOOT);
        struct domain_config *c = mem_alloc(sizeof(*c));
        if (!c)
            return complain(r, NULL, STRUCTURES_NO_MEMORY, 1);
        configs[(*count)++] = c;
        rc = read_domain(r, c);
        if (rc)
            return rc;
    }
    r->node = hypervisor;
    r->domain = NULL;
    if (!*count)
        return complain(r, NULL, TREE_WITHOUT_DOMAIN);
    rc = number_domains(r, configs, *count);
    if (rc)
        return rc;
    r->domain = NULL;
    sort_by_id(configs, *count);
    return set_consoles(r, configs, *count);
}

bool hyperlaunch_is_tree(const void *tree, uint64_t size)
{
    return size >= sizeof(uint32_t) && fdt32_ld(tree) == FDT_MAGIC;
}

/*
 * Does every property end inside the structure block?  libfdt 1.6.1 adds a property's length to its
 * place before it looks: a length of -12 leads back to the same property, and fdt_check_full()
 * never ends.
 */
static bool lengths_ok(const void *tree, uint64_t size)
{
    const uint8_t *bytes = tree;
    uint64_t at = fdt_off_dt_struct(tree),
             end = fdt_version(tree) < 17 ? size : at + fdt_size_dt_struct(tree);

    if (at % FDT_TAGSIZE || end > size)
        return false;
    while (at + FDT_TAGSIZE <= end) {
        const uint32_t tag = fdt32_ld((const fdt32_t *)(bytes + at));
        at += FDT_TAGSIZE;
        if (tag == FDT_PROP) {
            if (at + 8 > end || fdt32_ld((const fdt32_t *)(bytes + at)) > end - at - 8)
                return false;
            at += 8 + ROUND_UP((uint64_t)fdt32_ld((const fdt32_t *)(bytes + at)), FDT_TAGSIZE);
        } else if (tag == FDT_BEGIN_NODE) {
            while (at < end && bytes[at])
                at++;
            at = ROUND_UP(at + 1, FDT_TAGSIZE);
        } else if (tag != FDT_END_NODE && tag != FDT_NOP) {
            break; /* the end, or nonsense: fdt_check_full() knows which */
        }
    }
    return true;
}

int hyperlaunch_read(const void *tree, uint64_t size, unsigned modules,
                     struct domain_config **configs, unsigned *count, struct boot_error *e)
{
    struct properties properties = {.node = -1};
    struct reader r = {
        .properties = &properties, .fdt = tree, .size = size, .modules = modules, .e = e};

    *count = 0;
    /* Before version 16 nodes carry their whole path, and fdt_check_full() of libfdt 1.6.1 follows
     * a null pointer in some of those trees; nobody has written one for twenty years. */
    int rc = size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED
             : fdt_version(tree) < 16         ? -FDT_ERR_BADVERSION
             : !lengths_ok(tree, size)        ? -FDT_ERR_BADSTRUCTURE
                                              : fdt_check_full(tree, size);
    if (rc) {
        string_copy(e->where, fdt_strerror(rc), sizeof(e->where));
        return boot_error(e, TREE_MALFORMED, size);
    }
    r.node = fdt_path_offset(tree, "/chosen/hypervisor");
    if (r.node < 0 || !compatible(&r, "hypervisor,xen"))
        return boot_error(e, TREE_WITHOUT_DOMAINS_NODE);
    rc = read_all(&r, configs, count);
    if (rc) {
        for (unsigned i = 0; i < *count; i++)
            mem_free(configs[i], sizeof(*configs[i]));
        *count = 0;
    }
    return rc;
}
