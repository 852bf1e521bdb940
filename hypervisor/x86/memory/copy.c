/*
 * Moving memory.  "rep movs" is one instruction a word in any emulator that counts, and fast
 * strings on real CPUs; short copies go byte by byte at the end.
 */
#include "lib.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void *d = to;
    size_t words = n / 8, bytes = n % 8;
    __asm__ volatile("rep movsq\n\t"
                     "mov %3, %%rcx\n\t"
                     "rep movsb"
                     : "+D"(d), "+S"(from), "+&c"(words)
                     : "r"(bytes)
                     : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to - (uintptr_t)from >=
        n) /* forwards never overwrites what is still to be read */
        return memcpy(to, from, n);
    char *d = (char *)to + n;
    const char *s = (const char *)from + n;
    while (n--)
        *--d = *--s;
    return to;
}

void *memset(void *p, int byte, size_t n)
{
    void *d = p;
    size_t words = n / 8, bytes = n % 8;
    __asm__ volatile("rep stosq\n\t"
                     "mov %3, %%rcx\n\t"
                     "rep stosb"
                     : "+D"(d), "+&c"(words)
                     : "a"((uint8_t)byte * 0x0101010101010101ull), "r"(bytes)
                     : "memory");
    return p;
}
