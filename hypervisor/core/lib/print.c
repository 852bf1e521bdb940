/*
 * Formatted output.
 *
 * One engine (format_to) feeds characters to a sink: a bounded buffer for snprintf, the console for
 * printk. printk puts "(PV) " before each line and hands whole pieces to line_write(), which keeps
 * guests' output apart.
 */
#include "arch.h"
#include "lib.h"
#include "line.h"

struct sink {
    void (*put)(struct sink *, char);
    char *at;
    size_t room;
    size_t length; /* all that was put, whether it fit or not */
};

struct spec {
    bool left, zero, alternate, plus;
    int width, precision; /* precision -1: none */
    int size;             /* 0 int, 1 long and beyond */
};

static void put_n(struct sink *s, char c, int n)
{
    while (n-- > 0)
        s->put(s, c);
}

/* @text in a field, after @prefix, which zero padding goes behind. */
static void put_field(struct sink *s, const struct spec *f, const char *prefix, const char *text,
                      size_t n)
{
    size_t prefix_len = strlen(prefix);
    int pad = f->width - (int)(n + prefix_len);
    if (!f->left && !f->zero)
        put_n(s, ' ', pad);
    while (*prefix)
        s->put(s, *prefix++);
    if (!f->left && f->zero)
        put_n(s, '0', pad);
    while (n--)
        s->put(s, *text++);
    if (f->left)
        put_n(s, ' ', pad);
}

static void put_number(struct sink *s, struct spec *f, uint64_t v, unsigned base, bool upper,
                       const char *prefix)
{
    char digits[66];
    char *p = digits + sizeof(digits);
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    int n = 0;
    if (f->precision >= 0)
        f->zero = false;
    for (; v || (!n && f->precision); v /= base, n++)
        *--p = set[v % base];
    for (; n < f->precision && n < 64; n++)
        *--p = '0';
    put_field(s, f, prefix, p, (size_t)n);
}

static int read_number(const char **format, va_list *args)
{
    int n = 0;
    if (**format == '*') {
        (*format)++;
        return va_arg(*args, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++)
        n = n * 10 + (**format - '0');
    return n;
}

static const char *read_spec(const char *p, struct spec *f, va_list *args)
{
    *f = (struct spec){.precision = -1};
    for (;; p++) {
        if (*p == '-')
            f->left = true;
        else if (*p == '0')
            f->zero = true;
        else if (*p == '#')
            f->alternate = true;
        else if (*p == '+')
            f->plus = true;
        else if (*p != ' ')
            break;
    }
    f->width = read_number(&p, args);
    if (f->width < 0) {
        f->left = true;
        f->width = -f->width;
    }
    if (*p == '.') {
        p++;
        f->precision = read_number(&p, args);
    }
    for (; *p == 'l' || *p == 'z' || *p == 'j' || *p == 't'; p++)
        f->size = 1;
    while (*p == 'h')
        p++;
    return p;
}

static void put_signed(struct sink *s, struct spec *f, int64_t v)
{
    put_number(s, f, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false,
               v < 0     ? "-"
               : f->plus ? "+"
                         : "");
}

static void put_string(struct sink *s, const struct spec *f, const char *text)
{
    if (!text)
        text = "(null)";
    put_field(s, f, "", text,
              f->precision >= 0 ? strnlen(text, (size_t)f->precision) : strlen(text));
}

static void format_to(struct sink *s, const char *p, va_list *args)
{
    for (; *p; p++) {
        if (*p != '%') {
            s->put(s, *p);
            continue;
        }
        struct spec f;
        p = read_spec(p + 1, &f, args);
        switch (*p) {
        case 'd':
        case 'i':
            put_signed(s, &f, f.size ? va_arg(*args, int64_t) : va_arg(*args, int));
            break;
        case 'u':
            put_number(s, &f, f.size ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 10, false,
                       "");
            break;
        case 'o':
            put_number(s, &f, f.size ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 8, false,
                       "");
            break;
        case 'x':
        case 'X':
            put_number(s, &f, f.size ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 16,
                       *p == 'X', f.alternate ? "0x" : "");
            break;
        case 'p':
            put_number(s, &f, (uint64_t)va_arg(*args, void *), 16, false, "0x");
            break;
        case 'c':
            put_field(s, &f, "", &(char){(char)va_arg(*args, int)}, 1);
            break;
        case 's':
            put_string(s, &f, va_arg(*args, const char *));
            break;
        case '%':
            s->put(s, '%');
            break;
        case 0:
            return;
        default: /* unknown: show it, so that the mistake is seen */
            s->put(s, '%');
            s->put(s, *p);
            break;
        }
    }
}

/* --- into memory ----------------------------------------------------------------------------- */

static void put_memory(struct sink *s, char c)
{
    if (s->length++ < s->room)
        *s->at++ = c;
}

int vsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
    struct sink s = {.put = put_memory, .at = buffer, .room = size ? size - 1 : 0};
    va_list copy; /* an array type decays as a parameter: only a copy has an address of the right
                     type */
    va_copy(copy, args);
    format_to(&s, format, &copy);
    va_end(copy);
    if (size)
        *s.at = 0;
    return (int)s.length;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buffer, size, format, args);
    va_end(args);
    return n;
}

/* --- onto the console ------------------------------------------------------------------------ */

#define LINE_PREFIX "(PV) "

struct console_sink {
    struct sink sink;
    char buffer[160];
};

/* Between two printk() calls: does the next character begin a line? */
static bool at_line_start = true;

static void console_flush(struct console_sink *c)
{
    line_write(c->buffer, c->sink.length);
    c->sink.length = 0;
}

static void put_console(struct sink *s, char ch)
{
    struct console_sink *c = container_of(s, struct console_sink, sink);
    if (at_line_start)
        for (const char *p = LINE_PREFIX; *p; p++)
            c->buffer[s->length++] = *p;
    c->buffer[s->length++] = ch;
    at_line_start = ch == '\n';
    if (s->length >= sizeof(c->buffer) - sizeof(LINE_PREFIX))
        console_flush(c);
}

static void vprintk(const char *format, va_list *args)
{
    struct console_sink c = {.sink = {.put = put_console}};
    format_to(&c.sink, format, args);
    console_flush(&c);
}

void printk(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintk(format, &args);
    va_end(args);
}

void printk_more(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintk(format, &args);
    va_end(args);
}
