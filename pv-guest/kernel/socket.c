/*
 * Socket pairs: streams of bytes, or messages that keep their borders.
 *
 * Each end reads one ring and writes the other.  There is no name space of
 * sockets, so socket(2) does not know AF_UNIX.  There is no network either: a
 * socket of AF_INET is one that never gets another end.  It answers as on a
 * Linux without any interface: no address can be reached.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "pipe.h"
#include "signal.h"
#include "syscall.h"

#define AF_UNIX        1
#define AF_INET        2
#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SOCK_SEQPACKET 5
#define SOCK_LIMIT     11
#define IPPROTO_TCP    6
#define IPPROTO_UDP    17
#define INET_ADDRESS   16     /* bytes of a struct sockaddr_in */
#define SOCKET_SIZE    212992 /* as Linux has it */
#define SOCK_NONBLOCK O_NONBLOCK
#define SOCK_CLOEXEC  O_CLOEXEC
#define MSG_TRUNC      0x20
#define MSG_DONTWAIT  0x40
#define MSG_NOSIGNAL  0x4000

struct socket {
    unsigned family; /* AF_* */
    unsigned type;   /* SOCK_* */
    struct pipe *in, *out;
};

/* A socket for the network: nobody is at the other end of its rings. */
static bool alone(const struct socket *s)
{
    return s->family == AF_INET;
}

static bool waits(const struct file *file, unsigned flags)
{
    return !(file->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT);
}

/* Pieces of a byte stream, one after the other: what came before an error counts. */
static long move_pieces(struct pipe *p, bool wait, const struct linux_iovec *pieces, unsigned count,
                        long (*fn)(struct pipe *, bool, user_t, size_t))
{
    const bool all =
        fn == pipe_give; /* what is sent goes as a whole, what is received as it comes */
    long done = 0;
    for (unsigned i = 0; i < count; i++) {
        const long n =
            pieces[i].size ? fn(p, wait && (all || !done), pieces[i].base, pieces[i].size) : 0;
        if (n < 0)
            return done ? done : n;
        done += n;
        if ((uint64_t)n < pieces[i].size)
            break;
    }
    return done;
}

/* A datagram may come as long as there is this end, from whoever: that nobody will is no end of input. */
static long take_datagram(struct socket *s, bool wait, const struct linux_iovec *pieces,
                          unsigned count, size_t *length)
{
    while (s->type == SOCK_DGRAM && !s->in->used && !s->in->writers && s->in->readers) {
        const int rc = wait ? wait_until(&s->in->changed, FOREVER) : -EAGAIN;
        if (rc)
            return rc;
    }
    return pipe_take_message(s->in, wait, pieces, count, length);
}

static long receive(struct file *file, const struct linux_iovec *pieces, unsigned count,
                    unsigned flags, size_t *length)
{
    struct socket *s = file->object;
    if (alone(s) && s->type == SOCK_STREAM)
        return -ENOTCONN;
    if (s->type != SOCK_STREAM)
        return take_datagram(s, waits(file, flags), pieces, count, length);
    const long n = move_pieces(s->in, waits(file, flags), pieces, count, pipe_take);
    *length = MAX(n, 0l);
    return n;
}

static long send(struct file *file, const struct linux_iovec *pieces, unsigned count,
                 unsigned flags, size_t *length)
{
    struct socket *s = file->object;
    long n = -EPIPE;
    if (alone(s) && s->type == SOCK_DGRAM)
        return -EDESTADDRREQ;
    if (!s->out->writers)
        ; /* shut down */
    else if (s->type == SOCK_STREAM)
        n = move_pieces(s->out, waits(file, flags), pieces, count, pipe_give);
    else
        n = pipe_give_message(s->out, waits(file, flags), pieces, count);
    *length = MAX(n, 0l);
    if (n == -EPIPE && s->type == SOCK_DGRAM && s->out->writers)
        return -ECONNREFUSED;
    if (n == -EPIPE && s->type == SOCK_STREAM && !(flags & MSG_NOSIGNAL))
        signal_broken_pipe();
    return n;
}

static long socket_read(struct file *file, user_t to, size_t size)
{
    const struct linux_iovec whole = {to, size};
    size_t length;
    return receive(file, &whole, 1, 0, &length);
}

static long socket_write(struct file *file, user_t from, size_t size)
{
    const struct linux_iovec whole = {from, size};
    size_t length;
    return send(file, &whole, 1, 0, &length);
}

static int socket_poll(struct file *file)
{
    const struct socket *s = file->object;
    int ready = 0;
    const bool connected = s->type != SOCK_DGRAM;
    if (s->in->used || (connected && !s->in->writers))
        ready |= POLLIN;
    if (connected && !s->in->writers)
        ready |= s->out->readers ? POLLRDHUP : POLLRDHUP | POLLHUP;
    if (pipe_has_room(s->out) || !s->out->readers)
        ready |= POLLOUT;
    return ready;
}

static uint64_t socket_arrived(struct file *file)
{
    return ((const struct socket *)file->object)->in->arrived;
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
    .arrived = socket_arrived,
    .ioctl = socket_ioctl,
    .release = socket_release,
};

static struct file *end_create(struct pipe *in, struct pipe *out, unsigned family, unsigned type,
                               unsigned flags)
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
    s->family = family;
    s->type = type;
    s->in = in;
    s->out = out;
    in->messages = out->messages = type != SOCK_STREAM;
    file->object = s;
    in->readers++;
    in->holders++;
    out->writers++;
    out->holders++;
    return file;
}

/* Two connected ends, or -ENOMEM. */
static int pair_create(unsigned type, unsigned flags, struct file *ends[2])
{
    struct pipe *there = pipe_create(SOCKET_SIZE), *back = pipe_create(SOCKET_SIZE);
    ends[0] = there && back ? end_create(back, there, AF_UNIX, type, flags) : NULL;
    ends[1] = ends[0] ? end_create(there, back, AF_UNIX, type, flags) : NULL;
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
    const unsigned flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    unsigned type = a->arg[1] & ~(uint64_t)flags;
    const bool close_on_exec = a->arg[1] & SOCK_CLOEXEC;
    struct file *ends[2];
    int fds[2];

    if (type >= SOCK_LIMIT)
        return -EINVAL;
    if (a->arg[0] != AF_UNIX)
        return -EAFNOSUPPORT;
    if (type == SOCK_RAW)
        type = SOCK_DGRAM; /* as Linux has it */
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    if (a->arg[2] && a->arg[2] != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (pair_create(type, a->arg[1], ends))
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
    const unsigned type = a->arg[1] & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
    const unsigned protocol = a->arg[2];
    if (type >= SOCK_LIMIT)
        return -EINVAL;
    if (a->arg[0] != AF_INET)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return type == SOCK_RAW ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
    if (protocol && protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP))
        return -EPROTONOSUPPORT;
    struct pipe *in = pipe_create(PAGE_SIZE), *out = pipe_create(PAGE_SIZE);
    struct file *file = in && out ? end_create(in, out, AF_INET, type, a->arg[1]) : NULL;
    if (!file) {
        pipe_free(in);
        pipe_free(out);
    }
    return fd_open(file, a->arg[1] & SOCK_CLOEXEC);
}

static struct file *socket_file(int fd, long *rc)
{
    struct file *file = fd_file(fd);
    *rc = !file ? -EBADF : file->ops != &socket_ops ? -ENOTSOCK : 0;
    return *rc ? NULL : file;
}

/* Read the family of the address that @a gives, which must be the socket's: 0, or what bind and connect say. */
static long address_check(const struct syscall_args *a, struct socket **s)
{
    long rc;
    uint16_t family;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    *s = file->object;
    if (a->arg[2] < sizeof(family) || a->arg[2] > 128)
        return -EINVAL;
    if (user_read(&family, a->arg[1], sizeof(family)))
        return -EFAULT;
    if (alone(*s) && a->arg[2] < INET_ADDRESS)
        return -EINVAL;
    return family == (*s)->family ? 0 : alone(*s) ? -EAFNOSUPPORT : -EINVAL;
}

/* Both ends of a pair have each other, and nobody has a way to anywhere. */
long syscall_connect(const struct syscall_args *a)
{
    struct socket *s;
    const long rc = address_check(a, &s);
    return rc ? rc : alone(s) ? -ENETUNREACH : -EISCONN;
}

/* There is no address that could be this machine's, and no name for the end of a pair. */
long syscall_bind(const struct syscall_args *a)
{
    struct socket *s;
    const long rc = address_check(a, &s);
    return rc ? rc : alone(s) ? -EADDRNOTAVAIL : -EOPNOTSUPP;
}

long syscall_shutdown(const struct syscall_args *a)
{
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file || a->arg[1] > 2)
        return file ? -EINVAL : rc;
    struct socket *s = file->object;
    if (alone(s))
        return -ENOTCONN;
    if (a->arg[1] != 1)
        end(s->in, &s->in->readers);
    if (a->arg[1] != 0)
        end(s->out, &s->out->writers);
    return 0;
}

/* An unnamed AF_UNIX address, as both ends have; or no host and no port. */
static long give_address(const struct syscall_args *a, bool peer)
{
    uint16_t address[INET_ADDRESS / 2] = {0};
    int32_t room;
    long rc;
    const struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    const struct socket *s = file->object;
    const size_t size = alone(s) ? sizeof(address) : sizeof(address[0]);
    if (alone(s) && peer)
        return -ENOTCONN;
    if (user_read(&room, a->arg[2], sizeof(room)))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    address[0] = s->family;
    if (user_write(a->arg[1], address, MIN((size_t)room, size)))
        return -EFAULT;
    room = size;
    return user_write(a->arg[2], &room, sizeof(room));
}

long syscall_getsockname(const struct syscall_args *a)
{
    return give_address(a, false);
}

long syscall_getpeername(const struct syscall_args *a)
{
    return give_address(a, true);
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
    const struct socket *s = fd_file(a->arg[0])->object;
    value = a->arg[2] == SO_TYPE ? (int)s->type : a->arg[2] == SO_DOMAIN ? (int)s->family : 0;
    room = MIN((size_t)room, sizeof(value));
    if (user_write(a->arg[3], &value, room))
        return -EFAULT;
    return user_write(a->arg[4], &room, sizeof(room));
}

/* Where nobody is reached, how that is to be done may be set to anything. */
long syscall_setsockopt(const struct syscall_args *a)
{
    int32_t value;
    long rc;
    const struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    if ((int32_t)a->arg[4] < (int32_t)sizeof(value))
        return -EINVAL;
    if (user_read(&value, a->arg[3], sizeof(value)))
        return -EFAULT;
    return alone(file->object) ? 0 : -ENOPROTOOPT;
}

typedef long (*move_fn)(struct file *file, const struct linux_iovec *pieces, unsigned count,
                        unsigned flags, size_t *length);

/* Hold the socket @fd while @fn moves @pieces, with @flags of which @known are served. */
static long move(int fd, const struct linux_iovec *pieces, unsigned count, unsigned flags,
                 unsigned known, move_fn fn, size_t *length)
{
    long rc;
    struct file *file = socket_file(fd, &rc);
    if (!file || (flags & ~known))
        return file ? -EOPNOTSUPP : rc;
    file_get(file);
    rc = fn(file, pieces, count, flags, length);
    file_put(file);
    return rc;
}

#define SEND_FLAGS    (MSG_DONTWAIT | MSG_NOSIGNAL)
#define RECEIVE_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_TRUNC)

/* Of a pair, an address would be one too many: the other end is connected. */
long syscall_sendto(const struct syscall_args *a)
{
    const struct linux_iovec whole = {a->arg[1], a->arg[2]};
    size_t length;
    const long rc = move(a->arg[0], &whole, 1, a->arg[3], SEND_FLAGS, send, &length);
    if (rc == -EDESTADDRREQ && a->arg[4])
        return -ENETUNREACH;
    return rc >= 0 && a->arg[4] ? -EISCONN : rc;
}

long syscall_recvfrom(const struct syscall_args *a)
{
    const struct linux_iovec whole = {a->arg[1], a->arg[2]};
    size_t length;
    const long rc = move(a->arg[0], &whole, 1, a->arg[3], RECEIVE_FLAGS, receive, &length);
    if (rc < 0)
        return rc;
    if (a->arg[5] && user_zero(a->arg[5], 4))
        return -EFAULT;
    return a->arg[3] & MSG_TRUNC ? (long)length : rc;
}

struct linux_msghdr {
    uint64_t name, name_size, vector, count, control, control_size, flags;
};

#define PIECES_MAX 1024

/* What sendmsg and recvmsg share; *@m is the header that the caller has given. */
static long move_message(const struct syscall_args *a, unsigned known, move_fn fn,
                         struct linux_msghdr *m, size_t *length)
{
    if (user_read(m, a->arg[1], sizeof(*m)))
        return -EFAULT;
    if (m->count > PIECES_MAX)
        return -EMSGSIZE;
    if (m->control_size && fn == send)
        return -EOPNOTSUPP; /* descriptors do not travel */
    struct linux_iovec *pieces = heap_alloc(MAX(m->count, 1ul) * sizeof(*pieces));
    if (!pieces)
        return -ENOMEM;
    const long rc = user_read(pieces, m->vector, m->count * sizeof(*pieces))
                        ? -EFAULT
                        : move(a->arg[0], pieces, m->count, a->arg[2], known, fn, length);
    heap_free(pieces);
    return rc;
}

long syscall_sendmsg(const struct syscall_args *a)
{
    struct linux_msghdr m;
    size_t length;
    return move_message(a, SEND_FLAGS, send, &m, &length);
}

long syscall_recvmsg(const struct syscall_args *a)
{
    struct linux_msghdr m;
    size_t length;
    const long rc = move_message(a, RECEIVE_FLAGS, receive, &m, &length);
    if (rc < 0)
        return rc;
    /* No name, no control data; of the flags, whether some of a message was lost. */
    const struct {
        uint64_t control_size;
        uint32_t flags;
    } told = {0, (size_t)rc < length ? MSG_TRUNC : 0};
    if (user_zero(a->arg[1] + offsetof(struct linux_msghdr, name_size), 4) ||
        user_write(a->arg[1] + offsetof(struct linux_msghdr, control_size), &told, 12))
        return -EFAULT;
    return a->arg[2] & MSG_TRUNC ? (long)length : rc;
}
