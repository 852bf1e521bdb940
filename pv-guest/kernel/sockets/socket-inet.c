/*
 * Sockets of AF_INET: this machine's own addresses, 127.0.0.0/8, and nobody behind them.
 *
 * There is no network and no protocol: a connection is two sockets that know each
 * other, as with AF_UNIX, and a datagram goes into the queue of who has the port.
 * What a program sees is what Linux shows of its loopback interface.
 *
 *     struct sockaddr_in: family (2 bytes) | port (2) | address (4) | zeroes (8)
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "process.h"
#include "signal.h"
#include "socket.h"
#include "text.h"

#define ADDRESS_ANY       0u
#define ADDRESS_LOCAL     0x7f000001u
#define ADDRESS_BROADCAST 0xffffffffu
#define PORTS_LOW         1024 /* below, only for who may */
#define PORTS_FREE        32768
#define PORTS_END         61000
#define DATAGRAM_MOST     65507

struct endpoint {
    uint32_t address; /* of this machine's byte order, as is... */
    uint16_t port;    /* ...this */
};

struct sockaddr_inet {
    uint16_t family, port;
    uint32_t address;
    uint64_t zeroes;
};
_Static_assert(sizeof(struct sockaddr_inet) == SOCKADDR_INET, "struct sockaddr_in");

static struct endpoint endpoint_of(const void *bytes)
{
    struct sockaddr_inet in;
    memcpy(&in, bytes, sizeof(in));
    return (struct endpoint){__builtin_bswap32(in.address), __builtin_bswap16(in.port)};
}

static struct socket_name *name_of(struct endpoint e)
{
    const struct sockaddr_inet in = {AF_INET, __builtin_bswap16(e.port),
                                     __builtin_bswap32(e.address), 0};
    return name_new(&in, sizeof(in));
}

static bool is_local(uint32_t address)
{
    return address >> 24 == 127;
}

/* ---- Ports ---- */

/* Has @s a port, of those that sockets of @type share? */
static bool has_port(const struct socket *s, unsigned type)
{
    return socket_inet(s) && s->type == type && !s->dead && s->name;
}

/* Has it this one?  A socket without a name has none, which is not the same as port 0. */
static bool on_port(const struct socket *s, unsigned type, uint16_t port)
{
    return has_port(s, type) && endpoint_of(s->name->bytes).port == port;
}

/* Does @other, which has the port of @e, have it in a way that does not go with @s? */
static bool conflicts(const struct socket *s, const struct socket *other, struct endpoint e)
{
    const uint32_t address = endpoint_of(other->name->bytes).address;
    if (address != e.address && address != ADDRESS_ANY && e.address != ADDRESS_ANY)
        return false;
    if (socket_option(s, SO_REUSEPORT) && socket_option(other, SO_REUSEPORT))
        return false;
    return !socket_option(s, SO_REUSEADDR) || !socket_option(other, SO_REUSEADDR) ||
           other->listening;
}

static bool in_use(const struct socket *s, struct endpoint e)
{
    const struct socket *other;
    list_for_each(other, &all_sockets, all)
    {
        if (other != s && on_port(other, s->type, e.port) && conflicts(s, other, e))
            return true;
    }
    return false;
}

/* A port that @s may have at any address; 0: there is none.  One look at all sockets, however many there are. */
static uint16_t free_port(const struct socket *s)
{
    static uint8_t taken[PORTS_END - PORTS_FREE];
    static unsigned next;
    const struct socket *other;
    memset(taken, 0, sizeof(taken));
    list_for_each(other, &all_sockets, all)
    {
        if (other == s || !has_port(other, s->type))
            continue;
        const uint16_t port = endpoint_of(other->name->bytes).port;
        if (port >= PORTS_FREE && port < PORTS_END)
            taken[port - PORTS_FREE] |= conflicts(s, other, (struct endpoint){ADDRESS_ANY, port});
    }
    for (unsigned tries = 0; tries < sizeof(taken); tries++) {
        next = (next + 1) % sizeof(taken);
        if (!taken[next])
            return PORTS_FREE + next;
    }
    return 0;
}

static int set_name(struct socket *s, struct endpoint e)
{
    struct socket_name *name = name_of(e);
    if (!name)
        return -ENOMEM;
    name_put(s->name);
    s->name = name;
    return 0;
}

/* Give @s the address and port @e, of which port 0 is any. */
static int take_port(struct socket *s, struct endpoint e)
{
    if (e.port)
        return in_use(s, e) ? -EADDRINUSE : set_name(s, e);
    e.port = free_port(s);
    return e.port ? set_name(s, e) : -EADDRINUSE;
}

int inet_bind(struct socket *s, const struct address *address)
{
    if (address->size < SOCKADDR_INET)
        return -EINVAL;
    const struct endpoint e = endpoint_of(address->bytes);
    if (address->family != AF_INET && (address->family != AF_UNSPEC || e.address != ADDRESS_ANY))
        return -EAFNOSUPPORT;
    if (e.address != ADDRESS_ANY && !is_local(e.address))
        return -EADDRNOTAVAIL;
    if (e.port && e.port < PORTS_LOW && !access_capable(CAP_NET_BIND_SERVICE))
        return -EACCES;
    return s->name ? -EINVAL : take_port(s, e);
}

int inet_listen(struct socket *s)
{
    if (s->connected)
        return -EINVAL;
    if (!s->name)
        return take_port(s, (struct endpoint){ADDRESS_ANY, 0});
    if (s->listening)
        return 0;
    const bool used = in_use(s, endpoint_of(s->name->bytes));
    if (!used)
        s->shut_read = s->shut_write = false;
    return used ? -EADDRINUSE : 0;
}

/* ---- Connections ---- */

static struct socket *find_listener(const struct socket *s, struct endpoint to)
{
    struct socket *other, *found = NULL;
    list_for_each(other, &all_sockets, all)
    {
        if (!on_port(other, s->type, to.port))
            continue;
        const uint32_t address = endpoint_of(other->name->bytes).address;
        if (other->listening && (address == to.address || (address == ADDRESS_ANY && !found)))
            found = other;
    }
    return found;
}

/* From where @s sends to another one: it has a port, and a definite address. */
static int take_source(struct socket *s)
{
    if (!s->name)
        return take_port(s, (struct endpoint){ADDRESS_LOCAL, 0});
    struct endpoint e = endpoint_of(s->name->bytes);
    if (e.address != ADDRESS_ANY)
        return 0;
    e.address = ADDRESS_LOCAL;
    return set_name(s, e);
}

static void forget_remote(struct socket *s)
{
    name_put(s->remote);
    s->remote = NULL;
}

static int set_remote(struct socket *s, struct endpoint to)
{
    struct socket_name *name = name_of(to);
    if (!name)
        return -ENOMEM;
    forget_remote(s);
    s->remote = name;
    return 0;
}

/* The end that @listener is going to accept, for @s, which has a name by now and is connected to @to then. */
static int make_end(struct socket *s, struct socket *listener, struct endpoint to)
{
    const int rc = set_remote(s, to);
    struct socket *end = rc ? NULL : socket_new(AF_INET, SOCK_STREAM);
    if (!end) {
        forget_remote(s);
        return -ENOMEM;
    }
    end->options = listener->options;
    end->name = s->remote;
    end->remote = s->name;
    end->name->refs++;
    end->remote->refs++;
    socket_join(s, end);
    s->shut_read = s->shut_write = false;
    socket_offer(listener, end);
    socket_wake(s);
    return 0;
}

/* Nobody listens there: a call that does not wait hears it later. */
static int refuse(struct socket *s, bool wait)
{
    if (wait)
        return -ECONNREFUSED;
    s->error = ECONNREFUSED;
    s->shut_read = s->shut_write = true;
    socket_wake(s);
    return -EINPROGRESS;
}

static int disconnect(struct socket *s)
{
    const bool connected = s->connected;
    socket_leave(s);
    s->connected = s->connecting = s->shut_read = s->shut_write = false;
    s->error = connected ? ECONNRESET : 0;
    forget_remote(s);
    socket_queue_drop(s);
    socket_wake(s); /* other threads may wait for what does not come any more */
    return 0;
}

/* Where an address of a call leads to; -EINVAL and so on. */
static int read_target(const struct address *address, struct endpoint *to)
{
    if (address->size < SOCKADDR_INET)
        return -EINVAL;
    if (address->family != AF_INET)
        return -EAFNOSUPPORT;
    *to = endpoint_of(address->bytes);
    if (to->address == ADDRESS_ANY)
        to->address = ADDRESS_LOCAL;
    return is_local(to->address) ? 0 : -ENETUNREACH;
}

/* What is known without looking for who listens: 1, go on. */
static int connect_state(struct socket *s, const struct address *address)
{
    if (address->family == AF_UNSPEC)
        return s->listening ? -EISCONN : disconnect(s);
    if (s->connecting) { /* it was done at once, and is told now */
        s->connecting = false;
        return 0;
    }
    if (s->error && s->shut_write && !s->connected) {
        s->shut_read = s->shut_write = false;
        return -socket_error_take(s);
    }
    return s->connected || s->listening ? -EISCONN : 1;
}

static int connect_stream(struct socket *s, const struct address *address, uint64_t deadline)
{
    struct endpoint to;
    int rc = connect_state(s, address);
    if (rc <= 0)
        return rc;
    rc = read_target(address, &to);
    if (!rc)
        rc = take_source(s);
    while (!rc) {
        /* While this call slept, another thread may have connected @s, or made it listen. */
        if (s->connected || s->listening)
            return -EISCONN;
        struct socket *listener = find_listener(s, to);
        /* Who does not wait is in at once: the line is as long as it has to be, but not without end. */
        if (!listener || (!deadline && listener->pending_count > BACKLOG_MOST))
            return refuse(s, deadline);
        if (!deadline || listener->pending_count <= listener->backlog) {
            rc = make_end(s, listener, to);
            s->connecting = !rc && !deadline;
            return rc ? rc : deadline ? 0 : -EINPROGRESS;
        }
        rc = socket_wait(listener, deadline);
    }
    return rc == -EAGAIN ? -ETIMEDOUT : rc;
}

static int connect_datagrams(struct socket *s, const struct address *address)
{
    struct endpoint to;
    if (address->family == AF_UNSPEC) {
        forget_remote(s);
        return 0;
    }
    int rc = read_target(address, &to);
    if (!rc)
        rc = take_source(s);
    return rc ? rc : set_remote(s, to);
}

int inet_connect(struct socket *s, const struct address *address, uint64_t deadline)
{
    return s->type == SOCK_STREAM ? connect_stream(s, address, deadline)
                                  : connect_datagrams(s, address);
}

int inet_shutdown(struct socket *s, bool read, bool write)
{
    struct socket *const peer = s->peer;
    if (s->type == SOCK_STREAM && s->listening) {
        if (read)
            socket_unlisten(s);
        return 0;
    }
    if (s->type == SOCK_STREAM && !s->connected)
        return -ENOTCONN;
    s->shut_read |= read;
    s->shut_write |= write;
    socket_wake(s);
    if (peer && write) {
        peer->shut_read = true;
        socket_wake(peer);
    }
    return s->remote ? 0 : -ENOTCONN;
}

/* ---- Datagrams ---- */

/* Who hears at @to what comes from @from: rather the one that is connected to that, or bound to the very address. */
static struct socket *find_receiver(const struct socket *s, struct endpoint to,
                                    struct endpoint from)
{
    struct socket *other, *found = NULL;
    int best = -1;
    list_for_each(other, &all_sockets, all)
    {
        if (!on_port(other, SOCK_DGRAM, to.port))
            continue;
        const uint32_t address = endpoint_of(other->name->bytes).address;
        int score = address == to.address ? 1 : 0;
        if (!score && address != ADDRESS_ANY)
            continue;
        if (other->remote) {
            const struct endpoint hears = endpoint_of(other->remote->bytes);
            if (hears.port != from.port || hears.address != from.address)
                continue;
            score += 2;
        }
        if (score > best) {
            best = score;
            found = other;
        }
    }
    return found;
}

static int datagram_target(const struct socket *s, const struct message *m, struct endpoint *to)
{
    if (!m->to) {
        if (!s->remote)
            return -EDESTADDRREQ;
        *to = endpoint_of(s->remote->bytes);
        return 0;
    }
    const int rc = read_target(m->to, to);
    if (!rc || rc == -ENETUNREACH) {
        if (!to->port)
            return -EINVAL;
        if (to->address == ADDRESS_BROADCAST && !socket_option(s, SO_BROADCAST))
            return -EACCES;
    }
    return rc;
}

/* What nobody hears, or has room for, is lost; who is connected learns of the former by the next call. */
static int send_datagram(struct socket *s, struct message *m)
{
    struct endpoint to;
    if (m->size > DATAGRAM_MOST)
        return -EMSGSIZE;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    int rc = datagram_target(s, m, &to);
    if (!rc && s->error)
        rc = -socket_error_take(s);
    if (!rc && s->shut_write) {
        if (!(m->flags & MSG_NOSIGNAL))
            signal_broken_pipe();
        rc = -EPIPE;
    }
    if (!rc && !s->name)
        rc = take_port(s, (struct endpoint){ADDRESS_ANY, 0});
    if (rc)
        return rc;
    struct endpoint from = endpoint_of(s->name->bytes);
    if (from.address == ADDRESS_ANY)
        from.address = ADDRESS_LOCAL;
    struct socket *receiver = find_receiver(s, to, from);
    struct socket_name *name = name_of(from);
    rc = name ? packet_send(s, m, receiver, name) : -ENOMEM;
    name_put(name);
    if (!rc && !receiver && s->remote)
        s->error = ECONNREFUSED;
    return rc;
}

/* ---- What socket-queue.c asks ---- */

static long send_on_connection(struct socket *s, struct message *m)
{
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP; /* nothing comes before the rest */
    if (s->error)
        return -socket_error_take(s);
    if (s->connected) {
        m->to = NULL; /* which Linux does not look at */
        return socket_send_stream(s, m);
    }
    if (!(m->flags & MSG_NOSIGNAL))
        signal_broken_pipe();
    return -EPIPE;
}

long inet_send(struct socket *s, struct message *m)
{
    if (s->type == SOCK_STREAM)
        return send_on_connection(s, m);
    const int rc = send_datagram(s, m);
    return rc ? rc : (long)m->size;
}

int inet_receive_check(struct socket *s, const struct message *m)
{
    if (m->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (s->type != SOCK_STREAM)
        return 0;
    if (!s->connected)
        return s->error ? -socket_error_take(s) : -ENOTCONN;
    return m->flags & MSG_OOB ? -EINVAL : 0;
}
