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
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "memory.h"

/* --- Which keys mean what ------------------------------------------------ */

/* The keys that are read below. */
#define SERVED_KEYS                                                                            \
    "name kernel ramdisk cmdline root extra memory maxmem vcpus maxvcpus cpus cpu_weight cap " \
    "uuid "                                                                                    \
    "on_poweroff on_reboot on_crash on_watchdog type builder"

/* Mean something for PV guests under xl, and nothing here. */
#define UNSERVED_KEYS                                                                         \
    "disk vif vfb bootloader bootloader_args bootloader_restrict_to pci pci_permissive "      \
    "pci_msitranslate pci_seize pci_power_mgmt gfx_passthru usbctrl usbdev channel vtpm p9 "  \
    "pvcalls "                                                                                \
    "vsnd vkb vdispl virtio pool sched period slice latency extratime cpus_soft nodes "       \
    "numa_placement "                                                                         \
    "vnuma nomigrate seclabel init_seclabel driver_domain device_tree passthrough e820_host " \
    "tsc_mode "                                                                               \
    "localtime rtc_timeoffset claim_mode dtdev irqs ioports iomem max_grant_frames "          \
    "max_maptrack_frames max_grant_version description timestamp xend_suspend_evtchn_compat " \
    "on_soft_reset vuart tee sve vmtrace_buf_kb vpmu suppress_spurious_page_faults "          \
    "dm_restrict pvh pvshim pvshim_path pvshim_cmdline pvshim_extra blkdev_start"

/* For HVM (and PVH) guests only. */
#define HVM_KEYS                                                                                   \
    "acpi acpi_firmware acpi_laptop_slate acpi_s3 acpi_s4 altp2m altp2mhvm apic bios "             \
    "bios_path_override "                                                                          \
    "boot cpuid device_model_version device_model_override device_model_stubdomain_override "      \
    "device_model_user device_model_args device_model_args_pv device_model_args_hvm "              \
    "stubdomain_memory stubdomain_kernel stubdomain_cmdline stubdomain_ramdisk firmware "          \
    "firmware_override hap hdtype hpet invtsc keymap mca_caps mmio_hole ms_vm_genid nestedhvm nx " \
    "opengl pae nographic rdm rdm_mem_boundary sdl serial shadow_memory smbios_firmware smbios "   \
    "soundhw spice spiceagent_mouse spicehost spiceport spicetls_port stdvga timer_mode usb "      \
    "usbdevice usbversion vga videoram viridian vnc vncdisplay vnclisten vncpasswd vncunused "     \
    "vpt_align "                                                                                   \
    "x87 xen_platform_pci"

static bool is_among(const char *words, const char *key, size_t length)
{
    for (const char *at = words; (at = strstr(at, key)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static void judge_key(const char *path, unsigned line, const char *text, size_t length)
{
    char *key = memory_format("%.*s", (int)length, text);
    const char *why = is_among(SERVED_KEYS, key, length)     ? NULL
                      : is_among(HVM_KEYS, key, length)      ? "is for HVM guests only"
                      : is_among(UNSERVED_KEYS, key, length) ? "is not served by paravane"
                                                             : "is unknown";
    if (why)
        verdict_warn("%s:%u: %s %s; the line has no effect", path, line, key, why);
    free(key);
}

/* --- Finding the keys ---------------------------------------------------- */

struct scanner {
    const char *at;
    unsigned line, depth; /* depth: of square brackets */
};

static void skip_string(struct scanner *s)
{
    char quote = *s->at++;
    while (*s->at && *s->at != quote && *s->at != '\n')
        s->at += *s->at == '\\' && s->at[1] ? 2 : 1;
    s->at += *s->at == quote;
}

/* At an identifier: a key if "=" or "+=" follows and we are in no list. */
static void scan_word(struct scanner *s, const char *path)
{
    const char *word = s->at;
    while (isalnum((unsigned char)*s->at) || *s->at == '_')
        s->at++;
    size_t length = (size_t)(s->at - word);
    const char *next = s->at + strspn(s->at, " \t");
    if (s->depth == 0 && (*next == '=' || (next[0] == '+' && next[1] == '=')))
        judge_key(path, s->line, word, length);
}

static void scan_keys(const char *path, const char *text)
{
    struct scanner s = {.at = text, .line = 1};

    while (*s.at) {
        if (*s.at == '#')
            s.at += strcspn(s.at, "\n");
        else if (*s.at == '"' || *s.at == '\'')
            skip_string(&s);
        else if (isalpha((unsigned char)*s.at))
            scan_word(&s, path);
        else {
            s.line += *s.at == '\n';
            s.depth += *s.at == '[';
            s.depth -= *s.at == ']' && s.depth > 0;
            s.at++;
        }
    }
}

/* --- Values -------------------------------------------------------------- */

static const char *text_of(const XLU_Config *c, const char *key)
{
    const char *value = NULL;
    return xlu_cfg_get_string(c, key, &value, 0) ? NULL : value;
}

/* 0 if the key is absent; *@v tells if it is there and wrong. */
static long number_of(const XLU_Config *c, const char *path, const char *key, long least, long most,
                      enum verdict *v)
{
    long value = 0;
    int rc = xlu_cfg_get_long(c, key, &value, 1);
    if (rc == ESRCH || *v)
        return 0;
    if (rc || value < least || value > most)
        *v = verdict_say(VERDICT_BAD_CONFIG,
                         "%s: %s= has to be a number from %ld to %ld; correct it", path, key, least,
                         most);
    return value;
}

/* "0-3,5,^2" as a bitmap; xl's words "all" and "node:" mean any here. */
static enum verdict parse_cpus(const char *path, const char *text, uint64_t *bitmap)
{
    uint64_t take = 0, leave = 0;

    if (strcmp(text, "all") == 0)
        return VERDICT_OK;
    for (const char *at = text; *at;) {
        bool not = *at == '^';
        char *end;
        unsigned long first = strtoul(at + not, &end, 10), last = first;
        bool ok = end != at + not ;
        if (ok && *end == '-')
            last = strtoul(end + 1, &end, 10);
        if (!ok || (*end && *end != ',') || first > last || last > 63)
            return verdict_say(VERDICT_BAD_CONFIG,
                               "%s: cpus=\"%s\" is no list of CPUs; write it like \"0-3,^2\"", path,
                               text);
        for (unsigned long cpu = first; cpu <= last; cpu++)
            *(not ? &leave : &take) |= UINT64_C(1) << cpu;
        at = end + (*end == ',');
    }
    *bitmap = (take ? take : ~UINT64_C(0)) & ~leave;
    return VERDICT_OK;
}

/* cpus= is a string, a number, or (one mask for each vCPU) a list: the first counts. */
static enum verdict read_cpus(struct domain *d, const XLU_Config *c, const char *path)
{
    XLU_ConfigList *list;
    int entries;
    const char *text = NULL;

    if (xlu_cfg_get_list(c, "cpus", &list, &entries, 1) == 0)
        text = xlu_cfg_get_listitem(list, 0);
    else if (xlu_cfg_get_string(c, "cpus", &text, 1))
        text = NULL;
    return text ? parse_cpus(path, text, &d->affinity) : VERDICT_OK;
}

static enum verdict read_event(struct domain *d, const XLU_Config *c, const char *path,
                               enum on_event event, const char *key)
{
    static const char *const served[] = {"destroy", "restart", "preserve"};
    const char *value = text_of(c, key);
    if (!value)
        return VERDICT_OK;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(value, served[i]) == 0) {
            d->on[event] = served[i];
            return VERDICT_OK;
        }
    return verdict_say(
        VERDICT_BAD_CONFIG,
        "%s: %s=\"%s\" is not served; write \"destroy\", \"restart\" or \"preserve\"", path, key,
        value);
}

static enum verdict read_events(struct domain *d, const XLU_Config *c, const char *path)
{
    enum verdict v = VERDICT_OK;
#define E(name, otherwise) v = v ? v : read_event(d, c, path, ON_##name, "on_" #name);
    ON_EVENT_LIST(E)
#undef E
    return v;
}

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

static enum verdict read_uuid(struct domain *d, const XLU_Config *c, const char *path)
{
    const char *text = text_of(c, "uuid");
    d->has_uuid = text && parse_uuid(text, d->uuid);
    if (text && !d->has_uuid)
        return verdict_say(VERDICT_BAD_CONFIG, "%s: uuid=\"%s\" is no UUID; correct it", path,
                           text);
    return VERDICT_OK;
}

/* cmdline= replaces root= and extra=, as for xl. */
static char *command_line(const XLU_Config *c)
{
    const char *whole = text_of(c, "cmdline"), *root = text_of(c, "root"),
               *extra = text_of(c, "extra");
    if (whole)
        return memory_strdup(whole);
    if (root)
        return memory_format("root=%s%s%s", root, extra ? " " : "", extra ? extra : "");
    return memory_strdup(extra ? extra : "");
}

static enum verdict check_type(const XLU_Config *c, const char *path)
{
    const char *type = text_of(c, "type"), *builder = text_of(c, "builder");
    const char *asked = type ? type : builder ? builder : "pv";

    if (strcmp(asked, "pv") == 0 || strcmp(asked, "generic") == 0)
        return VERDICT_OK;
    return verdict_say(
        VERDICT_BAD_CONFIG,
        "%s: it asks for an %s guest, and only PV guests run here; write type=\"pv\"", path, asked);
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

static enum verdict read_files(struct domain *d, unsigned id, const XLU_Config *c, const char *path)
{
    const char *kernel = text_of(c, "kernel"), *ramdisk = text_of(c, "ramdisk");
    if (!kernel)
        return verdict_say(VERDICT_BAD_CONFIG, "%s: there is no kernel=; name the guest's kernel",
                           path);

    char *file = resolve(path, kernel);
    enum verdict v = domain_init(d, id, file);
    free(file);
    if (!v && ramdisk) {
        d->ramdisk = resolve(path, ramdisk);
        v = file_check(d->ramdisk, "the ramdisk", &d->ramdisk_size);
    }
    return v;
}

/* A name is a device tree node's here, so it is made of what those may contain. */
static enum verdict read_name(struct domain *d, const XLU_Config *c, const char *path)
{
    const char *name = text_of(c, "name");
    if (!name)
        return verdict_say(VERDICT_BAD_CONFIG, "%s: there is no name=; name the domain", path);
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr(",._+-", *at))
            return verdict_say(VERDICT_BAD_CONFIG,
                               "%s: name=\"%s\" has characters other than letters, digits and "
                               ",._+-; choose another",
                               path, name);
    free(d->name);
    d->name = memory_strdup(name);
    return VERDICT_OK;
}

static enum verdict read_sizes(struct domain *d, const XLU_Config *c, const char *path)
{
    enum verdict v = VERDICT_OK;
    long memory = number_of(c, path, "memory", 1, 1 << 24, &v);
    long vcpus = number_of(c, path, "vcpus", 1, VCPUS_MOST, &v);
    long most = number_of(c, path, "maxvcpus", 1, VCPUS_MOST, &v);

    d->max_memory_mib = (uint64_t)number_of(c, path, "maxmem", 1, 1 << 24, &v);
    d->weight = (unsigned)number_of(c, path, "cpu_weight", 1, 65535, &v);
    d->cap = (unsigned)number_of(c, path, "cap", 0, 100 * 128, &v);
    d->memory_mib = (uint64_t)memory;
    d->vcpus = most ? (unsigned)most : vcpus ? (unsigned)vcpus : 1;
    return v;
}

static enum verdict read_values(struct domain *d, unsigned id, const XLU_Config *c,
                                const char *path)
{
    enum verdict v = check_type(c, path);
    v = v ? v : read_files(d, id, c, path);
    v = v ? v : read_name(d, c, path);
    v = v ? v : read_sizes(d, c, path);
    v = v ? v : read_cpus(d, c, path);
    v = v ? v : read_events(d, c, path);
    v = v ? v : read_uuid(d, c, path);
    if (!v) {
        free(d->command_line);
        d->command_line = command_line(c);
    }
    return v;
}

enum verdict xlcfg_read(struct domain *d, unsigned id, const char *path)
{
    void *text = NULL;
    size_t size = 0;

    *d = (struct domain){.id = id};
    enum verdict v = file_read(path, "the configuration", &text, &size);
    if (v)
        return v;

    if (strlen(text) != size) { /* libxlutil would end us with an assertion */
        free(text);
        return verdict_say(VERDICT_BAD_CONFIG, "%s has a NUL byte; give a text file", path);
    }

    /* Its messages are "file:line: config parsing error near ..." */
    XLU_Config *config = xlu_cfg_init(stderr, path);
    if (!config || xlu_cfg_readdata(config, text, (int)size))
        v = verdict_say(VERDICT_BAD_CONFIG,
                        "%s is not in xl.cfg's syntax; correct the line that is named above", path);
    if (!v) {
        scan_keys(path, text);
        v = read_values(d, id, config, path);
    }
    if (config)
        xlu_cfg_destroy(config);
    free(text);
    return v;
}
