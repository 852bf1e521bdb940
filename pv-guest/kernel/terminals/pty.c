/*
 * Pairs of terminals: what a program writes to the master is typed at the slave, what the slave shows can be read from the
 * master.
 *
 * Opening /dev/ptmx makes a pair, with a name for the slave in the devpts that is mounted at pts/ beside it.  The pair
 * ends with its master: the slave's name goes, who has it open reads its end.
 */
#include "pty.h"
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "mount.h"
#include "pipe.h"
#include "print.h"
#include "process.h"
#include "signal.h"
#include "tty.h"

#define PTYS_MAX    256 /* of one devpts: a minor number each */
#define PTMX_DEVICE DEVICE(5, 2)

/**
 * struct pty - a pair.
 *
 * I1  Freed when the master is closed and the slave is not open, whichever comes last.
 */
struct pty {
    struct tty tty; /* the slave */
    struct inode *dir,
        *node; /* its name's directory, and what it names; until the master is closed */
    int number;
    bool locked; /* nobody may open the slave yet */
    bool opened; /* somebody has */
    bool packet; /* TIOCPKT: reads from the master begin with a byte that says what it is */
    unsigned told;
    struct pipe *out; /* what the slave has shown; whoever waits at the master waits here */
};

static struct pty *pty_of(struct tty *tty)
{
    return container_of(tty, struct pty, tty);
}

/* ---- The slave ---- */

static size_t pty_room(struct tty *tty)
{
    return TTY_SIZE - pty_of(tty)->out->used;
}

static void pty_put(struct tty *tty, const char *bytes, size_t size)
{
    pipe_put(pty_of(tty)->out, bytes, size);
}

static void pty_taken(struct tty *tty)
{
    pipe_wake(pty_of(tty)->out);
}

static void pty_tell(struct tty *tty, unsigned what)
{
    struct pty *const pty = pty_of(tty);
    const unsigned opposite = what == TTY_TOLD_STOP      ? TTY_TOLD_START
                              : what == TTY_TOLD_START   ? TTY_TOLD_STOP
                              : what == TTY_TOLD_NO_STOP ? TTY_TOLD_DO_STOP
                              : what == TTY_TOLD_DO_STOP ? TTY_TOLD_NO_STOP
                                                         : 0;
    if (!pty->packet)
        return;
    pty->told = (pty->told & ~opposite) | what;
    pipe_wake(pty->out);
}

static void pty_free(struct pty *pty)
{
    pipe_free(pty->out);
    heap_free(pty);
}

static void pty_unused(struct tty *tty)
{
    struct pty *const pty = pty_of(tty);
    if (pty->node)
        pipe_wake(pty->out);
    else
        pty_free(pty);
}

static const struct tty_ops slave_ops = {
    .room = pty_room, .put = pty_put, .taken = pty_taken, .tell = pty_tell, .unused = pty_unused};

static long slave_open(struct file *file)
{
    struct pty *const pty = (struct pty *)file->inode->node;
    if (!pty || pty->locked)
        return -EIO;
    pty->opened = true;
    return tty_opened(file, &pty->tty);
}

static const struct file_ops slave_file_ops = TTY_FILE_OPS(slave_open);

/* ---- The master ---- */

/* The lowest number without a name in @dir, or -ENOSPC. */
static int number_new(struct inode *dir, char name[8])
{
    for (int n = 0; n < PTYS_MAX; n++) {
        print_to(name, 8, "%d", n);
        if (!dir_find(dir, name))
            return n;
    }
    return -ENOSPC;
}

/* Name the slave in @dir, whose reference moves. */
static int slave_name(struct pty *pty, struct inode *dir)
{
    char name[8];
    const struct credentials *c = &process_current()->credentials;
    struct inode *node = inode_new(S_IFCHR | 0600);
    int rc = node ? number_new(dir, name) : -ENOMEM;
    if (rc >= 0) {
        pty->number = rc;
        node->uid = c->user.file;
        node->gid = c->group.file;
        inode_join(node, dir->fs);
        node->device = DEVICE(PTY_MAJOR, pty->number);
        node->ops = &slave_file_ops;
        node->node = pty;
        rc = dir_add(dir, name, node);
    }
    if (!rc) {
        pty->dir = dir;
        pty->node = node;
        return 0;
    }
    if (node)
        inode_put(node);
    inode_put(dir);
    return rc;
}

/* The devpts that belongs to this ptmx: the directory it is in, or the one called pts beside it. */
static int find_devpts(struct inode *ptmx, struct inode **dir)
{
    struct inode *const beside = ptmx->parent;
    if (!beside)
        return -ENODEV;
    if (beside->fs->magic == DEVPTS_MAGIC) {
        *dir = beside;
        inode_get(beside);
        return 0;
    }
    const int rc = path_find(beside, "pts", 0, dir);
    if (rc || (*dir)->fs->magic == DEVPTS_MAGIC)
        return rc ? -ENODEV : 0;
    inode_put(*dir);
    return -ENODEV;
}

static long master_open(struct file *file)
{
    struct inode *dir;
    int rc = find_devpts(file->inode, &dir);
    if (rc)
        return rc;
    struct pty *pty = heap_alloc(sizeof(*pty));
    if (!pty || !(pty->out = pipe_create(TTY_SIZE))) {
        heap_free(pty);
        inode_put(dir);
        return -ENOMEM;
    }
    rc = slave_name(pty, dir);
    if (rc) {
        pty_free(pty);
        return rc;
    }
    pty->locked = true;
    pty->out->readers = pty->out->writers = 1;
    tty_init(&pty->tty, &slave_ops, pty->node->device);
    file->object = pty;
    return 0;
}

static void name_remove(struct pty *pty)
{
    struct entry *e, *after;
    list_for_each_safe(e, after, &pty->dir->entries, link)
    {
        if (e->inode == pty->node)
            dir_remove(pty->dir, e);
    }
    pty->node->node = NULL;
    inode_put(pty->node);
    inode_put(pty->dir);
    pty->node = pty->dir = NULL;
}

static void master_release(struct file *file)
{
    struct pty *const pty = file->object;
    if (!pty)
        return;
    name_remove(pty);
    tty_hang_up(&pty->tty);
    if (!pty->tty.users)
        pty_free(pty);
}

/* The slave has been open, and nobody has it open any more. */
static bool at_end(const struct pty *pty)
{
    return pty->opened && !pty->tty.users;
}

static bool master_readable(const struct pty *pty)
{
    return pty->out->used || (pty->packet && pty->told);
}

static int master_wait(struct pty *pty, bool wait)
{
    while (!master_readable(pty)) {
        if (at_end(pty))
            return -EIO;
        if (!wait)
            return -EAGAIN;
        const int rc = wait_until(&pty->out->changed, FOREVER);
        if (rc)
            return rc;
    }
    return 0;
}

static long master_read(struct file *file, user_t to, size_t size)
{
    struct pty *const pty = file->object;
    const int rc = size ? master_wait(pty, !(file->flags & O_NONBLOCK)) : 0;
    if (rc || !size)
        return rc;
    const size_t first = pty->packet;
    const uint8_t what = pty->told;
    if (first && user_write(to, &what, 1))
        return -EFAULT;
    if (first && what) {
        pty->told = 0;
        return 1;
    }
    const long n = pipe_take(pty->out, false, to + first, size - first);
    tty_wake_writers(&pty->tty);
    return n < 0 ? n : n + (long)first;
}

static long master_write(struct file *file, user_t from, size_t size)
{
    struct pty *const pty = file->object;
    char typed[128];
    size_t done = 0;
    while (done < size) {
        const size_t n = MIN(MIN(size - done, sizeof(typed)), (size_t)tty_room(&pty->tty));
        const int rc = n                          ? user_read(typed, from + done, n)
                       : file->flags & O_NONBLOCK ? -EAGAIN
                                                  : wait_until(&pty->out->changed, FOREVER);
        if (rc)
            return done ? (long)done : rc;
        for (size_t i = 0; i < n; i++)
            tty_receive(&pty->tty, typed[i]);
        done += n;
        tty_wake_readers(&pty->tty);
    }
    return done;
}

static int master_poll(struct file *file)
{
    const struct pty *pty = file->object;
    return (master_readable(pty) ? POLLIN : 0) | (pty->packet && pty->told ? POLLPRI : 0) |
           (tty_room(&pty->tty) ? POLLOUT : 0) | (at_end(pty) ? POLLHUP : 0);
}

static long give_number(user_t to, int value)
{
    return user_write(to, &value, sizeof(value));
}

/* The bool at @from. */
static int read_flag(bool *flag, user_t from)
{
    int value;
    if (user_read(&value, from, sizeof(value)))
        return -EFAULT;
    *flag = value;
    return 0;
}

static long set_packet(struct pty *pty, user_t arg)
{
    bool packet;
    const int rc = read_flag(&packet, arg);
    if (!rc && packet && !pty->packet)
        pty->told = 0;
    if (!rc)
        pty->packet = packet;
    return rc;
}

static long master_flush(struct pty *pty, user_t what)
{
    if (what > 2)
        return -EINVAL;
    if (what != 1)
        pty->out->used = 0;
    if (what != 0)
        tty_flush(&pty->tty);
    tty_wake_writers(&pty->tty);
    return 0;
}

static long open_peer(struct pty *pty, unsigned flags)
{
    struct file *file;
    const int rc = file_open(pty->node, flags, &file);
    return rc ? rc : fd_open(file, flags & O_CLOEXEC);
}

static long send_signal(struct pty *pty, user_t number)
{
    if (number < 1 || number > SIGNAL_COUNT)
        return -EINVAL;
    signal_group(pty->tty.group, number);
    return 0;
}

static long master_ioctl(struct file *file, unsigned command, user_t arg)
{
    struct pty *const pty = file->object;
    switch (command) {
    case TIOCGPTN:
        return give_number(arg, pty->number);
    case TIOCSPTLCK:
        return read_flag(&pty->locked, arg);
    case TIOCGPTLCK:
        return give_number(arg, pty->locked);
    case TIOCGPTPEER:
        return open_peer(pty, arg);
    case TIOCPKT:
        return set_packet(pty, arg);
    case TIOCGPKT:
        return give_number(arg, pty->packet);
    case TIOCSIG:
        return send_signal(pty, arg);
    case FIONREAD:
        return give_number(arg, pty->out->used);
    case TIOCOUTQ:
        return give_number(arg, 0);
    case TCFLSH:
        return master_flush(pty, arg);
    default:
        return tty_ioctl_common(&pty->tty, false, command, arg);
    }
}

const struct file_ops ptmx_ops = {
    .open = master_open,
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .release = master_release,
    .no_offset = true,
};

void devpts_populate(struct inode *root)
{
    struct inode *ptmx = inode_new(S_IFCHR | 0666);
    if (!ptmx)
        return;
    inode_join(ptmx, root->fs);
    dev_assign(ptmx, PTMX_DEVICE);
    (void)!dir_add(root, "ptmx", ptmx);
    inode_put(ptmx);
}
