/*
 * The one-line demo: whatever Linux is at hand, with this machine's static
 * busybox as its whole user land, up to a shell on the console.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"
#include "verdict.h"

#define LINUX_DEFAULT_MIB 256 /* either of Debian's kernels uses about 100 of them */

/*
 * The kernel to boot, in *@path (the caller frees it): $PARAVANE_LINUX, or the newest of
 * /boot/vmlinuz-*, or the newest that tools/setup --guests has fetched.  As @domain0 of Xen the
 * cloud flavours are passed over: they drive no console there.  NO_FILE if there is none.
 */
enum verdict linux_find_kernel(bool domain0, char **path);

/*
 * For domain 0 with xl: Debian's kernel, and what tools/setup --dom0 has made, in the words of --add.  The caller frees both.
 * NO_FILE if they were not fetched.
 */
enum verdict linux_find_xl(char **kernel, char **tree);
#define LINUX_XL_MIB \
    384 /* with 64 MiB for its bounce buffers, which domain 0 has whatever else there is */

/* An initramfs with busybox and an /init that gives a shell and powers off when that ends. */
enum verdict linux_initramfs(struct bytes *out);

/* Words for the kernel's command line; @is_terminal: its type and size, too.  The caller frees
 * them. */
char *linux_words(const char *console, bool is_terminal);
