/* /proc: what the kernel knows, as files. */
#pragma once

#include "process.h"
#include "text-buffer.h"

#define PROC_MAGIC 0x9fa0

struct file;
struct inode;

/* Make @root the root of a proc file system. */
void proc_populate(struct inode *root);

/* proc-system.c and proc-process.c: the content of one file, appended to @out. */
typedef void (*proc_text)(struct text_buffer *out, const struct process *process,
                          const struct task *task);
#define PROC_TEXT(name)                                                      \
    void proc_##name(struct text_buffer *out, const struct process *process, \
                     const struct task *task);
PROC_TEXT(cmdline_of_kernel)
PROC_TEXT(cpuinfo)
PROC_TEXT(hostname)
PROC_TEXT(ipc_segments)
PROC_TEXT(ipc_semaphores)
PROC_TEXT(ipc_messages)
PROC_TEXT(msgmax)
PROC_TEXT(msgmnb)
PROC_TEXT(msgmni)
PROC_TEXT(semaphore_limits)
PROC_TEXT(shmall)
PROC_TEXT(shmmni)
PROC_TEXT(loadavg)
PROC_TEXT(meminfo)
PROC_TEXT(ostype)
PROC_TEXT(osrelease)
PROC_TEXT(overcommit)
PROC_TEXT(pid_max)
PROC_TEXT(system_stat)
PROC_TEXT(uptime)
PROC_TEXT(version)
PROC_TEXT(cmdline)
PROC_TEXT(comm)
PROC_TEXT(environ)
PROC_TEXT(limits)
PROC_TEXT(maps)
PROC_TEXT(mounts)
PROC_TEXT(mountinfo)
PROC_TEXT(filesystems)
PROC_TEXT(domainname)
PROC_TEXT(kernel_version)
PROC_TEXT(uuid)
PROC_TEXT(boot_id)
PROC_TEXT(threads_max)
PROC_TEXT(stat)
PROC_TEXT(statm)
PROC_TEXT(status)

/* Where the symbolic link to an open file of @process leads, as text. */
void proc_file_name(struct text_buffer *out, const struct file *file);
/* The number of the process whose directory @inode is; 0 if it is none. */
int proc_pid_of(const struct inode *inode);
/* A thread of @process that has memory and files; NULL: a zombie. */
struct task *proc_thread(const struct process *process);
