/* `paravane run`: from the command line to the verdict. */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/elfnote.h>

#include "file.h"
#include "gdb.h"
#include "initramfs.h"
#include "linux.h"
#include "memory.h"
#include "output.h"
#include "qemu.h"
#include "run-options.h"
#include "session.h"
#include "window.h"
#include "words.h"
#include "xlcfg.h"

struct domain_list {
    struct domain *domains;
    size_t count;
};

static enum verdict set_ramdisk(struct domain *d, const char *path)
{
    if (!path)
        return VERDICT_OK;
    free(d->ramdisk);
    d->ramdisk = memory_strdup(path);
    return file_check(path, "the ramdisk", &d->ramdisk_size);
}

static void append_words(struct domain *d, const char *words)
{
    char *both = memory_format("%s%s%s", d->command_line, *d->command_line ? " " : "", words);
    free(d->command_line);
    d->command_line = both;
}

static void add_linux_words(struct domain *d, const struct run_options *o)
{
    char *words = linux_words(o->machine.native ? "ttyS0" : "hvc0",
                              o->session.read_stdin && isatty(STDIN_FILENO));
    append_words(d, words);
    free(words);
}

/* Our guest takes the size of the window as Linux's init here does, and hears of changes, if it has the console for itself. */
static void add_window_words(struct domain *d, struct run_options *o)
{
    const struct kernel_note *os = &d->kernel.notes[XEN_ELFNOTE_GUEST_OS];
    char *words = NULL;
    if (os->present && !strcmp(os->text, "paravane") && o->session.read_stdin &&
        isatty(STDIN_FILENO))
        words = window_words();
    if (!words)
        return;
    append_words(d, words);
    free(words);
    o->session.tell_window = o->copies == 1 && !o->print_command && !o->session.tap;
    if (o->session.tell_window)
        append_words(d, "resize=1");
}

/* Options say more than files, for every domain. */
static enum verdict apply_options(struct domain *d, const struct run_options *o)
{
    if (o->extra)
        append_words(d, o->extra);
    if (o->memory_mib)
        d->memory_mib = o->memory_mib;
    if (o->max_memory_mib)
        d->max_memory_mib = o->max_memory_mib;
    if (o->vcpus)
        d->vcpus = o->vcpus;
    return set_ramdisk(d, o->ramdisk);
}

static void number_name(struct domain *d)
{
    char *name = memory_format("%s-%u", d->name, d->id);
    free(d->name);
    d->name = name;
}

/*
 * One domain from the command line, or some copies of it.  A reboot ends the
 * run: the user who asked for one guest is asking for one verdict.
 */
static enum verdict from_kernel(struct domain_list *list, struct run_options *o)
{
    enum verdict v = VERDICT_OK;

    while (!v && list->count < o->copies) {
        struct domain *d = &list->domains[list->count++];
        v = domain_init(d, (unsigned)list->count, o->operands[0]);
        d->on[ON_reboot] = "destroy";
        if (o->boot_linux)
            add_linux_words(d, o);
        else if (!v)
            add_window_words(d, o);
        for (int i = 1; !v && i < o->operand_count; i++)
            append_words(d, o->operands[i]);
        if (o->copies > 1)
            number_name(d);
        v = v ? v : apply_options(d, o);
    }
    return v;
}

static enum verdict from_configs(struct domain_list *list, const struct run_options *o)
{
    enum verdict v = VERDICT_OK;

    for (int i = 0; !v && i < o->operand_count; i++) {
        struct domain *d = &list->domains[list->count++];
        v = xlcfg_read(d, (unsigned)i + 1, o->operands[i]);
        v = v ? v : apply_options(d, o);
        for (int j = 0; !v && j < i; j++)
            if (strcmp(list->domains[j].name, d->name) == 0)
                v = verdict_say(VERDICT_BAD_CONFIG,
                                "%s and %s both name their domain %s; change one name=",
                                o->operands[j], o->operands[i], d->name);
    }
    return v;
}

static void add_first(struct run_options *o, char *what)
{
    o->added = memory_resize(o->added, (o->added_count + 1) * sizeof(*o->added));
    memmove(o->added + 1, o->added, o->added_count++ * sizeof(*o->added));
    o->added[0] = what;
}

/* --linux and --xl find what was not named.  What they find is kept for the whole run. */
static enum verdict find_linux(struct run_options *o, const struct machine *m)
{
    static char *operands[2];
    if (o->boot_xl) {
        char *kernel, *tree;
        const enum verdict v = linux_find_xl(&kernel, &tree);
        if (v)
            return v;
        add_first(o, tree);
        operands[0] = kernel;
        if (o->operand_count == 0)
            o->operands = operands, o->operand_count = 1;
        return VERDICT_OK;
    }
    if (!o->boot_linux || o->operand_count)
        return VERDICT_OK;
    enum verdict v = linux_find_kernel(m->is_xen, &operands[0]);
    o->operands = operands;
    o->operand_count = v ? 0 : 1;
    return v;
}

/* The initramfs is the one that was named, or --linux's, with all that --add names behind it. */
static enum verdict make_ramdisk(struct run_options *o, struct bundle *bundle)
{
    struct bytes cpio = {0};
    enum verdict v = VERDICT_OK;

    if (!o->added_count && (!o->boot_linux || o->ramdisk))
        return v;
    if (o->ramdisk) {
        void *data;
        size_t size;
        v = file_read(o->ramdisk, "the ramdisk", &data, &size);
        if (!v) {
            bytes_append(&cpio, data, size);
            free(data);
        }
    } else if (o->boot_linux) {
        v = linux_initramfs(&cpio);
    }
    struct initramfs more;
    if (!v && o->added_count) {
        initramfs_open(&more, &cpio);
        for (size_t i = 0; !v && i < o->added_count; i++)
            v = initramfs_add(&more, o->added[i]);
        initramfs_close(&more);
    }
    char *name = NULL;
    v = v ? v : bundle_add_data(bundle, "initramfs.cpio", cpio.data, cpio.size, &name);
    /* once a process: not freed */
    o->ramdisk = v ? NULL : bundle_path(bundle, "initramfs.cpio", name);
    free(name);
    bytes_free(&cpio);
    return v;
}

/* The hypervisor takes no notice of a set that is empty on its machine. */
static void warn_of_cpus(const struct domain *d, unsigned cpus)
{
    const uint64_t there = cpus < 64 ? (UINT64_C(1) << cpus) - 1 : ~UINT64_C(0);
    const bool open = d->affinity >> 63; /* "all,^1" and its like name what there is */
    if (d->affinity && !(d->affinity & there))
        verdict_warn(
            "domain %s: cpus= names none of the machine's %u CPUs, so its vCPUs run on any; "
            "raise --cpus",
            d->name, cpus);
    else if (d->affinity & ~there && !open)
        verdict_warn("domain %s: cpus= names CPUs up to %d, and the machine has %u, so its vCPUs "
                     "run on the others that it names; raise --cpus",
                     d->name, 63 - __builtin_clzll(d->affinity), cpus);
}

static enum verdict read_domains(struct domain_list *list, struct run_options *o)
{
    const bool configs = run_options_is_config(o->operands[0]);
    if (configs && o->copies > 1)
        return verdict_say(
            VERDICT_USAGE,
            "--copies is for a KERNEL; %s describes one domain, write one file for each",
            o->operands[0]);
    if (o->machine.native && configs)
        return verdict_say(VERDICT_USAGE,
                           "%s describes a domain, and with --native there is none; give a KERNEL",
                           o->operands[0]);
    list->domains =
        memory_zalloc((configs ? (size_t)o->operand_count : o->copies) * sizeof(*list->domains));
    enum verdict v = configs ? from_configs(list, o) : from_kernel(list, o);
    for (size_t i = 0; !v && i < list->count; i++) {
        domain_settle(&list->domains[i]);
        const unsigned enough = o->boot_xl ? LINUX_XL_MIB : LINUX_DEFAULT_MIB;
        if (o->boot_linux && !o->memory_mib && list->domains[i].memory_mib < enough)
            list->domains[i].memory_mib = enough;
        v = domain_check(&list->domains[i], o->machine.native);
        warn_of_cpus(&list->domains[i], o->machine.cpus);
    }
    return v;
}

/* Xen 4.17 reads no tree on x86: one domain, as domain 0. */
static enum verdict settle_privilege(struct machine *m, const struct domain_list *list)
{
    m->privileged |= m->is_xen;
    if (m->privileged && list->count > 1)
        return verdict_say(
            VERDICT_USAGE,
            "plain modules describe one domain, not %zu; leave out %s, or all but one "
            "file",
            list->count, m->is_xen ? "--hypervisor xen" : "--dom0");
    if (m->privileged)
        list->domains[0].id = 0;
    return VERDICT_OK;
}

static enum verdict find_until(struct run_options *o, const struct domain_list *list)
{
    for (size_t i = 0; o->until && i < list->count; i++)
        if (strcmp(list->domains[i].name, o->until) == 0)
            o->session.until = (int)list->domains[i].id;
    if (o->until && o->session.until == OUTCOME_ALL_DOMAINS)
        return verdict_say(VERDICT_USAGE,
                           "--until %s names none of the domains; give a name= of theirs",
                           o->until);
    return VERDICT_OK;
}

/* A guest that is an ELF file brings symbols; it is loaded where it was linked, and never where the
 * hypervisor is. */
static void say_debugger(const struct run_options *o, const struct domain_list *list)
{
    fprintf(stderr, "paravane: waiting for a debugger: gdb %s",
            o->machine.native ? o->operands[0] : o->machine.hypervisor);
    const struct kernel_image *kernel = &list->domains[0].kernel;
    if (!o->machine.native && !kernel->unpacked)
        fprintf(stderr, " -ex 'add-symbol-file %s'", kernel->path);
    fprintf(stderr, " -ex 'target remote 127.0.0.1:%u'\n", o->machine.gdb_port);
}

static enum verdict start_and_watch(struct run_options *o, const struct domain_list *list,
                                    char **argv, const char *folder)
{
    struct qemu qemu;
    o->session.symbols = symbols_open(o->machine.hypervisor, list->domains, list->count);
    enum verdict v = o->symbols ? symbols_use(o->session.symbols, o->symbols) : VERDICT_OK;
    v = v ? v : qemu_start(&qemu, argv, folder);
    if (v) {
        symbols_close(o->session.symbols);
        return v;
    }
    if (o->machine.gdb)
        say_debugger(o, list);
    if (o->session.strace)
        strace_start(o->session.strace, o->session.symbols);
    v = session_run(&qemu, &o->session);
    const enum verdict traced = o->session.strace ? strace_finish(o->session.strace) : VERDICT_OK;
    v = v ? v : traced;
    symbols_close(o->session.symbols);
    return v;
}

/* A command that is only printed is run later: then the port is QEMU's to open. */
static enum verdict open_gdb(struct run_options *o)
{
    struct machine *m = &o->machine;
    if (!m->gdb)
        return VERDICT_OK;
    enum verdict v = gdb_listen(m->gdb_port, &m->gdb_port, &m->gdb_fd);
    if (!v && o->print_command) {
        close(m->gdb_fd);
        m->gdb_fd = -1;
    }
    return v;
}

/* Only Paravane records what it is asked. */
static enum verdict open_strace(struct run_options *o)
{
    if (!o->strace.on)
        return VERDICT_OK;
    if (o->machine.is_xen)
        return verdict_say(
            VERDICT_USAGE,
            "--strace is Paravane's own, Xen does not tell; leave out --hypervisor xen");
    enum verdict v = strace_open(&o->strace, &o->session.strace);
    if (!v) {
        o->machine.strace_ram = strace_ram(o->session.strace);
        o->machine.strace_pipe = strace_pipe(o->session.strace);
    }
    return v;
}

static int as_expected(const struct run_options *o, enum verdict v)
{
    const enum verdict expect = o->session.expect;
    if (v == expect)
        return VERDICT_OK;
    if (expect != VERDICT_OK) {
        verdict_say(VERDICT_GUEST_FAILED, "the verdict is %s, but --expect says %s",
                    verdict_name(v), verdict_name(expect));
        return VERDICT_GUEST_FAILED;
    }
    return v;
}

/* `paravane strace` is `paravane run` with that option first. */
int command_strace(int argc, char **argv)
{
    char **words = memory_zalloc(((size_t)argc + 2) * sizeof(*words));
    words[0] = argv[0];
    words[1] = (char[]){"--strace"};
    memcpy(words + 2, argv + 1, (size_t)argc * sizeof(*words)); /* its NULL, too */
    const int v = command_run(argc + 1, words);
    free(words);
    return v;
}

/* The options, the domains, the command, the run; each step only if all before it went well. */
int command_run(int argc, char **argv)
{
    struct run_options o;
    struct domain_list list = {0};
    struct bundle bundle = {0};
    char **command = NULL;

    enum verdict v = run_options_parse(&o, argc, argv);
    if (!v && o.help)
        return VERDICT_OK;
    bundle.folder = o.bundle_folder;
    if (!v && !o.machine.native)
        v = machine_find_hypervisor(&o.machine, o.hypervisor);
    v = v ? v : open_strace(&o);
    v = v ? v : open_gdb(&o);
    v = v ? v : find_linux(&o, &o.machine);
    v = v ? v : make_ramdisk(&o, &bundle);
    v = v ? v : read_domains(&list, &o);
    if (!v && o.machine.append && !o.machine.is_xen)
        words_warn(o.machine.append);
    v = v ? v : settle_privilege(&o.machine, &list);
    v = v ? v : find_until(&o, &list);
    v = v ? v : machine_command(&o.machine, list.domains, list.count, &bundle, &command);
    if (!v && o.print_command)
        machine_print_command(command, bundle_start_folder(&bundle));
    else if (!v)
        v = start_and_watch(&o, &list, command, bundle_start_folder(&bundle));

    for (char **word = command; word && *word; word++)
        free(*word);
    free(command);
    for (size_t i = 0; i < list.count; i++)
        domain_free(&list.domains[i]);
    free(list.domains);
    free(o.machine.hypervisor);
    free(o.added);
    free(o.machine.disks);
    strace_close(o.session.strace);
    output_close(o.session.log);
    v = output_check(v);
    return v == VERDICT_USAGE ? v : as_expected(&o, v);
}
