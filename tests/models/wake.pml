/*
 * No wake-up is lost: op_SCHEDOP_block() in core/domain-calls/sched-op.c, vcpu_kick() and vcpu_unpause(), reschedule(), doze(), wake_on() and
 * sched_tail() in core/sched/sched.c.
 *
 * A vCPU blocks until an event is pending, takes it, and blocks again.  Another CPU sends two events; a third makes the vCPU leave its
 * stack now and then, as somebody does who wants the CPU.  Its own CPU's timer may end a poll.
 *
 * Holds: the vCPU never sleeps for good with an event pending (no invalid end state).
 *
 * BROKEN=1  op_block announces its sleep after its last look     4  the sender looks at the announcement first, then sends
 *        2  a vCPU that dozes is not kicked                      5  sched_tail() looks whether @left wants to run before it says
 *        3  an interrupt between the last look and the halt         that @left is off its stack, without the queue's lock
 *           is taken before the halt                             6  a vCPU that is taken off its stack is woken by nobody
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define EVENTS 2

bool pending, blocked;         /* evtchn_upcall_pending, PAUSE_BLOCKED */
bool lock;                     /* of the queue */
bool on_cpu = true, queued, current = true /* cq->current is the vCPU, not the idle vCPU */;
bool interrupt;                /* pending at the vCPU's CPU */
bool others;                   /* somebody else waits for the CPU */
byte sent, taken, disturbances = 2;

#define spin_lock   atomic { !lock -> lock = true }
#define spin_unlock lock = false

/* wake_on(), on another CPU. */
inline wake_from_elsewhere()
{
    spin_lock;
    if
    :: BROKEN != 2 && on_cpu && !current -> interrupt = true
    :: else
    fi;
    if
    :: queued || on_cpu || blocked
    :: else -> queued = true; interrupt = true /* insert() asks the CPU to reschedule */
    fi;
    spin_unlock
}

inline kick()
{
    bool was;

    if
    :: blocked ->
        atomic { was = blocked; blocked = false }; /* vcpu_unpause(): only who takes the reason away wakes */
        if
        :: was -> wake_from_elsewhere()
        :: else
        fi
    :: else ->
        if
        :: on_cpu -> interrupt = true
        :: else
        fi
    fi;
    was = false
}

active proctype sender()
{
    bool saw;

    do
    :: sent == EVENTS -> break
    :: else ->
#if BROKEN == 4
        saw = blocked;
        pending = true;
        sent++;
        if
        :: saw -> atomic { saw = blocked; blocked = false };
            if
            :: saw -> wake_from_elsewhere()
            :: else
            fi
        :: else
        fi;
        saw = false
#else
        atomic { pending = true; sent++ } /* a locked instruction */
        kick()
#endif
    od
}

/* Others want the CPU, and then no longer. */
active proctype disturber()
{
end:
    do
    :: atomic { disturbances > 0 -> disturbances--; others = true; interrupt = true }
    od
}

active proctype cpu()
{
    bool wants;

block:
    if
    :: pending -> goto awake
    :: else
    fi;
#if BROKEN == 1
    if
    :: pending -> goto awake
    :: else
    fi;
    blocked = true;
#else
    blocked = true; /* a locked instruction */
    if
    :: pending -> blocked = false; goto awake
    :: else
    fi;
#endif

    /* schedule() */
    spin_lock;
    if
    :: !blocked -> spin_unlock; goto awake
    :: else
    fi;
    current = false; /* doze() */
    do
    :: others -> break
    :: !others && !blocked -> current = true; spin_unlock; goto awake
    :: !others && blocked ->
        spin_unlock;
#if BROKEN == 3
        interrupt = false;
#endif
sleep:
        atomic { interrupt -> interrupt = false } /* arch_idle() */
        spin_lock
    od;

    /* Somebody else's turn: away from this stack. */
    others = false;
#if BROKEN == 5
    spin_unlock;
    wants = !blocked;
    on_cpu = false;
    if
    :: wants -> queued = true
    :: else
    fi;
#elif BROKEN == 6
    on_cpu = false;
    spin_unlock;
#else
    on_cpu = false; /* sched_tail() */
    wants = !blocked;
    spin_unlock;
    if
    :: wants -> /* wake_on(), here */
        spin_lock;
        if
        :: !queued && !on_cpu && !blocked -> queued = true
        :: else
        fi;
        spin_unlock
    :: else
    fi;
#endif
    wants = false;
asleep:
    queued; /* the others run; then it is picked */
    spin_lock;
    queued = false;
    on_cpu = true;
    current = true;
    spin_unlock;
awake:
    atomic {
        pending -> pending = false;
        taken = sent;
        if
        :: taken == EVENTS -> goto all_taken
        :: else -> goto block
        fi
    }
all_taken:
    skip
}
