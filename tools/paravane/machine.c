/* From domains to a QEMU command.  See machine.h. */
#include "machine.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cores.h"
#include "devicetree.h"
#include "file.h"
#include "firmware.h"
#include "memory.h"

enum {
    OWN_MIB = 64,    /* for Paravane itself, generously: hypervisor/README.md has the table */
    XEN_MIB = 192,   /* for Xen 4.17 */
    STRACE_MIB = 16, /* a block of 8 MiB, wherever it fits */
    LEAST_MIB = 128, /* no machine is smaller than this */
};

/* --- The hypervisor ------------------------------------------------------ */

/* The folder of the build: this program is <build>/tools/paravane. */
static char *build_folder(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    return memory_strdup(dirname(dirname(self)));
}

static bool try_path(struct machine *m, char *path)
{
    if (file_exists(path)) {
        m->hypervisor = path;
        return true;
    }
    free(path);
    return false;
}

static enum verdict find_xen(struct machine *m)
{
    char *build = build_folder();
    const char *env = getenv("PARAVANE_XEN");
    bool found = (env && try_path(m, memory_strdup(env))) ||
                 try_path(m, memory_format("%s/oracle/xen-4.17", build)) ||
                 try_path(m, memory_strdup(SOURCE_ROOT "/build/oracle/xen-4.17"));
    free(build);
    m->is_xen = true;
    return found
               ? VERDICT_OK
               : verdict_say(VERDICT_NO_FILE,
                             "there is no Xen in build/oracle; run tools/setup, which fetches it, "
                             "or name one with PARAVANE_XEN");
}

/* Another hypervisor is treated as Xen if it calls itself that. */
static enum verdict use_file(struct machine *m, const char *path)
{
    void *data = NULL;
    size_t size = 0;
    enum verdict v = file_read(path, "the hypervisor", &data, &size);
    m->hypervisor = memory_strdup(path);
    m->is_xen = !v && !memmem(data, size, "Paravane", 8) && memmem(data, size, "Xen version", 11);
    free(data);
    return v;
}

enum verdict machine_find_hypervisor(struct machine *m, const char *name)
{
    if (strcmp(name, "xen") == 0)
        return find_xen(m);
    if (strcmp(name, "paravane") != 0)
        return use_file(m, name);

    char *build = build_folder();
    bool found = try_path(m, memory_format("%s/hypervisor/paravane", build));
    enum verdict v = found ? VERDICT_OK
                           : verdict_say(VERDICT_NO_FILE,
                                         "there is no %s/hypervisor/paravane; build it (meson "
                                         "compile -C %s) or name a file with --hypervisor",
                                         build, build);
    free(build);
    return v;
}

/* --- Modules ------------------------------------------------------------- */

struct module_list {
    struct bytes text; /* QEMU's -initrd: "FILE args,FILE args" */
    unsigned count;
    uint64_t size;
};

/* Append with each comma doubled, as QEMU's option parser wants it. */
static void append_quoted(struct bytes *out, const char *text)
{
    for (; *text; text++)
        bytes_append(out, *text == ',' ? ",," : text, *text == ',' ? 2 : 1);
}

static unsigned list_module(struct module_list *list, const char *name, const char *args,
                            uint64_t size)
{
    if (list->count)
        bytes_append(&list->text, ",", 1);
    append_quoted(&list->text, name);
    if (args && *args) {
        bytes_append(&list->text, " ", 1);
        append_quoted(&list->text, args);
    }
    list->size += size;
    return list->count++;
}

static enum verdict add_kernel(const struct domain *d, struct bundle *bundle,
                               struct module_list *list, const char *args, unsigned *index)
{
    char *name = NULL, *title = memory_format("d%u-kernel", d->id);
    enum verdict v = d->kernel.unpacked
                         ? bundle_add_data(bundle, title, d->kernel.data, d->kernel.size, &name)
                         : bundle_add_file(bundle, d->kernel.path, title, &name);
    if (v == VERDICT_OK)
        *index = list_module(list, name, args, d->kernel.size);
    free(title);
    free(name);
    return v;
}

static enum verdict add_ramdisk(const struct domain *d, struct bundle *bundle,
                                struct module_list *list, unsigned *index)
{
    char *name = NULL;
    *index = 0;
    if (!d->ramdisk)
        return VERDICT_OK;
    char *title = memory_format("d%u-ramdisk", d->id);
    enum verdict v = bundle_add_file(bundle, d->ramdisk, title, &name);
    if (v == VERDICT_OK)
        *index = list_module(list, name, NULL, d->ramdisk_size);
    free(title);
    free(name);
    return v;
}

static bool machine_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Kernel and ramdisk of domain @i; a file that an earlier domain has, too, is loaded once. */
static enum verdict add_modules(const struct domain *domains, size_t i, struct bundle *bundle,
                                struct module_list *list, struct domain_modules *modules)
{
    const struct domain *d = &domains[i];
    enum verdict v = VERDICT_OK;
    size_t k = 0, r = 0;

    while (k < i && !machine_same(domains[k].kernel.path, d->kernel.path))
        k++;
    while (r < i && !machine_same(domains[r].ramdisk, d->ramdisk))
        r++;
    if (k < i)
        modules[i].kernel = modules[k].kernel;
    else
        v = add_kernel(d, bundle, list, NULL, &modules[i].kernel);
    if (r < i)
        modules[i].ramdisk = modules[r].ramdisk;
    else
        v = v ? v : add_ramdisk(d, bundle, list, &modules[i].ramdisk);
    return v;
}

/* Kernel and ramdisk of domain 0, with the command line in the module's own. */
static enum verdict plain_modules(const struct domain *d, struct bundle *bundle,
                                  struct module_list *list)
{
    unsigned index;
    enum verdict v = add_kernel(d, bundle, list, d->command_line, &index);
    return v ? v : add_ramdisk(d, bundle, list, &index);
}

/* The tree has to be module 0, but names the others: it is written last. */
static enum verdict tree_modules(const struct machine *m, const struct domain *domains,
                                 size_t count, struct bundle *bundle, struct module_list *list)
{
    struct domain_modules *modules = memory_zalloc(count * sizeof(*modules));
    struct module_list rest = {.count = 1};
    struct bytes tree = {0};
    char *name = NULL;
    enum verdict v = VERDICT_OK;

    for (size_t i = 0; !v && i < count; i++)
        v = add_modules(domains, i, bundle, &rest, modules);
    if (!v && !m->tree)
        v = devicetree_write(&tree, domains, modules, count);
    if (!v)
        v = m->tree ? bundle_add_file(bundle, m->tree, "domains.dtb", &name)
                    : bundle_add_data(bundle, "domains.dtb", tree.data, tree.size, &name);
    if (!v) {
        list_module(list, name, NULL, tree.size);
        bytes_append(&list->text, rest.text.data, rest.text.size); /* begins with a comma */
        list->size += rest.size;
    }
    bytes_free(&tree);
    bytes_free(&rest.text);
    free(modules);
    free(name);
    return v;
}

/* --- The command --------------------------------------------------------- */

static char *hypervisor_words(const struct machine *m, const struct domain *d)
{
    struct bytes words = {0};
    bytes_format(&words, "console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=warning");
    if (m->privileged) {
        bytes_format(&words, " dom0_mem=%luM", (unsigned long)d->memory_mib);
        if (d->max_memory_mib)
            bytes_format(&words, ",max:%luM", (unsigned long)d->max_memory_mib);
        bytes_format(&words, " dom0_max_vcpus=%u", d->vcpus);
    }
    if (!m->is_xen)
        bytes_format(&words, " debug-exit=%#x bootscrub=no",
                     DEBUG_EXIT_PORT); /* QEMU's RAM is new, and zero */
    if (m->explain && !m->is_xen)
        bytes_format(&words, " explain");
    if (m->strace_ram)
        bytes_format(&words, " strace=%#x", STRACE_PORT);
    if (m->append)
        bytes_format(&words, " %s", m->append);
    return words.data;
}

/* Modules are in memory twice while domains are built: as loaded, and copied. */
static uint64_t memory_needed(const struct machine *m, const struct domain *domains, size_t count,
                              uint64_t modules_size)
{
    uint64_t mib = (m->is_xen ? XEN_MIB : OWN_MIB) + 2 * (modules_size >> 20) + 2;
    if (m->strace_ram)
        mib += STRACE_MIB;
    for (size_t i = 0; i < count; i++)
        mib += domains[i].max_memory_mib > domains[i].memory_mib ? domains[i].max_memory_mib
                                                                 : domains[i].memory_mib;
    return mib < LEAST_MIB ? LEAST_MIB : mib;
}

struct arguments {
    char **list;
    size_t count;
};

static void add(struct arguments *a, char *word)
{
    a->list = memory_resize(a->list, (a->count + 2) * sizeof(*a->list));
    a->list[a->count++] = word;
    a->list[a->count] = NULL;
}

static void add_words(struct arguments *a, const char *const *words)
{
    for (; *words; words++)
        add(a, memory_strdup(*words));
}

/*
 * May the CPUs have a thread each?  With fewer free cores than CPUs, one that waits for another may wait for a thread
 * that the host does not run: 2 guests of 2 vCPUs that fork on a busy host took ten times as long so.
 */
static const char *machine_accel(const struct machine *m)
{
    enum machine_threads threads = m->threads;
    const unsigned cores = cores_free();

    if (strcmp(m->accel, "kvm") == 0)
        return "kvm";
    if (m->cpus == 1 && threads == THREADS_AUTO)
        return "tcg";
    if (threads == THREADS_AUTO)
        threads = cores < m->cpus ? THREADS_SINGLE : THREADS_MULTI;
    if (m->verbose)
        verdict_note("threads: %s for %u CPUs; %u of %u cores are free",
                     threads == THREADS_SINGLE ? "one" : "one each", m->cpus, cores, cores_most());
    return threads == THREADS_SINGLE ? "tcg,thread=single" : "tcg,thread=multi";
}

/* Counting instructions needs one thread and a clock that jumps over idling:
 * then the TSC counts executed instructions and each run is the same. */
static void add_accelerator(struct arguments *a, const struct machine *m)
{
    static const char *const counted[] = {"-accel",  "tcg,thread=single",
                                          "-icount", "shift=0,sleep=off",
                                          "-rtc",    "base=2026-01-01T00:00:00,clock=vm",
                                          NULL};
    bool kvm = strcmp(m->accel, "kvm") == 0;

    if (m->icount)
        add_words(a, counted);
    else
        add_words(a, (const char *const[]){"-accel", machine_accel(m), NULL});
    add_words(a, (const char *const[]){"-cpu", m->cpu ? m->cpu : kvm ? "host" : "qemu64", NULL});
}

/* RAM is a file that we map, too; a byte to the port goes into the pipe. */
static void add_strace(struct arguments *a, const struct machine *m, uint64_t memory_mib)
{
    add(a, memory_strdup("-object"));
    add(a, memory_format("memory-backend-file,id=ram,share=on,size=%luM,mem-path=%s",
                         (unsigned long)memory_mib, m->strace_ram));
    add_words(a, (const char *const[]){"-machine", "memory-backend=ram", "-chardev", NULL});
    add(a, memory_format("file,id=strace,path=%s", m->strace_pipe));
    add(a, memory_strdup("-device"));
    add(a, memory_format("isa-debugcon,iobase=%#x,chardev=strace", STRACE_PORT));
}

/* QEMU's own -s would listen on every interface. */
static void add_gdb(struct arguments *a, const struct machine *m)
{
    if (m->gdb_fd >= 0) {
        add(a, memory_strdup("-chardev"));
        add(a, memory_format("socket,id=gdb,fd=%d,server=on,wait=off", m->gdb_fd));
    }
    add(a, memory_strdup("-gdb"));
    add(a, m->gdb_fd >= 0 ? memory_strdup("chardev:gdb")
                          : memory_format("tcp:127.0.0.1:%u", m->gdb_port));
    add(a, memory_strdup("-S"));
}

/* A comma in a name is doubled. */
static void add_devices(struct arguments *a, const struct machine *m)
{
    for (size_t i = 0; i < m->disk_count; i++) {
        struct bytes drive = {0};
        bytes_format(&drive, "if=none,format=raw,id=disk%zu,file=", i);
        append_quoted(&drive, m->disks[i]);
        add(a, memory_strdup("-drive"));
        add(a, drive.data);
        add(a, memory_strdup("-device"));
        add(a, memory_format("virtio-blk-pci,drive=disk%zu", i));
    }
    if (m->net)
        add_words(a, (const char *const[]){"-netdev", "user,id=net0", "-device",
                                           "virtio-net-pci,netdev=net0,romfile=", NULL});
}

static void add_machine(struct arguments *a, const struct machine *m, uint64_t memory_mib,
                        const char *firmware)
{
    static const char *const bare[] = {
        "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
        /* Signals are ours: a Ctrl-C must not become QEMU's. */
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", NULL};
    const char *qemu = getenv("PARAVANE_QEMU");
    /* Started in another folder, it is to be found all the same. */
    char *whole = qemu && strchr(qemu, '/') ? realpath(qemu, NULL) : NULL;

    add(a, whole ? whole : qemu ? memory_strdup(qemu) : memory_strdup("qemu-system-x86_64"));
    add_words(a, bare);
    add_accelerator(a, m);
    add(a, memory_strdup("-smp"));
    add(a, memory_format("%u", m->cpus));
    add(a, memory_strdup("-m"));
    add(a, memory_format("%lu", (unsigned long)memory_mib));
    if (firmware)
        add_words(a, (const char *const[]){"-bios", firmware, NULL});
    if (!m->is_xen) {
        add(a, memory_strdup("-device"));
        add(a, memory_format("isa-debug-exit,iobase=%#x,iosize=4", DEBUG_EXIT_PORT));
    }
    add_devices(a, m);
    if (m->strace_ram)
        add_strace(a, m, memory_mib);
    if (m->gdb)
        add_gdb(a, m);
}

static enum verdict machine_firmware(const struct machine *m, struct bundle *bundle, char **name)
{
    const char *why;
    const enum verdict v = firmware_choose(m, bundle, name, &why);

    if (!v && m->verbose)
        verdict_note("firmware: %s", why);
    return v;
}

/* Our kernel learns where to leave its verdict; a bzImage is Linux, which has no use for that. */
static char *native_words(const struct domain *d)
{
    if (kernel_image_is_bzimage(&d->kernel))
        return memory_strdup(d->command_line);
    return memory_format("debug-exit=%#x %s", DEBUG_EXIT_PORT, d->command_line);
}

/* QEMU takes the file as it is, but for compressed ELF, of which it knows nothing. */
static enum verdict native_kernel(const struct kernel_image *kernel, struct bundle *bundle,
                                  char **name)
{
    if (kernel->unpacked && !kernel_image_is_bzimage(kernel))
        return bundle_add_data(bundle, "kernel", kernel->data, kernel->size, name);
    return bundle_add_file(bundle, kernel->path, "kernel", name);
}

static enum verdict native_command(const struct machine *m, const struct domain *d,
                                   struct bundle *bundle, char ***argv)
{
    struct arguments a = {0};
    char *kernel = NULL, *ramdisk = NULL, *firmware = NULL;

    enum verdict v = native_kernel(&d->kernel, bundle, &kernel);
    v = v ? v : machine_firmware(m, bundle, &firmware);
    if (v == VERDICT_OK && d->ramdisk)
        v = bundle_add_file(bundle, d->ramdisk, "ramdisk", &ramdisk);
    if (v == VERDICT_OK) {
        add_machine(&a, m, d->memory_mib, firmware);
        add_words(&a, (const char *const[]){"-kernel", kernel, NULL});
        if (ramdisk)
            add_words(&a, (const char *const[]){"-initrd", ramdisk, NULL});
        add(&a, memory_strdup("-append"));
        add(&a, native_words(d));
    }
    free(kernel);
    free(ramdisk);
    free(firmware);
    *argv = a.list;
    return v;
}

enum verdict machine_command(const struct machine *m, const struct domain *domains, size_t count,
                             struct bundle *bundle, char ***argv)
{
    struct module_list list = {0};
    struct arguments a = {0};
    char *hypervisor = NULL, *firmware = NULL;

    if (m->native)
        return native_command(m, domains, bundle, argv);
    enum verdict v = m->privileged ? plain_modules(domains, bundle, &list)
                                   : tree_modules(m, domains, count, bundle, &list);
    if (v == VERDICT_OK && list.size > FILE_MOST)
        v = verdict_say(
            VERDICT_NO_FILE,
            "kernels and ramdisks have %lu MiB together, and 2048 are the most that can "
            "be loaded; give smaller ones, or fewer domains",
            (unsigned long)(list.size >> 20));
    if (v == VERDICT_OK)
        v = bundle_add_file(bundle, m->hypervisor, "hypervisor", &hypervisor);
    v = v ? v : machine_firmware(m, bundle, &firmware);
    if (v == VERDICT_OK) {
        uint64_t mib = m->memory_mib ? m->memory_mib : memory_needed(m, domains, count, list.size);
        if (m->verbose)
            verdict_note("memory: %lu MiB%s", (unsigned long)mib,
                         m->memory_mib ? "" : ", what the domains need");
        add_machine(&a, m, mib, firmware);
        add_words(&a,
                  (const char *const[]){"-kernel", hypervisor, "-initrd", list.text.data, NULL});
        add(&a, memory_strdup("-append"));
        add(&a, hypervisor_words(m, domains));
    }
    bytes_free(&list.text);
    free(hypervisor);
    free(firmware);
    *argv = a.list;
    return v;
}

static bool is_plain(const char *word)
{
    return *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "-_=+,.:/@%") == strlen(word);
}

static void print_word(const char *word)
{
    if (is_plain(word)) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (const char *c = word; *c; c++)
        fputs(*c == '\'' ? "'\\''" : (char[]){*c, '\0'}, stdout);
    putchar('\'');
}

void machine_print_command(char **argv, const char *folder)
{
    if (folder) {
        fputs("cd ", stdout);
        print_word(folder);
        fputs(" && ", stdout);
    }
    for (char **word = argv; *word; word++) {
        if (word != argv)
            putchar(' ');
        print_word(*word);
    }
    putchar('\n');
}
