/* System calls about time. */
#include "credentials.h"
#include "errno.h"
#include "platform/platform.h"
#include "syscall.h"
#include "sys-time.h"

#define HZ 100

/* Clocks of other processes and threads are negative: the complement of a number, and three bits that say what. */
enum { CPU_CLOCK_WHICH = 3, CPU_CLOCK_THREAD = 4, CPU_CLOCK_VIRTUAL = 1 };

bool clock_of_cpu_time(unsigned clock, struct process **process, int *tid, enum cpu_clock *kind)
{
    const int id = ~((int)clock >> 3);
    *process = process_current();
    *kind = CPU_CLOCK_ALL;
    *tid = clock == CLOCK_THREAD_CPUTIME ? task_current()->tid : 0;
    if (clock == CLOCK_PROCESS_CPUTIME || clock == CLOCK_THREAD_CPUTIME)
        return true;
    if ((int)clock >= 0 || (clock & CPU_CLOCK_WHICH) == CPU_CLOCK_WHICH)
        return false;
    *kind = (clock & CPU_CLOCK_WHICH) == CPU_CLOCK_VIRTUAL ? CPU_CLOCK_PROGRAM : CPU_CLOCK_ALL;
    if (!(clock & CPU_CLOCK_THREAD)) {
        *process = id ? process_find(id) : process_current();
        return *process;
    }
    const struct task *t = id ? task_find(id) : task_current();
    *tid = t ? t->tid : 0;
    return t && t->process == process_current(); /* other processes' threads are not looked into */
}

bool clock_is_cpu_time(unsigned clock)
{
    struct process *p;
    enum cpu_clock kind;
    int tid;
    return clock_of_cpu_time(clock, &p, &tid, &kind);
}

/* Clocks that can be read and have no timers. */
bool clock_is_coarse(unsigned clock)
{
    return clock == 4 || clock == 5 || clock == 6;
}

int clock_read(unsigned clock, uint64_t *now)
{
    struct process *p;
    enum cpu_clock kind;
    int tid;
    switch (clock) {
    case CLOCK_REALTIME:
    case 5:  /* CLOCK_REALTIME_COARSE */
    case 8:  /* CLOCK_REALTIME_ALARM */
    case 11: /* CLOCK_TAI: nobody has told the kernel how many leap seconds there were */
        *now = clock_now();
        return 0;
    case CLOCK_MONOTONIC:
    case 4: /* CLOCK_MONOTONIC_RAW */
    case 6: /* CLOCK_MONOTONIC_COARSE */
    case CLOCK_BOOTTIME:
    case 9: /* CLOCK_BOOTTIME_ALARM */
        *now = platform_time();
        return 0;
    default:
        if (!clock_of_cpu_time(clock, &p, &tid, &kind))
            return -EINVAL;
        *now = cpu_clock_read(p, tid, kind);
        return 0;
    }
}

long syscall_clock_gettime(const struct syscall_args *a)
{
    uint64_t now;
    if (clock_read(a->arg[0], &now))
        return -EINVAL;
    const struct linux_timespec t = {now / NS, now % NS};
    return user_write(a->arg[1], &t, sizeof(t));
}

long syscall_clock_getres(const struct syscall_args *a)
{
    const struct linux_timespec t = {0, 1};
    uint64_t now;
    if (clock_read(a->arg[0], &now))
        return -EINVAL;
    return a->arg[1] ? user_write(a->arg[1], &t, sizeof(t)) : 0;
}

long syscall_clock_settime(const struct syscall_args *a)
{
    struct linux_timespec t;
    if (a->arg[0] != CLOCK_REALTIME)
        return -EINVAL;
    if (user_read(&t, a->arg[1], sizeof(t)))
        return -EFAULT;
    if (t.sec < 0 || t.nsec < 0 || (uint64_t)t.nsec >= NS)
        return -EINVAL;
    if (!access_capable(CAP_SYS_TIME))
        return -EPERM;
    clock_set(time_span(t.sec, t.nsec));
    return 0;
}

long syscall_settimeofday(const struct syscall_args *a)
{
    struct linux_timeval t;
    if (!a->arg[0])
        return 0;
    if (user_read(&t, a->arg[0], sizeof(t)))
        return -EFAULT;
    if (t.sec < 0 || t.usec < 0 || t.usec >= 1000000)
        return -EINVAL;
    if (!access_capable(CAP_SYS_TIME))
        return -EPERM;
    clock_set(time_span(t.sec, t.usec * 1000));
    return 0;
}

long syscall_gettimeofday(const struct syscall_args *a)
{
    const uint64_t now = clock_now();
    const struct linux_timeval t = {now / NS, now % NS / 1000};
    if (a->arg[0] && user_write(a->arg[0], &t, sizeof(t)))
        return -EFAULT;
    return a->arg[1] ? user_zero(a->arg[1], 8) : 0;
}

long syscall_time(const struct syscall_args *a)
{
    const int64_t seconds = clock_now() / NS;
    if (a->arg[0] && user_write(a->arg[0], &seconds, sizeof(seconds)))
        return -EFAULT;
    return seconds;
}

long syscall_times(const struct syscall_args *a)
{
    const struct process *const p = process_current();
    const uint64_t tick = NS / HZ;
    const struct cpu_time own = process_cpu_time(p), children = children_cpu_time(p);
    const uint64_t t[4] = {(own.total - own.system) / tick, own.system / tick,
                           (children.total - children.system) / tick, children.system / tick};
    if (a->arg[0] && user_write(a->arg[0], t, sizeof(t)))
        return -EFAULT;
    return platform_time() / tick;
}

/* Sleep until @deadline; what is left when a signal comes goes to @left. */
static long sleep_until(uint64_t deadline, user_t left)
{
    static struct wait_queue nobody = WAIT_QUEUE_INIT(nobody);
    int rc;
    while (!(rc = wait_until(&nobody, deadline)))
        ;
    if (rc == -ETIMEDOUT)
        return 0;
    const uint64_t now = platform_time(), rest = deadline > now ? deadline - now : 0;
    const struct linux_timespec t = {rest / NS, rest % NS};
    if (left && user_write(left, &t, sizeof(t)))
        return -EFAULT;
    return -EINTR;
}

static bool timespec_valid(struct linux_timespec t)
{
    return t.sec >= 0 && t.nsec >= 0 && (uint64_t)t.nsec < NS;
}

int timespec_read(user_t from, uint64_t *ns)
{
    struct linux_timespec t;
    if (user_read(&t, from, sizeof(t)))
        return -EFAULT;
    if (!timespec_valid(t))
        return -EINVAL;
    *ns = time_span(t.sec, t.nsec);
    return 0;
}

int timespec_deadline(user_t from, bool absolute, bool time_of_day, uint64_t *deadline)
{
    uint64_t span;
    *deadline = FOREVER;
    if (!from)
        return 0;
    const int rc = timespec_read(from, &span);
    if (rc)
        return rc;
    const uint64_t now = platform_time();
    const uint64_t passed = !absolute ? 0 : time_of_day ? clock_now() : now;
    *deadline = now + (span > passed ? span - passed : 0);
    return 0;
}

int itimerspec_read(user_t from, unsigned clock, bool absolute, uint64_t *deadline,
                    uint64_t *interval)
{
    struct linux_itimerspec t;
    uint64_t passed = 0;
    if (user_read(&t, from, sizeof(t)))
        return -EFAULT;
    if (!timespec_valid(t.value) || !timespec_valid(t.interval))
        return -EINVAL;
    const uint64_t value = time_span(t.value.sec, t.value.nsec);
    if (absolute && clock_read(clock, &passed))
        return -EINVAL;
    *interval = time_span(t.interval.sec, t.interval.nsec);
    *deadline = value ? platform_time() + (value > passed ? value - passed : 0) : 0;
    return 0;
}

long syscall_nanosleep(const struct syscall_args *a)
{
    uint64_t ns;
    const int rc = timespec_read(a->arg[0], &ns);
    return rc ? rc : sleep_until(platform_time() + ns, a->arg[1]);
}

long syscall_clock_nanosleep(const struct syscall_args *a)
{
    uint64_t ns, now;
    int rc = clock_read(a->arg[0], &now);
    if (!rc && (clock_is_cpu_time(a->arg[0]) || clock_is_coarse(a->arg[0])))
        return -EOPNOTSUPP; /* nobody sleeps until somebody has computed */
    if (!rc)
        rc = timespec_read(a->arg[2], &ns);
    if (rc)
        return rc;
    if (!(a->arg[1] & TIMER_ABSTIME))
        return sleep_until(platform_time() + ns, a->arg[3]);
    return sleep_until(platform_time() + (ns > now ? ns - now : 0), 0);
}
