/* System calls about the system: its name, its limits, its end. */
#include "errno.h"
#include "file.h"
#include "kernel.h"
#include "page.h"
#include "platform/platform.h"
#include "print.h"
#include "random.h"
#include "syscall.h"
#include "task.h"
#include "text.h"

static char node_name[65] = "paravane";

long syscall_uname(const struct syscall_args *a)
{
    /* The release tells the C library how new a Linux this is as good as. */
    struct linux_utsname u = {
        .system = "Linux", .release = "5.10.0-paravane", .machine = "x86_64", .domain = "(none)"};
    text_copy(u.node, node_name, sizeof(u.node));
    print_to(u.version, sizeof(u.version), "pv-guest %s on %s", KERNEL_VERSION, kernel_platform());
    return user_write(a->arg[0], &u, sizeof(u));
}

long syscall_sethostname(const struct syscall_args *a)
{
    char name[65] = "";
    if (a->arg[1] >= sizeof(name))
        return -EINVAL;
    if (user_read(name, a->arg[0], a->arg[1]))
        return -EFAULT;
    memcpy(node_name, name, sizeof(name));
    return 0;
}

long syscall_sysinfo(const struct syscall_args *a)
{
    const struct page_counts pages = page_count();
    struct linux_sysinfo s = {
        .uptime = platform_time() / 1000000000,
        .total_ram = pages.total * PAGE_SIZE,
        .free_ram = pages.free * PAGE_SIZE,
        .unit = 1,
    };
    const struct task *t;
    for_each_task(t) s.procs++;
    return user_write(a->arg[0], &s, sizeof(s));
}

static struct linux_rlimit limit(unsigned which)
{
    if (which == RLIMIT_STACK)
        return (struct linux_rlimit){USER_STACK_SIZE, USER_STACK_SIZE};
    if (which == RLIMIT_NOFILE)
        return (struct linux_rlimit){FILES_MAX, FILES_MAX};
    return (struct linux_rlimit){~0ul, ~0ul};
}

long syscall_getrlimit(const struct syscall_args *a)
{
    const struct linux_rlimit l = limit(a->arg[0]);
    return a->arg[0] >= RLIMITS ? -EINVAL : user_write(a->arg[1], &l, sizeof(l));
}

long syscall_setrlimit(const struct syscall_args *a)
{
    return a->arg[0] >= RLIMITS ? -EINVAL : 0; /* limits are what they are */
}

long syscall_prlimit64(const struct syscall_args *a)
{
    const struct linux_rlimit l = limit(a->arg[1]);
    if (a->arg[1] >= RLIMITS)
        return -EINVAL;
    return a->arg[3] ? user_write(a->arg[3], &l, sizeof(l)) : 0;
}

/* struct rusage: user time first, everything else unknown. */
long syscall_getrusage(const struct syscall_args *a)
{
    const struct task *const task = task_current();
    const uint64_t ns = (int)a->arg[0] == -1 ? task->children_time
                                             : task->run_time + platform_time() - task->run_since;
    const struct linux_timeval used = {ns / 1000000000, ns % 1000000000 / 1000};
    if (user_zero(a->arg[1], 144))
        return -EFAULT;
    return user_write(a->arg[1], &used, sizeof(used));
}

long syscall_getrandom(const struct syscall_args *a)
{
    char bytes[256];
    const size_t size = MIN(a->arg[1], sizeof(bytes));
    random_bytes(bytes, size);
    return user_write(a->arg[0], bytes, size) ? -EFAULT : (long)size;
}

long syscall_reboot(const struct syscall_args *a)
{
    switch ((unsigned)a->arg[2]) {
    case REBOOT_RESTART:
        platform_shutdown(SHUTDOWN_AS_REBOOT);
    case REBOOT_POWER_OFF:
    case REBOOT_HALT:
        platform_shutdown(SHUTDOWN_AS_POWEROFF);
    case 0: /* Ctrl-Alt-Del on or off: there is no such key */
    case 0x89abcdef:
        return 0;
    default:
        return -EINVAL;
    }
}
