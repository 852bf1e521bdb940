/* What the hypervisor's lines say about the end of the run.  See outcome.h. */
#include "outcome.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "machine.h"
#include "memory.h"

static bool has(const char *line, const char *words)
{
    return strstr(line, words) != NULL;
}

static void read_paravane(struct outcome *o, const char *line)
{
    unsigned id;
    char reason[16];

    if (sscanf(line, "(PV) d%u crashed: %15s", &id, reason) == 2)
        o->dumped = (int)id;
    if (sscanf(line, "(PV) d%u shut down: %15s", &id, reason) == 2) {
        bool crashed = strcmp(reason, "crash") == 0 || strcmp(reason, "watchdog") == 0;
        bool awaited = o->until == (int)id;
        o->domain_ended = true;
        if (crashed && (o->until == OUTCOME_ALL_DOMAINS || awaited)) {
            o->crashed = true;
            o->watchdog = strcmp(reason, "watchdog") == 0;
            o->asked_for_it = !o->watchdog && o->dumped != (int)id;
        }
        o->machine_ended |= awaited;
    }
    o->bug |= has(line, "(PV) BUG:");
    if (has(line, "(PV) cannot boot:"))
        o->refused = VERDICT_CANNOT_BOOT;
}

/* Xen 4.17's words, xen/common/shutdown.c.  "rebooting" ends QEMU by itself
 * (-no-reboot) after a crash only 5 seconds later, and a halt never does. */
static void read_xen(struct outcome *o, const char *line)
{
    bool halted = has(line, "Hardware Dom0 halted: halting machine");
    bool rebooted = has(line, "Hardware Dom0 shutdown: rebooting machine");
    bool crashed =
        has(line, "Hardware Dom0 crashed:") || has(line, "Hardware Dom0 shutdown: watchdog");

    if (halted || rebooted || crashed)
        o->domain_ended = o->machine_ended = true;
    /* A domain 0 that knows ACPI switches the machine off itself: QEMU ends. */
    o->domain_ended |= has(line, "Entering ACPI S5 state");
    o->crashed |= crashed;
    if (has(line, ") crashed on cpu#"))
        o->dumped = 0;
    o->watchdog |= has(line, "Hardware Dom0 shutdown: watchdog");
    o->asked_for_it |= crashed && !o->watchdog && o->dumped != 0;
    o->panicked |= has(line, "Panic on CPU");
    if (has(line, "Could not construct domain 0") || has(line, "Could not set up DOM0 guest OS"))
        o->refused = VERDICT_CANNOT_BOOT;
    o->machine_ended |= o->panicked && has(line, "Reboot in ");
    o->machine_ended |= o->panicked && has(line, "Manual reset required");
}

/*
 * Nobody speaks for a kernel on the bare machine.  Ours leaves a byte at the
 * debug-exit port; Linux has last words, and stands still after a panic.
 */
static void read_native(struct outcome *o, const char *line)
{
    bool halted = has(line, "reboot: System halted");

    o->domain_ended |=
        halted || has(line, "reboot: Power down") || has(line, "reboot: Restarting system");
    o->crashed |= has(line, "Kernel panic - not syncing");
    o->machine_ended |= halted || has(line, "---[ end Kernel panic");
}

void outcome_read(struct outcome *o, const char *line, bool is_guest)
{
    const char *said = strstr(line, "init exited with status ");

    if (*line)
        snprintf(o->last, sizeof(o->last), "%s", line);
    if (*line && is_guest)
        snprintf(o->last_of_guest, sizeof(o->last_of_guest), "%s", line);
    if (is_guest && !o->panic[0] && (has(line, "panic:") || has(line, "Kernel panic - ")))
        snprintf(o->panic, sizeof(o->panic), "%s", line);
    if (is_guest && said)
        o->guest_status = atoi(said + strlen("init exited with status "));
    if (o->native) {
        read_native(o, line);
        return;
    }

    /* A guest's unfinished line can stand before Xen's on the same line. */
    const char *xen = strstr(line, "(XEN) ");
    if (xen)
        read_xen(o, xen);
    else if (!is_guest)
        read_paravane(o, line);
}

/* QEMU 7.2's words: accel/kvm/kvm-all.c, softmmu/physmem.c, gdbstub. */
void outcome_read_qemu(struct outcome *o, const char *line)
{
    if (has(line, "KVM internal error")) {
        o->qemu_gave_up = "KVM could not execute an instruction of the machine, and QEMU stopped "
                          "it; use --accel tcg";
        o->machine_ended = true;
    } else if (has(line, "cannot set up guest memory")) {
        o->qemu_gave_up =
            "this host does not give QEMU so much memory; lower -m or --machine-memory";
    }
    if (has(line, "linux kernel too old to load a ram disk"))
        o->qemu_gave_up = "the hypervisor is no Multiboot image; give --hypervisor one, unpacked";
    o->killed |= has(line, "Terminated via GDBstub");
}

static enum verdict because(char **why, enum verdict v, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* @v, and its sentence in *@why. */
static enum verdict because(char **why, enum verdict v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *why = memory_vformat(format, args);
    va_end(args);
    return v;
}

/* What the byte written to the debug-exit port means, or -1. */
static int meaning_of(int status)
{
    if (!WIFEXITED(status))
        return -1;
    switch (WEXITSTATUS(status)) {
#define E(byte, verdict) \
    case 2 * (byte) + 1: \
        return VERDICT_##verdict;
        DEBUG_EXIT_LIST(E)
#undef E
    default:
        return -1;
    }
}

static enum verdict qemu_verdict(const struct outcome *o, int status, char **why)
{
    if (o->qemu_gave_up)
        return because(why, VERDICT_QEMU_FAILED, "%s", o->qemu_gave_up);
    if (o->killed)
        return because(why, VERDICT_INTERRUPTED, "the debugger ended the machine");
    if (WIFSIGNALED(status))
        return because(why, VERDICT_QEMU_FAILED,
                       "QEMU died of signal %d (%s); --print-command shows how it was called",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return because(why, VERDICT_QEMU_FAILED,
                       "QEMU ended with status %d; --print-command shows how it was called",
                       WEXITSTATUS(status));
    if (o->native)
        return because(why, VERDICT_GUEST_CRASHED,
                       "the machine reset or switched itself off, and its kernel had not said "
                       "that it would, after \"%s\"; look at the lines above, or run with --gdb",
                       o->last);
    /* A triple fault resets the machine, and -no-reboot makes that an end. */
    return because(why, VERDICT_HYPERVISOR_BUG,
                   "the machine reset itself before any domain had ended, after \"%s\"; look at "
                   "the lines above, or run with --gdb",
                   o->last);
}

/* What the guest itself has to answer for, once it is known to have ended well. */
static enum verdict guest_verdict(const struct outcome *o, char **why)
{
    if (o->guest_status)
        return because(why, VERDICT_GUEST_FAILED,
                       "the guest's init exited with status %d; its own lines above say why",
                       o->guest_status);
    return VERDICT_OK;
}

static enum verdict native_verdict(const struct outcome *o, int status, int meaning, char **why)
{
    if (o->crashed || meaning == VERDICT_GUEST_CRASHED)
        return because(why, VERDICT_GUEST_CRASHED, "the kernel crashed; the lines above say where");
    if (meaning > 0) /* a hypervisor is a kernel, too */
        return because(why, (enum verdict)meaning,
                       "the kernel gave up; its last lines above say what to change");
    if (meaning != VERDICT_OK && !o->domain_ended)
        return qemu_verdict(o, status, why);
    return guest_verdict(o, why);
}

static enum verdict crash_verdict(const struct outcome *o, char **why)
{
    if (o->watchdog)
        return because(
            why, VERDICT_GUEST_CRASHED,
            "a domain crashed: it had set its watchdog and did not feed it, its last line "
            "was \"%s\"; look where it hangs with --gdb",
            o->last_of_guest);
    if (o->asked_for_it)
        return because(why, VERDICT_GUEST_CRASHED,
                       "a domain crashed: it ended itself so (SHUTDOWN_crash, as kernels do that "
                       "panic), %s \"%s\"; look at what it printed",
                       o->panic[0] ? "and said" : "its last line was",
                       o->panic[0] ? o->panic : o->last_of_guest);
    return because(
        why, VERDICT_GUEST_CRASHED,
        "a domain crashed; the lines above say where, --explain what was refused before");
}

enum verdict outcome_verdict(const struct outcome *o, int status, char **why)
{
    int meaning = meaning_of(status);

    *why = NULL;
    if (o->native)
        return native_verdict(o, status, meaning, why);
    if (o->bug || meaning == VERDICT_HYPERVISOR_BUG || (o->panicked && !o->refused))
        return because(why, VERDICT_HYPERVISOR_BUG,
                       "the hypervisor failed; the lines above say how, "
                       "please report them with the guest");
    if (o->refused || (meaning > 0 && meaning < VERDICT_GUEST_CRASHED))
        return because(why, meaning > 0 ? (enum verdict)meaning : o->refused,
                       "the hypervisor could not start the domains; its line above says what to "
                       "change");
    if (o->crashed || (meaning == VERDICT_GUEST_CRASHED && o->until == OUTCOME_ALL_DOMAINS))
        return crash_verdict(o, why);
    /* QEMU's own failures are status 1, too, like the byte 0: then nobody has ended.  A signal that it dies of is
     * its own failure, whoever had ended before. */
    if (WIFSIGNALED(status) || o->qemu_gave_up || !o->domain_ended)
        return qemu_verdict(o, status, why);
    return guest_verdict(o, why);
}
