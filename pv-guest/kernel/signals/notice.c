/* O_ASYNC: a signal for who owns an open file, when something has arrived in it. */
#include "notice.h"
#include "signal.h"

struct list notice_files = LIST_INIT(notice_files);

static uint64_t notice_arrived(struct file *file)
{
    return file->ops->arrived ? file->ops->arrived(file) : 0;
}

void notice_changed(struct file *file)
{
    const bool wanted = (file->flags & O_ASYNC) && file->ops->arrived;
    if (wanted == file->noticed)
        return;
    file->noticed = wanted;
    if (wanted) {
        file->notice_seen = notice_arrived(file);
        list_add(&file->notice, &notice_files);
    } else {
        list_remove(&file->notice);
    }
}

void notice_gone(struct file *file)
{
    file->noticed = false;
    list_remove(&file->notice);
}

void notice_tell(const struct file *file)
{
    const struct signal_info info = {
        file->owner_signal ? file->owner_signal : SIGIO, SI_KERNEL, {0, 0}};
    struct process *p = file->owner > 0 ? process_find(file->owner) : NULL;
    struct task *t = file->owner_thread ? task_find(file->owner_thread) : NULL;
    if (t)
        signal_send_task(t, &info);
    else if (p)
        signal_send_info(p, &info);
    else if (file->owner < 0)
        (void)signal_send_group(-file->owner, &info);
}

void notice_look(void)
{
    struct file *file;
    list_for_each(file, &notice_files, notice)
    {
        const uint64_t now = notice_arrived(file);
        if (now == file->notice_seen)
            continue;
        file->notice_seen = now;
        notice_tell(file);
    }
}
