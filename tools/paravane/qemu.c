/* QEMU as a child.  See qemu.h. */
#include "qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: does not return.  The parent learns errno through @failed. */
static void become_qemu(char **argv, const char *folder, int input, int output, int errors,
                        int failed, pid_t parent)
{
    /* Two that cannot fail, and a third that would only let the terminal's Ctrl-C through. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before the line above */
    (void)setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);

    if ((!folder || chdir(folder) == 0) && dup2(input, 0) == 0 && dup2(output, 1) == 1 &&
        dup2(errors, 2) == 2)
        execvp(argv[0], argv);
    int error = errno;
    if (write(failed, &error, sizeof(error)) < 0)
        _exit(1);
    _exit(1);
}

static enum verdict not_started(const char *program, int error)
{
    if (error == ENOENT || error == EACCES)
        return verdict_say(VERDICT_NO_QEMU,
                           "cannot run %s: %s; tools/setup installs it (Debian package "
                           "qemu-system-x86)",
                           program, strerror(error));
    return verdict_say(VERDICT_HOST_FAILED,
                       "cannot start %s: %s; free some resources and try again", program,
                       strerror(error));
}

enum verdict qemu_start(struct qemu *q, char **argv, const char *folder)
{
    int input[2], output[2], errors[2], failed[2], error = 0;
    const pid_t parent = getpid();

    *q = (struct qemu){.pid = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input) < 0 ||
        pipe2(output, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0 ||
        pipe2(failed, O_CLOEXEC) < 0)
        return not_started(argv[0], errno);

    /* The serial port writes byte by byte, and a machine that writes waits for us; a smaller pipe is good, too. */
    (void)!fcntl(output[1], F_SETPIPE_SZ, 1 << 20);
    q->pid = fork();
    if (q->pid == 0)
        become_qemu(argv, folder, input[1], output[1], errors[1], failed[1], parent);
    if (q->pid < 0)
        return not_started(argv[0], errno);

    close(input[1]);
    close(output[1]);
    close(errors[1]);
    close(failed[1]);
    ssize_t got = read(failed[0], &error, sizeof(error)); /* end of file: exec succeeded */
    close(failed[0]);
    q->input = input[0];
    q->output = output[0];
    q->errors = errors[0];
    if (fcntl(q->input, F_SETFL, O_NONBLOCK) < 0 || fcntl(q->output, F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(q->errors, F_SETFL, O_NONBLOCK) < 0)
        error = errno;
    if (got < 0)
        error = errno;
    if (!error)
        return VERDICT_OK;
    qemu_stop(q);
    return not_started(argv[0], error);
}

void qemu_wait(struct qemu *q)
{
    while (q->pid > 0 && !q->stopped && waitpid(q->pid, &q->status, 0) < 0 && errno == EINTR)
        ;
    q->stopped = true;
}

void qemu_stop(struct qemu *q)
{
    if (q->pid < 0 || q->stopped)
        return;
    /* Nothing of QEMU's is worth saving: no disks, no monitor. */
    if (waitpid(q->pid, &q->status, WNOHANG) == 0) {
        kill(q->pid, SIGKILL);
        qemu_wait(q);
        q->status = 0; /* that it died of our signal says nothing about it */
    }
    q->stopped = true;
}
