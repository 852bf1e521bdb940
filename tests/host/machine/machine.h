/*
 * The fake machine: arch.h made of arrays and logs, so that core runs as a host program under
 * sanitizers.
 *
 *   memory       frames in one array; frame 0 and the first few are the hypervisor's, a hole in the
 * middle is not RAM CPUs         several, one at a time: machine_on_cpu() says which one "executes"
 * now time         stands still until machine_advance() stacks       none: arch_switch() only says
 * who is current, schedule() returns at once to whoever called it TLBs         one set of
 * translations a CPU that forgets nothing until it is flushed (tlb-model.c) the door
 * guest_read/guest_write walk the current vCPU's page tables; one window is always mapped printk
 * into machine.log
 *
 * One machine a process: core's own state cannot be reset.  Criterion runs each test in a process
 * of its own.
 */
#pragma once

#include "domain.h"

#define MACHINE_CPUS   8
#define MACHINE_FRAMES 8192 /* limit */

/* A guest address range that is always readable and writable, whatever the page tables say (within
 * limits set by machine_window()): where tests put hypercall arguments. */
#define WINDOW_VA    0x0000100000000000ull
#define WINDOW_BYTES 0x40000u

struct machine_cpu {
    struct vcpu *current;
    struct domain *root_domain; /* whose L4 is in CR3 */
    uint64_t root;              /* CR3 */
    uint64_t deadline;          /* timer interrupt; ~0: none */
    bool kicked;                /* an interrupt that ends its halt */
    /* in a race: who has left its stack, and comes back to @back when it is chosen again */
    struct vcpu *away;
    void *back;
    uint32_t relaxed; /* spin-wait bodies since the last other call: a deadlock if it grows */
    bool kernel_view; /* the door opens on kernel tables whatever the mode */
    unsigned flushes, page_flushes; /* how often its TLB was flushed, as a whole, or one page */
};

struct machine {
    uint8_t *memory;
    uint64_t frames;
    uint64_t hole_first, hole_count; /* not RAM */
    uint64_t read_only;              /* one of these that a domain only gets to read; 0: none */
    unsigned cpus;
    struct machine_cpu cpu[MACHINE_CPUS];
    uint64_t now;
    unsigned mutex_looks;         /* machine_start() says 100 */
    void (*while_spinning)(void); /* what another CPU does while one spins; NULL: nothing */
    /* in a race: @v sleeps, and nobody is left who could wake it; NULL: nothing */
    void (*overslept)(struct vcpu *v);
    uint8_t window[WINDOW_BYTES];
    uint64_t window_readable, window_writable; /* bytes from its start */
    /* so many accesses of guest memory from now one faults, whatever it is; 0: none does */
    unsigned door_faults;
    char log[65536];
    size_t log_length;
    uint8_t port[16384]; /* what was written to ports */
    size_t port_bytes;
    /* what a byte takes on the serial line, and when its FIFO is empty */
    uint64_t serial_ns, serial_empty;
    /* arch_serve_interrupts(): when last, the longest time without */
    uint64_t deaf_since, deaf_longest;
    int ended, verdict; /* arch_machine_end(): how + 1, and with what */
    unsigned cache_flushes;
};
extern struct machine machine;
/* which CPU executes: one at a time, or each on a thread of its own */
extern _Thread_local unsigned machine_cpu;

/* Power on: @cpus CPUs online, @frames frames; CPU 0 executes on its idle vCPU. */
void machine_start(unsigned cpus, uint64_t frames);

/* Execute on @cpu from now on. */
void machine_on_cpu(unsigned cpu);
/* Let the scheduler run until @v is the current vCPU of its CPU, and execute there.  It must be
 * runnable. */
void machine_enter(struct vcpu *v);
/* The same; false if its domain shuts down meanwhile: time passes, and a watchdog may bite. */
bool machine_try_enter(struct vcpu *v);
/* Let the idle vCPU of CPU 0 do all queued work. */
void machine_run_work(void);
/* One round of the loop of @cpu's idle vCPU, which is current: it may find another vCPU to switch
 * to.  No work is queued. */
void machine_look_for_work(unsigned cpu);
/* Time passes: timer interrupts that come due happen on their CPUs. */
void machine_advance(uint64_t ns);

/* Run @f(@arg) and return how the machine ended in it (enum machine_end + 1), or 0 if it returned.
 */
int machine_catch_end(void (*f)(void *), void *arg);

/* Copy @n bytes to offset @at of the window; its guest address. */
/* A device signals line @gsi; false: nobody has bound it. */
bool machine_line(unsigned gsi);
guest_ptr_t machine_put(size_t at, const void *from, size_t n);
void machine_get(void *to, size_t at, size_t n);
/* Shrink (or grow again) what the door lets through. */
void machine_window(uint64_t readable, uint64_t writable);

void machine_log_clear(void);
bool machine_logged(const char *text);

/* Make frame @m a descriptor table of @v, as set_gdt does: 0 or -errno; and let go of all. */
int machine_hold_segment(struct vcpu *v, mfn_t m);
void machine_release_segments(struct vcpu *v);

/* --- TLBs (tlb-model.c)
 * ------------------------------------------------------------------------------------- */

/* What may CPU @cpu have seen by now?  Walks its current root and remembers every translation, and
 * every table on the way, as the most eager CPU would. */
void machine_tlb_fill(unsigned cpu);
void machine_tlb_fill_all(void);
/* Does @cpu remember frame @m (writable)? */
bool machine_tlb_knows(unsigned cpu, mfn_t m, bool writable);
/*
 * Invariant I6: no CPU remembers a writable translation to a frame that is a page table or
 * descriptor table now, nor any translation to, or table in, a frame that is free or another
 * owner's by now.  Number of violations, each printed.
 */
unsigned machine_tlb_check(void);
