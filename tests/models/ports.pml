/*
 * The life of a port: bind_locked(), send_locked(), close_port(), evtchn_stop() and evtchn_close_all() of core/events/evtchn-*.c, and of a
 * domain as far as ports need it (domain_get(), domain_hide() and domain_free() of core/sched/domain-table.c and core/domain/domain.c).
 *
 * Two domains, 0 and 1, with one port each.  Domain 0 opens its port for domain 1, closes it, opens it again, and dies.  Of domain
 * 1 one CPU binds twice, one closes twice, and one sends twice.  The lock of domain 0 comes first where both are needed.
 *
 * Holds: a port is bound only to one that is bound to it; nobody looks at a port of a domain that is gone; nobody waits for ever.
 *
 * BROKEN=1  close_port() takes the lower domain's lock while it holds the higher one's
 *        2  it holds no reference to the other domain between its locks
 *        3  it does not look again once it has both locks
 *        4  send_locked() takes no lock
 *        5  a dying domain closes its ports first, and says then that it is dying
 *        6  bind_locked() has looked at the other port before both are locked
 *        7  a binding takes the lock of its own domain alone
 */
#ifndef BROKEN
#define BROKEN 0
#endif

mtype = { FREE, UNBOUND, INTERDOMAIN };

mtype state[2] = FREE;
bool locked[2];
byte refs = 1;             /* of domain 0; domain 1 lives for ever */
bool dying, unlisted, freed; /* domain 0 */

inline lock(d)   { atomic { !locked[d] -> locked[d] = true } }
inline unlock(d) { assert(locked[d]); locked[d] = false }

inline lock_both()   { lock(0); lock(1) }
inline unlock_both() { unlock(1); unlock(0) }

/* What a pointer to domain 0 leads to is still there. */
#define LOOK_AT_0 assert(!freed)

/* domain_get(): @got is whether there is one. */
inline get() { d_step { got = !unlisted; if :: got -> refs++ :: else fi } }
inline put() { d_step { LOOK_AT_0; assert(refs > 1); refs-- } }

/* --- domain 0 --- */

inline open_0() /* alloc_unbound */
{
    lock(0);
    if
    :: !dying && state[0] == FREE -> state[0] = UNBOUND
    :: else
    fi;
    unlock(0)
}

inline close_0() /* close_port(): the other's lock comes second */
{
    lock(0);
    if
    :: state[0] == INTERDOMAIN -> lock(1); state[1] = UNBOUND; state[0] = FREE; unlock(1)
    :: state[0] == UNBOUND -> state[0] = FREE
    :: state[0] == FREE
    fi;
    unlock(0)
}

inline stop_0() { lock(0); dying = true; unlock(0) } /* evtchn_stop() */

active proctype guest_0()
{
    open_0();
    close_0();
    open_0()
}

active proctype end_of_0()
{
    if
    :: BROKEN == 5 -> close_0(); stop_0()
    :: else -> stop_0(); close_0()
    fi;
    atomic { refs == 1 -> unlisted = true }; /* domain_hide(): under the lock of the table */
    assert(state[1] != INTERDOMAIN);
    freed = true
}

/* --- domain 1 --- */

inline bind()
{
    get();
    if
    :: got ->
        seen = (BROKEN == 6 && state[0] == UNBOUND);
        if
        :: BROKEN == 7
        :: else -> lock(0)
        fi;
        lock(1);
        LOOK_AT_0;
        if
        :: state[1] != INTERDOMAIN && (seen || (BROKEN != 6 && state[0] == UNBOUND)) -> state[1] = INTERDOMAIN; state[0] = INTERDOMAIN
        :: else
        fi;
        unlock(1);
        if
        :: BROKEN == 7
        :: else -> unlock(0)
        fi;
        put()
    :: else
    fi;
    seen = false;
    got = false
}

inline send()
{
    if
    :: BROKEN == 4
    :: else -> lock(1)
    fi;
    if
    :: state[1] == INTERDOMAIN -> LOOK_AT_0
    :: else
    fi;
    if
    :: BROKEN == 4
    :: else -> unlock(1)
    fi
}

inline close_1() /* close_port(): the other's lock comes first */
{
    lock(1);
    if
    :: state[1] == INTERDOMAIN ->
        if
        :: BROKEN == 1 -> lock(0); state[0] = UNBOUND; state[1] = FREE; unlock_both()
        :: else ->
            if
            :: BROKEN == 2
            :: else -> d_step { LOOK_AT_0; refs++ }
            fi;
            unlock(1);
            LOOK_AT_0; /* its lock is a part of it */
            lock_both();
            if
            :: BROKEN == 3 || state[1] == INTERDOMAIN -> LOOK_AT_0; state[0] = UNBOUND; state[1] = FREE
            :: else
            fi;
            unlock_both();
            if
            :: BROKEN == 2
            :: else -> put()
            fi
        fi
    :: else -> state[1] = FREE; unlock(1)
    fi
}

active proctype guest_1()
{
    bool got, seen;
    bind();
    bind()
}

active proctype other_cpu_1()
{
    close_1();
    close_1()
}

active proctype sender_1()
{
    send();
    send()
}

/* Whenever both locks are free: both ends are bound, or neither is. */
active proctype onlooker()
{
end:
    atomic { !locked[0] && !locked[1] && (state[0] == INTERDOMAIN) != (state[1] == INTERDOMAIN) -> assert(false) }
}
