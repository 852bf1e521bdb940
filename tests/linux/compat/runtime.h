/*
 * What the programs here stand on instead of a C library: no part of one may get between an experiment and the kernel, and what is
 * built without one can be built for 32 bits wherever gcc is.
 *
 * A word is a long: 32 or 64 bits, as the program is.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/unistd.h>
#include <asm/errno.h>
#include <asm/ldt.h>
#include <asm/sigcontext.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>

typedef unsigned long word;

#ifdef __i386__
#define BITS    32
#define USER_CS 0x23
#define AX      "%eax" /* in the text of instructions that both programs have */
#define SP      "%esp"
#define BX      "%ebx"
#define DI      "%edi"
#define LRET    "lret"
#define IRET    "iret"
#else
#define BITS    64
#define USER_CS 0x33
#define AX      "%rax"
#define SP      "%rsp"
#define BX      "%rbx"
#define DI      "%rdi"
#define LRET    "lretq"
#define IRET    "iretq"
#endif
#define USER_CS32 0x23
#define USER_DS   0x2b

#define FLAG_TF     0x100ul
#define FLAG_DF     0x400ul
#define FLAG_NT     0x4000ul
#define FLAG_AC     0x40000ul
#define FLAG_ID     0x200000ul
#define FLAGS_SHOWN 0x244dd5ul /* arithmetic, TF, DF, NT, AC, ID; without RF */

/* A system call, by INT 0x80 or SYSCALL as the program is: the kernel's own answer. */
long call6(long number, word a, word b, word c, word d, word e, word f);
#define CALL_(n, a, b, c, d, e, f, ...) \
    call6(n, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))
#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define NR(name)  __NR_##name

/* %s, and %ld %lx of words.  Lines are written whole, each behind @line_begin. */
extern const char *line_begin;
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void flush(void);
_Noreturn void leave(int status);
_Noreturn void give_up(const char *what, long why);
void *fill(void *at, int byte, size_t bytes);
#define CLEAR(object) fill(&(object), 0, sizeof(object))

word auxiliary(word type); /* what the kernel says in the auxiliary vector, or 0 */

int is_amd(void); /* or an emulator's processor of that name */

void *map_memory(size_t bytes, int executable); /* below 4 GiB */
long fork_process(void);
int wait_process(long pid); /* its status */
/* A thread that runs @body on a stack of its own; it must leave(). */
long start_thread(void (*body)(void));
void yield(void);
void be_switched(void); /* leaves the CPU, and comes back to it or to another */

/* --- signals ----------------------------------------------------------------------------------- */

#define SA_RESTORER_ 0x04000000ul
struct action {
    void *handler;
    word flags;
    void *restorer;
    word mask[8 / sizeof(word)];
};
typedef void handler_t(int signal, siginfo_t *info, struct ucontext *context);
void on_signal(int signal, handler_t *handler, word flags); /* flags besides SA_SIGINFO */
void use_alternate_stack(void);

/* What a signal handler found. */
struct caught {
    int signal, code;
    word address, trap, error, ip, sp, flags, cs, cr2;
    word ax, bx, cx, dx, si, di, bp;
};

/*
 * Run @code, a function without arguments, and come back from it, or from the first signal that it raises: true if it raised one.
 * Its handler runs on the alternate stack; registers, segments and flags are the program's own again.
 */
int try_code(void (*code)(void));
extern struct caught caught;
void catch_faults(void); /* make it so for SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE */
/* "WHAT: signal 11 code 1 at +3, trap 14 error 4 ..." of what was caught, addresses and ip relative to @start. */
void say_caught(const char *what, const void *start);

/* --- experiments ------------------------------------------------------------------------------- */

struct experiment {
    const char *name;
    void (*run)(void);
};
extern const struct experiment call_experiments[], signal_experiments[], step_experiments[],
    breakpoint_experiments[], segment_experiments[], exception_experiments[], fpu_experiments[],
    base_experiments[], vsyscall_experiments[];
