/* Pairs of terminals: what is typed at the master is read at the slave, edited, echoed, and turned into signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

static int master, slave;
static char name[64];

static int pair(void)
{
    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || ptsname_r(master, name, sizeof(name)))
        return 0;
    if (unlockpt(master))
        return 0;
    slave = open(name, O_RDWR | O_NOCTTY);
    return slave >= 0;
}

static void end_pair(void)
{
    close(slave);
    close(master);
}

static void type(const char *text)
{
    if (write(master, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
}

/* Does a read from @fd give exactly @text? */
static int gives(int fd, const char *text)
{
    char got[256];
    const ssize_t n = read(fd, got, sizeof(got));
    return n == (ssize_t)strlen(text) && !memcmp(got, text, n);
}

static int ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void set_local(int fd, tcflag_t on, tcflag_t off)
{
    struct termios t;
    tcgetattr(fd, &t);
    t.c_lflag = (t.c_lflag | on) & ~off;
    tcsetattr(fd, TCSANOW, &t);
}

static void check_pair_names(void)
{
    struct stat s;
    int locked = -1, number = -1, good;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    good = master >= 0 && ioctl(master, TIOCGPTN, &number) == 0 && number >= 0;
    snprintf(name, sizeof(name), "/dev/pts/%d", number);
    good &= ioctl(master, 0x80045439 /* TIOCGPTLCK */, &locked) == 0 && locked == 1;
    good &= FAILS(open(name, O_RDWR | O_NOCTTY), EIO);
    locked = 0;
    good &= ioctl(master, TIOCSPTLCK, &locked) == 0;
    result(good, "a pair begins with its slave locked");
    slave = open(name, O_RDWR | O_NOCTTY);
    good = slave >= 0 && fstat(slave, &s) == 0 && S_ISCHR(s.st_mode) && major(s.st_rdev) == 136 &&
           (int)minor(s.st_rdev) == number && isatty(slave) && isatty(master);
    good &= !strcmp(ttyname(slave) ? ttyname(slave) : "", name);
    good &= FAILS(lseek(slave, 0, SEEK_SET), ESPIPE) && FAILS(lseek(master, 0, SEEK_SET), ESPIPE);
    good &= FAILS(ioctl(slave, TIOCGPTN, &number), ENOTTY);
    result(good, "the slave has a name, a number and no offset");
    const int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    good = peer >= 0 && fcntl(peer, F_GETFD) == FD_CLOEXEC && isatty(peer);
    close(peer);
    close(master);
    good &= FAILS(open(name, O_RDWR), ENOENT) || access(name, F_OK) != 0;
    result(good, "TIOCGPTPEER opens it without a name; a pair that is gone has none");
    close(slave);
}

static void check_lines(void)
{
    int good = pair(), n = -1;
    type("abc");
    good &= ready(slave) == POLLOUT && gives(master, "abc");
    type("\177d\n");
    good &= ready(slave) == (POLLIN | POLLOUT) && ioctl(slave, FIONREAD, &n) == 0 && n == 4;
    good &= gives(slave, "abd\n") && gives(master, "\b \bd\r\n");
    result(good, "a line is edited, echoed and read as a whole");
    type("one two\027\x16\003x\n");
    good = gives(slave, "one \003x\n") && read(master, name, sizeof(name)) > 0;
    type("gone\025kept\nnext\n");
    good &= gives(slave, "kept\n") && gives(slave, "next\n");
    tcflush(master, TCIFLUSH);
    result(good, "words and lines are erased, the next character can be taken as it is");
    type("end\004");
    good = gives(slave, "end");
    type("\004");
    good &= gives(slave, "");
    type("five\004");
    char four[4];
    good &= read(slave, four, 4) == 4 && ready(slave) == POLLOUT;
    result(good, "end of file ends a line, or is one");
    tcflush(master, TCIFLUSH);
    good = write(slave, "a\nb\r", 4) == 4 && gives(master, "a\r\nb\r");
    type("typed");
    good &= tcflush(slave, TCIFLUSH) == 0;
    type("\n");
    good &= gives(slave, "\n");
    good &= FAILS(tcflush(slave, 9), EINVAL) && FAILS(tcflow(slave, 9), EINVAL);
    result(good, "output is processed; what is typed can be dropped");
    end_pair();
}

static void check_raw(void)
{
    struct termios t;
    char three[4] = "";
    int good = pair() && tcgetattr(master, &t) == 0;
    good &= t.c_iflag == (ICRNL | IXON) && t.c_oflag == (OPOST | ONLCR) &&
            t.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN) &&
            t.c_cc[VSTART] == 17 && t.c_cc[VSTOP] == 19 && t.c_cc[VMIN] == 1;
    cfmakeraw(&t);
    t.c_cc[VMIN] = 3;
    good &= tcsetattr(slave, TCSANOW, &t) == 0;
    type("\003\r");
    good &= ready(slave) == POLLOUT;
    type("\177");
    good &= ready(slave) == (POLLIN | POLLOUT) && gives(slave, "\003\r\177");
    type("xyzw");
    good &= read(slave, three, 2) == 2 && fcntl(slave, F_SETFL, O_NONBLOCK) == 0 &&
            gives(slave, "zw") && FAILS(read(slave, three, 3), EAGAIN);
    t.c_cc[VMIN] = 0;
    tcsetattr(slave, TCSANOW, &t);
    good &= read(slave, three, 3) == 0;
    fcntl(slave, F_SETFL, 0);
    t.c_cc[VTIME] = 1;
    tcsetattr(slave, TCSANOW, &t);
    good &= read(slave, three, 3) == 0;
    result(good, "raw: bytes as they are, as many as VMIN says, no longer than VTIME");
    good = write(slave, "\n\r\t", 3) == 3 && gives(master, "\n\r\t");
    end_pair();
    good &= pair();
    set_local(slave, 0, ICANON | ECHO);
    type("ahead\n");
    set_local(slave, ICANON, 0);
    good &= gives(slave, "ahead\n");
    result(good, "what was typed before the mode changed is not lost");
    end_pair();
}

static void check_ends(void)
{
    char c;
    int good = pair() && write(slave, "last", 4) == 4;
    close(slave);
    good &= (ready(master) & (POLLIN | POLLHUP)) == (POLLIN | POLLHUP) && gives(master, "last") &&
            FAILS(read(master, &c, 1), EIO);
    slave = open(name, O_RDWR | O_NOCTTY);
    good &= slave >= 0 && fcntl(master, F_SETFL, O_NONBLOCK) == 0 && ready(master) == POLLOUT &&
            FAILS(read(master, &c, 1), EAGAIN);
    result(good,
           "a master whose slave is closed reads what is left, then EIO, until it is opened again");
    close(master);
    good = read(slave, &c, 1) == 0 && FAILS(write(slave, "x", 1), EIO) &&
           FAILS(ioctl(slave, TIOCGWINSZ, &c), EIO) && !isatty(slave) &&
           ready(slave) == (POLLIN | POLLOUT | POLLERR | POLLHUP);
    result(good, "a slave whose master is closed reads its end and writes EIO");
    close(slave);
}

static void check_packets(void)
{
    const int on = 1;
    int now = 0;
    struct termios t;
    int good = pair() && ioctl(master, TIOCPKT, &on) == 0 &&
               ioctl(master, 0x80045438 /* TIOCGPKT */, &now) == 0 && now == 1;
    char got[8] = "";
    good &= write(slave, "hi", 2) == 2 && read(master, got, 8) == 3 && !memcmp(got, "\0hi", 3);
    tcflow(slave, TCOOFF);
    good &= ready(master) == (POLLIN | POLLOUT | POLLPRI) && read(master, got, 8) == 1 &&
            got[0] == TIOCPKT_STOP;
    good &= ready(slave) == 0;
    tcflow(slave, TCOON);
    good &= read(master, got, 8) == 1 && got[0] == TIOCPKT_START && ready(slave) == POLLOUT;
    tcflush(slave, TCIOFLUSH);
    good &= read(master, got, 8) == 1 && (got[0] & (TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE));
    tcgetattr(slave, &t);
    t.c_iflag &= ~IXON;
    tcsetattr(slave, TCSANOW, &t);
    good &= read(master, got, 8) == 1 && got[0] == TIOCPKT_NOSTOP;
    result(good, "packet mode tells the master what happens at the slave");
    end_pair();
}

static void check_full(void)
{
    static char much[65536];
    int good = pair() && fcntl(slave, F_SETFL, O_NONBLOCK) == 0;
    memset(much, 'x', sizeof(much));
    const ssize_t n = write(slave, much, sizeof(much));
    good &= n > 0 && n < (ssize_t)sizeof(much) && FAILS(write(slave, much, 1), EAGAIN);
    ssize_t read_back = 0, m;
    fcntl(master, F_SETFL, O_NONBLOCK);
    while ((m = read(master, much, sizeof(much))) > 0)
        read_back += m;
    good &= read_back == n && ready(slave) == POLLOUT;
    result(good, "a slave that nobody reads takes so much and no more");
    end_pair();
}

static volatile sig_atomic_t windows, hangups, interrupts;

static void note(int signal)
{
    windows += signal == SIGWINCH;
    hangups += signal == SIGHUP;
    interrupts += signal == SIGINT;
}

/* The leader of a session of its own on the slave; it says what it sees by its exit status, and one byte before. */
static void leader(void)
{
    struct winsize w;
    int good = setsid() == getpid() && FAILS(open("/dev/tty", O_RDWR), ENXIO);
    signal(SIGWINCH, note);
    signal(SIGINT, note);
    signal(SIGHUP, note);
    good &= FAILS(tcgetpgrp(slave), ENOTTY) && FAILS(tcsetpgrp(slave, getpid()), ENOTTY);
    good &= ioctl(slave, TIOCSCTTY, 0) == 0 && tcgetpgrp(slave) == getpid() &&
            tcgetsid(slave) == getpid() && tcgetpgrp(master) == getpid();
    good &= FAILS(tcsetpgrp(slave, -1), EINVAL) && FAILS(tcsetpgrp(slave, 30000), ESRCH) &&
            FAILS(tcsetpgrp(slave, getpgid(getppid())), EPERM);
    const int own = open("/dev/tty", O_RDWR);
    good &= own >= 0 && ioctl(own, TIOCGWINSZ, &w) == 0 && w.ws_row == 0 && w.ws_col == 0;
    close(own);
    close(master);
    if (write(slave, "r", 1) != 1)
        _exit(2);
    sigset_t none;
    sigemptyset(&none);
    while (!windows || !interrupts || !hangups)
        sigsuspend(&none);
    good &= FAILS(open("/dev/tty", O_RDWR), ENXIO);
    _exit(!good);
}

static void check_sessions(void)
{
    const struct winsize size = {.ws_row = 33, .ws_col = 44};
    struct winsize now;
    char c;
    sigset_t three, old;
    int status, good = pair();
    sigemptyset(&three);
    sigaddset(&three, SIGWINCH);
    sigaddset(&three, SIGINT);
    sigaddset(&three, SIGHUP);
    sigprocmask(SIG_BLOCK, &three, &old);
    fflush(stdout);
    const pid_t pid = fork();
    if (!pid)
        leader();
    good &= read(master, &c, 1) == 1 && c == 'r';
    result(good, "a session takes the slave for its terminal");
    good = ioctl(master, TIOCSWINSZ, &size) == 0 && ioctl(slave, TIOCGWINSZ, &now) == 0 &&
           now.ws_row == 33;
    type("\003");
    close(slave);
    good &= gives(master, "^C");
    close(master);
    good &= waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    result(good, "it learns of another size, of an interrupt, and of the end of its master");
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* A process in the background of a terminal: it may write, but not change the terminal. */
static void background(void)
{
    int status;
    if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0))
        _exit(2);
    const pid_t pid = fork();
    if (!pid) {
        struct termios t;
        setpgid(0, 0);
        if (write(slave, "b", 1) != 1 || tcgetattr(slave, &t))
            _exit(3);
        tcsetattr(slave, TCSANOW, &t);
        _exit(4);
    }
    int good = waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
               WSTOPSIG(status) == SIGTTOU;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    _exit(!good);
}

void check_terminals(void)
{
    check_pair_names();
    check_lines();
    check_raw();
    check_ends();
    check_packets();
    check_full();
    check_sessions();
    pair();
    const int status = child(background);
    result(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "who is in the background is stopped when it changes the terminal");
    end_pair();
}
