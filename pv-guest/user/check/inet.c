/*
 * Sockets of AF_INET between processes of one machine: 127.0.0.1.
 *
 * On another Linux the interface has to be up (ifconfig lo up).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static struct sockaddr_in inet(uint32_t address, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
}

static int bind_to(int fd, uint32_t address, uint16_t port)
{
    const struct sockaddr_in a = inet(address, port);
    return bind(fd, (const void *)&a, sizeof(a));
}

static int connect_to(int fd, uint32_t address, uint16_t port)
{
    const struct sockaddr_in a = inet(address, port);
    return connect(fd, (const void *)&a, sizeof(a));
}

static int send_to(int fd, const char *text, uint32_t address, uint16_t port)
{
    const struct sockaddr_in a = inet(address, port);
    return sendto(fd, text, strlen(text), 0, (const void *)&a, sizeof(a));
}

static struct sockaddr_in own(int fd)
{
    struct sockaddr_in a = {0};
    socklen_t size = sizeof(a);
    getsockname(fd, (void *)&a, &size);
    return a;
}

static uint16_t port_of(int fd)
{
    return ntohs(own(fd).sin_port);
}

static int is_local(struct sockaddr_in a, uint16_t port)
{
    return a.sin_family == AF_INET && ntohl(a.sin_addr.s_addr) == INADDR_LOOPBACK &&
           ntohs(a.sin_port) == port;
}

/* A socket that listens at *@port of 127.0.0.1. */
static int listener(int flags, uint16_t *port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (bind_to(fd, INADDR_LOOPBACK, 0) || listen(fd, 5))
        return -1;
    *port = port_of(fd);
    return fd;
}

/* Two ends of one connection. */
static int connection(int ends[2])
{
    uint16_t port;
    const int l = listener(0, &port);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    const int rc = connect_to(ends[0], INADDR_LOOPBACK, port);
    ends[1] = accept(l, NULL, NULL);
    close(l);
    return rc || ends[1] < 0;
}

static int error_of(int fd)
{
    int error = -1;
    socklen_t size = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static int events_of(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* ---- Streams ---- */

static void check_connection(void)
{
    uint16_t port = 0;
    struct sockaddr_in a = {0};
    socklen_t size = sizeof(a);
    char text[16] = "";
    const int l = listener(0, &port), one = socket(AF_INET, SOCK_STREAM, 0);
    int good = l >= 0 && port >= 1024 && events_of(l) == 0 &&
               connect_to(one, INADDR_LOOPBACK, port) == 0 && events_of(l) == POLLIN;
    const int other = accept(l, (void *)&a, &size);
    good &= other >= 0 && size == sizeof(a) && is_local(a, port_of(one));
    result(good, "a connection to 127.0.0.1 is accepted");
    size = sizeof(a);
    good = getpeername(one, (void *)&a, &size) == 0 && is_local(a, port) &&
           is_local(own(one), port_of(one)) && is_local(own(other), port);
    result(good, "both ends of it know both names");
    size = sizeof(a);
    good = write(one, "there", 5) == 5 && recvfrom(other, text, 16, 0, (void *)&a, &size) == 5 &&
           !memcmp(text, "there", 5) && size == 0 && send(other, "back", 4, 0) == 4 &&
           read(one, text, 16) == 4;
    result(good, "bytes go both ways, and have no sender's name");
    good = events_of(one) == POLLOUT && shutdown(one, SHUT_WR) == 0 &&
           events_of(other) == (POLLIN | POLLOUT | POLLRDHUP) && read(other, text, 1) == 0 &&
           write(other, "x", 1) == 1 && read(one, text, 1) == 1 &&
           FAILS(send(one, "x", 1, MSG_NOSIGNAL), EPIPE);
    result(good, "shutdown ends one way");
    close(other);
    good = read(one, text, 1) == 0;
    close(one);
    close(l);
    result(good && !connection((int[2]){0}),
           "the end of the other side is the end of what can be read");
}

static void check_stream_refusals(void)
{
    uint16_t port;
    char c;
    struct sockaddr_in a = inet(INADDR_LOOPBACK, 1);
    const int l = listener(0, &port), one = socket(AF_INET, SOCK_STREAM, 0);
    result(FAILS(connect(one, (void *)&a, sizeof(a)), ECONNREFUSED) &&
               FAILS(connect(one, (void *)&a, sizeof(a)), ECONNREFUSED) &&
               FAILS(connect(one, (void *)&a, 15), EINVAL) &&
               FAILS(connect(one, (void *)&a, 1), EINVAL) &&
               FAILS(connect(one, (void *)8, 16), EFAULT),
           "where nobody listens a connection is refused");
    a.sin_family = 47;
    result(FAILS(connect(one, (void *)&a, sizeof(a)), EAFNOSUPPORT) &&
               FAILS(bind(one, (void *)&a, sizeof(a)), EAFNOSUPPORT) &&
               FAILS(connect_to(one, 0x0a000001, 80), ENETUNREACH) &&
               FAILS(bind_to(one, 0x0a000001, 80), EADDRNOTAVAIL),
           "there is no other network, and no other address");
    result(connect_to(one, INADDR_ANY, port) == 0 &&
               FAILS(connect_to(one, INADDR_LOOPBACK, port), EISCONN) &&
               FAILS(connect_to(l, INADDR_LOOPBACK, port), EISCONN) &&
               FAILS(bind_to(one, INADDR_LOOPBACK, 0), EINVAL) && FAILS(listen(one, 1), EINVAL) &&
               FAILS(bind_to(l, INADDR_LOOPBACK, 0), EINVAL) && !listen(l, 9),
           "a socket is connected, bound and listens once");
    result(FAILS(recv(one, &c, 1, MSG_OOB), EINVAL) &&
               FAILS(recv(one, &c, 1, MSG_ERRQUEUE), EAGAIN) &&
               FAILS(recv(one, &c, 1, MSG_DONTWAIT), EAGAIN) &&
               FAILS(accept(one, NULL, NULL), EINVAL) && FAILS(recv(l, &c, 1, 0), ENOTCONN) &&
               FAILS(send(l, &c, 1, MSG_NOSIGNAL), EPIPE),
           "refusals of streams");
    close(one);
    close(l);
}

static void check_not_waiting(void)
{
    uint16_t port;
    char c;
    const int l = listener(SOCK_NONBLOCK, &port);
    const int one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
              two = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    result(FAILS(accept(l, NULL, NULL), EAGAIN) &&
               FAILS(connect_to(one, INADDR_LOOPBACK, port), EINPROGRESS) &&
               poll(&(struct pollfd){one, POLLOUT}, 1, 60000) == 1 && error_of(one) == 0 &&
               connect_to(one, INADDR_LOOPBACK, port) == 0 &&
               FAILS(connect_to(one, INADDR_LOOPBACK, port), EISCONN) &&
               poll(&(struct pollfd){l, POLLIN}, 1, 60000) == 1 && accept(l, NULL, NULL) >= 0,
           "connect that does not wait is told by poll and SO_ERROR");
    result(FAILS(connect_to(two, INADDR_LOOPBACK, 1), EINPROGRESS) &&
               poll(&(struct pollfd){two, POLLOUT}, 1, 60000) == 1 &&
               events_of(two) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP) &&
               error_of(two) == ECONNREFUSED && error_of(two) == 0,
           "so is that it was refused");
    result(events_of(socket(AF_INET, SOCK_STREAM, 0)) == (POLLOUT | POLLHUP) &&
               FAILS(read(one, &c, 1), EAGAIN),
           "poll of a socket that was never connected");
    close(one);
    close(two);
    close(l);
}

static void check_reset(void)
{
    int ends[2];
    char c;
    int good = !connection(ends) && write(ends[0], "lost", 4) == 4 &&
               poll(&(struct pollfd){ends[1], POLLIN}, 1, 60000) == 1;
    close(ends[1]);
    good &= FAILS(read(ends[0], &c, 1), ECONNRESET) && read(ends[0], &c, 1) == 0 &&
            FAILS(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    result(good, "what is closed with bytes unread is reset");
    close(ends[0]);
    uint16_t port;
    const int l = listener(0, &port), one = socket(AF_INET, SOCK_STREAM, 0);
    good = connect_to(one, INADDR_LOOPBACK, port) == 0;
    close(l);
    result(good && FAILS(read(one, &c, 1), ECONNRESET),
           "so are those whom a listener has not accepted");
    close(one);
}

static void check_disconnect(void)
{
    int ends[2];
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(none);
    char c;
    const int good = !connection(ends) && connect(ends[0], &none, sizeof(none)) == 0 &&
                     FAILS(getpeername(ends[0], &none, &size), ENOTCONN) &&
                     FAILS(recv(ends[0], &c, 1, 0), ECONNRESET) &&
                     FAILS(recv(ends[0], &c, 1, 0), ENOTCONN) &&
                     FAILS(recv(ends[1], &c, 1, 0), ECONNRESET);
    result(good, "connect to AF_UNSPEC leaves a connection");
    close(ends[0]);
    close(ends[1]);
}

/* The end that was left does not tell who left it of its own end. */
static void check_connected_anew(void)
{
    int ends[2];
    uint16_t port;
    char c;
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    const int l = listener(0, &port);
    int good = !connection(ends) && connect(ends[0], &none, sizeof(none)) == 0 &&
               error_of(ends[0]) == ECONNRESET && connect_to(ends[0], INADDR_LOOPBACK, port) == 0;
    const int other = accept(l, NULL, NULL);
    close(ends[1]);
    good &= send(ends[0], "x", 1, MSG_NOSIGNAL) == 1 && recv(other, &c, 1, 0) == 1 &&
            send(other, "y", 1, MSG_NOSIGNAL) == 1 && recv(ends[0], &c, 1, 0) == 1 && c == 'y';
    result(good, "who has left a connection can have another");
    close(ends[0]);
    close(other);
    close(l);
}

/* Those who do not wait for their turn in the line. */
static void check_line(void)
{
    uint16_t port;
    int most = 0;
    const int l = listener(SOCK_NONBLOCK, &port);
    listen(l, 1);
    for (int i = 0; i < 6000; i++) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect_to(fd, INADDR_LOOPBACK, port);
        close(fd);
    }
    for (int fd; (fd = accept(l, NULL, NULL)) >= 0; most++)
        close(fd);
    result(most <= 4097, "a listener's line has an end");
    close(l);
}

/* ---- Ports ---- */

static void check_port_zero(void)
{
    const int stream = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    const int one = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
    result(FAILS(connect_to(one, INADDR_LOOPBACK, 0), ECONNREFUSED) &&
               connect_to(other, INADDR_LOOPBACK, 0) == 0 &&
               (send(other, "x", 1, 0) == 1 || errno == ECONNREFUSED),
           "a socket without a port is not at port 0");
    close(one);
    close(other);
    close(stream);
    close(datagrams);
}

static void check_ports(void)
{
    uint16_t port;
    const int on = 1, l = listener(0, &port), other = socket(AF_INET, SOCK_STREAM, 0);
    result(FAILS(bind_to(other, INADDR_LOOPBACK, port), EADDRINUSE) &&
               FAILS(bind_to(other, INADDR_ANY, port), EADDRINUSE) &&
               bind_to(other, 0x7f000002, port) == 0,
           "an address and port are one socket's");
    const int third = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(third, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    result(FAILS(bind_to(third, INADDR_LOOPBACK, port), EADDRINUSE) &&
               bind_to(udp, INADDR_LOOPBACK, port) == 0,
           "SO_REUSEADDR is not for who listens; another protocol has other ports");
    const int auto_port = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in none = own(auto_port);
    result(!listen(auto_port, 1) && none.sin_port == 0 && port_of(auto_port) >= 1024 &&
               own(auto_port).sin_addr.s_addr == 0,
           "who listens has a port");
    int one[2], pair[2];
    for (int i = 0; i < 2; i++) {
        one[i] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(one[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        pair[i] = socket(AF_INET, SOCK_DGRAM, 0);
        setsockopt(pair[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    }
    int good = bind_to(one[0], INADDR_LOOPBACK, 0) == 0 &&
               bind_to(one[1], INADDR_LOOPBACK, port_of(one[0])) == 0 && !listen(one[0], 1) &&
               FAILS(listen(one[1], 1), EADDRINUSE);
    good &=
        bind_to(pair[0], INADDR_ANY, 0) == 0 && bind_to(pair[1], INADDR_ANY, port_of(pair[0])) == 0;
    result(good, "SO_REUSEADDR and SO_REUSEPORT share a port");
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(pair[i]);
    }
    close(l);
    close(other);
    close(third);
    close(udp);
    close(auto_port);
}

static void low_port(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (setgid(1000) || setuid(1000) || !FAILS(bind_to(fd, INADDR_LOOPBACK, 80), EACCES))
        _exit(1);
    _exit(bind_to(fd, INADDR_LOOPBACK, 0) != 0);
}

/* ---- Datagrams ---- */

static void check_datagrams(void)
{
    struct sockaddr_in a;
    socklen_t size = sizeof(a);
    char text[16] = "";
    const int one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
    int good = bind_to(other, INADDR_ANY, 0) == 0 &&
               send_to(one, "first", INADDR_LOOPBACK, port_of(other)) == 5 &&
               send_to(one, "", INADDR_LOOPBACK, port_of(other)) == 0 &&
               recvfrom(other, text, 16, 0, (void *)&a, &size) == 5 && !memcmp(text, "first", 5) &&
               is_local(a, port_of(one)) && port_of(one) >= 1024 && recv(other, text, 16, 0) == 0;
    result(good, "a datagram comes with its sender's name");
    good = sendto(other, "reply", 5, 0, (void *)&a, sizeof(a)) == 5 &&
           recv(one, text, 2, MSG_TRUNC) == 5 && FAILS(recv(one, text, 1, MSG_DONTWAIT), EAGAIN);
    result(good, "and can be answered; what does not fit is lost");
    good = connect_to(one, INADDR_LOOPBACK, port_of(other)) == 0 && send(one, "x", 1, 0) == 1 &&
           recv(other, text, 1, 0) == 1;
    const int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    good &= send_to(stranger, "no", INADDR_LOOPBACK, port_of(one)) == 2 &&
            FAILS(recv(one, text, 2, MSG_DONTWAIT), EAGAIN);
    result(good, "a connected socket hears its partner alone");
    close(other);
    good = send(one, "x", 1, 0) == 1 && error_of(one) == ECONNREFUSED &&
           send(one, "x", 1, 0) == 1 && FAILS(send(one, "x", 1, 0), ECONNREFUSED);
    result(good, "who is connected to nobody hears of it");
    close(one);
    close(stranger);
}

static void check_datagram_refusals(void)
{
    static char big[65508];
    struct sockaddr_in a = inet(INADDR_LOOPBACK, 9);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    result(FAILS(send(fd, "x", 1, 0), EDESTADDRREQ) &&
               FAILS(sendto(fd, "x", 1, 0, (void *)&a, 15), EINVAL) &&
               FAILS(send_to(fd, "x", INADDR_LOOPBACK, 0), EINVAL) &&
               FAILS(send_to(fd, "x", 0x0a000001, 9), ENETUNREACH) &&
               FAILS(sendto(fd, big, sizeof(big), 0, (void *)&a, sizeof(a)), EMSGSIZE) &&
               FAILS(sendto(fd, "x", 1, MSG_OOB, (void *)&a, sizeof(a)), EOPNOTSUPP) &&
               sendto(fd, big, sizeof(big) - 1, 0, (void *)&a, sizeof(a)) == sizeof(big) - 1,
           "refusals of datagrams");
    result(FAILS(listen(fd, 1), EOPNOTSUPP) && FAILS(accept(fd, NULL, NULL), EOPNOTSUPP) &&
               FAILS(shutdown(fd, SHUT_RD), ENOTCONN) &&
               FAILS(recv(fd, big, 1, MSG_DONTWAIT | MSG_ERRQUEUE), EAGAIN),
           "who sends datagrams does not listen");
    close(fd);
}

/* ---- Options ---- */

static int get(int fd, int level, int option, int *value)
{
    socklen_t size = sizeof(*value);
    return getsockopt(fd, level, option, value, &size);
}

static void check_options(void)
{
    int value = 1;
    socklen_t size = sizeof(value);
    const int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    int good = !get(tcp, IPPROTO_TCP, TCP_NODELAY, &value) && value == 0;
    value = 1;
    good &= !setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) &&
            !get(tcp, IPPROTO_TCP, TCP_NODELAY, &value) && value == 1 &&
            !setsockopt(tcp, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value));
    value = 0;
    good &= !get(tcp, SOL_SOCKET, SO_KEEPALIVE, &value) && value == 1 &&
            !get(tcp, IPPROTO_IP, IP_TTL, &value) && value == 64 &&
            !get(tcp, SOL_SOCKET, SO_PROTOCOL, &value) && value == IPPROTO_TCP;
    result(good, "options of sockets are kept and told");
    result(FAILS(get(tcp, 500, 1, &value), EOPNOTSUPP) &&
               FAILS(get(tcp, IPPROTO_UDP, 1, &value), EOPNOTSUPP) &&
               FAILS(get(tcp, IPPROTO_TCP, -1, &value), ENOPROTOOPT) &&
               FAILS(get(tcp, IPPROTO_IP, -1, &value), ENOPROTOOPT) &&
               FAILS(get(udp, IPPROTO_UDP, 99, &value), ENOPROTOOPT) &&
               FAILS(get(tcp, SOL_SOCKET, -1, &value), ENOPROTOOPT) &&
               FAILS(setsockopt(tcp, 500, 1, &value, sizeof(value)), ENOPROTOOPT) &&
               FAILS(setsockopt(tcp, IPPROTO_TCP, -1, &value, sizeof(value)), ENOPROTOOPT) &&
               FAILS(setsockopt(tcp, IPPROTO_IP, -1, &value, sizeof(value)), ENOPROTOOPT) &&
               FAILS(getsockopt(tcp, IPPROTO_IP, IP_TTL, (void *)8, &size), EFAULT) &&
               FAILS(getsockopt(tcp, IPPROTO_IP, IP_TTL, &value, (void *)8), EFAULT),
           "options that there are not");
    close(tcp);
    close(udp);
}

/* A server with a child as its client, and both ends in an epoll. */
static void check_server(void)
{
    uint16_t port;
    struct epoll_event e = {EPOLLIN};
    char buffer[4096];
    long sum = 0, n = 1;
    const int l = listener(0, &port), ep = epoll_create1(0);
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        memset(buffer, 'x', sizeof(buffer));
        if (connect_to(fd, INADDR_LOOPBACK, port))
            _exit(1);
        for (int i = 0; i < 256; i++)
            if (write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
                _exit(2);
        _exit(0);
    }
    int good = epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0 && epoll_wait(ep, &e, 1, 60000) == 1;
    const int fd = accept(l, NULL, NULL);
    e.events = EPOLLIN;
    good &= epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0;
    while (good && n > 0) {
        good = epoll_wait(ep, &e, 1, 60000) == 1;
        n = read(fd, buffer, sizeof(buffer));
        sum += n;
    }
    int status;
    good &= waitpid(pid, &status, 0) == pid && status == 0 && sum == 256 * (long)sizeof(buffer);
    result(good, "a megabyte comes through a connection, and then its end");
    close(ep);
    close(fd);
    close(l);
}

void check_inet(void)
{
    check_connection();
    check_stream_refusals();
    check_not_waiting();
    check_reset();
    check_disconnect();
    check_connected_anew();
    check_line();
    check_ports();
    check_port_zero();
    result(child(low_port) == 0, "ports below 1024 are root's");
    check_datagrams();
    check_datagram_refusals();
    check_options();
    check_server();
}
