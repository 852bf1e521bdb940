/*
 * xl.cfg to a domain.  See xlcfg.h.
 *
 * libxlutil gives values by name, but neither the names that a file sets nor
 * their lines; scan_keys() finds those with a lexer that knows just enough of
 * the syntax (strings, comments, brackets) to tell a key from a value.
 */
#include "xlcfg.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <libxlutil.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "memory.h"
#include "xlcfg-key-list.h"

/* --- Which keys mean what ------------------------------------------------ */

enum key {
#define K(name, class) KEY_##name,
    XLCFG_KEY_LIST(K)
#undef K
        KEYS
};

enum class { SERVED, UNSERVED, BOOTS, HVM, ARM, GONE };

static const struct {
    const char *name;
    enum class class;
} keys[KEYS] = {
#define K(name, class) [KEY_##name] = {#name, class},
    XLCFG_KEY_LIST(K)
#undef K
};

static const char *const no_effect[] = {
    [UNSERVED] = "is not served by paravane",
    [BOOTS] = "is not served by paravane, which boots kernel=",
    [HVM] = "is for HVM guests only",
    [ARM] = "is for ARM only",
    [GONE] = "is of older tools, and xl ignores it, too",
};

enum { NAME_MOST = 31 /* of a domain: hypervisor/include/domain.h */ };

/* A file that is being read. */
struct config {
    const char *path;
    XLU_Config *xlu;
    unsigned line[KEYS]; /* of the last that sets it, 0: none does */
};

static enum key find_key(const char *name, size_t length)
{
    enum key k = 0;
    while (k < KEYS && (strlen(keys[k].name) != length || memcmp(keys[k].name, name, length) != 0))
        k++;
    return k;
}

static void judge_key(struct config *c, unsigned line, const char *text, size_t length)
{
    const enum key k = find_key(text, length);
    if (k < KEYS)
        c->line[k] = line;
    if (k == KEYS || keys[k].class != SERVED)
        verdict_warn("%s:%u: %.*s %s; the line has no effect", c->path, line, (int)length, text,
                     k < KEYS ? no_effect[keys[k].class] : "is unknown");
}

/* "FILE:LINE: key= what is wrong with it; what to do": a refusal, and a warning. */
static enum verdict xlcfg_refuse(const struct config *c, enum key k, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void warn(const struct config *c, enum key k, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum verdict xlcfg_refuse(const struct config *c, enum key k, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *what = memory_vformat(format, args);
    va_end(args);
    verdict_say(VERDICT_BAD_CONFIG, "%s:%u: %s= %s", c->path, c->line[k], keys[k].name, what);
    free(what);
    return VERDICT_BAD_CONFIG;
}

static void warn(const struct config *c, enum key k, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *what = memory_vformat(format, args);
    va_end(args);
    verdict_warn("%s:%u: %s= %s", c->path, c->line[k], keys[k].name, what);
    free(what);
}

/* --- Finding the keys ---------------------------------------------------- */

struct scanner {
    const char *at;
    unsigned line, depth; /* depth: of square brackets */
};

/* No quote of its own kind is in it, escaped or not, and no new line. */
static void skip_string(struct scanner *s)
{
    const char ends[] = {*s->at++, '\n', '\0'};
    s->at += strcspn(s->at, ends);
    s->at += *s->at == ends[0];
}

/* At an identifier: a key if "=" or "+=" follows and we are in no list. */
static void scan_word(struct scanner *s, struct config *c)
{
    const char *word = s->at;
    while (isalnum((unsigned char)*s->at) || *s->at == '_')
        s->at++;
    size_t length = (size_t)(s->at - word);
    const char *next = s->at + strspn(s->at, " \t");
    if (s->depth == 0 && (*next == '=' || (next[0] == '+' && next[1] == '=')))
        judge_key(c, s->line, word, length);
}

static void scan_keys(struct config *c, const char *text)
{
    struct scanner s = {.at = text, .line = 1};

    while (*s.at) {
        if (*s.at == '#')
            s.at += strcspn(s.at, "\n");
        else if (*s.at == '"' || *s.at == '\'')
            skip_string(&s);
        else if (isalpha((unsigned char)*s.at))
            scan_word(&s, c);
        else {
            s.line += *s.at == '\n';
            s.depth += *s.at == '[';
            s.depth -= *s.at == ']' && s.depth > 0;
            s.at++;
        }
    }
}

/* --- Values -------------------------------------------------------------- */

/* NULL if the key is absent; *@v tells if it is there and no text. */
static const char *text_of(const struct config *c, enum key k, enum verdict *v)
{
    const char *value = NULL;
    const int rc = *v ? ESRCH : xlu_cfg_get_string(c->xlu, keys[k].name, &value, 1);
    if (rc && rc != ESRCH)
        *v = xlcfg_refuse(c, k, "has to be a text, not a list; correct it");
    return rc ? NULL : value;
}

/* 0 if the key is absent; *@v tells if it is there and wrong.  Decimal, 0 octal, 0x hexadecimal. */
static unsigned long number_of(const struct config *c, enum key k, long least, long most,
                               enum verdict *v)
{
    long value = 0;
    const int rc = *v ? ESRCH : xlu_cfg_get_long(c->xlu, keys[k].name, &value, 1);
    if (rc == ESRCH)
        return 0;
    if (rc || value < least || value > most)
        *v = xlcfg_refuse(c, k, "has to be a number from %ld to %ld; correct it", least, most);
    return (unsigned long)value;
}

/* --- CPUs ------------------------------------------------------------------ */

/* What a list of CPUs names.  We know 64; more are on other machines. */
struct cpu_set {
    uint64_t cpus;
    bool elsewhere; /* it names CPUs or nodes that no machine here has */
};

static bool skip(const char **text, const char *prefix)
{
    const size_t n = strlen(prefix);
    const bool is = strncmp(*text, prefix, n) == 0;
    *text += is ? n : 0;
    return is;
}

/* "3" or "0-3", with nothing behind it. */
static bool parse_range(const char *text, unsigned long *first, unsigned long *last)
{
    char *end;
    *first = *last = strtoul(text, &end, 10);
    if (end == text || *first == ULONG_MAX)
        return false;
    if (*end == '-') {
        const char *second = end + 1;
        *last = strtoul(second, &end, 10);
        if (end == second || *last == ULONG_MAX || *last < *first)
            return false;
    }
    return !*end;
}

/* One word of the list: "all", "5", "0-3", "node:0", and "^" before any but all.  The machine has one node. */
static bool parse_cpu_word(const char *word, struct cpu_set *set)
{
    unsigned long first, last;
    const bool out = skip(&word, "^"), nodes = skip(&word, "nodes:") || skip(&word, "node:");
    uint64_t named = 0;

    if (strcmp(word, "all") == 0) {
        set->cpus = ~UINT64_C(0);
        return !out;
    }
    if (!parse_range(word, &first, &last))
        return false;
    if (nodes)
        named = first == 0 ? ~UINT64_C(0) : 0;
    else
        for (unsigned long cpu = first; cpu <= last && cpu < 64; cpu++)
            named |= UINT64_C(1) << cpu;
    set->elsewhere |= !out && last >= (nodes ? 1 : 64);
    set->cpus = out ? set->cpus & ~named : set->cpus | named;
    return true;
}

/* Words are obeyed in their order, as xl does: "^1,0-3" has CPU 1. */
static enum verdict parse_cpus(const struct config *c, const char *text, struct cpu_set *set)
{
    char *copy = memory_strdup(text), *rest = NULL;
    bool ok = true;

    *set = (struct cpu_set){0};
    for (char *word = strtok_r(copy, ",", &rest); ok && word; word = strtok_r(NULL, ",", &rest))
        ok = parse_cpu_word(word, set);
    free(copy);
    if (!ok)
        return xlcfg_refuse(c, KEY_cpus,
                            "\"%s\" is no list of CPUs; write it like \"0-3,^2\" or "
                            "\"all,^node:1\"",
                            text);
    if (!set->cpus && !set->elsewhere)
        return xlcfg_refuse(c, KEY_cpus, "\"%s\" names no CPU; write \"all\" for any", text);
    if (!set->cpus) {
        warn(c, KEY_cpus, "\"%s\" names only CPUs that no machine here has; the vCPUs run on any",
             text);
        set->cpus = ~UINT64_C(0);
    }
    return VERDICT_OK;
}

/* A list has an element for each vCPU; those without one run anywhere, and what is too much is ignored. */
static enum verdict parse_cpus_list(struct domain *d, const struct config *c, XLU_ConfigList *list,
                                    int entries)
{
    uint64_t all = 0;
    bool differ = false;
    enum verdict v = VERDICT_OK;

    for (unsigned i = 0; !v && i < d->vcpus; i++) {
        struct cpu_set set = {.cpus = ~UINT64_C(0)};
        const char *text = (int)i < entries ? xlu_cfg_get_listitem(list, (int)i) : "all";
        v = text ? parse_cpus(c, text, &set)
                 : xlcfg_refuse(c, KEY_cpus,
                                "has an element that is neither a number nor a text; correct it");
        differ |= i > 0 && set.cpus != all;
        all |= set.cpus;
    }
    if (!v && differ)
        warn(c, KEY_cpus,
             "has different CPUs for the vCPUs; here each of them runs on all of these");
    d->affinity = all;
    return v;
}

static enum verdict read_cpus(struct domain *d, const struct config *c)
{
    XLU_ConfigList *list;
    int entries;
    struct cpu_set set = {0};
    enum verdict v = VERDICT_OK;

    if (xlu_cfg_get_list(c->xlu, "cpus", &list, &entries, 1) == 0) {
        v = parse_cpus_list(d, c, list, entries);
    } else {
        const char *text = text_of(c, KEY_cpus, &v);
        if (text)
            v = parse_cpus(c, text, &set);
        d->affinity = set.cpus;
    }
    if (d->affinity == ~UINT64_C(0))
        d->affinity = 0; /* any */
    return v;
}

/* --- What happens at the end ----------------------------------------------- */

static const struct action {
    const char *name, *served, *but; /* @served NULL: the default */
} actions[] = {
    {"destroy", "destroy", NULL},
    {"restart", "restart", NULL},
    {"preserve", "preserve", NULL},
    {"rename-restart", "restart", "here no domain is kept beside the new one"},
    {"coredump-destroy", "destroy",
     "here no core is written, the crash is described on the console"},
    {"coredump-restart", "restart",
     "here no core is written, the crash is described on the console"},
    {"soft-reset", NULL, "PV guests have no soft reset, the default is taken"},
};

static void read_event(struct domain *d, const struct config *c, enum on_event event, enum key k,
                       enum verdict *v)
{
    const char *value = text_of(c, k, v);
    if (!value)
        return;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(value, actions[i].name) != 0)
            continue;
        if (actions[i].but)
            warn(c, k, "\"%s\" is %s: %s", value, actions[i].served ? actions[i].served : "ignored",
                 actions[i].but);
        d->on[event] = actions[i].served;
        return;
    }
    *v = xlcfg_refuse(c, k, "\"%s\" is not served; write \"destroy\", \"restart\" or \"preserve\"",
                      value);
}

static enum verdict read_events(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
#define E(name, otherwise) read_event(d, c, ON_##name, KEY_on_##name, &v);
    ON_EVENT_LIST(E)
#undef E
    return v;
}

/* --- The rest -------------------------------------------------------------- */

/* 32 hexadecimal digits, with dashes wherever; false if @text is anything else. */
static bool parse_uuid(const char *text, unsigned char uuid[16])
{
    static const char hex[] = "0123456789abcdef";
    unsigned digits = 0;

    for (; *text; text++) {
        const char *digit = strchr(hex, tolower((unsigned char)*text));
        if (*text == '-')
            continue;
        if (!digit || digits == 32)
            return false;
        uuid[digits / 2] = (unsigned char)(uuid[digits / 2] << 4 | (digit - hex));
        digits++;
    }
    return digits == 32;
}

static enum verdict read_uuid(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    const char *text = text_of(c, KEY_uuid, &v);
    d->has_uuid = text && parse_uuid(text, d->uuid);
    if (text && !d->has_uuid)
        v = xlcfg_refuse(c, KEY_uuid, "\"%s\" is no UUID; correct it", text);
    return v;
}

/* cmdline= replaces root= and extra=, as for xl. */
static enum verdict read_command_line(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    const char *whole = text_of(c, KEY_cmdline, &v), *root = text_of(c, KEY_root, &v),
               *extra = text_of(c, KEY_extra, &v);
    if (v)
        return v;
    if (whole && (root || extra))
        warn(c, root ? KEY_root : KEY_extra, "has no effect, since there is a cmdline=");
    free(d->command_line);
    if (whole)
        d->command_line = memory_strdup(whole);
    else if (root)
        d->command_line = memory_format("root=%s%s%s", root, extra ? " " : "", extra ? extra : "");
    else
        d->command_line = memory_strdup(extra ? extra : "");
    return v;
}

static enum verdict check_type(const struct config *c)
{
    enum verdict v = VERDICT_OK;
    const char *type = text_of(c, KEY_type, &v), *builder = text_of(c, KEY_builder, &v);
    const enum key k = type ? KEY_type : KEY_builder;
    const char *asked = type ? type : builder ? builder : "pv";

    if (v || strcmp(asked, type ? "pv" : "generic") == 0 || (!type && !builder))
        return v;
    if (strcmp(asked, "hvm") == 0 || strcmp(asked, "pvh") == 0)
        return xlcfg_refuse(
            c, k, "asks for a guest of type %s, and only PV guests run here; write type=\"pv\"",
            asked);
    return xlcfg_refuse(c, k, "\"%s\" is no type of guest; write type=\"pv\"", asked);
}

/* As xl takes it; and if it is not there, beside the file that names it. */
static char *resolve(const char *config, const char *path)
{
    if (*path == '/' || file_exists(path))
        return memory_strdup(path);
    char *copy = memory_strdup(config);
    char *beside = memory_format("%s/%s", dirname(copy), path);
    free(copy);
    if (file_exists(beside))
        return beside;
    free(beside);
    return memory_strdup(path);
}

/* A kernel that something else would have found is not found here. */
static enum verdict no_kernel(const struct config *c)
{
    static const enum key others[] = {KEY_bootloader, KEY_firmware};
    for (size_t i = 0; i < 2; i++)
        if (c->line[others[i]])
            return xlcfg_refuse(c, others[i],
                                "is not served, and there is no kernel=; name the kernel that it "
                                "would load (or the guest's boot loader itself)");
    return verdict_say(VERDICT_BAD_CONFIG, "%s: there is no kernel=; name the guest's kernel",
                       c->path);
}

static enum verdict read_files(struct domain *d, unsigned id, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    const char *kernel = text_of(c, KEY_kernel, &v), *ramdisk = text_of(c, KEY_ramdisk, &v);
    if (v)
        return v;
    if (!kernel)
        return no_kernel(c);

    char *file = resolve(c->path, kernel);
    v = domain_init(d, id, file);
    free(file);
    if (!v && ramdisk) {
        d->ramdisk = resolve(c->path, ramdisk);
        v = file_check(d->ramdisk, "the ramdisk", &d->ramdisk_size);
    }
    return v;
}

/* A name is a device tree node's here: a slash or an @ would end it. */
static enum verdict read_name(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    const char *name = text_of(c, KEY_name, &v);
    if (v)
        return v;
    if (!name)
        return verdict_say(VERDICT_BAD_CONFIG, "%s: there is no name=; name the domain", c->path);
    if (!*name)
        return xlcfg_refuse(c, KEY_name, "is empty; choose one");
    if (strlen(name) > NAME_MOST)
        warn(c, KEY_name, "has %zu characters; the hypervisor's lines show the first %d",
             strlen(name), NAME_MOST);
    for (const char *at = name; *at; at++)
        if (!isprint((unsigned char)*at) || strchr("/@", *at))
            return xlcfg_refuse(c, KEY_name,
                                "\"%s\" has a slash, an @, or a character that cannot be printed; "
                                "choose another",
                                name);
    free(d->name);
    d->name = memory_strdup(name);
    return v;
}

static enum verdict read_memory(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    d->memory_mib = number_of(c, KEY_memory, 1, 1 << 24, &v);
    d->max_memory_mib = number_of(c, KEY_maxmem, 1, 1 << 24, &v);
    if (!v && d->max_memory_mib && d->max_memory_mib < d->memory_mib)
        v = xlcfg_refuse(c, KEY_maxmem, "%lu is less than memory=%lu; raise it, or lower that",
                         (unsigned long)d->max_memory_mib, (unsigned long)d->memory_mib);
    return v;
}

static enum verdict read_vcpus(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    const unsigned now = (unsigned)number_of(c, KEY_vcpus, 1, VCPUS_MOST, &v);
    const unsigned most = (unsigned)number_of(c, KEY_maxvcpus, 1, VCPUS_MOST, &v);
    if (v)
        return v;
    if (most && now > most)
        return xlcfg_refuse(c, KEY_maxvcpus, "%u is less than vcpus=%u; raise it, or lower that",
                            most, now);
    if (now && now < most)
        warn(c, KEY_vcpus, "%u leaves out %u of maxvcpus=%u; here all of them are online", now,
             most - now, most);
    d->vcpus = most ? most : now ? now : 1;
    return v;
}

static enum verdict read_shares(struct domain *d, const struct config *c)
{
    enum verdict v = VERDICT_OK;
    d->weight = (unsigned)number_of(c, KEY_cpu_weight, 1, 65535, &v);
    d->cap =
        (unsigned)number_of(c, KEY_cap, 0, 100 * (long)d->vcpus, &v); /* a vCPU cannot use more */
    return v;
}

static enum verdict read_values(struct domain *d, unsigned id, const struct config *c)
{
    enum verdict v = check_type(c);
    v = v ? v : read_files(d, id, c);
    v = v ? v : read_name(d, c);
    v = v ? v : read_memory(d, c);
    v = v ? v : read_vcpus(d, c);
    v = v ? v : read_shares(d, c);
    v = v ? v : read_cpus(d, c);
    v = v ? v : read_events(d, c);
    v = v ? v : read_uuid(d, c);
    return v ? v : read_command_line(d, c);
}

/* libxlutil says "FILE:LINE: config parsing error near ..." first, then perhaps that Python is no longer supported. */
static enum verdict bad_syntax(const char *path, const char *report)
{
    const int length = (int)strcspn(report, "\n");
    if (!length)
        return verdict_say(VERDICT_BAD_CONFIG, "%s is not in xl.cfg's syntax; correct it", path);
    return verdict_say(VERDICT_BAD_CONFIG,
                       "%.*s; a value is a number without a sign, a text in quotes, or a list of "
                       "those in brackets; correct it",
                       length, report);
}

enum verdict xlcfg_read(struct domain *d, unsigned id, const char *path)
{
    struct config c = {.path = path};
    void *text = NULL;
    size_t size = 0;

    *d = (struct domain){.id = id};
    enum verdict v = file_read(path, "the configuration", &text, &size);
    if (v)
        return v;

    if (strlen(text) != size) { /* libxlutil would end us with an assertion */
        free(text);
        return verdict_say(
            VERDICT_BAD_CONFIG,
            "%s has a NUL byte, so it is no xl.cfg file; give text files, or a KERNEL without them",
            path);
    }

    char *report = NULL;
    size_t report_size;
    FILE *const reports = open_memstream(&report, &report_size);
    c.xlu = reports ? xlu_cfg_init(reports, path) : NULL;
    if (!c.xlu || xlu_cfg_readdata(c.xlu, text, (int)size))
        v = bad_syntax(path, reports && !fflush(reports) ? report : "");
    if (!v) {
        scan_keys(&c, text);
        v = read_values(d, id, &c);
    }
    if (c.xlu)
        xlu_cfg_destroy(c.xlu);
    if (reports)
        fclose(reports);
    free(report);
    free(text);
    return v;
}
