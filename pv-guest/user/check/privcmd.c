/* /dev/xen of a first domain: who may use it, and what wrong arguments do not do to the kernel.  Not for other kernels. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

#define HYPERCALL    0x305000
#define BIND_VIRQ    0x044500
#define BIND_PORT    0x084501 /* _INTERDOMAIN */
#define BIND_UNBOUND 0x044502
#define UNBIND       0x044503
#define NOTIFY       0x044504

/* Numbers of calls. */
enum {
    MMU_UPDATE = 1,
    MEMORY_OP = 12,
    MULTICALL = 13,
    XEN_VERSION = 17,
    IRET = 23,
    SYSCTL = 35,
    DOMCTL
};

static const uint64_t kernel_places[] = {0xffffffff80000000, 0xffffffff80018000, 0xffff880000000000,
                                         0xffff880000100000};
static int privcmd;

static long call(uint64_t op, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t args[6] = {op, a, b, c};
    return ioctl(privcmd, HYPERCALL, args);
}

static void check_calls(void)
{
    char text[16] = "";
    const long version = call(XEN_VERSION, 0, 0, 0);
    result(version >= 4 << 16 && call(XEN_VERSION, 1, (uintptr_t)text, 0) == 0 && text[0] == '.',
           "privcmd makes a hypercall");
    struct {
        uint64_t op, result, args[6];
    } many[2] = {{XEN_VERSION, 99, {0}}, {MMU_UPDATE, 99, {0}}};
    result(call(MULTICALL, (uintptr_t)many, 2, 0) == 0 && many[0].result == (uint64_t)version &&
               many[1].result == (uint64_t)-ENOSYS,
           "and several in one");
    result(FAILS(call(IRET, 0, 0, 0), ENOSYS) &&
               FAILS(call(MMU_UPDATE, (uintptr_t)text, 1, 0), ENOSYS) &&
               FAILS(call(999, 0, 0, 0), ENOSYS) && FAILS(call(MEMORY_OP, 1, 0, 0), ENOSYS) &&
               FAILS(ioctl(privcmd, 0x5050, 0), ENOTTY) &&
               FAILS(ioctl(privcmd, HYPERCALL, 8), EFAULT),
           "but none that it does not know");
}

static void check_kernel_addresses(void)
{
    uint64_t sysctl[32] = {0};
    int good = FAILS(call(XEN_VERSION, 1, 8, 0), EFAULT) && FAILS(call(SYSCTL, 8, 0, 0), EFAULT);
    for (unsigned i = 0; i < 4; i++) {
        good &= FAILS(call(XEN_VERSION, 1, kernel_places[i], 0), EFAULT) &&
                FAILS(call(SYSCTL, kernel_places[i], 0, 0), EFAULT) &&
                FAILS(call(MULTICALL, kernel_places[i], 1, 0), EFAULT);
        /* readconsole: a buffer and its size */
        sysctl[0] = 1 | 0x15ul << 32;
        sysctl[2] = kernel_places[i];
        ((uint32_t *)sysctl)[6] = 4096;
        good &= FAILS(call(SYSCTL, (uintptr_t)sysctl, 0, 0), EFAULT);
    }
    result(good, "no address of the kernel is taken, in a structure neither");
}

static void check_own_memory(void)
{
    uint64_t frame;
    struct {
        uint64_t extents, count;
        uint32_t order, flags;
        uint16_t domain;
    } populate = {(uintptr_t)&frame, 1, 0, 0, 0x7ff0 /* DOMID_SELF */};
    int good = FAILS(call(MEMORY_OP, 6, (uintptr_t)&populate, 0), EINVAL);
    populate.domain = 0;
    result(good && FAILS(call(MEMORY_OP, 6, (uintptr_t)&populate, 0), EINVAL),
           "the kernel's own memory stays as it is");
    /* It is the copy of a structure that is judged: where there is none, there is nothing to judge. */
    result(FAILS(call(MEMORY_OP, 6, 8, 0), EFAULT) && FAILS(call(MEMORY_OP, 6, 0, 0), EINVAL),
           "a reservation that cannot be read is not judged");
    /* No frame has this number; with one that has, the hypervisor would write over it. */
    struct {
        uint32_t command, version;
        uint64_t domain, frame, rest[14];
    } stubs = {22, 0x15, 0, ~0ul, {0}};
    good = FAILS(call(DOMCTL, (uintptr_t)&stubs, 0, 0), EINVAL);
    stubs.domain = 0x7ff0;
    result(good && FAILS(call(DOMCTL, (uintptr_t)&stubs, 0, 0), EINVAL),
           "no frame of the kernel becomes a page of stubs");
}

static int ready(int fd)
{
    struct pollfd p = {fd, POLLIN};
    return poll(&p, 1, 0);
}

static void check_ports(int fd)
{
    uint32_t domain = 0, got = 0, virq = 3;
    const int port = ioctl(fd, BIND_UNBOUND, &domain);
    uint32_t own = port;
    int good = port > 0 && FAILS(read(fd, &got, 4), EAGAIN) && !ready(fd);
    /* To who is at the other end: nobody is, and that is no error. */
    good &= ioctl(fd, NOTIFY, &own) == 0;
    const int first = ioctl(fd, BIND_VIRQ, &virq);
    good &= first > 0 || errno == EEXIST;
    result(good, "evtchn binds ports");
    uint32_t other = 200, mine = port;
    good = FAILS(ioctl(fd, NOTIFY, &other), ENOTCONN) &&
           FAILS(ioctl(fd, UNBIND, &other), ENOTCONN) && write(fd, &other, 4) == 4;
    other = 1u << 31;
    good &= FAILS(ioctl(fd, NOTIFY, &other), ENOTCONN) &&
            FAILS(ioctl(fd, UNBIND, &other), EINVAL) && write(fd, &other, 4) == 4 &&
            FAILS(ioctl(fd, BIND_VIRQ, 8), EFAULT) && FAILS(ioctl(fd, 0x4510, 0), ENOTTY);
    /* The kernel's own ports are the first ones. */
    for (uint32_t kernel = 0; kernel < 4; kernel++)
        good &= FAILS(ioctl(fd, UNBIND, &kernel), ENOTCONN) &&
                FAILS(ioctl(fd, NOTIFY, &kernel), ENOTCONN);
    result(good && ioctl(fd, UNBIND, &mine) == 0 && FAILS(ioctl(fd, UNBIND, &mine), ENOTCONN),
           "and gives nobody's port but its own file's");
}

/* A port that is written before it has been read stands once in what is read, however often it is signalled. */
static void check_signals(int fd)
{
    struct pollfd p = {fd, POLLIN};
    uint32_t got[16], self = 0, ends[2] = {0, 0};
    const int one = ioctl(fd, BIND_UNBOUND, &self);
    ends[1] = one;
    const int other = ioctl(fd, BIND_PORT, ends);
    uint32_t from = one, to = other;
    int good = one > 0 && other > 0;
    /* While it was masked: who binds an end is to look whether there is something. */
    good &= poll(&p, 1, 60000) == 1 && read(fd, got, sizeof(got)) == 4 && got[0] == to;
    result(good && write(fd, &to, 4) == 4, "what is bound to a port of another's is signalled");
    for (unsigned i = 0; i < 300 && good; i++) {
        good &= ioctl(fd, NOTIFY, &from) == 0 && poll(&p, 1, 60000) == 1;
        if (i < 299)
            good &= write(fd, &to, 4) == 4;
    }
    const long size = read(fd, got, sizeof(got));
    result(good && size == 4 && got[0] == to && FAILS(read(fd, got, 4), EAGAIN),
           "a port that is written before it is read is read once");
    ioctl(fd, UNBIND, &from);
    ioctl(fd, UNBIND, &to);
}

/* ---- Other domains' memory ---- */

#define BATCH 0x205004
#define PAGE  4096

static const volatile char *touched;

static void touch_it(void)
{
    *touched;
}

/* Frame @frame of @domain at @address: what the frame's own error says, or errno. */
static int map_frame(void *address, unsigned domain, uint64_t frame)
{
    int32_t error = 1;
    const struct {
        uint32_t count;
        uint16_t domain;
        uint64_t address, frames, errors;
    } batch = {1, domain, (uintptr_t)address, (uintptr_t)&frame, (uintptr_t)&error};
    return ioctl(privcmd, BATCH, &batch) ? errno : -error;
}

static void in_child(void)
{
    _exit(msync((void *)(uintptr_t)touched, PAGE, MS_ASYNC) == 0);
}

static void check_foreign_memory(void)
{
    char *const m = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, privcmd, 0);
    char *const own = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    touched = m;
    result(m != MAP_FAILED && died_of(child(touch_it), SIGSEGV) &&
               map_frame(own, 0x7ff1, 0xb8) == EINVAL && map_frame(m, 0x7ff0, 0xb8) == EINVAL &&
               map_frame(m, 0, 0xb8) == EINVAL && map_frame(m + 1, 0x7ff1, 0xb8) == EINVAL &&
               map_frame(m, 99, 0xb8) > 0 && map_frame(m, 0x7ff1, ~0ul) == EINVAL &&
               map_frame((char *)-PAGE, 0x7ff1, 0xb8) == EINVAL &&
               mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, privcmd, 0) == MAP_FAILED &&
               errno == EINVAL,
           "other domains' memory goes to where mmap has made room for it, and nowhere else");
    /* Of nobody: what the VGA shows. */
    const int good = map_frame(m, 0x7ff1 /* DOMID_IO */, 0xb8) == 0;
    *(volatile char *)m;
    result(good && map_frame(m, 0x7ff1, 0xb8) == EBUSY &&
               FAILS(mprotect(m, PAGE, PROT_READ | PROT_WRITE), EACCES) &&
               mremap(m, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT &&
               FAILS(madvise(m, PAGE, MADV_DONTNEED), EINVAL) &&
               FAILS(madvise(m, PAGE, MADV_DOFORK), EINVAL) && child(in_child) == 0,
           "there it stays, and no child has it");
    result(munmap(m, 4 * PAGE) == 0 && munmap(own, PAGE) == 0, "until it is unmapped");
}

static void check_grants(int gntdev)
{
    struct {
        uint32_t count, pad;
        uint64_t index;
        uint32_t domain, ref;
    } map = {1, 0, 0, 99, 1};
    struct {
        uint64_t index;
        uint32_t count, pad;
    } unmap = {0};
    int good = ioctl(gntdev, 0x184700, &map) == 0;
    good &=
        mmap(NULL, PAGE, PROT_READ, MAP_SHARED, gntdev, map.index) == MAP_FAILED && errno == EINVAL;
    good &= mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, gntdev, map.index) == MAP_FAILED &&
            errno == EINVAL;
    good &= mmap(NULL, PAGE, PROT_READ, MAP_SHARED, gntdev, map.index + PAGE) == MAP_FAILED &&
            errno == EINVAL;
    unmap.index = map.index;
    unmap.count = 2;
    good &= FAILS(ioctl(gntdev, 0x104701, &unmap), EINVAL);
    unmap.count = 1;
    good &= ioctl(gntdev, 0x104701, &unmap) == 0 && FAILS(ioctl(gntdev, 0x104701, &unmap), ENOENT);
    map.count = 0;
    good &= FAILS(ioctl(gntdev, 0x184700, &map), EINVAL) &&
            FAILS(ioctl(gntdev, 0x184700, 8), EFAULT) && FAILS(ioctl(gntdev, 0x4799, 0), ENOTTY);
    result(good, "gntdev maps what has been granted, and nothing else");
}

static void as_user(void)
{
    if (setgid(1000) || setuid(1000))
        _exit(1);
    if (!FAILS(open("/dev/xen/privcmd", O_RDWR), EACCES) ||
        !FAILS(open("/dev/xen/evtchn", O_RDWR), EACCES) ||
        !FAILS(open("/dev/xen/gntdev", O_RDWR), EACCES) ||
        !FAILS(open("/proc/xen/xsd_kva", O_RDWR), EACCES))
        _exit(2);
}

static void let_all_open(void)
{
    if (setgid(1000) || setuid(1000))
        _exit(1);
    _exit(!FAILS(open("/dev/xen/privcmd", O_RDWR), EPERM) ||
          !FAILS(open("/dev/xen/evtchn", O_RDWR), EPERM));
}

void check_privcmd(void)
{
    struct utsname u;
    uname(&u);
    privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    const int evtchn = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (!strstr(u.version, "pv-guest") || privcmd < 0 || evtchn < 0) {
        result(1, "/dev/xen # SKIP for who is no first domain");
        return;
    }
    check_calls();
    check_kernel_addresses();
    check_own_memory();
    check_ports(evtchn);
    check_signals(evtchn);
    check_foreign_memory();
    const int gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
    check_grants(gntdev);
    close(gntdev);
    result(child(as_user) == 0, "/dev/xen is user 0's");
    chmod("/dev/xen/privcmd", 0666);
    chmod("/dev/xen/evtchn", 0666);
    result(child(let_all_open) == 0, "whatever its files' modes are");
    chmod("/dev/xen/privcmd", 0600);
    chmod("/dev/xen/evtchn", 0600);
    close(privcmd);
    close(evtchn);
}
