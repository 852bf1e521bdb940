/*
 * Formatting, the kernel's console lines, and panic.
 *
 * A line is formatted into a buffer on the stack and given to the platform's
 * console in one piece.  Nothing here allocates or sleeps, so it works from the
 * first instruction to the last.
 */
#include <stdarg.h>

#include "frame.h"
#include "layout.h"
#include "platform/platform.h"
#include "print.h"
#include "text.h"

#define PRINT_LINE 512
#define PRINT_LOG  16384

static bool quiet;

struct output {
    char *at, *end;
};

static void print_put(struct output *out, char c)
{
    if (out->at < out->end)
        *out->at++ = c;
}

static void put_number(struct output *out, uint64_t value, unsigned base, int width, char pad,
                       bool negative)
{
    char digits[24];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[n++] = '-';
    for (int i = n; i < width; i++)
        print_put(out, pad);
    while (n)
        print_put(out, digits[--n]);
}

static void put_string(struct output *out, const char *s, int width)
{
    const int length = s ? (int)strlen(s) : 0;
    for (int i = 0; i < length; i++)
        print_put(out, s[i]);
    for (int i = length; i < width; i++)
        print_put(out, ' ');
}

static void put_formatted(struct output *out, const char *f, va_list ap)
{
    for (; *f; f++) {
        if (*f != '%') {
            print_put(out, *f);
            continue;
        }
        char pad = ' ';
        int width = 0;
        bool wide = false;
        f++;
        if (*f == '-')
            f++;
        if (*f == '0')
            pad = *f++;
        while (*f >= '0' && *f <= '9')
            width = width * 10 + *f++ - '0';
        while (*f == 'l' || *f == 'z') {
            wide = true;
            f++;
        }
        switch (*f) {
        case 'd': {
            const int64_t v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);
            put_number(out, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, pad, v < 0);
            break;
        }
        case 'u':
        case 'o':
        case 'x': {
            const uint64_t v = wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);
            put_number(out, v, *f == 'x' ? 16 : *f == 'o' ? 8 : 10, width, pad, false);
            break;
        }
        case 'p':
            put_number(out, (uint64_t)va_arg(ap, void *), 16, 16, '0', false);
            break;
        case 's':
            put_string(out, va_arg(ap, const char *), width);
            break;
        case 'c':
            print_put(out, (char)va_arg(ap, int));
            break;
        default:
            print_put(out, *f);
        }
    }
}

size_t print_to_list(char *to, size_t size, const char *format, va_list ap)
{
    struct output out = {to, to + size - 1};
    put_formatted(&out, format, ap);
    *out.at = 0;
    return out.at - to;
}

size_t print_to(char *to, size_t size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const size_t n = print_to_list(to, size, format, ap);
    va_end(ap);
    return n;
}

/* What has been printed, the oldest overwritten: syslog(2) tells it. */
static char log_ring[PRINT_LOG];
static size_t log_end; /* bytes ever printed */

static void log_add(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        log_ring[log_end++ % PRINT_LOG] = text[i];
}

size_t print_log_size(void)
{
    return MIN(log_end, (size_t)PRINT_LOG);
}

char print_log_at(size_t i)
{
    return log_ring[(log_end - print_log_size() + i) % PRINT_LOG];
}

static void print_list(const char *format, va_list ap)
{
    char line[PRINT_LINE];
    struct output out = {line, line + sizeof(line)};
    put_formatted(&out, format, ap);
    log_add(line, out.at - line);
    char *start = line;
    for (char *c = line; c < out.at; c++) {
        if (*c != '\n')
            continue;
        platform_console_write(start, c - start);
        platform_console_write("\r\n", 2);
        start = c + 1;
    }
    if (start < out.at)
        platform_console_write(start, out.at - start);
}

void print(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    print_list(format, ap);
    va_end(ap);
}

void print_quiet(bool on)
{
    quiet = on;
}

void print_note(const char *format, ...)
{
    char line[PRINT_LINE];
    va_list ap;
    va_start(ap, format);
    if (quiet)
        log_add(line, print_to_list(line, sizeof(line), format, ap));
    else
        print_list(format, ap);
    va_end(ap);
}

/* The words on the kernel stack from @sp upwards; those that look like code are marked. */
static void print_stack(const uint64_t *sp)
{
    if ((uintptr_t)sp < DIRECT_MAP_BASE) /* then that is what went wrong */
        return;
    extern const char image_text_start[], image_text_end[];
    const uint64_t *end = (const uint64_t *)(((uintptr_t)sp | KERNEL_STACK_MASK) + 1);
    print("stack from %p:", (void *)sp);
    for (int i = 0; i < 48 && sp + i < end; i++) {
        const bool code = sp[i] >= (uintptr_t)image_text_start && sp[i] < (uintptr_t)image_text_end;
        print("%s%c%016lx", i % 4 ? " " : "\n ", code ? '*' : ' ', sp[i]);
    }
    print("\n");
}

/* The first CPU to panic lets no other one go on, nor panic. */
static void panic_begin(void)
{
    static uint32_t panicking;
    if (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQUIRE)) {
        for (unsigned turns = 0; turns < 1000000; turns++)
            platform_relax(turns);
        platform_shutdown(SHUTDOWN_AS_CRASH); /* it was this CPU, which is not even able to panic */
    }
    platform_cpu_stop_others();
}

void panic(const char *format, ...)
{
    va_list ap;
    panic_begin();
    va_start(ap, format);
    print("\nkernel panic: ");
    print_list(format, ap);
    va_end(ap);
    print("\n");
    print_stack(__builtin_frame_address(0));
    platform_shutdown(SHUTDOWN_AS_CRASH);
}

void panic_frame(const struct frame *f, const char *why)
{
    panic_begin();
    print("\nkernel panic: %s (vector %lu, error %lx)\n", why, f->vector, f->error);
    print("rip %016lx  cs %04lx  rflags %08lx  rsp %016lx  ss %04lx\n", f->rip, f->cs & 0xffff,
          f->rflags, f->rsp, f->ss);
    print("rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    print("rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    print("r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    print("r13 %016lx  r14 %016lx  r15 %016lx  cr2 %016lx\n", f->r13, f->r14, f->r15,
          (uint64_t)platform_fault_address());
    print_stack(frame_from_user(f) ? (const uint64_t *)(f + 1) : (const uint64_t *)f->rsp);
    platform_shutdown(SHUTDOWN_AS_CRASH);
}
