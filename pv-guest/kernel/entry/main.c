/*
 * The kernel's main line, in the order of a boot.
 */
#include "block.h"
#include "cpio.h"
#include "errno.h"
#include "exec.h"
#include "ext2-mount.h"
#include "file.h"
#include "frame.h"
#include "heap.h"
#include "inode.h"
#include "kernel.h"
#include "mount.h"
#include "page.h"
#include "platform/platform.h"
#include "print.h"
#include "syscall.h"
#include "process.h"
#include "ram-disk.h"
#include "text.h"
#include "tty.h"
#include "window.h"

static struct platform_boot boot;
static const char *init_path;
static char *init_arguments[32];
static unsigned init_argument_count;
static uint64_t ram_disk_kib;
static const char *root_disk; /* what the first process lives on; NULL: the initramfs */
static bool root_read_only;
#define ROOT_PATIENCE 10000000000ul /* ns that a disk may take to arrive */

const char *kernel_platform(void)
{
    return boot.name;
}

const char *kernel_command_line(void)
{
    return boot.command_line;
}

static uint64_t number_from(const char *text)
{
    return text_number(&text, 10);
}

/* Words before "--" are ours, those behind it are init's. */
static void command_line_read(char *line)
{
    bool ours = true;
    while (*line) {
        while (*line == ' ')
            line++;
        char *word = line;
        while (*line && *line != ' ')
            line++;
        if (*line)
            *line++ = 0;
        if (!*word)
            break;
        if (!ours && init_argument_count < ARRAY_SIZE(init_arguments))
            init_arguments[init_argument_count++] = word;
        else if (!strcmp(word, "--"))
            ours = false;
        else if (!strncmp(word, "init=", 5))
            init_path = word + 5;
        else if (!strncmp(word, "ROWS=", 5))
            window_rows(word + 5);
        else if (!strncmp(word, "COLUMNS=", 8))
            window_columns(word + 8);
        else if (!strcmp(word, "resize=1"))
            window_told();
        else if (!strncmp(word, "root=", 5))
            root_disk = word + 5;
        else if (!strcmp(word, "ro"))
            root_read_only = true;
        else if (!strncmp(word, "ramdisk=", 8))
            ram_disk_kib = number_from(word + 8);
        else if (!strcmp(word, "quiet"))
            print_quiet(true);
        else if (!strcmp(word, "strace=1"))
            syscall_trace(true);
    }
}

static void initramfs_unpack(void)
{
    if (!boot.ramdisk_size && root_disk)
        return;
    if (!boot.ramdisk_size)
        panic("there is no ramdisk, so there is nothing to run; give an initramfs (cpio, newc) as "
              "the module after the kernel");
    const long files = cpio_unpack(boot.ramdisk, boot.ramdisk_size);
    if (files < 0)
        panic("the ramdisk is no cpio archive in the newc format, or too large: %ld", files);
    page_release_range(boot.ramdisk, boot.ramdisk_size);
    print_note("initramfs: %ld files\n", files);
}

static void open_console(void)
{
    struct inode *console;
    struct file *file;
    if (path_find(root_inode, "/dev/console", 0, &console) || file_open(console, O_RDWR, &file))
        panic("cannot open /dev/console");
    inode_put(console);
    for (int i = 0; i < 3; i++)
        if (fd_install(file, 0, false) == i && i)
            file_get(file);
}

static int add_text(struct exec_args *args, const char *text)
{
    return exec_args_add(args, text, strlen(text));
}

static int try_init(const char *path)
{
    static const char *const variables[] = {"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin",
                                            "TERM=linux"};
    struct exec_args args = {.arguments = 1 + init_argument_count,
                             .variables = ARRAY_SIZE(variables)};
    int rc = add_text(&args, path);
    for (unsigned i = 0; !rc && i < init_argument_count; i++)
        rc = add_text(&args, init_arguments[i]);
    for (unsigned i = 0; !rc && i < ARRAY_SIZE(variables); i++)
        rc = add_text(&args, variables[i]);
    if (!rc)
        rc = exec_path(NULL, path, &args);
    exec_args_free(&args);
    return rc;
}

/* root=: wait for that disk, and have the first process live on it. */
static void root_from_disk(void)
{
    const char *const name = strncmp(root_disk, "/dev/", 5) ? root_disk : root_disk + 5;
    char path[64] = "/dev/";
    while (!block_find_name(name))
        if (wait_until(&block_arrived, platform_time() + ROOT_PATIENCE) == -ETIMEDOUT)
            panic("root=%s: there is no such disk", root_disk);
    text_copy(path + 5, name, sizeof(path) - 5);
    const int rc = mount_root(path, "ext2", root_read_only);
    if (rc)
        panic("root=%s: cannot mount it as ext2: error %d", root_disk, -rc);
}

/* The first code of pid 1: it turns into a process. */
static void init_start(void)
{
    static const char *const paths[] = {"/init", "/sbin/init", "/bin/sh"};
    struct task *const task = task_current();

    console_give(task->tid);
    open_console();
    if (root_disk)
        root_from_disk();
    int rc = -ENOENT;
    if (init_path)
        rc = try_init(init_path);
    for (unsigned i = 0; !init_path && rc == -ENOENT && i < ARRAY_SIZE(paths); i++)
        rc = try_init(paths[i]);
    if (rc)
        panic("cannot run %s: error %d", init_path ? init_path : "/init, /sbin/init or /bin/sh",
              -rc);
    task_return();
}

static void init_create(void)
{
    struct process *const p = init_process = process_create(NULL);
    struct task *const task = p ? task_create(p, init_start) : NULL;
    if (!task || !(task->files = files_new()))
        panic("no memory for the first process");
    p->places->cwd = p->places->root = root_inode;
    inode_get(root_inode);
    inode_get(root_inode);
    p->session = p->group = p->pid;
    p->places->umask = 022;
    task->timer_slack = task->timer_slack_first = 50000;
    for (unsigned i = 0; i < RLIMITS; i++)
        p->limits[i] = limit_default(i);
    BUG_ON(p->pid != 1);
    sched_ready(task);
}

void kernel_start(const struct platform_boot *platform)
{
    static char line[1024];
    boot = *platform;
    text_copy(line, boot.command_line, sizeof(line));
    command_line_read(line);
    print_note("pv-guest %s on %s: %lu KiB of memory\n", KERNEL_VERSION, boot.name,
               (boot.page_count - (boot.hole_end.n - boot.hole_start.n)) * 4);

    task_init(); /* who we are: the idle task   */
    page_init(&boot);
    clock_init();
    inode_init(); /* an empty root directory     */
    initramfs_unpack();
    console_tty_init();
    dev_init();
    mount_init(); /* /proc, /dev/pts             */
    ext2_init();
    ram_disk_make(ram_disk_kib);
    cpus_start(); /* they wait for the lock      */
    init_create();
    task_reaper_start();
    platform_disks_start();
    sched_idle(); /* does not return             */
}
