/* The verdicts' words.  See verdict.h. */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const char *kind, const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "paravane: %s", kind);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

enum verdict verdict_say(enum verdict v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
    return v;
}

void verdict_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

void verdict_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

const char *verdict_name(int code)
{
    switch (code) {
#define V(name, number, meaning, advice) \
    case number:                         \
        return #name;
        VERDICT_LIST(V)
#undef V
    default:
        return NULL;
    }
}
