/* New processes. */
#pragma once

#include "task.h"

struct fork_request {
    uint64_t flags; /* CLONE_* */
    user_t stack;   /* 0: as the parent's */
    user_t parent_tid, child_tid;
    uint64_t tls;
};

/* The running task's child: its pid, or -errno.  The child returns 0 from the same call. */
long task_fork(const struct fork_request *request);
