/* /dev: the devices that need no hardware, and the terminal. */
#include "errno.h"
#include "file.h"
#include "print.h"
#include "random.h"
#include "text.h"

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

#define DEVICE(major, minor) ((major) << 8 | (minor))

static const struct {
    const char *path;
    const struct file_ops *ops;
    unsigned device;
} devices[] = {
    {"/dev/null", &null_ops, DEVICE(1, 3)},      {"/dev/zero", &zero_ops, DEVICE(1, 5)},
    {"/dev/full", &full_ops, DEVICE(1, 7)},      {"/dev/random", &random_ops, DEVICE(1, 8)},
    {"/dev/urandom", &random_ops, DEVICE(1, 9)}, {"/dev/tty", &tty_ops, DEVICE(5, 0)},
    {"/dev/console", &tty_ops, DEVICE(5, 1)},
};

/* The initramfs may have brought /dev, and even inodes in it that nobody serves. */
void dev_init(void)
{
    struct inode *inode;
    if (!path_make(root_inode, "/dev", S_IFDIR | 0755, &inode))
        inode_put(inode);
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        if (path_make(root_inode, devices[i].path, S_IFCHR | 0666, &inode) &&
            path_find(root_inode, devices[i].path, 0, &inode))
            panic("cannot make %s", devices[i].path);
        inode->mode = S_IFCHR | 0666;
        inode->ops = devices[i].ops;
        inode->device = devices[i].device;
        inode_put(inode);
    }
}
