/* What sockets can be asked and told: getsockopt, setsockopt. */
#include "credentials.h"
#include "errno.h"
#include "socket.h"
#include "syscall.h"
#include "timer.h"

/* The answer to @option, in bytes of @value: how many. */
static int answer(struct socket *s, unsigned option, int32_t value[4])
{
    value[0] = 0;
    switch (option) {
    case SO_TYPE:
        value[0] = s->type;
        break;
    case SO_DOMAIN:
        value[0] = s->family;
        break;
    case SO_ERROR:
        value[0] = socket_error_take(s);
        break;
    case SO_SNDBUF:
        value[0] = s->send_size;
        break;
    case SO_RCVBUF:
        value[0] = s->receive_size;
        break;
    case SO_PASSCRED:
        value[0] = s->pass_identity;
        break;
    case SO_ACCEPTCONN:
        value[0] = s->listening;
        break;
    case SO_RCVLOWAT:
    case SO_SNDLOWAT:
        value[0] = 1;
        break;
    case SO_DEBUG:
    case SO_REUSEADDR:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_REUSEPORT:
        value[0] = socket_option(s, option);
        break;
    case SO_PRIORITY:
        value[0] = s->priority;
        break;
    case SO_PROTOCOL:
        value[0] = !socket_inet(s) ? 0 : s->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
        break;
    case SO_LINGER:
        value[0] = s->linger[0];
        value[1] = s->linger[1];
        return 8;
    case SO_PEERCRED:
        value[0] = s->peer_identity.pid;
        value[1] = s->peer_identity.uid;
        value[2] = s->peer_identity.gid;
        return 12;
    default:
        return -ENOPROTOOPT;
    }
    return sizeof(value[0]);
}

static int answer_timeout(uint64_t timeout, int32_t value[4])
{
    struct linux_timeval *t = (struct linux_timeval *)value;
    *t = (struct linux_timeval){timeout / 1000000000, timeout % 1000000000 / 1000};
    return sizeof(*t);
}

long syscall_getsockopt(const struct syscall_args *a)
{
    int32_t room, value[4] __attribute__((aligned(8)));
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    if (a->arg[1] != SOL_SOCKET)
        return socket_inet(s) ? inet_option_get(s, a) : -EOPNOTSUPP;
    if (user_read(&room, a->arg[4], sizeof(room)))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    const int size = a->arg[2] == SO_RCVTIMEO   ? answer_timeout(s->receive_timeout, value)
                     : a->arg[2] == SO_SNDTIMEO ? answer_timeout(s->send_timeout, value)
                                                : answer(s, a->arg[2], value);
    if (size < 0)
        return size;
    room = MIN(room, size);
    if (user_write(a->arg[3], value, room))
        return -EFAULT;
    return user_write(a->arg[4], &room, sizeof(room));
}

/* Twice what was asked for, as Linux has it: half is for what it keeps beside the bytes. */
static size_t buffer_size(int value, bool force)
{
    const unsigned asked = MAX(value, 0), most = force ? 1u << 20 : SOCKET_SIZE;
    return MAX(2 * MIN(asked, most), (unsigned)SOCKET_SIZE_MIN);
}

static int set_timeout(uint64_t *timeout, user_t at, int size)
{
    struct linux_timeval t;
    if (size < (int)sizeof(t))
        return -EINVAL;
    if (user_read(&t, at, sizeof(t)))
        return -EFAULT;
    if (t.usec < 0 || t.usec >= 1000000)
        return -EDOM;
    /* A negative time is over at once. */
    *timeout = t.sec < 0 ? 1 : time_span(t.sec, t.usec * 1000);
    return 0;
}

static void turn(struct socket *s, unsigned option, int on)
{
    s->options = (s->options & ~(1ul << option)) | (on ? 1ul << option : 0);
}

static int set_linger(struct socket *s, user_t at, int size)
{
    if (size < (int)sizeof(s->linger))
        return -EINVAL;
    if (user_read(s->linger, at, sizeof(s->linger)))
        return -EFAULT;
    s->linger[0] = !!s->linger[0];
    return 0;
}

static int socket_option_set(struct socket *s, unsigned option, int value)
{
    switch (option) {
    case SO_SNDBUF:
        s->send_size = buffer_size(value, false);
        break;
    case SO_RCVBUF:
        s->receive_size = buffer_size(value, false);
        break;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!access_capable(CAP_NET_ADMIN))
            return -EPERM;
        *(option == SO_SNDBUFFORCE ? &s->send_size : &s->receive_size) = buffer_size(value, true);
        break;
    case SO_PASSCRED:
        s->pass_identity = value;
        break;
    case SO_DEBUG:
        if (value && !access_capable(CAP_NET_ADMIN))
            return -EACCES;
        turn(s, option, value);
        break;
    case SO_REUSEADDR:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_REUSEPORT:
        turn(s, option, value);
        break;
    case SO_PRIORITY:
        if ((value < 0 || value > 6) && !access_capable(CAP_NET_ADMIN))
            return -EPERM;
        s->priority = value;
        break;
    case SO_RCVLOWAT:
        break; /* which makes no difference here */
    default:
        return -ENOPROTOOPT;
    }
    socket_wake(s); /* there may be room now */
    return 0;
}

long syscall_setsockopt(const struct syscall_args *a)
{
    int32_t value;
    const int32_t size = a->arg[4];
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    if (size < 0)
        return -EINVAL;
    if (a->arg[1] != SOL_SOCKET)
        return socket_inet(s) ? inet_option_set(s, a) : -EOPNOTSUPP;
    if (size < (int32_t)sizeof(value))
        return -EINVAL;
    if (user_read(&value, a->arg[3], sizeof(value)))
        return -EFAULT;
    if (a->arg[2] == SO_LINGER)
        return set_linger(s, a->arg[3], size);
    if (a->arg[2] == SO_RCVTIMEO || a->arg[2] == SO_SNDTIMEO)
        return set_timeout(a->arg[2] == SO_RCVTIMEO ? &s->receive_timeout : &s->send_timeout,
                           a->arg[3], size);
    return socket_option_set(s, a->arg[2], value);
}
