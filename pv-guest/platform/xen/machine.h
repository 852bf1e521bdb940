/*
 * What the files of platform/xen share: translation between the guest's page
 * numbers and the machine's, the shared pages, and the batch of hypercalls.
 */
#pragma once

#include <stdint.h>
#include <xen/xen.h>

#include "kernel/base.h"
#include "kernel/pte.h"

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
uint64_t machine_address(const void *pointer);

extern struct start_info boot_info; /* our copy */
extern struct shared_info *shared;  /* mapped by boot_start before anything else */
#define THIS_VCPU (&shared->vcpu_info[0])

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
void queue_call(unsigned long number, uint64_t a1, uint64_t a2);

void trap_init(void);
void gdt_init(void);
void event_init(void);
void console_init_early(void);
void console_init(void);
void time_init(void);

/* Event channels (event.c): @handler runs, with events masked, whenever @port was signalled. */
void event_handle(unsigned port, void (*handler)(void));
/* Bind a virtual interrupt; panics when that is refused and it is not @optional. */
void event_bind_virq(unsigned virq, void (*handler)(void));
