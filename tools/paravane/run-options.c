/*
 * The command line of `paravane run`.
 *
 * OPTION_LIST is the one list of options: getopt's table, the help and the
 * page in tools/README.md (checked by tests/boot) come from it.
 */
#include "run-options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devicetree.h"
#include "file.h"
#include "memory.h"
#include "output.h"

/* O(name, short, value or NULL, help) */
/* clang-format off */
#define OPTION_LIST(O)                                                                             \
    O(linux, 0, NULL, "boot Linux to a shell; without a KERNEL the newest that is installed")      \
    O(xl, 0, NULL, "boot Debian's Linux as domain 0, with Xen's xl (from tools/setup --dom0)")      \
    O(add, 0, "PATH[:/TARGET]", "put this file or folder into the initramfs, too (many times)")    \
    O(ramdisk, 'r', "FILE", "the guest's ramdisk (initramfs)")                                     \
    O(extra, 'x', "TEXT", "more words for the guest's command line (many times)")                  \
    O(memory, 'm', "MIB", "memory of the domain (default 64, or twice what it needs)")             \
    O(max_memory, 0, "MIB", "memory that the domain may grow to (default: --memory)")              \
    O(vcpus, 'c', "N", "vCPUs of the domain (default 1)")                                          \
    O(cpus, 0, "N", "physical CPUs of the machine (default 1)")                                    \
    O(copies, 0, "N", "so many domains of KERNEL: NAME-1, NAME-2, ... (default 1)")                \
    O(hypervisor, 0, "WHICH", "paravane (default), xen (4.17, from tools/setup) or a file")        \
    O(native, 0, NULL, "no hypervisor: boot KERNEL on the bare machine")                           \
    O(dom0, 0, NULL, "start the guest as the privileged domain 0, from plain modules")             \
    O(privileged, 0, NULL, "the same as --dom0")                                                   \
    O(disk, 0, "FILE", "a virtio disk of domain 0's, or of the bare machine's (many times)")       \
    O(net, 0, NULL, "a virtio network interface, behind QEMU's own network")                       \
    O(accel, 0, "WHICH", "auto (default), tcg or kvm; auto is tcg")                                \
    O(cpu, 0, "MODEL", "QEMU's CPU model (default qemu64; host with kvm)")                         \
    O(threads, 0, "WHICH", "of QEMU's: auto (default), single for all CPUs, multi: one for each CPU")\
    O(firmware, 0, "WHICH", "qboot, seabios or a file (default: what fits, see tools/README.md)")  \
    O(icount, 0, NULL, "count instructions: the TSC is their number, runs repeat exactly")         \
    O(timeout, 0, "SECONDS", "end it then (default: never on a terminal, else 300)")               \
    O(tap, 0, NULL, "the guest prints TAP: pass it on, and judge it")                              \
    O(input, 0, "FILE|TEXT", "type this to the guest (\\n is a new line) instead of stdin")        \
    O(log, 0, "FILE", "write the whole console there, too")                                        \
    O(quiet, 'q', NULL, "show the hypervisor's own lines only if the verdict points to them")      \
    O(explain, 0, NULL, "have every refused hypercall explained when it happens")                  \
    O(strace, 'e', "[FILTER]", "print every hypercall, or those that FILTER names")                \
    O(strace_output, 'o', "FILE", "print them there, instead of on stderr")                        \
    O(summary, 0, NULL, "--strace, but only a table at the end: counts, failures, costs")          \
    O(timestamps, 0, NULL, "--strace with the system time of each call")                           \
    O(symbols, 0, "FILE", "names for the guest's addresses: an ELF file or a System.map")          \
    O(append, 0, "TEXT", "more words for the hypervisor's command line (many times)")              \
    O(tree, 0, "FILE", "give the hypervisor this device tree instead of one made here")            \
    O(machine_memory, 0, "MIB", "memory of the machine (default: what the domains need)")          \
    O(expect, 0, "VERDICT", "exit with 0 if this is the verdict (name or code), else with 1")      \
    O(until, 0, "NAME", "end the run when this domain has ended; its end is the verdict")          \
    O(gdb, 0, "[PORT]", "wait for a debugger on this port of 127.0.0.1 (default 1234 or a free one)")\
    O(bundle, 0, "DIR", "put all files that QEMU needs into this folder")                          \
    O(verbose, 'v', NULL, "say what the tool has chosen: memory, firmware, threads")               \
    O(print_command, 0, NULL, "print the QEMU command and stop (--bundle makes it usable)")        \
    O(help, 'h', NULL, "show this")
/* clang-format on */

enum option_id {
    OPTION_FIRST = 256, /* beyond every letter */
#define O(name, letter, value, help) OPTION_##name,
    OPTION_LIST(O)
#undef O
};

/* C names have no '-': the table is written with '_', the user writes '-'. */
static char *run_options_dashed(const char *name)
{
    char *text = memory_strdup(name);
    for (char *c = text; *c; c++)
        if (*c == '_')
            *c = '-';
    return text;
}

/* A value in brackets may be left out; given, it follows a '='. */
static int argument_kind(const char *value)
{
    return !value ? no_argument : *value == '[' ? optional_argument : required_argument;
}

/* Once a process: not freed. */
static struct option *long_options(void)
{
    const struct option all[] = {
#define O(name, letter, value, help) \
    {#name, argument_kind(value), NULL, (letter) ? (letter) : OPTION_##name},
        OPTION_LIST(O)
#undef O
            {0}};
    struct option *table = memory_zalloc(sizeof(all));
    memcpy(table, all, sizeof(all));
    for (struct option *o = table; o->name; o++)
        if (strchr(o->name, '_'))
            o->name = run_options_dashed(o->name);
    return table;
}

static void help_line(FILE *out, const char *name, char letter, const char *value, const char *help)
{
    const bool optional = value && *value == '[';
    char *option = run_options_dashed(name), *left;
    left = memory_format("%s--%s%s%s", letter ? (char[]){'-', letter, ',', ' ', 0} : "    ", option,
                         optional ? "[="
                         : value  ? " "
                                  : "",
                         value ? value + optional : "");
    fprintf(out, "  %-28s %s\n", left, help);
    free(option);
    free(left);
}

void run_options_help(FILE *out)
{
    fprintf(out, "usage: paravane run [options] KERNEL [guest's command line]\n"
                 "       paravane run [options] --linux [KERNEL [more words]]\n"
                 "       paravane run [options] --xl\n"
                 "       paravane run [options] FILE.cfg [FILE.cfg ...]\n\n"
                 "Boots a paravirtualized guest (ELF or bzImage), or the guests that xl.cfg files\n"
                 "describe, in QEMU, and exits with the verdict (`paravane explain`).\n"
                 "With --native any kernel that QEMU can load, without a hypervisor.\n\n");
#define O(name, letter, value, help) help_line(out, #name, letter, value, help);
    OPTION_LIST(O)
#undef O
}

/* With less the firmware does not get as far as a message. */
#define FIRMWARE_MIB 4

/* --- Values -------------------------------------------------------------- */

static enum verdict number(const char *option, const char *text, unsigned long least,
                           unsigned long most, unsigned long *value)
{
    char *end;
    errno = 0;
    *value = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || *value < least || *value > most)
        return verdict_say(VERDICT_USAGE, "--%s %s is not a number from %lu to %lu; give one",
                           option, text, least, most);
    return VERDICT_OK;
}

static enum verdict set_number(const char *option, const char *text, unsigned long least,
                               unsigned long most, unsigned *field)
{
    unsigned long value;
    enum verdict v = number(option, text, least, most, &value);
    if (!v)
        *field = (unsigned)value;
    return v;
}

static enum verdict set_accel(struct run_options *o, const char *text)
{
    if (strcmp(text, "auto") != 0 && strcmp(text, "tcg") != 0 && strcmp(text, "kvm") != 0)
        return verdict_say(VERDICT_USAGE, "--accel %s is unknown; give auto, tcg or kvm", text);
    /* auto is not "kvm if there is one": see tools/README.md, "The accelerator". */
    o->machine.accel = strcmp(text, "kvm") == 0 ? "kvm" : "tcg";
    return VERDICT_OK;
}

static enum verdict set_threads(struct run_options *o, const char *text)
{
    static const char *const names[] = {
        [THREADS_AUTO] = "auto", [THREADS_SINGLE] = "single", [THREADS_MULTI] = "multi"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0) {
            o->machine.threads = (enum machine_threads)i;
            return VERDICT_OK;
        }
    return verdict_say(VERDICT_USAGE, "--threads %s is unknown; give auto, single or multi", text);
}

static enum verdict set_expect(struct run_options *o, const char *text)
{
    char *end;
    long code = strtol(text, &end, 10);
    if (*end)
        code = -1;
#define V(name, number, meaning, advice) \
    if (strcmp(text, #name) == 0)        \
        code = number;
    VERDICT_LIST(V)
#undef V
    if (!verdict_name((int)code))
        return verdict_say(VERDICT_USAGE,
                           "--expect %s is no verdict; `paravane explain` lists their names", text);
    o->session.expect = (enum verdict)code;
    return VERDICT_OK;
}

static enum verdict set_timeout(struct run_options *o, const char *text)
{
    char *end;
    o->session.timeout = strtod(text, &end);
    if (*end || end == text || !(o->session.timeout >= 0) || o->session.timeout > 1e6)
        return verdict_say(VERDICT_USAGE,
                           "--timeout %s is not a number of seconds; give one, or 0 "
                           "for none",
                           text);
    return VERDICT_OK;
}

static enum verdict set_log(struct run_options *o, const char *path)
{
    o->session.log = output_open(path);
    return o->session.log
               ? VERDICT_OK
               : verdict_say(VERDICT_NO_FILE, "cannot write the log %s: %s; check the path", path,
                             strerror(errno));
}

/* A text, with C's \n, \t and \\, ending in a newline. */
static void input_text(struct bytes *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        char byte = *c;
        if (*c == '\\' && c[1] && strchr("nt\\", c[1])) {
            c++;
            byte = *c == 'n' ? '\n' : *c == 't' ? '\t' : '\\';
        }
        bytes_append(out, &byte, 1);
    }
    if (out->size && out->data[out->size - 1] != '\n')
        bytes_append(out, "\n", 1);
}

/* One word that begins as a path does: who meant a file should hear that there is none. */
static bool looks_like_path(const char *text)
{
    return (*text == '/' || !strncmp(text, "./", 2) || !strncmp(text, "../", 3)) &&
           !strpbrk(text, " \t\n\\;|&");
}

static enum verdict set_input(struct run_options *o, const char *text)
{
    void *data;
    size_t size;

    o->session.read_stdin = false;
    if (!file_exists(text)) {
        if (looks_like_path(text))
            verdict_warn("there is no file %s: this is what is typed", text);
        input_text(&o->session.input, text);
        return VERDICT_OK;
    }
    enum verdict v = file_read(text, "the input", &data, &size);
    if (v == VERDICT_OK) {
        bytes_append(&o->session.input, data, size);
        free(data);
    }
    return v;
}

static enum verdict wrong_usage(const char *why)
{
    return verdict_say(VERDICT_USAGE, "%s; `paravane help run` shows the options", why);
}

/* --- The loop ------------------------------------------------------------ */

/* Where an option without a value leaves its mark, or NULL. */
static bool *flag_of(struct run_options *o, int option)
{
    switch (option) {
    case OPTION_linux:
        return &o->boot_linux;
    case OPTION_xl:
        return &o->boot_xl;
    case OPTION_net:
        return &o->machine.net;
    case OPTION_dom0:
    case OPTION_privileged:
        return &o->machine.privileged;
    case OPTION_native:
        return &o->machine.native;
    case OPTION_icount:
        return &o->machine.icount;
    case OPTION_tap:
        return &o->session.tap;
    case 'q':
        return &o->session.quiet;
    case OPTION_explain:
        return &o->machine.explain;
    case OPTION_summary:
        return &o->strace.summary;
    case OPTION_timestamps:
        return &o->strace.timestamps;
    case OPTION_print_command:
        return &o->print_command;
    case 'v':
        return &o->machine.verbose;
    default:
        return NULL;
    }
}

/* Where words of a command line are added to those of an earlier option, or NULL. */
static const char **words_of(struct run_options *o, int option)
{
    switch (option) {
    case 'x':
        return &o->extra;
    case OPTION_append:
        return &o->machine.append;
    default:
        return NULL;
    }
}

/* Where a text is kept as it is, or NULL: of several the last counts. */
static const char **text_of(struct run_options *o, int option)
{
    switch (option) {
    case 'r':
        return &o->ramdisk;
    case OPTION_hypervisor:
        return &o->hypervisor;
    case OPTION_cpu:
        return &o->machine.cpu;
    case OPTION_firmware:
        return &o->machine.firmware;
    case OPTION_tree:
        return &o->machine.tree;
    case 'o':
        return &o->strace.output;
    case OPTION_symbols:
        return &o->symbols;
    case OPTION_until:
        return &o->until;
    case OPTION_bundle:
        return &o->bundle_folder;
    default:
        return NULL;
    }
}

static enum verdict set_value(struct run_options *o, int option)
{
    switch (option) {
    case 'm':
        return set_number("memory", optarg, 1, 1 << 24, &o->memory_mib);
    case OPTION_max_memory:
        return set_number("max-memory", optarg, 1, 1 << 24, &o->max_memory_mib);
    case 'c':
        return set_number("vcpus", optarg, 1, VCPUS_MOST, &o->vcpus);
    case OPTION_cpus:
        return set_number("cpus", optarg, 1, 64, &o->machine.cpus);
    case OPTION_copies:
        return set_number("copies", optarg, 1, COPIES_MOST, &o->copies);
    case OPTION_machine_memory:
        return set_number("machine-memory", optarg, FIRMWARE_MIB, 1 << 24, &o->machine.memory_mib);
    case OPTION_accel:
        return set_accel(o, optarg);
    case OPTION_threads:
        return set_threads(o, optarg);
    case OPTION_timeout:
        return set_timeout(o, optarg);
    case OPTION_input:
        return set_input(o, optarg);
    case OPTION_log:
        return set_log(o, optarg);
    case OPTION_expect:
        return set_expect(o, optarg);
    case 'e':
        o->strace.on = true;
        o->strace.filter = optarg;
        return VERDICT_OK;
    case OPTION_gdb:
        o->machine.gdb = true;
        return optarg ? set_number("gdb", optarg, 1, 65535, &o->machine.gdb_port) : VERDICT_OK;
    case OPTION_disk:
        o->machine.disks = memory_resize(o->machine.disks,
                                         (o->machine.disk_count + 1) * sizeof(*o->machine.disks));
        o->machine.disks[o->machine.disk_count++] = optarg;
        return file_exists(optarg) ? VERDICT_OK
                                   : verdict_say(VERDICT_NO_FILE,
                                                 "cannot read the disk %s; check the path", optarg);
    case OPTION_add:
        o->added = memory_resize(o->added, (o->added_count + 1) * sizeof(*o->added));
        o->added[o->added_count++] = optarg;
        return VERDICT_OK;
    default: /* getopt has named it */
        return wrong_usage("this option is unknown, or lacks its value");
    }
}

static enum verdict set_option(struct run_options *o, int option)
{
    bool *flag = flag_of(o, option);
    const char **words = words_of(o, option), **text = text_of(o, option);

    if (flag)
        *flag = true;
    else if (words)
        /* lives as long as the options */
        *words = *words ? memory_format("%s %s", *words, optarg) : optarg;
    else if (text)
        *text = optarg;
    else
        return set_value(o, option);
    return VERDICT_OK;
}

/* Without a hypervisor, what is meant for one is a mistake. */
static enum verdict settle_native(struct run_options *o)
{
    const struct {
        const char *name;
        bool given;
    } others[] = {
        {"hypervisor", strcmp(o->hypervisor, "paravane") != 0},
        {"xl", o->boot_xl},
        {"dom0", o->machine.privileged},
        {"explain", o->machine.explain},
        {"append", o->machine.append},
        {"tree", o->machine.tree},
        {"until", o->until},
        {"strace", o->strace.on},
        {"copies", o->copies > 1},
        {"machine-memory", o->machine.memory_mib},
        {"max-memory", o->max_memory_mib},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i].given)
            return verdict_say(VERDICT_USAGE,
                               "--%s is about a hypervisor, and with --native there is none; leave "
                               "out one of the two",
                               others[i].name);
    if (o->vcpus)
        o->machine.cpus = o->vcpus;
    o->session.native = true;
    return VERDICT_OK;
}

/* Does it look like one of ours?  "-m", "-m128", "--memory", "--memory=128". */
static bool is_option(const struct option *table, const char *word)
{
    if (word[0] != '-' || !word[1])
        return false;
    const size_t n = strcspn(word + 2, "=");
    for (const struct option *o = table; o->name; o++)
        if (word[1] == '-' ? strlen(o->name) == n && strncmp(o->name, word + 2, n) == 0
                           : o->val == word[1] && (!word[2] || isdigit((unsigned char)word[2])))
            return true;
    return false;
}

/* Behind KERNEL everything is the guest's, up to its own end of options, "--"; behind FILE.cfg come files. */
static enum verdict check_operands(const struct run_options *o, const struct option *table)
{
    for (int i = 1; i < o->operand_count && strcmp(o->operands[i], "--") != 0; i++) {
        if (!is_option(table, o->operands[i]))
            continue;
        if (run_options_is_config(o->operands[0]))
            return verdict_say(VERDICT_USAGE,
                               "%s behind %s is no FILE.cfg; options go before the first one",
                               o->operands[i], o->operands[0]);
        verdict_warn("%s behind %s is a word for the guest; paravane's own options go before it",
                     o->operands[i], o->operands[0]);
    }
    return VERDICT_OK;
}

bool run_options_is_config(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".cfg") == 0;
}

/* What one option means for others. */
static enum verdict settle(struct run_options *o)
{
    if (o->boot_xl)
        o->boot_linux = o->machine.privileged = true;
    if (o->operand_count < 1 && !o->boot_linux)
        return wrong_usage("run needs a KERNEL or a FILE.cfg");
    if (o->machine.icount && strcmp(o->machine.accel, "kvm") == 0)
        return wrong_usage("--icount needs tcg, kvm counts nothing");
    if (o->machine.icount && o->machine.threads == THREADS_MULTI)
        return wrong_usage("--icount counts on one thread; leave out --threads multi");
    if (o->machine.threads != THREADS_AUTO && strcmp(o->machine.accel, "kvm") == 0)
        return wrong_usage("--threads is about tcg; leave out --accel kvm");
    if (o->strace.summary || o->strace.timestamps || o->strace.output)
        o->strace.on = true;
    if (o->strace.on && o->print_command)
        return wrong_usage(
            "--strace reads from the machine while it runs, so there is no command to print");
    o->strace.icount = o->machine.icount;
    if (o->session.tap)
        o->session.read_stdin = false;
    const enum verdict tree = o->machine.tree ? devicetree_check(o->machine.tree) : VERDICT_OK;
    if (tree)
        return tree;
    if (o->machine.native && settle_native(o))
        return VERDICT_USAGE;
    if (o->session.timeout < 0)
        o->session.timeout =
            o->machine.gdb || (o->session.read_stdin && isatty(STDIN_FILENO)) ? 0 : 300;
    return VERDICT_OK;
}

enum verdict run_options_parse(struct run_options *o, int argc, char **argv)
{
    *o = (struct run_options){
        .machine = {.accel = "tcg", .cpus = 1, .gdb_fd = -1},
        .session = {.read_stdin = true, .timeout = -1, .until = OUTCOME_ALL_DOMAINS},
        .hypervisor = "paravane",
        .copies = 1,
    };
    struct option *table = long_options();
    enum verdict v = VERDICT_OK;
    int option;

    /* "+": what follows KERNEL is the guest's, dashes or not. */
    while (!v && (option = getopt_long(argc, argv, "+r:x:m:c:e:o:qvh", table, NULL)) >= 0) {
        if (option == 'h') {
            run_options_help(stdout);
            o->help = true;
            return VERDICT_OK;
        }
        v = set_option(o, option);
    }
    o->operands = argv + optind;
    o->operand_count = argc - optind;
    v = v ? v : check_operands(o, table);
    return v ? v : settle(o);
}
