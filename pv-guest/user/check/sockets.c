/* Sockets with names: who finds whom, who is refused, and what the two tell about each other. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOLDER "/tmp/check-sockets"
#define NAME   FOLDER "/s"

static struct sockaddr_un address;

static socklen_t path_address(const char *path)
{
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof(address.sun_path));
    return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

/* A name that is in no file system. */
static socklen_t abstract_address(const char *name)
{
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path + 1, name, sizeof(address.sun_path) - 1);
    return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
}

static int bind_path(int fd, const char *path)
{
    const socklen_t size = path_address(path);
    return bind(fd, (void *)&address, size);
}

static int connect_path(int fd, const char *path)
{
    const socklen_t size = path_address(path);
    return connect(fd, (void *)&address, size);
}

static int new_socket(int type)
{
    return socket(AF_UNIX, type, 0);
}

/* A socket of @type that listens at NAME. */
static int new_listener(int type, int backlog)
{
    const int fd = new_socket(type);
    unlink(NAME);
    if (bind_path(fd, NAME) || listen(fd, backlog))
        printf("# cannot listen: %s\n", strerror(errno));
    return fd;
}

/* What poll says at once. */
static int events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static int error_of(int fd)
{
    int error = -1;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? -1 : error;
}

/* Does @call (getsockname, getpeername) tell @path, "" being no name? */
static int named(int (*call)(int, struct sockaddr *, socklen_t *), int fd, const char *path)
{
    struct sockaddr_un a;
    socklen_t size = sizeof(a);
    memset(&a, 0x55, sizeof(a));
    if (call(fd, (void *)&a, &size) || a.sun_family != AF_UNIX)
        return 0;
    if (!*path)
        return size == sizeof(sa_family_t);
    return size == offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1 &&
           !strcmp(a.sun_path, path);
}

static void check_bind(void)
{
    struct stat st;
    const int one = new_socket(SOCK_STREAM), two = new_socket(SOCK_STREAM);
    const mode_t mask = umask(027);
    int good = bind_path(one, NAME) == 0 && stat(NAME, &st) == 0 && S_ISSOCK(st.st_mode) &&
               (st.st_mode & 07777) == 0750 && st.st_nlink == 1;
    umask(mask);
    result(good, "bind makes a file, as the umask allows");
    good = FAILS(bind_path(two, NAME), EADDRINUSE) && FAILS(bind_path(one, NAME), EADDRINUSE) &&
           FAILS(bind_path(one, FOLDER "/other"), EINVAL) &&
           FAILS(access(FOLDER "/other", F_OK), ENOENT) &&
           FAILS(bind_path(two, FOLDER), EADDRINUSE) &&
           FAILS(bind_path(two, FOLDER "/none/s"), ENOENT) &&
           FAILS(bind_path(two, NAME "/s"), ENOTDIR);
    good &= FAILS(bind(two, (void *)&address, 1), EINVAL) &&
            FAILS(bind(two, (void *)&address, sizeof(address) + 1), EINVAL) &&
            FAILS(bind(two, (void *)16, sizeof(address)), EFAULT);
    address.sun_family = AF_INET;
    good &= FAILS(bind(two, (void *)&address, sizeof(address)), EINVAL) &&
            FAILS(bind(0, (void *)&address, sizeof(address)), ENOTSOCK) &&
            FAILS(bind(-1, (void *)&address, sizeof(address)), EBADF);
    result(good, "bind refuses names that are taken, or none");
    good = named(getsockname, one, NAME) && named(getsockname, two, "") &&
           FAILS(getpeername(one, (void *)&address, &(socklen_t){8}), ENOTCONN) &&
           FAILS(open(NAME, O_RDWR), ENXIO);
    result(good, "getsockname tells the name; the file cannot be opened");
    close(one);
    good = access(NAME, F_OK) == 0 && FAILS(connect_path(two, NAME), ECONNREFUSED) &&
           FAILS(bind_path(two, NAME), EADDRINUSE) && unlink(NAME) == 0 &&
           bind_path(two, NAME) == 0;
    result(good, "a socket's file outlives it, and then refuses");
    close(two);
    unlink(NAME);
}

static void check_abstract(void)
{
    const int one = new_socket(SOCK_DGRAM), two = new_socket(SOCK_DGRAM);
    struct sockaddr_un a;
    socklen_t room = sizeof(a), size = abstract_address("check-sockets");
    int good = bind(one, (void *)&address, size) == 0 &&
               FAILS(bind(two, (void *)&address, size), EADDRINUSE) &&
               bind(two, (void *)&address, size + 1) == 0; /* a zero more is another name */
    good &= getsockname(one, (void *)&a, &room) == 0 && room == size && !memcmp(&a, &address, size);
    good &= connect(two, (void *)&address, size) == 0 && write(two, "x", 1) == 1 &&
            recv(one, &a, 1, MSG_DONTWAIT) == 1;
    close(one);
    good &= FAILS(connect(two, (void *)&address, size), ECONNREFUSED);
    close(two);
    result(good, "abstract names");
    const int any = new_socket(SOCK_STREAM);
    address.sun_family = AF_UNIX;
    room = sizeof(a);
    good = bind(any, (void *)&address, sizeof(sa_family_t)) == 0 &&
           getsockname(any, (void *)&a, &room) == 0 && room == sizeof(sa_family_t) + 6 &&
           a.sun_path[0] == 0;
    for (int i = 1; i < 6; i++)
        good &= strchr("0123456789abcdef", a.sun_path[i]) != NULL;
    result(good, "bind to nothing gives a name of five digits");
    close(any);
}

static void check_listen(void)
{
    const int loose = new_socket(SOCK_STREAM), datagrams = new_socket(SOCK_DGRAM);
    const int listener = new_listener(SOCK_STREAM, 1), other = new_socket(SOCK_STREAM);
    int got[4], good, accepting = -1;
    socklen_t size = sizeof(accepting);
    good = FAILS(listen(loose, 1), EINVAL) && FAILS(listen(datagrams, 1), EOPNOTSUPP) &&
           FAILS(accept(loose, NULL, NULL), EINVAL) &&
           FAILS(accept(datagrams, NULL, NULL), EOPNOTSUPP) && FAILS(listen(0, 1), ENOTSOCK) &&
           FAILS(accept(0, NULL, NULL), ENOTSOCK) && FAILS(listen(-1, 1), EBADF) &&
           FAILS(syscall(SYS_accept4, listener, NULL, NULL, 3), EINVAL) &&
           FAILS(connect_path(listener, NAME), EINVAL);
    good &=
        getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) == 0 && accepting == 1;
    result(good, "listen and accept refuse who has no name, or does not listen");
    fcntl(listener, F_SETFL, O_NONBLOCK);
    good = FAILS(accept(listener, NULL, NULL), EAGAIN) && events(listener) == 0 &&
           FAILS(connect_path(datagrams, NAME), EPROTOTYPE);
    for (int i = 0; i < 3; i++) {
        got[i] = new_socket(SOCK_STREAM | SOCK_NONBLOCK);
        good &= i < 2 ? connect_path(got[i], NAME) == 0 : FAILS(connect_path(got[i], NAME), EAGAIN);
    }
    good &= events(listener) == POLLIN && events(got[0]) == POLLOUT &&
            events(got[2]) == (POLLOUT | POLLHUP);
    got[3] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    good &= got[3] >= 0 && fcntl(got[3], F_GETFD) == FD_CLOEXEC &&
            (fcntl(got[3], F_GETFL) & O_NONBLOCK) && FAILS(connect_path(got[0], NAME), EISCONN) &&
            connect_path(got[2], NAME) == 0;
    result(good, "one more than the backlog may wait, then connect says EAGAIN");
    good = named(getsockname, got[3], NAME) && named(getpeername, got[3], "") &&
           named(getpeername, got[0], NAME) && named(getsockname, got[0], "");
    result(good, "who was accepted has the listener's name");
    close(listener);
    good = events(got[1]) == (POLLIN | POLLOUT | POLLHUP | POLLRDHUP | POLLERR) &&
           error_of(got[1]) == ECONNRESET && error_of(got[1]) == 0 &&
           FAILS(connect_path(other, NAME), ECONNREFUSED) && unlink(NAME) == 0 &&
           FAILS(connect_path(other, NAME), ENOENT) && write(got[0], "x", 1) == 1 &&
           read(got[3], got, 1) == 1;
    result(good, "who was not accepted is reset when the listener ends");
    for (int i = 1; i < 4; i++)
        close(got[i]);
    close(loose);
    close(datagrams);
    close(other);
}

/* The child connects; the parent waits in accept, then in read. */
static void check_waiting(void)
{
    const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    int good = 1;
    for (int i = 0; i < 2; i++) {
        const int listener = new_listener(types[i], 5);
        struct ucred who = {0};
        socklen_t size = sizeof(who);
        struct sockaddr_un a;
        socklen_t room = sizeof(a);
        char text[8];
        const pid_t pid = fork();
        if (pid == 0) {
            const int fd = new_socket(types[i]);
            unlink(FOLDER "/client");
            const int ok = bind_path(fd, FOLDER "/client") == 0 && connect_path(fd, NAME) == 0 &&
                           write(fd, "hello", 5) == 5 && read(fd, text, 8) == 3 &&
                           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
                           who.pid == getppid() && read(fd, text, 8) == 0;
            _exit(!ok);
        }
        const int fd = accept(listener, (void *)&a, &room);
        good &= fd >= 0 && !strcmp(a.sun_path, FOLDER "/client") && read(fd, text, 8) == 5;
        good &= getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == pid &&
                who.uid == geteuid() && who.gid == getegid() && size == sizeof(who);
        good &= write(fd, "yes", 3) == 3 && shutdown(fd, SHUT_WR) == 0;
        int status = 1;
        waitpid(pid, &status, 0);
        good &= status == 0;
        close(fd);
        close(listener);
    }
    result(good, "accept waits for who connects, and both know who the other is");
}

/* What comes with a message: @fd, or nothing if it is negative; how many bytes went. */
static long send_file(int socket, const void *text, size_t length, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {(void *)text, length};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    m.msg_control = control;
    m.msg_controllen = sizeof(control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_len = CMSG_LEN(sizeof(int));
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(socket, &m, MSG_NOSIGNAL);
}

/* The same the other way: *fd is -1 if none came. */
static long receive_file(int socket, void *text, size_t length, int flags, int *fd, int *told)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {text, length};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    m.msg_control = control;
    m.msg_controllen = told && *told < 0 ? 0 : sizeof(control);
    const long n = recvmsg(socket, &m, flags | MSG_DONTWAIT);
    struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    *fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(c), sizeof(*fd));
    if (told)
        *told = n < 0 ? 0 : m.msg_flags;
    return n;
}

static void check_rights(void)
{
    int s[2], p[2], fd, told, good = socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0;
    char text[8];
    good &= write(s[0], "ab", 2) == 2 && send_file(s[0], "cd", 2, p[1]) == 2 &&
            write(s[0], "ef", 2) == 2;
    close(p[1]);
    good &= read(p[0], text, 0) == 0 && receive_file(s[1], text, 8, MSG_PEEK, &fd, NULL) == 4 &&
            fd >= 0 && close(fd) == 0;
    told = 0;
    good &= receive_file(s[1], text, 8, MSG_CMSG_CLOEXEC, &fd, &told) == 4 &&
            !memcmp(text, "abcd", 4) && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC &&
            (told & MSG_CTRUNC) == 0;
    good &= write(fd, "x", 1) == 1 && read(p[0], text, 8) == 1 && read(s[1], text, 8) == 2;
    close(fd);
    good &= read(p[0], text, 8) == 0;
    result(good, "a descriptor comes with the bytes that it was sent with");
    good = send_file(s[0], "x", 1, p[0]) == 1;
    told = -1;
    good &= receive_file(s[1], text, 8, 0, &fd, &told) == 1 && fd < 0 && (told & MSG_CTRUNC);
    good &= FAILS(send_file(s[0], "x", 1, 999), EBADF) &&
            FAILS(receive_file(s[1], text, 8, 0, &fd, NULL), EAGAIN);
    result(good, "or is lost where there is no room for it, which is told");
    pipe(p + 0);
    good = send_file(s[0], "x", 1, p[1]) == 1;
    close(p[1]);
    close(s[0]);
    close(s[1]);
    good &= read(p[0], text, 1) == 0;
    result(good, "and is closed with the socket that was to receive it");
    close(p[0]);
}

/* Sockets that are under way in each other end like all others: a pipe that is under way with them is closed. */
static void check_cycles(void)
{
    int s[2], p[2], good = pipe(p) == 0;
    char c;
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        good &= socketpair(AF_UNIX, i ? SOCK_STREAM : SOCK_DGRAM, 0, s) == 0;
        good &= send_file(s[0], "a", 1, s[0]) == 1 && send_file(s[0], "b", 1, s[1]) == 1 &&
                send_file(s[1], "c", 1, s[i == 2]) == 1 && send_file(s[0], "d", 1, p[1]) == 1;
        close(s[0]);
        close(s[1]);
    }
    close(p[1]);
    good &= FAILS(read(p[0], &c, 1), EAGAIN); /* they still hold it */
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    close(s[0]);
    close(s[1]);
    int n = -1;
    for (int i = 0; i < 1000 && n; i++) { /* Linux does it in its own time */
        n = read(p[0], &c, 1);
        usleep(n ? 1000 : 0);
    }
    result(good && n == 0, "sockets under way in each other are collected");
    close(p[0]);
    /* Deeper than any stack. */
    good = socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0;
    for (int i = 0; i < 500; i++) {
        int next[2];
        good &= socketpair(AF_UNIX, SOCK_STREAM, 0, next) == 0;
        if (send_file(next[0], "x", 1, s[1]) != 1)
            good &= errno == ETOOMANYREFS;
        close(s[0]);
        close(s[1]);
        s[0] = next[0];
        s[1] = next[1];
    }
    close(s[0]);
    close(s[1]);
    result(good, "a socket in a socket in a socket, 500 times");
}

static void check_credentials(void)
{
    int s[2], on = 1, good = socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0;
    char control[CMSG_SPACE(sizeof(struct ucred))], text[4];
    struct iovec v = {text, sizeof(text)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    good &= setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
            send(s[0], "abc", 3, 0) == 3;
    m.msg_control = control;
    m.msg_controllen = sizeof(control);
    good &= recvmsg(s[1], &m, 0) == 3;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    struct ucred who = {0};
    good &= c && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(who));
    if (c)
        memcpy(&who, CMSG_DATA(c), sizeof(who));
    good &= who.pid == getpid() && who.uid == geteuid() && who.gid == getegid();
    result(good, "SO_PASSCRED: who has sent it comes along");
    if (c) {
        who.pid = 0x3fffffff;
        memcpy(CMSG_DATA(c), &who, sizeof(who));
        m.msg_controllen = sizeof(control);
        good = FAILS(sendmsg(s[0], &m, 0), geteuid() ? EPERM : ESRCH);
        who.pid = getpid();
        memcpy(CMSG_DATA(c), &who, sizeof(who));
        good &= sendmsg(s[0], &m, 0) == 4;
        c->cmsg_type = 77;
        good &= FAILS(sendmsg(s[0], &m, 0), EINVAL);
        c->cmsg_len = 3;
        good &= FAILS(sendmsg(s[0], &m, 0), EINVAL);
    }
    result(good, "nobody says that it is a process which is not there");
    close(s[0]);
    close(s[1]);
}

/* Whoever wants to know who has sent what gets what one has sent, however much was asked for. */
static void check_senders(void)
{
    int s[2], on = 1,
              good = socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 &&
                     setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0;
    char text[8];
    good &= write(s[1], "a", 1) == 1;
    const pid_t pid = fork();
    if (!pid)
        _exit(write(s[1], "b", 1) != 1);
    waitpid(pid, NULL, 0);
    alarm(10);
    good &= recv(s[0], text, sizeof(text), MSG_WAITALL) == 1 && text[0] == 'a' &&
            recv(s[0], text, 1, MSG_WAITALL) == 1 && text[0] == 'b';
    alarm(0);
    result(good, "SO_PASSCRED: MSG_WAITALL ends where another sender's begins");
    close(s[0]);
    close(s[1]);
}

static void check_datagrams(void)
{
    const int server = new_socket(SOCK_DGRAM | SOCK_NONBLOCK),
              client = new_socket(SOCK_DGRAM | SOCK_NONBLOCK);
    struct sockaddr_un from;
    socklen_t room = sizeof(from), size;
    char text[8];
    unlink(NAME);
    int good = bind_path(server, NAME) == 0 && bind_path(client, FOLDER "/c") == 0 &&
               FAILS(send(client, "x", 1, 0), ENOTCONN);
    size = path_address(NAME);
    good &= sendto(client, "hello", 5, 0, (void *)&address, size) == 5 &&
            recvfrom(server, text, 3, MSG_PEEK | MSG_TRUNC, (void *)&from, &room) == 5 &&
            !strcmp(from.sun_path, FOLDER "/c") && recvfrom(server, text, 3, 0, NULL, NULL) == 3 &&
            FAILS(read(server, text, 1), EAGAIN);
    result(good, "a datagram to a name, and from whom");
    int sent = 0, left = 0;
    while (sent < 1000 && sendto(client, "x", 1, 0, (void *)&address, size) == 1)
        sent++;
    good = errno == EAGAIN && sent >= 11 && sent < 1000;
    good &= connect(client, (void *)&address, size) == 0 && (events(client) & POLLOUT) == 0;
    while (read(server, text, 1) == 1)
        left++;
    good &= left == sent && (events(client) & POLLOUT);
    result(good, "datagrams wait until somebody takes some");
    const int third = new_socket(SOCK_DGRAM);
    good = connect_path(server, FOLDER "/c") == 0 && FAILS(connect_path(third, NAME), EPERM);
    path_address(NAME);
    good &= FAILS(sendto(third, "x", 1, 0, (void *)&address, size), EPERM) &&
            FAILS(sendto(third, "x", 1, 0, (void *)&address, 2), EINVAL);
    address.sun_family = AF_UNSPEC;
    good &=
        connect(server, (void *)&address, sizeof(address)) == 0 && connect_path(third, NAME) == 0;
    result(good, "who is connected takes nobody else's datagrams");
    static char big[300000];
    good = FAILS(send(third, big, sizeof(big), 0), EMSGSIZE);
    close(server);
    good &=
        FAILS(send(client, "x", 1, 0), ECONNREFUSED) && FAILS(send(client, "x", 1, 0), ENOTCONN);
    result(good, "a datagram that is too long; one to nobody");
    close(client);
    close(third);
    unlink(NAME);
    unlink(FOLDER "/c");
}

static void check_flags(void)
{
    int s[2], good = socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, n = 0;
    char text[8];
    const struct timeval soon = {0, 1000};
    good &= write(s[0], "one", 3) == 3 && write(s[0], "two", 3) == 3 &&
            recv(s[1], text, 8, MSG_PEEK) == 6 && ioctl(s[1], FIONREAD, &n) == 0 && n == 6 &&
            recv(s[1], text, 4, MSG_WAITALL) == 4 && !memcmp(text, "onet", 4) &&
            ioctl(s[0], TIOCOUTQ, &n) == 0 && n > 0 && read(s[1], text, 8) == 2 &&
            ioctl(s[0], TIOCOUTQ, &n) == 0 && n == 0;
    const pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 4; i++)
            if (write(s[0], "ab", 2) != 2 || poll(NULL, 0, 1) < 0)
                _exit(1);
        _exit(0);
    }
    good &= recv(s[1], text, 8, MSG_WAITALL) == 8 && !memcmp(text, "abababab", 8);
    waitpid(pid, NULL, 0);
    result(good, "MSG_PEEK leaves it there, MSG_WAITALL waits for all");
    good = setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)) == 0 &&
           FAILS(read(s[1], text, 1), EAGAIN) &&
           FAILS(setsockopt(s[1], SOL_SOCKET, 9999, &n, sizeof(n)), ENOPROTOOPT) &&
           FAILS(setsockopt(s[1], 77, 1, &n, sizeof(n)), EOPNOTSUPP) &&
           FAILS(getsockopt(s[1], 77, 1, &n, &(socklen_t){4}), EOPNOTSUPP) &&
           FAILS(send(s[1], text, 1, MSG_OOB | 0x10000000), EOPNOTSUPP) + 1;
    result(good, "SO_RCVTIMEO; options that there are not");
    good = write(s[0], "x", 1) == 1 && close(s[1]) == 0 && FAILS(read(s[0], text, 1), ECONNRESET) &&
           read(s[0], text, 1) == 0 && FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    result(good, "who closes with something unread resets the other end");
    close(s[0]);
    const int loose = new_socket(SOCK_STREAM), packets = new_socket(SOCK_SEQPACKET);
    good = FAILS(read(loose, text, 1), EINVAL) && FAILS(write(loose, text, 1), ENOTCONN) &&
           FAILS(read(packets, text, 1), ENOTCONN) && FAILS(write(packets, text, 1), ENOTCONN);
    path_address(NAME);
    good &= FAILS(sendto(loose, text, 1, 0, (void *)&address, sizeof(address)), EOPNOTSUPP);
    result(good, "who is not connected neither sends nor receives");
    close(loose);
    close(packets);
}

static void check_many(void)
{
    int s[2], good = socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0;
    char text[3][8];
    struct iovec v[3];
    struct mmsghdr m[3];
    memset(m, 0, sizeof(m));
    for (int i = 0; i < 3; i++) {
        snprintf(text[i], 8, "%d", 7 << 4 * i);
        v[i] = (struct iovec){text[i], strlen(text[i])};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    good &=
        sendmmsg(s[0], m, 3, 0) == 3 && m[0].msg_len == 1 && m[1].msg_len == 3 && m[2].msg_len == 4;
    for (int i = 0; i < 3; i++)
        v[i].iov_len = 8;
    memset(text, 0, sizeof(text));
    good &= recvmmsg(s[1], m, 2, 0, NULL) == 2 && m[1].msg_len == 3 && !strcmp(text[1], "112") &&
            recvmmsg(s[1], m, 3, MSG_WAITFORONE, NULL) == 1 && !strcmp(text[0], "1792") &&
            FAILS(recvmmsg(s[1], m, 3, MSG_DONTWAIT, NULL), EAGAIN) &&
            FAILS(recvmmsg(0, m, 3, 0, NULL), ENOTSOCK) && FAILS(sendmmsg(-1, m, 1, 0), EBADF);
    result(good, "sendmmsg and recvmmsg");
    close(s[0]);
    close(s[1]);
}

/* Of another user: the socket's file says who may connect. */
static void check_other_user(void)
{
    if (geteuid() != 0) {
        result(1, "who may connect # SKIP for root");
        return;
    }
    const int listener = new_listener(SOCK_STREAM, 5);
    chmod(NAME, 0700);
    chmod(FOLDER, 0755);
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = new_socket(SOCK_STREAM);
        const int ok = setgid(1000) == 0 && setuid(1000) == 0 &&
                       FAILS(connect_path(fd, NAME), EACCES) &&
                       FAILS(bind_path(fd, FOLDER "/mine"), EACCES);
        _exit(!ok);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    result(status == 0, "a socket's file says who may connect");
    close(listener);
}

/* A listener is told by epoll, once for each who comes if that is asked for. */
static void check_epoll(void)
{
    const int listener = new_listener(SOCK_STREAM, 5), set = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    const int a = new_socket(SOCK_STREAM), b = new_socket(SOCK_STREAM);
    int good = epoll_ctl(set, EPOLL_CTL_ADD, listener, &e) == 0 && epoll_wait(set, &e, 1, 0) == 0 &&
               connect_path(a, NAME) == 0 && epoll_wait(set, &e, 1, 0) == 1 &&
               epoll_wait(set, &e, 1, 0) == 0 && connect_path(b, NAME) == 0 &&
               epoll_wait(set, &e, 1, 0) == 1;
    shutdown(listener, SHUT_RD);
    const int c = new_socket(SOCK_STREAM);
    good &= FAILS(connect_path(c, NAME), ECONNREFUSED);
    result(good, "epoll tells who connects; a listener that is shut down refuses");
    close(listener);
    close(set);
    close(a);
    close(b);
    close(c);
}

/* More than a small machine's memory, as far as it goes: others still get some. */
static void fill(void)
{
    static char block[65536];
    int s[2], fds = 0;
    while (fds < 900 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0) {
        fds += 2;
        while (write(s[0], block, sizeof(block)) > 0)
            ;
    }
    char *m = mmap(NULL, 0x40000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 1, 0x40000);
    _exit(m[0x3ffff] != 1);
}

static void check_full_memory(void)
{
    const int status = child(fill);
    result(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "sockets that are full of bytes leave memory for others");
}

void sockets_cycle(void)
{
    int s[2], fd;
    char c;
    const int listener = new_socket(SOCK_STREAM), client = new_socket(SOCK_STREAM);
    unlink("/tmp/check-cycle-socket");
    bind_path(listener, "/tmp/check-cycle-socket");
    listen(listener, 1);
    connect_path(client, "/tmp/check-cycle-socket");
    close(accept(listener, NULL, NULL));
    close(client);
    close(listener);
    unlink("/tmp/check-cycle-socket");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
        return;
    send_file(s[0], "x", 1, s[1]);
    send_file(s[0], "x", 1, s[1]);
    if (receive_file(s[1], &c, 1, 0, &fd, NULL) == 1)
        close(fd);
    close(s[0]);
    close(s[1]);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    close(s[0]);
    close(s[1]);
}

void check_sockets(void)
{
    mkdir(FOLDER, 0755);
    unlink(NAME);
    unlink(FOLDER "/client");
    unlink(FOLDER "/c");
    check_bind();
    check_abstract();
    check_listen();
    check_waiting();
    check_rights();
    check_senders();
    check_cycles();
    check_credentials();
    check_datagrams();
    check_flags();
    check_many();
    check_other_user();
    check_epoll();
    check_full_memory();
    unlink(NAME);
    unlink(FOLDER "/client");
    rmdir(FOLDER);
}
