/* Who a process is, and what it may do with files, processes and the system. */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "process.h"

void credentials_copy(struct credentials *to, const struct credentials *from)
{
    *to = *from;
    if (to->groups)
        to->groups->refs++;
}

void credentials_drop(struct credentials *c)
{
    if (c->groups && !--c->groups->refs)
        heap_free(c->groups);
    c->groups = NULL;
}

/* Whom the kernel works for; NULL while it boots. */
static const struct credentials *current(void)
{
    const struct process *p = process_current();
    return p ? &p->credentials : NULL;
}

bool access_root(void)
{
    const struct credentials *c = current();
    return !c || c->user.effective == 0;
}

static bool in_group(const struct credentials *c, unsigned primary, unsigned group)
{
    if (primary == group)
        return true;
    for (unsigned i = 0; c->groups && i < c->groups->count; i++)
        if (c->groups->ids[i] == group)
            return true;
    return false;
}

bool access_in_group(unsigned group)
{
    const struct credentials *c = current();
    return !c || in_group(c, c->group.file, group);
}

/* Device files and pipes are written to wherever they stand. */
bool access_read_only(const struct inode *inode)
{
    return inode->fs && inode->fs->read_only &&
           (inode_is(inode, S_IFREG) || inode_is(inode, S_IFDIR) || inode_is(inode, S_IFLNK));
}

/* As user @user with primary group @group. */
static int check(const struct inode *inode, unsigned want, const struct credentials *c,
                 unsigned user, unsigned group)
{
    if ((want & MAY_WRITE) && access_read_only(inode))
        return -EROFS;
    if (user == 0) {
        /* Root reads and writes all; what it executes has to be meant for that. */
        const bool runs = !inode_is(inode, S_IFREG) || (inode->mode & 0111);
        return (want & MAY_EXECUTE) && !runs ? -EACCES : 0;
    }
    unsigned mode = inode->mode;
    if (inode->uid == user)
        mode >>= 6;
    else if (in_group(c, group, inode->gid))
        mode >>= 3;
    return want & ~mode & 7 ? -EACCES : 0;
}

int access_check(const struct inode *inode, unsigned want)
{
    const struct credentials *c = current();
    return c ? check(inode, want, c, c->user.file, c->group.file) : 0;
}

int access_check_real(const struct inode *inode, unsigned want)
{
    const struct credentials *c = current();
    return check(inode, want, c, c->user.real, c->group.real);
}

int access_own(const struct inode *inode)
{
    const struct credentials *c = current();
    if (access_read_only(inode))
        return -EROFS;
    return !c || c->user.file == 0 || c->user.file == inode->uid ? 0 : -EPERM;
}

int access_remove(const struct inode *dir, const struct inode *inode)
{
    const struct credentials *c = current();
    const int rc = access_check(dir, MAY_WRITE | MAY_EXECUTE);
    if (rc || !c || c->user.file == 0 || !(dir->mode & S_ISVTX))
        return rc;
    return c->user.file == inode->uid || c->user.file == dir->uid ? 0 : -EPERM;
}

void access_drop_set_id(struct inode *inode)
{
    const bool group = (inode->mode & S_ISGID) && (inode->mode & 010); /* else it is about locks */
    if (!access_root() && inode_is(inode, S_IFREG))
        inode->mode &= ~(S_ISUID | (group ? S_ISGID : 0u));
}

bool access_signal(const struct process *to, int number)
{
    const struct process *const self = process_current();
    const struct ids *mine = &self->credentials.user, *its = &to->credentials.user;
    if (self == to || mine->effective == 0 || mine->effective == its->real ||
        mine->effective == its->saved || mine->real == its->real || mine->real == its->saved)
        return true;
    return number == SIGCONT && to->session == self->session;
}

bool access_schedule(const struct process *to)
{
    const unsigned mine = process_current()->credentials.user.effective;
    const struct ids *its = &to->credentials.user;
    return mine == 0 || mine == its->effective || mine == its->real;
}

static bool same(const struct ids *ids, unsigned id)
{
    return ids->real == id && ids->effective == id && ids->saved == id;
}

bool access_look(const struct process *to)
{
    const struct process *const self = process_current();
    const struct credentials *mine = &self->credentials, *its = &to->credentials;
    return self == to || mine->user.effective == 0 ||
           (same(&its->user, mine->user.real) && same(&its->group, mine->group.real));
}
