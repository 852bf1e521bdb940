/* Queues of tasks that wait for something to happen. */
#pragma once

#include "list.h"

struct wait_queue {
    struct list tasks;
};

#define WAIT_QUEUE_INIT(name)   \
    {                           \
        LIST_INIT((name).tasks) \
    }

static inline void wait_init(struct wait_queue *q)
{
    list_init(&q->tasks);
}
#define FOREVER (~0ul)
/*
 * Sleep in @q until woken: 0; -ETIMEDOUT at @deadline; -ERESTART if a signal is
 * to be handled.  Callers loop over their condition: a task that is stopped and
 * continued while it waits, wakes up here for no other reason.
 */
MUST_CHECK int wait_until(struct wait_queue *q, uint64_t deadline);
/* The same without regard to signals or time. */
void wait_uninterruptible(struct wait_queue *q);
/* Wake all who sleep in @q: most often there is nobody, so that question is asked here. */
void wait_wake_sleepers(struct wait_queue *q);
static inline void wait_wake(struct wait_queue *q)
{
    if (!list_empty(&q->tasks))
        wait_wake_sleepers(q);
}
