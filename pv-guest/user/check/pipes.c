/* Pipes: how much fits, and what splice, tee and vmsplice move without anybody reading it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define NAME "/tmp/check-pipes"

static char much[200000], back[200000];

static int new_file(int flags)
{
    return open(NAME, O_RDWR | O_CREAT | O_TRUNC | flags, 0600);
}

static long fill(int fd)
{
    long all = 0, n;
    while ((n = write(fd, much, 4096)) > 0)
        all += n;
    return all;
}

static void check_sizes(void)
{
    int p[2], null = open("/dev/null", O_RDWR);
    int good =
        pipe2(p, O_NONBLOCK) == 0 && fcntl(p[0], F_GETPIPE_SZ) == 65536 && fill(p[1]) == 65536;
    good &= FAILS(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY) &&
            FAILS(fcntl(null, F_GETPIPE_SZ), EBADF) && FAILS(fcntl(p[0], F_SETPIPE_SZ, -1), EINVAL);
    good &= fcntl(p[0], F_SETPIPE_SZ, 131072) == 131072 && fill(p[1]) == 65536;
    good &= read(p[0], back, sizeof(back)) == 131072 && !memcmp(back, much, 4096);
    good &= fcntl(p[0], F_SETPIPE_SZ, 5000) == 8192 && fill(p[1]) == 8192;
    good &= read(p[0], back, 8000) == 8000 && fcntl(p[1], F_SETPIPE_SZ, 1) == 4096 &&
            read(p[0], back, sizeof(back)) == 192;
    close(p[0]);
    close(p[1]);
    close(null);
    result(good, "a pipe has the size that was asked for");
}

static void check_splice(void)
{
    int p[2], q[2], fd = new_file(0);
    loff_t at = 10;
    pipe2(p, O_NONBLOCK);
    pipe2(q, O_NONBLOCK);
    int good = write(fd, much, 100000) == 100000;
    good &= splice(fd, &at, p[1], NULL, 1000, 0) == 1000 && at == 1010 &&
            lseek(fd, 0, SEEK_CUR) == 100000;
    good &= read(p[0], back, 5000) == 1000 && !memcmp(back, much + 10, 1000);
    good &= write(p[1], "through", 7) == 7 && splice(p[0], NULL, q[1], NULL, 4, 0) == 4 &&
            read(q[0], back, 99) == 4 && !memcmp(back, "thro", 4) && read(p[0], back, 99) == 3;
    at = 3;
    good &= write(p[1], "file", 4) == 4 && splice(p[0], NULL, fd, &at, 99, 0) == 4 && at == 7 &&
            pread(fd, back, 4, 3) == 4 && !memcmp(back, "file", 4);
    result(good, "splice: into a pipe, from one to another, out of it");
    at = 0;
    good = FAILS(splice(p[0], NULL, q[1], NULL, 4, 0), EAGAIN) &&
           FAILS(splice(p[0], &at, fd, NULL, 4, 0), ESPIPE) &&
           FAILS(splice(fd, NULL, fd, &at, 4, 0), EINVAL) &&
           FAILS(splice(p[0], NULL, p[1], NULL, 4, 0), EINVAL) &&
           FAILS(splice(p[1], NULL, fd, NULL, 4, 0), EBADF) &&
           FAILS(splice(fd, NULL, p[0], NULL, 4, 0), EBADF) &&
           FAILS(splice(fd, NULL, p[1], NULL, 4, 64), EINVAL) &&
           splice(-1, NULL, -1, NULL, 0, 0) == 0 &&
           FAILS(splice(-1, NULL, p[1], NULL, 4, 0), EBADF);
    close(p[1]);
    good &= splice(p[0], NULL, q[1], NULL, 4, 0) == 0;
    const int appender = open(NAME, O_WRONLY | O_APPEND);
    good &= write(q[1], "x", 1) == 1 && FAILS(splice(q[0], NULL, appender, NULL, 1, 0), EINVAL);
    good &= lseek(fd, 0, SEEK_END) == 100000 && splice(fd, NULL, q[1], NULL, 4, 0) == 0;
    result(good, "splice's refusals, and the ends of files and pipes");
    close(appender);
    close(p[0]);
    close(q[0]);
    close(q[1]);
    close(fd);
}

static void check_tee(void)
{
    int p[2], q[2];
    pipe2(p, O_NONBLOCK);
    pipe2(q, O_NONBLOCK);
    int good =
        write(p[1], "twice", 5) == 5 && tee(p[0], q[1], 100, 0) == 5 && tee(p[0], q[1], 2, 0) == 2;
    good &= read(q[0], back, 99) == 7 && !memcmp(back, "twicetw", 7) && read(p[0], back, 99) == 5;
    good &= FAILS(tee(p[0], q[1], 2, 0), EAGAIN) && FAILS(tee(p[0], p[1], 2, 0), EINVAL) &&
            FAILS(tee(0, q[1], 2, 64), EINVAL) && FAILS(tee(-1, q[1], 2, 0), EBADF);
    result(good, "tee copies and takes nothing");
    const struct iovec v[2] = {{"one", 3}, {"two", 3}}, b = {back, 6};
    good =
        vmsplice(p[1], v, 2, 0) == 6 && vmsplice(p[0], &b, 1, 0) == 6 && !memcmp(back, "onetwo", 6);
    good &= FAILS(vmsplice(-1, v, 2, 0), EBADF) && FAILS(vmsplice(p[1], v, 2, 64), EINVAL) &&
            FAILS(vmsplice(p[1], v, 1025, 0), EINVAL) && vmsplice(p[1], v, 0, 0) == 0;
    const int fd = new_file(0);
    good &= FAILS(vmsplice(fd, v, 2, 0), EBADF);
    close(fd);
    result(good, "vmsplice gives memory to a pipe and takes from it");
    close(p[0]);
    close(p[1]);
    close(q[0]);
    close(q[1]);
}

static long vector2(long number, int fd, const void *text, size_t size, long at, int flags)
{
    const struct iovec v = {(void *)text, size};
    return syscall(number, fd, &v, 1ul, at, 0l, flags);
}

static void check_flags(void)
{
    char c[8] = "";
    const int fd = new_file(0);
    int p[2];
    int good = write(fd, "12345", 5) == 5;
    good &= vector2(SYS_pwritev2, fd, "end", 3, 0, 16 /* RWF_APPEND */) == 3 &&
            lseek(fd, 0, SEEK_END) == 8;
    good &= vector2(SYS_pwritev2, fd, "X", 1, 1, 6 /* RWF_SYNC, DSYNC */) == 1;
    good &= vector2(SYS_preadv2, fd, c, 8, 0, 1 /* RWF_HIPRI */) == 8 && !memcmp(c, "1X345end", 8);
    good &= FAILS(vector2(SYS_preadv2, fd, c, 8, 0, 0x10000), EOPNOTSUPP) &&
            FAILS(vector2(SYS_preadv2, -1, c, 8, 0, 0x10000), EBADF);
    pipe(p);
    good &= FAILS(vector2(SYS_preadv2, p[0], c, 1, -1, 8 /* RWF_NOWAIT */), EAGAIN) &&
            FAILS(vector2(SYS_preadv2, p[0], c, 1, 0, 0), ESPIPE);
    close(p[0]);
    close(p[1]);
    close(fd);
    result(good, "preadv2 and pwritev2: append, at once, and no flag that nobody knows");
}

void check_splices(void)
{
    for (unsigned i = 0; i < sizeof(much); i++)
        much[i] = (char)(i * 7 + i / 256);
    check_sizes();
    check_splice();
    check_tee();
    check_flags();
    unlink(NAME);
}
