/* The one-line demo.  See linux.h. */
#include "linux.h"

#include <elf.h>
#include <glob.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "initramfs.h"
#include "window.h"

/* --- The kernel ------------------------------------------------------------ */

/* Is @a's version higher?  What stands behind "vmlinuz-" counts, not the folder. */
static bool newer(const char *a, const char *b)
{
    return !b || strverscmp(strrchr(a, '/'), strrchr(b, '/')) > 0;
}

/* The newest readable file that @pattern matches, or NULL. */
static char *newest(const char *pattern, bool domain0)
{
    glob_t found;
    const char *best = NULL;

    if (glob(pattern, 0, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        if (file_exists(path) && !(domain0 && strstr(path, "cloud")) && newer(path, best))
            best = path;
    }
    char *copy = best ? memory_strdup(best) : NULL;
    globfree(&found);
    return copy;
}

/* The newest file that @pattern matches below build/oracle of the build that this program is from, or of the source tree. */
static char *fetched(const char *pattern, bool domain0)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    char *here = memory_format("%s/oracle/%s", dirname(dirname(self)), pattern);
    char *there = memory_format("%s/build/oracle/%s", SOURCE_ROOT, pattern);
    char *path = newest(here, domain0);
    if (!path)
        path = newest(there, domain0);
    free(here);
    free(there);
    return path;
}

enum verdict linux_find_kernel(bool domain0, char **path)
{
    const char *named = getenv("PARAVANE_LINUX");
    *path = named ? memory_strdup(named) : newest("/boot/vmlinuz-*", domain0);
    if (!*path)
        *path = fetched("guests/*/boot/vmlinuz-*", domain0);
    return *path ? VERDICT_OK
                 : verdict_say(VERDICT_NO_FILE,
                               "there is no Linux kernel in /boot that can be read%s; install "
                               "linux-image-amd64, or run tools/setup --guests, which only fetches "
                               "one, or name one: paravane run --linux KERNEL",
                               domain0 ? " (the cloud flavour has no console on Xen)" : "");
}

/* The tree's modules are those of the kernel that was fetched with it. */
enum verdict linux_find_xl(char **kernel, char **tree)
{
    char *order = fetched("dom0/tree/modules/order", false);

    *tree = NULL;
    *kernel = order ? fetched("guests/amd64/boot/vmlinuz-*", true) : NULL;
    if (*kernel)
        *tree = memory_format("%s:/.", dirname(dirname(order)));
    free(order);
    return *tree
               ? VERDICT_OK
               : verdict_say(
                     VERDICT_NO_FILE,
                     "there is no xl for domain 0; run tools/setup --dom0, which only fetches it");
}

/* --- The user land --------------------------------------------------------- */

/*
 * The console's own device, not /dev/console, becomes the shell's terminal, else there would be no
 * job control.  The kernel hands words it does not know to init as environment, so COLUMNS and ROWS
 * come from the command line.  A shell that fails is a guest that fails (outcome.c reads the last line), unless a person sat
 * at it: then it is only the status of whatever was typed last.
 *
 * busybox's halt, poweroff and reboot tell process 1 by a signal.  A shell runs its traps when `wait`
 * returns, so the user's shell is not its foreground; nor is it started with &, which would have its
 * programs ignore Ctrl-C for ever.
 */
static const char init[] =
    "#!/bin/busybox sh\n"
    "if [ \"$1\" = session ]; then\n"
    "    exec </dev/$tty >/dev/$tty 2>&1\n"
    "    setsid -c sh\n"
    "    status=$?\n"
    "    [ $status = 0 ] || [ -n \"$PERSON\" ] || echo \"init exited with status $status\" "
    ">/dev/$tty\n" /* hung up with sh */
    "    poweroff -f\n"
    "fi\n"
    "/bin/busybox mkdir -p /proc /sys /dev /tmp /root /sbin /usr/bin /usr/sbin\n"
    "/bin/busybox mount -t proc proc /proc\n"
    "/bin/busybox mount -t sysfs sysfs /sys\n"
    "/bin/busybox mount -t devtmpfs devtmpfs /dev\n"
    "/bin/busybox mkdir -p /dev/pts && /bin/busybox mount -t devpts devpts /dev/pts\n"
    "/bin/busybox --install -s\n"
    "export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root\n"
    "tty=$(sed 's/.* //' /sys/class/tty/console/active)\n"
    "exec </dev/$tty >/dev/$tty 2>&1\n"
    "[ -z \"$COLUMNS\" ] || stty rows $ROWS cols $COLUMNS\n"
    "on='bare machine'; read -r on 2>/dev/null </sys/hypervisor/type\n"
    "echo \"Linux $(uname -r) on $on, $(grep -c ^processor /proc/cpuinfo) CPU, $(free -m | awk "
    "'/^Mem/ {print $2}') MiB; exit powers off\"\n"
    "[ ! -x /etc/rc ] || /etc/rc\n"
    "cd /root\n"
    "trap 'poweroff -f' USR2\n"
    "trap 'halt -f' USR1\n"
    "trap 'reboot -f' TERM\n"
    "export tty\n"
    "start-stop-daemon -S -b -x /init -- session\n"
    "while :; do sleep 3600 & wait $!; done\n";

static const char group[] = "root:x:0:\n";
static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n";

/* A program that needs no other file: no interpreter among its segments. */
static bool is_static(const void *data, size_t size)
{
    const Elf64_Ehdr *e = data;
    if (size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_phoff > size ||
        size - e->e_phoff < (size_t)e->e_phnum * sizeof(Elf64_Phdr))
        return false;
    const Elf64_Phdr *p = (const void *)((const char *)data + e->e_phoff);
    for (unsigned i = 0; i < e->e_phnum; i++)
        if (p[i].p_type == PT_INTERP)
            return false;
    return true;
}

static enum verdict read_busybox(void **data, size_t *size)
{
    static const char path[] = "/bin/busybox";
    if (!file_exists(path))
        return verdict_say(VERDICT_NO_FILE,
                           "there is no %s for Linux to run; install busybox-static, or give an "
                           "initramfs with -r",
                           path);
    enum verdict v = file_read(path, "the user land", data, size);
    if (!v && !is_static(*data, *size)) {
        free(*data);
        v = verdict_say(VERDICT_NO_FILE,
                        "%s needs shared libraries; install busybox-static, or give an initramfs "
                        "with -r",
                        path);
    }
    return v;
}

enum verdict linux_initramfs(struct bytes *out)
{
    struct initramfs i;
    void *busybox;
    size_t size;
    enum verdict v = read_busybox(&busybox, &size);
    if (v)
        return v;

    initramfs_open(&i, out);
    initramfs_folder(&i, "bin");
    initramfs_folder(&i, "dev");
    initramfs_device(&i, "dev/console", 5, 1);
    initramfs_folder(&i, "etc");
    initramfs_data(&i, "etc/group", 0644, group, sizeof(group) - 1);
    initramfs_data(&i, "etc/passwd", 0644, passwd, sizeof(passwd) - 1);
    initramfs_data(&i, "bin/busybox", 0755, busybox, size);
    initramfs_data(&i, "init", 0755, init, sizeof(init) - 1);
    initramfs_close(&i);
    free(busybox);
    return VERDICT_OK;
}

/* --- The command line ------------------------------------------------------ */

char *linux_words(const char *console, bool is_terminal)
{
    struct bytes words = {0};
    const char *term = getenv("TERM");

    bytes_format(&words, "console=%s quiet panic=-1", console);
    if (is_terminal && term && !strpbrk(term, " \""))
        bytes_format(&words, " TERM=%s", term);
    if (is_terminal)
        bytes_format(&words, " PERSON=yes");
    char *window = is_terminal ? window_words() : NULL;
    if (window)
        bytes_format(&words, " %s", window);
    free(window);
    return words.data;
}
