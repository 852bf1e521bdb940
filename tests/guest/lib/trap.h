/*
 * Traps into the guest kernel: exceptions, event upcalls, system calls.
 *
 *   int v = TRAPS(expression)
 *
 * runs @expression and says which vector it raised, or NO_TRAP; the frame is
 * in trap_last.  A handler installed by trap_handle() comes first and may
 * resume the interrupted code by returning true.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "start.S builds this frame");

enum {
    TRAP_DE = 0,
    TRAP_DB = 1,
    TRAP_NMI = 2,
    TRAP_BP = 3,
    TRAP_OF = 4,
    TRAP_BR = 5,
    TRAP_UD = 6,
    TRAP_NM = 7,
    TRAP_NP = 11,
    TRAP_SS = 12,
    TRAP_GP = 13,
    TRAP_PF = 14,
    TRAP_MF = 16,
    TRAP_AC = 17,
    TRAP_XM = 19,
    TRAP_EVENT = 256,
    TRAP_FAILSAFE,
    TRAP_SYSCALL,
    TRAP_SYSCALL32,
    TRAP_SYSENTER,
    TRAP_NMI_CALLBACK,
    TRAP_COUNT, /* start.S knows these numbers */
    NO_TRAP = -1,
};

enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

#define RFLAGS_TF   (1ul << 8)
#define RFLAGS_IF   (1ul << 9)
#define RFLAGS_DF   (1ul << 10)
#define RFLAGS_IOPL (3ul << 12)
#define RFLAGS_NT   (1ul << 14)
#define RFLAGS_AC   (1ul << 18)

#define KERNEL_CS 0xe030 /* what a frame from kernel mode shows */
#define KERNEL_SS 0xe02b
#define USER_CS   0xe033

/* The frame of the last trap that TRAPS() caught, and its fault address if a #PF. */
extern struct trap_frame trap_last;
extern uint64_t trap_last_cr2;
extern uint64_t failsafe_selectors[4]; /* ds es fs gs of the last failsafe callback */

typedef bool trap_handler_t(struct trap_frame *frame);

void trap_init(void);
/* Returns the handler that was there. */
trap_handler_t *trap_handle(unsigned vector, trap_handler_t *handler);
/* The stub that enters at @vector (a gate's target). */
unsigned long trap_stub(unsigned vector);
/* Install one gate; @flags as in struct trap_info.  Returns the hypercall's result. */
long trap_gate(unsigned vector, unsigned flags, unsigned long address);
/* The whole default table again. */
void trap_restore_gates(void);
_Noreturn void trap_return(struct trap_frame *frame);

int trap_arm(void) __attribute__((returns_twice));
void trap_disarm(void);
bool trap_is_armed(void);

#define TRAPS(expression)             \
    __extension__({                   \
        int trap_caught = trap_arm(); \
        if (trap_caught == NO_TRAP) { \
            expression;               \
            trap_disarm();            \
        }                             \
        trap_caught;                  \
    })

/* Entry points (start.S), for callback tests. */
extern char trap_event_callback[], trap_failsafe_callback[], trap_syscall_callback[],
    trap_syscall32_callback[], trap_sysenter_callback[], trap_nmi_callback[];
