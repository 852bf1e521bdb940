/* Strings, as in ISO C.  (Moving memory: x86/memory/copy.c; the hosted build has the host's.) */
#include "lib.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) any_word_t;

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;
    for (; n >= 8 && *(const any_word_t *)p == *(const any_word_t *)q; n -= 8, p += 8, q += 8)
        ;
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p < *q ? -1 : 1;
    return 0;
}

void *memchr(const void *p, int c, size_t n)
{
    for (const uint8_t *q = p; n; n--, q++)
        if (*q == (uint8_t)c)
            return (void *)q;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strrchr(const char *s, int c)
{
    const char *last = NULL;
    for (;; s++) {
        if (*s == (char)c)
            last = s;
        if (!*s)
            return (char *)last;
    }
}

char *strstr(const char *s, const char *what)
{
    size_t n = strlen(what);
    for (; *s || !n; s++) {
        if (!strncmp(s, what, n))
            return (char *)s;
        if (!*s)
            break;
    }
    return NULL;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    return 99;
}

unsigned long strtoul(const char *s, char **end, int base)
{
    const char *p = s;
    while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        p++;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    if ((base == 0 || base == 16) && p[0] == '0' && (p[1] | 0x20) == 'x' && digit_of(p[2]) < 16) {
        p += 2;
        base = 16;
    } else if (base == 0) {
        base = *p == '0' ? 8 : 10;
    }

    unsigned long v = 0;
    bool any = false, overflow = false;
    for (; digit_of(*p) < base; p++, any = true) {
        overflow |= __builtin_mul_overflow(v, (unsigned long)base, &v);
        overflow |= __builtin_add_overflow(v, (unsigned long)digit_of(*p), &v);
    }
    if (end)
        *end = (char *)(any ? p : s);
    return overflow ? ~0ul : negative ? -v : v;
}

void string_copy(char *to, const char *from, size_t size)
{
    size_t n = strnlen(from, size - 1);
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
    to[n] = 0;
}
