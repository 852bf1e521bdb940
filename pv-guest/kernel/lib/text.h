/* Memory and string primitives; the C library's names and contracts. */
#pragma once

#include "base.h"

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *s, int c);

/* Copy as much of @from as fits with its terminating NUL; returns strlen(from). */
size_t text_copy(char *to, const char *from, size_t size);
/* Read digits of @base at *@s, which moves behind them. */
unsigned long text_number(const char **s, unsigned base);
