/*
 * The smallest guest that can do all that the tools have to be tested against.
 *
 * It has no page tables, traps or interrupts of its own: it lives in what the
 * builder hands over, speaks through console_io (which a domain 0 may use on
 * any Xen), and does what the words of its command line say, in their order:
 *
 *   say:TEXT        print TEXT ('_' is a blank, '~' a newline)
 *   ramdisk         print the size of the ramdisk, and the sum of its bytes
 *   calls           make the hypercalls of calls.c
 *   emulations      execute some privileged instructions
 *   deaf            read and forget keys until Ctrl-D, as a program in front of a shell would
 *   shell           prompt, read a line, answer with its length, until "exit"
 *   poweroff        shut down with this reason; likewise reboot, crash
 *   fault           execute ud2, with no handler for it: the hypervisor ends us
 *   yield:N         give up the CPU N times
 *   block           wait for an event: there is none
 *   spin            never end
 *
 * Without a word that ends it, it powers off.
 */
#include "calls.h"

#include <paravane/hypercall.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/sched.h>
#include <xen/xen.h>

static size_t length(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

static void print(const char *text, size_t size)
{
    hypercall_console_io(CONSOLEIO_write, (unsigned)size, (char *)text);
}

static void print_number(size_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    digits[--at] = '\n';
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    print(digits + at, sizeof(digits) - at);
}

static void shut_down(unsigned reason)
{
    struct sched_shutdown how = {.reason = reason};
    hypercall_sched_op(SCHEDOP_shutdown, &how);
    for (;;)
        ;
}

/* --- Words --------------------------------------------------------------- */

static int is_word(const char *word, size_t size, const char *name)
{
    if (size < length(name))
        return 0;
    for (size_t i = 0; name[i]; i++)
        if (word[i] != name[i])
            return 0;
    return 1;
}

static void say(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i] == '_' ? ' ' : text[i] == '~' ? '\n' : text[i];
        print(&c, 1);
    }
}

static char read_key(void)
{
    char key;
    while (hypercall_console_io(CONSOLEIO_read, 1, &key) != 1)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    return key;
}

/* Read slowly on purpose: a byte at a time, echoed, so that a sender that does
 * not wait overruns whatever buffer is in between. */
static size_t read_line(char *line, size_t room)
{
    size_t n = 0;
    for (;;) {
        char key = read_key();
        if (key == 4)
            shut_down(SHUTDOWN_poweroff);
        if (key == '\r' || key == '\n') {
            print("\n", 1);
            return n;
        }
        print(&key, 1);
        if (n < room)
            line[n++] = key;
        for (int i = 0; i < 100; i++)
            hypercall_sched_op(SCHEDOP_yield, NULL);
    }
}

static void deaf(void)
{
    print("deaf\n", 5);
    while (read_key() != 4)
        ;
}

static void shell(void)
{
    static char line[1024];
    for (;;) {
        print("> ", 2);
        size_t n = read_line(line, sizeof(line));
        if (n == 4 && is_word(line, n, "exit"))
            return;
        print("length ", 7);
        print_number(n);
    }
}

static const struct start_info *start;

static void ramdisk(void)
{
    const unsigned char *bytes = (const unsigned char *)start->mod_start;
    size_t sum = 0;
    for (size_t i = 0; i < start->mod_len; i++)
        sum += bytes[i];
    print("size ", 5);
    print_number(start->mod_len);
    print("sum ", 4);
    print_number(sum);
}

static void yield(const char *digit, size_t size)
{
    unsigned long n = 0;
    while (size--)
        n = 10 * n + (unsigned long)(*digit++ - '0');
    while (n--)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static void obey(const char *word, size_t size)
{
    if (is_word(word, size, "say:"))
        say(word + 4, size - 4);
    else if (is_word(word, size, "ramdisk"))
        ramdisk();
    else if (is_word(word, size, "calls"))
        calls();
    else if (is_word(word, size, "emulations"))
        emulations();
    else if (is_word(word, size, "deaf"))
        deaf();
    else if (is_word(word, size, "shell"))
        shell();
    else if (is_word(word, size, "poweroff"))
        shut_down(SHUTDOWN_poweroff);
    else if (is_word(word, size, "reboot"))
        shut_down(SHUTDOWN_reboot);
    else if (is_word(word, size, "crash"))
        shut_down(SHUTDOWN_crash);
    else if (is_word(word, size, "fault"))
        __asm__ volatile("ud2");
    else if (is_word(word, size, "yield:"))
        yield(word + 6, size - 6);
    else if (is_word(word, size, "block"))
        hypercall_sched_op(SCHEDOP_block, NULL);
    else if (is_word(word, size, "spin"))
        for (;;)
            hypercall_sched_op(SCHEDOP_yield, NULL);
}

void sample_main(const struct start_info *info)
{
    const char *at = (const char *)info->cmd_line;
    start = info;
    while (*at) {
        size_t n = 0;
        while (at[n] && at[n] != ' ')
            n++;
        obey(at, n);
        at += n + (at[n] == ' ');
    }
    shut_down(SHUTDOWN_poweroff);
}
