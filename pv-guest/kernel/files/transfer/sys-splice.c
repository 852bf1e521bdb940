/* System calls that move bytes into pipes, out of them, and from one to another. */
#include "errno.h"
#include "pipe.h"
#include "signal.h"
#include "syscall.h"
#include "transfer.h"

#define SPLICE_F_NONBLOCK 2
#define SPLICE_F_ALL      15 /* and MOVE, MORE, GIFT, which are hints */

/* As write, but by way of a file that does not wait for room if @wait says so. */
static long splice_give(struct end *to, user_t from, size_t size, bool wait)
{
    struct file view = *to->file;
    if (wait)
        return end_transfer(to, from, size, file_write);
    view.flags |= O_NONBLOCK;
    struct end e = {&view, to->offset};
    const long n = end_transfer(&e, from, size, file_write);
    to->offset = e.offset;
    if (to->offset == HERE)
        to->file->offset = view.offset;
    return n;
}

/* What has been written has been taken out of the pipe, and nothing else. */
static long out_of_pipe(struct end *from, struct end *to, size_t size, user_t bounce)
{
    struct pipe *const p = pipe_of(from->file);
    const long n = pipe_peek(p, bounce, MIN(size, BOUNCE_SIZE));
    const long written = n > 0 ? splice_give(to, bounce, n, true) : n;
    if (written > 0)
        pipe_skip(p, written);
    return written;
}

/* No more than there is room for, so that nothing that has been read is left over. */
static long into_pipe(struct end *from, struct end *to, size_t size, user_t bounce)
{
    const struct pipe *p = pipe_of(to->file);
    const size_t most = MIN(MIN(size, BOUNCE_SIZE), p->size - p->used);
    const long n = end_transfer(from, bounce, most, file_read);
    return n > 0 ? splice_give(to, bounce, n, false) : n;
}

static long from_pipe_to_pipe(struct end *from, struct end *to, size_t size, user_t bounce)
{
    const struct pipe *p = pipe_of(to->file);
    return out_of_pipe(from, to, MIN(size, p->size - p->used), bounce);
}

/* The same, but it stays where it was. */
static long copy_pipe(struct end *from, struct end *to, size_t size, user_t bounce)
{
    const struct pipe *p = pipe_of(to->file);
    const size_t most = MIN(MIN(size, BOUNCE_SIZE), p->size - p->used);
    const long n = pipe_peek(pipe_of(from->file), bounce, most);
    return n > 0 ? splice_give(to, bounce, n, false) : n;
}

static bool waits(const struct end *e, unsigned flags)
{
    return !(flags & SPLICE_F_NONBLOCK) && !(e->file->flags & O_NONBLOCK);
}

/* Wait until pipes have what @fn needs, then move once; another thread may close them meanwhile. */
static long move_held(struct end *from, struct end *to, size_t size, unsigned flags, bounce_fn fn)
{
    struct pipe *const in = pipe_of(from->file), *const out = pipe_of(to->file);
    int rc = in ? pipe_wait_content(in, waits(from, flags)) : 1;
    if (rc > 0 && out)
        rc = pipe_wait_room(out, waits(to, flags), PIPE_BUF);
    if (rc == -EPIPE)
        signal_broken_pipe();
    return rc > 0 ? transfer_with_bounce(from, to, size, fn) : rc;
}

static long splice_move(struct end *from, struct end *to, size_t size, unsigned flags, bounce_fn fn)
{
    struct file *const in = from->file, *const out = to->file;
    file_get(in);
    file_get(out);
    const long n = move_held(from, to, size, flags, fn);
    file_put(in);
    file_put(out);
    return n;
}

/* Can they be read and written, and is at least one of them a pipe? */
static int check_ends(const struct end *from, const struct end *to, bool both_pipes)
{
    const struct pipe *in = pipe_of(from->file), *out = pipe_of(to->file);
    if ((from->file->flags & O_ACCMODE) == O_WRONLY || (to->file->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if ((both_pipes ? !in || !out : !in && !out) || in == out)
        return -EINVAL;
    if ((to->file->flags & O_APPEND) && !out)
        return -EINVAL;
    return !from->file->ops->read || !to->file->ops->write || from->file->ops == &directory_ops
               ? -EINVAL
               : 0;
}

/* An offset that the caller keeps: not for a pipe, and only where there is one. */
static int read_offset(struct end *e, user_t at)
{
    if (!at)
        return 0;
    if (pipe_of(e->file))
        return -ESPIPE;
    if (!file_seekable(e->file))
        return -EINVAL;
    if (user_read(&e->offset, at, sizeof(e->offset)))
        return -EFAULT;
    return (int64_t)e->offset < 0 ? -EINVAL : 0;
}

/* splice(from, its offset, to, its offset, size, flags) */
long syscall_splice(const struct syscall_args *a)
{
    struct end from, to;
    const unsigned flags = a->arg[5];
    if (!a->arg[4])
        return 0;
    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    int rc = end_read(&from, a->arg[0], 0);
    if (!rc)
        rc = end_read(&to, a->arg[2], 0);
    if (!rc)
        rc = read_offset(&from, a->arg[1]);
    if (!rc)
        rc = read_offset(&to, a->arg[3]);
    if (!rc)
        rc = check_ends(&from, &to, false);
    if (rc)
        return rc;
    const bounce_fn fn = !pipe_of(to.file)     ? out_of_pipe
                         : !pipe_of(from.file) ? into_pipe
                                               : from_pipe_to_pipe;
    const long n = splice_move(&from, &to, a->arg[4], flags, fn);
    if (n > 0 && (end_write(&from, a->arg[1]) || end_write(&to, a->arg[3])))
        return -EFAULT;
    return n;
}

/* tee(from, to, size, flags) */
long syscall_tee(const struct syscall_args *a)
{
    struct end from, to;
    const unsigned flags = a->arg[3];
    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    if (!a->arg[2])
        return 0;
    int rc = end_read(&from, a->arg[0], 0);
    if (!rc)
        rc = end_read(&to, a->arg[1], 0);
    if (!rc)
        rc = check_ends(&from, &to, true);
    return rc ? rc : splice_move(&from, &to, a->arg[2], flags, copy_pipe);
}

/* vmsplice(pipe, pieces, count, flags): to a pipe, or out of it, by which end it is. */
long syscall_vmsplice(const struct syscall_args *a)
{
    struct file *file = fd_file(a->arg[0]);
    const unsigned flags = a->arg[3];
    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    if (!file || !pipe_of(file))
        return -EBADF;
    if (a->arg[2] > IOV_MAX)
        return -EINVAL;
    struct file view = *file;
    view.flags |= flags & SPLICE_F_NONBLOCK ? O_NONBLOCK : 0;
    file_get(file);
    const long rc = file_vector(&view, a->arg[1], a->arg[2], HERE,
                                (view.flags & O_ACCMODE) == O_RDONLY ? file_read : file_write);
    file_put(file);
    return rc;
}
