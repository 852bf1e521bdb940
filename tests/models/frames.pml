/*
 * The life of a frame: page_get(), page_put(), page_assign(), page_take_back(), page_release(), page_state_of() of page.h and
 * core/mmu/page.c, and unpin.  One step for each load, store or exchange.
 *
 * One frame, at first domain 1's.  A CPU of domain 1 gives it back and may take it again; domain 2 takes it when it can, pins it, and
 * may give it back, too; another CPU of domain 1 pins it, unpins it, or gives it back; and a third domain maps what is domain 1's,
 * holding a reference but no lock.
 *
 * Holds: who has taken a reference to a domain's frame keeps it until it is given back, and the frame stays that domain's; who takes
 * a frame or a pin away takes them from the domain that it means; what is given away is nobody's.
 *
 * BROKEN=1  a frame under construction has a reference, and what publishes it stores over those taken meanwhile
 *        2  a frame is given back without its owner's lock
 *        3  a pin is taken away without its owner's lock: a look at the owner, then an exchange
 *        4  with the lock, but the owner is looked at before the state
 *        5  a frame comes to a domain without the domain's lock
 *        6  a reference is taken without another look at the owner
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define FREE 0 /* owners besides the domains 1 and 2 */
#define OURS 3

byte owner = 1;
byte refs = 1; /* the state word: these three, and any exchange of it, are one step */
bool allocated = true, pinned;
bool held[3]; /* the locks of domains 1 and 2 */

/* But when BROKEN is @n, nobody locks. */
inline lock(d, n)   { atomic { BROKEN == n || !held[d]; held[d] = (BROKEN == n -> held[d] : true) } }
inline unlock(d, n) { held[d] = (BROKEN == n -> held[d] : false) }
#define ALWAYS 99

/* page_put() and page_reclaim() */
inline put()
{
    d_step { assert(refs > 0); refs--; last = (refs == 0) };
    if
    :: last -> assert(!allocated && !pinned && (owner == 1 || owner == 2)); owner = FREE
    :: else -> skip
    fi
}

inline look_at_state() { d_step { refs0 = refs; allocated0 = allocated; pinned0 = pinned } }
#define STATE_IS_THE_SAME (refs == refs0 && allocated == allocated0 && pinned == pinned0)

/* page_state_of() */
inline look()
{
    if
    :: BROKEN == 4 -> owner0 = owner; look_at_state()
    :: else -> look_at_state(); owner0 = owner
    fi
}

/* page_get() */
inline get(d)
{
    got = false;
    look_at_state();
    do
    :: atomic { owner != d || refs0 == 0 -> break }
    :: atomic { owner == d && refs0 > 0 -> skip };
       atomic {
           if
           :: STATE_IS_THE_SAME -> refs++; got = true
           :: else -> look_at_state()
           fi
       };
       if
       :: got -> break
       :: else -> skip
       fi
    od;
    if
    :: got && BROKEN != 6 && owner != d -> got = false; put()
    :: else -> skip
    fi
}

/* page_prepare() and page_assign() */
inline take(d)
{
    atomic {
        got = (owner == FREE);
        if
        :: got -> owner = OURS; refs = (BROKEN == 1 -> 1 : 0)
        :: else -> skip
        fi
    };
    if
    :: got ->
       lock(d, 5);
       owner = d;
       d_step { assert(BROKEN == 1 || refs == 0); refs = 1; allocated = true; pinned = false };
       unlock(d, 5)
    :: else -> skip
    fi
}

/* Decrease: page_take_back(), or else page_release() with a reference. */
inline give_back(d)
{
    lock(d, 2);
    look();
    done = false;
    if
    :: owner0 == d && refs0 == 1 && allocated0 ->
       atomic {
           if
           :: STATE_IS_THE_SAME -> assert(owner == d); refs = 0; allocated = false; done = true
           :: else -> skip
           fi
       };
       if :: done -> owner = FREE :: else -> skip fi
    :: else -> skip
    fi;
    if
    :: !done ->
       get(d);
       if
       :: got ->
          look();
          if
          :: owner0 == d && allocated0 -> d_step { last = allocated; allocated = false }; if :: last -> put() :: else -> skip fi
          :: else -> skip
          fi;
          put()
       :: else -> skip
       fi
    :: else -> skip
    fi;
    unlock(d, 2)
}

inline pin(d)
{
    lock(d, ALWAYS);
    get(d);
    if
    :: got ->
       d_step { done = !pinned; pinned = true };
       if :: !done -> put() :: else -> skip fi
    :: else -> skip
    fi;
    unlock(d, ALWAYS)
}

inline unpin(d)
{
    if
    :: BROKEN != 3 ->
       lock(d, ALWAYS);
       look();
       if
       :: owner0 == d && pinned0 -> d_step { assert(owner == d && pinned); pinned = false }; put()
       :: else -> skip
       fi;
       unlock(d, ALWAYS)
    :: else ->
       owner0 = owner;
       d_step { pinned0 = (owner0 == d && pinned); if :: owner0 == d -> pinned = false :: else -> skip fi; assert(!pinned0 || owner == d) };
       if :: pinned0 -> put() :: else -> skip fi
    fi
}

#define LOCALS byte refs0, owner0; bool allocated0, pinned0, got, done, last

active proctype churn()
{
    LOCALS;
    give_back(1);
    take(1)
}

active proctype other_cpu()
{
    LOCALS;
    if
    :: pin(1)
    :: skip
    fi;
    if
    :: unpin(1)
    :: give_back(1)
    fi
}

active proctype neighbour()
{
    LOCALS;
    take(2);
    if
    :: got ->
       pin(2);
       if
       :: unpin(2); give_back(2)
       :: skip
       fi;
    :: else -> skip
    fi
}

active proctype mapper()
{
    LOCALS;
    get(1);
    if
    :: got -> assert(owner == 1 && refs > 0); put()
    :: else -> skip
    fi
}
