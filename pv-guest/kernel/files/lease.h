/* Leases: who has a file open is told before somebody else opens it in a way that does not go with that. */
#pragma once

#include "file.h"

/* fcntl F_SETLEASE, F_GETLEASE with F_RDLCK, F_WRLCK or F_UNLCK: 0 or -errno; the lease. */
MUST_CHECK long lease_set(struct file *file, unsigned kind);
MUST_CHECK long lease_of(const struct file *file);
/*
 * Somebody opens @inode with @flags: those with a lease that is in the way are told, and waited for.  -EAGAIN with
 * O_NONBLOCK; -ERESTART.
 */
MUST_CHECK int lease_break(struct inode *inode, unsigned flags);
/* @file is closed. */
void lease_gone(struct file *file);
