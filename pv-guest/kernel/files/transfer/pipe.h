/* The ring of bytes that a pipe is. */
#pragma once

#include "user.h"
#include "wait.h"

#define PIPE_SIZE 65536      /* unless somebody asks for another one */
#define PIPE_MOST (1u << 20) /* that anybody may ask for */
#define PIPE_BUF  4096

struct file;

struct pipe {
    char *data;
    size_t room; /* of data, which grows when it is needed... */
    size_t size; /* ...to this many bytes */
    size_t head, used;
    uint64_t arrived; /* bytes that have ever been given */
    unsigned readers, writers;
    unsigned readers_ever, writers_ever; /* a named pipe's: who came, even if gone again */
    bool
        /* what was given at once is taken at once: a 32-bit length stands before it in the ring */
        messages;
    struct wait_queue changed;
};

/* Would a small write not have to wait? */
static inline bool pipe_has_room(const struct pipe *p)
{
    return p->size - p->used >= PIPE_BUF + (p->messages ? sizeof(uint32_t) : 0);
}

/* Empty, for @size bytes, without readers and writers; NULL without memory. */
struct pipe *pipe_create(size_t size);
/* From now on it is for @size bytes, rounded up: how many; -EBUSY if there are more in it. */
MUST_CHECK long pipe_resize(struct pipe *p, size_t size);
/* The pipe that @file is an end of; NULL if it is none. */
struct pipe *pipe_of(const struct file *file);
void pipe_free(struct pipe *p);
/* As read and write; -EAGAIN instead of waiting unless @wait; -EPIPE without a reader. */
long pipe_take(struct pipe *p, bool wait, user_t to, size_t size);
long pipe_give(struct pipe *p, bool wait, user_t from, size_t size);
/* Put @size bytes, for which there is room, into the ring, from the kernel's memory; without memory they are lost. */
void pipe_put(struct pipe *p, const void *from, size_t size);
/* Wait for something to take, or for room: 1, or what a read, or a write, would say. */
MUST_CHECK int pipe_wait_content(struct pipe *p, bool wait);
MUST_CHECK int pipe_wait_room(struct pipe *p, bool wait, size_t needed);
/* Copy what a read of @size would give, which stays there: how many bytes, or -EFAULT. */
MUST_CHECK long pipe_peek(struct pipe *p, user_t to, size_t size);
/* The first @n bytes have been taken, or as many as are still there. */
void pipe_skip(struct pipe *p, size_t n);
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
