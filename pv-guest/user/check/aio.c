/* Asynchronous input and output, other processes' memory, and what old programs ask about file systems. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* As Linux's headers have them, which the C library need not bring. */
typedef unsigned long aio_context_t;
enum { IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FSYNC };
#define IOCB_FLAG_RESFD 1
struct iocb {
    uint64_t aio_data;
    uint32_t aio_key, aio_rw_flags;
    uint16_t aio_lio_opcode;
    int16_t aio_reqprio;
    uint32_t aio_fildes;
    uint64_t aio_buf, aio_nbytes;
    int64_t aio_offset;
    uint64_t aio_reserved2;
    uint32_t aio_flags, aio_resfd;
};
struct io_event {
    uint64_t data, obj;
    int64_t res, res2;
};

static struct iocb control(int command, int fd, void *buffer, size_t size, long offset)
{
    return (struct iocb){.aio_lio_opcode = command,
                         .aio_fildes = fd,
                         .aio_buf = (uintptr_t)buffer,
                         .aio_nbytes = size,
                         .aio_offset = offset,
                         .aio_data = 77};
}

static int submit(aio_context_t c, struct iocb *one)
{
    return syscall(SYS_io_submit, c, 1, &one);
}

static void check_contexts(void)
{
    aio_context_t c = 0, used = 1;
    result(!syscall(SYS_io_setup, 10, &c) && c && FAILS(syscall(SYS_io_setup, 10, &c), EINVAL) &&
               FAILS(syscall(SYS_io_setup, 0, &(aio_context_t){0}), EINVAL) &&
               FAILS(syscall(SYS_io_setup, 10, &used), EINVAL) &&
               FAILS(syscall(SYS_io_setup, 10, 8), EFAULT) &&
               FAILS(syscall(SYS_io_setup, 0x7fffffff, &(aio_context_t){0}), EINVAL) &&
               FAILS(syscall(SYS_io_setup, 100000, &(aio_context_t){0}), EAGAIN) &&
               !syscall(SYS_io_destroy, c) && FAILS(syscall(SYS_io_destroy, c), EINVAL) &&
               FAILS(syscall(SYS_io_destroy, 0), EINVAL),
           "io_setup and io_destroy");
}

static void check_submission(void)
{
    aio_context_t c = 0;
    char text[16] = "";
    struct io_event e[2];
    struct timespec none = {0, 0};
    const int fd = open("/tmp/check-aio", O_RDWR | O_CREAT | O_TRUNC, 0600),
              reader = open("/tmp/check-aio", O_RDONLY);
    const int count = eventfd(0, EFD_NONBLOCK);
    struct iocb writes = control(IOCB_CMD_PWRITE, fd, "0123456789", 10, 2),
                reads = control(IOCB_CMD_PREAD, fd, text, 16, 4),
                syncs = control(IOCB_CMD_FSYNC, fd, NULL, 0, 0), *both[2] = {&writes, &reads};
    syscall(SYS_io_setup, 4, &c);
    int good = syscall(SYS_io_submit, c, 2, both) == 2 &&
               syscall(SYS_io_getevents, c, 2, 2, e, NULL) == 2 && e[0].res == 10 &&
               e[0].data == 77 && e[0].obj == (uintptr_t)&writes && e[1].res == 8 &&
               !memcmp(text, "23456789", 8);
    good &= syscall(SYS_io_getevents, c, 1, 1, e, &none) == 0 && lseek(fd, 0, SEEK_CUR) == 0;
    result(good, "what is submitted is done, and told");
    syncs.aio_flags = IOCB_FLAG_RESFD;
    syncs.aio_resfd = count;
    uint64_t n = 0;
    result(submit(c, &syncs) == 1 && poll(&(struct pollfd){count, POLLIN}, 1, 60000) == 1 &&
               read(count, &n, 8) == 8 && n == 1 &&
               syscall(SYS_io_getevents, c, 1, 2, e, NULL) == 1 && e[0].res == 0,
           "io_submit counts in an eventfd");
    struct iocb bad = control(IOCB_CMD_PREAD, -1, text, 1, 0), *list[1] = {(void *)8};
    good = FAILS(submit(c, &bad), EBADF) && FAILS(submit(0, &reads), EINVAL) &&
           FAILS(syscall(SYS_io_submit, c, -1l, list), EINVAL) &&
           FAILS(syscall(SYS_io_submit, c, 1, 8), EFAULT) &&
           FAILS(syscall(SYS_io_submit, c, 1, list), EFAULT) &&
           syscall(SYS_io_submit, c, 0, NULL) == 0;
    bad = control(99, fd, text, 1, 0);
    good &= FAILS(submit(c, &bad), EINVAL);
    bad = control(IOCB_CMD_PWRITE, reader, text, 1, 0);
    good &= FAILS(submit(c, &bad), EBADF);
    bad = control(IOCB_CMD_PWRITE, fd, text, 1, -1);
    good &= FAILS(submit(c, &bad), EINVAL);
    bad = control(IOCB_CMD_PREAD, fd, text, 1, 0);
    bad.aio_reserved2 = 1;
    good &= FAILS(submit(c, &bad), EINVAL);
    result(good, "io_submit's refusals");
    result(FAILS(syscall(SYS_io_getevents, 0, 0, 1, e, &none), EINVAL) &&
               FAILS(syscall(SYS_io_getevents, c, 2, 1, e, &none), EINVAL) &&
               FAILS(syscall(SYS_io_getevents, c, -1l, 1l, e, &none), EINVAL) &&
               FAILS(syscall(SYS_io_getevents, c, 1, 1, e, 8), EFAULT) &&
               FAILS(syscall(SYS_io_cancel, c, 8, e), EFAULT) &&
               FAILS(syscall(SYS_io_cancel, c, &reads, e), EINVAL),
           "io_getevents' and io_cancel's refusals");
    bad = control(IOCB_CMD_PREAD, fd, (void *)8, 4, 0);
    result(submit(c, &bad) == 1 && syscall(SYS_io_getevents, c, 1, 1, e, NULL) == 1 &&
               (long)e[0].res == -EFAULT,
           "what goes wrong later is told as the result");
    syscall(SYS_io_destroy, c);
    close(fd);
    close(reader);
    close(count);
    unlink("/tmp/check-aio");
}

/* ---- process_vm_readv, process_vm_writev ---- */

static char *shown;

static void check_other_memory(void)
{
    int ends[2], status;
    char c = 0, got[8192] = "";
    shown = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(shown + 8192, 4096);
    strcpy(shown + 4090, "across a page");
    (void)!pipe(ends);
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        strcpy(shown + 4090, "ACROSS A PAGE");
        (void)!write(ends[1], "x", 1);
        while (shown[8000] != 'y')
            usleep(1000);
        _exit(shown[8001] != 'z' || strcmp(shown + 4090, "changed"));
    }
    (void)!read(ends[0], &c, 1);
    struct iovec mine[2] = {{got, 6}, {got + 6, 100}}, its = {shown + 4090, 14},
                 hole = {shown + 8000, 400}, none = {(void *)8, 4};
    result(process_vm_readv(pid, mine, 2, &its, 1, 0) == 14 && !strcmp(got, "ACROSS A PAGE") &&
               !strcmp(shown + 4090, "across a page"),
           "process_vm_readv reads what another process has");
    result(process_vm_readv(pid, &(struct iovec){got, 8192}, 1, &hole, 1, 0) == 192 &&
               FAILS(process_vm_readv(pid, mine, 1, &none, 1, 0), EFAULT) &&
               FAILS(process_vm_readv(pid, mine, 2, &its, 1, 1), EINVAL) &&
               FAILS(process_vm_readv(pid, mine, 1025, &its, 1, 0), EINVAL) &&
               FAILS(process_vm_readv(0x7ffffff, mine, 2, &its, 1, 0), ESRCH) &&
               process_vm_readv(pid, mine, 0, &its, 1, 0) == 0 &&
               FAILS(process_vm_readv(pid, (void *)8, 1, &its, 1, 0), EFAULT),
           "process_vm_readv's refusals, and what is there of a range");
    int good = process_vm_writev(pid, &(struct iovec){"changed", 8}, 1, &its, 1, 0) == 8 &&
               !strcmp(shown + 4090, "across a page");
    its = (struct iovec){shown + 8000, 2};
    good &= process_vm_writev(pid, &(struct iovec){"yz", 2}, 1, &its, 1, 0) == 2;
    waitpid(pid, &status, 0);
    result(good && WIFEXITED(status) && !WEXITSTATUS(status),
           "process_vm_writev writes there, and only there");
    close(ends[0]);
    close(ends[1]);
    munmap(shown, 8192);
}

static void look_at_root(void)
{
    struct iovec own = {&shown, 8}, its = {&shown, 8};
    const pid_t root = getppid();
    if (setgid(1000) || setuid(1000))
        _exit(1);
    _exit(!FAILS(process_vm_readv(root, &own, 1, &its, 1, 0), EPERM) ||
          !FAILS(syscall(SYS_vhangup), EPERM));
}

static void check_old_calls(void)
{
    struct stat st;
    char name[64] = "", buffer[64];
    const int count = syscall(SYS_sysfs, 3), proc = syscall(SYS_sysfs, 1, "proc");
    result(count > 2 && proc >= 0 && proc < count && !syscall(SYS_sysfs, 2, proc, name) &&
               !strcmp(name, "proc") && FAILS(syscall(SYS_sysfs, 1, "nonesuch"), EINVAL) &&
               FAILS(syscall(SYS_sysfs, 1, 8), EFAULT) &&
               FAILS(syscall(SYS_sysfs, 2, 1000, name), EINVAL) &&
               FAILS(syscall(SYS_sysfs, 2, proc, 8), EFAULT) &&
               FAILS(syscall(SYS_sysfs, 0), EINVAL) && FAILS(syscall(SYS_sysfs, 4), EINVAL),
           "sysfs tells the kinds of file systems");
    stat("/", &st);
    result(!syscall(SYS_ustat, (unsigned)st.st_dev, buffer) &&
               FAILS(syscall(SYS_ustat, 0x7fffffff, buffer), EINVAL) &&
               FAILS(syscall(SYS_ustat, (unsigned)st.st_dev, 8), EFAULT),
           "ustat of what is mounted");
}

void check_aio(void)
{
    check_contexts();
    check_submission();
    check_other_memory();
    result(child(look_at_root) == 0, "root's memory and terminal are root's");
    check_old_calls();
}
