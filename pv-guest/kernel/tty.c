/*
 * The line discipline.
 *
 * Bytes from the console are treated as they arrive, by the mode in force then:
 * signals are sent, echo is written, in canonical mode erase and kill edit the
 * unfinished line.  What remains stands in one ring.  A reader takes it by the
 * mode in force when it reads: up to a line in canonical mode, whatever is there
 * otherwise.  So text typed ahead is not lost when a shell changes the mode
 * between commands.
 */
#include "errno.h"
#include "file.h"
#include "signal.h"
#include "text.h"
#include "tty.h"
#include "platform/platform.h"

#define TTY_SIZE 4096

static struct {
    char ring[TTY_SIZE];
    unsigned head, used;
    struct wait_queue readers;
    int session, group;
    struct linux_termios mode;
    struct linux_winsize window;
} tty = {
    .readers = WAIT_QUEUE_INIT(tty.readers),
    .mode =
        {
            .iflag = ICRNL | IXON,
            .oflag = OPOST | ONLCR,
            .cflag = B38400 | CS8 | CREAD,
            .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            .cc = {[VINTR] = 3,
                   [VQUIT] = 28,
                   [VERASE] = 127,
                   [VKILL] = 21,
                   [VEOF] = 4,
                   [VMIN] = 1,
                   [VSUSP] = 26},
        },
    .window = {24, 80, 0, 0},
};

static bool mode(unsigned lflag)
{
    return tty.mode.lflag & lflag;
}

static char *ring_at(unsigned i)
{
    return &tty.ring[(tty.head + i) % TTY_SIZE];
}

/* A byte that ends what a canonical read returns. */
static bool ends_line(char c)
{
    return c == '\n' || c == (char)tty.mode.cc[VEOF];
}

static void echo(char c)
{
    if (c == '\n')
        platform_console_write("\r\n", 2);
    else if ((unsigned char)c < 32 && c != '\t')
        platform_console_write((char[]){'^', c + '@'}, 2);
    else
        platform_console_write(&c, 1);
}

static void erase_one(void)
{
    tty.used--;
    if (!mode(ECHO))
        return;
    const bool control = (unsigned char)*ring_at(tty.used) < 32;
    platform_console_write("\b \b\b \b", control ? 6 : 3);
}

/* Can the last byte still be edited, or is it part of a finished line? */
static bool editable(void)
{
    return tty.used && !ends_line(*ring_at(tty.used - 1));
}

/* The keys that are commands.  True if @c was one. */
static bool command_key(char c)
{
    const uint8_t *cc = tty.mode.cc;
    const uint8_t key = c;
    int number = 0;

    if (mode(ISIG))
        number = key == cc[VINTR]   ? SIGINT
                 : key == cc[VQUIT] ? SIGQUIT
                 : key == cc[VSUSP] ? SIGTSTP
                                    : 0;
    if (number) {
        if (mode(ECHO))
            echo(c);
        tty.used = 0;
        signal_group(tty.group, number);
        return true;
    }
    if (!mode(ICANON) || (key != cc[VERASE] && key != cc[VKILL] && key != '\b'))
        return false;
    while (editable()) {
        erase_one();
        if (key != cc[VKILL])
            break;
    }
    return true;
}

static void receive(char c)
{
    if (c == '\r' && (tty.mode.iflag & ICRNL))
        c = '\n';
    if (command_key(c) || tty.used == TTY_SIZE)
        return;
    *ring_at(tty.used++) = c;
    if (mode(ECHO) && !(mode(ICANON) && (uint8_t)c == tty.mode.cc[VEOF]))
        echo(c);
}

/* Text that the ring has no room for stays with the platform until somebody reads. */
static void fill(void)
{
    char typed[128];
    size_t n;
    while (tty.used <= TTY_SIZE - sizeof(typed) &&
           (n = platform_console_read(typed, sizeof(typed))))
        for (size_t i = 0; i < n; i++)
            receive(typed[i]);
}

void console_interrupt(void)
{
    fill();
    wait_wake(&tty.readers);
    wait_wake(&poll_wait);
}

/* How many bytes a read may take now; 0 is none yet.  An end-of-file mark counts. */
static unsigned readable(void)
{
    if (!mode(ICANON))
        return tty.used;
    for (unsigned i = 0; i < tty.used; i++)
        if (ends_line(*ring_at(i)))
            return i + 1;
    return tty.used == TTY_SIZE ? tty.used : 0;
}

static void consume(unsigned n)
{
    tty.head = (tty.head + n) % TTY_SIZE;
    tty.used -= n;
    fill();
}

/*
 * May a process outside the foreground group do what @number would stop it for?  0; -EIO;
 * or -ERESTART, and its whole group is on its way to stop.
 */
static int in_background(int number)
{
    const struct process *p = process_current();
    if (p->session != tty.session || p->group == tty.group || !tty.group)
        return 0;
    if ((task_current()->blocked & SIGNAL_BIT(number)) || p->actions[number].handler == SIG_IGN)
        return number == SIGTTIN ? -EIO : 0;
    if (process_group_orphaned(p->group, p->session))
        return -EIO;
    signal_group(p->group, number);
    return -ERESTART;
}

static long tty_read(struct file *file, user_t to, size_t size)
{
    unsigned there;
    int rc = in_background(SIGTTIN);
    if (rc)
        return rc;
    while (!(there = readable())) {
        if ((file->flags & O_NONBLOCK) || (!mode(ICANON) && !tty.mode.cc[VMIN]))
            return file->flags & O_NONBLOCK ? -EAGAIN : 0;
        rc = wait_until(&tty.readers, FOREVER);
        if (rc)
            return rc;
    }
    unsigned n = MIN(there, size);
    const bool mark =
        mode(ICANON) && n == there && (uint8_t)*ring_at(there - 1) == tty.mode.cc[VEOF];
    const unsigned shown = n - mark;
    for (unsigned i = 0; i < shown; i++)
        if (user_write(to + i, ring_at(i), 1))
            return -EFAULT;
    consume(n);
    return shown;
}

static long tty_write(struct file *file, user_t from, size_t size)
{
    char in[256], out[512];
    const int rc = mode(TOSTOP) ? in_background(SIGTTOU) : 0;
    if (rc)
        return rc;
    for (size_t done = 0; done < size;) {
        const size_t n = MIN(size - done, sizeof(in));
        size_t length = 0;
        if (user_read(in, from + done, n))
            return done ? (long)done : -EFAULT;
        for (size_t i = 0; i < n; i++) {
            if (in[i] == '\n' && (tty.mode.oflag & OPOST) && (tty.mode.oflag & ONLCR))
                out[length++] = '\r';
            out[length++] = in[i];
        }
        platform_console_write(out, length);
        done += n;
    }
    return size;
}

static int tty_poll(struct file *file)
{
    return POLLOUT | (readable() ? POLLIN : 0);
}

static long set_mode(unsigned command, user_t arg)
{
    struct linux_termios wanted;
    if (user_read(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (command == TCSETSF)
        tty.used = 0;
    tty.mode = wanted;
    return 0;
}

static bool group_exists(int group, int session)
{
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == group && p->session == session)
            return true;
    }
    return false;
}

static long set_group(user_t arg)
{
    int group;
    if (user_read(&group, arg, sizeof(group)))
        return -EFAULT;
    if (process_current()->session != tty.session)
        return -ENOTTY;
    const int rc = in_background(SIGTTOU);
    if (rc)
        return rc;
    if (!group_exists(group, tty.session))
        return group < 0 ? -EINVAL : -EPERM;
    tty.group = group;
    return 0;
}

/* The session that the caller leads gets the terminal; @steal takes it from another one. */
static long acquire(bool steal)
{
    const struct process *p = process_current();
    if (p->session == tty.session)
        return 0;
    if (p->pid != p->session || (tty.session && !steal))
        return -EPERM;
    tty_give(p->session);
    return 0;
}

/* Opening a terminal gives it to a session that has none; /dev/tty is the session's own. */
static long tty_open(struct file *file)
{
    if (process_current()->session != tty.session && file->inode->device == DEVICE(5, 0))
        return -ENXIO;
    if (file->inode->device != DEVICE(5, 1) && !(file->flags & O_NOCTTY))
        (void)acquire(false);
    return 0;
}

static long give_number(user_t to, int value)
{
    return user_write(to, &value, sizeof(value));
}

/* Whoever draws on it wants to know. */
static long set_window(user_t from)
{
    struct linux_winsize window;
    if (user_read(&window, from, sizeof(window)))
        return -EFAULT;
    if (!memcmp(&window, &tty.window, sizeof(window)))
        return 0;
    tty.window = window;
    signal_group(tty.group, SIGWINCH);
    return 0;
}

static long tty_ioctl(struct file *file, unsigned command, user_t arg)
{
    switch (command) {
    case TCGETS:
        return user_write(arg, &tty.mode, sizeof(tty.mode));
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_mode(command, arg);
    case TIOCGWINSZ:
        return user_write(arg, &tty.window, sizeof(tty.window));
    case TIOCSWINSZ:
        return set_window(arg);
    case TIOCGPGRP:
        return process_current()->session == tty.session ? give_number(arg, tty.group) : -ENOTTY;
    case TIOCSPGRP:
        return set_group(arg);
    case TIOCGSID:
        return process_current()->session != tty.session ? -ENOTTY : give_number(arg, tty.session);
    case TIOCSCTTY:
        return acquire(arg == 1);
    case TIOCNOTTY:
        if (process_current()->session != tty.session)
            return -ENOTTY;
        tty_release(process_current()->pid);
        return 0;
    case TCFLSH:
        tty.used = 0;
        return 0;
    case TCSBRK:
        return 0;
    case FIONREAD:
        return give_number(arg, readable());
    default:
        return -ENOTTY;
    }
}

const struct file_ops tty_ops = {
    .open = tty_open,
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
};

void tty_give(int session)
{
    tty.session = tty.group = session;
}

/* The foreground group learns that nobody will type for it any more. */
void tty_release(int session)
{
    const int group = tty.group;
    if (tty.session != session)
        return;
    tty.session = tty.group = 0;
    signal_group(group, SIGHUP);
    signal_group(group, SIGCONT);
}

int tty_group(int session)
{
    return tty.session && tty.session == session ? tty.group : 0;
}
