/* The ring of bytes of which pipes have one and socket pairs two. */
#pragma once

#include "user.h"
#include "wait.h"

#define PIPE_SIZE 16384
#define PIPE_BUF  4096

struct pipe {
    char *data;
    size_t head, used;
    unsigned readers, writers;
    unsigned readers_ever, writers_ever; /* a named pipe's: who came, even if gone again */
    unsigned holders; /* socket.c: ends that are open */
    bool
        messages; /* what was given at once is taken at once: a 32-bit length stands before it in the ring */
    struct wait_queue changed;
};

/* Would a small write not have to wait? */
static inline bool pipe_has_room(const struct pipe *p)
{
    return PIPE_SIZE - p->used >= PIPE_BUF + (p->messages ? sizeof(uint32_t) : 0);
}

/* Empty, without readers and writers; NULL without memory. */
struct pipe *pipe_create(void);
void pipe_free(struct pipe *p);
/* As read and write; -EAGAIN instead of waiting unless @wait; -EPIPE without a reader. */
long pipe_take(struct pipe *p, bool wait, user_t to, size_t size);
long pipe_give(struct pipe *p, bool wait, user_t from, size_t size);
/* Put @size bytes, for which there is room, into the ring, from the kernel's memory. */
void pipe_put(struct pipe *p, const void *from, size_t size);
/*
 * The same for a ring of messages, from and to @count pieces of memory.  -EMSGSIZE if it could never fit; what does not
 * fit into the pieces is lost, and *@length says how long it was.
 */
struct linux_iovec;
long pipe_give_message(struct pipe *p, bool wait, const struct linux_iovec *pieces, unsigned count);
long pipe_take_message(struct pipe *p, bool wait, const struct linux_iovec *pieces, unsigned count,
                       size_t *length);
/* Something has changed: wake those who wait for it. */
void pipe_wake(struct pipe *p);
