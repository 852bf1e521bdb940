/* /dev/xen of a first domain: who may use it, and what wrong arguments do not do to the kernel.  Not for other kernels. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

#define HYPERCALL    0x305000
#define BIND_VIRQ    0x044500
#define BIND_UNBOUND 0x044502
#define UNBIND       0x044503
#define NOTIFY       0x044504

/* Numbers of calls. */
enum { MMU_UPDATE = 1, MEMORY_OP = 12, MULTICALL = 13, XEN_VERSION = 17, IRET = 23, SYSCTL = 35 };

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
    struct {
        uint64_t extents, count;
        uint32_t order, flags;
        uint16_t domain;
    } populate = {(uintptr_t)sysctl, 1, 0, 0, 0x7ff0 /* DOMID_SELF */};
    good = FAILS(call(MEMORY_OP, 6, (uintptr_t)&populate, 0), EINVAL);
    populate.domain = 0;
    result(good && FAILS(call(MEMORY_OP, 6, (uintptr_t)&populate, 0), EINVAL),
           "the kernel's own memory stays as it is");
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

static void as_user(void)
{
    if (setgid(1000) || setuid(1000))
        _exit(1);
    if (!FAILS(open("/dev/xen/privcmd", O_RDWR), EACCES) ||
        !FAILS(open("/dev/xen/evtchn", O_RDWR), EACCES) ||
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
    check_ports(evtchn);
    result(child(as_user) == 0, "/dev/xen is user 0's");
    chmod("/dev/xen/privcmd", 0666);
    chmod("/dev/xen/evtchn", 0666);
    result(child(let_all_open) == 0, "whatever its files' modes are");
    chmod("/dev/xen/privcmd", 0600);
    chmod("/dev/xen/evtchn", 0600);
    close(privcmd);
    close(evtchn);
}
