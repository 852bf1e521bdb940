/*
 * Tasks: who runs, who waits, who is whose child.
 *
 * Processes are preemptive, the kernel is not: in the kernel a task gives up its
 * CPU when it waits, when it is about to return to its process after its turn,
 * and where it says so itself (sched_point).  Between those points nobody else
 * is in the kernel, on any CPU (cpu.h), which is all the locking there is.
 *
 * A kernel thread is a task without a process: it has no space, no files, no
 * pid, no parent, and nobody but who made it knows of it.
 */
#pragma once

#include "cpu.h"
#include "fpu.h"
#include "frame.h"
#include "layout.h"
#include "linux.h"
#include "list.h"
#include "space.h"
#include "timer.h"
#include "user.h"

struct files;
struct inode;

enum task_state {
    TASK_READY,   /* running or in the run queue */
    TASK_WAITING, /* in a wait queue; a signal wakes it */
    TASK_DEAF,    /* in a wait queue; no signal wakes it */
    TASK_STOPPED, /* by SIGSTOP and its kin, until SIGCONT */
    TASK_ZOMBIE,  /* dead, until its parent asks */
};

struct wait_queue {
    struct list tasks;
};

/**
 * struct task - a process.
 *
 * I1  @run is linked exactly while the task is ready and not running (in the run
 *     queue), or waiting or deaf (in one wait queue), or dead and self-reaping.
 * I2  A zombie has no space, files or working directory; all it keeps is its
 *     kernel stack, its status and its place in the family.
 * I3  Every process but pid 1 has a parent that is no zombie.
 * I4  It is on one CPU at most: running there if it is that CPU's @current.
 */
struct task {
    int pid;            /* 0: a kernel thread */
    int group, session; /* group: process group */
    char name[16];
    enum task_state state;
    int exit_status; /* as wait4 reports it */

    /* Where it is. */
    struct list link; /* all_tasks */
    struct list run;  /* run queue or wait queue */
    struct cpu *cpu;  /* where it runs or ran last */
    cpus_t cpus;      /* where it may run */
    struct task *parent;
    struct list children, sibling; /* sibling: in parent->children */

    /* What it is made of. */
    void *stack;         /* the lowest address; holds a pointer back to this task */
    uint64_t sp;         /* while it is not running */
    struct space *space; /* NULL: a zombie, or a kernel thread */
    struct files *files;
    struct inode *cwd;
    unsigned umask;
    uint64_t fs_base, gs_base;
    uint8_t fpu[FPU_SIZE] __attribute__((aligned(64))); /* while it is not running */

    /* Signals (signal.c). */
    uint64_t pending, blocked;
    uint64_t blocked_saved; /* put back by signal_deliver if restore_blocked */
    bool restore_blocked;
    int fault_signal; /* raised by an exception: not to be ignored */
    uint64_t fault_address;
    struct linux_sigaction actions[SIGNAL_COUNT + 1];
    struct linux_sigaltstack alternate;

    /* Family business (fork.c, exit.c). */
    struct wait_queue child_wait; /* for something to happen to a child */
    int stop_signal;              /* why it is stopped, until its parent knows */
    bool continued;               /* by SIGCONT, until its parent knows */
    bool self_reaping;            /* a zombie whose parent does not want to know */
    bool has_exec;                /* its parent may no longer move it to another group */
    struct task *vfork_parent;    /* waits until we exec or exit... */
    bool vfork_waiting;           /* ...while this is set in it */
    user_t set_tid, clear_tid;    /* where to write the pid at first, zero at last */

    /* Time. */
    uint64_t run_time, run_since, children_time; /* ns */
    struct timer sleep_timer, alarm;
    uint64_t alarm_interval; /* ns */
};

/* The task that is running.  Its kernel stack knows. */
static inline struct task *task_current(void)
{
    uintptr_t sp;
    __asm__("mov %%rsp, %0" : "=r"(sp));
    return *(struct task **)((sp - 1) & ~(uintptr_t)KERNEL_STACK_MASK);
}

static inline struct cpu *cpu_this(void)
{
    return task_current()->cpu;
}

/* The frame at the top of its kernel stack, through which it entered the kernel. */
static inline struct frame *task_frame(const struct task *task)
{
    return (struct frame *)((char *)task->stack + KERNEL_STACK_SIZE) - 1;
}

extern struct list all_tasks;
extern struct task *init_task; /* pid 1 */

#define for_each_task(t) list_for_each(t, &all_tasks, link)

/* The boot stack becomes the idle task's. */
void task_init(void);
/* Start the thread that frees the dead whose parents do not want to know. */
void task_reaper_start(void);
/* A process that will begin in @start (or by returning to its process when NULL); not yet ready. */
struct task *task_create(struct task *parent, void (*start)(void));
/* A kernel thread, not yet ready. */
struct task *task_create_kernel(const char *name, void (*start)(void));
void task_free(struct task *task);
/* @task, the running one, is as good as dead, and nobody will ask for its status. */
void task_bury(struct task *task);
/* Go (back) to the process, as its frame says. */
NORETURN void task_return(void);
struct task *task_find(int pid);

/* sched.c */
void sched_ready(struct task *task);
/* A task's sleep_timer has expired. */
void sched_sleep_over(struct timer *timer);
/* Run somebody else; returns when this task has been chosen again. */
void sched_switch(void);
/* Let @next, which is ready, run before all others, and the caller soon after. */
void sched_yield_to(struct task *next);
extern cpus_t sched_sleeping; /* idle CPUs that nobody has kicked */
bool sched_turn_over(void);
/*
 * Called on the way back to a process: let others have what they have a right to,
 * this CPU if the turn is over, and idle ones if there is work for them.  True if
 * the caller has not been running for a while.
 */
static inline bool sched_fair(void)
{
    return (cpu_this()->slice_over || sched_sleeping) && sched_turn_over();
}
/*
 * In the middle of long work: let interrupts and other CPUs into the kernel, and
 * other tasks onto this CPU if their turn has come.  The caller's data must be
 * in a state that others may see, and may have been changed by others afterwards.
 */
void sched_point(void);
/* Have @task look for signals, wherever it runs. */
void sched_poke(const struct task *task);
/* @allowed is where @task may run from now on; it contains a CPU that there is. */
void sched_set_cpus(struct task *task, cpus_t allowed);
/* Become the idle task of this CPU. */
NORETURN void sched_idle(void);

/* wait queues */
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
 * to be handled.  Callers loop over their condition.
 */
MUST_CHECK int wait_until(struct wait_queue *q, uint64_t deadline);
/* The same without regard to signals or time. */
void wait_deaf(struct wait_queue *q);
void wait_wake(struct wait_queue *q);

/* Make @space (or the kernel alone) this CPU's address space; queued. */
void space_load(struct space *space);
/* Return when no CPU has @space loaded, which no task has any more; may sleep. */
void space_unload(struct space *space);

/* exit.c: end the running task; @status as wait4 reports it. */
NORETURN void task_exit(int status);
/* As wait4: a pid, 0 with WNOHANG, or -errno. */
long task_wait(int pid, unsigned options, int *status);
/* fork.c: @child has its own memory now, or none: its vfork parent may go on. */
void task_vfork_done(struct task *child);
