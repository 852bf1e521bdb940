/*
 * Time: the TSC scaled to nanoseconds, the LAPIC timer (or the TSC deadline) as the one alarm
 * clock, and the CMOS clock for what day it is.
 *
 * System time is ((tsc - base) << shift) * mul >> 32, the pvclock formula with constants that never
 * change after boot.  Guests get those same constants, with a recent point of that clock from which
 * they reckon on.  Only points are published at which the product ends in 32 zero bits, where
 * nothing is rounded: so a guest's clock and ours agree to the nanosecond, on every CPU, whichever
 * point it starts from, and does not step when a new one comes.  The multiplier ends in MUL_ZEROS
 * zero bits to that end, so that there is such a point every few milliseconds.
 *
 * Calibration: a TSC frequency that CPUID states is taken; else TSC and LAPIC timer are counted
 * against the ACPI PM timer (or PIT channel 2).  Each end of the interval is a few ticks of the
 * reference, each between two TSC reads; together they bound the TSC's rate from both sides (rate.h).
 * The interval grows until the bounds are close: a tenth of a millisecond where reading the
 * reference takes no time (an emulator that counts instructions), CALIBRATE_MAX where it takes long.
 */
#include "machine.h"
#include "guest.h"
#include "rate.h"

struct tsc_scale tsc_scale;

static uint64_t tsc_hz;
static uint64_t lapic_ticks_per_ns; /* 32.32 */
static uint64_t alarm_ticks; /* timer_alarm_period, of whichever of the two is the alarm clock */
static bool has_tsc_deadline, tsc_is_invariant;
static uint64_t wallclock_boot_ns;

/* --- calibration ----------------------------------------------------------------------------- */

#define PM_TIMER_HZ   3579545u
#define PM_TIMER_MASK 0xffffffu
#define EDGES         16u    /* brackets at each end */
#define GOOD_ENOUGH   25u    /* parts in a million */
#define CALIBRATE_MIN 10000u /* the first interval: 1 / so many of a second; then twice that, ... */
#define CALIBRATE_MAX 300u   /* ... up to 1 / so many of a second */

/* A reading of the reference, and the TSC just before and just after. */
struct look {
    uint64_t before, after;
    uint32_t value;
};

static struct look pit_look(void)
{
    const uint64_t before = rdtsc();

    outb(0x43, 0x80); /* latch channel 2 */
    const uint64_t after = rdtsc();
    const uint32_t low = inb(0x42);
    return (struct look){before, after,
                         (~(low | (uint32_t)inb(0x42) << 8)) & 0xffff}; /* counts down */
}

/* No instruction more than it takes between the three: where those are what is counted, they are the error. */
static struct look pm_timer_look(void)
{
    uint32_t before, before_high, value, after, after_high;

    __asm__ volatile(
        "rdtsc\n\t"
        "mov %%eax, %[before]\n\t"
        "mov %%edx, %[before_high]\n\t"
        "mov %[port], %%edx\n\t"
        "in %%dx, %%eax\n\t"
        "mov %%eax, %[value]\n\t"
        "rdtsc"
        : [before] "=&r"(before), [before_high] "=&r"(before_high), [value] "=&r"(value),
          "=&a"(after), "=&d"(after_high)
        : [port] "r"((uint32_t)acpi.pm_timer));
    return (struct look){(uint64_t)before_high << 32 | before, (uint64_t)after_high << 32 | after,
                         value & PM_TIMER_MASK};
}

static void pit_start(void)
{
    outb(0x61, (uint8_t)((inb(0x61) & ~2u) | 1)); /* gate on, speaker off */
    outb(0x43, 0xb0); /* channel 2, both bytes, count down once, binary */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
}

struct reference {
    struct look (*look)(void);
    struct rate_clock clock;
};

/* Catch a tick of the reference; false if it stands still. */
static bool catch_edge(const struct reference *r, struct rate_bracket *out)
{
    struct look last, now = r->look();
    unsigned tries = 0;
    do {
        last = now; /* the tick had not begun when that began */
        now = r->look();
        if (++tries == 100000)
            return false;
    } while (now.value == last.value);
    *out = (struct rate_bracket){now.value, last.before, now.after};
    return true;
}

/* The LAPIC timer counts beside the TSC: both, at one moment. */
struct instant {
    uint32_t lapic;
    uint64_t tsc;
};

static bool catch_edges(const struct reference *r, struct rate_bracket edge[EDGES],
                        struct instant *at)
{
    *at = (struct instant){lapic_timer_count(), rdtsc()};
    for (unsigned i = 0; i < EDGES; i++) {
        /* Each looks at other moments of the tick, also where instruction counts repeat. */
        for (unsigned delay = i; delay--;)
            __asm__ volatile("");
        if (!catch_edge(r, &edge[i]))
            return false;
    }
    return true;
}

/* Let 1/@part of a second pass since @from. */
static bool wait_until(const struct reference *r, const struct rate_bracket *from, uint32_t part)
{
    for (unsigned tries = 0; tries < 10000000; tries++)
        if (((r->look().value - from->tick) & r->clock.mask) >= r->clock.hz / part)
            return true;
    return false;
}

/* Count TSC and LAPIC timer against @r: ticks per second into @tsc and @lapic, and how many parts in a million @tsc
 * may be off.  False: @r does not work. */
static bool count_against(const struct reference *r, uint64_t *tsc, uint64_t *lapic,
                          uint64_t *error)
{
    struct rate_bracket start[EDGES], end[EDGES];
    struct rate_bounds bounds = RATE_UNKNOWN;
    struct instant from, to;
    uint32_t part = CALIBRATE_MIN;

    lapic_timer_start(~0u);
    if (!catch_edges(r, start, &from))
        return false;
    do {
        if (!wait_until(r, &start[EDGES - 1], part) || !catch_edges(r, end, &to))
            return false;
        for (unsigned i = 0; i < EDGES; i++)
            for (unsigned j = 0; j < EDGES; j++)
                rate_narrow(&bounds, &r->clock, &start[i], &end[j]);
        *error = rate_error(&bounds);
        part /= 2;
    } while (*error > GOOD_ENOUGH && part >= CALIBRATE_MAX);
    lapic_timer_start(0);

    *tsc = rate_middle(&bounds);
    const uint64_t passed = to.tsc - from.tsc;
    *lapic = passed ? (uint64_t)(from.lapic - to.lapic) * *tsc / passed : 0;
    return *tsc && *lapic;
}

/* The TSC's frequency as CPUID states it: the crystal leaf, or the one that hypervisors agree on;
 * 0: unknown. */
static uint64_t tsc_hz_stated(void)
{
    uint32_t r[4];
    cpuid(0, 0, r);
    if (r[0] >= 0x15) {
        cpuid(0x15, 0, r);
        if (r[0] && r[1] && r[2])
            return (uint64_t)r[2] * r[1] / r[0];
    }
    cpuid(1, 0, r);
    if (r[2] & BIT(31)) {
        cpuid(0x40000000, 0, r);
        if (r[0] >= 0x40000010 && r[0] < 0x40010000) {
            cpuid(0x40000010, 0, r);
            return (uint64_t)r[0] * 1000;
        }
    }
    return 0;
}

/* (@high : @low) / @by; the quotient must fit 64 bits.  (The compiler would call libgcc.) */
static uint64_t divide_128(uint64_t high, uint64_t low, uint64_t by)
{
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(by) : "cc");
    return low;
}

#define MUL_ZEROS 8 /* changes the frequency by 60 in 10^9 at most: a crystal is worse by far */

/* mul = 2^(32 - shift) * 10^9 / hz, with the shift that gives 2^31 <= mul < 2^32: most significant
 * bits. */
static void tsc_scale_set(uint64_t hz)
{
    const uint64_t billion = 1000000000;
    int shift = 32;
    uint64_t mul = billion / hz;
    while (mul < 1ull << 31 && shift > -31) {
        shift--;
        unsigned __int128 scaled = (unsigned __int128)billion << (32 - shift);
        mul = divide_128((uint64_t)(scaled >> 64), (uint64_t)scaled, hz);
    }
    tsc_scale.mul = (uint32_t)mul & ~((1u << MUL_ZEROS) - 1);
    tsc_scale.shift = (int8_t)shift;
}

/* --- wall clock ------------------------------------------------------------------------------ */

enum {
    RTC_SECOND = 0,
    RTC_MINUTE = 2,
    RTC_HOUR = 4,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_A = 10,
    RTC_B = 11
};

static uint8_t rtc_read(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static unsigned from_bcd(unsigned v)
{
    return (v >> 4) * 10 + (v & 15);
}

/* Days from 1970-01-01 to the civil date (proleptic Gregorian calendar, March-based years). */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    if (month < 3) {
        year--;
        month += 12;
    }
    return 365ull * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day -
           1 - 719468;
}

/* Seconds since 1970: two equal readings in a row are one consistent time.  No waiting for a
 * second's edge. */
static uint64_t rtc_seconds(void)
{
    static const uint8_t reg[6] = {RTC_SECOND, RTC_MINUTE, RTC_HOUR, RTC_DAY, RTC_MONTH, RTC_YEAR};
    unsigned now[6] = {0}, last[6];
    for (unsigned tries = 0; tries < 1000; tries++) {
        memcpy(last, now, sizeof(now));
        for (unsigned i = 0; i < 6; i++)
            now[i] = rtc_read(reg[i]);
        if (!(rtc_read(RTC_A) & 0x80) && !memcmp(now, last, sizeof(now)))
            break;
    }
    uint8_t format = rtc_read(RTC_B);
    bool pm = now[2] & 0x80;
    now[2] &= 0x7f;
    if (!(format & 4))
        for (unsigned i = 0; i < 6; i++)
            now[i] = from_bcd(now[i]);
    if (!(format & 2))
        now[2] = now[2] % 12 + (pm ? 12 : 0);
    unsigned year = now[5] + (now[5] < 70 ? 2000 : 1900);
    return ((days_since_1970(year, now[4], now[3]) * 24 + now[2]) * 60 + now[1]) * 60 + now[0];
}

uint64_t arch_wallclock_boot_ns(void)
{
    return wallclock_boot_ns;
}

/* --- start ----------------------------------------------------------------------------------- */

void time_init_cpu(void)
{
    lapic_timer_mode(has_tsc_deadline ? LAPIC_TIMER_DEADLINE : LAPIC_TIMER_ONESHOT);
    memory_barrier(); /* the register before the MSR (Intel SDM volume 3, 10.5.4.1) */
}

/*
 * Where QEMU runs all CPUs in one thread and counts instructions (-icount, up to 7.2 at least), a
 * CPU's turn lasts until the machine's next timer is due, or until it halts or pauses.  When one CPU
 * has used it up, those behind it get turns of no instructions, and then the first begins again: a
 * program that only computes on CPU 2 stops CPU 3 for good.  So a busy CPU is interrupted this often,
 * and each timer interrupt ends the turn before its time, by PAUSE.
 */
#define TURN_MAX 2000000ull /* ns */

static void alarm_period_set(uint64_t ns)
{
    timer_alarm_period = ns;
    alarm_ticks = has_tsc_deadline ? tsc_hz * (ns / 1000000) / 1000
                                   : MIN(ns * lapic_ticks_per_ns >> 32, UINT32_MAX);
}

void time_init(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    has_tsc_deadline = r[2] & BIT(24);
    cpuid(0x80000000, 0, r);
    if (r[0] >= 0x80000007) {
        cpuid(0x80000007, 0, r);
        tsc_is_invariant = r[3] & BIT(8);
    }

    const struct reference pm = {pm_timer_look, {PM_TIMER_HZ, PM_TIMER_MASK}};
    const struct reference pit = {pit_look, {PIT_HZ, 0xffff}};
    uint64_t stated = tsc_hz_stated(), lapic_hz = 0, error = 0;
    const char *how = "CPUID";

    /* A deadline in TSC ticks needs no LAPIC frequency: nothing is left to count. */
    if (stated && has_tsc_deadline) {
        tsc_hz = stated;
    } else {
        how = "the ACPI PM timer";
        if (!acpi.pm_timer || !count_against(&pm, &tsc_hz, &lapic_hz, &error)) {
            how = "the PIT";
            pit_start();
            if (!count_against(&pit, &tsc_hz, &lapic_hz, &error))
                cannot_boot(VERDICT_BOOT, "neither the ACPI PM timer nor the PIT counts");
        }
        if (stated) {
            tsc_hz = stated;
            how = "CPUID";
        }
    }
    tsc_scale_set(tsc_hz);
    tsc_scale.base = rdtsc();
    lapic_ticks_per_ns = (lapic_hz << 32) / 1000000000;
    alarm_period_set(TIMER_ALARM);
    time_init_cpu();

    wallclock_boot_ns = rtc_seconds() * 1000000000 - arch_now();
    printk("TSC %lu.%03lu MHz by %s (%lu ppm off at most); timer: %s\n", tsc_hz / 1000000,
           tsc_hz / 1000 % 1000, how, stated ? 0 : error,
           has_tsc_deadline ? "TSC deadline" : "LAPIC");
}

void time_cpus_online(void)
{
    if (cpu_is_tcg && arch_cpus_online() != BIT(0))
        alarm_period_set(TURN_MAX);
}

/* --- service --------------------------------------------------------------------------------- */

/* When does the TSC show system time @ns (below 2^63)? */
static uint64_t ns_to_tsc(uint64_t ns)
{
    uint64_t t = divide_128(ns >> 32, ns << 32, tsc_scale.mul);
    return tsc_scale.base + (tsc_scale.shift < 0 ? t << -tsc_scale.shift : t >> tsc_scale.shift);
}

#define ALARM_MAX (1ull << 31) /* ns: further deadlines are approached in steps */

void arch_timer_program(uint64_t deadline)
{
    struct percpu *p = this_percpu();
    if (p->timer_deadline == deadline)
        return;
    p->timer_deadline = deadline;

    if (deadline == ~0ull) {
        if (has_tsc_deadline)
            wrmsr(MSR_TSC_DEADLINE, 0);
        else
            lapic_timer_start(0);
        return;
    }
    /* Rounded up: an interrupt before its time would only have to come again. */
    uint64_t now = arch_now();
    uint64_t wait = deadline > now ? MIN(deadline - now, ALARM_MAX) : 0;
    if (has_tsc_deadline)
        wrmsr(MSR_TSC_DEADLINE, ns_to_tsc(now + wait) + 1);
    else
        lapic_timer_start((uint32_t)MIN((wait * lapic_ticks_per_ns >> 32) + 1, UINT32_MAX));
}

/* The last point of the clock at which nothing is rounded. */
static uint64_t exact_point(void)
{
    const int zeros = 32 - MUL_ZEROS - tsc_scale.shift;
    const uint64_t step = zeros > 0 ? 1ull << zeros : 1;

    return tsc_scale.base + ((rdtsc() - tsc_scale.base) & ~(step - 1));
}

void arch_timer_alarm(void)
{
    if (has_tsc_deadline)
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + alarm_ticks);
    else
        lapic_timer_start((uint32_t)alarm_ticks);
}

void arch_time_info(struct vcpu *v, struct vcpu_time_info *out)
{
    out->tsc_timestamp = exact_point();
    out->system_time = tsc_to_ns(out->tsc_timestamp);
    out->tsc_to_system_mul = tsc_scale.mul;
    out->tsc_shift = tsc_scale.shift;
    /* One scale for all CPUs: readings compare across vCPUs as far as the TSCs themselves do.  Those of TCG are one,
     * whatever CPUID says: the emulator's clock. */
    const bool stable = tsc_is_invariant || cpu_is_tcg || arch_cpus_online() == BIT(0);
    out->flags = stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
}
