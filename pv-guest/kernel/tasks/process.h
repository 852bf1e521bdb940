/*
 * Processes: what the threads of one program have in common, and their families.
 *
 * A process is what has a pid, a parent and an exit status; a task (task.h) is
 * what runs.  Most processes have one task, whose tid is the pid.  A process
 * lives until its last task has ended, then it is a zombie until its parent asks.
 */
#pragma once

#include "cpu-timer.h"
#include "credentials.h"
#include "task.h"

struct inode;

/* Where paths start, and what files that are made have not.  Processes that share it (CLONE_FS) point to one that is
 * neither's own, of which @refs counts them. */
struct places {
    unsigned refs;
    struct inode *cwd, *root;
    unsigned umask;
};

/**
 * struct process - what the threads of a program share, besides memory and files.
 *
 * I1  A zombie has no thread, and of all below it keeps what wait4 tells.
 * I2  Every process but pid 1 has a parent that is no zombie.
 * I3  @thread_count tasks are linked in @threads; each of them has not ended.
 */
struct process {
    int pid, group, session; /* group: process group */
    struct list link;        /* all_processes */
    struct list threads;     /* struct task.sibling */
    unsigned thread_count;
    struct task *sole;             /* exec: all others are to end... */
    struct wait_queue threads_end; /* ...and it waits here */
    bool exiting;                  /* all are to end: exit_group, or a signal */
    bool zombie;
    int exit_status; /* as wait4 reports it */
    char name[16];   /* of a zombie: its last task's */

    /* Family (fork.c, exit.c). */
    struct process *parent;
    struct list children, sibling; /* sibling: in parent->children */
    struct wait_queue child_wait;  /* for something to happen to a child */
    bool stopped;                  /* by SIGSTOP and its kin, until SIGCONT */
    int stop_signal;               /* why it is stopped, until its parent knows */
    bool continued;                /* by SIGCONT, until its parent knows */
    bool has_exec;                 /* its parent may no longer move it to another group */
    int parent_death_signal;
    bool subreaper;         /* prctl: orphans below it become its children */
    bool keep_capabilities; /* prctl: kept and told */
    bool not_dumpable;      /* prctl, exec of a set-id program: others may not look into it */
    /* of a session's leader: what was in the foreground of the terminal that it lost */
    int group_hung_up;
    int exit_signal; /* what its parent gets when it ends; 0: nothing */

    struct credentials credentials;

    struct inode *program; /* what was executed; NULL: a zombie */
    unsigned programs;     /* how many it has executed */
    struct places *places, own_places;

    /* Where exec put what the process was called with; it may have moved on since. */
    uint64_t arguments_start, arguments_end, variables_start, variables_end;

    /* Signals (signal.c). */
    struct signal_set signals; /* for whichever thread takes them */
    struct linux_sigaction *actions, own_actions[SIGNAL_COUNT + 1];

    /* Time. */
    uint64_t start_time;                    /* platform_time */
    uint64_t ended_time, children_time;     /* CPU time of ended threads, of children waited for */
    uint64_t ended_cycles, children_cycles; /* in the kernel, as task->system_cycles */
    struct timer alarm;
    uint64_t alarm_interval;       /* ns */
    struct list timers;            /* sys-timer.c */
    struct list undos;             /* sys-semaphore.c */
    struct list aio_contexts;      /* sys-aio.c */
    struct cpu_timers *cpu_timers; /* cpu-time.c: NULL as long as it had no use for any */

    struct linux_rlimit limits[RLIMITS];
    int nice;
    unsigned io_priority; /* kept and told; 0: nobody has asked for one */
    unsigned personality;
    struct process_handle *handle; /* pidfd.c: NULL as long as nobody has asked for one */
    bool no_huge_pages;            /* prctl: kept and told */
    bool no_new_privileges;        /* prctl: set-id bits mean nothing any more */
};

extern struct list all_processes;
extern struct process *init_process; /* pid 1 */

#define for_each_process(p)         list_for_each(p, &all_processes, link)
#define for_each_thread(t, process) list_for_each(t, &(process)->threads, sibling)

/* A child of @parent (NULL: pid 1) that has no thread yet; NULL without memory. */
struct process *process_create(struct process *parent);
void process_free(struct process *process);
struct process *process_find(int pid);

/* process-sharing.c: @child starts where @parent is, and moves alone; or both together, once @parent's are made ready
 * for that (-ENOMEM). */
void places_copy(struct process *child, const struct process *parent);
MUST_CHECK int places_make_shared(struct process *p);
void places_share(struct process *child, struct process *parent);
void places_drop(struct process *p);
/* @p moves alone from now on. */
void places_unshare(struct process *p);
/* Both do at a signal what either has said; in the same two steps. */
MUST_CHECK int actions_make_shared(struct process *p);
void actions_share(struct process *child, struct process *parent);
/* What @p says from now on concerns nobody else. */
void actions_unshare(struct process *p);

static inline struct process *process_current(void)
{
    return task_current()->process;
}

/* Has no member of @group a parent that is in its session, but in another group? */
bool process_group_orphaned(int group, int session);

/* sys-memory.c: may the running process map @more bytes in @space? */
bool memory_allowed(struct space *space, size_t more);
struct syscall_args;
/* The range that a call names by its first two arguments, in whole pages; -ENOMEM if not all of it is mapped. */
MUST_CHECK int mapped_range(const struct syscall_args *a, uintptr_t *start, size_t *size);

/*
 * sys-limits.c: how much of @size bytes from @offset of a file on the running process may write; 0: none, and a signal
 * has been sent.
 */
size_t limit_file_size(uint64_t offset, size_t size);
/* sys-limits.c: what pid 1 starts with. */
struct linux_rlimit limit_default(unsigned which);

/*
 * exit.c: end the running task; with the last one the process ends.  @status, as wait4
 * reports it, is the process's if the task is its first.
 */
NORETURN void task_exit(int status);
/* End the running task and all others of its process. */
NORETURN void process_exit(int status);
/* Make the running task the only one of its process, with its pid; -EINTR if it is to end itself.
 */
MUST_CHECK int process_threads_end(void);

/* What process_wait found. */
struct wait_result {
    int pid, status;       /* status as wait4 reports it */
    uint64_t time, cycles; /* that the child has used: ns in all, cycles in the kernel */
    unsigned uid;
};
enum wait_for { WAIT_ANY, WAIT_PID, WAIT_GROUP };
/* As waitid: 0 with result->pid 0 if WNOHANG found nothing; -errno.  @options: W*. */
MUST_CHECK int process_wait(enum wait_for which, int id, unsigned options,
                            struct wait_result *result);
