/* /proc, /dev and mounts. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* The start of a file, as a string. */
static const char *text_of(const char *path)
{
    static char text[16384];
    const int fd = open(path, O_RDONLY);
    ssize_t n, used = 0;
    while (fd >= 0 && used < (ssize_t)sizeof(text) - 1 &&
           (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += n;
    text[used] = 0;
    close(fd);
    return text;
}

static void check_self(void)
{
    char text[256] = "", name[16] = "", state;
    int pid, parent, group, session;
    prctl(PR_SET_NAME, "two words");
    int good = sscanf(text_of("/proc/self/stat"), "%d (%15[^)]) %c %d %d %d", &pid, name, &state,
                      &parent, &group, &session) == 6;
    good &= pid == getpid() && !strcmp(name, "two words") && state == 'R' && parent == getppid() &&
            group == getpgrp() && session == getsid(0);
    result(good, "/proc/self/stat");
    good = strstr(text_of("/proc/self/status"), "Name:\ttwo words\n") != NULL &&
           strstr(text_of("/proc/self/status"), "State:\tR") != NULL;
    result(good && !strcmp(text_of("/proc/self/comm"), "two words\n"), "status and comm");
    snprintf(text, sizeof(text), "/proc/%d/cmdline", getpid());
    result(text_of(text)[0] != 0, "cmdline");
    memset(text, 0, sizeof(text));
    good = readlink("/proc/self/exe", text, sizeof(text) - 1) > 0 && text[0] == '/';
    good &= chdir("/tmp") == 0 && readlink("/proc/self/cwd", text, sizeof(text)) == 4 &&
            !memcmp(text, "/tmp", 4) && chdir("/") == 0;
    result(good, "exe and cwd");
    result(strstr(text_of("/proc/self/maps"), "[stack]") &&
               strstr(text_of("/proc/self/maps"), " r-xp "),
           "maps");
}

static void check_descriptors(void)
{
    int fds[2], good, seen = 0;
    char name[64], text[64] = "", c;
    if (pipe(fds))
        return;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fds[0]);
    good = readlink(name, text, sizeof(text)) > 0 && !strncmp(text, "pipe:[", 6);
    const int again = open(name, O_RDONLY);
    good &= again >= 0 && write(fds[1], "x", 1) == 1 && read(again, &c, 1) == 1 && c == 'x';
    result(good, "an open pipe can be opened again through /proc");
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d && (e = readdir(d));)
        seen += atoi(e->d_name) == fds[0] || atoi(e->d_name) == fds[1] || atoi(e->d_name) == again;
    closedir(d);
    result(seen == 3, "/proc/self/fd lists what is open");
    close(again);
    close(fds[0]);
    close(fds[1]);
}

static void check_others(void)
{
    char name[64], state = 0;
    struct stat s;
    const pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    snprintf(name, sizeof(name), "/proc/%d/stat", pid);
    while (state != 'S' && sscanf(text_of(name), "%*d (%*[^)]) %c", &state) == 1)
        usleep(500);
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    int good =
        state == 'S' && sscanf(text_of(name), "%*d (%*[^)]) %c", &state) == 1 && state == 'T';
    kill(pid, SIGKILL);
    while (state != 'Z' && sscanf(text_of(name), "%*d (%*[^)]) %c", &state) == 1)
        usleep(500);
    good &= state == 'Z' && waitpid(pid, NULL, 0) == pid && FAILS(stat(name, &s), ENOENT);
    result(good, "/proc shows others sleep, stop, die and go");
    good = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));)
        good |= atoi(e->d_name) == getpid();
    closedir(d);
    result(good, "/proc lists processes");
}

static int link_of(pid_t pid, const char *name)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return readlink(path, text, sizeof(text));
}

/* One whose program is no file any more. */
static void check_zombie(void)
{
    char state = 0, name[64];
    int ends[2];
    fflush(stdout);
    const int from = open("/proc/self/exe", O_RDONLY),
              to = open("/tmp/check-gone", O_CREAT | O_WRONLY, 0700);
    while (sendfile(to, from, NULL, 1 << 20) > 0)
        ;
    close(from);
    close(to);
    if (pipe2(ends, O_CLOEXEC))
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        execl("/tmp/check-gone", "check", "nothing", NULL);
        _exit(1);
    }
    close(ends[1]);
    const int good = read(ends[0], name, 1) == 0; /* it has been executed */
    close(ends[0]);
    unlink("/tmp/check-gone");
    snprintf(name, sizeof(name), "/proc/%d/stat", pid);
    while (state != 'Z' && sscanf(text_of(name), "%*d (%*[^)]) %c", &state) == 1)
        usleep(500);
    result(good && FAILS(link_of(pid, "exe"), ENOENT) && FAILS(link_of(pid, "cwd"), ENOENT) &&
               waitpid(pid, NULL, 0) == pid,
           "a zombie has no program and is nowhere");
}

static void look_at_links(void)
{
    const pid_t root = getppid();
    if (setgid(1000) || setuid(1000))
        _exit(1);
    _exit(!FAILS(link_of(root, "exe"), EACCES) || !FAILS(link_of(root, "cwd"), EACCES) ||
          !FAILS(link_of(root, "root"), EACCES) || !FAILS(link_of(root, "fd/0"), EACCES));
}

static void check_system(void)
{
    static const char *const files[] = {
        "/proc/meminfo",     "/proc/uptime",  "/proc/loadavg",
        "/proc/stat",        "/proc/cpuinfo", "/proc/version",
        "/proc/filesystems", "/proc/mounts",  "/proc/sys/kernel/pid_max"};
    int good = 1;
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        good &= text_of(files[i])[0] != 0;
    result(good, "what ps, free, top, mount and uptime read, is there");
    result(strstr(text_of("/proc/meminfo"), "MemAvailable:") &&
               strstr(text_of("/proc/stat"), "cpu0 ") && strstr(text_of("/proc/stat"), "btime "),
           "and looks like it");
}

static void check_devices(void)
{
    char c = 1, many[100];
    int fd = open("/dev/null", O_RDWR), good = write(fd, "x", 1) == 1 && read(fd, &c, 1) == 0;
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    good &= read(fd, &c, 1) == 1 && c == 0 && write(fd, "x", 1) == 1;
    close(fd);
    fd = open("/dev/full", O_RDWR);
    good &= FAILS(write(fd, "x", 1), ENOSPC) && read(fd, &c, 1) == 1 && c == 0;
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    good &= read(fd, many, 100) == 100 && memcmp(many, many + 50, 50);
    close(fd);
    result(good, "/dev/null, zero, full and urandom");
}

/* What programs ask a system about: each file is there and begins as it should. */
static void check_lists(void)
{
    static const char *const files[][2] = {
        {"/proc/devices", "Character devices:\n  1 mem\n"},
        {"/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
        {"/proc/net/dev", "Inter-|   Receive "},
        {"/proc/sysvipc/shm", "       key      shmid perms  "},
        {"/proc/sysvipc/sem", "       key      semid perms  "},
        {"/proc/sysvipc/msg", "       key      msqid perms  "},
        {"/proc/sys/kernel/shmmni", "4096\n"},
        {"/proc/sys/kernel/sem", "32000\t1024000000\t500\t32000\n"},
        {"/proc/sys/kernel/cap_last_cap", "40\n"},
        {"/proc/sys/kernel/ngroups_max", "65536\n"},
        {"/proc/sys/fs/mqueue/msg_max", "10\n"},
        {"/proc/sys/fs/pipe-max-size", "1048576\n"},
        {"/proc/sys/net/core/somaxconn", "4096\n"},
    };
    int good = 1;
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strncmp(text_of(files[i][0]), files[i][1], strlen(files[i][1]))) {
            good = 0;
            printf("# %s begins otherwise\n", files[i][0]);
        }
    good &= access("/proc/partitions", R_OK) == 0;
    result(good, "what programs ask about is in /proc");
    result(strstr(text_of("/proc/self/mountinfo"), " / /proc rw") &&
               strstr(text_of("/proc/self/mountinfo"), " - proc ") &&
               strstr(text_of("/proc/filesystems"), "nodev\tdevpts\n"),
           "mountinfo and the list of file systems");
}

void check_proc(void)
{
    check_lists();
    check_self();
    check_descriptors();
    check_others();
    check_zombie();
    result(child(look_at_links) == 0,
           "where root is and what it executes is nobody else's business");
    check_system();
    check_devices();
}

/* Only on a machine of our own: elsewhere it may be forbidden. */
void check_mounts(void)
{
    struct utsname u;
    struct statfs f;
    struct stat before, after;
    char path[64] = "";
    uname(&u);
    if (!strstr(u.version, "pv-guest"))
        return;
    mkdir("/tmp/mnt", 0755);
    stat("/tmp/mnt", &before);
    int good = mount("none", "/tmp/mnt", "tmpfs", 0, NULL) == 0 && stat("/tmp/mnt", &after) == 0 &&
               before.st_dev != after.st_dev;
    good &= statfs("/tmp/mnt", &f) == 0 && f.f_type == 0x01021994 &&
            strstr(text_of("/proc/mounts"), "none /tmp/mnt tmpfs ");
    const int fd = open("/tmp/mnt/x", O_RDWR | O_CREAT, 0600);
    good &= fd >= 0 && chdir("/tmp/mnt") == 0 && getcwd(path, sizeof(path)) &&
            !strcmp(path, "/tmp/mnt");
    good &= stat("..", &after) == 0 && after.st_dev == before.st_dev && chdir("/") == 0;
    result(good, "a file system is mounted");
    good = FAILS(rename("/tmp/mnt/x", "/tmp/x"), EXDEV) &&
           FAILS(link("/tmp/mnt/x", "/tmp/x"), EXDEV) && FAILS(rmdir("/tmp/mnt"), EBUSY) &&
           FAILS(umount("/tmp/mnt"), EBUSY);
    close(fd);
    good &= umount("/tmp/mnt") == 0 && FAILS(stat("/tmp/mnt/x", &after), ENOENT) &&
            FAILS(umount("/tmp/mnt"), EINVAL) && rmdir("/tmp/mnt") == 0;
    result(good, "its files cannot leave it; it is unmounted when nobody uses it");
    mkdir("/tmp/mnt", 0755);
    good = mount("none", "/tmp/mnt", "tmpfs", 0, NULL) == 0 && chdir("/tmp/mnt") == 0;
    for (int i = 0; good && i < 2000; i++)
        good = mkdir("d", 0755) == 0 && chdir("d") == 0;
    good &= FAILS(umount("/tmp/mnt"), EBUSY) && chdir("/") == 0 && umount("/tmp/mnt") == 0 &&
            rmdir("/tmp/mnt") == 0;
    result(good, "two thousand directories deep");
    result(FAILS(mount("none", "/tmp", "ext4", 0, NULL), ENODEV) &&
               FAILS(mount("none", "/nowhere", "tmpfs", 0, NULL), ENOENT),
           "mount's errors");
    const pid_t pid = fork();
    if (pid == 0)
        _exit(!(chroot("/tmp") == 0 && chdir("/") == 0 && chdir("..") == 0 &&
                getcwd(path, sizeof(path)) && !strcmp(path, "/") &&
                FAILS(open("/bin/check", O_RDONLY), ENOENT)));
    int status;
    waitpid(pid, &status, 0);
    result(status == 0, "chroot");
}
