/* Mounting: what tmpfs can be told, trees that go while they are used, directories in two places. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SYS_OPENAT2 437

#define FOLDER "/tmp/check-mounts"
#define AT     FOLDER "/at"
#define OTHER  FOLDER "/other"

static int mount_tmpfs(const char *options)
{
    return mount("none", AT, "tmpfs", 0, options);
}

static int make(const char *path)
{
    const int fd = open(path, O_CREAT | O_RDWR, 0600);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static void check_options(void)
{
    static char block[65536];
    struct stat st;
    struct statfs fs;
    int good = mount_tmpfs("size=64k,mode=0711,nr_inodes=4,uid=5,gid=6") == 0 &&
               stat(AT, &st) == 0 && (st.st_mode & 07777) == 0711 && st.st_uid == 5 &&
               st.st_gid == 6 && statfs(AT, &fs) == 0 && fs.f_blocks == 16 && fs.f_files == 4;
    const int fd = open(AT "/f", O_CREAT | O_RDWR, 0600);
    good &= write(fd, block, 40000) == 40000 && write(fd, block, sizeof(block)) == 65536 - 40000 &&
            FAILS(write(fd, block, 1), ENOSPC) && statfs(AT, &fs) == 0 && fs.f_bfree == 0;
    good &= ftruncate(fd, 4096) == 0 && statfs(AT, &fs) == 0 && fs.f_bfree == 15 &&
            pwrite(fd, block, 4096, 4096) == 4096;
    close(fd);
    result(good, "tmpfs: size, mode, owner");
    good = make(AT "/g") == 0 && make(AT "/h") == 0 && FAILS(make(AT "/i"), ENOSPC) &&
           FAILS(mkdir(AT "/i", 0755), ENOSPC) && unlink(AT "/g") == 0 && make(AT "/i") == 0;
    good &= FAILS(mount(NULL, AT, NULL, MS_REMOUNT, "size=4k"), EINVAL) &&
            mount(NULL, AT, NULL, MS_REMOUNT, "size=128k,nr_inodes=10") == 0 &&
            make(AT "/j") == 0 && statfs(AT, &fs) == 0 && fs.f_blocks == 32;
    good &= umount(AT) == 0;
    result(good, "tmpfs: nr_inodes; both can be changed");
    good = FAILS(mount_tmpfs("nonesuch=1"), EINVAL) && FAILS(mount_tmpfs("size=x"), EINVAL) &&
           FAILS(mount_tmpfs("mode=9"), EINVAL) && mount_tmpfs(NULL) == 0 && stat(AT, &st) == 0 &&
           (st.st_mode & 07777) == 01777 && umount(AT) == 0;
    result(good, "tmpfs refuses what it does not know");
}

static void check_detach(void)
{
    char c = 0;
    int good = mount_tmpfs(NULL) == 0;
    const int fd = open(AT "/f", O_CREAT | O_RDWR, 0600);
    good &= mkdir(AT "/in", 0755) == 0 && mount("none", AT "/in", "tmpfs", 0, NULL) == 0 &&
            FAILS(umount(AT), EBUSY) && FAILS(umount2(AT, MNT_DETACH | MNT_EXPIRE), EINVAL) &&
            umount2(AT, MNT_DETACH) == 0;
    good &= FAILS(access(AT "/f", F_OK), ENOENT) && write(fd, "x", 1) == 1 &&
            pread(fd, &c, 1, 0) == 1 && c == 'x' && FAILS(umount(AT), EINVAL) &&
            FAILS(umount2(AT, MNT_DETACH), EINVAL) && rmdir(AT) == 0 && mkdir(AT, 0755) == 0;
    close(fd);
    result(good, "MNT_DETACH: what is open stays, the place is free");
    good = mount_tmpfs(NULL) == 0 && FAILS(umount2(AT, MNT_EXPIRE), EAGAIN) && make(AT "/f") == 0 &&
           FAILS(umount2(AT, MNT_EXPIRE), EAGAIN) && umount2(AT, MNT_EXPIRE) == 0 &&
           FAILS(access(AT "/f", F_OK), ENOENT);
    result(good, "MNT_EXPIRE: the second time, if nobody was there");
}

/* A file that is open nowhere but in a message counts as well. */
static void check_under_way(void)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {CMSG_LEN(sizeof(int)), 0, SOL_SOCKET, SCM_RIGHTS}};
    struct iovec piece = {"x", 1};
    struct msghdr m = {.msg_iov = &piece,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    int ends[2];
    int good = mount_tmpfs(NULL) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0;
    const int fd = open(AT "/f", O_CREAT | O_RDWR, 0600);
    memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
    good &= sendmsg(ends[0], &m, 0) == 1 && close(fd) == 0 &&
            FAILS(mount(NULL, AT, NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    close(ends[0]);
    close(ends[1]);
    good &= mount(NULL, AT, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 && umount(AT) == 0;
    result(good, "a file under way keeps its file system writable");
}

/* Up from a directory that is bound in a second place: on Linux that is here, in this kernel it was there. */
static void check_bound_beneath(void)
{
    const struct {
        uint64_t flags, mode, resolve;
    } beneath = {O_RDONLY, 0, 8 /* RESOLVE_BENEATH */},
      in_root = {O_RDONLY, 0, 16 /* RESOLVE_IN_ROOT */};
    mkdir(OTHER, 0755);
    int good = mkdir(FOLDER "/start", 0755) == 0 && mkdir(FOLDER "/start/at", 0755) == 0 &&
               mount(OTHER, FOLDER "/start/at", NULL, MS_BIND, NULL) == 0;
    const int start = open(FOLDER "/start", O_RDONLY);
    good &= syscall(SYS_OPENAT2, start, "at/../other", &beneath, sizeof(beneath)) == -1 &&
            (errno == EXDEV || errno == ENOENT) &&
            syscall(SYS_OPENAT2, start, "at/../other", &in_root, sizeof(in_root)) == -1 &&
            (errno == EXDEV || errno == ENOENT) &&
            syscall(SYS_OPENAT2, start, "at/.", &beneath, sizeof(beneath)) >= 0;
    close(start);
    result(good, "no path leads out of a directory by way of what is bound in it");
    umount2(FOLDER "/start/at", MNT_DETACH);
    rmdir(FOLDER "/start/at");
    rmdir(FOLDER "/start");
    rmdir(OTHER);
}

/* Whose root is somewhere else gets to nothing outside by way of what is bound inside. */
static void check_bound_in_root(void)
{
    mkdir(OTHER, 0755);
    mkdir(OTHER "/in", 0755);
    int status = -1, good = mkdir(FOLDER "/root", 0755) == 0 &&
                            mkdir(FOLDER "/root/at", 0755) == 0 && make(FOLDER "/root/mine") == 0 &&
                            make(FOLDER "/outside") == 0 &&
                            mount(OTHER, FOLDER "/root/at", NULL, MS_BIND, NULL) == 0;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(chroot(FOLDER "/root") || chdir("/") ||
              !FAILS(access("at/../outside", F_OK), ENOENT) || access("at/../mine", F_OK) ||
              access("at/in/../../mine", F_OK) || access("at/in/..", F_OK) || chdir("at/in") ||
              chdir("..") || chdir("..") || access("mine", F_OK) ||
              !FAILS(access("../outside", F_OK), ENOENT));
    good &= waitpid(pid, &status, 0) == pid;
    result(good && status == 0, "no path leads out of a root by way of what is bound in it");
    umount2(FOLDER "/root/at", MNT_DETACH);
    unlink(FOLDER "/root/mine");
    unlink(FOLDER "/outside");
    rmdir(FOLDER "/root/at");
    rmdir(FOLDER "/root");
    rmdir(OTHER "/in");
    rmdir(OTHER);
}

static void check_bind(void)
{
    struct stat a, b;
    int good = mkdir(OTHER, 0755) == 0 && make(OTHER "/f") == 0 &&
               mount(OTHER, AT, NULL, MS_BIND, NULL) == 0 && stat(AT "/f", &a) == 0 &&
               stat(OTHER "/f", &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev &&
               make(AT "/g") == 0 && access(OTHER "/g", F_OK) == 0;
    good &=
        umount(AT) == 0 && FAILS(access(AT "/f", F_OK), ENOENT) && access(OTHER "/f", F_OK) == 0;
    result(good, "MS_BIND: a directory in two places");
    good = make(FOLDER "/file") == 0 &&
           mount(OTHER "/f", FOLDER "/file", NULL, MS_BIND, NULL) == 0 &&
           stat(FOLDER "/file", &a) == 0 && a.st_ino == b.st_ino && umount(FOLDER "/file") == 0 &&
           stat(FOLDER "/file", &a) == 0 && a.st_ino != b.st_ino;
    good &= FAILS(mount(OTHER, FOLDER "/file", NULL, MS_BIND, NULL), ENOTDIR) &&
            FAILS(mount(OTHER "/f", AT, NULL, MS_BIND, NULL), ENOTDIR) &&
            FAILS(mount(OTHER "/none", AT, NULL, MS_BIND, NULL), ENOENT) &&
            FAILS(mount(OTHER, FOLDER "/none", NULL, MS_BIND, NULL), ENOENT);
    good &= mount(AT, AT, NULL, MS_BIND, NULL) == 0 && umount(AT) == 0 && FAILS(umount(AT), EINVAL);
    result(good, "a file, too; nothing that is not there");
    unlink(OTHER "/f");
    unlink(OTHER "/g");
    rmdir(OTHER);
    unlink(FOLDER "/file");
}

void check_more_of_mounts(void)
{
    mkdir(FOLDER, 0755);
    mkdir(AT, 0755);
    if (mount_tmpfs(NULL)) {
        result(1, "mounts # SKIP for who may not mount");
        return;
    }
    umount(AT);
    check_options();
    check_detach();
    check_under_way();
    check_bind();
    check_bound_beneath();
    check_bound_in_root();
    rmdir(AT);
    rmdir(FOLDER);
}
