/*
 * A debugger's breakpoints in the debug registers: on instructions, on data that the program touches, and on data that the kernel
 * touches for it.
 */
#include "runtime.h"

enum { TRACEME = 0, PEEKUSER = 3, POKEUSER = 6, CONT = 7, SINGLESTEP = 9, GETSIGINFO = 0x4202 };
#ifdef __i386__
enum { DEBUGREG = 252 };
#else
enum { DEBUGREG = 848 };
#endif
enum { ON_EXECUTE = 0, ON_WRITE = 1, ON_ANY = 3 };

static unsigned long long watched[4] __attribute__((aligned(32)));
#define INT(n)  (((volatile unsigned *)watched)[n])
#define BYTE(n) (((volatile unsigned char *)watched)[n])
static int ends[2];

void spot(void);
__asm__(".globl spot\nspot: nop; nop; ret\n");

static void execute(void)
{
    spot();
    spot();
    spot();
}

static void write_twice(void)
{
    INT(0) = 1;
    (void)INT(0);
    INT(0) = 2;
    INT(1) = 3;
}

static void read_and_write(void)
{
    INT(0) = 1;
    (void)INT(0);
    __asm__ volatile("incl %0" : "+m"(INT(0)));
    __asm__ volatile("addl $1, %0" : "+m"(INT(0)));
}

static void write_near(void)
{
    BYTE(0) = 1;
    BYTE(1) = 1;
    BYTE(2) = 1;
    *(volatile uint16_t *)((char *)watched + 1) = 5;
    *(volatile uint32_t *)((char *)watched) = 5;
    *(volatile uint32_t *)((char *)watched + 3) = 5;
}

static void kernel_writes(void)
{
    CALL(NR(write), ends[1], "abcdefgh", 8);
    CALL(NR(read), ends[0], watched, 8);
}

static void kernel_reads(void)
{
    CALL(NR(write), ends[1], watched, 8);
}

static void kernel_writes_time(void)
{
    CALL(NR(clock_gettime), 1, watched);
}

static void write_by_string(void)
{
    const void *from = "0123456789abcdef01234567";
    void *to = watched;
    word n = 24;
    __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
}

static void others_run(void)
{
    for (unsigned i = 0; i < 3; i++) {
        const long pid = fork_process();
        if (!pid) {
            INT(0) = 7; /* a breakpoint is not inherited */
            leave(0);
        }
        wait_process(pid);
        INT(0) = 8;
    }
}

static void in_a_thread(void)
{
    INT(0) = 9;
    leave(0);
}

static void threads_run(void)
{
    start_thread(in_a_thread);
    while (INT(0) != 9)
        yield();
    INT(0) = 10;
}

static void nothing(int signal, siginfo_t *info, struct ucontext *context)
{
    (void)signal;
    (void)info;
    (void)context;
}

/* The kernel writes a handler's frame over it. */
static void frame_on_it(void)
{
    stack_t s = {.ss_sp = map_memory(65536, 0), .ss_size = 65536};

    CALL(NR(sigaltstack), &s, 0);
    on_signal(SIGUSR1, nothing, SA_ONSTACK);
    CALL(NR(kill), CALL(NR(getpid)), SIGUSR1);
}

static void call_kernel(void)
{
    __asm__ volatile("int $0x80" : : "a"(20) : "memory");
    spot();
}

static const struct {
    const char *name;
    void (*code)(void);
    int type, bytes, offset; /* at @watched, or at spot() */
    int type2, bytes2, offset2;
} cases[] = {
    {"an instruction", execute, ON_EXECUTE, 1, 0, -1, 0, 0},
    {"its second byte", execute, ON_EXECUTE, 1, 1, -1, 0, 0},
    {"an instruction twice", execute, ON_EXECUTE, 1, 0, ON_EXECUTE, 1, 0},
    {"two instructions", execute, ON_EXECUTE, 1, 0, ON_EXECUTE, 1, 1},
    {"behind a system call", call_kernel, ON_EXECUTE, 1, 0, -1, 0, 0},
    {"writes", write_twice, ON_WRITE, 4, 0, -1, 0, 0},
    {"writes, read and write", read_and_write, ON_WRITE, 4, 0, -1, 0, 0},
    {"both, read and write", read_and_write, ON_ANY, 4, 0, -1, 0, 0},
    {"two on the same", write_twice, ON_WRITE, 4, 0, ON_ANY, 1, 0},
    {"a byte", write_near, ON_WRITE, 1, 1, -1, 0, 0},
    {"two bytes", write_near, ON_WRITE, 2, 2, -1, 0, 0},
    {"four bytes", write_near, ON_WRITE, 4, 4, -1, 0, 0},
#ifdef __x86_64__
    {"eight bytes", write_near, ON_WRITE, 8, 0, -1, 0, 0},
    {"eight bytes by a string", write_by_string, ON_WRITE, 8, 8, -1, 0, 0},
#endif
    {"by a string", write_by_string, ON_WRITE, 2, 10, -1, 0, 0},
    {"the kernel writes", kernel_writes, ON_WRITE, 4, 0, -1, 0, 0},
    {"the kernel writes a byte", kernel_writes, ON_WRITE, 1, 5, -1, 0, 0},
    {"the kernel writes beside it", kernel_writes, ON_WRITE, 4, 8, -1, 0, 0},
    {"the kernel reads", kernel_reads, ON_ANY, 4, 0, -1, 0, 0},
    {"the kernel reads what is watched for writes", kernel_reads, ON_WRITE, 4, 0, -1, 0, 0},
    {"the kernel writes the time", kernel_writes_time, ON_WRITE, 4, 0, -1, 0, 0},
    {"other programs run", others_run, ON_WRITE, 4, 0, -1, 0, 0},
    {"threads run", threads_run, ON_WRITE, 4, 0, -1, 0, 0},
    {"a signal", frame_on_it, ON_WRITE, 4, 0, -1, 0, 0},
};

static long poke(long pid, int reg, word value)
{
    return CALL(NR(ptrace), POKEUSER, pid, DEBUGREG + reg * (int)sizeof(word), value);
}

static word peek(long pid, int reg)
{
    word value = 0;
    CALL(NR(ptrace), PEEKUSER, pid, DEBUGREG + reg * (int)sizeof(word), &value);
    return value;
}

/* What DR7 says of breakpoint @n. */
static word control(int n, int type, int bytes)
{
    const word length = bytes == 8 ? 2 : (word)bytes - 1;
    return 1ul << (2 * n) | ((word)type | length << 2) << (16 + 4 * n);
}

static long start_traced(void (*code)(void))
{
    const long pid = fork_process();
    int status;

    if (!pid) {
        CALL(NR(ptrace), TRACEME, 0, 0, 0);
        __asm__ volatile("int3");
        code();
        leave(0);
    }
    CALL(NR(wait4), pid, &status, 0x40000000, 0);
    return pid;
}

static void try_breakpoint(unsigned i)
{
    const int executes = cases[i].type == ON_EXECUTE;
    const word base = executes ? (word)spot : (word)watched;
    unsigned hits[16] = {0}, codes = 0, count = 0;
    word dr7 = control(0, cases[i].type, cases[i].bytes);
    int status = 0, pass = 0;

    CALL(NR(pipe), ends);
    const long pid = start_traced(cases[i].code);
    long rc = poke(pid, 0, base + (word)cases[i].offset);
    if (cases[i].type2 >= 0) {
        rc |= poke(pid, 1, base + (word)cases[i].offset2);
        dr7 |= control(1, cases[i].type2, cases[i].bytes2);
    }
    rc |= poke(pid, 7, dr7);
    while (count < 40) {
        CALL(NR(ptrace), CONT, pid, 0, pass);
        CALL(NR(wait4), pid, &status, 0x40000000, 0);
        if ((status & 0xff) != 0x7f)
            break;
        pass = status >> 8 & 0xff;
        if (pass != SIGTRAP)
            continue;
        pass = 0;
        siginfo_t info;
        CLEAR(info);
        CALL(NR(ptrace), GETSIGINFO, pid, 0, &info);
        codes |= 1u << (info.si_code & 31);
        hits[peek(pid, 6) & 15]++;
        poke(pid, 6, 0);
        count++;
    }
    CALL(NR(kill), pid, SIGKILL);
    wait_process(pid);
    say("%s: set %ld, hits %ld (B0 %ld, B1 %ld, both %ld, none %ld), codes %lx, status %lx\n",
        cases[i].name, rc, (long)count, (long)hits[1], (long)hits[2], (long)hits[3], (long)hits[0],
        (word)codes, (word)status & 0xffff);
    CALL(NR(close), ends[0]);
    CALL(NR(close), ends[1]);
}

static void breakpoints(void)
{
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        try_breakpoint(i);
}

/* Single steps over a breakpoint. */
static void steps_over(void)
{
    const long pid = start_traced(execute);
    unsigned stops = 0, with_step = 0, with_hit = 0, with_both = 0;
    int status = 0;

    poke(pid, 0, (word)spot);
    poke(pid, 7, control(0, ON_EXECUTE, 1));
    for (; stops < 40; stops++) {
        CALL(NR(ptrace), SINGLESTEP, pid, 0, 0);
        CALL(NR(wait4), pid, &status, 0x40000000, 0);
        if ((status & 0xff) != 0x7f)
            break;
        const word dr6 = peek(pid, 6);
        poke(pid, 6, 0);
        with_step += (dr6 & 0x400f) == 0x4000;
        with_hit += (dr6 & 0x400f) == 1;
        with_both += (dr6 & 0x400f) == 0x4001;
    }
    CALL(NR(kill), pid, SIGKILL);
    wait_process(pid);
    say("hits %ld, both %ld\n", (long)with_hit, (long)with_both);
}

static void refusals(void)
{
    const long pid = start_traced(execute);

    say("dr4: %ld, dr5: %ld\n", poke(pid, 4, 0), poke(pid, 5, 0));
    say("an i/o breakpoint: %ld\n", poke(pid, 7, control(0, 2, 1)));
    say("an empty address: %ld, then %ld\n", poke(pid, 0, 0),
        poke(pid, 7, control(0, ON_WRITE, 4)));
    say("not aligned: %ld", poke(pid, 7, 0));
    say(", %ld", poke(pid, 0, (word)watched + 1));
    say(", %ld\n", poke(pid, 7, control(0, ON_WRITE, 4)));
    say("eight bytes: %ld", poke(pid, 0, (word)watched));
    say(", %ld\n", poke(pid, 7, control(0, ON_WRITE, 8)) == 0 ? sizeof(word) == 8 : 2l);
    say("the kernel's: %ld", poke(pid, 7, 0));
    say(", %ld\n", poke(pid, 0, -4096ul));
    say("an instruction of four bytes: %ld", poke(pid, 0, (word)watched));
    say(", %ld\n", poke(pid, 7, control(0, ON_EXECUTE, 4)));
    say("dr7: %lx, dr6: %lx\n", peek(pid, 7), peek(pid, 6));
    CALL(NR(kill), pid, SIGKILL);
    wait_process(pid);
}

const struct experiment breakpoint_experiments[] = {
    {"breakpoint, ", breakpoints},
    {"breakpoint, stepped over: ", steps_over},
    {"breakpoint, refused: ", refusals},
    {0},
};
