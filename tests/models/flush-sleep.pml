/*
 * A CPU that waits for another's flush halts: flush_await() and arch_serve_flush() in x86/memory/tlb.c, lapic_halt().
 *
 * Two CPUs ask each other for a flush, twice each.  Both serve while they wait: between two looks, and by interrupt while they halt.
 *
 * Holds: nobody halts for good (no invalid end state).
 *
 * BROKEN=1  the last look comes before the CPU says that it sleeps
 *        2  who serves looks for sleepers first, and then says how far it has come
 *        3  an interrupt between the last look and the halt is taken before the halt
 *        4  a CPU that halts is not interrupted by requests of others
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define TIMES 2

byte wanted[2], done[2];
bool sleeps[2];    /* flush_sleepers of the other CPU has our bit */
bool interrupt[2]; /* INTERRUPT_FLUSH is pending */

#define me    _pid
#define other (1 - _pid)

inline serve()
{
    number = wanted[me];
    if
    :: number != done[me] ->
#if BROKEN == 2
        atomic { slept = sleeps[other]; sleeps[other] = false };
        done[me] = number;
#else
        done[me] = number; /* the flush is over; the exchange below is a locked instruction */
        atomic { slept = sleeps[other]; sleeps[other] = false };
#endif
        if
        :: slept -> interrupt[other] = true
        :: else
        fi
    :: else
    fi;
    slept = false;
    number = 0
}

active [2] proctype cpu()
{
    byte times, asked, number;
    bool slept;

    do
    :: times == TIMES -> break
    :: times < TIMES ->
        times++;
        atomic { wanted[other]++; asked = wanted[other]; interrupt[other] = true };
        do
        :: done[other] >= asked -> break
        :: done[other] < asked ->
#if BROKEN == 1
            if
            :: done[other] >= asked -> break
            :: else
            fi;
            sleeps[me] = true;
#else
            sleeps[me] = true; /* a locked instruction */
            if
            :: done[other] >= asked -> break
            :: else
            fi;
#endif
#if BROKEN == 3
            interrupt[me] = false;
#endif
#if BROKEN == 4
            atomic { interrupt[me] && wanted[me] == done[me] -> interrupt[me] = false };
#else
            atomic { interrupt[me] -> interrupt[me] = false }; /* hlt */
#endif
            serve()
        od
    od;
end: /* in the guest, or in the idle loop */
    do
    :: atomic { interrupt[me] -> interrupt[me] = false };
        serve()
    od
}
