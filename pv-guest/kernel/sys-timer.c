/* System calls about timers that end in signals: alarm, setitimer, timer_create. */
#include "errno.h"
#include "heap.h"
#include "platform/platform.h"
#include "posix-timer.h"
#include "signal.h"
#include "syscall.h"
#include "sys-time.h"

#define ALARM_SHORTEST 100000ul /* ns; a shorter period would leave no time between */
#define TIMERS_MAX     64       /* of one process */

/* ---- alarm and setitimer: one timer a process, ITIMER_REAL ---- */

static uint64_t time_left(const struct timer *timer)
{
    if (!timer_running(timer))
        return 0;
    const uint64_t now = platform_time();
    return timer->deadline > now ? timer->deadline - now : 1;
}

static void alarm_set(struct process *p, uint64_t value, uint64_t interval)
{
    p->alarm_interval = interval ? MAX(interval, ALARM_SHORTEST) : 0;
    timer_stop(&p->alarm);
    if (value)
        timer_start(&p->alarm, platform_time() + value);
}

long syscall_alarm(const struct syscall_args *a)
{
    struct process *const p = process_current();
    const uint64_t left = time_left(&p->alarm);
    alarm_set(p, (unsigned)a->arg[0] * NS, 0);
    return (left + NS - 1) / NS;
}

static struct linux_timeval timeval(uint64_t ns)
{
    return (struct linux_timeval){ns / NS, ns % NS / 1000};
}

static bool timeval_valid(struct linux_timeval t)
{
    return t.sec >= 0 && t.usec >= 0 && t.usec < 1000000;
}

static uint64_t nanoseconds(struct linux_timeval t)
{
    return time_span(t.sec, t.usec * 1000);
}

static struct linux_itimerval itimer(const struct process *p)
{
    return (struct linux_itimerval){timeval(p->alarm_interval), timeval(time_left(&p->alarm))};
}

long syscall_getitimer(const struct syscall_args *a)
{
    const struct linux_itimerval now = itimer(process_current());
    return a->arg[0] ? -EINVAL : user_write(a->arg[1], &now, sizeof(now));
}

long syscall_setitimer(const struct syscall_args *a)
{
    struct process *const p = process_current();
    const struct linux_itimerval old = itimer(p);
    struct linux_itimerval wanted = {0};
    if (a->arg[0])
        return -EINVAL;
    if (a->arg[1] && user_read(&wanted, a->arg[1], sizeof(wanted)))
        return -EFAULT;
    if (!timeval_valid(wanted.value) || !timeval_valid(wanted.interval))
        return -EINVAL;
    if (a->arg[2] && user_write(a->arg[2], &old, sizeof(old)))
        return -EFAULT;
    alarm_set(p, nanoseconds(wanted.value), nanoseconds(wanted.interval));
    return 0;
}

/* ---- timer_create ---- */

struct posix_timer {
    struct list link; /* process->timers */
    struct process *process;
    struct timer timer;
    uint64_t interval;
    unsigned clock;
    int id, tid, number; /* tid 0: the process; number 0: no signal */
    uint64_t value;      /* for siginfo */
    int overrun;
};

/* struct sigevent, as far as it is ours. */
struct linux_sigevent {
    uint64_t value;
    int32_t number, notify, tid, pad[11];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "struct sigevent");
#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD_ID 4

static void expired(struct timer *timer)
{
    struct posix_timer *t = container_of(timer, struct posix_timer, timer);
    const uint64_t now = MAX(timer->deadline, platform_time());
    if (t->interval) {
        t->overrun += (now - timer->deadline) / t->interval;
        timer_start(timer, now + t->interval);
    }
    if (!t->number)
        return;
    const struct signal_info info = {t->number, SI_TIMER, {(unsigned)t->id, t->value}};
    struct task *task = t->tid ? task_find(t->tid) : NULL;
    if (task && task->process == t->process)
        signal_send_task(task, &info);
    else
        signal_send_info(t->process, &info);
}

static void posix_timer_delete(struct posix_timer *t)
{
    timer_stop(&t->timer);
    list_remove(&t->link);
    heap_free(t);
}

void posix_timers_delete(struct process *p)
{
    struct posix_timer *t, *after;
    list_for_each_safe(t, after, &p->timers, link) posix_timer_delete(t);
}

static struct posix_timer *posix_timer_find(int id)
{
    struct posix_timer *t;
    list_for_each(t, &process_current()->timers, link)
    {
        if (t->id == id)
            return t;
    }
    return NULL;
}

static int read_event(user_t from, int id, struct linux_sigevent *e)
{
    *e = (struct linux_sigevent){.value = (unsigned)id, .number = SIGALRM};
    if (!from)
        return 0;
    if (user_read(e, from, sizeof(*e)))
        return -EFAULT;
    if (e->notify == SIGEV_NONE) {
        e->number = 0;
        return 0;
    }
    if (e->number < 1 || e->number > SIGNAL_COUNT)
        return -EINVAL;
    if (e->notify == SIGEV_SIGNAL) {
        e->tid = 0;
        return 0;
    }
    const struct task *t = e->notify == SIGEV_THREAD_ID ? task_find(e->tid) : NULL;
    return t && t->process == process_current() ? 0 : -EINVAL;
}

long syscall_timer_create(const struct syscall_args *a)
{
    struct process *const p = process_current();
    struct linux_sigevent e;
    uint64_t now;
    int id = 0;

    if (clock_read(a->arg[0], &now) || clock_is_cpu_time(a->arg[0]))
        return -EINVAL;
    while (posix_timer_find(id))
        id++;
    if (id >= TIMERS_MAX)
        return -EAGAIN;
    const int rc = read_event(a->arg[1], id, &e);
    if (rc)
        return rc;
    struct posix_timer *t = heap_alloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->process = p;
    t->clock = a->arg[0];
    t->id = id;
    t->tid = e.tid;
    t->number = e.number;
    t->value = e.value;
    timer_init(&t->timer, expired);
    list_add(&t->link, &p->timers);
    if (!user_write(a->arg[2], &id, sizeof(id)))
        return 0;
    posix_timer_delete(t);
    return -EFAULT;
}

static struct linux_itimerspec setting(const struct posix_timer *t)
{
    const uint64_t left = time_left(&t->timer);
    return (struct linux_itimerspec){{t->interval / NS, t->interval % NS}, {left / NS, left % NS}};
}

long syscall_timer_gettime(const struct syscall_args *a)
{
    const struct posix_timer *t = posix_timer_find(a->arg[0]);
    if (!t)
        return -EINVAL;
    const struct linux_itimerspec now = setting(t);
    return user_write(a->arg[1], &now, sizeof(now));
}

long syscall_timer_settime(const struct syscall_args *a)
{
    struct posix_timer *t = posix_timer_find(a->arg[0]);
    uint64_t deadline, interval;
    if (!t)
        return -EINVAL;
    const int rc =
        itimerspec_read(a->arg[2], t->clock, a->arg[1] & TIMER_ABSTIME, &deadline, &interval);
    if (rc)
        return rc;
    const struct linux_itimerspec old = setting(t);
    if (a->arg[3] && user_write(a->arg[3], &old, sizeof(old)))
        return -EFAULT;
    t->interval = interval ? MAX(interval, ALARM_SHORTEST) : 0;
    t->overrun = 0;
    timer_stop(&t->timer);
    if (deadline)
        timer_start(&t->timer, deadline);
    return 0;
}

long syscall_timer_getoverrun(const struct syscall_args *a)
{
    const struct posix_timer *t = posix_timer_find(a->arg[0]);
    return t ? t->overrun : -EINVAL;
}

long syscall_timer_delete(const struct syscall_args *a)
{
    struct posix_timer *t = posix_timer_find(a->arg[0]);
    if (!t)
        return -EINVAL;
    posix_timer_delete(t);
    return 0;
}
