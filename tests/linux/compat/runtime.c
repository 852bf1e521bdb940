/* See runtime.h. */
#include "runtime.h"
#include <linux/mman.h>

static word *aux;

#ifdef __i386__
__asm__(".globl _start\n"
        "_start: mov %esp, %eax\n"
        "        and $-16, %esp\n"
        "        sub $12, %esp\n"
        "        push %eax\n"
        "        call begin\n"
        /* call6(number, a..f): the sixth is in EBP */
        ".globl call6\n"
        "call6:  push %ebp\n"
        "        push %edi\n"
        "        push %esi\n"
        "        push %ebx\n"
        "        mov 20(%esp), %eax\n"
        "        mov 24(%esp), %ebx\n"
        "        mov 28(%esp), %ecx\n"
        "        mov 32(%esp), %edx\n"
        "        mov 36(%esp), %esi\n"
        "        mov 40(%esp), %edi\n"
        "        mov 44(%esp), %ebp\n"
        "        int $0x80\n"
        "        pop %ebx\n"
        "        pop %esi\n"
        "        pop %edi\n"
        "        pop %ebp\n"
        "        ret\n");
#else
__asm__(".globl _start\n"
        "_start: mov %rsp, %rdi\n"
        "        and $-16, %rsp\n"
        "        call begin\n"
        ".globl call6\n"
        "call6:  mov %rdi, %rax\n"
        "        mov %rsi, %rdi\n"
        "        mov %rdx, %rsi\n"
        "        mov %rcx, %rdx\n"
        "        mov %r8, %r10\n"
        "        mov %r9, %r8\n"
        "        mov 8(%rsp), %r9\n"
        "        syscall\n"
        "        ret\n"
        ".globl restore_rt\n"
        "restore_rt: mov $15, %eax\n"
        "        syscall\n");
void restore_rt(void);
#endif

int main(int count, char **words);
_Noreturn void begin(word *stack);

_Noreturn void begin(word *stack)
{
    word *at = stack + 1 + stack[0] + 1;

    while (*at)
        at++;
    aux = at + 1;
    leave(main((int)stack[0], (char **)(stack + 1)));
}

word auxiliary(word type)
{
    for (word *a = aux; a[0]; a += 2)
        if (a[0] == type)
            return a[1];
    return 0;
}

int is_amd(void)
{
    unsigned leaf = 0, b, c, d;

    __asm__("cpuid" : "+a"(leaf), "=b"(b), "=c"(c), "=d"(d));
    return c == 0x444d4163; /* "cAMD" */
}

/* gcc calls these. */
void *memset(void *at, int byte, size_t bytes);
void *memcpy(void *to, const void *from, size_t bytes);

void *memset(void *at, int byte, size_t bytes)
{
    return fill(at, byte, bytes);
}

void *fill(void *at, int byte, size_t bytes)
{
    void *to = at;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(byte) : "memory");
    return at;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

/* --- output -------------------------------------------------------------------------------------- */

const char *line_begin = "";
static char line[4096];
static size_t filled;

void flush(void)
{
    size_t done = 0;

    while (done < filled) {
        long n = CALL(NR(write), 1, line + done, filled - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    filled = 0;
}

static void put(char c)
{
    if (!filled) {
        line[filled++] = '0' + BITS / 10;
        line[filled++] = '0' + BITS % 10;
        line[filled++] = ' ';
        for (const char *s = line_begin; *s; s++)
            line[filled++] = *s;
    }
    if (filled < sizeof(line))
        line[filled++] = c;
    if (c == '\n')
        flush();
}

static void put_number(word n, unsigned base)
{
    char digits[32];
    int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    while (count)
        put(digits[--count]);
}

static void put_item(char kind, va_list *list)
{
    switch (kind) {
    case 's':
        for (const char *s = va_arg(*list, const char *); *s; s++)
            put(*s);
        break;
    case 'd': {
        long n = va_arg(*list, long);
        if (n < 0)
            put('-');
        put_number(n < 0 ? -(word)n : (word)n, 10);
        break;
    }
    case 'x':
        put_number(va_arg(*list, word), 16);
        break;
    default:
        put(kind);
    }
}

void say(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        if (*++format == 'l')
            format++;
        put_item(*format, &list);
    }
    va_end(list);
}

_Noreturn void leave(int status)
{
    flush();
    for (;;)
        CALL(NR(exit), status);
}

_Noreturn void give_up(const char *what, long why)
{
    say("%s: %ld\n", what, why);
    CALL(NR(exit_group), 1);
    leave(1);
}

/* --- processes ------------------------------------------------------------------------------------- */

void *map_memory(size_t bytes, int executable)
{
    const long flags = MAP_PRIVATE | MAP_ANONYMOUS,
               rights = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
#ifdef __i386__
    long at = CALL(NR(mmap2), 0, bytes, rights, flags, -1, 0);
#else
    long at = CALL(NR(mmap), 0, bytes, rights, flags | MAP_32BIT, -1, 0);
#endif
    if (at < 0 && at > -4096)
        give_up("no memory", at);
    return (void *)at;
}

long fork_process(void)
{
    flush();
    return CALL(NR(fork));
}

int wait_process(long pid)
{
    int status = -1;

    CALL(NR(wait4), pid, &status, 0, 0);
    return status;
}

/* clone() with everything shared: the new thread begins with a return address of ours on its stack. */
long start_thread(void (*body)(void))
{
    const size_t bytes = 65536;
    word *top = (word *)((char *)map_memory(bytes, 0) + bytes);
    /* VM FS FILES SIGHAND THREAD SYSVSEM */
    const word flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000;
    long tid;

    *--top = (word)body;
#ifdef __i386__
    __asm__ volatile("int $0x80; test %%eax, %%eax; jnz 1f; xor %%ebp, %%ebp; ret; 1:"
                     : "=a"(tid)
                     : "0"(NR(clone)), "b"(flags), "c"(top), "d"(0), "S"(0), "D"(0)
                     : "memory");
#else
    register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
    __asm__ volatile("syscall; test %%rax, %%rax; jnz 1f; xor %%ebp, %%ebp; ret; 1:"
                     : "=a"(tid)
                     : "0"(NR(clone)), "D"(flags), "S"(top), "d"(0), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
#endif
    return tid;
}

void yield(void)
{
    CALL(NR(sched_yield));
}

void be_switched(void)
{
    const long time[2] = {0, 1000000};
    CALL(NR(nanosleep), time, 0);
}

/* --- signals ----------------------------------------------------------------------------------------- */

void on_signal(int signal, handler_t *handler, word flags)
{
    struct action a = {.handler = (void *)handler, .flags = flags | SA_SIGINFO};

#ifndef __i386__
    a.flags |= SA_RESTORER_;
    a.restorer = (void *)restore_rt;
#endif
    CALL(NR(rt_sigaction), signal, &a, 0, 8);
}

void use_alternate_stack(void)
{
    const size_t bytes = 65536;
    stack_t s = {.ss_sp = map_memory(bytes, 0), .ss_size = bytes};

    CALL(NR(sigaltstack), &s, 0);
}

struct caught caught;
static int raised, trying;

/* try_code(): what its caller owns is in memory while @code runs, for it may lose every register. */
word try_sp;
void try_landing(void);

#ifdef __i386__
__asm__(".globl try_code_, try_landing\n"
        "try_code_: push %ebp; push %ebx; push %esi; push %edi; pushf; push %ds; push %es; push "
        "%fs; push %gs\n"
        "        mov %esp, try_sp\n"
        "        call *40(%esp)\n"
        "try_landing:\n"
        "        mov %cs:try_sp, %esp\n"
        "        pop %gs; pop %fs; pop %es; pop %ds; popf; pop %edi; pop %esi; pop %ebx; pop %ebp\n"
        "        ret\n");
#else
__asm__(".globl try_code_, try_landing\n"
        "try_code_: push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; pushf\n"
        "        mov %rsp, try_sp\n"
        "        call *%rdi\n"
        "try_landing:\n"
        "        mov try_sp, %rsp\n"
        "        popf; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "        ret\n");
#endif
void try_code_(void (*code)(void));

int try_code(void (*code)(void))
{
    raised = 0;
    CLEAR(caught);
    trying = 1;
    try_code_(code);
    trying = 0;
    return raised;
}

static void on_fault(int signal, siginfo_t *info, struct ucontext *context)
{
    struct sigcontext *c = &context->uc_mcontext;

    if (!trying)
        give_up("a signal that nothing waits for", signal);
    raised = 1;
    /* clang-format off */
    caught = (struct caught){.signal = signal, .code = info->si_code, .address = (word)info->si_addr, .trap = c->trapno,
                             .error = c->err, .cr2 = c->cr2, .cs = c->cs,
#ifdef __i386__
                             .ip = c->eip, .sp = c->esp, .flags = c->eflags, .ax = c->eax, .bx = c->ebx, .cx = c->ecx,
                             .dx = c->edx, .si = c->esi, .di = c->edi, .bp = c->ebp
#else
                             .ip = c->rip, .sp = c->rsp, .flags = c->eflags, .ax = c->rax, .bx = c->rbx, .cx = c->rcx,
                             .dx = c->rdx, .si = c->rsi, .di = c->rdi, .bp = c->rbp
#endif
    };
    /* clang-format on */
    c->cs = USER_CS;
    c->ss = USER_DS;
    c->eflags = 0x202;
#ifdef __i386__
    c->eip = (word)try_landing;
    c->ds = c->es = USER_DS;
#else
    c->rip = (word)try_landing;
#endif
}

void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};

    use_alternate_stack();
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        on_signal(signals[i], on_fault, SA_ONSTACK | SA_NODEFER);
}

/* Addresses near @start depend on the build only by what they are relative to; others are the experiment's own. */
static void say_address(word address, word start)
{
    if (address - start < 0x1000)
        say("+%lx", address - start);
    else
        say("%lx", address);
}

void say_caught(const char *what, const void *start)
{
    say("%s: signal %ld code %ld at ", what, (long)caught.signal, (long)caught.code);
    say_address(caught.address, (word)start);
    say(", trap %ld error %lx", (long)caught.trap, caught.error);
    if (caught.trap == 14) {
        say(" cr2 ");
        say_address(caught.cr2, (word)start);
    }
    say(", ip ");
    say_address(caught.ip, (word)start);
    say(", cs %lx, flags %lx\n", caught.cs & 0xffff, caught.flags & FLAGS_SHOWN);
}
