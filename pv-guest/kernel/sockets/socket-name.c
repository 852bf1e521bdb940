/*
 * Names of sockets: files, and those that begin with a zero byte ("abstract"), which are in no file system.
 *
 *     family (2 bytes) | path, and a zero behind it        size: to the zero inclusive
 *     family (2 bytes) | 0, then any bytes                 size: all of them
 */
#include "credentials.h"
#include "errno.h"
#include "heap.h"
#include "process.h"
#include "socket.h"
#include "syscall.h"
#include "text.h"

#define PATH_AT ADDRESS_FAMILY

static struct list abstract_sockets = LIST_INIT(abstract_sockets);

int address_read(struct address *to, user_t at, uint64_t size)
{
    if ((int32_t)size < 0 || (int32_t)size > SOCKADDR_MOST)
        return -EINVAL;
    memset(to->bytes, 0, sizeof(to->bytes));
    to->size = size;
    return user_read(to->bytes, at, to->size);
}

int address_check_unix(const struct address *address)
{
    return address->size <= PATH_AT || address->size > SOCKADDR_UNIX || address->family != AF_UNIX
               ? -EINVAL
               : 0;
}

static bool is_abstract(const struct address *address)
{
    return !address->bytes[PATH_AT];
}

/* The path that @address is, which need not end with a zero. */
static const char *path_text(const struct address *address, char text[SOCKADDR_UNIX])
{
    const size_t n = address->size - PATH_AT;
    memcpy(text, address->bytes + PATH_AT, n);
    text[n] = 0;
    return text;
}

static struct socket *abstract_find(const char *bytes, size_t size)
{
    struct socket *s;
    list_for_each(s, &abstract_sockets, abstract)
    {
        if (s->name->size == size && !memcmp(s->name->bytes, bytes, size))
            return s;
    }
    return NULL;
}

static int path_socket(const struct address *address, struct socket **found)
{
    char text[SOCKADDR_UNIX];
    struct inode *inode;
    int rc = path_find(process_current()->places->cwd, path_text(address, text), 0, &inode);
    if (rc)
        return rc;
    *found = inode->socket;
    rc = access_check(inode, MAY_WRITE);
    if (!rc && !*found)
        rc = -ECONNREFUSED;
    inode_put(inode);
    return rc;
}

int socket_find(const struct address *address, unsigned type, struct socket **found)
{
    int rc = address_check_unix(address);
    if (rc)
        return rc;
    if (is_abstract(address)) {
        *found = abstract_find(address->bytes, address->size);
        rc = *found ? 0 : -ECONNREFUSED;
    } else {
        rc = path_socket(address, found);
    }
    if (!rc && (*found)->type != type)
        rc = -EPROTOTYPE;
    if (!rc)
        socket_get(*found);
    return rc;
}

void name_put(struct socket_name *name)
{
    if (name && --name->refs == 0)
        heap_free(name);
}

struct socket_name *name_new(const void *bytes, size_t size)
{
    struct socket_name *name = heap_alloc(sizeof(*name));
    if (!name)
        return NULL;
    name->refs = 1;
    name->size = size;
    memcpy(name->bytes, bytes, size);
    return name;
}

void socket_unbind(struct socket *s)
{
    list_remove(&s->abstract);
    if (!s->inode)
        return;
    s->inode->socket = NULL;
    inode_put(s->inode);
    s->inode = NULL;
}

static int bind_abstract(struct socket *s, const void *bytes, size_t size)
{
    if (abstract_find(bytes, size))
        return -EADDRINUSE;
    s->name = name_new(bytes, size);
    if (!s->name)
        return -ENOMEM;
    list_add(&s->abstract, &abstract_sockets);
    return 0;
}

int socket_bind_any(struct socket *s)
{
    static uint32_t next;
    static const char digits[] = "0123456789abcdef";
    char bytes[PATH_AT + 6] = {AF_UNIX};
    if (s->name)
        return 0;
    for (unsigned tries = 0; tries < 1 << 20; tries++) {
        next = (next + 1) & 0xfffff;
        for (unsigned i = 0; i < 5; i++)
            bytes[PATH_AT + 1 + i] = digits[next >> (16 - 4 * i) & 15];
        const int rc = bind_abstract(s, bytes, sizeof(bytes));
        if (rc != -EADDRINUSE)
            return rc;
    }
    return -ENOSPC;
}

/* The file that stands for the name has the mode of the socket itself, but for the umask. */
static int bind_path(struct socket *s, const struct file *file, const struct address *address)
{
    struct address plain = {.family = AF_UNIX};
    char *const text = plain.bytes + PATH_AT;
    char whole[SOCKADDR_UNIX];
    struct inode *inode;
    struct process *const p = process_current();
    const unsigned mode = file->inode->mode & 07777 & ~p->places->umask;
    const char *path = path_text(address, whole);
    const size_t length = text_copy(text, path, SOCKADDR_UNIX + 1 - PATH_AT);
    struct socket_name *const name = name_new(plain.bytes, PATH_AT + length + 1);
    if (!name)
        return -ENOMEM;
    int rc = s->name ? -EINVAL : path_make(p->places->cwd, path, 0, S_IFSOCK | mode, &inode);
    if (rc == -EINVAL && !path_find(p->places->cwd, path, PATH_NOFOLLOW, &inode)) {
        inode_put(inode);
        rc = -EADDRINUSE; /* which Linux finds out first */
    }
    if (rc) {
        name_put(name);
        return rc == -EEXIST ? -EADDRINUSE : rc;
    }
    s->name = name;
    s->inode = inode;
    inode->socket = s;
    return 0;
}

long syscall_bind(const struct syscall_args *a)
{
    struct address address;
    long rc;
    struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    struct socket *s = file->object;
    rc = address_read(&address, a->arg[1], a->arg[2]);
    if (rc)
        return rc;
    if (socket_inet(s))
        return inet_bind(s, &address);
    if (address.size == PATH_AT && address.family == AF_UNIX)
        return socket_bind_any(s);
    rc = address_check_unix(&address);
    if (rc)
        return rc;
    if (!is_abstract(&address))
        return bind_path(s, file, &address);
    return s->name ? -EINVAL : bind_abstract(s, address.bytes, address.size);
}

static int address_write(const void *bytes, size_t size, user_t to, user_t size_at)
{
    int32_t room;
    if (user_read(&room, size_at, sizeof(room)))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (user_write(to, bytes, MIN((size_t)room, size)))
        return -EFAULT;
    room = size;
    return user_write(size_at, &room, sizeof(room));
}

int name_write(const struct socket_name *name, user_t to, user_t size)
{
    static const uint16_t none = AF_UNIX;
    return name ? address_write(name->bytes, name->size, to, size)
                : address_write(&none, sizeof(none), to, size);
}

/* Tell the name of a socket like @s. */
static int socket_name_tell(const struct socket *s, const struct socket_name *name, user_t to,
                            user_t size)
{
    static const uint16_t nowhere[SOCKADDR_INET / 2] = {AF_INET};
    return !name && socket_inet(s) ? address_write(nowhere, sizeof(nowhere), to, size)
                                   : name_write(name, to, size);
}

long syscall_getsockname(const struct syscall_args *a)
{
    long rc;
    const struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    const struct socket *s = file->object;
    return socket_name_tell(s, s->name, a->arg[1], a->arg[2]);
}

long syscall_getpeername(const struct syscall_args *a)
{
    long rc;
    const struct file *file = socket_file(a->arg[0], &rc);
    if (!file)
        return rc;
    const struct socket *s = file->object;
    if (socket_inet(s))
        return s->remote ? socket_name_tell(s, s->remote, a->arg[1], a->arg[2]) : -ENOTCONN;
    return s->peer ? name_write(s->peer->name, a->arg[1], a->arg[2]) : -ENOTCONN;
}
