/*
 * What the files of platform/xen share: translation between the guest's page
 * numbers and the machine's, the shared pages, and the batch of hypercalls.
 */
#pragma once

#include <stdint.h>
#include <xen/xen.h>

#include "kernel/lib/base.h"
#include "kernel/lib/layout.h"
#include "kernel/memory/pte.h"

typedef struct {
    unsigned long n;
} mfn_t;

static inline mfn_t mfn(unsigned long n)
{
    return (mfn_t){n};
}

/* Physical to machine: written by the domain builder, one entry a page. */
extern unsigned long *p2m;

static inline mfn_t mfn_of(pfn_t page)
{
    return mfn(p2m[page.n]);
}

static inline pfn_t pfn_of(mfn_t frame)
{
    return pfn(machine_to_phys_mapping[frame.n]);
}

/* Machine address of @pointer into the direct map. */
static inline uint64_t machine_address(const void *pointer)
{
    const unsigned long offset = (uintptr_t)pointer - DIRECT_MAP_BASE;
    return (mfn_of(pfn(offset >> PAGE_SHIFT)).n << PAGE_SHIFT) | (offset & ~PAGE_MASK);
}

extern struct start_info boot_info; /* our copy */
extern struct shared_info *shared;  /* mapped by boot_start before anything else */

#define EVENT_PORTS 256 /* ports that may have a handler; each CPU uses two */
#define EVENT_WORDS (EVENT_PORTS / 64)

/* What the platform knows of a virtual CPU.  That of the running one is where the kernel's GS
 * segment begins, which the hypervisor swaps with the process's on the way in and out. */
struct vcpu {
    struct vcpu *self; /* GS:0 */
    struct vcpu_info *info;
    unsigned number;
    unsigned kick_port;
    uint64_t ports[EVENT_WORDS]; /* the events that are delivered to it */
};

extern cpus_t vcpus_started;

static inline struct vcpu *vcpu_this(void)
{
    struct vcpu *v;
    __asm__("mov %%gs:0, %0" : "=r"(v));
    return v;
}

/* Build the direct map and drop the builder's mappings that nobody needs (direct-map.c).
 * Returns the first page that is not in use afterwards. */
pfn_t direct_map_build(void);
/* Make the image W^X and drop whatever else the builder mapped. */
void image_protect(void);
/* Machine address of the entry that maps @page in the direct map. */
uint64_t direct_map_entry(pfn_t page);
extern mfn_t kernel_root; /* the builder's L4, with the direct map added */
extern pte_t *kernel_table;
extern uint64_t pte_nx; /* PTE_NX if the CPU has it */

/* The batch (queue.c): add a request, send it all. */
void queue_pte(uint64_t machine_slot, uint64_t entry);
void queue_mmuext(unsigned cmd, uint64_t arg1);
/* An operation that acts on @cpus: @multi on others, @local when it is only this one. */
void queue_flush(unsigned local, unsigned multi, cpus_t cpus, uint64_t arg1);
/* Before the batch ends, all CPUs must forget what they know of the direct map. */
void queue_flush_at_end(void);
void queue_call(unsigned long number, uint64_t a1, uint64_t a2);
/* Change the entry that maps @address in the loaded tables, and flush as @flags (UVMF_*) say. */
void queue_mapping(uintptr_t address, uint64_t entry, unsigned long flags);

/* What a new virtual CPU begins with is told by those who told the first one. */
struct vcpu_guest_context;
void trap_init(void);
void trap_context(struct vcpu_guest_context *context);
void gdt_init(void);
void gdt_context(struct vcpu_guest_context *context);
/* smp.c: who we are, before anything else; how others reach us, when there are events. */
void vcpu_init(void);
void vcpu_events_init(void);
void event_init(void);
void console_init_early(void);
void console_init(void);
/* control.c: hear what is asked of the domain through the store. */
void control_init(void);
void time_init(void);

/* Event channels (event.c): @handler runs, with events masked, whenever @port was signalled;
 * on the CPU to which the port is bound, which must be @v. */
void event_handle(struct vcpu *v, unsigned port, void (*handler)(void));
/* The same for a port that a process has bound, by number; @v forgets it; masked, it is not signalled until unmasked. */
void event_handle_port(struct vcpu *v, unsigned port, void (*handler)(unsigned port));
void event_forget(struct vcpu *v, unsigned port);
void event_mask(unsigned port);
void event_unmask(unsigned port);
/* Have @function called, once, when the handlers of the events that are there now have run; for them to use. */
void event_defer(void (*function)(void));
/* The CPU to which ports are bound that nobody has moved. */
struct vcpu *vcpu_first(void);
/* Bind a virtual interrupt to @v; panics when that is refused. */
void event_bind_virq(struct vcpu *v, unsigned virq, void (*handler)(void));
/* Make the port by which other CPUs interrupt @v. */
unsigned event_bind_ipi(struct vcpu *v, void (*handler)(void));
/* Let @v's time be asked for and its timer be set (time.c). */
void time_events_init(struct vcpu *v);
