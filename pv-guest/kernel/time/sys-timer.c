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

/* ---- alarm and setitimer: three timers a process ---- */

enum { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };

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

/* The CPU-time timer that @which means; NULL without memory. */
static struct cpu_timer *cpu_itimer(struct process *p, unsigned which)
{
    struct cpu_timers *all = cpu_timers_get(p);
    return all ? &all->itimers[which == ITIMER_VIRTUAL ? CPU_CLOCK_PROGRAM : CPU_CLOCK_ALL] : NULL;
}

static uint64_t cpu_time_left(const struct process *p, const struct cpu_timer *timer)
{
    if (!timer->at)
        return 0;
    const uint64_t now = cpu_clock_read(p, timer->tid, timer->clock);
    return timer->at > now ? timer->at - now : 1;
}

/* Have @timer expire after @value more of its clock; 0 stops it. */
static void cpu_timer_after(struct process *p, struct cpu_timer *timer, uint64_t value,
                            uint64_t interval)
{
    const uint64_t now = cpu_clock_read(p, timer->tid, timer->clock);
    cpu_timer_start(p, timer, value ? now + value : 0,
                    interval ? MAX(interval, ALARM_SHORTEST) : 0);
}

static struct linux_itimerval itimer(struct process *p, unsigned which)
{
    if (which == ITIMER_REAL)
        return (struct linux_itimerval){timeval(p->alarm_interval), timeval(time_left(&p->alarm))};
    const struct cpu_timer *timer = cpu_itimer(p, which);
    if (!timer)
        return (struct linux_itimerval){0};
    return (struct linux_itimerval){timeval(timer->interval), timeval(cpu_time_left(p, timer))};
}

long syscall_getitimer(const struct syscall_args *a)
{
    if (a->arg[0] > ITIMER_PROF)
        return -EINVAL;
    const struct linux_itimerval now = itimer(process_current(), a->arg[0]);
    return user_write(a->arg[1], &now, sizeof(now));
}

long syscall_setitimer(const struct syscall_args *a)
{
    struct process *const p = process_current();
    struct linux_itimerval wanted = {0};
    if (a->arg[0] > ITIMER_PROF)
        return -EINVAL;
    const struct linux_itimerval old = itimer(p, a->arg[0]);
    if (a->arg[1] && user_read(&wanted, a->arg[1], sizeof(wanted)))
        return -EFAULT;
    if (!timeval_valid(wanted.value) || !timeval_valid(wanted.interval))
        return -EINVAL;
    if (a->arg[2] && user_write(a->arg[2], &old, sizeof(old)))
        return -EFAULT;
    const uint64_t value = nanoseconds(wanted.value), interval = nanoseconds(wanted.interval);
    if (a->arg[0] != ITIMER_REAL && !cpu_itimer(p, a->arg[0]))
        return -ENOMEM;
    if (a->arg[0] == ITIMER_REAL)
        alarm_set(p, value, interval);
    else
        cpu_timer_after(p, cpu_itimer(p, a->arg[0]), value, interval);
    return 0;
}

/* ---- timer_create ---- */

struct posix_timer {
    struct list link; /* process->timers */
    struct process *process;
    bool counts_cpu; /* @cpu_timer is used, else @timer */
    struct timer timer;
    struct cpu_timer cpu_timer;
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

static void timer_tell(struct posix_timer *t)
{
    if (!t->number)
        return;
    const struct signal_info info = {t->number, SI_TIMER, {(unsigned)t->id, t->value}};
    struct task *task = t->tid ? task_find(t->tid) : NULL;
    if (task && task->process == t->process)
        signal_send_task(task, &info);
    else
        signal_send_info(t->process, &info);
}

static void timer_expired(struct timer *timer)
{
    struct posix_timer *t = container_of(timer, struct posix_timer, timer);
    const uint64_t now = MAX(timer->deadline, platform_time());
    if (t->interval) {
        t->overrun += (now - timer->deadline) / t->interval;
        timer_start(timer, now + t->interval);
    }
    timer_tell(t);
}

static void cpu_expired(struct cpu_timer *timer, struct process *p, uint64_t periods)
{
    struct posix_timer *t = container_of(timer, struct posix_timer, cpu_timer);
    t->overrun += periods - 1;
    timer_tell(t);
}

static void posix_timer_delete(struct posix_timer *t)
{
    timer_stop(&t->timer);
    cpu_timer_stop(&t->cpu_timer);
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
    struct process *whose;
    enum cpu_clock kind = CPU_CLOCK_ALL;
    uint64_t now;
    int id = 0, tid = 0;

    if (clock_read(a->arg[0], &now))
        return -EINVAL;
    if (clock_is_coarse(a->arg[0]))
        return -EOPNOTSUPP;
    const bool counts_cpu = clock_of_cpu_time(a->arg[0], &whose, &tid, &kind);
    if (counts_cpu && whose != p)
        return -EINVAL; /* other processes' time moves no timer here */
    while (posix_timer_find(id))
        id++;
    if (id >= TIMERS_MAX)
        return -EAGAIN;
    const int rc = read_event(a->arg[1], id, &e);
    if (rc)
        return rc;
    struct posix_timer *t = counts_cpu && !cpu_timers_get(p) ? NULL : heap_alloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->process = p;
    t->clock = a->arg[0];
    t->id = id;
    t->tid = e.tid;
    t->number = e.number;
    t->value = e.value;
    t->counts_cpu = counts_cpu;
    timer_init(&t->timer, timer_expired);
    cpu_timer_init(&t->cpu_timer, kind, tid, cpu_expired);
    list_add(&t->link, &p->timers);
    if (!user_write(a->arg[2], &id, sizeof(id)))
        return 0;
    posix_timer_delete(t);
    return -EFAULT;
}

static struct linux_itimerspec timer_setting(const struct posix_timer *t)
{
    const uint64_t left =
        t->counts_cpu ? cpu_time_left(t->process, &t->cpu_timer) : time_left(&t->timer);
    return (struct linux_itimerspec){{t->interval / NS, t->interval % NS}, {left / NS, left % NS}};
}

long syscall_timer_gettime(const struct syscall_args *a)
{
    const struct posix_timer *t = posix_timer_find(a->arg[0]);
    if (!t)
        return -EINVAL;
    const struct linux_itimerspec now = timer_setting(t);
    return user_write(a->arg[1], &now, sizeof(now));
}

long syscall_timer_settime(const struct syscall_args *a)
{
    struct posix_timer *t = posix_timer_find(a->arg[0]);
    uint64_t deadline, interval;
    if (!t || !a->arg[2])
        return -EINVAL;
    const int rc =
        itimerspec_read(a->arg[2], t->clock, a->arg[1] & TIMER_ABSTIME, &deadline, &interval);
    if (rc)
        return rc;
    const struct linux_itimerspec old = timer_setting(t);
    if (a->arg[3] && user_write(a->arg[3], &old, sizeof(old)))
        return -EFAULT;
    t->interval = interval ? MAX(interval, ALARM_SHORTEST) : 0;
    t->overrun = 0;
    timer_stop(&t->timer);
    if (t->counts_cpu) {
        const uint64_t now = platform_time();
        cpu_timer_after(t->process, &t->cpu_timer, deadline ? MAX(deadline, now + 1) - now : 0,
                        t->interval);
    } else if (deadline) {
        timer_start(&t->timer, deadline);
    }
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
