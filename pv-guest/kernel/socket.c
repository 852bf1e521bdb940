/*
 * Socket pairs: the only sockets there are, a byte stream in each direction.
 *
 * Each end reads one ring and writes the other.  There is no network and no
 * name space of sockets, so socket(2) says that it knows no address family.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "pipe.h"
#include "signal.h"
#include "syscall.h"

#define AF_UNIX       1
#define SOCK_STREAM   1
#define SOCK_NONBLOCK O_NONBLOCK
#define SOCK_CLOEXEC  O_CLOEXEC
#define MSG_DONTWAIT  0x40
#define MSG_NOSIGNAL  0x4000

struct socket {
    struct pipe *in, *out;
};

static bool waits(const struct file *file, unsigned flags)
{
    return !(file->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT);
}

static long receive(struct file *file, user_t to, size_t size, unsigned flags)
{
    const struct socket *s = file->object;
    return pipe_take(s->in, waits(file, flags), to, size);
}

static long send(struct file *file, user_t from, size_t size, unsigned flags)
{
    const struct socket *s = file->object;
    const long n = s->out->writers ? pipe_give(s->out, waits(file, flags), from, size) : -EPIPE;
    if (n == -EPIPE && !(flags & MSG_NOSIGNAL))
        signal_broken_pipe();
    return n;
}

static long socket_read(struct file *file, user_t to, size_t size)
{
    return receive(file, to, size, 0);
}

static long socket_write(struct file *file, user_t from, size_t size)
{
    return send(file, from, size, 0);
}

static int socket_poll(struct file *file)
{
    const struct socket *s = file->object;
    int ready = 0;
    if (s->in->used || !s->in->writers)
        ready |= POLLIN;
    if (!s->in->writers)
        ready |= s->out->readers ? POLLRDHUP : POLLRDHUP | POLLHUP;
    if (PIPE_SIZE - s->out->used >= PIPE_BUF || !s->out->readers)
        ready |= POLLOUT;
    return ready;
}

static long socket_ioctl(struct file *file, unsigned command, user_t arg)
{
    const struct socket *s = file->object;
    const int available = s->in->used;
    return command == FIONREAD ? user_write(arg, &available, sizeof(available)) : -ENOTTY;
}

/* One end of @p is not used any more; the other end learns of it. */
static void end(struct pipe *p, unsigned *users)
{
    if (*users)
        --*users;
    pipe_wake(p);
}

static void leave(struct pipe *p, unsigned *users)
{
    end(p, users);
    /* Shut down or closed on both sides: each socket holds a ring until it is closed itself. */
    if (--p->holders == 0)
        pipe_free(p);
}

static void socket_release(struct file *file)
{
    struct socket *s = file->object;
    if (!s)
        return;
    leave(s->in, &s->in->readers);
    leave(s->out, &s->out->writers);
    heap_free(s);
}

static const struct file_ops socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .release = socket_release,
};

static struct file *end_create(struct pipe *in, struct pipe *out, unsigned flags)
{
    struct inode *inode = inode_new(S_IFSOCK | 0777);
    struct socket *s = inode ? heap_alloc(sizeof(*s)) : NULL;
    struct file *file = s ? file_new(inode, &socket_ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
    if (inode)
        inode_put(inode);
    if (!file) {
        heap_free(s);
        return NULL;
    }
    s->in = in;
    s->out = out;
    file->object = s;
    in->readers++;
    in->holders++;
    out->writers++;
    out->holders++;
    return file;
}

/* Two connected ends, or -ENOMEM. */
static int pair_create(unsigned flags, struct file *ends[2])
{
    struct pipe *there = pipe_create(), *back = pipe_create();
    ends[0] = there && back ? end_create(back, there, flags) : NULL;
    ends[1] = ends[0] ? end_create(there, back, flags) : NULL;
    if (ends[1])
        return 0;
    if (ends[0]) {
        file_put(ends[0]); /* it frees both rings */
    } else {
        pipe_free(there);
        pipe_free(back);
    }
    return -ENOMEM;
}

long syscall_socketpair(const struct syscall_args *a)
{
    const unsigned type = a->arg[1] & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
    const bool close_on_exec = a->arg[1] & SOCK_CLOEXEC;
    struct file *ends[2];
    int fds[2];

    if (a->arg[0] != AF_UNIX)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM)
        return -ESOCKTNOSUPPORT;
    if (a->arg[2] > AF_UNIX)
        return -EPROTONOSUPPORT;
    if (pair_create(a->arg[1], ends))
        return -ENOMEM;
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

long syscall_socket(const struct syscall_args *a)
{
    return -EAFNOSUPPORT;
}

static struct file *socket_file(int fd, long *rc)
{
    struct file *file = fd_file(fd);
    *rc = !file ? -EBADF : file->ops != &socket_ops ? -ENOTSOCK : 0;
    return *rc ? NULL : file;
}

long syscall_shutdown(const struct syscall_args *a)
{
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file || a->arg[1] > 2)
        return file ? -EINVAL : rc;
    struct socket *s = file->object;
    if (a->arg[1] != 1)
        end(s->in, &s->in->readers);
    if (a->arg[1] != 0)
        end(s->out, &s->out->writers);
    return 0;
}

/* An unnamed AF_UNIX address, as both ends have. */
static long give_address(const struct syscall_args *a)
{
    const uint16_t family = AF_UNIX;
    int32_t room;
    long rc;
    if (!socket_file(a->arg[0], &rc))
        return rc;
    if (user_read(&room, a->arg[2], sizeof(room)))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (user_write(a->arg[1], &family, MIN((size_t)room, sizeof(family))))
        return -EFAULT;
    room = sizeof(family);
    return user_write(a->arg[2], &room, sizeof(room));
}

long syscall_getsockname(const struct syscall_args *a)
{
    return give_address(a);
}

long syscall_getpeername(const struct syscall_args *a)
{
    return give_address(a);
}

#define SOL_SOCKET 1
#define SO_TYPE    3
#define SO_ERROR   4
#define SO_DOMAIN  39

long syscall_getsockopt(const struct syscall_args *a)
{
    int32_t room, value;
    long rc;
    if (!socket_file(a->arg[0], &rc))
        return rc;
    if (user_read(&room, a->arg[4], sizeof(room)))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (a->arg[1] != SOL_SOCKET ||
        (a->arg[2] != SO_TYPE && a->arg[2] != SO_ERROR && a->arg[2] != SO_DOMAIN))
        return -ENOPROTOOPT;
    value = a->arg[2] == SO_TYPE ? SOCK_STREAM : a->arg[2] == SO_DOMAIN ? AF_UNIX : 0;
    room = MIN((size_t)room, sizeof(value));
    if (user_write(a->arg[3], &value, room))
        return -EFAULT;
    return user_write(a->arg[4], &room, sizeof(room));
}

typedef long (*move_fn)(struct file *file, user_t at, size_t size, unsigned flags);

static long move(const struct syscall_args *a, unsigned known, move_fn fn)
{
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file || (a->arg[3] & ~(uint64_t)known))
        return file ? -EOPNOTSUPP : rc;
    file_get(file);
    rc = fn(file, a->arg[1], a->arg[2], a->arg[3]);
    file_put(file);
    return rc;
}

/* An address would be one too many: the other end is connected. */
long syscall_sendto(const struct syscall_args *a)
{
    const long rc = move(a, MSG_DONTWAIT | MSG_NOSIGNAL, send);
    return rc >= 0 && a->arg[4] ? -EISCONN : rc;
}

long syscall_recvfrom(const struct syscall_args *a)
{
    const long rc = move(a, MSG_DONTWAIT | MSG_NOSIGNAL, receive);
    return rc >= 0 && a->arg[5] && user_zero(a->arg[5], 4) ? -EFAULT : rc;
}

struct linux_msghdr {
    uint64_t name, name_size, vector, count, control, control_size, flags;
};

/* The pieces of a message one after the other; what came before an error counts. */
static long move_message(const struct syscall_args *a, unsigned known, move_fn fn)
{
    struct linux_msghdr m;
    long done = 0;
    if (user_read(&m, a->arg[1], sizeof(m)))
        return -EFAULT;
    if (m.count > 1024)
        return -EINVAL;
    if (m.control_size && fn == send)
        return -EOPNOTSUPP; /* descriptors do not travel */
    for (uint64_t i = 0; i < m.count; i++) {
        struct linux_iovec v;
        if (user_read(&v, m.vector + i * sizeof(v), sizeof(v)))
            return done ? done : -EFAULT;
        const unsigned flags = a->arg[2] | (done ? MSG_DONTWAIT : 0);
        const struct syscall_args piece = {.arg = {a->arg[0], v.base, v.size, flags}};
        const long n = v.size ? move(&piece, known, fn) : 0;
        if (n < 0)
            return done ? done : n;
        done += n;
        if ((uint64_t)n < v.size)
            break;
    }
    return done;
}

long syscall_sendmsg(const struct syscall_args *a)
{
    return move_message(a, MSG_DONTWAIT | MSG_NOSIGNAL, send);
}

long syscall_recvmsg(const struct syscall_args *a)
{
    const long rc = move_message(a, MSG_DONTWAIT | MSG_NOSIGNAL, receive);
    /* No name, no control data, no flags. */
    if (rc >= 0 && (user_zero(a->arg[1] + offsetof(struct linux_msghdr, name_size), 4) ||
                    user_zero(a->arg[1] + offsetof(struct linux_msghdr, control_size), 12)))
        return -EFAULT;
    return rc;
}
