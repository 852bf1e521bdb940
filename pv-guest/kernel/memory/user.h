/*
 * The one door to a process's memory.
 *
 * A user_t is an address that a process gave; it is not a C pointer.  Copies
 * fault pages in as the process itself would, and end with -EFAULT where it
 * could not have gone.
 */
#pragma once

#include "base.h"

typedef uint64_t user_t;

/* 0 or -EFAULT; how much was copied before the fault is not told. */
MUST_CHECK int user_read(void *to, user_t from, size_t size);
MUST_CHECK int user_write(user_t to, const void *from, size_t size);
MUST_CHECK int user_zero(user_t to, size_t size);
/* What a newer program may know of and we do not: 0 if all bytes are 0, -E2BIG or -EFAULT. */
MUST_CHECK int user_zeroes(user_t from, size_t size);

/*
 * Copy a string with its NUL into @to.  Returns its length, -EFAULT, or
 * -ENAMETOOLONG if it does not fit in @size.
 */
MUST_CHECK long user_read_text(char *to, user_t from, size_t size);

/* user-copy.S: bytes not copied.  Both ends are trusted to be in range. */
size_t user_copy_raw(void *to, const void *from, size_t size);
/* Where to go on after a fault at @rip in user-copy.S, or 0. */
uintptr_t user_fixup(uintptr_t rip);
