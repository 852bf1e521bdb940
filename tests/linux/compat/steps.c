/*
 * A program that single-steps itself with TF, and one that a debugger steps: after which instructions is there a trap?
 */
#include "runtime.h"

#define TRAPS 100
static struct {
    unsigned at, code, trap;
} traps[TRAPS];
static unsigned trap_count;
static word steps_from;

static void on_trap(int signal, siginfo_t *info, struct ucontext *context)
{
    struct sigcontext *c = &context->uc_mcontext;

    (void)signal;
    if (trap_count < TRAPS) {
#ifdef __i386__
        traps[trap_count].at = (unsigned)(c->eip - steps_from);
#else
        traps[trap_count].at = (unsigned)(c->rip - steps_from);
#endif
        traps[trap_count].code = (unsigned)info->si_code;
        traps[trap_count].trap = (unsigned)c->trapno;
    }
    trap_count++;
    if (trap_count > 1000) {
        say("it never ends\n");
        CALL(NR(exit_group), 1);
    }
}

#define PIECE(name, text)     \
    void name(void);          \
    extern char name##_end[]; \
    __asm__(".globl " #name "\n" #name ":\n" text "\n.globl " #name "_end\n" #name "_end: ret\n")

/* Each is entered with TF as the experiment has it, and may lose ax, cx, dx. */
PIECE(plain,
      "nop; inc %eax; mov %eax, %ecx; jmp 1f; nop; 1: call 2f; 2: pop " AX "; lea 4(" AX "), " AX);
PIECE(call_int80, "mov $20, %eax; int $0x80; nop; nop");
PIECE(call_bad_int80, "mov $-1, %eax; int $0x80; nop; nop");
PIECE(push_flags, "pushf; pop " AX "; nop; pushf; popf; nop");
PIECE(move_ss, "mov %ss, %eax; mov %eax, %ss; nop; nop; nop");
PIECE(move_ds, "mov %ds, %ecx; mov %ecx, %ds; nop; mov %ecx, %es; nop");
PIECE(strings, "push " DI "; lea -128(" SP "), " DI "; mov $3, %ecx; rep stosb; pop " DI "; nop");
PIECE(identify, "push " BX "; xor %eax, %eax; cpuid; rdtsc; pop " BX "; nop");
PIECE(step_int3, "nop; int3; nop; nop");
PIECE(step_icebp, "nop; .byte 0xf1; nop; nop");
#ifdef __i386__
PIECE(pop_ss, "push %ss; pop %ss; nop; nop; nop");
PIECE(lss_load, "mov %ss, %eax; push %eax; mov %esp, %ecx; add $4, %ecx; push %eax; push %ecx; lss "
                "(%esp), %esp; nop; nop");
PIECE(iret_return, "pushf; push %cs; push $1f; iret; 1: nop; nop");
PIECE(far_return, "push %cs; push $1f; lret; 1: nop; nop");
PIECE(step_into, "mov $1, %eax; into; nop");
PIECE(call_sysenter, "mov $20, %eax; call sysenter_call; nop; nop");
PIECE(call_syscall32, "mov $20, %eax; call syscall32_call; nop; nop");
PIECE(call_vdso, "mov $20, %eax; call *vsyscall_entry; nop; nop");
word vsyscall_entry;
__asm__("sysenter_call: push %ecx; push %edx; push %ebp; mov %esp, %ebp; sysenter\n"
        "syscall32_call: push %ecx; push %edx; push %ebp; mov %ecx, %ebp; syscall\n");
#else
PIECE(iret_return, "mov %rsp, %rcx; mov %ss, %eax; push %rax; push %rcx; pushf; mov %cs, %eax; "
                   "push %rax; lea 1f(%rip), %rax; push %rax; "
                   "iretq; 1: nop; nop");
PIECE(far_return, "mov %cs, %eax; push %rax; lea 1f(%rip), %rax; push %rax; lretq; 1: nop; nop");
PIECE(call_syscall, "mov $39, %eax; syscall; nop; nop");
PIECE(call_bad_syscall, "mov $-1, %eax; syscall; nop; nop");
PIECE(to_32, "push %rbx; mov %rsp, %rbx; mov step_low_sp, %esp; lcall *to_32_at; mov %rbx, %rsp; "
             "pop %rbx; nop");
word step_low_sp;
__asm__(".data\nto_32_at: .long code32_step; .word 0x23\n.text\n"
        ".code32\ncode32_step: nop; mov %ss, %eax; mov %eax, %ss; nop; mov $20, %eax; int $0x80; "
        "nop; lret\n.code64\n");
#endif

static const struct piece {
    const char *name;
    void (*code)(void);
    char *end;
} pieces[] = {
/* clang-format off */
#define ROW(name) {#name, name, name##_end}
    ROW(plain), ROW(call_int80), ROW(call_bad_int80), ROW(push_flags), ROW(move_ss), ROW(move_ds), ROW(strings), ROW(identify),
    ROW(step_int3), ROW(step_icebp), ROW(iret_return), ROW(far_return),
#ifdef __i386__
    ROW(pop_ss), ROW(lss_load), ROW(step_into), ROW(call_vdso), ROW(call_sysenter), ROW(call_syscall32),
#else
    ROW(call_syscall), ROW(call_bad_syscall), ROW(to_32),
#endif
    /* clang-format on */
};

static int left_out(const struct piece *p)
{
#ifdef __i386__
    return p->code == call_syscall32 && !is_amd(); /* calls.c says why */
#else
    return p->code == 0;
#endif
}

/* With TF set by POPF and cleared by POPF. */
void run_stepped(void (*code)(void));
#ifdef __i386__
__asm__(".globl run_stepped\n"
        "run_stepped: mov 4(%esp), %edx; pushf; orl $0x100, (%esp); popf; call *%edx; pushf; andl "
        "$~0x100, (%esp); popf; ret\n");
#else
__asm__(".globl run_stepped\n"
        "run_stepped: pushf; orl $0x100, (%rsp); popf; call *%rdi; pushf; andl $~0x100, (%rsp); "
        "popf; ret\n");
#endif

static void prepare(void)
{
#ifdef __i386__
    vsyscall_entry = auxiliary(32); /* AT_SYSINFO */
#else
    step_low_sp = (word)map_memory(1 << 19, 0) + (1 << 18);
#endif
}

/* Where it was inside the piece; a run of traps elsewhere (in the vDSO, behind the piece) is one sign. */
static void say_traps(const struct piece *p)
{
    unsigned outside = 0;

    say("%s:", p->name);
    for (unsigned i = 0; i < trap_count && i < TRAPS; i++) {
        if (traps[i].at > (unsigned)(p->end - (char *)p->code)) {
            outside++;
            continue;
        }
        if (outside)
            say(" ~");
        outside = 0;
        say(" %lx", (word)traps[i].at);
        if (traps[i].code != 2 || traps[i].trap != 1)
            say("(code %ld trap %ld)", (long)(int)traps[i].code, (long)traps[i].trap);
    }
    say("\n");
}

static void self_steps(void)
{
    prepare();
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (left_out(&pieces[i]))
            continue;
        const long pid = fork_process(); /* some end in a signal */
        if (!pid) {
            on_signal(SIGTRAP, on_trap, 0);
            steps_from = (word)pieces[i].code;
            trap_count = 0;
            run_stepped(pieces[i].code);
            say_traps(&pieces[i]);
            leave(0);
        }
        const int status = wait_process(pid);
        if (status)
            say("%s: status %lx\n", pieces[i].name, (word)status);
    }
}

/* A handler's frame has TF clear, and its return sets it again. */
static word flags_inside;
static void on_step(int signal, siginfo_t *info, struct ucontext *context)
{
    (void)signal;
    (void)info;
    word f;
    __asm__ volatile("pushf; pop %0" : "=r"(f));
    flags_inside |= f & FLAG_TF;
    flags_inside |= (context->uc_mcontext.eflags & FLAG_TF) << 4;
    trap_count++;
}

static void handler_flags(void)
{
    on_signal(SIGTRAP, on_step, 0);
    run_stepped(plain);
    say("TF in the handler and in its frame: %lx, %ld traps\n", flags_inside, (long)trap_count);
}

/* --- a debugger ------------------------------------------------------------------------------------ */

enum { TRACEME = 0, CONT = 7, SINGLESTEP = 9, GETREGS = 12, SYSCALL = 24 };
#ifdef __i386__
enum { R_IP = 12, R_AX = 6, R_ORIG = 11, R_FLAGS = 14 };
#else
enum { R_IP = 16, R_AX = 10, R_ORIG = 15, R_FLAGS = 18 };
#endif

static word registers[27];

/* -1: it has ended.  Else the signal that it stopped for. */
static int go_on(long pid, int how)
{
    int status = 0;

    CALL(NR(ptrace), how, pid, 0, 0);
    CALL(NR(wait4), pid, &status, 0x40000000, 0);
    if ((status & 0xff) != 0x7f)
        return -1;
    CALL(NR(ptrace), GETREGS, pid, 0, registers);
    return status >> 8;
}

static long start_traced(void (*code)(void))
{
    const long pid = fork_process();

    if (!pid) {
        CALL(NR(ptrace), TRACEME, 0, 0, 0);
        __asm__ volatile("int3");
        code();
        __asm__ volatile("int3");
        leave(0);
    }
    int status;
    CALL(NR(wait4), pid, &status, 0x40000000, 0);
    return pid;
}

static void debugger_steps(void)
{
    prepare();
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        const struct piece *p = &pieces[i];
        if (left_out(p))
            continue;
        const word size = (word)(p->end - (char *)p->code);
        const long pid = start_traced(p->code);
        unsigned steps = 0, been = 0, outside = 0;
        int signal = 0;

        say("%s:", p->name);
        while (steps++ < 60 && (signal = go_on(pid, SINGLESTEP)) >= 0) {
            const word at = registers[R_IP] - (word)p->code;
            if (at <= size) {
                say("%s %lx", outside && been ? " ~" : "", at);
                been = 1;
                outside = 0;
            } else {
                outside = 1;
            }
            if (at <= size && (signal & 0xff) != SIGTRAP)
                say("(signal %ld)", (long)signal);
            if (at == size || (signal & 0xff) != SIGTRAP)
                break;
        }
        say(", flags %lx, ends with %ld\n", registers[R_FLAGS] & FLAG_TF, (long)signal);
        CALL(NR(kill), pid, SIGKILL);
        wait_process(pid);
    }
}

static void debugger_calls(void)
{
    prepare();
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        const struct piece *p = &pieces[i];
        if (left_out(p))
            continue;
        const long pid = start_traced(p->code);
        int signal;

        CALL(NR(ptrace), 0x4200, pid, 0, 1); /* SETOPTIONS, TRACESYSGOOD */
        say("%s:", p->name);
        for (unsigned n = 0; n < 8 && (signal = go_on(pid, SYSCALL)) >= 0; n++) {
            const word at = registers[R_IP] - (word)p->code;
            const int inside = at <= (word)(p->end - (char *)p->code);
            say(" %ld", (long)signal);
            if (signal == (SIGTRAP | 0x80))
                say("(call %ld, %s)", (long)(int)registers[R_ORIG],
                    (int)registers[R_AX] == -ENOSYS ? "enters" : "returns");
            if (inside)
                say(" at %lx", at);
            if (signal == SIGTRAP && !inside)
                break;
        }
        say("\n");
        CALL(NR(kill), pid, SIGKILL);
        wait_process(pid);
    }
}

const struct experiment step_experiments[] = {
    {"steps of its own, ", self_steps},
    {"step handler: ", handler_flags},
    {"steps of a debugger, ", debugger_steps},
    {"calls under a debugger, ", debugger_calls},
    {0},
};
