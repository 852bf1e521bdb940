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

static bool credentials_has(const struct credentials *c, enum capability which)
{
    return c->capabilities.effective >> which & 1;
}

bool access_capable(enum capability which)
{
    const struct credentials *c = current();
    return !c || credentials_has(c, which);
}

bool credentials_in_group(const struct credentials *c, unsigned primary, unsigned group)
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
    return !c || credentials_in_group(c, c->group.file, group);
}

/* Device files and pipes are written to wherever they stand. */
bool access_read_only(const struct inode *inode)
{
    return inode->fs && inode->fs->read_only &&
           (inode_is(inode, S_IFREG) || inode_is(inode, S_IFDIR) || inode_is(inode, S_IFLNK));
}

/* As user @user with primary group @group, and with the capabilities @capable. */
static int credentials_check(const struct inode *inode, unsigned want, const struct credentials *c,
                             unsigned user, unsigned group, uint64_t capable)
{
    if ((want & MAY_WRITE) && access_read_only(inode))
        return -EROFS;
    unsigned mode = inode->mode;
    if (inode->uid == user)
        mode >>= 6;
    else if (credentials_in_group(c, group, inode->gid))
        mode >>= 3;
    if (!(want & ~mode & 7))
        return 0;
    /* Root reads and writes all; what it executes has to be meant for that. */
    const bool runs = !inode_is(inode, S_IFREG) || (inode->mode & 0111);
    if (capable & 1u << CAP_DAC_OVERRIDE)
        return (want & MAY_EXECUTE) && !runs ? -EACCES : 0;
    const unsigned searches = inode_is(inode, S_IFDIR) ? MAY_READ | MAY_EXECUTE : MAY_READ;
    return (capable & 1u << CAP_DAC_READ_SEARCH) && !(want & ~searches) ? 0 : -EACCES;
}

int access_check(const struct inode *inode, unsigned want)
{
    const struct credentials *c = current();
    return c ? credentials_check(inode, want, c, c->user.file, c->group.file,
                                 c->capabilities.effective)
             : 0;
}

int access_check_real(const struct inode *inode, unsigned want)
{
    const struct credentials *c = current();
    return credentials_check(inode, want, c, c->user.real, c->group.real,
                             c->user.real ? 0 : c->capabilities.permitted);
}

int access_own(const struct inode *inode)
{
    const struct credentials *c = current();
    if (access_read_only(inode))
        return -EROFS;
    return !c || c->user.file == inode->uid || credentials_has(c, CAP_FOWNER) ? 0 : -EPERM;
}

int access_remove(const struct inode *dir, const struct inode *inode)
{
    const struct credentials *c = current();
    const int rc = access_check(dir, MAY_WRITE | MAY_EXECUTE);
    if (rc || !c || !(dir->mode & S_ISVTX) || credentials_has(c, CAP_FOWNER))
        return rc;
    return c->user.file == inode->uid || c->user.file == dir->uid ? 0 : -EPERM;
}

void access_drop_set_id(struct inode *inode)
{
    const bool group = (inode->mode & S_ISGID) && (inode->mode & 010); /* else it is about locks */
    if (!access_capable(CAP_FSETID) && inode_is(inode, S_IFREG))
        inode->mode &= ~(S_ISUID | (group ? S_ISGID : 0u));
}

bool access_signal(const struct process *to, int number)
{
    const struct process *const self = process_current();
    const struct ids *mine = &self->credentials.user, *its = &to->credentials.user;
    if (self == to || access_capable(CAP_KILL) || mine->effective == its->real ||
        mine->effective == its->saved || mine->real == its->real || mine->real == its->saved)
        return true;
    return number == SIGCONT && to->session == self->session;
}

bool access_schedule(const struct process *to)
{
    const unsigned mine = process_current()->credentials.user.effective;
    const struct ids *its = &to->credentials.user;
    return access_capable(CAP_SYS_NICE) || mine == its->effective || mine == its->real;
}

static bool credentials_same(const struct ids *ids, unsigned id)
{
    return ids->real == id && ids->effective == id && ids->saved == id;
}

static bool same_user(const struct process *to)
{
    const struct credentials *mine = &process_current()->credentials, *its = &to->credentials;
    return credentials_same(&its->user, mine->user.real) &&
           credentials_same(&its->group, mine->group.real);
}

bool access_look(const struct process *to)
{
    const struct process *const self = process_current();
    const uint64_t more =
        to->credentials.capabilities.permitted & ~self->credentials.capabilities.permitted;
    return self == to || access_capable(CAP_SYS_PTRACE) ||
           (same_user(to) && !more && !to->not_dumpable);
}

bool access_limit(const struct process *to)
{
    return process_current() == to || access_capable(CAP_SYS_RESOURCE) || same_user(to);
}

/* ---- Capabilities ---- */

#define FILE_CAPABILITIES                                                                          \
    (1ul << CAP_CHOWN | 1ul << CAP_DAC_OVERRIDE | 1ul << CAP_DAC_READ_SEARCH | 1ul << CAP_FOWNER | \
     1ul << CAP_FSETID | 1ul << CAP_MKNOD)

void credentials_init(struct credentials *c)
{
    struct capabilities *const all = &c->capabilities;
    all->effective = all->permitted = all->bounding = CAPABILITIES;
}

static bool any_root(const struct ids *ids)
{
    return !ids->real || !ids->effective || !ids->saved;
}

void credentials_user_changed(struct credentials *c, const struct ids *old, bool keep)
{
    struct capabilities *const own = &c->capabilities;
    if (any_root(old) && !any_root(&c->user)) {
        if (!keep)
            own->permitted = own->effective = 0;
        own->ambient = 0;
    }
    if (!old->effective && c->user.effective)
        own->effective = 0;
    if (old->effective && !c->user.effective)
        own->effective = own->permitted;
}

void credentials_file_user_changed(struct credentials *c, unsigned old)
{
    struct capabilities *const own = &c->capabilities;
    if (!old && c->user.file)
        own->effective &= ~FILE_CAPABILITIES;
    if (old && !c->user.file)
        own->effective |= own->permitted & FILE_CAPABILITIES;
}

void credentials_executed(struct credentials *c, bool set_id, bool no_more)
{
    struct capabilities *const own = &c->capabilities;
    const uint64_t most = no_more ? own->permitted : CAPABILITIES;
    const bool root = !c->user.real || !c->user.effective;
    if (set_id)
        own->ambient = 0;
    own->permitted = (root ? own->inheritable | own->bounding : own->ambient) & most;
    own->effective = root && !c->user.effective ? own->permitted : own->ambient & most;
}
