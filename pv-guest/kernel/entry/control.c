/* What is asked of the machine from outside: to end, or by sysrq's keys. */
#include "control.h"
#include "platform/platform.h"
#include "print.h"
#include "signal.h"
#include "text.h"

static const struct ending {
    const char *what;
    int signal; /* that tells the first process */
    enum shutdown_reason reason;
} endings[] = {
    {"poweroff", SIGUSR2, SHUTDOWN_AS_POWEROFF},
    {"halt", SIGUSR1, SHUTDOWN_AS_POWEROFF},
    {"reboot", SIGTERM, SHUTDOWN_AS_REBOOT},
};

static bool init_listens(int signal)
{
    const uint64_t handler = init_process ? init_process->actions[signal].handler : SIG_DFL;
    return handler != SIG_DFL && handler != SIG_IGN;
}

bool control_shutdown(const char *what)
{
    for (unsigned i = 0; i < ARRAY_SIZE(endings); i++) {
        const struct ending *e = &endings[i];
        if (strcmp(what, e->what))
            continue;
        print("%s was asked for from outside\n", what);
        if (!init_listens(e->signal))
            platform_shutdown(e->reason);
        signal_send(init_process, e->signal);
        return true;
    }
    return false;
}

void control_unknown(const char *what)
{
    print(
        "\"%s\" was asked for from outside; poweroff, halt and reboot are what this kernel knows\n",
        what);
}

void control_sysrq(char key)
{
    switch (key) {
    case 'b':
        platform_shutdown(SHUTDOWN_AS_REBOOT);
    case 'c':
        panic("asked for by sysrq");
    case 'o':
        platform_shutdown(SHUTDOWN_AS_POWEROFF);
    }
}
