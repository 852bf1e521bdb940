/*
 * The tree of /proc.
 *
 * Tables say which names there are and who writes each file; inodes are made
 * when somebody looks for a name, and go when nobody has them any more.  A text
 * is made when a file is read from its start, and kept until it is closed.
 */
#include "errno.h"
#include "file.h"
#include "heap.h"
#include "print.h"
#include "proc.h"
#include "text.h"
#include "platform/platform.h"

struct node {
    const char *name;
    unsigned mode;
    proc_text text;             /* a file... */
    void (*accept)(char key);   /* ...or one to write to: its first byte */
    const struct node *entries; /* a directory, ended by an empty node */
    const struct dir_ops *ops;  /* a directory that is more than that */
    /* a symbolic link: its text... */
    void (*target)(struct text_buffer *out, const struct process *process, int fd);
    /* ...and where it leads, if the text does not say so */
    int (*follow)(struct inode *link, struct inode **to);
};

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
static int made(struct inode *dir, const struct node *node, const char *name, int pid, int index,
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
    inode->fs = dir->fs;
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
    if (node->text || node->accept)
        inode->ops = node->text ? &text_ops : &key_ops;
    *found = inode;
    return 0;
}

static int number_from(const char *name)
{
    const char *end = name;
    const unsigned long n = text_number(&end, 10);
    return *end || end == name || n > PID_MAX || *name == '0'
               ? (*end || name[0] != '0' || name[1] ? -1 : 0)
               : (int)n;
}

/* ---- Directories that are tables ---- */

static int find_in_table(struct inode *dir, const struct node *table, const char *name,
                         struct inode **found)
{
    for (const struct node *n = table; n->name; n++)
        if (!strcmp(n->name, name))
            return made(dir, n, name, dir->pid, dir->index, found);
    return -ENOENT;
}

static bool next_in_table(const struct inode *dir, const struct node *table, uint64_t cookie,
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
    return find_in_table(dir, table_of(dir), name, found);
}

static bool table_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    if (dir->pid && !process_find(dir->pid))
        return false;
    return next_in_table(dir, table_of(dir), cookie, r);
}

static const struct dir_ops table_dir = {table_find, table_next};

/* ---- Directories of numbers ---- */

#define NUMBERS 1024 /* cookies above are numbers; below is room for tables */

static bool number_record(struct dir_record *r, char *name, int number, int pid, int index,
                          unsigned mode)
{
    print_to(name, NAME_MAX, "%d", number);
    *r = (struct dir_record){name, number_of(pid, index, name), mode, NUMBERS + number + 1};
    return true;
}

/* fd/: cookie NUMBERS + fd + 1 */
static const struct node fd_node;

static struct file *file_of(int pid, int fd)
{
    const struct task *t = proc_thread(process_find(pid));
    return t && t->files && fd >= 0 && fd < t->files->end ? t->files->table[fd] : NULL;
}

static int fd_find(struct inode *dir, const char *name, struct inode **found)
{
    const int fd = number_from(name);
    return file_of(dir->pid, fd) ? made(dir, &fd_node, name, dir->pid, fd, found) : -ENOENT;
}

static bool fd_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    const struct task *t = proc_thread(process_find(dir->pid));
    for (int fd = cookie > NUMBERS ? cookie - NUMBERS : 0; t && t->files && fd < t->files->end;
         fd++)
        if (t->files->table[fd])
            return number_record(r, name, fd, dir->pid, fd, S_IFLNK);
    return false;
}

static const struct dir_ops fd_dir = {fd_find, fd_next};

static void fd_target(struct text_buffer *out, const struct process *p, int fd)
{
    const struct file *file = p ? file_of(p->pid, fd) : NULL;
    if (file)
        proc_file_name(out, file);
}

/* Opening such a link opens the same inode again, whether or not it has a name. */
static int fd_follow(struct inode *link, struct inode **to)
{
    const struct file *file = file_of(link->pid, link->index);
    if (!file || !file->inode)
        return file ? -ENXIO : -ENOENT;
    inode_get(file->inode);
    *to = file->inode;
    return 0;
}

static const struct node fd_node = {
    .mode = S_IFLNK | 0700, .target = fd_target, .follow = fd_follow};

/* task/: the lowest tid above the cookie's, as threads are in no order. */
static const struct node thread_node;

static int task_find_thread(struct inode *dir, const char *name, struct inode **found)
{
    const int tid = number_from(name);
    const struct task *t = tid > 0 ? task_find(tid) : NULL;
    if (!t || !t->process || t->process->pid != dir->pid)
        return -ENOENT;
    return made(dir, &thread_node, name, dir->pid, tid, found);
}

static bool task_next_thread(const struct inode *dir, uint64_t cookie, struct dir_record *r,
                             char *name)
{
    const struct process *p = process_find(dir->pid);
    const struct task *t;
    int best = 0;
    if (!p)
        return false;
    for_each_thread(t, p) if (NUMBERS + t->tid + 1 > cookie && (!best || t->tid < best)) best =
        t->tid;
    return best && number_record(r, name, best, dir->pid, best, S_IFDIR);
}

static const struct dir_ops task_dir = {task_find_thread, task_next_thread};

/* ---- A process's directory ---- */

static void give_inode(struct text_buffer *out, const struct inode *inode)
{
    const struct file file = {.inode = (struct inode *)inode};
    if (inode)
        proc_file_name(out, &file);
}

static void exe_target(struct text_buffer *out, const struct process *p, int index)
{
    give_inode(out, p ? p->program : NULL);
}

static void cwd_target(struct text_buffer *out, const struct process *p, int index)
{
    give_inode(out, p && !p->zombie ? p->cwd : NULL);
}

static void root_target(struct text_buffer *out, const struct process *p, int index)
{
    give_inode(out, p && !p->zombie ? p->root : NULL);
}

static int follow_inode(struct inode *inode, struct inode **to)
{
    if (!inode)
        return -ENOENT;
    inode_get(inode);
    *to = inode;
    return 0;
}

static int exe_follow(struct inode *link, struct inode **to)
{
    const struct process *p = process_find(link->pid);
    return follow_inode(p && !p->zombie ? p->program : NULL, to);
}

static int cwd_follow(struct inode *link, struct inode **to)
{
    const struct process *p = process_find(link->pid);
    return follow_inode(p && !p->zombie ? p->cwd : NULL, to);
}

static int root_follow(struct inode *link, struct inode **to)
{
    const struct process *p = process_find(link->pid);
    return follow_inode(p && !p->zombie ? p->root : NULL, to);
}

#define FILE_NODE(name, function)                                           \
    {                                                                       \
        name, S_IFREG | 0444, proc_##function, NULL, NULL, NULL, NULL, NULL \
    }
#define LINK_NODE(name, target, follow)                              \
    {                                                                \
        name, S_IFLNK | 0777, NULL, NULL, NULL, NULL, target, follow \
    }
#define DIR_NODE(name, entries, ops)                               \
    {                                                              \
        name, S_IFDIR | 0555, NULL, NULL, entries, ops, NULL, NULL \
    }
#define END_NODE                                    \
    {                                               \
        NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL \
    }

static const struct node thread_table[] = {
    FILE_NODE("cmdline", cmdline), FILE_NODE("comm", comm),     FILE_NODE("stat", stat),
    FILE_NODE("statm", statm),     FILE_NODE("status", status), END_NODE,
};
static const struct node thread_node = DIR_NODE(NULL, thread_table, NULL);

static const struct node process_table[] = {
    FILE_NODE("cmdline", cmdline),
    FILE_NODE("comm", comm),
    LINK_NODE("cwd", cwd_target, cwd_follow),
    FILE_NODE("environ", environ),
    LINK_NODE("exe", exe_target, exe_follow),
    DIR_NODE("fd", NULL, &fd_dir),
    FILE_NODE("limits", limits),
    FILE_NODE("maps", maps),
    FILE_NODE("mounts", mounts),
    LINK_NODE("root", root_target, root_follow),
    FILE_NODE("stat", stat),
    FILE_NODE("statm", statm),
    FILE_NODE("status", status),
    DIR_NODE("task", NULL, &task_dir),
    END_NODE,
};
static const struct node process_node = DIR_NODE(NULL, process_table, NULL);

/* ---- The root ---- */

static void self_target(struct text_buffer *out, const struct process *p, int index)
{
    text_add(out, "%d", process_current()->pid);
}

static void self_mounts_target(struct text_buffer *out, const struct process *p, int index)
{
    text_add(out, "self/mounts");
}

static const struct node sys_kernel_table[] = {
    FILE_NODE("hostname", hostname),
    FILE_NODE("osrelease", osrelease),
    FILE_NODE("ostype", ostype),
    FILE_NODE("pid_max", pid_max),
    END_NODE,
};
static const struct node sys_vm_table[] = {FILE_NODE("overcommit_memory", overcommit), END_NODE};
static const struct node sys_table[] = {
    DIR_NODE("kernel", sys_kernel_table, NULL),
    DIR_NODE("vm", sys_vm_table, NULL),
    END_NODE,
};

/* The keys that work without a keyboard: b reboots, c crashes, o switches off; all at once, nothing
 * is told first. */
static void sysrq(char key)
{
    switch (key) {
    case 'b':
        platform_shutdown(SHUTDOWN_AS_REBOOT);
    case 'c':
        panic("asked for by /proc/sysrq-trigger");
    case 'o':
        platform_shutdown(SHUTDOWN_AS_POWEROFF);
    }
}

static const struct node root_table[] = {
    FILE_NODE("cmdline", cmdline_of_kernel),
    FILE_NODE("cpuinfo", cpuinfo),
    FILE_NODE("filesystems", filesystems),
    FILE_NODE("loadavg", loadavg),
    FILE_NODE("meminfo", meminfo),
    LINK_NODE("mounts", self_mounts_target, NULL),
    LINK_NODE("self", self_target, NULL),
    FILE_NODE("stat", system_stat),
    DIR_NODE("sys", sys_table, NULL),
    {"sysrq-trigger", S_IFREG | 0200, .accept = sysrq},
    FILE_NODE("uptime", uptime),
    FILE_NODE("version", version),
    END_NODE,
};
static const struct node root_node = DIR_NODE(NULL, root_table, NULL);

static int root_find(struct inode *dir, const char *name, struct inode **found)
{
    const int pid = number_from(name);
    if (pid > 0 && process_find(pid))
        return made(dir, &process_node, name, pid, 0, found);
    return find_in_table(dir, root_table, name, found);
}

/* Processes in the order of their pids, which is not the order in which they are listed. */
static bool root_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    const struct process *p;
    int best = 0;
    if (cookie < ARRAY_SIZE(root_table) - 1)
        return next_in_table(dir, root_table, cookie, r);
    for_each_process(p) if (NUMBERS + p->pid + 1 > cookie && (!best || p->pid < best)) best =
        p->pid;
    return best && number_record(r, name, best, best, 0, S_IFDIR);
}

static const struct dir_ops root_dir = {root_find, root_next};

void proc_populate(struct inode *root)
{
    root->mode = S_IFDIR | 0555;
    root->node = &root_node;
    root->dynamic = &root_dir;
}
