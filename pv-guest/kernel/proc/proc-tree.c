/* The tree of /proc: which names there are, and what they stand for. */
#include "control.h"
#include "credentials.h"
#include "errno.h"
#include "file.h"
#include "print.h"
#include "proc-node.h"
#include "text.h"
#include "platform/platform.h"

/* ---- Directories of numbers ---- */

/* fd/: cookie NUMBERS + fd + 1 */
static const struct node fd_node;

static struct file *file_of(int pid, int fd)
{
    const struct task *t = proc_thread(process_find(pid));
    return t ? files_find(t->files, (uint64_t)fd) : NULL;
}

static int fd_find(struct inode *dir, const char *name, struct inode **found)
{
    const int fd = proc_number_from(name);
    return file_of(dir->pid, fd) ? proc_made(dir, &fd_node, name, dir->pid, fd, found) : -ENOENT;
}

static bool fd_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    const struct task *t = proc_thread(process_find(dir->pid));
    for (int fd = cookie > NUMBERS ? cookie - NUMBERS : 0; t && t->files && fd < t->files->end;
         fd++)
        if (t->files->table[fd])
            return proc_number_record(r, name, fd, dir->pid, fd, S_IFLNK);
    return false;
}

static const struct dir_ops fd_dir = {fd_find, fd_next};

static void fd_target(struct text_buffer *out, const struct process *p, int fd)
{
    const struct file *file = p && access_look(p) ? file_of(p->pid, fd) : NULL;
    if (file)
        proc_file_name(out, file);
}

/* Opening such a link opens the same inode again, whether or not it has a name. */
static int fd_follow(struct inode *link, struct inode **to)
{
    const struct file *file = file_of(link->pid, link->index);
    if (!file)
        return -ENOENT;
    if (!access_look(process_find(link->pid)))
        return -EACCES;
    if (!file->inode)
        return -ENXIO;
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
    const int tid = proc_number_from(name);
    const struct task *t = tid > 0 ? task_find(tid) : NULL;
    if (!t || !t->process || t->process->pid != dir->pid)
        return -ENOENT;
    return proc_made(dir, &thread_node, name, dir->pid, tid, found);
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
    return best && proc_number_record(r, name, best, dir->pid, best, S_IFDIR);
}

static const struct dir_ops task_dir = {task_find_thread, task_next_thread};

/* ---- A process's directory ---- */

/* Who may not look into @p does not get a text, either: readlink says why. */
static void give_inode(struct text_buffer *out, const struct process *p, const struct inode *inode)
{
    const struct file file = {.inode = (struct inode *)inode};
    if (inode && access_look(p))
        proc_file_name(out, &file);
}

static void exe_target(struct text_buffer *out, const struct process *p, int index)
{
    give_inode(out, p, p ? p->program : NULL);
}

static void cwd_target(struct text_buffer *out, const struct process *p, int index)
{
    give_inode(out, p, p && !p->zombie ? p->places->cwd : NULL);
}

static void root_target(struct text_buffer *out, const struct process *p, int index)
{
    give_inode(out, p, p && !p->zombie ? p->places->root : NULL);
}

static int follow_inode(const struct process *p, struct inode *inode, struct inode **to)
{
    if (p && !access_look(p))
        return -EACCES;
    if (!inode)
        return -ENOENT;
    inode_get(inode);
    *to = inode;
    return 0;
}

static int exe_follow(struct inode *link, struct inode **to)
{
    const struct process *p = process_find(link->pid);
    return follow_inode(p, p ? p->program : NULL, to);
}

static int cwd_follow(struct inode *link, struct inode **to)
{
    const struct process *p = process_find(link->pid);
    return follow_inode(p, p && !p->zombie ? p->places->cwd : NULL, to);
}

static int root_follow(struct inode *link, struct inode **to)
{
    const struct process *p = process_find(link->pid);
    return follow_inode(p, p && !p->zombie ? p->places->root : NULL, to);
}

static const struct node thread_table[] = {
    FILE_NODE("cmdline", cmdline), FILE_NODE("comm", comm),     FILE_NODE("stat", stat),
    FILE_NODE("statm", statm),     FILE_NODE("status", status), END_NODE,
};
static const struct node thread_node = DIR_NODE(NULL, thread_table, NULL);

/* There is no interface: what AF_INET reaches is this machine itself. */
static const struct node net_table[] = {
    CONSTANT_NODE("dev",
                  "Inter-|   Receive                                                |  Transmit\n"
                  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
                  "packets errs drop fifo colls carrier compressed"),
    CONSTANT_NODE("route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU"
                           "\tWindow\tIRTT"),
    END_NODE,
};

static const struct node process_table[] = {
    FILE_NODE("cmdline", cmdline),
    FILE_NODE("comm", comm),
    LINK_NODE("cwd", cwd_target, cwd_follow),
    PRIVATE_NODE("environ", environ),
    LINK_NODE("exe", exe_target, exe_follow),
    {"fd", S_IFDIR | 0500, .ops = &fd_dir},
    FILE_NODE("limits", limits),
    FILE_NODE("maps", maps),
    FILE_NODE("mountinfo", mountinfo),
    FILE_NODE("mounts", mounts),
    DIR_NODE("net", net_table, NULL),
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

static const struct node sysvipc_table[] = {
    FILE_NODE("msg", ipc_messages),
    FILE_NODE("sem", ipc_semaphores),
    FILE_NODE("shm", ipc_segments),
    END_NODE,
};

static void self_net_target(struct text_buffer *out, const struct process *p, int index)
{
    text_add(out, "self/net");
}

/* ---- /proc/xen of a domain whose processes keep the store ---- */

static void proc_xsd_port(struct text_buffer *out, const struct process *p, const struct task *task)
{
    unsigned port = 0;
    (void)!platform_store_page(&port);
    text_add(out, "%u", port);
}

static const struct node xen_table[] = {
    CONSTANT_NODE("capabilities", "control_d"),
    {"xsd_kva", S_IFREG | 0600, .store = true},
    PRIVATE_NODE("xsd_port", xsd_port),
    END_NODE,
};

static bool has_store(void)
{
    unsigned port;
    return platform_store_page(&port) != NULL;
}

static int xen_find(struct inode *dir, const char *name, struct inode **found)
{
    return has_store() ? proc_find_in_table(dir, xen_table, name, found) : -ENOENT;
}

static bool xen_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    return has_store() && proc_next_in_table(dir, xen_table, cookie, r);
}

static const struct dir_ops xen_dir = {xen_find, xen_next};

static const struct node root_table[] = {
    FILE_NODE("cmdline", cmdline_of_kernel),
    FILE_NODE("cpuinfo", cpuinfo),
    CONSTANT_NODE("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n"
                             "  5 /dev/ptmx\n136 pts\n229 hvc\n\nBlock devices:"),
    FILE_NODE("filesystems", filesystems),
    FILE_NODE("loadavg", loadavg),
    FILE_NODE("meminfo", meminfo),
    LINK_NODE("mounts", self_mounts_target, NULL),
    LINK_NODE("net", self_net_target, NULL),
    CONSTANT_NODE("partitions", "") /* nor has Linux a line without any */,
    LINK_NODE("self", self_target, NULL),
    CONSTANT_NODE("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"),
    FILE_NODE("stat", system_stat),
    DIR_NODE("sys", proc_sys_table, NULL),
    DIR_NODE("sysvipc", sysvipc_table, NULL),
    {"sysrq-trigger", S_IFREG | 0200, .accept = control_sysrq},
    FILE_NODE("uptime", uptime),
    FILE_NODE("version", version),
    DIR_NODE("xen", NULL, &xen_dir),
    END_NODE,
};
int proc_pid_of(const struct inode *inode)
{
    return inode->node == &process_node ? inode->pid : 0;
}

static const struct node root_node = DIR_NODE(NULL, root_table, NULL);

static int root_find(struct inode *dir, const char *name, struct inode **found)
{
    const int pid = proc_number_from(name);
    if (pid > 0 && process_find(pid))
        return proc_made(dir, &process_node, name, pid, 0, found);
    return proc_find_in_table(dir, root_table, name, found);
}

/* Processes in the order of their pids, which is not the order in which they are listed. */
static bool root_next(const struct inode *dir, uint64_t cookie, struct dir_record *r, char *name)
{
    const struct process *p;
    int best = 0;
    if (cookie < ARRAY_SIZE(root_table) - 1)
        return proc_next_in_table(dir, root_table, cookie, r);
    for_each_process(p) if (NUMBERS + p->pid + 1 > cookie && (!best || p->pid < best)) best =
        p->pid;
    return best && proc_number_record(r, name, best, best, 0, S_IFDIR);
}

static const struct dir_ops root_dir = {root_find, root_next};

void proc_populate(struct inode *root)
{
    root->mode = S_IFDIR | 0555;
    root->node = &root_node;
    root->dynamic = &root_dir;
}
