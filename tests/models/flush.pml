/*
 * The flush clock and the requests to flush: hypervisor/core/memory/tlb.h, arch_tlb_flush() and arch_serve_flush() in x86/memory/tlb.c.
 *
 * One frame is mapped writable by two entries, in the tables of two domains that run on all CPUs.  Two CPUs each remove one of
 * them (stamp the frame, give the reference back); whoever gives back the last one changes the frame's role and has those CPUs
 * flushed that may still know it.  A third CPU flushes as it likes, as for a context switch.  Meanwhile any CPU may fetch a
 * translation that is there to be fetched, and keeps it.
 *
 * Holds (I6 of page.h): once the role has changed, no CPU knows the frame.
 *
 * BROKEN=1  a flush ticks after it has forgotten          4  a stamp is a plain store
 *        2  a flush publishes before it has forgotten     5  requests share a flag, which the CPU that served takes down
 *        3  an entry is emptied by a plain store          6  what is served is looked up after the flush
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define CPUS     3
#define REMOVERS 2 /* CPUs 0 and 1 */

byte tlb_clock = 1, stamp, refs = REMOVERS;
byte flushed_at[CPUS], flush_wanted[CPUS], flush_done[CPUS];
bool entry[REMOVERS] = true;    /* as all CPUs see it */
bool buffered[REMOVERS];        /* emptied by its CPU, which has not yet told the others */
bool knows[CPUS];               /* in its TLB */
bool changed;                   /* the frame has its new role */
byte flushes = 2;               /* that CPU 2 may still make of its own accord */

#define SOMEBODY_KNOWS (knows[0] || knows[1] || knows[2])

/* Hardware: fetches whatever it can see, whenever it likes. */
active [CPUS] proctype walker()
{
end:
    do
    :: atomic { !knows[_pid] && (entry[0] || entry[1]) && !changed -> knows[_pid] = true }
    od
}

/* Hardware: a store reaches memory some time later. */
active proctype store_buffer()
{
end:
    do
    :: atomic { buffered[0] -> entry[0] = false; buffered[0] = false }
    :: atomic { buffered[1] -> entry[1] = false; buffered[1] = false }
    od
}

inline drain(e) /* what a locked instruction, or a load of CR3, does first */
{
    if
    :: buffered[e] -> entry[e] = false; buffered[e] = false
    :: else
    fi
}

/* A full flush of CPU @c, by itself. */
inline flush(c, began)
{
#if BROKEN == 1
    atomic { drain_of(c); knows[c] = false }
    atomic { tlb_clock++; began = tlb_clock }
    flushed_at[c] = began;
#elif BROKEN == 2
    atomic { drain_of(c); tlb_clock++; began = tlb_clock }
    flushed_at[c] = began;
    knows[c] = false;
#else
    atomic { drain_of(c); tlb_clock++; began = tlb_clock }
    atomic { knows[c] = false }
    flushed_at[c] = began;
#endif
    began = 0
}

inline drain_of(c)
{
    if
    :: c < REMOVERS -> drain(c)
    :: else
    fi
}

inline serve(c, began, number)
{
#if BROKEN == 5
    flush(c, began);
    flush_wanted[c] = 0;
#elif BROKEN == 6
    flush(c, began);
    number = flush_wanted[c];
    flush_done[c] = number;
#else
    number = flush_wanted[c];
    flush(c, began);
    flush_done[c] = number;
#endif
    number = 0
}

#if BROKEN == 5
#define ASKED(c)     (flush_wanted[c] != 0)
#define ask(c, n)    atomic { flush_wanted[c] = 1; n = 1 }
#define SERVED(c, n) (flush_wanted[c] == 0)
#else
#define ASKED(c)     (flush_wanted[c] != flush_done[c])
#define ask(c, n)    atomic { flush_wanted[c]++; n = flush_wanted[c] }
#define SERVED(c, n) (flush_done[c] >= n)
#endif

inline wait_for(self, c, n, began, number)
{
    do
    :: SERVED(c, n) -> break
    :: ASKED(self) -> serve(self, began, number)
    od;
    n = 0
}

/* CPU @self removes its entry, and changes the role of the frame if it was the last. */
proctype remover(byte self)
{
    byte old, now, began, number, n, c;
    byte ours;

#if BROKEN == 3
    buffered[self] = true;
#else
    entry[self] = false;
#endif
#if BROKEN == 4
    now = tlb_clock;
    stamp = now;
#else
again:
    old = stamp;
    now = tlb_clock;
    if
    :: old == now
    :: else ->
        if
        :: atomic { stamp == old -> drain(self); stamp = now }
        :: atomic { stamp != old -> drain(self) }; goto again
        fi
    fi;
#endif
    old = 0;
    now = 0;
    atomic { drain(self); refs--; ours = refs };
    if
    :: ours > 0
    :: else ->
        /* tlb_flush_for_page(): one after the other, which asks no more than all at once does. */
        c = 0;
        do
        :: c == CPUS -> break
        :: else ->
            if
            :: flushed_at[c] > stamp
            :: else ->
                if
                :: c == self -> flush(self, began)
                :: else ->
                    ask(c, n);
                    wait_for(self, c, n, began, number)
                fi
            fi;
            c++
        od;
        changed = true;
        assert(!SOMEBODY_KNOWS)
    fi;
end:
    do
    :: ASKED(self) -> serve(self, began, number)
    od
}

/* CPU 2: context switches, and requests. */
proctype runner(byte self)
{
    byte began, number;

end:
    do
    :: ASKED(self) -> serve(self, began, number)
    :: flushes > 0 -> flushes--; flush(self, began)
    od
}

/* Somebody who wants CPU 2 flushed, for reasons of his own. */
proctype nuisance()
{
    byte n;

    ask(2, n)
}

init {
    atomic { run remover(0); run remover(1); run runner(2); run nuisance() }
}
