/* The page of the oldest system calls, at its fixed address (64-bit programs). */
#include "runtime.h"

#define PAGE 0xffffffffff600000ul

static word target;
static word argument;

static void call_target(void)
{
    __asm__ volatile("call *%0"
                     :
                     : "r"(target), "D"(argument), "S"(0ul)
                     : "rax", "rcx", "rdx", "r11", "memory");
}

static void read_target(void)
{
    __asm__ volatile("movb (%0), %%al" : : "r"(target) : "rax");
}

static void write_target(void)
{
    __asm__ volatile("movb $0, (%0)" : : "r"(target) : "memory");
}

static void say_result(const char *what, void (*code)(void), word address)
{
    target = address;
    if (try_code(code))
        say("%s: signal %ld code %ld at %lx, trap %ld error %lx, ip %lx\n", what,
            (long)caught.signal, (long)caught.code, caught.address, (long)caught.trap, caught.error,
            caught.ip < PAGE ? (word)0 : caught.ip);
    else
        say("%s: comes back\n", what);
}

/* By the page and by a system call before and after: is it between them? */
static long times[2], now, result;
static unsigned cpu = ~0u, node = ~0u;

static void get_time(void)
{
    result = ((long (*)(long *))(PAGE + 0x400))(&now);
}

static void get_time_of_day(void)
{
    result = ((long (*)(long *, void *))PAGE)(times, 0);
}

static void get_cpu(void)
{
    result = ((long (*)(unsigned *, unsigned *, void *))(PAGE + 0x800))(&cpu, &node, 0);
}

static void calls(void)
{
    catch_faults();
    const long before = CALL(NR(time), 0);
    say("time: faults %ld, ", (long)try_code(get_time));
    say("%ld %ld\n", (long)(result == now), (long)(now >= before && now <= CALL(NR(time), 0)));
    say("gettimeofday: faults %ld, ", (long)try_code(get_time_of_day));
    /* time() goes on with the clock's ticks, gettimeofday() between them, too. */
    say("%ld %ld\n", result, (long)(times[0] >= before && times[0] <= CALL(NR(time), 0) + 1));
    say("getcpu: faults %ld, ", (long)try_code(get_cpu));
    say("%ld %ld %ld\n", result, (long)(cpu < 64), (long)node);
    say_result("without a pointer", call_target, PAGE + 0x400);
    argument = 0x10;
    say_result("a pointer to nothing", call_target, PAGE + 0x400);
    argument = 0;
    say_result("beside an entry", call_target, PAGE + 0x401);
    say_result("behind the entries", call_target, PAGE + 0xc00);
    say_result("the next page", call_target, PAGE + 0x1000);
    say_result("read", read_target, PAGE);
    say_result("write", write_target, PAGE);
    say_result("read the next page", read_target, PAGE + 0x1000);
}

const struct experiment vsyscall_experiments[] = {
    {"vsyscall page: ", calls},
    {0},
};
