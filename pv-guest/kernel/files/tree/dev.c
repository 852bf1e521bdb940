/* /dev: the devices that need no hardware, and the terminal. */
#include "block-file.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "pty.h"
#include "print.h"
#include "random.h"
#include "text.h"
#include "tty.h"
#include "platform/platform.h"

static long null_read(struct file *file, user_t to, size_t size)
{
    return 0;
}

static long null_write(struct file *file, user_t from, size_t size)
{
    return size;
}

static long full_write(struct file *file, user_t from, size_t size)
{
    return -ENOSPC;
}

static long zero_read(struct file *file, user_t to, size_t size)
{
    return user_zero(to, size) ? -EFAULT : (long)size;
}

static long random_read(struct file *file, user_t to, size_t size)
{
    char bytes[64];
    for (size_t done = 0; done < size; done += sizeof(bytes)) {
        random_bytes(bytes, sizeof(bytes));
        if (user_write(to + done, bytes, MIN(sizeof(bytes), size - done)))
            return -EFAULT;
    }
    return size;
}

static int always_ready(struct file *file)
{
    return POLLIN | POLLOUT;
}

static const struct file_ops null_ops = {
    .read = null_read, .write = null_write, .poll = always_ready};
static const struct file_ops zero_ops = {
    .read = zero_read, .write = null_write, .poll = always_ready};
static const struct file_ops full_ops = {
    .read = zero_read, .write = full_write, .poll = always_ready};
static const struct file_ops random_ops = {
    .read = random_read, .write = null_write, .poll = always_ready};

static const struct {
    const char *name;
    const struct file_ops *ops;
    unsigned device;
} devices[] = {
    {"null", &null_ops, DEVICE(1, 3)},       {"zero", &zero_ops, DEVICE(1, 5)},
    {"full", &full_ops, DEVICE(1, 7)},       {"random", &random_ops, DEVICE(1, 8)},
    {"urandom", &random_ops, DEVICE(1, 9)},  {"tty", &tty_session_ops, DEVICE(5, 0)},
    {"console", &console_ops, DEVICE(5, 1)}, {"hvc0", &console_ops, DEVICE(229, 0)},
    {"ptmx", &ptmx_ops, DEVICE(5, 2)},
};

void dev_assign(struct inode *inode, unsigned device)
{
    inode->device = device;
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
        if (devices[i].device == device && inode_is(inode, S_IFCHR))
            inode->ops = devices[i].ops;
    if (inode_is(inode, S_IFBLK))
        inode->ops = &block_file_ops;
    for (const struct platform_device *d = platform_devices(); d->name; d++)
        if (d->device == device && inode_is(inode, S_IFCHR))
            inode->ops = d->ops;
}

/* /dev/xen, for user 0 alone. */
static void add_platform(struct inode *dev)
{
    struct inode *dir, *inode;
    const struct platform_device *d = platform_devices();
    if (!d->name || path_make(dev, "xen", 0, S_IFDIR | 0755, &dir))
        return;
    for (; d->name; d++) {
        if (path_make(dir, d->name, 0, S_IFCHR | 0600, &inode))
            continue;
        dev_assign(inode, d->device);
        inode_put(inode);
    }
    inode_put(dir);
}

/* A symbolic link where programs look for what they have open. */
static void add_link(struct inode *dir, const char *name, const char *target)
{
    struct inode *inode;
    char *text = heap_alloc(strlen(target) + 1);
    if (!text || path_make(dir, name, 0, S_IFLNK | 0777, &inode)) {
        heap_free(text);
        return;
    }
    text_copy(text, target, strlen(target) + 1);
    inode->target = text;
    inode->size = strlen(target);
    inode_put(inode);
}

/* The initramfs may have brought inodes that nobody serves. */
void dev_populate(struct inode *dir)
{
    struct inode *inode;
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        if (path_make(dir, devices[i].name, 0, S_IFCHR | 0666, &inode) &&
            path_find(dir, devices[i].name, PATH_NOFOLLOW, &inode))
            panic("cannot make /dev/%s", devices[i].name);
        inode->mode = S_IFCHR | 0666;
        dev_assign(inode, devices[i].device);
        inode_put(inode);
    }
    /* For a devpts to be mounted, and for shm_open. */
    if (!path_make(dir, "pts", 0, S_IFDIR | 0755, &inode))
        inode_put(inode);
    if (!path_make(dir, "shm", 0, S_IFDIR | S_ISVTX | 0777, &inode))
        inode_put(inode);
    add_platform(dir);
    block_populate(dir);
    add_link(dir, "fd", "/proc/self/fd");
    add_link(dir, "stdin", "/proc/self/fd/0");
    add_link(dir, "stdout", "/proc/self/fd/1");
    add_link(dir, "stderr", "/proc/self/fd/2");
}

void dev_init(void)
{
    struct inode *dir;
    if (path_make(root_inode, "/dev", 0, S_IFDIR | 0755, &dir) &&
        path_find(root_inode, "/dev", 0, &dir))
        panic("cannot make /dev");
    dev_populate(dir);
    inode_put(dir);
}
