/* What the tree of /proc is made of. */
#pragma once

#include "inode.h"
#include "proc.h"
#include "sys-time.h"

struct node {
    const char *name;
    unsigned mode;
    proc_text text;             /* a file... */
    void (*accept)(char key);   /* ...or one to write to: its first byte */
    const char *constant;       /* ...or one that always says the same... */
    bool store;                 /* ...or the store's page */
    const struct node *entries; /* a directory, ended by an empty node */
    const struct dir_ops *ops;  /* a directory that is more than that */
    /* a symbolic link: its text... */
    void (*target)(struct text_buffer *out, const struct process *process, int fd);
    /* ...and where it leads, if the text does not say so */
    int (*follow)(struct inode *link, struct inode **to);
};

#define FILE_NODE(file, function)                                       \
    {                                                                   \
        .name = (file), .mode = S_IFREG | 0444, .text = proc_##function \
    }
#define CONSTANT_NODE(file, line)                                  \
    {                                                              \
        .name = (file), .mode = S_IFREG | 0444, .constant = (line) \
    }
#define PRIVATE_NODE(file, function) /* for the process's user only */  \
    {                                                                   \
        .name = (file), .mode = S_IFREG | 0400, .text = proc_##function \
    }
#define LINK_NODE(file, leads, goes)                                                \
    {                                                                               \
        .name = (file), .mode = S_IFLNK | 0777, .target = (leads), .follow = (goes) \
    }
#define DIR_NODE(file, table, more)                                               \
    {                                                                             \
        .name = (file), .mode = S_IFDIR | 0555, .entries = (table), .ops = (more) \
    }
#define END_NODE \
    {            \
        NULL     \
    }

/* proc-sys.c: what is in /proc/sys. */
extern const struct node proc_sys_table[];

/* Cookies of a directory: below NUMBERS there is room for a table, above are numbers. */
#define NUMBERS 1024

/* The inode of @node under @name in @dir, about @pid and thread or descriptor @index. */
int proc_made(struct inode *dir, const struct node *node, const char *name, int pid, int index,
              struct inode **found);
/* @ns in the unit of /proc, hundredths of a second. */
static inline uint64_t proc_ticks(uint64_t ns)
{
    return ns / (NS / 100);
}

/* The number that @name is, or -1. */
int proc_number_from(const char *name);
/* As struct dir_ops, for the names of @table. */
int proc_find_in_table(struct inode *dir, const struct node *table, const char *name,
                       struct inode **found);
bool proc_next_in_table(const struct inode *dir, const struct node *table, uint64_t cookie,
                        struct dir_record *r);
/* The record of @number, about @pid and @index; its name goes to @name.  Always true. */
bool proc_number_record(struct dir_record *r, char *name, int number, int pid, int index,
                        unsigned mode);
