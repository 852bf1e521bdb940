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
    struct wait_queue changed;
};

/* Empty, without readers and writers; NULL without memory. */
struct pipe *pipe_create(void);
void pipe_free(struct pipe *p);
/* As read and write; -EAGAIN instead of waiting unless @wait; -EPIPE without a reader. */
long pipe_take(struct pipe *p, bool wait, user_t to, size_t size);
long pipe_give(struct pipe *p, bool wait, user_t from, size_t size);
/* Something has changed: wake those who wait for it. */
void pipe_wake(struct pipe *p);
