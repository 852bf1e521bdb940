/* System calls about capabilities: what a process may do of what only root may. */
#include "credentials.h"
#include "errno.h"
#include "process.h"
#include "syscall.h"

#define VERSION_1 0x19980330u /* 32 of them */
#define VERSION_2 0x20071026u /* 64, as have all later ones */
#define VERSION_3 0x20080522u

struct capability_header {
    uint32_t version;
    int32_t pid;
};

/* Each set's lower or upper 32 bits. */
struct capability_data {
    uint32_t effective, permitted, inheritable;
};

/* How many struct capability_data the caller means: 1, 2; -EINVAL for another version, and he is told ours. */
static int read_version(user_t at)
{
    const uint32_t ours = VERSION_3;
    uint32_t version;
    if (user_read(&version, at, sizeof(version)))
        return -EFAULT;
    if (version == VERSION_1)
        return 1;
    if (version == VERSION_2 || version == VERSION_3)
        return 2;
    return user_write(at, &ours, sizeof(ours)) ? -EFAULT : -EINVAL;
}

static long read_pid(user_t at, int *pid)
{
    struct capability_header h;
    if (user_read(&h, at, sizeof(h)))
        return -EFAULT;
    *pid = h.pid;
    return 0;
}

long syscall_capget(const struct syscall_args *a)
{
    int pid;
    const int words = read_version(a->arg[0]);
    if (words < 0 || !a->arg[1])
        return words == -EINVAL && !a->arg[1] ? 0 : MIN(words, 0);
    if (read_pid(a->arg[0], &pid))
        return -EFAULT;
    if (pid < 0)
        return -EINVAL;
    const struct task *t = pid ? task_find(pid) : task_current();
    if (!t || !t->process)
        return -ESRCH;
    const struct capabilities *const its = &t->process->credentials.capabilities;
    struct capability_data d[2];
    for (int i = 0; i < 2; i++)
        d[i] = (struct capability_data){its->effective >> 32 * i, its->permitted >> 32 * i,
                                        its->inheritable >> 32 * i};
    return user_write(a->arg[1], d, words * sizeof(d[0]));
}

/* Nothing is permitted that was not, nothing can be inherited that is not permitted or bounded, without CAP_SETPCAP. */
static int capability_set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct capabilities *const own = &process_current()->credentials.capabilities;
    if (!access_capable(CAP_SETPCAP) && (inheritable & ~(own->inheritable | own->permitted)))
        return -EPERM;
    if (inheritable & ~(own->inheritable | own->bounding))
        return -EPERM;
    if ((permitted & ~own->permitted) || (effective & ~permitted))
        return -EPERM;
    own->effective = effective;
    own->permitted = permitted;
    own->inheritable = inheritable;
    own->ambient &= permitted & inheritable;
    return 0;
}

long syscall_capset(const struct syscall_args *a)
{
    struct capability_data d[2] = {{0}, {0}};
    int pid;
    const int words = read_version(a->arg[0]);
    if (words < 0)
        return words;
    if (read_pid(a->arg[0], &pid))
        return -EFAULT;
    if (pid && pid != task_current()->tid)
        return -EPERM;
    if (user_read(d, a->arg[1], words * sizeof(d[0])))
        return -EFAULT;
    return capability_set((d[0].effective | (uint64_t)d[1].effective << 32) & CAPABILITIES,
                          (d[0].permitted | (uint64_t)d[1].permitted << 32) & CAPABILITIES,
                          (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & CAPABILITIES);
}
