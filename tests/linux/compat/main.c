/*
 * Programs at the border between a processor and Linux: system calls of every kind, signals, single steps, breakpoints, segments,
 * exceptions, with every value that a program can see.  They print facts and judge nothing: the bare machine says what is right.
 *
 *   compat32 [WORD...]    the experiments whose names contain a WORD, or all; each in a process of its own
 *   compat64 [WORD...]    the same source, and what only 64-bit programs can do
 */
#include "runtime.h"

static int contains(const char *text, const char *word)
{
    for (; *text; text++) {
        unsigned i = 0;
        while (word[i] && text[i] == word[i])
            i++;
        if (!word[i])
            return 1;
    }
    return 0;
}

static int wanted(const char *name, int count, char **words)
{
    for (int i = 1; i < count; i++)
        if (contains(name, words[i]))
            return 1;
    return count < 2;
}

static void run(const struct experiment *e)
{
    line_begin = e->name;
    long pid = fork_process();

    if (pid < 0)
        give_up("no process", pid);
    if (!pid) {
        e->run();
        leave(0);
    }
    const int status = wait_process(pid);
    if (status)
        say("ends with status %lx\n", (word)status);
}

int main(int count, char **words)
{
    static const struct experiment *const lists[] = {
        exception_experiments,  segment_experiments, signal_experiments, step_experiments,
        breakpoint_experiments, fpu_experiments,     base_experiments,
#ifdef __i386__
        call_experiments,
#else
        vsyscall_experiments,
#endif
    };

    for (unsigned l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
        for (const struct experiment *e = lists[l]; e->name; e++)
            if (wanted(e->name, count, words))
                run(e);
    return 0;
}
