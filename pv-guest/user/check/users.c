/*
 * Users and groups: who one is, may become, and what files, processes and the system say to that.  Asked in children,
 * which give up being root; there is nothing to ask if the caller is not root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOLDER "/tmp/users"
#define ALICE  1001
#define BOB    1002
#define STAFF  2001
#define CREW   2002

/* In a child: say 0 if @good. */
#define VERDICT(good) _exit((good) ? 0 : 1)

static void ask(void (*body)(void), const char *what)
{
    const int status = child(body);
    result(WIFEXITED(status) && WEXITSTATUS(status) == 0, what);
}

static int ids_are(uid_t real, uid_t effective, uid_t saved)
{
    uid_t r, e, s;
    return getresuid(&r, &e, &s) == 0 && r == real && e == effective && s == saved &&
           getuid() == real && geteuid() == effective;
}

/* Become @user of @group, with STAFF besides. */
static void be(uid_t user, gid_t group)
{
    const gid_t staff = STAFF;
    if (setgroups(1, &staff) || setgid(group) || setuid(user))
        _exit(2);
}

static void give_up(void)
{
    int good = setresuid(ALICE, BOB, 0) == 0 && ids_are(ALICE, BOB, 0);
    good &= FAILS(setresuid(77, -1, -1), EPERM) && seteuid(0) == 0 && ids_are(ALICE, 0, 0);
    good &= setuid(ALICE) == 0 && ids_are(ALICE, ALICE, ALICE);
    good &= FAILS(setuid(0), EPERM) && FAILS(setreuid(0, 0), EPERM) &&
            FAILS(setresuid(-1, 0, -1), EPERM);
    good &= FAILS(setgid(CREW), EPERM) && FAILS(setgroups(0, NULL), EPERM) && setuid(ALICE) == 0;
    VERDICT(good);
}

static void swap(void)
{
    int good = setreuid(ALICE, BOB) == 0 && ids_are(ALICE, BOB, BOB);
    good &= setreuid(BOB, ALICE) == 0 && ids_are(BOB, ALICE, ALICE);
    good &= setreuid(-1, BOB) == 0 && ids_are(BOB, BOB, ALICE) && seteuid(ALICE) == 0;
    VERDICT(good && setfsuid(-1) == ALICE && setfsuid(0) == ALICE && setfsuid(-1) == ALICE);
}

static void groups(void)
{
    const gid_t mine[3] = {5, STAFF, CREW}, mixed[3] = {STAFF, 5, CREW};
    gid_t got[4] = {0};
    int good =
        setgroups(3, mixed) == 0 && getgroups(0, NULL) == 3 && FAILS(getgroups(2, got), EINVAL);
    good &= getgroups(4, got) == 3 && !memcmp(got, mine, sizeof(mine)) &&
            FAILS(setgroups(65537, mine), EINVAL);
    good &= FAILS(setgroups(1, (gid_t *)8), EFAULT) && getgroups(0, NULL) == 3;
    VERDICT(good && setgroups(0, NULL) == 0 && getgroups(4, got) == 0);
}

static void make(const char *name, mode_t mode, uid_t user, gid_t group)
{
    const int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (fd < 0 || write(fd, "content", 7) != 7 || fchown(fd, user, group) || fchmod(fd, mode))
        printf("# cannot make %s: errno %d\n", name, errno);
    close(fd);
}

static int opens(const char *name, int flags)
{
    const int fd = open(name, flags);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void modes(void)
{
    be(ALICE, CREW);
    int good = opens("own", O_RDONLY) && FAILS(open("own", O_WRONLY), EACCES);
    good &= opens("staffs", O_RDWR) && FAILS(open("others", O_RDONLY), EACCES) &&
            opens("others", O_WRONLY);
    good &= FAILS(open("own", O_RDONLY | O_TRUNC), EACCES) && FAILS(truncate("own", 1), EACCES);
    good &= FAILS(access("own", W_OK), EACCES) && access("staffs", R_OK | W_OK) == 0 &&
            FAILS(access("staffs", X_OK), EACCES);
    VERDICT(good);
}

static void directories(void)
{
    be(ALICE, CREW);
    int good = FAILS(open("closed/in", O_RDONLY), EACCES) && FAILS(chdir("closed"), EACCES);
    good &= FAILS(open("seen/new", O_CREAT | O_WRONLY, 0600), EACCES) &&
            FAILS(mkdir("seen/d", 0700), EACCES);
    good &= FAILS(unlink("seen/in"), EACCES) && FAILS(rename("seen/in", "seen/out"), EACCES) &&
            FAILS(link("seen/in", "seen/out"), EACCES) && FAILS(symlink("in", "seen/out"), EACCES);
    good &=
        FAILS(open("closed/none", O_RDONLY), EACCES) && FAILS(open("seen/none", O_RDONLY), ENOENT);
    VERDICT(good && FAILS(mkdir("seen/in", 0700), EEXIST));
}

static void sticky(void)
{
    be(ALICE, CREW);
    int good =
        FAILS(unlink("sticky/bobs"), EPERM) && FAILS(rename("sticky/bobs", "sticky/x"), EPERM);
    good &= opens("sticky/new", O_CREAT | O_WRONLY) &&
            FAILS(rename("sticky/new", "sticky/bobs"), EPERM);
    VERDICT(good && unlink("sticky/new") == 0);
}

static void inherited(void)
{
    struct stat s;
    be(ALICE, CREW);
    umask(022);
    int good = mkdir("shared/d", 0777) == 0 && stat("shared/d", &s) == 0 && s.st_gid == STAFF &&
               s.st_mode == (S_IFDIR | S_ISGID | 0755) && s.st_uid == ALICE;
    const int fd = open("shared/f", O_CREAT | O_WRONLY, 0666);
    good &= fstat(fd, &s) == 0 && s.st_gid == STAFF && s.st_mode == (S_IFREG | 0644);
    VERDICT(good && rmdir("shared/d") == 0 && unlink("shared/f") == 0);
}

static void owners(void)
{
    struct stat s;
    const struct timespec then[2] = {{1, 0}, {1, 0}};
    be(ALICE, CREW);
    int good = FAILS(chmod("staffs", 0777), EPERM) && FAILS(chown("own", BOB, -1), EPERM) &&
               FAILS(chown("own", -1, 5), EPERM);
    good &= chmod("own", 06770) == 0 && chown("own", -1, STAFF) == 0 && stat("own", &s) == 0 &&
            s.st_gid == STAFF && (s.st_mode & 07777) == 0770;
    good &= FAILS(utimensat(AT_FDCWD, "staffs", then, 0), EPERM) &&
            utimensat(AT_FDCWD, "staffs", NULL, 0) == 0 &&
            FAILS(utimensat(AT_FDCWD, "secret", NULL, 0), EACCES);
    VERDICT(good && utimensat(AT_FDCWD, "own", then, 0) == 0 && chmod("own", 0440) == 0);
}

static void written(void)
{
    struct stat s;
    be(ALICE, CREW);
    const int fd = open("ran", O_WRONLY);
    VERDICT(fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &s) == 0 && (s.st_mode & 07777) == 0777);
}

static void set_id(void)
{
    be(ALICE, CREW);
    execl("./set-id", "set-id", "ids", NULL);
    _exit(3);
}

static void no_set_id(void)
{
    be(ALICE, CREW);
    if (syscall(SYS_prctl, 38, 1, 0, 0, 0)) /* PR_SET_NO_NEW_PRIVS */
        _exit(4);
    execl("./set-id", "set-id", "same-ids", NULL);
    _exit(3);
}

static pid_t bobs, alices;

static void signals(void)
{
    be(ALICE, CREW);
    int good =
        FAILS(kill(bobs, 0), EPERM) && FAILS(kill(bobs, SIGKILL), EPERM) && kill(alices, 0) == 0;
    good &= kill(bobs, SIGCONT) == 0 && FAILS(kill(1, SIGTERM), EPERM);
    good &= FAILS(setpriority(PRIO_PROCESS, bobs, 5), EPERM) &&
            setpriority(PRIO_PROCESS, 0, 5) == 0 && FAILS(setpriority(PRIO_PROCESS, 0, 1), EACCES);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    good &= FAILS(sched_setaffinity(bobs, sizeof(one), &one), EPERM) &&
            sched_setaffinity(alices, sizeof(one), &one) == 0;
    const struct rlimit l = {10, 10}, more = {10, 11};
    good &= setrlimit(RLIMIT_CORE, &l) == 0 && FAILS(setrlimit(RLIMIT_CORE, &more), EPERM) &&
            FAILS(prlimit(bobs, RLIMIT_CORE, NULL, NULL), EPERM);
    VERDICT(good);
}

static void administration(void)
{
    be(ALICE, CREW);
    const struct timeval t = {1, 0};
    int good =
        FAILS(mount("t", "sticky", "tmpfs", 0, NULL), EPERM) && FAILS(umount("/proc"), EPERM);
    good &= FAILS(chroot("."), EPERM) && FAILS(sethostname("x", 1), EPERM) &&
            FAILS(settimeofday(&t, NULL), EPERM);
    good &= FAILS(mknod("sticky/n", S_IFCHR | 0600, makedev(1, 3)), EPERM) &&
            mknod("sticky/n", S_IFIFO | 0600, 0) == 0;
    good &= unlink("sticky/n") == 0 &&
            FAILS(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0), EPERM);
    VERDICT(good);
}

static void proc(void)
{
    char name[40], line[80];
    int good = 0;
    be(ALICE, CREW);
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        good += !strcmp(line, "Uid:\t1001\t1001\t1001\t1001\n") ||
                !strcmp(line, "Gid:\t2002\t2002\t2002\t2002\n") ||
                !strcmp(line, "Groups:\t2001 \n");
    snprintf(name, sizeof(name), "/proc/%d/environ", bobs);
    VERDICT(good == 3 && FAILS(open(name, O_RDONLY), EACCES));
}

/* A process of @user, which it is when this returns. */
static void sleeper(uid_t user, pid_t *pid)
{
    int fds[2];
    char c;
    if (pipe(fds))
        return;
    *pid = fork();
    if (*pid) {
        close(fds[1]);
        if (read(fds[0], &c, 1) != 1)
            printf("# no process of user %d\n", (int)user);
        close(fds[0]);
        return;
    }
    be(user, CREW);
    if (write(fds[1], "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* Nothing is written where a mount says so. */
static void read_only(void)
{
    int good =
        mount("t", "mounted", "tmpfs", 0, NULL) == 0 && opens("mounted/f", O_CREAT | O_WRONLY);
    const int fd = open("mounted/f", O_WRONLY);
    good &=
        FAILS(mount(NULL, "mounted", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY) && close(fd) == 0;
    good &= mount(NULL, "mounted", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
    good &= FAILS(open("mounted/f", O_WRONLY), EROFS) &&
            FAILS(open("mounted/g", O_CREAT | O_WRONLY, 0600), EROFS);
    good &= FAILS(unlink("mounted/f"), EROFS) && FAILS(mkdir("mounted/d", 0700), EROFS) &&
            FAILS(chmod("mounted/f", 0), EROFS);
    good &= FAILS(access("mounted/f", W_OK), EROFS) && opens("mounted/f", O_RDONLY);
    good &=
        FAILS(rename("mounted/f", "mounted/g"), EROFS) && FAILS(truncate("mounted/f", 0), EROFS);
    good &= mount(NULL, "mounted", NULL, MS_REMOUNT, NULL) == 0 && unlink("mounted/f") == 0;
    good &= umount("mounted") == 0 && mount("t", "mounted", "tmpfs", MS_RDONLY, NULL) == 0 &&
            FAILS(mkdir("mounted/d", 0700), EROFS) && umount("mounted") == 0;
    VERDICT(good && FAILS(mount(NULL, "sticky", NULL, MS_REMOUNT, NULL), EINVAL));
}

/* This program again, under another name. */
static void copy_self(const char *name)
{
    static char bytes[1 << 16];
    const int from = open("/proc/self/exe", O_RDONLY), to = open(name, O_CREAT | O_WRONLY, 0755);
    ssize_t n;
    while ((n = read(from, bytes, sizeof(bytes))) > 0)
        if (write(to, bytes, n) != n)
            printf("# cannot copy this program: errno %d\n", errno);
    close(from);
    close(to);
}

/* In the set-id program: are these its numbers? */
int users_set_id(int same)
{
    const uid_t user = same ? ALICE : BOB;
    const gid_t group = same ? CREW : STAFF;
    return ids_are(ALICE, user, user) && getgid() == CREW && getegid() == group &&
                   getauxval(AT_SECURE) == !same && getauxval(AT_EUID) == user &&
                   getauxval(AT_UID) == ALICE
               ? 0
               : 1;
}

/* The files that the children find. */
static void prepare(void)
{
    umask(0);
    make("own", 0477, ALICE, CREW);
    make("staffs", 0060, BOB, STAFF);
    make("others", 0042, BOB, CREW);
    chown("others", BOB, 77);
    make("secret", 0600, BOB, 77);
    make("ran", 06777, BOB, 77);
    mkdir("closed", 0700);
    make("closed/in", 0666, 0, 0);
    mkdir("seen", 0755);
    make("seen/in", 0666, 0, 0);
    mkdir("sticky", 01777);
    make("sticky/bobs", 0666, BOB, 77);
    mkdir("mounted", 0755);
    mkdir("shared", 0777);
    chown("shared", 0, STAFF);
    chmod("shared", 02777);
    copy_self("set-id");
    chown("set-id", BOB, STAFF);
    chmod("set-id", 06755);
}

void check_users(void)
{
    if (getuid() != 0) {
        printf("# users are not asked about: not root\n");
        return;
    }
    mkdir(FOLDER, 0755);
    if (chdir(FOLDER))
        return;
    prepare();
    ask(give_up, "root becomes a user, and not root again once nothing is saved");
    ask(swap, "setreuid exchanges users; the one for files follows");
    ask(groups, "supplementary groups are kept and told, in their order");
    ask(modes, "a file's mode decides, by owner, group or others");
    ask(directories, "directories let through, and are written to, by their mode");
    ask(sticky, "in a sticky directory names belong to their owners");
    ask(inherited, "a set-group-id directory gives its group to what is made in it");
    ask(owners, "mode, owner and times are the owner's to change");
    ask(written, "a set-id file that another user has written to is none any more");
    ask(set_id, "a set-id program runs as its owner and group, and is told to be careful");
    ask(no_set_id, "but not where new privileges have been given up");
    sleeper(BOB, &bobs);
    sleeper(ALICE, &alices);
    ask(signals, "other users' processes are left alone");
    ask(proc, "/proc tells users, and keeps what is theirs");
    kill(bobs, SIGKILL);
    kill(alices, SIGKILL);
    while (wait(NULL) > 0)
        ;
    ask(administration, "what only root may do");
    ask(read_only, "a mount that is read-only, from the start or later");
    if (chdir("/"))
        return;
    if (system("rm -rf " FOLDER))
        printf("# " FOLDER " stays\n");
    umask(022);
}
