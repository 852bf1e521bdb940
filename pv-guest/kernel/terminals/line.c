/*
 * The line discipline.
 *
 * Bytes are treated as they arrive, by the mode in force then: signals are sent, echo is written, in canonical mode
 * erase and kill edit the unfinished line.  What remains stands in one ring.  A reader takes it by the mode in force when
 * it reads: up to the end of a line in canonical mode, whatever is there otherwise.  So text typed ahead is not lost when a
 * shell changes the mode between commands.
 */
#include "errno.h"
#include "platform/platform.h"
#include "signal.h"
#include "text.h"
#include "tty.h"

enum line_end { NO_END, LINE_END, END_OF_FILE };

static bool local(const struct tty *tty, unsigned lflag)
{
    return tty->mode.lflag & lflag;
}

static char *ring_at(struct tty *tty, unsigned i)
{
    return &tty->ring[(tty->head + i) % TTY_SIZE];
}

static uint8_t *end_at(struct tty *tty, unsigned i)
{
    return &tty->ends[(tty->head + i) % TTY_SIZE];
}

/* Is @c, typed now, the special character at @index?  One that is 0 is switched off. */
static bool is_key(const struct tty *tty, char c, unsigned index)
{
    return c && (uint8_t)c == tty->mode.cc[index];
}

/* What a canonical read takes @c for. */
static enum line_end line_end(const struct tty *tty, char c)
{
    if (is_key(tty, c, VEOF))
        return END_OF_FILE;
    return c == '\n' || is_key(tty, c, VEOL) || is_key(tty, c, VEOL2) ? LINE_END : NO_END;
}

/* ---- Echo ---- */

static void line_put(struct tty *tty, const char *text, size_t size)
{
    if (tty->ops->room(tty) >= size)
        tty->ops->put(tty, text, size);
}

static bool is_control(char c)
{
    return ((uint8_t)c < 32 && c != '\t' && c != '\n') || c == 127;
}

/* As the output of a program would be, but control characters can be seen. */
static void echo(struct tty *tty, char c)
{
    char out[2] = {'^', c ^ 0x40};
    if (is_control(c) && local(tty, ECHOCTL))
        line_put(tty, out, 2);
    else
        line_put(tty, out, tty_process_output(tty, &c, 1, out));
}

static void erase_one(struct tty *tty)
{
    const bool wide = is_control(*ring_at(tty, --tty->used)) && local(tty, ECHOCTL);
    if (local(tty, ECHO) && local(tty, ECHOE))
        line_put(tty, "\b \b\b \b", wide ? 6 : 3);
    else if (local(tty, ECHO))
        echo(tty, tty->mode.cc[VERASE]);
}

size_t tty_process_output(const struct tty *tty, const char *in, size_t size, char *out)
{
    const unsigned mode = tty->mode.oflag;
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char c = in[i];
        if ((mode & OPOST) && c == '\r' && (mode & OCRNL))
            c = '\n';
        else if ((mode & OPOST) && c == '\n' && (mode & ONLCR))
            out[length++] = '\r';
        out[length++] = c;
    }
    return length;
}

/* ---- What is typed ---- */

void tty_wake_readers(struct tty *tty)
{
    wait_wake(&tty->readers);
    wait_wake(&poll_wait);
}

void tty_wake_writers(struct tty *tty)
{
    wait_wake(&tty->writers);
    wait_wake(&poll_wait);
}

void tty_flush(struct tty *tty)
{
    tty->used = 0;
    tty->literal = false;
    tty->ops->tell(tty, TTY_TOLD_FLUSH_READ);
}

void tty_stop(struct tty *tty, bool stop)
{
    if (stop == tty->stopped)
        return;
    tty->stopped = stop;
    tty->ops->tell(tty, stop ? TTY_TOLD_STOP : TTY_TOLD_START);
    tty_wake_writers(tty);
}

/* Can the last byte still be edited, or is it part of a finished line? */
static bool editable(struct tty *tty)
{
    return tty->used && *end_at(tty, tty->used - 1) == NO_END;
}

/* VWERASE: blanks, then what is none. */
static void erase_word(struct tty *tty)
{
    while (editable(tty) && *ring_at(tty, tty->used - 1) == ' ')
        erase_one(tty);
    while (editable(tty) && *ring_at(tty, tty->used - 1) != ' ')
        erase_one(tty);
}

/* Show the unfinished line again. */
static void reprint(struct tty *tty)
{
    unsigned from = tty->used;
    while (from && *end_at(tty, from - 1) == NO_END)
        from--;
    echo(tty, tty->mode.cc[VREPRINT]);
    echo(tty, '\n');
    for (; from < tty->used; from++)
        echo(tty, *ring_at(tty, from));
}

static bool flow_key(struct tty *tty, char c)
{
    if (!(tty->mode.iflag & IXON))
        return false;
    const bool stop = is_key(tty, c, VSTOP), start = is_key(tty, c, VSTART);
    if (start || stop)
        tty_stop(tty, !start);
    else if (tty->mode.iflag & IXANY)
        tty_stop(tty, false);
    return start || stop;
}

static bool signal_key(struct tty *tty, char c)
{
    const int number = !local(tty, ISIG)       ? 0
                       : is_key(tty, c, VINTR) ? SIGINT
                       : is_key(tty, c, VQUIT) ? SIGQUIT
                       : is_key(tty, c, VSUSP) ? SIGTSTP
                                               : 0;
    if (!number)
        return false;
    if (!local(tty, NOFLSH)) {
        tty_flush(tty);
        tty->ops->tell(tty, TTY_TOLD_FLUSH_WRITE);
    }
    tty_stop(tty, false);
    if (local(tty, ECHO))
        echo(tty, c);
    signal_group(tty->group, number);
    return true;
}

static bool edit_key(struct tty *tty, char c)
{
    const bool extended = local(tty, IEXTEN);
    if (!local(tty, ICANON))
        return false;
    if (is_key(tty, c, VERASE) || c == '\b') {
        if (editable(tty))
            erase_one(tty);
    } else if (is_key(tty, c, VKILL)) {
        while (editable(tty))
            erase_one(tty);
    } else if (extended && is_key(tty, c, VWERASE)) {
        erase_word(tty);
    } else if (extended && is_key(tty, c, VREPRINT) && local(tty, ECHO)) {
        reprint(tty);
    } else if (extended && is_key(tty, c, VLNEXT)) {
        tty->literal = true;
        if (local(tty, ECHO) && local(tty, ECHOCTL))
            line_put(tty, "^\b", 2);
    } else {
        return false;
    }
    return true;
}

static void line_keep(struct tty *tty, char c, enum line_end end)
{
    /* The last place is for what ends the line. */
    if (tty->used == TTY_SIZE || (tty->used == TTY_SIZE - 1 && local(tty, ICANON) && !end))
        return;
    *ring_at(tty, tty->used) = c;
    *end_at(tty, tty->used++) = end;
    if (end == END_OF_FILE)
        return;
    if (local(tty, ECHO) || (c == '\n' && local(tty, ECHONL) && local(tty, ICANON)))
        echo(tty, c);
}

void tty_receive(struct tty *tty, char c)
{
    const unsigned mode = tty->mode.iflag;
    if (mode & ISTRIP)
        c &= 0x7f;
    if (tty->literal) {
        tty->literal = false;
        line_keep(tty, c, NO_END);
        return;
    }
    if (c == '\r' && (mode & IGNCR))
        return;
    if (c == '\r' && (mode & ICRNL))
        c = '\n';
    else if (c == '\n' && (mode & INLCR))
        c = '\r';
    if (!flow_key(tty, c) && !signal_key(tty, c) && !edit_key(tty, c))
        line_keep(tty, c, local(tty, ICANON) ? line_end(tty, c) : NO_END);
}

/* Pending bytes are looked at anew when lines begin to matter. */
void tty_set_mode(struct tty *tty, const struct linux_termios *mode)
{
    const struct linux_termios old = tty->mode;
    tty->mode = *mode;
    if (!(old.lflag & ICANON) && local(tty, ICANON))
        for (unsigned i = 0; i < tty->used; i++)
            *end_at(tty, i) = line_end(tty, *ring_at(tty, i));
    if ((old.iflag & IXON) != (mode->iflag & IXON))
        tty->ops->tell(tty, mode->iflag & IXON ? TTY_TOLD_DO_STOP : TTY_TOLD_NO_STOP);
    if (!(mode->iflag & IXON))
        tty_stop(tty, false);
    tty_wake_readers(tty);
}

/* ---- Reading ---- */

unsigned tty_readable(const struct tty *tty)
{
    if (!local(tty, ICANON))
        return tty->used;
    for (unsigned i = 0; i < tty->used; i++)
        if (tty->ends[(tty->head + i) % TTY_SIZE] != NO_END)
            return i + 1;
    return tty->used == TTY_SIZE ? tty->used : 0;
}

unsigned tty_room(const struct tty *tty)
{
    const unsigned room = TTY_SIZE - 1 - MIN(tty->used, TTY_SIZE - 1u);
    return !room && !tty_readable(tty) ? 1 : room;
}

/* Does a read never wait, whatever there is?  It finds nothing then, which is no error. */
static bool reads_at_once(const struct tty *tty)
{
    return !local(tty, ICANON) && !tty->mode.cc[VMIN] && !tty->mode.cc[VTIME];
}

/*
 * Wait until a read of @size has what it waits for: 0; or -errno.  Without ICANON that is VMIN bytes, or that VTIME
 * tenths of a second have passed, since the last byte if VMIN says that there must be one.
 */
static int wait_for_input(struct tty *tty, size_t size)
{
    const bool raw = !local(tty, ICANON);
    const unsigned least = raw ? tty->mode.cc[VMIN] : 1;
    const uint64_t pause = raw ? tty->mode.cc[VTIME] * 100000000ul : 0;
    uint64_t deadline = pause && !least ? platform_time() + pause : FOREVER;
    if (reads_at_once(tty))
        return 0;
    while (!tty->hung_up) {
        const unsigned there = tty_readable(tty);
        if (there >= (raw ? MIN((size_t)MAX(least, 1u), size) : 1))
            break;
        if (there && pause)
            deadline = platform_time() + pause;
        const int rc = wait_until(&tty->readers, deadline);
        if (rc)
            return rc == -ETIMEDOUT || (rc == -ERESTART && raw && tty->used) ? 0 : rc;
    }
    return 0;
}

static void line_consume(struct tty *tty, unsigned n)
{
    tty->head = (tty->head + n) % TTY_SIZE;
    tty->used -= n;
    tty->ops->taken(tty);
}

long tty_take(struct tty *tty, bool wait, user_t to, size_t size)
{
    if (!size)
        return 0;
    const int rc = wait ? wait_for_input(tty, size) : 0;
    const unsigned there = tty_readable(tty), n = MIN((size_t)there, size);
    if (rc)
        return rc;
    if (!there)
        return wait || tty->hung_up || reads_at_once(tty) ? 0 : -EAGAIN;
    const bool mark = local(tty, ICANON) && *end_at(tty, n - 1) == END_OF_FILE;
    const unsigned shown = n - mark;
    for (unsigned i = 0; i < shown; i++)
        if (user_write(to + i, ring_at(tty, i), 1))
            return -EFAULT;
    /* A mark right behind what has been asked for ends this read, not the next. */
    const bool behind =
        local(tty, ICANON) && n < there && n + 1 == there && *end_at(tty, n) == END_OF_FILE;
    line_consume(tty, n + behind);
    return shown;
}
