/*
 * No poller that is left for later is forgotten: evtchn_poll_begin(), evtchn_wake_pollers_(), note_later() and wake_in_turn() in
 * core/events/evtchn-poll.c, op_SCHEDOP_poll() in core/domain-calls/sched-op.c.
 *
 * Two vCPUs poll one port, again and again, and each clears it first; their polls may also end for another reason.  Two others send an
 * event each.  No poller is woken at once: all are noted, and a timer's handler, on any CPU, wakes one at a time.  After the last event
 * the port stays pending.
 *
 * Holds: nobody sleeps for good after the last event (no invalid end state).
 *
 * BROKEN=1  who begins a poll takes itself off after its last look       3  who notes pollers looks whether others are noted, and then
 *        2  the handler sets the timer again only if some were left         adds them, in two steps
 *           when it began                                                4  the sender looks for pollers first, then sends
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define EVENTS  2
#define BIT(id) (1 << (id))

bool pending;
bool polling[2]; /* PAUSE_POLLING */
byte later;      /* d->wake_later */
bool timer;      /* d->wake_timer is set */
byte sent;

inline note(who)
{
#if BROKEN == 3
    was = later;
    later = later | who;
#else
    atomic { was = later; later = later | who }; /* a locked instruction */
#endif
    if
    :: was == 0 && who != 0 -> timer = true
    :: else
    fi
}

inline look_for_pollers()
{
    who = 0;
    if
    :: polling[0] -> who = who | BIT(0)
    :: else
    fi;
    if
    :: polling[1] -> who = who | BIT(1)
    :: else
    fi
}

active [2] proctype sender()
{
    byte who, was;

#if BROKEN == 4
    look_for_pollers();
    atomic { pending = true; sent++ };
#else
    atomic { pending = true; sent++ };
    look_for_pollers();
#endif
    note(who)
}

active proctype handler()
{
    byte who, id;
    bool was, more;

end:
    do
    :: atomic { timer -> timer = false };
        who = later;
        more = (who & (who - 1)) != 0;
        if
        :: who == 0
        :: else ->
            if
            :: who & BIT(0) -> id = 0
            :: who & BIT(1) -> id = 1
            fi;
            atomic { was = (later & BIT(id)) != 0; later = later & ~BIT(id) };
            if
            :: was -> polling[id] = false /* vcpu_unpause() */
            :: else
            fi;
            if
#if BROKEN == 2
            :: more -> timer = true
#else
            :: later != 0 -> timer = true
#endif
            :: else
            fi
        fi;
        who = 0;
        id = 0;
        was = false;
        more = false
    od
}

active [2] proctype poller()
{
    byte self = _pid - 3;

    do
    :: atomic {
            sent == EVENTS -> break
        }
    :: else ->
        atomic { /* the guest clears the port, but for the last event */
            if
            :: sent < EVENTS -> pending = false
            :: else
            fi
        };
#if BROKEN != 1
        later = later & ~BIT(self); /* a locked instruction */
#endif
        polling[self] = true;
        if
        :: pending -> polling[self] = false
        :: !pending ->
#if BROKEN == 1
            later = later & ~BIT(self);
#endif
            if
            :: !polling[self] /* schedule() */
            :: sent < EVENTS -> polling[self] = false /* its time is over, or an upcall came */
            fi
        fi
    od
}
