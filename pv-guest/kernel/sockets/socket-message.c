/*
 * System calls that send and receive: pieces of memory, names, and what comes along ("control data").
 *
 * Control data are records, each padded to eight bytes:
 *
 *     size (8 bytes, with this head) | level (4) | type (4) | SCM_RIGHTS: descriptors; SCM_CREDENTIALS: who
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "process.h"
#include "socket.h"
#include "sys-time.h"
#include "syscall.h"
#include "transfer.h"
#include "platform/platform.h"

#define SCM_RIGHTS      1
#define SCM_CREDENTIALS 2
#define FILES_SENT_MOST 253
#define CONTROL_MOST    20480
#define MESSAGES_MOST   1024 /* of one call */

struct control_head {
    uint64_t size;
    int32_t level, type;
};

struct linux_msghdr {
    uint64_t name, name_size, vector, count, control, control_size, flags;
};
#define HEADER_NAME_SIZE    offsetof(struct linux_msghdr, name_size)
#define HEADER_CONTROL_SIZE offsetof(struct linux_msghdr, control_size)

struct linux_mmsghdr {
    struct linux_msghdr header;
    uint64_t length; /* 32 bits, and padding */
};

void message_end(struct message *m)
{
    for (unsigned i = 0; i < m->file_count; i++)
        file_put(m->files[i]);
    heap_free(m->files);
    name_put(m->from);
}

/* ---- Control data of who sends ---- */

static int take_files(struct message *m, user_t at, size_t size)
{
    const unsigned count = size / sizeof(int32_t);
    int32_t fds[FILES_SENT_MOST];
    if (m->file_count + count > FILES_SENT_MOST)
        return -EINVAL;
    if (!count)
        return 0;
    if (!m->files)
        m->files = heap_alloc(FILES_SENT_MOST * sizeof(*m->files));
    if (!m->files)
        return -ENOMEM;
    if (user_read(fds, at, count * sizeof(*fds)))
        return -EFAULT;
    for (unsigned i = 0; i < count; i++) {
        struct file *file = fd_file_or_path(fds[i]);
        if (!file)
            return -EBADF;
        file_get(file);
        m->files[m->file_count++] = file;
    }
    return 0;
}

static bool one_of(unsigned id, const struct ids *ids)
{
    return id == ids->real || id == ids->effective || id == ids->saved;
}

/* Root may say that it is somebody else; others are who they are. */
static int take_identity(struct message *m, user_t at, size_t size)
{
    const struct process *self = process_current();
    struct identity who;
    if (size != sizeof(who))
        return -EINVAL;
    if (user_read(&who, at, sizeof(who)))
        return -EFAULT;
    if ((who.pid != self->pid && !access_capable(CAP_SYS_ADMIN)) ||
        (!one_of(who.uid, &self->credentials.user) && !access_capable(CAP_SETUID)) ||
        (!one_of(who.gid, &self->credentials.group) && !access_capable(CAP_SETGID)))
        return -EPERM;
    if (!process_find(who.pid))
        return -ESRCH;
    m->identity = who;
    return 0;
}

static int take_control(struct message *m, user_t at, size_t size)
{
    struct control_head head;
    if (size > CONTROL_MOST)
        return -ENOBUFS;
    while (size >= sizeof(head)) {
        if (user_read(&head, at, sizeof(head)))
            return -EFAULT;
        if (head.size < sizeof(head) || head.size > size)
            return -EINVAL;
        const size_t content = head.size - sizeof(head);
        int rc = 0;
        if (head.level == SOL_SOCKET && head.type == SCM_RIGHTS)
            rc = take_files(m, at + sizeof(head), content);
        else if (head.level == SOL_SOCKET)
            rc = head.type == SCM_CREDENTIALS ? take_identity(m, at + sizeof(head), content)
                                              : -EINVAL;
        if (rc)
            return rc;
        const size_t step = MIN(ROUND_UP(head.size, 8), size);
        at += step;
        size -= step;
    }
    return m->file_count ? flight_check(m->file_count) : 0;
}

/* ---- Control data of who receives ---- */

/* Where the next record goes, and the room that is left there. */
struct control {
    user_t at;
    size_t room;
    unsigned told;
};

static int give_record(struct control *c, int type, const void *content, size_t size)
{
    const struct control_head head = {MIN(sizeof(head) + size, c->room), SOL_SOCKET, type};
    if (c->room < sizeof(head)) {
        c->told |= MSG_CTRUNC;
        return 0;
    }
    if (head.size < sizeof(head) + size)
        c->told |= MSG_CTRUNC;
    if (user_write(c->at, &head, sizeof(head)) ||
        user_write(c->at + sizeof(head), content, head.size - sizeof(head)))
        return -EFAULT;
    const size_t step = MIN(ROUND_UP(head.size, 8), c->room);
    c->at += step;
    c->room -= step;
    return 0;
}

/* Descriptors for as many files as there is room for. */
static int give_files(struct control *c, struct message *m)
{
    int32_t fds[FILES_SENT_MOST];
    const size_t room =
        c->room < sizeof(struct control_head) ? 0 : c->room - sizeof(struct control_head);
    unsigned n = 0;
    for (; n < m->file_count && (n + 1) * sizeof(*fds) <= room; n++) {
        fds[n] = fd_install(m->files[n], 0, m->flags & MSG_CMSG_CLOEXEC);
        if (fds[n] < 0)
            break;
        file_get(m->files[n]);
    }
    if (n < m->file_count)
        c->told |= MSG_CTRUNC;
    return n ? give_record(c, SCM_RIGHTS, fds, n * sizeof(*fds)) : 0;
}

static int give_control(struct control *c, const struct socket *s, struct message *m)
{
    int rc = 0;
    if (s->pass_identity && !socket_inet(s))
        rc = give_record(c, SCM_CREDENTIALS, &m->identity, sizeof(m->identity));
    return rc || !m->file_count ? rc : give_files(c, m);
}

/* ---- Sending ---- */

/* Hold the socket @fd while @m is sent or received. */
static long with_socket(int fd, struct message *m, bool sends)
{
    long rc;
    struct file *file = socket_file(fd, &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    m->deadline = socket_deadline(file, m->flags, sends ? s->send_timeout : s->receive_timeout);
    file_get(file);
    rc = sends ? socket_send(s, m) : socket_receive(s, m);
    file_put(file);
    return rc;
}

long syscall_sendto(const struct syscall_args *a)
{
    const struct linux_iovec whole = {a->arg[1], a->arg[2]};
    struct address to;
    long rc = 0;
    struct message m = {.pieces = &whole,
                        .count = 1,
                        .size = whole.size,
                        .flags = a->arg[3],
                        .identity = identity_current()};
    if (!socket_file(a->arg[0], &rc))
        return rc;
    if (a->arg[4]) {
        rc = address_read(&to, a->arg[4], a->arg[5]);
        m.to = to.size ? &to : NULL;
    }
    return rc ? rc : with_socket(a->arg[0], &m, true);
}

/* The pieces that @h lists, for @m: 0 or -errno. */
static int take_pieces(struct message *m, const struct linux_msghdr *h)
{
    if (h->count > IOV_MAX)
        return -EMSGSIZE;
    struct linux_iovec *pieces = heap_alloc(MAX(h->count, 1ul) * sizeof(*pieces));
    if (!pieces)
        return -ENOMEM;
    m->pieces = pieces;
    m->count = h->count;
    if (user_read(pieces, h->vector, h->count * sizeof(*pieces)))
        return -EFAULT;
    for (unsigned i = 0; i < m->count; i++) {
        if ((int64_t)pieces[i].size < 0)
            return -EINVAL;
        pieces[i].size = MIN(pieces[i].size, 0x7ffff000ul - m->size);
        m->size += pieces[i].size;
    }
    return 0;
}

static long send_message(int fd, const struct linux_msghdr *h, unsigned flags)
{
    long unused;
    const struct file *file = socket_file(fd, &unused);
    struct address to;
    struct message m = {.flags = flags, .identity = identity_current()};
    int rc = (int32_t)h->name_size < 0 ? -EINVAL : 0;
    if (!rc && h->name && (uint32_t)h->name_size) {
        rc = address_read(&to, h->name, MIN((uint32_t)h->name_size, (uint32_t)SOCKADDR_MOST));
        m.to = &to;
    }
    if (!rc)
        rc = take_pieces(&m, h);
    /* Nothing can come along in the network. */
    if (!rc && h->control_size && !(file && socket_inet(file->object)))
        rc = take_control(&m, h->control, h->control_size);
    const long n = rc ? rc : with_socket(fd, &m, true);
    heap_free((void *)(uintptr_t)m.pieces);
    message_end(&m); /* with the files if nothing was sent */
    return n;
}

long syscall_sendmsg(const struct syscall_args *a)
{
    struct linux_msghdr h;
    long rc;
    if (!socket_file(a->arg[0], &rc))
        return rc;
    return user_read(&h, a->arg[1], sizeof(h)) ? -EFAULT : send_message(a->arg[0], &h, a->arg[2]);
}

/* What one of several messages came to; an error is told only if it is the first. */
static bool tell_length(user_t at, long n)
{
    const uint32_t length = n;
    return n >= 0 && !user_write(at + offsetof(struct linux_mmsghdr, length), &length, 4);
}

long syscall_sendmmsg(const struct syscall_args *a)
{
    const unsigned count = MIN((unsigned)a->arg[2], (unsigned)MESSAGES_MOST);
    long rc = 0, done = 0;
    if (!socket_file(a->arg[0], &rc))
        return rc;
    for (; done < count; done++) {
        const user_t at = a->arg[1] + done * sizeof(struct linux_mmsghdr);
        struct linux_msghdr h;
        rc = user_read(&h, at, sizeof(h)) ? -EFAULT : send_message(a->arg[0], &h, a->arg[3]);
        if (rc >= 0 && !tell_length(at, rc))
            rc = -EFAULT;
        if (rc < 0)
            break;
        sched_point();
    }
    return done ? done : MIN(rc, 0l);
}

/* ---- Receiving ---- */

/* The name of who has sent @m; a stream's has none that is told. */
static int give_name(const struct message *m, user_t to, user_t size_at)
{
    return m->from ? name_write(m->from, to, size_at) : user_zero(size_at, sizeof(int32_t));
}

/* What the call returns: of a datagram the whole length if that was asked for. */
static long result(const struct message *m, long n)
{
    return (m->flags & MSG_TRUNC) && (m->told & MSG_TRUNC) ? (long)m->length : n;
}

long syscall_recvfrom(const struct syscall_args *a)
{
    const struct linux_iovec whole = {a->arg[1], a->arg[2]};
    struct message m = {.pieces = &whole, .count = 1, .size = whole.size, .flags = a->arg[3]};
    long n = with_socket(a->arg[0], &m, false);
    if (n >= 0)
        n = result(&m, n);
    if (n >= 0 && a->arg[4]) {
        const int rc = give_name(&m, a->arg[4], a->arg[5]);
        n = rc ? rc : n;
    }
    message_end(&m);
    return n;
}

/* Tell all that @h, which stands at @at, has a place for. */
static int give_header(const struct socket *s, struct message *m, const struct linux_msghdr *h,
                       user_t at)
{
    struct control c = {h->control, h->control ? h->control_size : 0, m->told};
    int rc = h->name ? give_name(m, h->name, at + HEADER_NAME_SIZE) : 0;
    if (!rc)
        rc = give_control(&c, s, m);
    const struct {
        uint64_t control_size;
        uint32_t flags;
    } told = {c.at - h->control, c.told | (m->flags & MSG_CMSG_CLOEXEC)};
    return rc ? rc : user_write(at + HEADER_CONTROL_SIZE, &told, 12);
}

/* As recvmsg, for the header at @at. */
static long receive_message(int fd, user_t at, unsigned flags)
{
    struct linux_msghdr h;
    struct message m = {.flags = flags};
    long n;
    struct file *file = socket_file(fd, &n);
    if (!file)
        return n;
    if (user_read(&h, at, sizeof(h)))
        return -EFAULT;
    int rc = (int32_t)h.name_size < 0 ? -EINVAL : take_pieces(&m, &h);
    file_get(file);
    n = rc ? rc : with_socket(fd, &m, false);
    if (n >= 0) {
        rc = give_header(file->object, &m, &h, at);
        n = rc ? rc : result(&m, n);
    }
    file_put(file);
    heap_free((void *)(uintptr_t)m.pieces);
    message_end(&m);
    return n;
}

long syscall_recvmsg(const struct syscall_args *a)
{
    return receive_message(a->arg[0], a->arg[1], a->arg[2]);
}

/* recvmmsg's time is looked at after each message, and does not end the wait for one. */
long syscall_recvmmsg(const struct syscall_args *a)
{
    const unsigned count = MIN((unsigned)a->arg[2], (unsigned)MESSAGES_MOST);
    unsigned flags = a->arg[3];
    uint64_t deadline = FOREVER, span;
    long rc = 0, done = 0;
    if (a->arg[4]) {
        rc = timespec_read(a->arg[4], &span);
        if (rc)
            return rc;
        deadline = platform_time() + span;
    }
    if (!socket_file(a->arg[0], &rc))
        return rc;
    for (; done < count; done++) {
        const user_t at = a->arg[1] + done * sizeof(struct linux_mmsghdr);
        rc = receive_message(a->arg[0], at, flags & ~(unsigned)MSG_WAITFORONE);
        if (rc >= 0 && !tell_length(at, rc))
            rc = -EFAULT;
        if (rc < 0)
            break;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (platform_time() >= deadline) {
            done++;
            break;
        }
        sched_point();
    }
    return done ? done : MIN(rc, 0l);
}
