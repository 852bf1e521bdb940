/* How far a path may lead (openat2), programs that are a descriptor (execveat), directories as they used to be read. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOLDER "/tmp/check-openings"

#define SYS_OPENAT2           437
#define RESOLVE_NO_XDEV       1
#define RESOLVE_NO_MAGICLINKS 2
#define RESOLVE_NO_SYMLINKS   4
#define RESOLVE_BENEATH       8
#define RESOLVE_IN_ROOT       16

struct how {
    uint64_t flags, mode, resolve, later;
};

static int folder;

/* Open @path in FOLDER: 0, or the error. */
static int open_how(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    const struct how how = {flags, mode, resolve, 0};
    const int fd = syscall(SYS_OPENAT2, folder, path, &how, sizeof(how));
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : errno;
}

static void check_how(void)
{
    struct how how = {O_RDONLY, 0, 0, 0};
    int good = FAILS(syscall(SYS_OPENAT2, folder, "f", &how, 23), EINVAL) &&
               FAILS(syscall(SYS_OPENAT2, folder, "f", &how, 4097), E2BIG) &&
               FAILS(syscall(SYS_OPENAT2, folder, "f", 16, 24), EFAULT) &&
               FAILS(syscall(SYS_OPENAT2, -1, "f", &how, 24), EBADF);
    how.later = 1;
    good &= FAILS(syscall(SYS_OPENAT2, folder, "f", &how, 32), E2BIG);
    const int fd = syscall(SYS_OPENAT2, folder, "f", &how, 24);
    good &= fd >= 0;
    close(fd);
    good &= open_how("f", 1ul << 40, 0, 0) == EINVAL &&
            open_how("f", O_RDONLY, 0600, 0) == EINVAL &&
            open_how("f", O_RDONLY, 0, 64) == EINVAL && open_how("f", O_RDONLY, 0, 24) == EINVAL &&
            open_how("n", O_CREAT | O_RDWR, 01000000, 0) == EINVAL &&
            open_how("f", O_PATH | O_RDWR, 0, 0) == EINVAL &&
            open_how("n", O_CREAT | O_RDWR, 0640, 0) == 0 && unlinkat(folder, "n", 0) == 0;
    result(good, "openat2 refuses what open overlooks");
}

static void check_resolve(void)
{
    int good = open_how("d/../f", O_RDONLY, 0, RESOLVE_BENEATH) == 0 &&
               open_how("../x", O_RDONLY, 0, RESOLVE_BENEATH) == EXDEV &&
               open_how("/tmp", O_RDONLY, 0, RESOLVE_BENEATH) == EXDEV &&
               open_how("out", O_RDONLY, 0, RESOLVE_BENEATH) == EXDEV &&
               open_how("absolute", O_RDONLY, 0, RESOLVE_BENEATH) == EXDEV &&
               open_how("../n", O_CREAT | O_RDWR, 0600, RESOLVE_BENEATH) == EXDEV;
    result(good, "RESOLVE_BENEATH: not out of the directory");
    good = open_how("../../f", O_RDONLY, 0, RESOLVE_IN_ROOT) == 0 &&
           open_how("/f", O_RDONLY, 0, RESOLVE_IN_ROOT) == 0 &&
           open_how("absolute", O_RDONLY, 0, RESOLVE_IN_ROOT) == 0 &&
           open_how("/tmp", O_RDONLY, 0, RESOLVE_IN_ROOT) == ENOENT;
    result(good, "RESOLVE_IN_ROOT: the directory is the root");
    good = open_how("link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS) == ELOOP &&
           open_how("link", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS) == 0 &&
           open_how("link", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS) == 0 &&
           open_how("/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS) == ELOOP &&
           open_how("/proc/self/exe", O_RDONLY, 0, 0) == 0;
    result(good, "RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS");
    good = open_how("f", O_RDONLY, 0, RESOLVE_NO_XDEV) == 0 &&
           open_how("/proc/version", O_RDONLY, 0, RESOLVE_NO_XDEV) == EXDEV &&
           open_how("/proc", O_RDONLY, 0, 0) == 0;
    result(good, "RESOLVE_NO_XDEV: not into another file system");
}

static int ended(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int exec_at(int fd, const char *path, int flags, int then_fails)
{
    char *const arguments[] = {"sh", "nothing", NULL}, *const none[] = {NULL};
    const pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_execveat, fd, path, arguments, none, flags);
        _exit(errno == then_fails ? 77 : 78);
    }
    return ended(pid);
}

static void check_execveat(void)
{
    const int self = open("/proc/self/exe", O_PATH), plain = openat(folder, "f", O_RDONLY);
    int good =
        exec_at(self, "", AT_EMPTY_PATH, 0) == 0 && exec_at(self, "", 0, ENOENT) == 77 &&
        exec_at(AT_FDCWD, "/proc/self/exe", 0, 0) == 0 && exec_at(folder, "self", 0, 0) == 0 &&
        exec_at(folder, "self", AT_SYMLINK_NOFOLLOW, ELOOP) == 77 &&
        exec_at(plain, "", AT_EMPTY_PATH, EACCES) == 77 && exec_at(plain, "x", 0, ENOTDIR) == 77 &&
        exec_at(-1, "x", 0, EBADF) == 77 && exec_at(folder, "none", 0, ENOENT) == 77 &&
        exec_at(folder, "self", 0x4000, EINVAL) == 77;
    result(good, "execveat: a program that is a descriptor, or beneath one");
    close(self);
    close(plain);
}

static void check_getdents(void)
{
    static struct {
        unsigned long ino;
        long off;
        unsigned short length;
        char name[4078];
    } d;
    const char *bytes = (const char *)&d;
    int types = 0, names = 0;
    lseek(folder, 0, SEEK_SET);
    const long n = syscall(SYS_getdents, folder, &d, sizeof(d));
    for (long at = 0; at < n; names++) {
        unsigned short length;
        memcpy(&length, bytes + at + 16, sizeof(length));
        if (length < 20)
            break;
        const char *name = bytes + at + 18;
        types += !strcmp(name, "f") ? bytes[at + length - 1] == 8
                                    : !strcmp(name, "d") && bytes[at + length - 1] == 4;
        at += length;
    }
    int good =
        n > 0 && names == 8 && types == 2 && syscall(SYS_getdents, folder, &d, sizeof(d)) == 0;
    lseek(folder, 0, SEEK_SET);
    good &= FAILS(syscall(SYS_getdents, folder, &d, 8), EINVAL) &&
            FAILS(syscall(SYS_getdents, -1, &d, 8), EBADF);
    result(good, "getdents, with the type behind the name");
}

void check_openings(void)
{
    mkdir(FOLDER, 0755);
    folder = open(FOLDER, O_RDONLY | O_DIRECTORY);
    close(openat(folder, "f", O_CREAT | O_RDWR, 0644));
    mkdirat(folder, "d", 0755);
    const char *const links[][2] = {
        {"f", "link"}, {"../../etc", "out"}, {"/f", "absolute"}, {"/proc/self/exe", "self"}};
    int good = 1;
    for (int i = 0; i < 4; i++)
        good &= symlinkat(links[i][0], folder, links[i][1]) == 0 || errno == EEXIST;
    if (!good)
        printf("# cannot make links\n");
    check_how();
    check_resolve();
    check_execveat();
    check_getdents();
    const char *const all[] = {"f", "link", "out", "absolute", "self"};
    for (int i = 0; i < 5; i++)
        unlinkat(folder, all[i], 0);
    unlinkat(folder, "d", AT_REMOVEDIR);
    rmdir(FOLDER);
    close(folder);
}
