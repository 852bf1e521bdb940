/* System calls about time. */
#include "credentials.h"
#include "errno.h"
#include "platform/platform.h"
#include "syscall.h"
#include "sys-time.h"

#define HZ 100

static uint64_t cpu_time(const struct task *task)
{
    return task->run_time + platform_time() - task->run_since;
}

bool clock_is_cpu_time(unsigned clock)
{
    return clock == CLOCK_PROCESS_CPUTIME || clock == CLOCK_THREAD_CPUTIME;
}

int clock_read(unsigned clock, uint64_t *now)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case 5: /* CLOCK_REALTIME_COARSE */
        *now = clock_now();
        return 0;
    case CLOCK_MONOTONIC:
    case 4: /* CLOCK_MONOTONIC_RAW */
    case 6: /* CLOCK_MONOTONIC_COARSE */
    case CLOCK_BOOTTIME:
        *now = platform_time();
        return 0;
    case CLOCK_PROCESS_CPUTIME:
        *now = process_time(process_current());
        return 0;
    case CLOCK_THREAD_CPUTIME:
        *now = cpu_time(task_current());
        return 0;
    default:
        return -EINVAL;
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
    if (!access_root())
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
    if (!access_root())
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
    const uint64_t t[4] = {process_time(p) / tick, 0, p->children_time / tick, 0};
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
    if (!rc)
        rc = timespec_read(a->arg[2], &ns);
    if (rc)
        return rc;
    if (!(a->arg[1] & TIMER_ABSTIME))
        return sleep_until(platform_time() + ns, a->arg[3]);
    return sleep_until(platform_time() + (ns > now ? ns - now : 0), 0);
}
