/*
 * Files that are made up.
 *
 * Tables (proc-tree.c) say which names there are and who writes each file; inodes
 * are made when somebody looks for a name, and go when nobody has them any more.
 * A text is made when a file is read from its start, and kept until it is closed.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "print.h"
#include "proc-node.h"
#include "text.h"
#include "platform/platform.h"

struct task *proc_thread(const struct process *p)
{
    return p && !list_empty(&p->threads) ? list_entry(p->threads.next, struct task, sibling) : NULL;
}

/* ---- Texts ---- */

static struct task *thread_of(const struct inode *inode)
{
    struct task *task = inode->index ? task_find(inode->index) : NULL;
    return task ? task : proc_thread(process_find(inode->pid));
}

static long text_make(const struct inode *inode, struct text_buffer *b)
{
    const struct node *node = inode->node;
    const struct process *p = inode->pid ? process_find(inode->pid) : NULL;
    if (inode->pid && !p)
        return -ESRCH;
    b->used = 0;
    if (node->constant)
        text_add(b, *node->constant ? "%s\n" : "", node->constant);
    else
        node->text(b, p, thread_of(inode));
    return b->failed ? -ENOMEM : 0;
}

static long text_read(struct file *file, user_t to, size_t size)
{
    struct text_buffer *b = file->object;
    if (!b && !(b = file->object = heap_alloc(sizeof(*b))))
        return -ENOMEM;
    const long rc = file->offset && b->text ? 0 : text_make(file->inode, b);
    if (rc)
        return rc;
    if (file->offset >= b->used)
        return 0;
    const size_t n = MIN(size, b->used - file->offset);
    if (user_write(to, b->text + file->offset, n))
        return -EFAULT;
    file->offset += n;
    return n;
}

static void text_release(struct file *file)
{
    struct text_buffer *b = file->object;
    if (!b)
        return;
    text_buffer_free(b);
    heap_free(b);
}

static int text_poll(struct file *file)
{
    return POLLIN | POLLOUT;
}

static const struct file_ops text_ops = {
    .read = text_read,
    .poll = text_poll,
    .release = text_release,
};

static long key_write(struct file *file, user_t from, size_t size)
{
    const struct node *node = file->inode->node;
    char key;
    if (size && user_read(&key, from, 1))
        return -EFAULT;
    if (size)
        node->accept(key);
    return size;
}

static const struct file_ops key_ops = {.write = key_write, .poll = text_poll};

/* ---- Making inodes ---- */

static const struct dir_ops table_dir;

/* The same name is the same number, whenever it is looked for. */
static uint64_t number_of(int pid, int index, const char *name)
{
    uint64_t hash = (uint64_t)pid << 32 | (unsigned)index;
    while (*name)
        hash = hash * 31 + *name++;
    return hash | 1ul << 62;
}

static char *copy_text(const char *from)
{
    char *to = heap_alloc(strlen(from) + 1);
    if (to)
        text_copy(to, from, strlen(from) + 1);
    return to;
}

static char *link_text(const struct node *node, int pid, int index)
{
    struct text_buffer b = {0};
    node->target(&b, process_find(pid), index);
    text_add_bytes(&b, "", 1);
    char *text = b.failed ? NULL : copy_text(b.text);
    text_buffer_free(&b);
    return text;
}

/* The inode of @node under @name in @dir, about @pid and thread or descriptor @index. */
int proc_made(struct inode *dir, const struct node *node, const char *name, int pid, int index,
              struct inode **found)
{
    struct inode *inode = inode_new(node->mode);
    if (!inode)
        return -ENOMEM;
    inode->target = node->target ? link_text(node, pid, index) : copy_text(name);
    if (!inode->target) {
        inode_put(inode);
        return -ENOMEM;
    }
    inode_join(inode, dir->fs);
    const struct process *p = pid ? process_find(pid) : NULL;
    if (p) {
        inode->uid = p->credentials.user.effective;
        inode->gid = p->credentials.group.effective;
    }
    inode->number = number_of(pid, index, name);
    inode->links = 1;
    inode->node = node;
    inode->pid = pid;
    inode->index = index;
    inode->parent = dir;
    inode->holds_parent = true;
    inode_get(dir);
    inode->follow = node->follow;
    if (inode_is(inode, S_IFDIR))
        inode->dynamic = node->ops ? node->ops : &table_dir;
    if (node->text || node->constant)
        inode->ops = &text_ops;
    if (node->accept)
        inode->ops = &key_ops;
    unsigned port;
    if (node->store && inode_show(inode, platform_store_page(&port))) {
        inode_put(inode);
        return -ENOMEM;
    }
    *found = inode;
    return 0;
}

int proc_number_from(const char *name)
{
    const char *end = name;
    const unsigned long n = text_number(&end, 10);
    return *end || end == name || n > PID_MAX || *name == '0'
               ? (*end || name[0] != '0' || name[1] ? -1 : 0)
               : (int)n;
}

/* ---- Directories that are tables ---- */

int proc_find_in_table(struct inode *dir, const struct node *table, const char *name,
                       struct inode **found)
{
    for (const struct node *n = table; n->name; n++)
        if (!strcmp(n->name, name))
            return proc_made(dir, n, name, dir->pid, dir->index, found);
    return -ENOENT;
}

bool proc_next_in_table(const struct inode *dir, const struct node *table, uint64_t cookie,
                        struct dir_record *r)
{
    for (uint64_t i = 0; table[i].name; i++) {
        if (i < cookie)
            continue;
        *r = (struct dir_record){table[i].name, number_of(dir->pid, dir->index, table[i].name),
                                 table[i].mode, i + 1};
        return true;
    }
    return false;
}

static const struct node *table_of(const struct inode *dir)
{
    return ((const struct node *)dir->node)->entries;
}

static int table_find(struct inode *dir, const char *name, struct inode **found)
{
    if (dir->pid && !process_find(dir->pid))
        return -ENOENT;
    return proc_find_in_table(dir, table_of(dir), name, found);
}

static bool table_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    if (dir->pid && !process_find(dir->pid))
        return false;
    return proc_next_in_table(dir, table_of(dir), cookie, r);
}

static const struct dir_ops table_dir = {table_find, table_next};

bool proc_number_record(struct dir_record *r, char *name, int number, int pid, int index,
                        unsigned mode)
{
    print_to(name, NAME_MAX, "%d", number);
    *r = (struct dir_record){name, number_of(pid, index, name), mode, NUMBERS + number + 1};
    return true;
}
