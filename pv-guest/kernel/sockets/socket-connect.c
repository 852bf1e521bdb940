/*
 * How sockets find each other: listen, connect, accept.
 *
 * connect makes the other end at once and puts it among those that the listener
 * has not accepted yet; the two can already send to each other.
 */
#include "errno.h"
#include "heap.h"
#include "process.h"
#include "socket.h"
#include "syscall.h"

long syscall_listen(const struct syscall_args *a)
{
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    rc = socket_inet(s) ? inet_listen(s) : !s->name || s->connected ? -EINVAL : 0;
    if (rc)
        return rc;
    s->listening = true;
    s->backlog = MIN((unsigned)a->arg[1], (unsigned)BACKLOG_MOST);
    s->identity = identity_current();
    socket_wake(s); /* there may be room for more now */
    return 0;
}

/* Does @listener take connections?  1; 0: not now, as too many wait; or -ECONNREFUSED. */
static int takes(const struct socket *listener)
{
    if (listener->dead || !listener->listening || listener->shut_read)
        return -ECONNREFUSED;
    return listener->pending_count <= listener->backlog;
}

/* May @s be connected? */
static int connectable(const struct socket *s)
{
    return s->connected ? -EISCONN : s->listening ? -EINVAL : 0;
}

void socket_offer(struct socket *listener, struct socket *end)
{
    list_add(&end->waiting, &listener->pending);
    listener->pending_count++;
    listener->arrived++;
    socket_wake(listener);
}

/* The end that @listener is going to accept. */
static int make_end(struct socket *s, struct socket *listener)
{
    struct socket *end = socket_new(AF_UNIX, s->type);
    if (!end)
        return -ENOMEM;
    end->identity = listener->identity;
    end->pass_identity = listener->pass_identity;
    end->name = listener->name;
    end->name->refs++;
    s->identity = identity_current();
    socket_join(s, end);
    socket_offer(listener, end);
    socket_wake(s);
    return 0;
}

static int connect_stream(struct socket *s, const struct address *address, uint64_t deadline)
{
    int rc = address_check_unix(address);
    if (!rc && s->pass_identity)
        rc = socket_bind_any(s);
    while (!rc) {
        struct socket *listener;
        rc = socket_find(address, s->type, &listener);
        if (rc)
            return rc;
        rc = takes(listener);
        if (rc > 0) {
            rc = connectable(s);
            rc = rc ? rc : make_end(s, listener);
            socket_put(listener);
            return rc;
        }
        rc = rc ? rc : socket_wait(listener, deadline);
        socket_put(listener);
    }
    return rc;
}

/* From now on @s sends to @to (NULL: to nobody) and hears from nobody else. */
static void set_peer(struct socket *s, struct socket *to)
{
    struct socket *const old = s->peer;
    s->peer = to;
    if (!old)
        return;
    if (old != to && s->packets) {
        socket_queue_drop(s);
        if (!old->dead && old->peer == s)
            old->error = ECONNRESET; /* something was lost */
    }
    socket_wake(old);
    socket_put(old);
}

static int connect_datagrams(struct socket *s, const struct address *address)
{
    struct socket *to;
    if (address->family == AF_UNSPEC) {
        set_peer(s, NULL);
        return 0;
    }
    int rc = address_check_unix(address);
    if (!rc && s->pass_identity)
        rc = socket_bind_any(s);
    if (!rc)
        rc = socket_find(address, s->type, &to);
    if (rc)
        return rc;
    if (to->peer && to->peer != s) {
        socket_put(to);
        return -EPERM;
    }
    set_peer(s, to);
    return 0;
}

long syscall_connect(const struct syscall_args *a)
{
    struct address address;
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    rc = address_read(&address, a->arg[1], a->arg[2]);
    if (rc)
        return rc;
    if (address.size < ADDRESS_FAMILY)
        return -EINVAL;
    if (s->type == SOCK_DGRAM && !socket_inet(s))
        return connect_datagrams(s, &address);
    file_get(file);
    const uint64_t deadline = socket_deadline(file, 0, s->send_timeout);
    rc = socket_inet(s) ? inet_connect(s, &address, deadline)
                        : connect_stream(s, &address, deadline);
    file_put(file);
    return rc;
}

/* Wait for somebody to accept: the first who came, still in his place. */
static int wait_pending(struct socket *s, uint64_t deadline, struct socket **first)
{
    int rc = 0;
    while (!rc && list_empty(&s->pending))
        rc = s->shut_read || !s->listening ? -EINVAL : socket_wait(s, deadline);
    *first = list_entry(s->pending.next, struct socket, waiting);
    return rc;
}

/* Open the next one as a descriptor. */
static long accept_next(struct socket *s, uint64_t deadline, unsigned flags, struct socket **end)
{
    const int rc = wait_pending(s, deadline, end);
    if (rc)
        return rc;
    struct file *file = socket_open(*end, flags);
    const int fd = file ? fd_install(file, 0, flags & SOCK_CLOEXEC) : -ENOMEM;
    if (fd < 0) { /* it keeps its place */
        if (file)
            file->object = NULL;
        if (file)
            file_put(file);
        (*end)->file = NULL;
        return fd;
    }
    list_remove(&(*end)->waiting);
    s->pending_count--;
    socket_wake(s);
    return fd;
}

static long accept(const struct syscall_args *a, unsigned flags)
{
    struct socket *end;
    long rc;
    if (!fd_file(a->arg[0]))
        return -EBADF;
    if (flags & ~(unsigned)(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return -EINVAL;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (!s->listening)
        return -EINVAL;
    file_get(file);
    rc = accept_next(s, socket_deadline(file, 0, s->receive_timeout), flags, &end);
    file_put(file);
    if (rc < 0 || !a->arg[1])
        return rc;
    const struct socket_name *name = socket_inet(end) ? end->remote
                                     : end->peer      ? end->peer->name
                                                      : NULL;
    const int told = name_write(name, a->arg[1], a->arg[2]);
    if (told)
        (void)!fd_close(rc);
    return told ? told : rc;
}

long syscall_accept(const struct syscall_args *a)
{
    return accept(a, 0);
}

long syscall_accept4(const struct syscall_args *a)
{
    return accept(a, a->arg[3]);
}
