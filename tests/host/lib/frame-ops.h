/*
 * What guests do to one frame, for tests that let them do it at once.
 *
 * Guest 1 has two vCPUs, guest 2 one, guest 3 controls others.  FRAME is a frame of guest 1's; operations are a call of one guest's
 * vCPU each and give what the hypercall gives.
 */
#pragma once

#include "guest.h"

#define PAGES     16u
#define FRAME     15u /* pfn of the frame that all this is about, in guest 1 */
#define UPPER     14u /* a frame of guest 1's whose entry 0 names FRAME */
#define SCRATCH   40u /* L1 slots for mappings: one for each operation */
#define CPU_FIRST 1u  /* CPU 0 is for the work of teardown */

extern struct guest one[2], two, boss; /* one[n]: guest 1 by its vCPU n */
extern uint64_t frame;                 /* the machine frame of FRAME */

struct actor {
    struct guest *g;
    unsigned slot; /* its scratch L1 slot */
};
extern struct actor first, second, other, control; /* guest 1's vCPUs, guest 2's, guest 3's */

/* Guests 2 and 3; guest 1, whose FRAME is then nowhere. */
void frame_others_create(void);
void frame_one_create(void);
/* Take back from @g everything but the frames it began with, and what it maps or pins. */
void frame_tidy(struct guest *g);

long map_ro(struct actor *a);
long map_rw(struct actor *a);
long unmap(struct actor *a);
long foreign_map_ro(struct actor *a);
long foreign_map_rw(struct actor *a);
long pin(struct actor *a);
long pin_upper(struct actor *a);
long unpin(struct actor *a);
long clear(struct actor *a);
long machphys(struct actor *a);
long write_entry(struct actor *a);
long descriptors(struct actor *a);
/* One frame for pfn *@list, which becomes its machine frame: 1, or 0. */
long populate_at(struct guest *g, uint64_t *list);
long decrease(struct actor *a);
long foreign_decrease(struct actor *a);
long populate(struct actor *a);
long exchange(struct actor *a);
long foreign_populate(struct actor *a);
long foreign_machphys(struct actor *a);
long foreign_pin(struct actor *a);
