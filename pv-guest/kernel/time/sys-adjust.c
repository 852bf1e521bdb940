/*
 * System calls that adjust the clock.  What a time daemon sets is checked, kept and told; only a whole step
 * (ADJ_SETOFFSET) changes the clock, whose rate is the platform's.
 */
#include "credentials.h"
#include "errno.h"
#include "syscall.h"
#include "sys-time.h"
#include "timer.h"

struct linux_timex {
    uint32_t modes, pad0;
    int64_t offset, frequency, most_error, error;
    int32_t status, pad1;
    int64_t constant, precision, tolerance;
    struct linux_timeval time;
    int64_t tick, pps[2];
    int32_t shift, pad2;
    int64_t pps_counts[5];
    int32_t tai, pad3[11];
};
_Static_assert(sizeof(struct linux_timex) == 208, "struct timex");

#define ADJ_OFFSET     0x1
#define ADJ_FREQUENCY  0x2
#define ADJ_MAXERROR   0x4
#define ADJ_ESTERROR   0x8
#define ADJ_STATUS     0x10
#define ADJ_TIMECONST  0x20
#define ADJ_TAI        0x80
#define ADJ_SETOFFSET  0x100
#define ADJ_NANO       0x2000
#define ADJ_TICK       0x4000
#define ADJ_ADJTIME    0x8000 /* as adjtime has it: with ADJ_OFFSET, and 0x2000 to read only */
#define STA_UNSYNC     0x40
#define STA_READ_ONLY  0xff00
#define TIME_ERROR     5
#define TICK_LEAST     9000 /* us for each of 100 ticks a second */
#define TICK_MOST      11000
#define FREQUENCY_MOST 32768000
#define PHASE_MOST     500000000l

static struct linux_timex kept = {.status = STA_UNSYNC,
                                  .most_error = 16000000,
                                  .error = 16000000,
                                  .precision = 1,
                                  .tolerance = FREQUENCY_MOST,
                                  .tick = 10000,
                                  .constant = 2};

/* May the running process ask for @t?  0 or -errno. */
static int adjust_check(const struct linux_timex *t)
{
    const bool reads = t->modes == (ADJ_ADJTIME | ADJ_OFFSET | ADJ_NANO) || !t->modes;
    if ((t->modes & ADJ_ADJTIME) && !(t->modes & ADJ_OFFSET))
        return -EINVAL;
    if (!reads && !access_capable(CAP_SYS_TIME))
        return -EPERM;
    if (t->modes & ADJ_ADJTIME)
        return 0;
    if ((t->modes & ADJ_TICK) && (t->tick < TICK_LEAST || t->tick > TICK_MOST))
        return -EINVAL;
    const int64_t second = t->modes & ADJ_NANO ? 1000000000 : 1000000;
    if ((t->modes & ADJ_SETOFFSET) && (t->time.usec < 0 || t->time.usec >= second))
        return -EINVAL;
    return 0;
}

static int64_t adjust_limit(int64_t value, int64_t most)
{
    return MIN(MAX(value, -most), most);
}

static void adjust_keep(const struct linux_timex *t)
{
    const unsigned modes = t->modes;
    if (modes & ADJ_STATUS)
        kept.status = (kept.status & STA_READ_ONLY) | (t->status & ~STA_READ_ONLY);
    if (modes & ADJ_FREQUENCY)
        kept.frequency = adjust_limit(t->frequency, FREQUENCY_MOST);
    if (modes & ADJ_MAXERROR)
        kept.most_error = t->most_error;
    if (modes & ADJ_ESTERROR)
        kept.error = t->error;
    if ((modes & ADJ_TIMECONST) && t->constant >= 0)
        kept.constant = MIN(t->constant, 10);
    if ((modes & ADJ_TAI) && t->constant >= 0)
        kept.tai = t->constant;
    if (modes & ADJ_OFFSET)
        kept.offset = adjust_limit(t->offset, PHASE_MOST);
    if (modes & ADJ_TICK)
        kept.tick = t->tick;
    if (modes & ADJ_SETOFFSET)
        clock_set(clock_now() + t->time.sec * (int64_t)NS +
                  t->time.usec * (modes & ADJ_NANO ? 1 : 1000));
}

static long adjust(user_t at)
{
    struct linux_timex t;
    if (user_read(&t, at, sizeof(t)))
        return -EFAULT;
    const int rc = adjust_check(&t);
    if (rc)
        return rc;
    const unsigned modes = t.modes;
    if (modes & ADJ_ADJTIME) {
        const int64_t before = kept.offset;
        if (!(modes & ADJ_NANO))
            kept.offset = t.offset;
        t = kept;
        t.offset = before;
    } else {
        adjust_keep(&t);
        t = kept;
    }
    const uint64_t now = clock_now();
    t.modes = modes;
    t.time = (struct linux_timeval){now / NS, now % NS / 1000};
    if (user_write(at, &t, sizeof(t)))
        return -EFAULT;
    return kept.status & STA_UNSYNC ? TIME_ERROR : 0;
}

long syscall_adjtimex(const struct syscall_args *a)
{
    return adjust(a->arg[0]);
}

long syscall_clock_adjtime(const struct syscall_args *a)
{
    uint64_t now;
    if ((unsigned)a->arg[0] == CLOCK_REALTIME)
        return adjust(a->arg[1]);
    return clock_read(a->arg[0], &now) ? -EINVAL : -EOPNOTSUPP;
}
