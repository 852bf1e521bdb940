/* Names of files: what rename, link, unlink, mkdir and their kin promise. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static void make(const char *name, const char *text)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (write(fd, text, strlen(text)) < 0)
        perror(name);
    close(fd);
}

static int holds(const char *name, const char *text)
{
    char found[64] = "";
    const int fd = open(name, O_RDONLY);
    const ssize_t n = read(fd, found, sizeof(found) - 1);
    close(fd);
    return n == (ssize_t)strlen(text) && !strcmp(found, text);
}

static void check_rename(void)
{
    struct stat s;
    make("a", "a");
    make("b", "b");
    int good = rename("a", "b") == 0 && holds("b", "a") && FAILS(stat("a", &s), ENOENT);
    result(good, "rename replaces a file");
    good = mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0 && rename("d", "e") == 0;
    good &= FAILS(stat("d", &s), ENOENT) && FAILS(rename("b", "e"), EISDIR) &&
            FAILS(rename("e", "b"), ENOTDIR);
    make("e/x", "x");
    good &= mkdir("d", 0755) == 0 && FAILS(rename("d", "e"), ENOTEMPTY);
    result(good, "rename of directories: onto an empty one, not onto a file or a full one");
    good = mkdir("e/f", 0755) == 0 && FAILS(rename("e", "e/f/g"), EINVAL);
    good &= FAILS(rename("nothing", "b"), ENOENT) && rename("b", "b") == 0 && holds("b", "a");
    result(good, "rename of a directory into itself, of nothing, and onto itself");
    make("c", "c");
    good = syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 2 /* RENAME_EXCHANGE */) == 0;
    good &= holds("b", "c") && holds("c", "a");
    good &= FAILS(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 1 /* NOREPLACE */), EEXIST);
    result(good, "renameat2 exchanges, and does not replace");
    const int fd = open("c", O_RDONLY);
    char text[4] = "";
    good = rename("b", "c") == 0 && read(fd, text, 3) == 1 && text[0] == 'a';
    result(good, "a replaced file lives on while it is open");
    close(fd);
    good = unlink("c") == 0 && unlink("e/x") == 0 && rmdir("e/f") == 0 && rmdir("e") == 0 &&
           rmdir("d") == 0;
    result(good, "all of it can be removed again");
}

static void check_errors(void)
{
    char long_name[300];
    struct stat s;
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    make("f", "f");
    int good = FAILS(mkdir("f", 0755), EEXIST) && FAILS(mkdir("no/d", 0755), ENOENT) &&
               FAILS(mkdir("f/d", 0755), ENOTDIR) && FAILS(mkdir(long_name, 0755), ENAMETOOLONG) &&
               FAILS(mkdir("", 0755), ENOENT) && FAILS(mkdir("/", 0755), EEXIST);
    result(good, "mkdir's errors");
    good = FAILS(rmdir("f"), ENOTDIR) && FAILS(rmdir("."), EINVAL) && FAILS(rmdir("no"), ENOENT) &&
           FAILS(unlink("."), EISDIR) && FAILS(unlink("no"), ENOENT) &&
           FAILS(unlink("f/x"), ENOTDIR) && FAILS(stat("f/", &s), ENOTDIR);
    result(good, "rmdir's and unlink's errors");
    good = symlink("l2", "l1") == 0 && symlink("l1", "l2") == 0 &&
           FAILS(open("l1", O_RDONLY), ELOOP) && FAILS(open("l1", O_RDONLY | O_NOFOLLOW), ELOOP) &&
           lstat("l1", &s) == 0 && S_ISLNK(s.st_mode) && s.st_size == 2;
    result(good && unlink("l1") == 0 && unlink("l2") == 0, "symbolic links in a circle");
    good = symlink("target", "link") == 0 &&
           FAILS(open("link", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    const int fd = open("link", O_WRONLY | O_CREAT, 0600);
    good &= fd >= 0 && stat("target", &s) == 0;
    close(fd);
    result(good && unlink("link") == 0 && unlink("target") == 0, "O_CREAT through a dangling link");
    good =
        FAILS(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR) && FAILS(open(".", O_WRONLY), EISDIR) &&
        FAILS(open(".", O_RDONLY | O_CREAT, 0600), EISDIR) && FAILS(link(".", "dir"), EPERM) &&
        FAILS(link("f", "f"), EEXIST) && FAILS(access("f", X_OK), EACCES) && access("f", R_OK) == 0;
    result(good, "open's, link's and access's errors");
    unlink("f");
}

static void check_attributes(void)
{
    struct stat s, t;
    make("f", "text");
    const struct timespec times[2] = {{1000, 5}, {2000000000, 7}};
    int good = utimensat(AT_FDCWD, "f", times, 0) == 0 && stat("f", &s) == 0 &&
               s.st_atime == 1000 && s.st_atim.tv_nsec == 5 && s.st_mtime == 2000000000 &&
               s.st_mtim.tv_nsec == 7;
    result(good, "utimensat sets both times, to the nanosecond");
    const struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    good = utimensat(AT_FDCWD, "f", omit, 0) == 0 && stat("f", &s) == 0 && s.st_atime == 1000 &&
           s.st_mtime != 2000000000;
    result(good, "UTIME_OMIT and UTIME_NOW");
    good = chmod("f", 04751) == 0 && stat("f", &s) == 0 && (s.st_mode & 07777) == 04751;
    good &= chown("f", 5, 6) == 0 && stat("f", &s) == 0 && s.st_uid == 5 && s.st_gid == 6;
    good &= chown("f", -1, 7) == 0 && stat("f", &s) == 0 && s.st_uid == 5 && s.st_gid == 7;
    result(good, "chmod and chown");
    const mode_t old = umask(027);
    good = mkdir("m", 0777) == 0 && stat("m", &s) == 0 && (s.st_mode & 0777) == 0750;
    umask(old);
    result(good, "umask");
    good = stat("m", &s) == 0;
    const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    utimensat(AT_FDCWD, "m", long_ago, 0);
    make("m/x", "");
    good &= stat("m", &t) == 0 && t.st_mtime > 1;
    utimensat(AT_FDCWD, "m", long_ago, 0);
    good &= unlink("m/x") == 0 && stat("m", &t) == 0 && t.st_mtime > 1;
    result(good, "a directory's time changes with its entries");
    good = link("f", "g") == 0 && stat("g", &s) == 0 && stat("f", &t) == 0 &&
           s.st_ino == t.st_ino && s.st_nlink == 2 && s.st_dev == t.st_dev;
    result(good, "two names, one file");
    unlink("f");
    unlink("g");
    rmdir("m");
}

static void check_at(void)
{
    struct stat s;
    mkdir("at", 0755);
    const int dir = open("at", O_RDONLY | O_DIRECTORY);
    int good = dir >= 0;
    const int fd = openat(dir, "x", O_RDWR | O_CREAT, 0600);
    good &= fd >= 0 && fstatat(dir, "x", &s, 0) == 0 && S_ISREG(s.st_mode) && stat("at/x", &s) == 0;
    good &= mkdirat(dir, "d", 0700) == 0 && symlinkat("x", dir, "l") == 0 &&
            linkat(dir, "x", dir, "y", 0) == 0;
    char text[8] = "";
    good &= readlinkat(dir, "l", text, sizeof(text)) == 1 && text[0] == 'x';
    good &= renameat(dir, "y", dir, "z") == 0 && faccessat(dir, "z", F_OK, 0) == 0;
    good &= fstatat(fd, "", &s, AT_EMPTY_PATH) == 0 && s.st_nlink == 2;
    good &= FAILS(openat(fd, "x", O_RDONLY), ENOTDIR) && FAILS(openat(999, "x", O_RDONLY), EBADF);
    good &= unlinkat(dir, "x", 0) == 0 && unlinkat(dir, "z", 0) == 0 &&
            unlinkat(dir, "l", 0) == 0 && FAILS(unlinkat(dir, "d", 0), EISDIR) &&
            unlinkat(dir, "d", AT_REMOVEDIR) == 0;
    result(good, "the calls that start from a directory");
    close(fd);
    good = rmdir("at") == 0 && FAILS(openat(dir, "x", O_RDWR | O_CREAT, 0600), ENOENT);
    result(good, "nothing can be made in a removed directory");
    close(dir);
}

static void check_listing(void)
{
    char name[32];
    int seen = 0, twice = 0;
    static char found[500];
    mkdir("many", 0755);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "many/file-%d", i);
        close(open(name, O_WRONLY | O_CREAT, 0600));
    }
    DIR *d = opendir("many");
    for (struct dirent *e; (e = readdir(d));) {
        int n;
        if (sscanf(e->d_name, "file-%d", &n) != 1 || n < 0 || n >= 500)
            continue;
        twice += found[n];
        found[n] = 1;
        seen++;
        snprintf(name, sizeof(name), "many/file-%d", n);
        unlink(name); /* while the directory is being read */
    }
    closedir(d);
    result(seen == 500 && !twice && rmdir("many") == 0, "a directory is read while its entries go");
}

void check_names(void)
{
    mkdir("/tmp/check-names", 0755);
    if (chdir("/tmp/check-names"))
        return;
    check_rename();
    check_errors();
    check_attributes();
    check_at();
    check_listing();
    result(chdir("/") == 0 && rmdir("/tmp/check-names") == 0, "no name is left over");
}
