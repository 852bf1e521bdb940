/* Sockets: their beginning and end, and what they are as files. */
#include "socket.h"
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "notice.h"
#include "page.h"
#include "process.h"
#include "syscall.h"
#include "platform/platform.h"

struct list all_sockets = LIST_INIT(all_sockets);

struct socket *socket_new(unsigned family, unsigned type)
{
    struct socket *s = heap_alloc_for(PAGE_FOR_FILE, sizeof(*s));
    if (!s)
        return NULL;
    s->refs = 1;
    s->family = family;
    s->type = type;
    s->send_size = s->receive_size = SOCKET_SIZE;
    s->peer_identity = (struct identity){0, ~0u, ~0u};
    wait_init(&s->changed);
    list_init(&s->abstract);
    list_init(&s->queue);
    list_init(&s->pending);
    list_init(&s->waiting);
    list_init(&s->work);
    list_add(&s->all, &all_sockets);
    return s;
}

void socket_put(struct socket *s)
{
    if (--s->refs)
        return;
    list_remove(&s->all);
    heap_free(s->settings);
    name_put(s->remote);
    name_put(s->name); /* until now others could ask for it */
    heap_free(s);
}

struct file *socket_open(struct socket *s, unsigned flags)
{
    struct inode *inode = inode_new(S_IFSOCK | 0777);
    struct file *file = inode ? file_new(inode, &socket_ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
    if (inode) {
        inode->uid = process_current()->credentials.user.file;
        inode->gid = process_current()->credentials.group.file;
        inode_put(inode);
    }
    if (file) {
        file->object = s;
        s->file = file;
    }
    return file;
}

struct identity identity_current(void)
{
    const struct process *p = process_current();
    return (struct identity){p->pid, p->credentials.user.effective, p->credentials.group.effective};
}

void socket_wake(struct socket *s)
{
    wait_wake(&s->changed);
    wait_wake(&poll_wait);
    notice();
}

int socket_wait(struct socket *s, uint64_t deadline)
{
    if (!deadline)
        return -EAGAIN;
    socket_get(s);
    const int rc = wait_until(&s->changed, deadline);
    socket_put(s);
    /* What is left of a time is not known any more when the call is started again. */
    return rc == -ETIMEDOUT ? -EAGAIN : rc && deadline != FOREVER ? -EINTR : rc;
}

uint64_t socket_deadline(const struct file *file, unsigned flags, uint64_t timeout)
{
    if ((file->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT))
        return 0;
    return timeout ? platform_time() + timeout : FOREVER;
}

int socket_error_take(struct socket *s)
{
    const int error = s->error;
    s->error = 0;
    return error;
}

void socket_join(struct socket *one, struct socket *other)
{
    socket_get(one);
    socket_get(other);
    one->peer = other;
    other->peer = one;
    one->connected = other->connected = one->type != SOCK_DGRAM;
    if (socket_inet(one))
        return; /* where nobody is told who it is */
    one->peer_identity = other->identity;
    other->peer_identity = one->identity;
}

/* The end at the other side of a connection learns that @s has gone; @reset: something was lost. */
static void leave_peer(struct socket *s, bool reset)
{
    struct socket *const peer = s->peer;
    if (!peer)
        return;
    s->peer = NULL;
    if (s->type != SOCK_DGRAM) {
        peer->shut_read = peer->shut_write = true;
        if (reset)
            peer->error = ECONNRESET;
    }
    socket_wake(peer);
    socket_put(peer);
}

static void end_pending(struct socket *s)
{
    struct socket *p, *after;
    list_for_each_safe(p, after, &s->pending, waiting)
    {
        list_remove(&p->waiting);
        leave_peer(p, true);
        socket_end(p);
    }
    s->pending_count = 0;
}

void socket_leave(struct socket *s)
{
    /* The other end must not tell @s of its own end, when @s may be connected anew. */
    if (s->peer && s->peer->peer == s) {
        s->peer->peer = NULL;
        socket_put(s);
    }
    leave_peer(s, true);
}

void socket_unlisten(struct socket *s)
{
    s->listening = false;
    end_pending(s);
    socket_wake(s);
}

void socket_end(struct socket *s)
{
    s->dead = true;
    s->file = NULL;
    socket_unbind(s);
    leave_peer(s, s->packets);
    end_pending(s);
    socket_wake(s);
    socket_queue_drop(s);
    socket_put(s);
}

static void socket_release(struct file *file)
{
    if (file->object)
        socket_end(file->object);
}

/* ---- As files ---- */

static long socket_read(struct file *file, user_t to, size_t size)
{
    struct socket *s = file->object;
    const struct linux_iovec whole = {to, size};
    struct message m = {.pieces = &whole, .count = 1, .size = size};
    m.deadline = socket_deadline(file, 0, s->receive_timeout);
    const long n = socket_receive(s, &m);
    message_end(&m); /* files that came along have nowhere to go */
    return n;
}

static long socket_write(struct file *file, user_t from, size_t size)
{
    struct socket *s = file->object;
    const struct linux_iovec whole = {from, size};
    struct message m = {.pieces = &whole, .count = 1, .size = size, .identity = identity_current()};
    m.deadline = socket_deadline(file, 0, s->send_timeout);
    return socket_send(s, &m);
}

static int socket_poll(struct file *file)
{
    const struct socket *s = file->object;
    const bool connects = s->type != SOCK_DGRAM;
    int ready = s->error ? POLLERR : 0;
    if (s->packets || s->pending_count || s->shut_read)
        ready |= POLLIN;
    if (s->shut_read)
        ready |= POLLRDHUP;
    if ((s->shut_read && s->shut_write) || (connects && !s->connected && !s->listening))
        ready |= POLLHUP;
    return ready | (socket_has_room(s) ? POLLOUT : 0);
}

static uint64_t socket_arrived(struct file *file)
{
    return ((const struct socket *)file->object)->arrived;
}

static long socket_ioctl(struct file *file, unsigned command, user_t arg)
{
    const struct socket *s = file->object;
    const int answer = command == FIONREAD ? socket_available(s) : s->sent;
    if (command != FIONREAD && command != TIOCOUTQ)
        return -ENOTTY;
    return s->listening ? -EINVAL : user_write(arg, &answer, sizeof(answer));
}

const struct file_ops socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .arrived = socket_arrived,
    .ioctl = socket_ioctl,
    .release = socket_release,
    .no_offset = true,
};

struct file *socket_file(int fd, long *rc)
{
    struct file *file = fd_file(fd);
    *rc = !file ? -EBADF : file->ops != &socket_ops ? -ENOTSOCK : 0;
    return *rc ? NULL : file;
}

/* ---- System calls ---- */

/* What a protocol of AF_UNIX can be. */
static int check_unix(unsigned *type, unsigned protocol)
{
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (*type == SOCK_RAW)
        *type = SOCK_DGRAM; /* as Linux has it */
    return *type == SOCK_STREAM || *type == SOCK_DGRAM || *type == SOCK_SEQPACKET
               ? 0
               : -ESOCKTNOSUPPORT;
}

static int check_inet(unsigned type, unsigned protocol)
{
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return type == SOCK_RAW ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
    return protocol && protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP)
               ? -EPROTONOSUPPORT
               : 0;
}

/* A new socket as calls ask for it by their first three arguments. */
static int socket_create(const struct syscall_args *a, struct file **file)
{
    const unsigned flags = SOCK_NONBLOCK | SOCK_CLOEXEC, family = a->arg[0];
    unsigned type = a->arg[1] & ~(uint64_t)flags;
    if (type >= SOCK_LIMIT)
        return -EINVAL;
    const int rc = family == AF_UNIX   ? check_unix(&type, a->arg[2])
                   : family == AF_INET ? check_inet(type, a->arg[2])
                                       : -EAFNOSUPPORT;
    if (rc)
        return rc;
    struct socket *s = socket_new(family, type);
    *file = s ? socket_open(s, a->arg[1]) : NULL;
    if (s && !*file)
        socket_put(s);
    return *file ? 0 : -ENOMEM;
}

long syscall_socket(const struct syscall_args *a)
{
    struct file *file;
    const int rc = socket_create(a, &file);
    return rc ? rc : fd_open(file, a->arg[1] & SOCK_CLOEXEC);
}

/* Two sockets that are each other's other end. */
static int pair_create(const struct syscall_args *a, struct file *ends[2])
{
    int rc = socket_create(a, &ends[0]);
    if (rc)
        return rc;
    rc = socket_create(a, &ends[1]);
    if (rc) {
        file_put(ends[0]);
        return rc;
    }
    struct socket *const one = ends[0]->object, *const other = ends[1]->object;
    one->identity = other->identity = identity_current();
    socket_join(one, other);
    return 0;
}

long syscall_socketpair(const struct syscall_args *a)
{
    const bool close_on_exec = a->arg[1] & SOCK_CLOEXEC;
    const unsigned type = a->arg[1] & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct file *ends[2];
    int fds[2];
    if (type < SOCK_LIMIT && a->arg[0] == AF_INET) {
        const int rc = check_inet(type, a->arg[2]);
        return rc ? rc : -EOPNOTSUPP;
    }
    const int failed = pair_create(a, ends);
    if (failed)
        return failed;
    fds[0] = fd_open(ends[0], close_on_exec);
    fds[1] = fd_open(ends[1], close_on_exec);
    if (fds[0] >= 0 && fds[1] >= 0 && !user_write(a->arg[3], fds, sizeof(fds)))
        return 0;
    const int rc = fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : -EFAULT;
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            (void)!fd_close(fds[i]);
    return rc;
}

long syscall_shutdown(const struct syscall_args *a)
{
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    const unsigned how = a->arg[1];
    if (!file || how > 2)
        return file ? -EINVAL : rc;
    struct socket *s = file->object, *peer = s->peer;
    const bool read = how != 1, write = how != 0;
    if (socket_inet(s))
        return inet_shutdown(s, read, write);
    s->shut_read |= read;
    s->shut_write |= write;
    socket_wake(s);
    if (peer && s->type != SOCK_DGRAM) {
        peer->shut_read |= write;
        peer->shut_write |= read;
        socket_wake(peer);
    }
    return 0;
}
