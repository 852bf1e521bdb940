/* The small C library of the hypervisor (core/lib/string.c, core/lib/print.c); names and meanings are ISO C's. */
#pragma once

#include "types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *p, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
void *memchr(const void *p, int c, size_t n);
unsigned long strtoul(const char *s, char **end, int base);
int snprintf(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);
int vsnprintf(char *buffer, size_t size, const char *format, va_list args);

/* Copy @from, cut to fit and always terminated; @size > 0. */
void string_copy(char *to, const char *from, size_t size);

/*
 * One line (or part of one) on the machine's console, from the hypervisor itself.  A line is
 * preceded by "(PV) ".  Formats: those of printf without floats, %p, %s, %c, %d %u %x with l, ll, z.
 */
void printk(const char *format, ...) printf_like(1, 2);
/* Goes on with the line that printk began (or the format is not a literal: rule sentences). */
void printk_more(const char *format, ...);

/* The word after @key in the hypervisor's command line ("key=value"), or NULL; not terminated at
 * the word's end: *len gets its length.  A bare word gives a length of 0.  (core/lib/cmdline.c) */
const char *cmdline_get(const char *key, size_t *len);
/* "key", "key=1/yes/on/true"; "no-key" is false */
bool cmdline_flag(const char *key);
bool cmdline_denies(const char *key); /* "no-key", "key=0/no/off/false": said, and not meant */
unsigned long cmdline_number(const char *key, unsigned long otherwise);
/* "128M", "1G", "4096": bytes; no suffix: KiB (as Xen's dom0_mem) */
uint64_t parse_size(const char *s, const char **end);
extern char hypervisor_cmdline[1024];

/* Which build this is (core/lib/build.c): "0.1.0", the git commit, "gcc 12.2.0". */
extern const char build_version[], build_changeset[], build_compiler[];
