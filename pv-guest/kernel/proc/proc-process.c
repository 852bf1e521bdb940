/* The texts of /proc about one process, or one thread of it. */
#include "cpu-time.h"
#include "errno.h"
#include "file.h"
#include "ipc.h"
#include "page.h"
#include "print.h"
#include "proc-node.h"
#include "space.h"
#include "tty.h"

#define TEXT(name) \
    void proc_##name(struct text_buffer *out, const struct process *p, const struct task *task)

static char state_letter(const struct process *p, const struct task *task)
{
    if (p->zombie || !task)
        return 'Z';
    switch (task->state) {
    case TASK_READY:
        return 'R';
    case TASK_UNINTERRUPTIBLE:
        return 'D';
    case TASK_STOPPED:
        return 'T';
    default:
        return 'S';
    }
}

static const char *state_word(char letter)
{
    return letter == 'R'   ? "running"
           : letter == 'S' ? "sleeping"
           : letter == 'D' ? "disk sleep"
           : letter == 'T' ? "stopped"
                           : "zombie";
}

/* Sizes of the memory of @task, in bytes. */
static uint64_t mapped_size(const struct task *task)
{
    const struct area *area;
    uint64_t sum = 0;
    if (task && task->space)
        list_for_each(area, &task->space->areas, link) sum += area->end - area->start;
    return sum;
}

static uint64_t resident_pages(const struct task *task)
{
    return task && task->space ? task->space->resident : 0;
}

static const char *name_of(const struct process *p, const struct task *task)
{
    return task ? task->name : p->name;
}

TEXT(comm)
{
    text_add(out, "%s\n", name_of(p, task));
}

/* Copy [start, end) of a process's memory, as far as it is there. */
static void add_memory(struct text_buffer *out, const struct task *task, uintptr_t start,
                       uintptr_t end)
{
    while (task && task->space && start < end) {
        const size_t n = MIN(end - start, PAGE_SIZE - start % PAGE_SIZE);
        const pte_t *slot = table_slot(task->space, start, false);
        if (!slot || leaf_foreign(*slot) || !(pte_present(*slot) || leaf_held(*slot)))
            return;
        const char *page = page_at(leaf_page(*slot));
        text_add_bytes(out, page + start % PAGE_SIZE, n);
        start += n;
    }
}

TEXT(cmdline)
{
    add_memory(out, task, p->arguments_start, p->arguments_end);
}

TEXT(environ)
{
    add_memory(out, task, p->variables_start, p->variables_end);
}

/* "pid (name) state ppid pgrp session tty tpgid flags ..." in 52 fields. */
TEXT(stat)
{
    const struct cpu_time used =
        task && task->tid != p->pid ? task_cpu_time(task) : process_cpu_time(p);
    const struct cpu_time children = children_cpu_time(p);
    const struct tty *tty = tty_of_session(p->session);
    text_add(out, "%d (%s) %c %d %d %d %d %d 0 0 0 0 0 ", task ? task->tid : p->pid,
             name_of(p, task), state_letter(p, task), p->parent ? p->parent->pid : 0, p->group,
             p->session, tty ? tty->device : 0, tty ? tty->group : -1);
    text_add(out, "%lu %lu %lu %lu %d %d %u 0 %lu %lu %lu %lu ",
             proc_ticks(used.total - used.system), proc_ticks(used.system),
             proc_ticks(children.total - children.system), proc_ticks(children.system),
             20 + p->nice, p->nice, p->thread_count, proc_ticks(p->start_time), mapped_size(task),
             resident_pages(task), p->limits[RLIMIT_NOFILE].current ? ~0ul : 0);
    text_add(out, "0 0 0 0 0 %lu %lu 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 %lu %lu %lu %lu 0\n",
             p->signals.pending, task ? task->blocked : 0, p->arguments_start, p->arguments_end,
             p->variables_start, p->variables_end);
}

TEXT(statm)
{
    text_add(out, "%lu %lu 0 0 0 0 0\n", mapped_size(task) / PAGE_SIZE, resident_pages(task));
}

static uint64_t actions_with(const struct process *p, bool ignored)
{
    uint64_t mask = 0;
    for (int n = 1; n <= SIGNAL_COUNT; n++) {
        const uint64_t handler = p->actions[n].handler;
        if (ignored ? handler == SIG_IGN : handler != SIG_IGN && handler != SIG_DFL)
            mask |= 1ul << (n - 1);
    }
    return mask;
}

static void add_ids(struct text_buffer *out, const char *what, const struct ids *ids)
{
    text_add(out, "%s:\t%u\t%u\t%u\t%u\n", what, ids->real, ids->effective, ids->saved, ids->file);
}

TEXT(status)
{
    const char letter = state_letter(p, task);
    text_add(out, "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\n", name_of(p, task), p->places->umask,
             letter, state_word(letter));
    text_add(out, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", p->pid,
             task ? task->tid : p->pid, p->parent ? p->parent->pid : 0);
    add_ids(out, "Uid", &p->credentials.user);
    add_ids(out, "Gid", &p->credentials.group);
    text_add(out, "FDSize:\t%d\nGroups:\t", task && task->files ? task->files->slots : 0);
    for (unsigned i = 0; p->credentials.groups && i < p->credentials.groups->count; i++)
        text_add(out, "%u ", p->credentials.groups->ids[i]);
    text_add(out, "\n");
    text_add(out, "VmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmRSS:\t%8lu kB\n", mapped_size(task) / 1024,
             task && task->space ? space_size_marked(task->space, AREA_LOCKED) / 1024 : 0,
             resident_pages(task) * 4);
    text_add(out, "Threads:\t%u\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n",
             p->thread_count, task ? task->signals.pending : 0, p->signals.pending,
             task ? task->blocked : 0);
    text_add(out, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", actions_with(p, true),
             actions_with(p, false));
    const struct capabilities *const c = &p->credentials.capabilities;
    text_add(out, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n", c->inheritable,
             c->permitted, c->effective);
    text_add(out, "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%d\n", c->bounding, c->ambient,
             p->no_new_privileges);
}

TEXT(limits)
{
    static const char *const names[RLIMITS] = {
        "Max cpu time",       "Max file size",     "Max data size",         "Max stack size",
        "Max core file size", "Max resident set",  "Max processes",         "Max open files",
        "Max locked memory",  "Max address space", "Max file locks",        "Max pending signals",
        "Max msgqueue size",  "Max nice priority", "Max realtime priority", "Max realtime timeout"};
    text_add(out, "Limit                     Soft Limit           Hard Limit\n");
    for (unsigned i = 0; i < RLIMITS; i++) {
        char soft[24] = "unlimited", hard[24] = "unlimited";
        if (p->limits[i].current != ~0ul)
            print_to(soft, sizeof(soft), "%lu", p->limits[i].current);
        if (p->limits[i].maximum != ~0ul)
            print_to(hard, sizeof(hard), "%lu", p->limits[i].maximum);
        text_add(out, "%-25s %-20s %s\n", names[i], soft, hard);
    }
}

static const char *area_name(const struct task *task, const struct area *area, char *path,
                             size_t size)
{
    const struct space *space = task->space;
    if (area->file && area->file->segment) {
        print_to(path, size, "/SYSV%08x (deleted)", segment_key(area->file));
        return path;
    }
    if (area->file && path_of(area->file, path, size) > 0)
        return path;
    if (area->file)
        return "/dev/zero (deleted)";
    if (area->start < space->brk && area->end > space->brk_start)
        return "[heap]";
    return area->end == USER_STACK_TOP ? "[stack]" : "";
}

TEXT(maps)
{
    const struct area *area;
    char path[256];
    if (!task || !task->space)
        return;
    list_for_each(area, &task->space->areas, link)
    {
        const unsigned protection = area->protection;
        const struct inode *file = area->file;
        text_add(out, "%08lx-%08lx %c%c%c%c %08lx 00:%02x %lu ", area->start, area->end,
                 protection & PROT_READ ? 'r' : '-', protection & PROT_WRITE ? 'w' : '-',
                 protection & PROT_EXEC ? 'x' : '-', area->shared ? 's' : 'p',
                 file ? area->offset : 0, file && file->fs ? file->fs->number : 0,
                 file ? file->number : 0);
        text_add(out, "%s\n", area_name(task, area, path, sizeof(path)));
    }
}

void proc_file_name(struct text_buffer *out, const struct file *file)
{
    char path[512];
    const struct inode *inode = file->inode;
    if (!inode)
        text_add(out, "anon_inode:[%s]", file->ops && file->ops->name ? file->ops->name : "file");
    else if (path_of(inode, path, sizeof(path)) > 0)
        text_add(out, "%s", path);
    else if (inode_is(inode, S_IFIFO))
        text_add(out, "pipe:[%lu]", inode->number);
    else if (inode_is(inode, S_IFSOCK))
        text_add(out, "socket:[%lu]", inode->number);
    else
        text_add(out, "/%lu (deleted)", inode->number);
}
