/*
 * Nobody waits for more than a flush or two, however many ask: arch_tlb_flush() and arch_serve_flush() in x86/cpu/smp.c.
 *
 * Two CPUs ask a third for a flush, again and again; the third serves.  Looked for are cycles in which CPU 0 gets nowhere although
 * all CPUs go on (weak fairness).
 *
 * BROKEN=1  requests share a flag: CPU 0 looks whenever CPU 1 has just asked again
 */
#ifndef BROKEN
#define BROKEN 0
#endif

/* Numbers only grow, so all that counts of one is whether it is served yet. */
bool waits[2];

#if BROKEN == 1
#define ask(c) atomic { waits[0] = true; waits[1] = true } /* one flag, whoever looks at it */
#else
#define ask(c) waits[c] = true
#endif

active proctype cpu_0()
{
    do
    :: ask(0);
       do
       :: !waits[0] -> break
       :: else -> skip
       od;
progress:
       skip
    od
}

active proctype cpu_1()
{
    do
    :: ask(1);
       do
       :: !waits[1] -> break
       :: else -> skip
       od
    od
}

active proctype server()
{
    bool zero, one;

    do
    :: waits[0] || waits[1] ->
        atomic { zero = waits[0]; one = waits[1] } /* how far it has come when this flush is done */
        skip; /* the flush */
        atomic {
            waits[0] = waits[0] && !zero;
            waits[1] = waits[1] && !one;
            zero = false;
            one = false
        }
    :: else -> skip
    od
}
