/*
 * What is under way between sockets: packets in the queue of who receives them.
 *
 * A packet takes room of who has sent it, until it is taken.  A stream is cut
 * into packets, too, but who receives does not see the cuts.
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "page.h"
#include "process.h"
#include "signal.h"
#include "socket.h"
#include "text.h"

/* Of a stream.  Larger ones would take what kernel stacks are made of, pages that lie side by side. */
#define PIECE_MOST     (PAGE_SIZE - sizeof(struct packet))
#define PACKET_COST    256 /* of a packet's room, besides its bytes */
#define DATAGRAM_SPARE 32  /* of the room, which the longest datagram leaves */

/* Where a message is in its pieces. */
struct cursor {
    const struct linux_iovec *piece;
    size_t offset;
};

/* The next @size bytes, which the pieces have, from or to @kernel. */
static int cursor_copy(struct cursor *c, void *kernel, size_t size, bool out)
{
    while (size) {
        const size_t n = MIN(size, c->piece->size - c->offset);
        const user_t at = c->piece->base + c->offset;
        if (n && (out ? user_write(at, kernel, n) : user_read(kernel, at, n)))
            return -EFAULT;
        kernel = (char *)kernel + n;
        size -= n;
        c->offset += n;
        if (c->offset == c->piece->size) {
            c->piece++;
            c->offset = 0;
        }
    }
    return 0;
}

void packet_free(struct packet *p)
{
    flight_end(p->files, p->file_count);
    for (unsigned i = 0; i < p->file_count; i++)
        file_put(p->files[i]);
    heap_free(p->files);
    name_put(p->name);
    p->from->sent -= p->cost;
    socket_wake(p->from);
    socket_put(p->from);
    heap_free(p);
}

void socket_queue_drop(struct socket *s)
{
    s->packets = s->packets_with_files = 0;
    s->bytes = 0;
    packets_drop(&s->queue);
}

/* Take the next @size bytes of @m, with the files that it has, as a packet from @s. */
static int packet_new(struct socket *s, struct message *m, struct cursor *c, size_t size,
                      struct packet **made)
{
    struct packet *p = heap_alloc_for(PAGE_FOR_FILE, sizeof(*p) + size);
    if (!p)
        return -ENOBUFS;
    if (cursor_copy(c, p->data, size, false)) {
        heap_free(p);
        return -EFAULT;
    }
    p->from = s;
    p->identity = m->identity;
    p->name = s->name;
    p->files = m->files;
    p->file_count = m->file_count;
    p->size = size;
    p->cost = size + PACKET_COST;
    socket_get(s);
    s->sent += p->cost;
    if (p->name)
        p->name->refs++;
    flight_begin(p->files, p->file_count);
    m->files = NULL;
    m->file_count = 0;
    *made = p;
    return 0;
}

static void deliver(struct packet *p, struct socket *to)
{
    list_add(&p->link, &to->queue);
    to->packets++;
    to->packets_with_files += p->file_count != 0;
    to->bytes += p->size;
    to->arrived++;
    socket_wake(to);
}

/* Take @p out of the queue of @s, which has received it. */
static void socket_queue_consume(struct socket *s, struct packet *p)
{
    list_remove(&p->link);
    s->packets--;
    s->packets_with_files -= p->file_count != 0;
    s->bytes -= p->size - p->taken;
    packet_free(p);
    socket_wake(s); /* who waits to send here */
}

/* More than fits into a queue of others' datagrams, which the receiver of @from's own does not count. */
static bool crowded(const struct socket *to, const struct socket *from)
{
    return to != from && to->peer != from && to->packets > DATAGRAMS_MOST;
}

bool socket_has_room(const struct socket *s)
{
    if (s->listening || s->sent * 4 > s->send_size)
        return false;
    return s->type != SOCK_DGRAM || !s->peer || !crowded(s->peer, s);
}

size_t socket_available(const struct socket *s)
{
    if (s->type == SOCK_STREAM || list_empty(&s->queue))
        return s->bytes;
    return list_entry(s->queue.next, struct packet, link)->size;
}

/* ---- Sending ---- */

/* Wait for room for something: 0 or -errno. */
static int wait_room(struct socket *s, uint64_t deadline)
{
    int rc = 0;
    while (!rc) {
        if (s->error)
            return -socket_error_take(s);
        if (s->shut_write)
            return -EPIPE;
        if (s->sent < s->send_size)
            return 0;
        rc = socket_wait(s, deadline);
    }
    return rc;
}

/* A part of @left bytes of a stream: how many. */
static long send_piece(struct socket *s, struct message *m, struct cursor *c, size_t left)
{
    struct packet *p;
    int rc = wait_room(s, m->deadline);
    /* It may have lost its peer while this call slept: to another thread's connect. */
    if (!rc && (!s->peer || s->peer->dead || s->peer->shut_read))
        rc = -EPIPE;
    if (rc)
        return rc;
    const size_t size = MIN(left, PIECE_MOST);
    rc = packet_new(s, m, c, size, &p);
    if (rc)
        return rc;
    deliver(p, s->peer);
    return size;
}

long socket_send_stream(struct socket *s, struct message *m)
{
    struct cursor c = {m->pieces, 0};
    size_t done = 0;
    long n = 0;
    if (m->to)
        return s->connected ? -EISCONN : -EOPNOTSUPP;
    if (!s->peer && !s->connected)
        return -ENOTCONN;
    if (s->shut_write)
        n = -EPIPE;
    while (n >= 0 && done < m->size) {
        n = send_piece(s, m, &c, m->size - done);
        done += MAX(n, 0l);
    }
    if (n == -EPIPE && !done && !(m->flags & MSG_NOSIGNAL))
        signal_broken_pipe();
    return done ? (long)done : n;
}

/* Whom a datagram goes to, with a reference. */
static int find_receiver(struct socket *s, const struct message *m, struct socket **to)
{
    if (m->to && s->type == SOCK_DGRAM)
        return socket_find(m->to, s->type, to);
    *to = s->peer;
    if (!s->peer)
        return -ENOTCONN;
    socket_get(s->peer);
    return 0;
}

/* Can @to be sent something?  1; 0 if it has to be waited for; or -errno. */
static int receiver_ready(struct socket *s, struct socket *to)
{
    if (to->dead) {
        if (s->type == SOCK_SEQPACKET)
            return -EPIPE;
        if (s->peer == to) {
            s->peer = NULL;
            socket_put(to);
        }
        return -ECONNREFUSED;
    }
    if (to->peer && to->peer != s)
        return -EPERM;
    if (to->shut_read)
        return -EPIPE;
    return s->type != SOCK_DGRAM || !crowded(to, s);
}

static int send_to(struct socket *s, struct message *m, struct socket *to)
{
    struct packet *p;
    struct cursor c = {m->pieces, 0};
    int rc, ready = 0;
    do {
        rc = wait_room(s, m->deadline);
        if (!rc)
            ready = receiver_ready(s, to);
        if (!rc && !ready)
            rc = socket_wait(to, m->deadline);
    } while (!rc && !ready);
    if (!rc && ready < 0)
        rc = ready;
    if (!rc)
        rc = packet_new(s, m, &c, m->size, &p);
    if (!rc)
        deliver(p, to);
    return rc;
}

static long send_datagram(struct socket *s, struct message *m)
{
    struct socket *to;
    if (s->type == SOCK_SEQPACKET && !s->connected)
        return -ENOTCONN;
    int rc = m->to && s->type == SOCK_DGRAM ? address_check_unix(m->to) : 0;
    if (!rc && !m->to && !s->peer)
        rc = -ENOTCONN;
    if (!rc && s->pass_identity)
        rc = socket_bind_any(s);
    if (!rc && m->size > s->send_size - DATAGRAM_SPARE)
        rc = -EMSGSIZE;
    if (!rc)
        rc = find_receiver(s, m, &to);
    if (rc)
        return rc;
    rc = send_to(s, m, to);
    socket_put(to);
    return rc ? rc : (long)m->size;
}

int packet_send(struct socket *s, struct message *m, struct socket *to, struct socket_name *name)
{
    struct packet *p;
    struct cursor c = {m->pieces, 0};
    const int rc = packet_new(s, m, &c, m->size, &p);
    if (rc)
        return rc;
    s->sent -= p->cost; /* who sends so does not wait for room */
    p->cost = 0;
    name_put(p->name);
    p->name = name;
    name->refs++;
    if (!to || to->shut_read || to->bytes + to->packets * PACKET_COST > to->receive_size)
        packet_free(p);
    else
        deliver(p, to);
    return 0;
}

long socket_send(struct socket *s, struct message *m)
{
    if (socket_inet(s))
        return inet_send(s, m);
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    return s->type == SOCK_STREAM ? socket_send_stream(s, m) : send_datagram(s, m);
}

/* ---- Receiving ---- */

/* What came with @p besides bytes: it moves to @m, or is doubled if the packet stays. */
static int take_along(struct socket *s, struct packet *p, struct message *m, bool stays)
{
    m->identity = p->identity;
    if (!m->from && p->name && !(socket_inet(p->from) && p->from->type == SOCK_STREAM)) {
        m->from = p->name;
        p->name->refs++;
    }
    if (!p->file_count)
        return 0;
    if (stays) {
        m->files = heap_alloc(p->file_count * sizeof(*m->files));
        if (!m->files)
            return -ENOMEM;
        memcpy(m->files, p->files, p->file_count * sizeof(*m->files));
        for (unsigned i = 0; i < p->file_count; i++)
            file_get(p->files[i]);
    } else {
        flight_end(p->files, p->file_count);
        m->files = p->files;
        p->files = NULL;
    }
    m->file_count = p->file_count;
    if (!stays) {
        p->file_count = 0;
        s->packets_with_files--;
    }
    return 0;
}

/* Wait until there is something in the queue: 1; 0 if there will not be; or -errno. */
static int wait_packet(struct socket *s, uint64_t deadline)
{
    while (list_empty(&s->queue)) {
        if (s->error)
            return -socket_error_take(s);
        if (s->type != SOCK_DGRAM && !s->connected)
            return -ENOTCONN; /* any more: another thread has left the connection */
        if (s->shut_read && (deadline || s->type != SOCK_DGRAM))
            return 0;
        const int rc = socket_wait(s, deadline);
        if (rc)
            return rc;
    }
    return 1;
}

static bool same_sender(const struct packet *p, const struct message *m)
{
    return p->identity.pid == m->identity.pid && p->identity.uid == m->identity.uid &&
           p->identity.gid == m->identity.gid;
}

/*
 * What is in the queue, up to the size of @m, to a packet with files, or where identities are passed to one of another
 * sender: bytes, *@stop if no more are to be waited for.
 */
static long receive_ready(struct socket *s, struct message *m, struct cursor *c, size_t left,
                          bool *stop)
{
    struct packet *p, *after;
    const bool peek = m->flags & MSG_PEEK;
    size_t done = 0;
    list_for_each_safe(p, after, &s->queue, link)
    {
        const size_t n = MIN(left - done, p->size - p->taken);
        const bool files = p->file_count;
        *stop |= s->pass_identity && m->length && !same_sender(p, m);
        if (done == left || *stop)
            break;
        const int rc =
            cursor_copy(c, p->data + p->taken, n, true) ? -EFAULT : take_along(s, p, m, peek);
        if (rc)
            return done ? (long)done : rc;
        done += n;
        m->length += n;
        if (!peek) {
            p->taken += n;
            s->bytes -= n;
            if (p->taken == p->size)
                socket_queue_consume(s, p);
        }
        *stop |= files;
        if (files)
            break;
    }
    return done;
}

static long receive_stream(struct socket *s, struct message *m)
{
    struct cursor c = {m->pieces, 0};
    const bool all = (m->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
    bool stop = false;
    if (!s->connected)
        return -EINVAL;
    if (!m->size)
        return 0;
    while (m->length < m->size && !stop && (all || !m->length)) {
        const int ready = wait_packet(s, m->deadline);
        if (ready <= 0)
            return m->length ? (long)m->length : ready;
        const long n = receive_ready(s, m, &c, m->size - m->length, &stop);
        if (n < 0)
            return m->length ? (long)m->length : n;
    }
    return m->length;
}

static long receive_datagram(struct socket *s, struct message *m)
{
    struct cursor c = {m->pieces, 0};
    const bool peek = m->flags & MSG_PEEK;
    if (s->type == SOCK_SEQPACKET && !s->connected)
        return -ENOTCONN;
    const int ready = wait_packet(s, m->deadline);
    if (ready <= 0)
        return ready;
    struct packet *p = list_entry(s->queue.next, struct packet, link);
    const size_t n = MIN(m->size, p->size);
    m->length = p->size;
    if (n < p->size)
        m->told |= MSG_TRUNC;
    int rc = take_along(s, p, m, peek);
    if (!rc)
        rc = cursor_copy(&c, p->data, n, true);
    if (!peek)
        socket_queue_consume(s, p);
    return rc ? rc : (long)n;
}

long socket_receive(struct socket *s, struct message *m)
{
    const int rc = socket_inet(s) ? inet_receive_check(s, m) : m->flags & MSG_OOB ? -EOPNOTSUPP : 0;
    if (rc)
        return rc;
    return s->type == SOCK_STREAM ? receive_stream(s, m) : receive_datagram(s, m);
}
