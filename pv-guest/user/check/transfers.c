/* Moving bytes, descriptors, and locks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define NAME "/tmp/check-transfer"

static int new_file(void)
{
    return open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
}

static void check_vectors(void)
{
    char a[3] = "", b[5] = "", all[16] = "";
    const int fd = new_file();
    const struct iovec out[3] = {{"one", 3}, {NULL, 0}, {"three", 5}};
    const struct iovec in[2] = {{a, 3}, {b, 5}};
    int good = writev(fd, out, 3) == 8 && lseek(fd, 0, SEEK_SET) == 0 && readv(fd, in, 2) == 8;
    good &= !memcmp(a, "one", 3) && !memcmp(b, "three", 5);
    good &=
        pwritev(fd, out, 3, 20) == 8 && preadv(fd, in, 2, 20) == 8 && lseek(fd, 0, SEEK_CUR) == 8;
    good &= pwrite(fd, "X", 1, 1) == 1 && pread(fd, all, 8, 0) == 8 && !memcmp(all, "oXethree", 8);
    result(good, "readv, writev, pread, pwrite and both at once");
    good = FAILS(lseek(fd, -1, SEEK_SET), EINVAL) && FAILS(lseek(fd, 0, 99), EINVAL) &&
           FAILS(pread(fd, a, 1, -1), EINVAL) && lseek(fd, 100, SEEK_END) == 128 &&
           read(fd, a, 1) == 0;
    result(good, "lseek's errors, and reading behind the end");
    ftruncate(fd, 0);
    good = ftruncate(fd, 50000) == 0 && pwrite(fd, "x", 1, 20000) == 1;
    good &= lseek(fd, 0, SEEK_DATA) == 16384 && lseek(fd, 16384, SEEK_HOLE) == 20480 &&
            FAILS(lseek(fd, 30000, SEEK_DATA), ENXIO) && lseek(fd, 30000, SEEK_HOLE) == 30000;
    result(good, "holes are told from data");
    close(fd);
    const int appender = open(NAME, O_WRONLY | O_APPEND);
    struct stat s;
    good = lseek(appender, 0, SEEK_SET) == 0 && write(appender, "end", 3) == 3 &&
           fstat(appender, &s) == 0 && s.st_size == 50003;
    result(good && FAILS(read(appender, a, 1), EBADF), "O_APPEND appends");
    close(appender);
}

static void check_copies(void)
{
    static char text[100000], back[100000];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    const int from = new_file(), to = open(NAME "2", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t at = 1000;
    int good = write(from, text, sizeof(text)) == sizeof(text);
    good &= sendfile(to, from, &at, 50000) == 50000 && at == 51000 &&
            lseek(from, 0, SEEK_CUR) == 100000;
    good &= pread(to, back, sizeof(back), 0) == 50000 && !memcmp(back, text + 1000, 50000);
    result(good, "sendfile");
    off_t in = 10, out = 70000;
    good = syscall(SYS_copy_file_range, from, &in, to, &out, 99990ul, 0) == 99990 && in == 100000 &&
           out == 169990;
    good &= pread(to, back, 1000, 70000) == 1000 && !memcmp(back, text + 10, 1000);
    result(good, "copy_file_range");
    int fds[2];
    good = pipe2(fds, O_NONBLOCK) == 0;
    at = 0;
    const ssize_t n = sendfile(fds[1], from, &at, 100000); /* no more than the pipe has room for */
    good &= n > 0 && n < 100000 && at == n && FAILS(sendfile(fds[1], from, &at, 100), EAGAIN) &&
            at == n;
    result(good, "sendfile to a full pipe loses nothing");
    close(fds[0]);
    close(fds[1]);
    close(from);
    close(to);
    unlink(NAME "2");
}

static void check_descriptors(void)
{
    const int fd = new_file();
    int good = dup2(fd, 100) == 100 && fcntl(100, F_GETFD) == 0 &&
               dup3(fd, 101, O_CLOEXEC) == 101 && fcntl(101, F_GETFD) == FD_CLOEXEC &&
               FAILS(dup3(fd, fd, 0), EINVAL) && dup2(fd, fd) == fd;
    good &= fcntl(fd, F_DUPFD, 50) == 50 && fcntl(fd, F_DUPFD_CLOEXEC, 50) == 51 &&
            fcntl(51, F_GETFD) == FD_CLOEXEC;
    result(good, "dup2, dup3 and F_DUPFD");
    good = lseek(100, 5, SEEK_SET) == 5 && lseek(fd, 0, SEEK_CUR) == 5;
    result(good, "copies of a descriptor share the offset");
    good = fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) == 0 && (fcntl(100, F_GETFL) & O_APPEND) &&
           (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    result(good, "F_SETFL and F_GETFL");
    good = syscall(SYS_close_range, 50, 101, 0) == 0 && FAILS(fcntl(100, F_GETFD), EBADF) &&
           FAILS(close(51), EBADF) && fcntl(fd, F_GETFD) >= 0;
    result(good, "close_range");
    close(fd);
}

static void check_pairs(void)
{
    int fds[2];
    char text[8] = "";
    int good = socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
    good &=
        write(fds[0], "there", 5) == 5 && read(fds[1], text, 8) == 5 && !memcmp(text, "there", 5);
    good &= send(fds[1], "back", 4, 0) == 4 && recv(fds[0], text, 8, 0) == 4 &&
            !memcmp(text, "back", 4);
    good &= FAILS(recv(fds[0], text, 1, MSG_DONTWAIT), EAGAIN);
    result(good, "a socket pair carries bytes both ways");
    good = shutdown(fds[0], SHUT_WR) == 0 && read(fds[1], text, 1) == 0 &&
           write(fds[1], "x", 1) == 1 && read(fds[0], text, 1) == 1;
    result(good, "shutdown ends one way");
    close(fds[0]);
    good = FAILS(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE) && read(fds[1], text, 1) == 0;
    result(good, "the other end sees it close");
    close(fds[1]);
}

/* In pieces that never end where the ring does. */
static void check_full(void)
{
    static char piece[65536];
    const size_t sizes[] = {sizeof(piece), 256, 1};
    size_t given = 0, taken = 0;
    int fds[2];
    long n;
    int good = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0;
    for (int i = 0; i < 3; i++) {
        while ((n = write(fds[0], piece, sizes[i])) > 0 && given < 1 << 20)
            given += n;
        good &= n < 0 && errno == EAGAIN;
    }
    good &= given > 0 && given < 1 << 20;
    while ((n = read(fds[1], piece, sizeof(piece))) > 0)
        taken += n;
    good &= taken == given && errno == EAGAIN && write(fds[0], "x", 1) == 1;
    result(good, "a socket pair that is full says so, to the last byte");
    close(fds[0]);
    close(fds[1]);
}

/* Sockets of the Internet, before they are connected. */
static void check_unconnected(void)
{
    struct sockaddr_in name = {0};
    socklen_t size = sizeof(name), room = sizeof(int);
    int domain = 0;
    char c = 'x';
    const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    int good = tcp >= 0 && udp >= 0 && fcntl(tcp, F_GETFL) == (O_RDWR | O_NONBLOCK) &&
               fcntl(udp, F_GETFD) == FD_CLOEXEC;
    good &= FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT) &&
            FAILS(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT) &&
            FAILS(socket(AF_INET, 11, 0), EINVAL);
    good &= FAILS(recv(tcp, &c, 1, 0), ENOTCONN) && FAILS(recv(udp, &c, 1, MSG_DONTWAIT), EAGAIN) &&
            FAILS(send(tcp, &c, 1, MSG_NOSIGNAL), EPIPE) &&
            FAILS(send(udp, &c, 1, 0), EDESTADDRREQ);
    good &= FAILS(shutdown(tcp, SHUT_RDWR), ENOTCONN) &&
            FAILS(getpeername(tcp, (void *)&name, &size), ENOTCONN) &&
            getsockname(tcp, (void *)&name, &size) == 0 && size == sizeof(name) &&
            name.sin_family == AF_INET && name.sin_port == 0 && name.sin_addr.s_addr == 0;
    good &= getsockopt(udp, SOL_SOCKET, SO_DOMAIN, &domain, &room) == 0 && domain == AF_INET &&
            setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &domain, sizeof(domain)) == 0 &&
            FAILS(setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &domain, 2), EINVAL);
    good &= FAILS(connect(tcp, (void *)&name, 8), EINVAL) &&
            FAILS(bind(tcp, (void *)&name, 8), EINVAL) &&
            FAILS(connect(0, (void *)&name, size), ENOTSOCK) &&
            FAILS(bind(-1, (void *)&name, size), EBADF);
    result(good, "a socket of the Internet is there, and not connected");
    close(tcp);
    close(udp);
}

/* A file that is sent behind its own end grows while it is read: that ends when as much has been sent as was asked for,
 * or when the file may not grow any more; and not before others had their turn. */
static void check_sent_to_itself(void)
{
    const struct rlimit most = {1 << 20, RLIM_INFINITY};
    struct rlimit old;
    char block[4096] = {1};
    off_t from = 0;
    const int fd = open("/tmp/check-itself", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int good = write(fd, block, sizeof(block)) == sizeof(block) &&
               sendfile(fd, fd, &from, 100000) == 100000 && from == 100000 &&
               lseek(fd, 0, SEEK_CUR) == 104096 && lseek(fd, 0, SEEK_END) == 104096;
    result(good, "sendfile of a file into itself sends what was asked for");
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &most);
    signal(SIGXFSZ, SIG_IGN);
    from = 0;
    good = sendfile(fd, fd, &from, 0x7ffff000) == (1 << 20) - 104096 &&
           lseek(fd, 0, SEEK_END) == 1 << 20 && FAILS(sendfile(fd, fd, &from, 0x7ffff000), EFBIG);
    signal(SIGXFSZ, SIG_DFL);
    setrlimit(RLIMIT_FSIZE, &old);
    result(good, "and ends where the file may not grow");
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit more = {32 << 20, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &more);
        signal(SIGXFSZ, SIG_IGN);
        while (ftruncate(fd, sizeof(block)) == 0 && lseek(fd, 0, SEEK_END) >= 0) {
            from = 0;
            if (sendfile(fd, fd, &from, 0x7ffff000) <= 0)
                _exit(1);
        }
    }
    int status = 0;
    usleep(1000);
    good = kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
    result(good, "who sends a file into itself can be killed");
    close(fd);
    unlink("/tmp/check-itself");
}

void check_transfers(void)
{
    check_sent_to_itself();
    check_vectors();
    check_copies();
    check_descriptors();
    check_pairs();
    check_full();
    check_unconnected();
    unlink(NAME);
}

static int lock(int fd, int type, off_t start, off_t length)
{
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_SETLK, &f);
}

/* Ask another process: can it have a write lock there? */
static int other_can_lock(int fd, off_t start, off_t length)
{
    int status;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(lock(fd, F_WRLCK, start, length) == 0);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

void check_locks(void)
{
    const int fd = new_file();
    int good =
        lock(fd, F_WRLCK, 10, 20) == 0 && !other_can_lock(fd, 15, 1) && other_can_lock(fd, 30, 5);
    good &=
        lock(fd, F_UNLCK, 15, 5) == 0 && other_can_lock(fd, 15, 5) && !other_can_lock(fd, 14, 5);
    result(good, "a range is locked, and a part of it unlocked");
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    const pid_t parent = getpid();
    int status;
    if (fork() == 0)
        _exit(!(fcntl(fd, F_GETLK, &f) == 0 && f.l_type == F_WRLCK && f.l_start == 10 &&
                f.l_len == 5 && f.l_pid == parent));
    wait(&status);
    result(status == 0, "F_GETLK tells who has what");
    close(dup(fd));
    result(other_can_lock(fd, 0, 0),
           "closing any descriptor of the file drops the process's locks");
    const int other = open(NAME, O_RDWR);
    good = flock(fd, LOCK_EX) == 0 && FAILS(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK) &&
           FAILS(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK) && flock(fd, LOCK_SH) == 0 &&
           flock(other, LOCK_SH | LOCK_NB) == 0 && flock(fd, LOCK_UN) == 0;
    close(other);
    result(good && flock(fd, LOCK_EX | LOCK_NB) == 0, "flock");
    int fds[2];
    char c;
    if (pipe(fds))
        return;
    lock(fd, F_WRLCK, 0, 0);
    const pid_t waiter = fork();
    if (waiter == 0) {
        close(fds[0]);
        f.l_type = F_WRLCK;
        _exit(write(fds[1], "x", 1) != 1 || fcntl(fd, F_SETLKW, &f));
    }
    good = read(fds[0], &c, 1) == 1 && lock(fd, F_UNLCK, 0, 0) == 0;
    waitpid(waiter, &status, 0);
    result(good && status == 0, "F_SETLKW waits");
    close(fds[0]);
    close(fds[1]);
    close(fd);
    unlink(NAME);
}
