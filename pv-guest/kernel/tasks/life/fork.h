/* New processes. */
#pragma once

/* How many tasks there may be. */
unsigned fork_tasks_most(void);

#include "process.h"

struct fork_request {
    uint64_t flags;  /* CLONE_* */
    int exit_signal; /* for the parent when the child has ended; 0: none */
    user_t stack;    /* 0: as the parent's */
    user_t parent_tid, child_tid;
    uint64_t tls;
    user_t pidfd; /* CLONE_PIDFD: where to put the descriptor */
};

/*
 * A child or a further thread of the running task: its tid, or -errno.  It returns 0 from the same
 * call.
 */
long task_fork(const struct fork_request *request);
