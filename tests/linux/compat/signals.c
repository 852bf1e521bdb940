/*
 * Signal handlers: what they are told of the interrupted program, and what of it they can change.
 */
#include "runtime.h"

/* --- what a handler is told ---------------------------------------------------------------------- */

extern char registers_start[];
void set_registers(void);
#ifdef __i386__
__asm__(".globl set_registers, registers_start\n"
        "set_registers: push %ebx; push %esi; push %edi; push %ebp\n"
        "        mov $0x11111111, %ebx; mov $0x22222222, %ecx; mov $0x33333333, %edx\n"
        "        mov $0x44444444, %esi; mov $0x55555555, %edi; mov $0x66666666, %ebp; mov "
        "$0x77777777, %eax\n"
        "        stc; std\n"
        "registers_start: int3\n"
        "        cld; pop %ebp; pop %edi; pop %esi; pop %ebx; ret\n");
#else
__asm__(".globl set_registers, registers_start\n"
        "set_registers: push %rbx; push %rbp\n"
        "        mov $0x1111111111111111, %rbx; mov $0x2222222222222222, %rcx; mov "
        "$0x3333333333333333, %rdx\n"
        "        mov $0x4444444444444444, %rsi; mov $0x5555555555555555, %rdi; mov "
        "$0x6666666666666666, %rbp\n"
        "        mov $0x7777777777777777, %rax; mov $0x8888888888888888, %r8\n"
        "        stc; std\n"
        "registers_start: int3\n"
        "        cld; pop %rbp; pop %rbx; ret\n");
#endif

static void handler_frame(void)
{
    catch_faults();
    try_code(set_registers);
    say_caught("frame", registers_start);
    say("ax %lx bx %lx cx %lx dx %lx si %lx di %lx bp %lx\n", caught.ax, caught.bx, caught.cx,
        caught.dx, caught.si, caught.di, caught.bp);
}

static struct {
    int signal, code, pid_is_ours;
    unsigned cs, ss, ds, es, fs, gs;
    word flags, entry_flags, on_stack, depth, old_mask;
    word stack_pointer;
} told;
static stack_t alternate;
static word now_flags(void)
{
    word f;
    __asm__ volatile("pushf; pop %0" : "=r"(f));
    return f;
}

static void tell(int signal, siginfo_t *info, struct ucontext *context)
{
    stack_t now;

    told.entry_flags = now_flags() & FLAGS_SHOWN & ~0xd5ul; /* without arithmetic */
    told.signal = signal;
    told.code = info->si_code;
    told.pid_is_ours = info->si_pid == (int)CALL(NR(getpid));
    told.cs = context->uc_mcontext.cs;
    told.ss = context->uc_mcontext.ss;
    __asm__("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
            : "=r"(told.ds), "=r"(told.es), "=r"(told.fs), "=r"(told.gs));
    told.flags = context->uc_mcontext.eflags & FLAGS_SHOWN & ~0xd5ul;
    CALL(NR(sigaltstack), 0, &now);
    told.on_stack = (word)(unsigned)now.ss_flags;
    told.stack_pointer = (word)&now - (word)alternate.ss_sp < alternate.ss_size;
    told.old_mask = *(word *)&context->uc_sigmask;
}

static void say_told(const char *what)
{
    say("%s: signal %ld code %ld ours %ld, cs %lx ss %lx, in the handler ds %lx es %lx fs %lx gs "
        "%lx, flags %lx and %lx, "
        "stack flags %lx inside %ld, mask %lx\n",
        what, (long)told.signal, (long)told.code, (long)told.pid_is_ours, (word)told.cs & 0xffff,
        (word)told.ss & 0xffff, (word)told.ds & 0xffff, (word)told.es & 0xffff,
        (word)told.fs & 0xffff, (word)told.gs & 0xffff, told.flags, told.entry_flags, told.on_stack,
        (long)told.stack_pointer, told.old_mask);
}

static void set_alternate(word flags)
{
    alternate =
        (stack_t){.ss_sp = map_memory(1 << 19, 0), .ss_size = 1 << 19, .ss_flags = (int)flags};
    say("sigaltstack: %ld\n", CALL(NR(sigaltstack), &alternate, 0));
}

static void send(int signal)
{
    CALL(NR(kill), CALL(NR(getpid)), signal);
}

static void plain_handlers(void)
{
    const word one = 1ul << 2;

    on_signal(SIGUSR1, tell, 0);
    send(SIGUSR1);
    say_told("kill");
    __asm__ volatile("std");
    send(SIGUSR1);
    __asm__ volatile("cld");
    say_told("with DF");
    CALL(NR(rt_sigprocmask), 0, &one, 0, 8); /* block SIGQUIT */
    send(SIGUSR1);
    say_told("with a mask");
    set_alternate(0);
    on_signal(SIGUSR1, tell, SA_ONSTACK);
    send(SIGUSR1);
    say_told("on the alternate stack");
    set_alternate(1u << 31); /* SS_AUTODISARM */
    send(SIGUSR1);
    say_told("disarmed");
    stack_t now;
    CALL(NR(sigaltstack), 0, &now);
    say("the stack afterwards: flags %lx\n", (word)(unsigned)now.ss_flags);
    alternate.ss_size = 100;
    say("too small: %ld\n", CALL(NR(sigaltstack), &alternate, 0));
}

/* --- nested ----------------------------------------------------------------------------------------- */

static int depth, deepest, order[64], orders;

static void nest(int signal, siginfo_t *info, struct ucontext *context)
{
    (void)info;
    (void)context;
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (orders < 64)
        order[orders++] = signal;
    if (orders < 20)
        send(signal == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    depth--;
}

static void nested(void)
{
    set_alternate(0);
    on_signal(SIGUSR1, nest, SA_ONSTACK | SA_NODEFER);
    on_signal(SIGUSR2, nest, SA_NODEFER);
    send(SIGUSR1);
    say("deepest %ld, order %ld %ld %ld\n", (long)deepest, (long)order[0], (long)order[1],
        (long)order[19]);
    depth = deepest = orders = 0;
    on_signal(SIGUSR1, nest, SA_ONSTACK);
    on_signal(SIGUSR2, nest, SA_ONSTACK);
    send(SIGUSR1);
    say("without NODEFER: deepest %ld, order %ld %ld %ld\n", (long)deepest, (long)order[0],
        (long)order[1], (long)order[2]);
    on_signal(SIGUSR1, tell, SA_RESETHAND);
    struct action a;
    send(SIGUSR1);
    CALL(NR(rt_sigaction), SIGUSR1, 0, &a, 8);
    say("after RESETHAND: %lx\n", (word)a.handler);
}

#ifdef __i386__
/* --- the older frame, which has no siginfo ----------------------------------------------------------- */

static unsigned old_frame[4];

static void old_handler(int signal, struct sigcontext c)
{
    old_frame[0] = (unsigned)signal;
    old_frame[1] = c.ebx;
    old_frame[2] = c.trapno;
    old_frame[3] = c.cs;
    *(volatile unsigned *)&c.ebx = 0xabcd;
}

static void old_frames(void)
{
    struct action a = {.handler = (void *)old_handler};
    unsigned bx = 0x1234;

    CALL(NR(rt_sigaction), SIGTRAP, &a, 0, 8);
    __asm__ volatile("xchg %%ebx, %0; int3; xchg %%ebx, %0" : "+r"(bx) : : "memory");
    say("signal %lx ebx %lx trap %lx cs %lx, then ebx %lx\n", (word)old_frame[0],
        (word)old_frame[1], (word)old_frame[2], (word)old_frame[3], (word)bx);
}
#endif

/* --- what a handler changes ---------------------------------------------------------------------------- */

void int3_and_look(void);
#ifdef __i386__
#define STORE(name) "mov %e" #name ", after_" #name "\n"
__asm__(".data\n.balign 8\nafter_ax: .long 0\nafter_bx: .long 0\nafter_cx: .long 0\nafter_dx: "
        ".long 0\nafter_si: .long 0\nafter_di: .long 0\n"
        "after_bp: .long 0\nafter_flags: .long 0\n.text\n"
        "int3_and_look: push %ebx; push %esi; push %edi; push %ebp; int3\n"
        "changed_ip: ud2\n"
        "changed_ip_to: " STORE(ax) STORE(bx) STORE(cx) STORE(dx) STORE(si) STORE(di)
            STORE(bp) "pushf; popl after_flags; push $0x202; popf\n"
                      "pop %ebp; pop %edi; pop %esi; pop %ebx; ret\n");
#else
#define STORE(name) "mov %r" #name ", after_" #name "\n"
__asm__(".data\n.balign 8\nafter_ax: .quad 0\nafter_bx: .quad 0\nafter_cx: .quad 0\nafter_dx: "
        ".quad 0\nafter_si: .quad 0\nafter_di: .quad 0\n"
        "after_bp: .quad 0\nafter_flags: .quad 0\n.text\n"
        "int3_and_look: push %rbx; push %rbp; push %r12; int3\n"
        "changed_ip: ud2\n"
        "changed_ip_to: " STORE(ax) STORE(bx) STORE(cx) STORE(dx) STORE(si) STORE(di)
            STORE(bp) "pushf; popq after_flags; push $0x202; popf\n"
                      "pop %r12; pop %rbp; pop %rbx; ret\n");
#endif
extern char changed_ip_to[];
extern word after_ax, after_bx, after_cx, after_dx, after_si, after_di, after_bp, after_flags;
static word change_flags;

static void change_registers(int signal, siginfo_t *info, struct ucontext *context)
{
    struct sigcontext *c = &context->uc_mcontext;

    (void)signal;
    (void)info;
#ifdef __i386__
    c->eip = (word)changed_ip_to;
    c->eax = 0xa1, c->ebx = 0xb1, c->ecx = 0xc1, c->edx = 0xd1, c->esi = 0xe1, c->edi = 0xf1,
    c->ebp = 0x91;
#else
    c->rip = (word)changed_ip_to;
    c->rax = 0xa1ul << 40, c->rbx = 0xb1ul << 40, c->rcx = 0xc1ul << 40, c->rdx = 0xd1ul << 40,
    c->rsi = 0xe1ul << 40, c->rdi = 0xf1ul << 40, c->rbp = 0x91ul << 40;
#endif
    c->eflags = change_flags;
}

static void changed_registers(void)
{
    /* All flags but TF, which the experiments on single steps have: IOPL, VM, IF, NT and the rest. */
    static const word flags[] = {0x202,    0xad7,    0x4202,  0x3202,
                                 0x20202,  0x10202,  0x40202, 0x80202,
                                 0x100202, 0x200202, 0,       ~0x4150ul & 0x3fffff};

    on_signal(SIGTRAP, change_registers, 0);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        change_flags = flags[i];
        int3_and_look();
        say("ax %lx bx %lx cx %lx dx %lx si %lx di %lx bp %lx, flags %lx become %lx\n", after_ax,
            after_bx, after_cx, after_dx, after_si, after_di, after_bp, flags[i], after_flags);
    }
}

/* Selectors that a handler leaves in the frame: the return with them, or the signal that it ends in. */
static unsigned change_cs, change_ss, change_ds, change_fs, change_gs;
static word change_ip;

static void change_selectors(int signal, siginfo_t *info, struct ucontext *context)
{
    struct sigcontext *c = &context->uc_mcontext;

    (void)signal;
    (void)info;
    c->cs = (uint16_t)change_cs;
    c->ss = (uint16_t)change_ss;
    c->gs = (uint16_t)change_gs;
    c->fs = (uint16_t)change_fs;
#ifdef __i386__
    c->ds = c->es = (uint16_t)change_ds;
    if (change_ip)
        c->eip = change_ip;
#else
    if (change_ip)
        c->rip = change_ip;
#endif
}

static void raise_usr1(void)
{
    send(SIGUSR1);
}

static void try_selectors(const char *what, unsigned cs, unsigned ss, unsigned ds, unsigned fs,
                          unsigned gs, word ip)
{
    unsigned now_ds, now_fs, now_gs;

    change_cs = cs, change_ss = ss, change_ds = ds, change_fs = fs, change_gs = gs, change_ip = ip;
    const int failed = try_code(raise_usr1);
    if (failed) {
        say("%s: signal %ld code %ld, trap %ld error %lx, cs %lx\n", what, (long)caught.signal,
            (long)caught.code, (long)caught.trap, caught.error, caught.cs & 0xffff);
        return;
    }
    __asm__ volatile("mov %%ds, %0; mov %%fs, %1; mov %%gs, %2"
                     : "=r"(now_ds), "=r"(now_fs), "=r"(now_gs));
    say("%s: comes back, ds %lx fs %lx gs %lx\n", what, (word)now_ds & 0xffff,
        (word)now_fs & 0xffff, (word)now_gs & 0xffff);
}

static void changed_selectors(void)
{
    catch_faults();
    on_signal(SIGUSR1, change_selectors, SA_ONSTACK);
#define ROW(what, cs, ss, ds, fs, gs, ip) try_selectors(what, cs, ss, ds, fs, gs, ip)
    ROW("as they were", USER_CS, USER_DS, USER_DS, 0, 0, 0);
    ROW("null data", USER_CS, USER_DS, 0, 0, 0, 0);
    ROW("bad data", USER_CS, USER_DS, 0xfff3, 0, 0, 0);
    ROW("bad fs", USER_CS, USER_DS, USER_DS, 0xfff3, 0, 0);
    ROW("bad gs", USER_CS, USER_DS, USER_DS, 0, 0x77, 0);
    ROW("the kernel's data", USER_CS, USER_DS, 0x18, 0, 0, 0);
    ROW("null cs", 0, USER_DS, USER_DS, 0, 0, 0);
    ROW("the kernel's cs", 0x10, USER_DS, USER_DS, 0, 0, 0);
    ROW("data in cs", USER_DS, USER_DS, USER_DS, 0, 0, 0);
    ROW("a cs that is not", 0xfff3, USER_DS, USER_DS, 0, 0, 0);
    ROW("a cs of no ldt", 0x7, USER_DS, USER_DS, 0, 0, 0);
    ROW("null ss", USER_CS, 0, USER_DS, 0, 0, 0);
    ROW("the kernel's ss", USER_CS, 0x18, USER_DS, 0, 0, 0);
    ROW("code in ss", USER_CS, USER_CS, USER_DS, 0, 0, 0);
    ROW("an ss that is not", USER_CS, 0xfff3, USER_DS, 0, 0, 0);
    ROW("null everywhere", 0, 0, 0, 0, 0, 0);
#ifdef __x86_64__
    ROW("an address that is none", USER_CS, USER_DS, USER_DS, 0, 0, 0x800000000000);
    ROW("the kernel's address", USER_CS, USER_DS, USER_DS, 0, 0, 0xffffffff81000000);
#endif
}

/* A breakpoint on a stack that does not exist: its handler runs on the alternate stack; without one the program dies of SIGSEGV. */
static void lose_stack(void)
{
    __asm__ volatile("mov $0x1000, %%eax; mov %%eax, %%esp; int3" : : : "eax");
}

static void stack_lost(void)
{
    catch_faults();
    try_code(lose_stack);
    say_caught("without a stack", 0);
    const long pid = fork_process();
    if (!pid) {
        struct action a = {0}; /* the default: else SIGSEGV would find its own stack */
        CALL(NR(rt_sigaction), SIGSEGV, &a, 0, 8);
        on_signal(SIGTRAP, tell, 0);
        lose_stack();
        leave(0);
    }
    say("without any: status %lx\n", (word)wait_process(pid));
}

const struct experiment signal_experiments[] = {
    {"signal frame: ", handler_frame},
    {"signal handlers: ", plain_handlers},
    {"signals, nested: ", nested},
#ifdef __i386__
    {"signal frame, old: ", old_frames},
#endif
    {"sigreturn, registers: ", changed_registers},
    {"sigreturn, selectors: ", changed_selectors},
    {"signal, no stack: ", stack_lost},
    {0},
};
