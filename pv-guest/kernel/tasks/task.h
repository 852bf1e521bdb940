/*
 * Tasks: who runs, who waits.  What several of them may share is a process (process.h).
 *
 * Processes are preemptive, the kernel is not: in the kernel a task gives up its
 * CPU when it waits, when it is about to return to its process after its turn,
 * and where it says so itself (sched_point).  Between those points nobody else
 * is in the kernel, on any CPU (cpu.h), which is all the locking there is.
 *
 * A kernel thread is a task without a process: it has no space, no files, no
 * tid, and nobody but who made it knows of it.
 */
#pragma once

#include "cpu.h"
#include "fpu.h"
#include "frame.h"
#include "layout.h"
#include "linux.h"
#include "list.h"
#include "space.h"
#include "signal-set.h"
#include "timer.h"
#include "user.h"
#include "wait.h"

struct files;
struct process;

enum task_state {
    TASK_READY,           /* running or in the run queue */
    TASK_WAITING,         /* in a wait queue; a signal wakes it */
    TASK_UNINTERRUPTIBLE, /* in a wait queue; no signal wakes it */
    TASK_STOPPED,         /* by SIGSTOP and its kin, until SIGCONT */
    TASK_DEAD,            /* has ended; task_reap frees it */
};

/* sys-policy.c: what was asked for, which makes no difference. */
struct sched_policy {
    unsigned number, priority;
    bool reset_on_fork;
    uint64_t runtime, deadline, period; /* ns, of SCHED_DEADLINE */
};

/**
 * struct task - a thread of a process.
 *
 * I1  @run is linked exactly while the task is ready and not running (in the run
 *     queue), or waiting or uninterruptible (in one wait queue), or dead.
 * I2  A dead task has no process, space or files; all it keeps is its kernel stack.
 * I3  A pending signal that the task does not block, and the end of its process,
 *     set @signal_pending.
 * I4  It is on one CPU at most: running there if it is that CPU's @current.
 */
struct task {
    int tid;
    char name[16];
    enum task_state state;
    struct process *process; /* NULL: a dead one, or a kernel thread */

    /* Where it is. */
    struct list link;    /* all_tasks */
    struct list run;     /* run queue, wait queue, or the dead */
    struct list sibling; /* in process->threads */
    struct cpu *cpu;     /* where it runs or ran last */
    cpus_t cpus;         /* where it may run */

    /* What it is made of. */
    void *stack;         /* the lowest address; holds a pointer back to this task */
    uint64_t sp;         /* while it is not running */
    struct space *space; /* NULL: a dead one, or a kernel thread */
    struct files *files;
    uint64_t fs_base, gs_base;
    uint8_t fpu[FPU_SIZE] __attribute__((aligned(64))); /* while it is not running */

    /* Signals (signal.c). */
    bool signal_pending; /* signal_deliver has something to look at */
    bool restore_blocked;
    struct signal_set signals;
    uint64_t blocked;
    uint64_t blocked_saved; /* put back by signal_deliver if restore_blocked */
    uint64_t wanted;        /* wakes it though blocked: sigtimedwait */
    int fault_signal;       /* raised by an exception: not to be ignored */
    uint64_t fault_address;
    struct linux_sigaltstack alternate;

    struct task *vfork_parent; /* waits until we exec or exit... */
    bool vfork_waiting;        /* ...while this is set in it */
    user_t set_tid, clear_tid; /* where to write the tid at first, zero at last */
    user_t robust_list;        /* futex.c: locks that others wait for should we die */

    struct sched_policy policy;
    uint64_t timer_slack, timer_slack_first; /* ns; kept and told */

    /* Time. */
    uint64_t run_time, run_since; /* ns */
    uint64_t vruntime;            /* the same, but never far behind others': sched.c compares it */
    uint64_t system_cycles;       /* in the kernel, without the present stay, which began... */
    uint32_t entered;             /* ...then */
    struct timer sleep_timer;
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
extern unsigned task_count; /* how many are linked there */

#define for_each_task(t) list_for_each(t, &all_tasks, link)

/* The boot stack becomes the idle task's. */
void task_init(void);
/* Start the thread that frees the dead. */
void task_reaper_start(void);
/*
 * A thread of @process that will begin in @start, or by returning to its process
 * when NULL; not yet ready.  NULL without memory.
 */
struct task *task_create(struct process *process, void (*start)(void));
/* A kernel thread, not yet ready. */
struct task *task_create_kernel(const char *name, void (*start)(void));
/* Take back one that has never run. */
void task_free(struct task *task);
/* The running task has ended: leave its process, to be freed once it runs no longer. */
void task_die(struct task *task);
/* Free those that have ended. */
void task_reap(void);
/* Those that have ended will not be reaped by whoever asks for their process: do it soon. */
void task_reap_soon(void);
/* Go (back) to the process, as its frame says. */
NORETURN void task_return(void);
struct task *task_find(int tid);
/* An unused number for a process or a thread. */
int task_number_new(void);

/* sched.c */
void sched_ready(struct task *task);
/* A task's sleep_timer has expired. */
void sched_sleep_over(struct timer *timer);
/* Run somebody else; returns when this task has been chosen again. */
void sched_switch(void);
/* switch.S: the registers that C keeps, and the stack pointer, to *@save_sp; those at @load_sp are in force. */
void context_switch(uint64_t *save_sp, uint64_t load_sp);
/* Let @next, which is ready, run before all others, and the caller soon after. */
void sched_yield_to(struct task *next);
extern struct list sched_queue; /* the ready that do not run */
extern cpus_t sched_sleeping;   /* idle CPUs that nobody has kicked */
bool sched_turn_over(void);
/*
 * Called on the way back to a process: let others have what they have a right to,
 * this CPU if the turn is over, and idle ones if there is work for them.  True if
 * the caller has not been running for a while.
 */
static inline bool sched_fair(void)
{
    const bool shareable = sched_sleeping && !list_empty(&sched_queue);
    return (cpu_this()->slice_over || shareable) && sched_turn_over();
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
/* For /proc: ns that all CPUs have idled, switches between tasks since boot. */
uint64_t sched_idle_time(void);
uint64_t sched_switch_count(void);
/* Become the idle task of this CPU. */
NORETURN void sched_idle(void);

/* Make @space (or the kernel alone) this CPU's address space; queued. */
void space_load(struct space *space);
/* Return when no CPU has @space loaded, which no task has any more; may sleep. */
void space_unload(struct space *space);

/* fork.c: @child has its own memory now, or none: its vfork parent may go on. */
void task_vfork_done(struct task *child);
