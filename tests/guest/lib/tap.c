/* TAP: each result one line, the plan last, diagnostics behind '#'. */
#include "tap.h"
#include "console.h"
#include "guest.h"

#include <xen/sched.h>

static unsigned tests;
static bool planned;

static bool report(bool passed, const char *format, va_list args)
{
    char name[256];

    if (tests == 0)
        console_printf("TAP version 13\n");
    text_vformat(name, sizeof(name), format, args);
    console_printf("%s %u - %s\n", passed ? "ok" : "not ok", ++tests, name);
    return passed;
}

bool tap_ok(bool passed, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(passed, format, args);
    va_end(args);
    return passed;
}

bool tap_is(long got, long expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool passed = report(got == expected, format, args);
    va_end(args);
    if (!passed)
        console_printf("# got %ld, expected %ld\n", got, expected);
    return passed;
}

bool tap_is_hex(uint64_t got, uint64_t expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool passed = report(got == expected, format, args);
    va_end(args);
    if (!passed)
        console_printf("# got 0x%lx, expected 0x%lx\n", got, expected);
    return passed;
}

void tap_skip(const char *reason, const char *format, ...)
{
    char name[256];
    va_list args;
    va_start(args, format);
    text_vformat(name, sizeof(name), format, args);
    va_end(args);
    if (tests == 0)
        console_printf("TAP version 13\n");
    console_printf("ok %u - %s # SKIP %s\n", ++tests, name, reason);
}

void tap_note(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    text_vformat(text, sizeof(text), format, args);
    va_end(args);
    console_printf("# %s\n", text);
}

void tap_bail_out(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    text_vformat(text, sizeof(text), format, args);
    va_end(args);
    console_printf("Bail out! %s\n", text);
    guest_shutdown(SHUTDOWN_crash);
}

void tap_done(void)
{
    if (tests > 0 && !planned)
        console_printf("1..%u\n", tests);
    planned = true;
}
