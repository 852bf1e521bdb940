/* Paths as system calls name them. */
#pragma once

#include "inode.h"
#include "user.h"

/* As path_find for the path at @path, relative to @dirfd; @at_flags are AT_* and of PATH_RESOLVE.
 * With AT_EMPTY_PATH an empty path is @dirfd itself. */
MUST_CHECK int user_path_find(int dirfd, user_t path, unsigned at_flags, struct inode **found);
/* The same, and what the path was, which is read once. */
MUST_CHECK int user_path_find_text(int dirfd, user_t path, unsigned at_flags, struct inode **found,
                                   char text[PATH_MAX]);
/* As path_make; the umask is applied. */
MUST_CHECK int user_path_make(int dirfd, user_t path, unsigned flags, unsigned mode,
                              struct inode **made);
/* As path_parent; *@slash: there is a slash behind the name, which has to be a directory's. */
MUST_CHECK int user_path_parent(int dirfd, user_t path, struct inode **dir, char name[NAME_MAX + 1],
                                bool *slash);
