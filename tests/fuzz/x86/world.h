/*
 * The world of fuzz-x86 and fuzz-frames: a CPU that is a structure, one vCPU on it, and six pages of its guest.
 *
 * The files of x86/ under test are the real ones.  Their privileged instructions, and their stores to the guest's stack, fault in a
 * program: the handler of SIGSEGV does them here after it has asked whether this guest may have it done, by rules that are written
 * down once more, from the manuals and not from the code.
 */
#pragma once

#include "../fuzz.h"

#include "cpu-state.h"
#include "page-tables.h"

#define wrong(...) \
    (fprintf(stderr, "wrong: "), fprintf(stderr, __VA_ARGS__), fprintf(stderr, "\n"), abort())

/* --- the vCPU and its CPU --- */

extern struct vcpu vcpu;
extern struct domain domain;
extern struct guest_regs regs;
extern struct trap_info traps[256];
extern struct vcpu_info info;
extern struct page_info frame_info[FUZZ_FRAMES];
extern uint64_t area[VCPU_AREA_STRIDE / 8];

extern struct fuzz_cpu {
    uint64_t fs_base, gs_base, gs_base_other, efer, tsc_aux, cr0, cr3, cr4, dr[8];
} cpu;
#define MACHINE_CR4                                                                           \
    (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_PGE | \
     CR4_SMEP | CR4_UMIP)

/* --- the guest's memory: six pages, with nothing between them --- */

#define CODE_LOW  0x400000ull /* and the page behind it */
#define CODE_HIGH 0xffffffff81000000ull
/* has a neighbour that cannot be written; this program has nothing of its own there */
#define DATA        0x300000001000ull
#define GUEST_FRAME 32u /* the frame of page 0 */
#define FUZZ_PAGES  6u

extern const struct fuzz_page {
    uint64_t va;
    bool writable;
} fuzz_pages[FUZZ_PAGES];

/* NULL: not there, or not to be written. */
uint8_t *guest_byte(uint64_t va, bool write);

bool canonical(uint64_t va);
bool hypervisors(uint64_t va); /* in the part of the address space that is the hypervisor's */

/* --- the input --- */

extern struct fuzz_input {
    const uint8_t *at, *end;
} in;

uint64_t take(unsigned bytes); /* zeros behind the end */
uint64_t some_value(void);     /* at an edge, more often than not */

/* What happened in a step. */
extern struct fuzz_seen {
    bool emulating;
    unsigned exceptions, interrupts, written, ports;
} seen;

/* --- a run --- */

void world_power_on(void);
void world_begin(void); /* a new domain, as the next bytes of the input say */
