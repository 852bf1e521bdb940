/*
 * Sockets: ends of connections, and those who wait for them.
 *
 * Names are socket-name.c's business, connecting is socket-connect.c's, what is under way between sockets
 * socket-queue.c's and socket-garbage.c's.
 */
#pragma once

#include "file.h"
#include "wait.h"

#define AF_UNSPEC       0
#define AF_UNIX         1
#define AF_INET         2
#define SOL_SOCKET      1
#define IPPROTO_IP      0
#define IPPROTO_TCP     6
#define IPPROTO_UDP     17
#define SOCK_STREAM     1
#define SOCK_DGRAM      2
#define SOCK_RAW        3
#define SOCK_SEQPACKET  5
#define SOCK_LIMIT      11
#define SOCK_NONBLOCK   O_NONBLOCK
#define SOCK_CLOEXEC    O_CLOEXEC
#define SOCKET_SIZE     212992 /* bytes under way, as Linux has it */
#define SOCKET_SIZE_MIN 4608
#define DATAGRAMS_MOST  10 /* that wait in a socket which is not connected to who sends */
#define BACKLOG_MOST    4096

#define SOCKADDR_MOST  128 /* of any family */
#define SOCKADDR_UNIX  110 /* bytes of a struct sockaddr_un, 108 of them for the path */
#define SOCKADDR_INET  16
#define ADDRESS_FAMILY sizeof(uint16_t) /* comes first in each */

#define MSG_OOB          1
#define MSG_PEEK         2
#define MSG_CTRUNC       8
#define MSG_TRUNC        0x20
#define MSG_DONTWAIT     0x40
#define MSG_EOR          0x80
#define MSG_WAITALL      0x100
#define MSG_ERRQUEUE     0x2000
#define MSG_NOSIGNAL     0x4000
#define MSG_WAITFORONE   0x10000
#define MSG_CMSG_CLOEXEC 0x40000000

/* Who has sent, connected or listened. */
struct identity {
    int32_t pid;
    uint32_t uid, gid;
};

/* What a process gave as an address. */
struct address {
    unsigned size;
    union {
        uint16_t family;
        char bytes[SOCKADDR_MOST];
    };
};

/* A name that a socket is bound to, which those that it has accepted have, too. */
struct socket_name {
    unsigned refs, size;
    char bytes[SOCKADDR_UNIX + 1]; /* a struct sockaddr_un, and a zero behind the longest path */
};

/**
 * struct socket - one end.
 *
 * I1  @refs = the open file, or the place among a listener's @pending; and each
 *     socket whose @peer it is, each packet that it has sent and nobody has
 *     taken, each call that sleeps for it.
 * I2  A dead one has neither file, peer, name in any name space nor packets.
 * I3  @sent is the sum of the costs of all packets under way whose @from it is.
 * I4  @in_flight counts its file in packets that nobody has taken.
 */
struct socket {
    unsigned refs;
    unsigned family, type; /* AF_*, SOCK_* */
    bool dead, listening, connected;
    bool shut_read, shut_write;
    struct list all;     /* all_sockets */
    struct file *file;   /* NULL: not accepted yet; without a reference */
    struct socket *peer; /* whom it is connected to, or a datagram socket sends to */
    int error;           /* told once: SO_ERROR */
    struct wait_queue changed;

    /* Names. */
    struct socket_name *name;
    struct socket_name *remote; /* AF_INET: whom it is connected to, or sends to */
    struct inode *inode;        /* bound in the file system... */
    struct list abstract;       /* ...or linked in abstract_sockets */
    struct identity identity, peer_identity;

    /* What has arrived. */
    struct list queue; /* struct packet */
    unsigned packets, packets_with_files;
    size_t bytes;
    uint64_t arrived; /* packets and connections that ever did */

    /* Who wants to be accepted. */
    struct list pending, waiting; /* waiting: in the listener's pending */
    unsigned pending_count, backlog;

    /* What is under way from here, and how much may be. */
    size_t sent, send_size, receive_size;
    uint64_t send_timeout, receive_timeout; /* ns; 0: none */
    bool pass_identity;                     /* SO_PASSCRED */
    uint64_t options;                       /* bit n: SO_* number n is on */
    int32_t priority, linger[2];
    int32_t *settings; /* inet-option.c: NULL as long as all are as at first */
    bool connecting;   /* AF_INET: connected by a call that did not wait, and has not been told */

    /* socket-garbage.c */
    unsigned in_flight;
    bool reached;
    struct list work;
};

struct message;

extern struct list all_sockets;
extern const struct file_ops socket_ops;

static inline bool socket_inet(const struct socket *s)
{
    return s->family == AF_INET;
}

/* What getsockopt and setsockopt ask about. */
enum option {
    SO_DEBUG = 1,
    SO_REUSEADDR,
    SO_TYPE,
    SO_ERROR,
    SO_DONTROUTE,
    SO_BROADCAST,
    SO_SNDBUF,
    SO_RCVBUF,
    SO_KEEPALIVE,
    SO_OOBINLINE,
    SO_PRIORITY = 12,
    SO_LINGER,
    SO_REUSEPORT = 15,
    SO_PASSCRED,
    SO_PEERCRED,
    SO_RCVLOWAT,
    SO_SNDLOWAT,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SO_ACCEPTCONN = 30,
    SO_SNDBUFFORCE = 32,
    SO_RCVBUFFORCE,
    SO_PROTOCOL = 38,
    SO_DOMAIN,
};
/* Is @option, one that is on or off, on? */
static inline bool socket_option(const struct socket *s, enum option option)
{
    return s->options >> option & 1;
}

/* One reference; NULL without memory. */
struct socket *socket_new(unsigned family, unsigned type);
static inline void socket_get(struct socket *s)
{
    s->refs++;
}
void socket_put(struct socket *s);
/* An open file for @s, whose reference moves; NULL without memory, and it does not move. */
struct file *socket_open(struct socket *s, unsigned flags);
/* Nobody has @s open any more, or will. */
void socket_end(struct socket *s);
/* The socket that the running process has open as @fd; NULL: *rc says why not. */
struct file *socket_file(int fd, long *rc);
/* Something has changed: whoever waits for @s looks again. */
void socket_wake(struct socket *s);
/* Sleep until then: 0, -EAGAIN when @deadline has passed, -EINTR or -ERESTART. */
MUST_CHECK int socket_wait(struct socket *s, uint64_t deadline);
/* When a call that may wait for @timeout is over: 0 if it may not wait. */
uint64_t socket_deadline(const struct file *file, unsigned flags, uint64_t timeout);
/* The error that is pending, which is not any more; 0: none. */
int socket_error_take(struct socket *s);
struct identity identity_current(void);
/* @one and @other are ends of one connection from now on. */
void socket_join(struct socket *one, struct socket *other);
/* @s has left its peer, if it has one, which learns that the connection was reset. */
void socket_leave(struct socket *s);
/* @s takes no connections any more, and ends those that it has not accepted. */
void socket_unlisten(struct socket *s);
/* socket-connect.c: @end stands among those that @listener can accept. */
void socket_offer(struct socket *listener, struct socket *end);

/* socket-inet.c: as the calls of these names. */
MUST_CHECK int inet_bind(struct socket *s, const struct address *address);
/* May @s, which has a port then, listen? */
MUST_CHECK int inet_listen(struct socket *s);
/* @deadline 0: it does not wait, -EINPROGRESS. */
MUST_CHECK int inet_connect(struct socket *s, const struct address *address, uint64_t deadline);
MUST_CHECK int inet_shutdown(struct socket *s, bool read, bool write);
long inet_send(struct socket *s, struct message *m);
struct syscall_args;
/* inet-option.c: getsockopt and setsockopt of any level but SOL_SOCKET, for sockets of AF_INET. */
long inet_option_get(struct socket *s, const struct syscall_args *a);
long inet_option_set(struct socket *s, const struct syscall_args *a);
/* 0 if @s may wait for something to receive. */
MUST_CHECK int inet_receive_check(struct socket *s, const struct message *m);

/* socket-name.c */
MUST_CHECK int address_read(struct address *to, user_t at, uint64_t size);
/* Tell @name, or that there is none, as accept and its kin do; @size is where its size stands. */
MUST_CHECK int name_write(const struct socket_name *name, user_t to, user_t size);
struct socket_name *name_new(const void *bytes, size_t size); /* NULL without memory */
void name_put(struct socket_name *name);
/* The socket of AF_UNIX that @address names, with a reference, for one of @type. */
MUST_CHECK int socket_find(const struct address *address, unsigned type, struct socket **found);
/* Has @address the form that AF_UNIX wants?  0 or -EINVAL. */
MUST_CHECK int address_check_unix(const struct address *address);
/* Give @s a name if it has none. */
MUST_CHECK int socket_bind_any(struct socket *s);
/* Nobody finds @s by its name any more. */
void socket_unbind(struct socket *s);

/* What one call sends or receives. */
struct message {
    const struct linux_iovec *pieces;
    unsigned count;
    size_t size; /* of all pieces */
    unsigned flags;
    uint64_t deadline; /* 0: it does not wait */
    const struct address *to;

    /* Sent along, or received. */
    struct file **files; /* NULL: none; whoever has the message frees it, with its references */
    unsigned file_count;
    struct identity identity;

    /* Received only. */
    struct socket_name *from; /* a reference */
    size_t length;            /* of the packet */
    unsigned told;            /* MSG_* */
};

/* socket-queue.c */
struct packet;
/* Bytes sent or received, or -errno. */
/* Lets go of the files and the name that @m has. */
void message_end(struct message *m);
long socket_send(struct socket *s, struct message *m);
long socket_receive(struct socket *s, struct message *m);
/* To whom it is connected. */
long socket_send_stream(struct socket *s, struct message *m);
/* One datagram under @name into the queue of @to, if there is room; else it is lost. */
MUST_CHECK int packet_send(struct socket *s, struct message *m, struct socket *to,
                           struct socket_name *name);
/* Could something be sent now? */
bool socket_has_room(const struct socket *s);
/* What FIONREAD tells: bytes that a read would give. */
size_t socket_available(const struct socket *s);

/* What is under way, in its receiver's queue. */
struct packet {
    struct list link;
    struct socket *from; /* a reference */
    struct identity identity;
    struct socket_name *name; /* a reference; NULL: it had none */
    struct file **files;
    unsigned file_count;
    size_t size, taken, cost;
    char data[];
};
void packet_free(struct packet *p);
/* The same for all of @s: what is in its queue has no receiver any more. */
void socket_queue_drop(struct socket *s);

/* socket-garbage.c */
/* @files are under way from now on, or not any more. */
void flight_begin(struct file **files, unsigned count);
void flight_end(struct file **files, unsigned count);
/* Free @packets, and whatever is reached by nothing but packets that nobody can receive. */
void packets_drop(struct list *packets);
/* -ETOOMANYREFS if the running process's user has too many files under way to send @count more. */
MUST_CHECK int flight_check(unsigned count);
