/*
 * Time: the TSC for what time it is, the local APIC's timer for the alarm, both
 * measured against the PIT at boot; the CMOS clock for the date.
 */
#include "kernel/lib/print.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

#define NS_PER_S 1000000000ul

/* ---- Calibration -------------------------------------------------------------------- */

#define PIT_HZ       1193182ul
#define PIT_COUNT    5966 /* 5 ms */
#define PIT_PATIENCE 100000000
#define MEASUREMENTS 5

enum { PIT_CHANNEL_2 = 0x42, PIT_COMMAND = 0x43, PIT_GATE = 0x61 };
#define PIT_ONE_SHOT 0xb0 /* channel 2, both bytes, mode 0, binary */
#define GATE_ON      0x01
#define GATE_SPEAKER 0x02
#define GATE_COUNTED 0x20 /* channel 2's output: it has counted down */

static uint64_t tsc_start;
static uint64_t ns_per_tsc, ticks_per_ns; /* 32.32 fixed point */

struct measured {
    uint64_t tsc, ticks;
};

/* What TSC and timer do while the PIT counts PIT_COUNT, or a little more if we are kept from
 * looking. */
static struct measured measure(void)
{
    out8(PIT_GATE, (uint8_t)((in8(PIT_GATE) & ~GATE_SPEAKER) | GATE_ON));
    out8(PIT_COMMAND, PIT_ONE_SHOT);
    out8(PIT_CHANNEL_2, PIT_COUNT & 0xff);
    apic_timer_start(~0u);
    const uint64_t start = tsc_read();
    out8(PIT_CHANNEL_2, PIT_COUNT >> 8); /* this starts it */
    for (unsigned looks = 0; !(in8(PIT_GATE) & GATE_COUNTED); looks++)
        if (looks == PIT_PATIENCE)
            panic("the PIT does not count: nothing to measure time with");
    const struct measured m = {tsc_read() - start, ~0u - apic_timer_left()};
    apic_timer_start(0);
    return m;
}

/* The shortest of several: being kept from looking only makes it longer. */
static void calibrate(void)
{
    struct measured best = measure();
    for (unsigned i = 1; i < MEASUREMENTS; i++) {
        const struct measured m = measure();
        best.tsc = MIN(best.tsc, m.tsc);
        best.ticks = MIN(best.ticks, m.ticks);
    }
    const uint64_t ns = PIT_COUNT * NS_PER_S / PIT_HZ;
    ns_per_tsc = (ns << 32) / best.tsc;
    ticks_per_ns = (best.ticks << 32) / ns;
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
    return (uint64_t)(((unsigned __int128)value * factor) >> 32);
}

/* ---- The seam ----------------------------------------------------------------------- */

uint64_t platform_time(void)
{
    return scale(tsc_read() - tsc_start, ns_per_tsc);
}

/* A deadline too far for the counter comes early; the kernel then asks again. */
void platform_timer_set(uint64_t deadline)
{
    if (deadline == ~0ul) {
        apic_timer_start(0);
        return;
    }
    const uint64_t now = platform_time();
    const uint64_t ticks = deadline > now ? scale(deadline - now, ticks_per_ns) : 0;
    apic_timer_start(ticks < ~0u ? (uint32_t)ticks + 1 : ~0u);
}

/* ---- The date ----------------------------------------------------------------------- */

enum {
    RTC_SECOND = 0,
    RTC_MINUTE = 2,
    RTC_HOUR = 4,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_A = 10,
    RTC_B = 11,
};
#define RTC_A_UPDATING 0x80
#define RTC_PATIENCE   1000000
#define RTC_B_24_HOURS 0x02
#define RTC_B_BINARY   0x04
#define RTC_HOUR_PM    0x80

static uint64_t time_of_day;

static uint8_t rtc_read(uint8_t reg)
{
    out8(0x70, reg);
    return in8(0x71);
}

static unsigned rtc_number(uint8_t reg, bool binary)
{
    const unsigned v = rtc_read(reg);
    return binary ? v : (v >> 4) * 10 + (v & 15);
}

static unsigned rtc_hour(uint8_t b)
{
    const unsigned v = rtc_read(RTC_HOUR), twelve = v & ~RTC_HOUR_PM;
    const unsigned hour = b & RTC_B_BINARY ? twelve : (twelve >> 4) * 10 + (twelve & 15);
    if (b & RTC_B_24_HOURS)
        return hour;
    return hour % 12 + (v & RTC_HOUR_PM ? 12 : 0);
}

/* Days from 1970-01-01 on, in a year that begins with March so that leap days come last. */
static uint64_t days_since_1970(uint64_t year, unsigned month, unsigned day)
{
    if (month < 3) {
        year--;
        month += 12;
    }
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 -
           719468;
}

static uint64_t rtc_seconds_once(void)
{
    for (unsigned looks = 0; looks < RTC_PATIENCE && rtc_read(RTC_A) & RTC_A_UPDATING; looks++)
        ;
    const uint8_t b = rtc_read(RTC_B);
    const bool binary = b & RTC_B_BINARY;
    const uint64_t days =
        days_since_1970(2000 + rtc_number(RTC_YEAR, binary), rtc_number(RTC_MONTH, binary),
                        rtc_number(RTC_DAY, binary));
    return ((days * 24 + rtc_hour(b)) * 60 + rtc_number(RTC_MINUTE, binary)) * 60 +
           rtc_number(RTC_SECOND, binary);
}

/* An update may fall between two registers: believe what is read twice. */
static uint64_t rtc_seconds(void)
{
    uint64_t first, second = rtc_seconds_once();
    do {
        first = second;
        second = rtc_seconds_once();
    } while (first != second);
    return first;
}

uint64_t platform_time_of_day(void)
{
    return time_of_day;
}

void time_init(void)
{
    tsc_start = tsc_read();
    calibrate();
    time_of_day = rtc_seconds() * NS_PER_S - platform_time();
}
