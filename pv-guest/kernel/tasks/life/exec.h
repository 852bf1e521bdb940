/* Replacing a process's program. */
#pragma once

#include "base.h"
#include "user.h"

#define ARGUMENTS_MAX (1ul << 17)

/* Argument and environment strings, one after the other with their NULs. */
struct exec_args {
    char *text;
    size_t used, size;
    unsigned arguments, variables;
};

/* Append a string: 0, -ENOMEM or -E2BIG.  Arguments come before variables. */
MUST_CHECK int exec_args_add(struct exec_args *args, const char *text, size_t length);
/* The same for a string of the running process; -EFAULT, too. */
MUST_CHECK int exec_args_add_user(struct exec_args *args, user_t text);
void exec_args_free(struct exec_args *args);

struct inode;

/*
 * Run @program, or if it is NULL what @path leads to, in the current task.  On success the task's frame starts the new
 * program; on error nothing has changed.  @args is consumed in neither case.
 */
MUST_CHECK int exec_path(struct inode *program, const char *path, struct exec_args *args);

struct space;

/* Does a process run @inode, which must not change under it then? */
bool exec_runs(const struct inode *inode);

/* elf.c: what a program needs to start. */
struct elf_image {
    uintptr_t start;   /* the first instruction: the dynamic linker's, if there is one */
    uintptr_t entry;   /* AT_ENTRY: the program's */
    uintptr_t base;    /* AT_BASE: of the dynamic linker */
    uintptr_t headers; /* AT_PHDR */
    unsigned header_count;
    uintptr_t end;                      /* of the highest segment: the heap follows */
    uintptr_t zero_from[8], zero_to[8]; /* file pages whose tail is not the file's */
    unsigned zeroes;
};

/* Map the segments of @file into @space.  -ENOEXEC if it is no program for us. */
MUST_CHECK int elf_map(struct inode *file, struct space *space, struct elf_image *image);
