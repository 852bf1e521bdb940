/* A run, from QEMU's start to its end.  See session.h for the picture. */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"
#include "outcome.h"
#include "output.h"
#include "tap.h"
#include "typist.h"
#include "window.h"

enum {
    QUIT_KEY = 0x1d /* Ctrl-], as in xl console */,
    FOCUS_KEY = 1 /* Ctrl-A, so many times */,
    FOCUS_COUNT = 3,
    READ_AHEAD = 1 << 16,
    HIDDEN_MOST = 1 << 16,
    LOOK_AGAIN_MS = 500
};

struct session {
    const struct session_options *options;
    struct qemu *qemu;
    struct lines lines;
    struct outcome outcome;
    struct tap tap;
    struct typist typist;
    struct bytes to_guest; /* typed, not yet taken by QEMU */
    struct bytes hidden;   /* the last lines that --quiet did not show */
    struct bytes errors;   /* the beginning of a line that QEMU itself says */
    bool on_terminal;      /* stdin is one */
    bool is_terminal;      /* and its keyboard is ours: we are in the foreground */
    bool stdin_open, interrupted, timed_out, ended;
    bool tells_window;     /* the guest has asked */
    struct winsize window; /* as it was told last */
    unsigned focus_keys;   /* how many Ctrl-A were typed in a row */
    unsigned
        moves; /* of the keyboard, asked for by those, of which the hypervisor has not spoken yet */
    bool is_away;     /* and where it has said that the keyboard is, no guest is */
    bool output_lost; /* a byte could not be written: nobody would see the rest */
    int64_t started_ms, heard_ms;
    int signals;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- The window ---------------------------------------------------------- */

/* The guest hears of the window what it does not know yet; nobody else does, as any byte is a key to a hypervisor.  One that
 * asks without reading the answers gets the next when it has read: see type(). */
static void tell_window(struct session *s)
{
    struct winsize now;
    if (!s->tells_window || s->moves || s->is_away || s->to_guest.size || !window_size(&now))
        return;
    if (now.ws_row == s->window.ws_row && now.ws_col == s->window.ws_col)
        return;
    s->window = now;
    window_tell(&s->to_guest, &now);
}

static void window_asked(void *context)
{
    struct session *s = context;
    s->tells_window = true;
    s->window = (struct winsize){0};
    tell_window(s);
}

/* Three Ctrl-A move the keyboard on, and the hypervisor says where to. */
static void watch_focus_keys(struct session *s, const char *keys, size_t size)
{
    for (size_t i = 0; i < size && !s->options->native; i++) {
        s->focus_keys = keys[i] == FOCUS_KEY ? s->focus_keys + 1 : 0;
        if (s->focus_keys == FOCUS_COUNT) {
            s->focus_keys = 0;
            s->moves++;
        }
    }
}

/* Xen's line may stand behind a prompt, and be taken for the guest's. */
static void read_focus(struct session *s, const char *line)
{
    const char *to = strstr(line, "(PV) input goes to ");
    if (!to)
        to = strstr(line, "(XEN) *** Serial input to ");
    if (!to)
        return;
    s->moves -= s->moves > 0;
    s->is_away = strstr(to, "to the hypervisor") || strstr(to, "to Xen");
    tell_window(s);
}

/* --- What the console says ----------------------------------------------- */

static void guest_text(void *context, const char *text, size_t size)
{
    struct session *s = context;
    if (s->options->tap)
        return; /* TAP goes by lines */
    fwrite(text, 1, size, stdout);
    typist_hear(&s->typist, text, size);
}

static void show_guest_line(struct session *s, const char *line, const char *note)
{
    if (s->options->tap)
        tap_read(&s->tap, line); /* the text itself has been shown otherwise */
    if (note)
        fputs(note, stdout);
    if (!s->options->tap || note)
        putchar('\n');
}

/* A verdict may point to what was hidden: some of it is kept, the end rather than the beginning. */
static void hide(struct session *s, const char *line, const char *note)
{
    bytes_format(&s->hidden, "%s%s\n", line, note);
    if (s->hidden.size > HIDDEN_MOST) {
        const char *half = s->hidden.data + HIDDEN_MOST / 2, *end = strchr(half, '\n');
        bytes_drop(&s->hidden, (size_t)(end ? end + 1 - s->hidden.data : HIDDEN_MOST / 2));
    }
}

static void line_ended(void *context, const char *line, bool is_guest)
{
    struct session *s = context;
    char *note = s->options->symbols ? symbols_annotate(s->options->symbols, line) : NULL;

    outcome_read(&s->outcome, line, is_guest);
    read_focus(s, line);
    if (is_guest) {
        show_guest_line(s, line, note);
        typist_hear(&s->typist, "\n", 1);
    } else if (!s->options->quiet || (s->on_terminal && strstr(line, ") input goes to "))) {
        /* a person types, and must know where */
        fflush(stdout);
        fprintf(stderr, "%s%s\n", line, note ? note : "");
    } else {
        hide(s, line, note ? note : "");
    }
    if (s->options->log)
        fprintf(s->options->log, "%s%s\n", line, note ? note : "");
    free(note);
}

static void read_console(struct session *s)
{
    char block[4096];
    ssize_t got = -1;

    while (!s->ended && (got = read(s->qemu->output, block, sizeof(block))) != 0) {
        if (got < 0) {
            s->ended = errno != EAGAIN && errno != EINTR;
            break;
        }
        s->heard_ms = now_ms();
        lines_feed(&s->lines, block, (size_t)got);
        s->ended = s->outcome.machine_ended;
    }
    if (got == 0)
        s->ended = true; /* QEMU has closed its side */
    fflush(stdout);
}

static void pass_errors(struct session *s)
{
    char block[1024];
    ssize_t got;
    while ((got = read(s->qemu->errors, block, sizeof(block))) > 0) {
        fwrite(block, 1, (size_t)got, stderr);
        bytes_append(&s->errors, block, (size_t)got);
    }
    for (char *end; s->errors.size && (end = strchr(s->errors.data, '\n'));
         bytes_drop(&s->errors, (size_t)(end + 1 - s->errors.data))) {
        *end = 0;
        outcome_read_qemu(&s->outcome, s->errors.data);
    }
    s->ended |= s->outcome.qemu_gave_up && s->outcome.machine_ended;
    if (got == 0) {
        close(s->qemu->errors);
        s->qemu->errors = -1; /* poll() skips it */
    }
}

/* --- What is typed ------------------------------------------------------- */

static void read_terminal(struct session *s, const char *keys, size_t size)
{
    if (memchr(keys, QUIT_KEY, size))
        s->interrupted = true;
    watch_focus_keys(s, keys, size);
    if (s->tells_window)
        window_type(&s->to_guest, keys, size);
    else
        bytes_append(&s->to_guest, keys, size);
}

/* In the background (`paravane run ... &`) the terminal is somebody else's: to read from it or to change
 * its modes would stop us. */
static bool in_background(void)
{
    const pid_t front = tcgetpgrp(STDIN_FILENO);
    return front > 0 && front != getpgrp();
}

static void read_stdin(struct session *s)
{
    char block[4096];
    if (s->on_terminal && (!s->is_terminal || in_background()))
        return; /* since poll() looked we were stopped, and go on elsewhere */
    ssize_t got = read(STDIN_FILENO, block, sizeof(block));
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got < 0 && errno == EIO && s->on_terminal && in_background())
        return;                  /* or even since we looked: SIGTTIN is ignored */
    if (got < 0 && errno != EIO) /* that is a terminal which has hung up */
        verdict_warn("cannot read stdin: %s; nothing more is typed", strerror(errno));
    if (got <= 0) {
        s->stdin_open = false;
        s->typist.closed = true;
    } else if (s->is_terminal) {
        read_terminal(s, block, (size_t)got);
    } else {
        bytes_append(&s->typist.text, block, (size_t)got);
    }
}

/* Ask the typist, and give QEMU what it takes. */
static void type(struct session *s)
{
    const char *text;
    size_t n = typist_take(&s->typist, now_ms() - s->heard_ms, lines_has_prompt(&s->lines), &text);
    if (n) {
        bytes_append(&s->to_guest, text, n);
        s->heard_ms = now_ms(); /* rest is counted from here again */
    }
    while (s->to_guest.size) {
        ssize_t sent = write(s->qemu->input, s->to_guest.data, s->to_guest.size);
        if (sent <= 0)
            break; /* full: poll() says when; gone: read_console() sees it */
        bytes_drop(&s->to_guest, (size_t)sent);
        if (!s->to_guest.size)
            tell_window(s);
    }
}

/* --- Time and signals ---------------------------------------------------- */

static enum verdict watch_signals(struct session *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGCONT);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN); /* QEMU may go while we type */
    signal(SIGTTIN, SIG_IGN); /* read_stdin() sees it */
    return s->signals >= 0 ? VERDICT_OK
                           : verdict_say(VERDICT_HOST_FAILED,
                                         "cannot wait for signals: %s; free some resources and try "
                                         "again",
                                         strerror(errno));
}

/* Back after a stop: whoever had the terminal meanwhile has changed its modes. */
static void read_signal(struct session *s)
{
    struct signalfd_siginfo signal;
    if (read(s->signals, &signal, sizeof(signal)) != sizeof(signal))
        return;
    if (signal.ssi_signo == SIGCONT)
        s->is_terminal = false;
    else if (signal.ssi_signo == SIGWINCH)
        tell_window(s);
    else
        s->interrupted = true;
}

/* Milliseconds that poll() may sleep: to the deadline, or to the typist's turn. */
static int patience(const struct session *s)
{
    int64_t now = now_ms(), wait = INT32_MAX;
    int64_t typist = typist_patience(&s->typist, lines_has_prompt(&s->lines));

    if (s->options->timeout > 0)
        wait = s->started_ms + (int64_t)(s->options->timeout * 1000) - now;
    if (s->on_terminal && !s->is_terminal && wait > LOOK_AGAIN_MS)
        wait = LOOK_AGAIN_MS;
    if (typist >= 0 && s->heard_ms + typist - now < wait)
        wait = s->heard_ms + typist - now;
    return wait < 0 ? 0 : (int)wait;
}

static void check_deadline(struct session *s)
{
    if (s->options->timeout > 0 &&
        now_ms() - s->started_ms >= (int64_t)(s->options->timeout * 1000))
        s->timed_out = true;
}

static struct termios terminal_before;
static bool terminal_is_raw;

static void restore_terminal(void)
{
    if (terminal_is_raw && !in_background())
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before); /* it may have hung up */
    terminal_is_raw = false;
}

/* Every key goes to the guest, Ctrl-C too; output is translated as before. */
static void take_terminal(struct session *s)
{
    static bool said;
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &raw) < 0)
        return;
    if (!said)
        terminal_before = raw;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return;
    s->is_terminal = terminal_is_raw = true;
    if (!said)
        fprintf(stderr, "paravane: the keyboard is the guest's; Ctrl-] ends the machine\n");
    said = true;
    tell_window(s); /* what happened to it in the background, nobody said */
}

/* The keyboard is ours while we are in the foreground, which `fg` and `bg` change at any time. */
static void attend_terminal(struct session *s)
{
    const bool background = s->on_terminal && in_background();
    if (background)
        s->is_terminal = terminal_is_raw = false; /* its modes are others' business now */
    else if (s->on_terminal && !s->is_terminal)
        take_terminal(s);
    s->lines.deaf = !s->is_terminal || !isatty(STDOUT_FILENO);
    s->lines.hears_window = s->options->tell_window;
}

/* --- The run ------------------------------------------------------------- */

static void wait_and_serve(struct session *s)
{
    enum { OUTPUT, INPUT, ERRORS, STDIN, SIGNALS, STRACE, FDS };
    attend_terminal(s);
    bool more =
        s->stdin_open && s->typist.text.size < READ_AHEAD && (s->is_terminal || !s->on_terminal);
    struct pollfd fds[FDS] = {
        [OUTPUT] = {s->qemu->output, POLLIN, 0},
        [INPUT] = {s->to_guest.size ? s->qemu->input : -1, POLLOUT, 0}, /* see type() */
        [ERRORS] = {s->qemu->errors, POLLIN, 0},
        [STDIN] = {more ? STDIN_FILENO : -1, POLLIN, 0},
        [SIGNALS] = {s->signals, POLLIN, 0},
        [STRACE] = {s->options->strace ? strace_fd(s->options->strace) : -1, POLLIN, 0},
    };

    int ready = poll(fds, FDS, patience(s));
    if (ready == 0)
        lines_flush(&s->lines);
    if (fds[SIGNALS].revents)
        read_signal(s);
    if (fds[ERRORS].revents)
        pass_errors(s);
    if (fds[STDIN].revents)
        read_stdin(s);
    if (fds[STRACE].revents)
        strace_read(s->options->strace);
    if (fds[OUTPUT].revents)
        read_console(s);
    type(s);
    s->output_lost |= !output_flush();
    check_deadline(s);
}

static enum verdict judge(struct session *s)
{
    if (output_check(VERDICT_OK))
        return VERDICT_HOST_FAILED;
    if (s->interrupted)
        return verdict_say(VERDICT_INTERRUPTED, "interrupted; QEMU was ended, too");
    if (s->timed_out && !s->ended)
        return verdict_say(VERDICT_TIMEOUT,
                           "the guest had not ended after %g s, the last line was \"%s\"; raise "
                           "--timeout, or look with --explain or --gdb",
                           s->options->timeout, s->outcome.last);

    char *why;
    enum verdict v = outcome_verdict(&s->outcome, s->qemu->status, &why);
    const bool points_up =
        v >= VERDICT_BAD_KERNEL && !s->outcome.asked_for_it && !s->outcome.watchdog;
    if (points_up && v != s->options->expect && s->hidden.size)
        fputs(s->hidden.data, stderr); /* the lines above: show them */
    if (why)
        verdict_say(v, "%s", why);
    free(why);
    if (s->options->tap && v == s->options->expect && tap_verdict(&s->tap))
        return VERDICT_GUEST_FAILED;
    return v;
}

enum verdict session_run(struct qemu *qemu, const struct session_options *options)
{
    struct session s = {
        .options = options,
        .qemu = qemu,
        .stdin_open = options->read_stdin,
        .started_ms = now_ms(),
        .heard_ms = now_ms(),
        .outcome.until = options->until,
        .outcome.native = options->native,
        .outcome.dumped = -1,
    };
    s.lines.sink = (struct lines_sink){&s, guest_text, line_ended, window_asked};
    s.typist.text = options->input;
    s.typist.closed = !options->read_stdin;
    tap_init(&s.tap);
    enum verdict v = watch_signals(&s);
    s.on_terminal = s.stdin_open && isatty(STDIN_FILENO);
    atexit(restore_terminal);

    while (!v && !s.ended && !s.interrupted && !s.timed_out && !s.output_lost)
        wait_and_serve(&s);

    lines_finish(&s.lines);
    if (s.ended && !s.outcome.machine_ended)
        qemu_wait(qemu); /* it closed the console: it is ending by itself */
    qemu_stop(qemu);
    if (qemu->errors >= 0)
        pass_errors(&s);
    restore_terminal();
    v = v ? v : judge(&s);
    bytes_free(&s.errors);
    bytes_free(&s.typist.text);
    bytes_free(&s.typist.unread);
    bytes_free(&s.to_guest);
    bytes_free(&s.lines.line);
    bytes_free(&s.hidden);
    if (s.signals >= 0)
        close(s.signals);
    return v;
}
