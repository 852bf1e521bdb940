/* System calls about the system: its name, its limits, its end. */
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "kernel.h"
#include "page.h"
#include "platform/platform.h"
#include "print.h"
#include "random.h"
#include "syscall.h"
#include "task.h"
#include "space.h"
#include "text.h"

static char node_name[65] = "paravane", domain_name[65] = "(none)";

const char *kernel_node_name(void)
{
    return node_name;
}

const char *kernel_domain_name(void)
{
    return domain_name;
}

long syscall_uname(const struct syscall_args *a)
{
    struct linux_utsname u = {
        .system = "Linux",
        .release = KERNEL_RELEASE,
        .machine = "x86_64",
    };
    text_copy(u.domain, domain_name, sizeof(u.domain));
    text_copy(u.node, node_name, sizeof(u.node));
    print_to(u.version, sizeof(u.version), "pv-guest %s on %s", KERNEL_VERSION, kernel_platform());
    return user_write(a->arg[0], &u, sizeof(u));
}

/* Both names have 64 bytes at most, and a zero behind. */
static long set_name(char to[65], const struct syscall_args *a)
{
    char name[65] = "";
    if (!access_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (a->arg[1] >= sizeof(name))
        return -EINVAL;
    if (user_read(name, a->arg[0], a->arg[1]))
        return -EFAULT;
    memcpy(to, name, sizeof(name));
    return 0;
}

long syscall_sethostname(const struct syscall_args *a)
{
    return set_name(node_name, a);
}

long syscall_sysinfo(const struct syscall_args *a)
{
    const struct page_counts pages = page_count();
    struct linux_sysinfo s = {
        .uptime = platform_time() / 1000000000,
        .total_ram = pages.total * PAGE_SIZE,
        .free_ram = (pages.free + space_spare_pages()) * PAGE_SIZE,
        .unit = 1,
    };
    const struct task *t;
    for_each_task(t) s.procs++;
    return user_write(a->arg[0], &s, sizeof(s));
}

#define RANDOM_MOST (1ul << 20)

long syscall_getrandom(const struct syscall_args *a)
{
    char bytes[256];
    const size_t size = MIN(a->arg[1], RANDOM_MOST);
    /* GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE: all the same, but the last two exclude each other. */
    if ((a->arg[2] & ~7ul) || (a->arg[2] & 6) == 6)
        return -EINVAL;
    for (size_t done = 0; done < size; done += sizeof(bytes)) {
        random_bytes(bytes, sizeof(bytes));
        if (user_write(a->arg[0] + done, bytes, MIN(sizeof(bytes), size - done)))
            return done ? (long)done : -EFAULT;
    }
    return size;
}

#define LOG_READ_ALL   3
#define LOG_READ_CLEAR 4
#define LOG_SIZE_ALL   10
#define LOG_LEVEL      8 /* 0 and 1, 5 to 7, 9: open, close, clear, on, off, how much is unread */
#define LOG_LEVELS     8

/* What is to be shown on the console, which shows all. */
static long set_level(unsigned what, int level)
{
    if (what == LOG_LEVEL)
        return level < 1 || level > LOG_LEVELS ? -EINVAL : 0;
    return what < 2 || (what >= 5 && what <= 7) || what == 9 ? 0 : -EINVAL;
}

/* dmesg: the end of what the kernel has printed.  It is never forgotten, whoever asks for that. */
long syscall_syslog(const struct syscall_args *a)
{
    const size_t size = print_log_size();
    if (a->arg[0] != LOG_SIZE_ALL && a->arg[0] != LOG_READ_ALL && !access_capable(CAP_SYSLOG))
        return -EPERM;
    if (a->arg[0] == LOG_SIZE_ALL)
        return size;
    if (a->arg[0] != LOG_READ_ALL && a->arg[0] != LOG_READ_CLEAR)
        return set_level(a->arg[0], a->arg[2]);
    if ((int)a->arg[2] < 0 || !a->arg[1])
        return -EINVAL;
    const size_t n = MIN(a->arg[2], size);
    for (size_t i = 0; i < n; i++) {
        const char c = print_log_at(size - n + i);
        if (user_write(a->arg[1] + i, &c, 1))
            return -EFAULT;
    }
    return n;
}

long syscall_setdomainname(const struct syscall_args *a)
{
    return set_name(domain_name, a);
}

#define REBOOT_MAGIC 0xfee1dead

static bool reboot_magic(uint32_t second)
{
    return second == 672274793 || second == 85072278 || second == 369367448 || second == 537993216;
}

long syscall_reboot(const struct syscall_args *a)
{
    if (!access_capable(CAP_SYS_BOOT))
        return -EPERM;
    if ((uint32_t)a->arg[0] != REBOOT_MAGIC || !reboot_magic(a->arg[1]))
        return -EINVAL;
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
