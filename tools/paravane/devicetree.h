/*
 * Writing the tree that tells Paravane which domains to build.  The binding is
 * hypercall-abi/hyperlaunch.md; tests/boot checks that page's example against us.
 */
#pragma once

#include "domain.h"
#include "memory.h"

/* Where a domain's files are in the multiboot module list; 0 is the tree. */
struct domain_modules {
    unsigned kernel, ramdisk; /* ramdisk 0: none */
};

/* OK, or the verdict about a file that cannot be a flattened tree. */
enum verdict devicetree_check(const char *path);

/* A flattened tree in @out (caller frees out->data). */
enum verdict devicetree_write(struct bytes *out, const struct domain *domains,
                              const struct domain_modules *modules, size_t count);
