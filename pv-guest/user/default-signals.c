/*
 * default-signals PROGRAM [ARGUMENT...]: become it, with SIGINT and SIGQUIT as they are by default.
 *
 * A shell without job control has a program that it starts with & ignore both (POSIX, Shell Command Language 2.11), and no shell
 * that inherits that can undo it: from there on, Ctrl-C ends nothing.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    if (argc > 1)
        execv(argv[1], argv + 1);
    perror(argc > 1 ? argv[1] : "default-signals: no PROGRAM");
    return 127;
}
