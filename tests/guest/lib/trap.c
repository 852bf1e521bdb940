/*
 * trap_dispatch() decides what a trap means: an installed handler may resume
 * it; else an armed TRAPS() takes it, by rewriting the frame so that the
 * return lands behind trap_arm() with the vector as its result; else the test
 * is broken, and the frame is printed before the domain ends.
 */
#include "trap.h"
#include "console.h"
#include "event.h"
#include "guest.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/callback.h>
#include <xen/sched.h>

/* trap_arm() in start.S fills this. */
struct trap_armed {
    uint64_t rbx, rbp, r12, r13, r14, r15, rip, rsp, armed;
};
struct trap_armed trap_armed;

struct trap_frame trap_last;
uint64_t trap_last_cr2;

static trap_handler_t *handlers[TRAP_COUNT];

extern char trap_stubs[];
void trap_dispatch(struct trap_frame *f);

static void resume_armed(struct trap_frame *f)
{
    trap_last = *f;
    trap_last_cr2 = event_vcpu_info(0)->arch.cr2;
    trap_armed.armed = 0;
    f->rbx = trap_armed.rbx;
    f->rbp = trap_armed.rbp;
    f->r12 = trap_armed.r12;
    f->r13 = trap_armed.r13;
    f->r14 = trap_armed.r14;
    f->r15 = trap_armed.r15;
    f->rax = f->vector;
    f->rip = trap_armed.rip;
    f->rsp = trap_armed.rsp;
    /* Upcalls stay as the kernel had them; what a user had says nothing. */
    f->rflags &= (f->cs & 3) == 3 ? 0 : RFLAGS_IF;
    f->cs = KERNEL_CS;
    f->ss = KERNEL_SS;
}

void trap_dispatch(struct trap_frame *f)
{
    if (handlers[f->vector] && handlers[f->vector](f))
        return;
    if (trap_armed.armed) {
        resume_armed(f);
        return;
    }
    console_printf("# unexpected trap %lu error 0x%lx cr2 0x%lx\n", f->vector, f->error,
                   event_vcpu_info(0)->arch.cr2);
    console_printf("# rip %lx cs %lx rflags %lx rsp %lx ss %lx\n", f->rip, f->cs, f->rflags, f->rsp,
                   f->ss);
    console_printf("# rax %lx rdi %lx rsi %lx rdx %lx rcx %lx\n", f->rax, f->rdi, f->rsi, f->rdx,
                   f->rcx);
    tap_bail_out("unexpected trap");
}

trap_handler_t *trap_handle(unsigned vector, trap_handler_t *handler)
{
    trap_handler_t *old = handlers[vector];
    handlers[vector] = handler;
    return old;
}

void trap_disarm(void)
{
    trap_armed.armed = 0;
}

bool trap_is_armed(void)
{
    return trap_armed.armed;
}

unsigned long trap_stub(unsigned vector)
{
    return (unsigned long)trap_stubs + 16 * vector;
}

long trap_gate(unsigned vector, unsigned flags, unsigned long address)
{
    struct trap_info table[2] = {{vector, flags, FLAT_KERNEL_CS, address}, {0}};
    return hypercall_set_trap_table(table);
}

void trap_restore_gates(void)
{
    static struct trap_info table[33];

    hypercall_set_trap_table(NULL);
    for (unsigned v = 0; v < 32; v++)
        table[v] = (struct trap_info){v, v == TRAP_BP || v == TRAP_OF ? 3 : 0, FLAT_KERNEL_CS,
                                      trap_stub(v)};
    hypercall_set_trap_table(table);
}

void trap_init(void)
{
    static const struct {
        uint16_t type;
        char *address;
    } callbacks[] = {
        {CALLBACKTYPE_event, trap_event_callback},
        {CALLBACKTYPE_failsafe, trap_failsafe_callback},
        {CALLBACKTYPE_syscall, trap_syscall_callback},
    };

    trap_restore_gates();
    for (unsigned i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
        struct callback_register reg = {.type = callbacks[i].type,
                                        .address = (unsigned long)callbacks[i].address};
        if (hypercall_callback_op(CALLBACKOP_register, &reg))
            tap_bail_out("callback_op(register, %u) failed", callbacks[i].type);
    }
}
