/* System calls about kinds of file systems, and about those that are mounted, as old programs ask. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "mount.h"
#include "process.h"
#include "syscall.h"
#include "text.h"

enum sysfs { SYSFS_INDEX = 1, SYSFS_NAME, SYSFS_COUNT };

static long index_of(user_t name)
{
    char text[32];
    const long n = user_read_text(text, name, sizeof(text));
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    for (unsigned i = 0; mount_type(i); i++)
        if (!strcmp(mount_type(i), text))
            return i;
    return -EINVAL;
}

/* sysfs(what, name or index, buffer) */
long syscall_sysfs(const struct syscall_args *a)
{
    unsigned count = 0;
    while (mount_type(count))
        count++;
    switch ((int)a->arg[0]) {
    case SYSFS_INDEX:
        return index_of(a->arg[1]);
    case SYSFS_NAME: {
        const char *name = (unsigned)a->arg[1] < count ? mount_type(a->arg[1]) : NULL;
        return name ? user_write(a->arg[2], name, strlen(name) + 1) : -EINVAL;
    }
    case SYSFS_COUNT:
        return count;
    default:
        return -EINVAL;
    }
}

/* struct ustat */
struct linux_ustat {
    int32_t free;
    uint64_t inodes_free;
    char name[6], pack[6];
};
_Static_assert(sizeof(struct linux_ustat) == 32, "struct ustat");

static bool is_mounted(unsigned device)
{
    const struct mount *m;
    if (device == root_filesystem.number)
        return true;
    list_for_each(m, &mounts, link)
    {
        if (m->root->fs->number == device)
            return true;
    }
    return false;
}

/* ustat(device, buffer): what is free is not counted. */
long syscall_ustat(const struct syscall_args *a)
{
    const struct linux_ustat told = {0};
    return is_mounted(a->arg[0]) ? user_write(a->arg[1], &told, sizeof(told)) : -EINVAL;
}
