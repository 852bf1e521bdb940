/*
 * What CR3 names is held: load_root() and load_idle_state() in x86/vcpu/vcpu.c, vcpu_new_root() in core/mmu/vcpu-roots.c.
 *
 * One vCPU moves between two CPUs and changes its root now and then.  When it gives up root 1, that table is mapped writable: the flush
 * clock is asked who may still know it.  CPUs that run nobody idle; an idle CPU has work of its own, in which it flushes.
 *
 * Holds: no CPU's CR3 names root 1 while the guest may write to it.
 *
 * BROKEN=1  an idle CPU keeps the root of whoever ran last until somebody asks it for a flush.
 *        2  The same, but it leaves it at a flush of its own, too: true again, though only because that is every flush there is.
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define IDLE 3 /* a root that nobody can give up; 1 and 2 are the guest's */

byte tlb_clock = 1, stamp;
byte cr3[2] = IDLE, flushed_at[2];
bool asked[2];
bool here[2];       /* the vCPU is on this CPU */
bool writable;      /* root 1 is plain memory */
byte root = 1;      /* the vCPU's */
byte cpu_moves = 3, root_changes = 3, idle_works = 2;

#define LAZY (BROKEN == 1 || BROKEN == 2)

inline flush(c)
{
    tlb_clock++;
    flushed_at[c] = tlb_clock
}

active [2] proctype cpu()
{
    atomic {
        if
        :: _pid == 0 -> here[0] = true; cr3[0] = root; flush(0)
        :: else
        fi
    }
end:
    do
    :: atomic { asked[_pid] -> /* a request to flush */
        if
        :: !here[_pid] -> cr3[_pid] = IDLE
        :: else
        fi;
        flush(_pid);
        asked[_pid] = false
       }
    :: atomic { here[_pid] && cr3[_pid] != root -> /* the vCPU has come here */
        cr3[_pid] = root;
        flush(_pid)
       }
    :: atomic { here[_pid] && cr3[_pid] == root && cpu_moves > 0 -> /* it goes */
        cpu_moves--;
        here[_pid] = false;
        if
        :: LAZY
        :: else -> cr3[_pid] = IDLE; flush(_pid)
        fi;
        here[1 - _pid] = true
       }
    :: atomic { !here[_pid] && idle_works > 0 -> /* work of the idle vCPU's, with a flush in it */
        idle_works--;
        if
        :: BROKEN == 2 -> cr3[_pid] = IDLE
        :: else
        fi;
        flush(_pid)
       }
    :: atomic { here[_pid] && cr3[_pid] == 2 && root_changes > 0 -> /* NEW_BASEPTR: root 1 is a table again, and used */
        root_changes--;
        writable = false;
        root = 1;
        cr3[_pid] = 1;
        flush(_pid)
       }
    :: atomic { here[_pid] && cr3[_pid] == 1 && root_changes > 0 -> /* NEW_BASEPTR: root 1 is given up */
        root_changes--;
        root = 2;
        cr3[_pid] = 2;
        flush(_pid);
        stamp = tlb_clock
       };
       atomic { /* some time later the guest wants to write to it: tlb_flush_for_page() */
        if
        :: flushed_at[1 - _pid] > stamp
        :: else -> asked[1 - _pid] = true
        fi
       };
       !asked[1 - _pid];
       atomic { writable = true; assert(cr3[0] != 1 && cr3[1] != 1) }
    od
}
