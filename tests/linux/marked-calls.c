/*
 * Loaded before a program's libraries (LD_PRELOAD): tells tests/linux/calls.c which hypercall the program's ioctl() is.
 *
 * KIND is the number of the hypercall; 201 to 207 are the other requests of /dev/xen/privcmd: foreign maps and resources.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define IOCTL_TYPE(request) ((request) >> 8 & 0xff)
#define IOCTL_NR(request)   ((request)&0xff)

/* A number that is known when the library runs only: a table of marks, 8 bytes each, NOPL and RET. */
extern const char marks[];
__asm__(".pushsection .text\n"
        "marks:\n"
        ".set i, 0\n"
        ".rept 256\n"
        "    .byte 0x0f, 0x1f, 0x80\n"
        "    .long 0x50560000 + i\n"
        "    ret\n"
        ".set i, i + 1\n"
        ".endr\n"
        ".popsection\n");

static void mark(unsigned kind)
{
    ((void (*)(void))(uintptr_t)(marks + kind * 8))();
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, void *);
    va_list list;

    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (!real)
        real = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    if (IOCTL_TYPE(request) != 'P')
        return real(fd, request, argument);
    mark(IOCTL_NR(request) == 0 ? *(const uint64_t *)argument % 64 : 200 + IOCTL_NR(request) % 50);
    const int result = real(fd, request, argument);
    mark(0);
    return result;
}
