/*
 * A guest that executes anything: seed=S count=N (default 1 and 4000).
 *
 * Half of its turns are user mode on random bytes, half kernel mode on one privileged
 * instruction with random prefixes, operands and registers, put at random
 * places up to the very end of a page that has no successor.  What faults in
 * ring 3 is decoded by the hypervisor from the guest's memory, so its decoder sees
 * everything.  Each turn ends in some trap, or by a timer.
 */
#include "guest.h"
#include "clock.h"
#include "console.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static uint64_t state;
static uint8_t *kernel_code; /* one page, the next is not mapped */
static char *stack, *scratch;
static unsigned traps[TRAP_COUNT];

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t pick(void)
{
    static const uint64_t odd[] = {
        0,
        1,
        8,
        0x80000000,
        0xc0000080,
        0xc0000082,
        0xc0000100,
        0xc0000101,
        0xc0000102,
        0x277,
        0x1b,
        0x40000000,
        0x7ffffffff000,
        0x800000000000,
        0xffff800000000000,
        0xffff830000000000,
        0xfffffffffffffff8,
        ~0ul,
        FLAT_RING3_DS32,
        FLAT_RING3_CS64,
    };
    switch (rnd() % 4) {
    case 0:
        return rnd();
    case 1:
        return (uint64_t)scratch + rnd() % PAGE_SIZE;
    default:
        return odd[rnd() % (sizeof(odd) / sizeof(odd[0]))];
    }
}

static void random_registers(struct trap_frame *f)
{
    uint64_t *r = &f->r15;
    for (unsigned i = 0; i < 15; i++)
        r[i] = pick();
    /* Ports that answer nothing on any machine, and no hypercall that means something. */
    f->rdx = (f->rdx & ~0xfffful) | (rnd() % 2 ? 0x80 : 0x21);
    f->rax |= 0x4000;
}

/* One instruction that faults in ring 3; its length. */
static unsigned privileged(uint8_t *to)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26,
                                       0x64, 0x65, 0xf0, 0x40, 0x48, 0x4f, 0x41};
    static const uint8_t two_byte[] = {0x00, 0x01, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30,
                                       0x32, 0x33, 0x35, 0xa2, 0xc7, 0xae, 0xb4, 0x78, 0x38};
    static const uint8_t one_byte[] = {0xf4, 0xfa, 0xfb, 0x6c, 0x6d, 0x6e, 0x6f, 0xec, 0xed,
                                       0xee, 0xef, 0xe4, 0xe5, 0xe6, 0xe7, 0xcd, 0xce, 0x8e};
    unsigned n = 0;

    if (rnd() % 8 == 0) { /* forced emulation */
        memcpy(to, "\x0f\x0b\x78\x65\x6e", 5);
        n = 5;
    }
    for (unsigned i = rnd() % 4; i > 0; i--)
        to[n++] = prefixes[rnd() % sizeof(prefixes)];
    if (rnd() % 2) {
        to[n++] = 0x0f;
        to[n++] = two_byte[rnd() % sizeof(two_byte)];
    } else {
        to[n++] = one_byte[rnd() % sizeof(one_byte)];
        if ((to[n - 1] & 0xfc) == 0xe4) {
            to[n++] = 0x80; /* its port */
            return n;
        }
    }
    unsigned modrm = n;
    for (unsigned i = 0; i < 6; i++)
        to[n++] = rnd();
    /* rsp as the target would end us; MOV from CR and DR has no memory form. */
    bool moves = to[modrm - 1] == 0x20 || to[modrm - 1] == 0x21;
    if ((to[modrm] & 7) == 4 && (moves || (to[modrm] & 0xc0) == 0xc0))
        to[modrm] ^= 1;
    return n;
}

/* The timer came: the turn is over, if there still is one. */
static bool stop_turn(struct trap_frame *f)
{
    volatile vcpu_info_t *info = event_vcpu_info(0);
    info->evtchn_upcall_pending = 0;
    info->evtchn_pending_sel = 0;
    for (unsigned w = 0; w < 64; w++)
        guest_shared->evtchn_pending[w] = 0;
    return !trap_is_armed();
}

static int kernel_turn(void)
{
    uint8_t code[32];
    unsigned n = privileged(code);
    unsigned at = rnd() % 2 ? PAGE_SIZE - 1 - rnd() % 16 : rnd() % (PAGE_SIZE - 64);
    /* One step only: the bytes behind it may be anything, even a new stack. */
    struct trap_frame f = {.cs = KERNEL_CS, .ss = KERNEL_SS, .rflags = RFLAGS_IF | RFLAGS_TF};

    memset(kernel_code, 0xcc, PAGE_SIZE);
    memcpy(kernel_code + at, code, n < PAGE_SIZE - at ? n : PAGE_SIZE - at);
    random_registers(&f);
    f.rip = (uint64_t)kernel_code + at;
    f.rsp = (uint64_t)stack + PAGE_SIZE / 2;
    return TRAPS(trap_return(&f));
}

static int user_turn(void)
{
    uint8_t code[64];
    struct trap_frame f = user_frame();

    random_registers(&f);
    for (unsigned i = 0; i < sizeof(code); i++)
        code[i] = rnd();
    if (rnd() % 2)
        privileged(code);
    return user_run(&f, code, sizeof(code));
}

static void repair(void)
{
    struct physdev_set_iopl iopl = {.iopl = rnd() % 4};

    hypercall_set_debugreg(7, 0);
    hypercall_fpu_taskswitch(0);
    hypercall_physdev_op(PHYSDEVOP_set_iopl, &iopl);
    hypercall_set_segment_base(SEGBASE_FS, 0);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" : : "r"(0));
    event_disable();
}

void guest_main(void)
{
    unsigned long seed = guest_option("seed", 1), count = guest_option("count", 4000);
    evtchn_port_t timer;

    state = seed * 0x9e3779b97f4a7c15 + 1;
    user_init();
    stack = page_alloc(), scratch = page_alloc(), kernel_code = page_alloc();
    page_protect(page_alloc(), 0);
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_bind_virq(VIRQ_TIMER, 0, &timer);
    event_unmask_bit(timer);
    trap_handle(TRAP_EVENT, stop_turn);
    for (unsigned v = 32; v < 256; v++)
        trap_gate(v, 3, trap_stub(v));

    console_printf("hostile-code: seed %lu, %lu turns\n", seed, count);
    for (unsigned long i = 0; i < count; i++) {
        hypercall_set_timer_op(clock_ns() + 2000000);
        int v = rnd() % 2 ? kernel_turn() : user_turn();
        repair();
        if (v >= 0)
            traps[v]++;
    }
    console_printf("hostile-code: #UD %u #GP %u #PF %u #BP %u #DB %u other\n", traps[TRAP_UD],
                   traps[TRAP_GP], traps[TRAP_PF], traps[TRAP_BP], traps[TRAP_DB]);
    console_printf("hostile-code: events %u syscalls %u #DE %u #NM %u #SS %u #NP %u\n",
                   traps[TRAP_EVENT], traps[TRAP_SYSCALL], traps[TRAP_DE], traps[TRAP_NM],
                   traps[TRAP_SS], traps[TRAP_NP]);
    console_printf("hostile-code: done\n");
}
