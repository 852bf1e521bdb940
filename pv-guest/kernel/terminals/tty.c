/* Terminals as files: who may use one, and what it can be asked. */
#include "credentials.h"
#include "errno.h"
#include "pty.h"
#include "signal.h"
#include "syscall.h"
#include "text.h"
#include "tty.h"

static struct list ttys = LIST_INIT(ttys);

static const struct linux_termios mode_at_first = {
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
           [VSTART] = 17,
           [VSTOP] = 19,
           [VSUSP] = 26,
           [VREPRINT] = 18,
           [VDISCARD] = 15,
           [VWERASE] = 23,
           [VLNEXT] = 22},
};

void tty_init(struct tty *tty, const struct tty_ops *ops, unsigned device)
{
    tty->ops = ops;
    tty->device = device;
    tty->mode = mode_at_first;
    wait_init(&tty->readers);
    wait_init(&tty->writers);
    list_add(&tty->link, &ttys);
}

/* ---- Sessions ---- */

struct tty *tty_of_session(int session)
{
    struct tty *tty;
    list_for_each(tty, &ttys, link)
    {
        if (session && tty->session == session)
            return tty;
    }
    return NULL;
}

/* The foreground group learns that nobody will type for it any more. */
static void say_goodbye(int group)
{
    signal_group(group, SIGHUP);
    signal_group(group, SIGCONT);
}

static void give_up(struct tty *tty)
{
    const int group = tty->group;
    tty->session = tty->group = 0;
    say_goodbye(group);
}

void tty_session_end(struct process *leader)
{
    struct tty *const tty = tty_of_session(leader->session);
    if (tty)
        give_up(tty);
    else if (leader->group_hung_up)
        say_goodbye(leader->group_hung_up);
}

/* The leader is told at once; the group that was in the foreground when the leader has ended. */
void tty_hang_up(struct tty *tty)
{
    struct process *const leader = tty->session ? process_find(tty->session) : NULL;
    tty->hung_up = true;
    tty->used = 0;
    if (leader && !leader->zombie) {
        leader->group_hung_up = tty->group;
        signal_send(leader, SIGHUP);
        signal_send(leader, SIGCONT);
    }
    tty->session = tty->group = 0;
    list_remove(&tty->link);
    tty_wake_readers(tty);
    tty_wake_writers(tty);
}

/*
 * May a process outside the foreground group do what @number would stop it for?  0; -EIO;
 * or -ERESTART, and its whole group is on its way to stop.
 */
static int in_background(const struct tty *tty, int number)
{
    const struct process *p = process_current();
    if (p->session != tty->session || p->group == tty->group || !tty->group)
        return 0;
    if ((task_current()->blocked & SIGNAL_BIT(number)) || p->actions[number].handler == SIG_IGN)
        return number == SIGTTIN ? -EIO : 0;
    if (process_group_orphaned(p->group, p->session))
        return -EIO;
    signal_group(p->group, number);
    return -ERESTART;
}

/* The session that @group is in; 0 if there is no such group. */
static int session_of(int group)
{
    const struct process *p;
    for_each_process(p)
    {
        if (p->group == group)
            return p->session;
    }
    return 0;
}

static long set_group(struct tty *tty, bool own, user_t arg)
{
    int group;
    const int rc = own ? in_background(tty, SIGTTOU) : 0;
    if (rc)
        return rc == -EIO ? -ENOTTY : rc;
    if (!tty->session || process_current()->session != tty->session)
        return -ENOTTY;
    if (user_read(&group, arg, sizeof(group)))
        return -EFAULT;
    if (group < 0)
        return -EINVAL;
    const int session = session_of(group);
    if (session != tty->session)
        return session ? -EPERM : -ESRCH;
    tty->group = group;
    return 0;
}

/* The session that the caller leads gets the terminal; @steal takes it from another one. */
static long acquire(struct tty *tty, bool steal)
{
    const struct process *p = process_current();
    if (p->pid == p->session && p->session == tty->session)
        return 0;
    if (p->pid != p->session || tty_of_session(p->session))
        return -EPERM;
    if (tty->session && !(steal && access_capable(CAP_SYS_ADMIN)))
        return -EPERM;
    tty->session = tty->group = p->session;
    return 0;
}

/* ---- As files ---- */

/* Opening a terminal gives it to a session that has none; /dev/console, where messages go, is opened for those. */
long tty_opened(struct file *file, struct tty *tty)
{
    file->object = tty;
    tty->users++;
    if (!(file->flags & O_NOCTTY) && file->inode->device != DEVICE(5, 1) &&
        (file->flags & O_ACCMODE) != O_WRONLY && !tty->session)
        (void)acquire(tty, false);
    return 0;
}

void tty_release(struct file *file)
{
    struct tty *const tty = file->object;
    if (tty && !--tty->users)
        tty->ops->unused(tty);
}

long tty_read(struct file *file, user_t to, size_t size)
{
    struct tty *const tty = file->object;
    const int rc = tty->hung_up ? 0 : in_background(tty, SIGTTIN);
    return rc ? rc : tty_take(tty, !(file->flags & O_NONBLOCK), to, size);
}

/* Wait until some output can be processed: how many bytes of it, or -errno. */
static long wait_for_room(struct tty *tty, bool wait)
{
    for (;;) {
        const size_t room = tty->stopped ? 0 : tty->ops->room(tty) / 2;
        if (tty->hung_up)
            return -EIO;
        if (room)
            return room;
        if (!wait)
            return -EAGAIN;
        const int rc = wait_until(&tty->writers, FOREVER);
        if (rc)
            return rc;
    }
}

long tty_write(struct file *file, user_t from, size_t size)
{
    struct tty *const tty = file->object;
    char in[256], out[512];
    size_t done = 0;
    const int rc = tty->mode.lflag & TOSTOP ? in_background(tty, SIGTTOU) : 0;
    if (rc)
        return rc;
    while (done < size) {
        const long room = wait_for_room(tty, !(file->flags & O_NONBLOCK));
        if (room < 0)
            return done ? (long)done : room;
        const size_t n = MIN(MIN(size - done, sizeof(in)), (size_t)room);
        if (user_read(in, from + done, n))
            return done ? (long)done : -EFAULT;
        tty->ops->put(tty, out, tty_process_output(tty, in, n, out));
        done += n;
    }
    return done;
}

int tty_poll(struct file *file)
{
    struct tty *const tty = file->object;
    const struct linux_termios *m = &tty->mode;
    const unsigned least = m->lflag & ICANON || m->cc[VTIME] ? 1 : MAX(m->cc[VMIN], 1);
    if (tty->hung_up)
        return POLLIN | POLLOUT | POLLERR | POLLHUP;
    return (tty_readable(tty) >= least ? POLLIN : 0) |
           (!tty->stopped && tty->ops->room(tty) >= 2 ? POLLOUT : 0);
}

static long give_number(user_t to, int value)
{
    return user_write(to, &value, sizeof(value));
}

static long set_mode(struct tty *tty, unsigned command, user_t arg)
{
    struct linux_termios wanted;
    if (user_read(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (command == TCSETSF)
        tty_flush(tty);
    tty_set_mode(tty, &wanted);
    return 0;
}

void tty_set_window(struct tty *tty, const struct linux_winsize *window)
{
    if (!memcmp(window, &tty->window, sizeof(*window)))
        return;
    tty->window = *window;
    signal_group(tty->group, SIGWINCH);
}

static long set_window(struct tty *tty, user_t from)
{
    struct linux_winsize window;
    if (user_read(&window, from, sizeof(window)))
        return -EFAULT;
    tty_set_window(tty, &window);
    return 0;
}

enum { TCOOFF, TCOON, TCIOFF, TCION };

static long flow(struct tty *tty, user_t what)
{
    if (what > TCION)
        return -EINVAL;
    if (what <= TCOON)
        tty_stop(tty, what == TCOOFF);
    return 0; /* nobody who types could be asked to stop */
}

static long flush(struct tty *tty, user_t what)
{
    if (what > 2)
        return -EINVAL;
    if (what != 1)
        tty_flush(tty);
    if (what != 0)
        tty->ops->tell(tty, TTY_TOLD_FLUSH_WRITE);
    tty->ops->taken(tty);
    return 0;
}

/* Is it one that changes the terminal, which only the foreground may? */
static bool changes(unsigned command)
{
    return (command >= TCSETS && command <= TCSETSF) || (command >= TCSBRK && command <= TCFLSH) ||
           command == TCSBRKP;
}

long tty_ioctl_common(struct tty *tty, bool own, unsigned command, user_t arg)
{
    const bool mine = process_current()->session == tty->session || !own;
    const int rc = own && changes(command) ? in_background(tty, SIGTTOU) : 0;
    if (rc)
        return rc;
    switch (command) {
    case TCGETS:
        return user_write(arg, &tty->mode, sizeof(tty->mode));
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_mode(tty, command, arg);
    case TIOCGWINSZ:
        return user_write(arg, &tty->window, sizeof(tty->window));
    case TIOCSWINSZ:
        return set_window(tty, arg);
    case TIOCGPGRP:
        return mine ? give_number(arg, tty->group) : -ENOTTY;
    case TIOCSPGRP:
        return set_group(tty, own, arg);
    case TIOCGSID:
        return mine && tty->session ? give_number(arg, tty->session) : -ENOTTY;
    case TIOCSCTTY:
        return acquire(tty, arg == 1);
    case TCXONC:
        return flow(tty, arg);
    case TCFLSH:
        return flush(tty, arg);
    case TCSBRK:
    case TCSBRKP:
        return 0;
    default:
        return -ENOTTY;
    }
}

static long let_go(struct tty *tty)
{
    const struct process *p = process_current();
    if (p->session != tty->session)
        return -ENOTTY;
    if (p->pid == p->session)
        give_up(tty);
    return 0;
}

long tty_ioctl(struct file *file, unsigned command, user_t arg)
{
    struct tty *const tty = file->object;
    if (tty->hung_up)
        return command == TIOCSPGRP ? -ENOTTY : -EIO;
    switch (command) {
    case TIOCNOTTY:
        return let_go(tty);
    case FIONREAD:
        return give_number(arg, tty_readable(tty));
    case TIOCOUTQ:
        return give_number(arg, 0);
    default:
        return tty_ioctl_common(tty, true, command, arg);
    }
}

static long session_open(struct file *file)
{
    struct tty *const tty = tty_of_session(process_current()->session);
    return tty ? tty_opened(file, tty) : -ENXIO;
}

const struct file_ops tty_session_ops = TTY_FILE_OPS(session_open);

/* The console can be opened again by another session; a pair of terminals is over. */
long syscall_vhangup(const struct syscall_args *a)
{
    struct tty *tty = tty_of_session(process_current()->session);
    if (!access_capable(CAP_SYS_TTY_CONFIG))
        return -EPERM;
    if (tty && tty->device >> 8 == PTY_MAJOR)
        tty_hang_up(tty);
    else if (tty)
        give_up(tty);
    return 0;
}
