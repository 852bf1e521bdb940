/* `paravane`: find the command and run it. */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "output.h"
#include "run-options.h"
#include "verdict.h"

int command_help(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "run") == 0 || strcmp(argv[1], "strace") == 0)) {
        run_options_help(stdout);
        return VERDICT_OK;
    }
    if (argc > 1)
        return verdict_say(VERDICT_USAGE,
                           "there is no page about \"%s\"; `paravane help` lists the commands, "
                           "`paravane help run` the options",
                           argv[1]);
    printf("usage: paravane COMMAND ...\n\n");
#define C(name, arguments, help) printf("  %-11s %-42s %s\n", #name, arguments, help);
    COMMAND_LIST(C)
#undef C
    return VERDICT_OK;
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
#define C(command, arguments, help)  \
    if (strcmp(name, #command) == 0) \
        return command_##command(argc - 1, argv + 1);
    COMMAND_LIST(C)
#undef C
    if (argc < 2)
        return verdict_say(VERDICT_USAGE, "no command is given; `paravane help` lists them");
    return verdict_say(VERDICT_USAGE, "\"%s\" is no command; `paravane help` lists them", name);
}

int main(int argc, char **argv)
{
    output_start();
    return (int)output_check((enum verdict)run_command(argc, argv));
}
