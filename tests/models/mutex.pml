/*
 * A mutex: mutex_lock(), mutex_unlock() in core/lib/lock.h, mutex_join(), mutex_lock_wait() and mutex_wake() in core/sched/mutex.c.
 *
 * Three vCPUs, each on a CPU of its own, take it twice.  Who finds it held looks once more, or joins those that sleep.
 *
 * Holds: only one has it, and nobody sleeps for good (no invalid end state).
 *
 * BROKEN=1  letting go and looking for sleepers are two steps, the look first
 *        2  who joins looks whether the mutex is free before it says that it waits
 *        3  who joined and got it after all leaves @waiting as it is, and itself in the list
 *        4  who was woken and was not fast enough sleeps on without joining again
 *        5  the last that is taken off the list leaves @waiting set: harmless, a look at an empty list (holds)
 *        6  waking takes @waiting away although others are left in the list
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define N     3
#define TURNS 2

bool held, waiting;     /* mutex_t.word */
bool lock;              /* of rank WAITERS */
bool pause[N];          /* PAUSE_WAITING */
chan list = [N] of { byte }; /* first to last; who joins again does so at the end here: the order is no promise */
byte inside;

#define spin_lock   atomic { !lock -> lock = true }
#define spin_unlock lock = false

inline mutex_wake()
{
    spin_lock;
    if
    :: list?who ->
#if BROKEN == 6
        waiting = false;
#elif BROKEN != 5
        waiting = nempty(list);
#endif
        spin_unlock;
        pause[who] = false /* sched_wake() */
    :: empty(list) -> spin_unlock
    fi;
    who = 0
}

active [N] proctype vcpu()
{
    byte turns, who;
    bool was;

again:
    atomic { was = held; held = true }; /* mutex_lock() */
    if
    :: !was -> goto have
    :: else
    fi;
join:
    spin_lock;
#if BROKEN == 2
    atomic { was = held; held = true };
    if
    :: !was -> spin_unlock; goto have
    :: else
    fi;
    list!_pid;
    pause[_pid] = true;
    waiting = true;
    spin_unlock;
#else
    list!_pid;
    waiting = true;
    pause[_pid] = true;
    atomic { was = held; held = true };
    if
    :: !was ->
#if BROKEN != 3
        list??eval(_pid);
        waiting = nempty(list);
#endif
        pause[_pid] = false;
        spin_unlock;
        goto have
    :: else
    fi;
    spin_unlock;
#endif
sleep:
    !pause[_pid]; /* sched_sleep() */
    atomic { was = held; held = true };
    if
    :: !was -> goto have
    :: else
    fi;
#if BROKEN == 4
    pause[_pid] = true;
    goto sleep;
#else
    goto join;
#endif
have:
    inside++;
    assert(inside == 1);
    inside--;
#if BROKEN == 1
    was = waiting;
    held = false;
#else
    atomic { was = waiting; held = false }; /* mutex_unlock(): one step on the word */
#endif
    if
    :: was -> mutex_wake()
    :: else
    fi;
    was = false;
    turns++;
    if
    :: turns < TURNS -> goto again
    :: else
    fi
}
