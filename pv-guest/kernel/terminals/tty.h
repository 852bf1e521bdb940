/*
 * Terminals: a line discipline between what is typed and who reads, and the session that each belongs to.
 *
 * Two kinds of them exist, the console (console.c) and the slaves of pairs (pty.c); what they differ in is where output goes
 * and where typed bytes come from.
 */
#pragma once

#include "file.h"
#include "linux.h"
#include "list.h"

#define TTY_SIZE 4096

struct tty;

struct tty_ops {
    /* Output: how many bytes there is room for, and putting as many at most. */
    size_t (*room)(struct tty *tty);
    void (*put)(struct tty *tty, const char *bytes, size_t size);
    /* Somebody has read, there is room for typed bytes again. */
    void (*taken)(struct tty *tty);
    /* Something has happened that a master in packet mode is told: TTY_TOLD_*. */
    void (*tell)(struct tty *tty, unsigned what);
    /* Nobody has it open any more. */
    void (*unused)(struct tty *tty);
};

#define TTY_TOLD_FLUSH_READ  1
#define TTY_TOLD_FLUSH_WRITE 2
#define TTY_TOLD_STOP        4
#define TTY_TOLD_START       8
#define TTY_TOLD_NO_STOP     16
#define TTY_TOLD_DO_STOP     32

/**
 * struct tty - a terminal.
 *
 * I1  All terminals are linked in one list; at most one of them has a given @session.
 * I2  @ends says of each byte of @ring whether a canonical read ends with it; of those not in use it means nothing.
 */
struct tty {
    struct list link;
    const struct tty_ops *ops;
    unsigned device;
    unsigned users; /* open files */
    char ring[TTY_SIZE];
    uint8_t ends[TTY_SIZE]; /* enum line_end */
    unsigned head, used;
    bool literal; /* VLNEXT: the next byte means nothing but itself */
    bool stopped; /* VSTOP: output waits */
    bool hung_up; /* for ever */
    struct wait_queue readers, writers;
    int session, group;
    struct linux_termios mode;
    struct linux_winsize window;
};

/* A new terminal, as it is after the start of the machine. */
void tty_init(struct tty *tty, const struct tty_ops *ops, unsigned device);
/* It is one no more: its session has none, the leader is told.  What has it open reads its end. */
void tty_hang_up(struct tty *tty);

/* line.c: a byte has been typed; it is lost if there is no room. */
void tty_receive(struct tty *tty, char c);
/* How many more bytes it makes sense to type: more than 0 if nothing would ever make room. */
unsigned tty_room(const struct tty *tty);
/* Readers, or writers, have something to look at. */
void tty_wake_readers(struct tty *tty);
void tty_wake_writers(struct tty *tty);
/* How many bytes a read may take now; 0 is none yet.  An end-of-file mark counts. */
unsigned tty_readable(const struct tty *tty);
/* As read: waits according to the mode in force. */
long tty_take(struct tty *tty, bool wait, user_t to, size_t size);
/* Typed text that nobody has read is forgotten. */
void tty_flush(struct tty *tty);
/* Its window has this size now: the foreground group, which draws on it, is sent SIGWINCH. */
void tty_set_window(struct tty *tty, const struct linux_winsize *window);
void tty_set_mode(struct tty *tty, const struct linux_termios *mode);
/* Output goes on, or stops. */
void tty_stop(struct tty *tty, bool stop);
/* As it would look on paper: @out has room for twice @size bytes.  How many it became. */
size_t tty_process_output(const struct tty *tty, const char *in, size_t size, char *out);

/* Operations of open terminals, but for open, which finds it and calls tty_opened(). */
long tty_opened(struct file *file, struct tty *tty);
long tty_read(struct file *file, user_t to, size_t size);
long tty_write(struct file *file, user_t from, size_t size);
int tty_poll(struct file *file);
long tty_ioctl(struct file *file, unsigned command, user_t arg);
void tty_release(struct file *file);
/* What both sides of a pair are asked; -ENOTTY if it is none of that.  @own: by way of the terminal itself, not of its master. */
long tty_ioctl_common(struct tty *tty, bool own, unsigned command, user_t arg);
/* A table of them; @opens is the open operation. */
#define TTY_FILE_OPS(opens)                                                      \
    {                                                                            \
        .open = (opens), .read = tty_read, .write = tty_write, .poll = tty_poll, \
        .ioctl = tty_ioctl, .release = tty_release, .no_offset = true            \
    }
/* /dev/tty: whichever terminal the session has. */
extern const struct file_ops tty_session_ops;

/* console.c: session leader @session (pid) takes the console, with its own group in the foreground. */
void console_give(int session);

/* Session @session has ended. */
void tty_session_end(struct process *leader);
/* The terminal of @session, or NULL. */
struct tty *tty_of_session(int session);
