/* O_ASYNC: who has asked to be told by a signal when something arrives. */
#pragma once

#include "file.h"

/* @file's flags have changed: it may be noticed from now on, or not any more. */
void notice_changed(struct file *file);
/* @file is closed. */
void notice_gone(struct file *file);
/* Tell @file's owner, by SIGIO or what was asked for instead. */
void notice_tell(const struct file *file);

extern struct list notice_files;
/* Something may have arrived somewhere. */
void notice_look(void);
static inline void notice(void)
{
    if (!list_empty(&notice_files))
        notice_look();
}
