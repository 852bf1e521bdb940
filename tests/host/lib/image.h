/* Guest kernels, device trees and boot modules for tests, made in memory. */
#pragma once

#include "builder.h"

#define IMAGE_BASE  0xffffffff80000000ull /* VIRT_BASE of the kernel */
#define IMAGE_BYTES 0x3000u /* its one segment: three pages, the second one the hypercall page */

struct image_note {
    uint32_t type; /* XEN_ELFNOTE_* */
    const void *data;
    uint32_t size;
};

/* A kernel with these @count notes; its size.  Layout: ELF header, 2 program headers, the notes,
 * the segment at 0x1000. */
size_t image_elf(uint8_t *to, size_t room, const struct image_note *notes, unsigned count);
/* The same without notes, with a section __xen_guest that holds @text. */
size_t image_guest_section(uint8_t *to, size_t room, const char *text);
/* The same with the notes of an ordinary kernel. */
size_t image_kernel(uint8_t *to, size_t room);

/* A hyperlaunch tree with @domains domains, number n with kernel module n + 1; its size.  @rich:
 * with every property of the binding. */
size_t image_tree(void *to, size_t room, unsigned domains, bool rich);

/* Put @size bytes into frames of the machine as the next boot module; its number. */
unsigned module_add(const void *data, size_t size, const char *cmdline);
/* Overwrite module @i, which must be of the same number of frames or larger. */
void module_replace(unsigned i, const void *data, size_t size);
