/* Outputs that do not lose a byte in silence.  See output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

enum { MOST = 4 /* stdout, stderr, the log, the trace */ };

static struct output {
    FILE *file;
    char *name;
    int fd, error; /* @error: errno of the first write that failed, or 0 */
    bool said;
} outputs[MOST];

/* As write(2) would like to: whole.  A descriptor that somebody else has made non-blocking (a
 * terminal that is shared, a pipe of a test runner) is waited for. */
static ssize_t write_all(void *cookie, const char *data, size_t size)
{
    struct output *o = cookie;
    size_t done = 0;

    while (done < size && !o->error) {
        ssize_t n = write(o->fd, data + done, size - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            (void)poll(&(struct pollfd){.fd = o->fd, .events = POLLOUT}, 1, -1);
        else if (n == 0 || errno != EINTR)
            o->error = n ? errno : EIO;
    }
    return (ssize_t)done; /* less than @size tells stdio that it failed */
}

static int close_output(void *cookie)
{
    struct output *o = cookie;
    /* Some file systems tell only here that they had no room. */
    if (close(o->fd) < 0 && !o->error)
        o->error = errno;
    o->file = NULL;
    return 0;
}

static FILE *open_output(int fd, const char *name, int mode)
{
    const cookie_io_functions_t functions = {.write = write_all, .close = close_output};
    struct output *o = outputs;

    while (o->name)
        o++; /* there are never more than MOST */
    *o = (struct output){.fd = fd, .name = memory_strdup(name)};
    o->file = fopencookie(o, "w", functions);
    if (!o->file)
        exit(VERDICT_HOST_FAILED);
    (void)setvbuf(o->file, NULL, mode, BUFSIZ);
    return o->file;
}

void output_start(void)
{
    static const int instead[3] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", instead[fd]) != fd)
            exit(VERDICT_HOST_FAILED);

    signal(SIGXFSZ, SIG_IGN); /* beyond `ulimit -f` write() says so, too */
    stdout = open_output(STDOUT_FILENO, "stdout", isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    stderr = open_output(STDERR_FILENO, "stderr", _IOLBF);
}

FILE *output_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return fd < 0 ? NULL : open_output(fd, path, _IOFBF);
}

void output_close(FILE *file)
{
    if (file)
        (void)fclose(file); /* write_all() and close_output() have kept the error */
}

bool output_flush(void)
{
    bool whole = true;
    for (size_t i = 0; i < MOST && outputs[i].name; i++) {
        if (outputs[i].file)
            (void)fflush(outputs[i].file);
        whole &= !outputs[i].error;
    }
    return whole;
}

enum verdict output_check(enum verdict v)
{
    if (output_flush())
        return v;
    for (size_t i = 0; i < MOST; i++) {
        struct output *o = &outputs[i];
        if (o->error && !o->said)
            verdict_say(VERDICT_HOST_FAILED, "cannot write %s: %s; some of the output is lost, %s",
                        o->name, strerror(o->error),
                        o->error == EPIPE ? "its reader had ended"
                        : o->error == EBADF
                            ? "it was closed; write it to /dev/null if nobody needs it"
                            : "make room or write it elsewhere");
        o->said |= o->error != 0;
    }
    return VERDICT_HOST_FAILED;
}
