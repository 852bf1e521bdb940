/* System calls on handles of files, which no file system here gives. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "syscall.h"
#include "user-path.h"

#define AT_SYMLINK_FOLLOW 0x400
#define HANDLE_MOST       128

struct file_handle {
    uint32_t size;
    int32_t type;
};

long syscall_name_to_handle_at(const struct syscall_args *a)
{
    const unsigned flags = a->arg[4];
    struct inode *inode;
    struct file_handle h;
    if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    const unsigned follow = flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
    int rc = user_path_find(a->arg[0], a->arg[1], follow | (flags & AT_EMPTY_PATH), &inode);
    if (rc)
        return rc;
    inode_put(inode);
    if (user_read(&h, a->arg[2], sizeof(h)))
        return -EFAULT;
    return h.size > HANDLE_MOST ? -EINVAL : -EOPNOTSUPP;
}

long syscall_open_by_handle_at(const struct syscall_args *a)
{
    struct file_handle h;
    if (!access_capable(CAP_DAC_READ_SEARCH))
        return -EPERM;
    if (user_read(&h, a->arg[1], sizeof(h)))
        return -EFAULT;
    if (!h.size || h.size > HANDLE_MOST)
        return -EINVAL;
    return (int)a->arg[0] == AT_FDCWD || fd_file_or_path(a->arg[0]) ? -ESTALE : -EBADF;
}
