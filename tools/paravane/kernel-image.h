/*
 * A guest kernel as a file: ELF, compressed ELF, or bzImage.
 *
 *      bzImage                                     what the hypervisor gets
 *      +---------+------------------+---------+
 *      | setup   | decompressor ... | payload | --libarchive--> ELF with notes
 *      +---------+------------------+---------+
 *                ^ (setup_sects+1)*512  ^ + payload_offset, payload_length long
 *
 * (Linux, Documentation/arch/x86/boot.rst: the setup header, protocol 2.08 on.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verdict.h"

/* The highest note type of <xen/elfnote.h> plus one. */
#define KERNEL_NOTES 20

/* One note of owner "Xen".  The type says whether it is a number or a string. */
struct kernel_note {
    bool present, is_string;
    uint64_t number;
    char text[256];
};

struct kernel_segment {
    uint64_t vaddr, paddr, offset, file_size, memory_size;
    unsigned flags; /* PF_R | PF_W | PF_X */
};

struct kernel_image {
    char *path;       /* as the user named it */
    const char *kind; /* "ELF", "bzImage", "compressed ELF" */
    char codec[16];   /* libarchive's name for the compression, or empty */
    void *data;       /* the ELF file */
    size_t size;
    bool unpacked; /* @data is not the file's own content */

    unsigned elf_class, elf_machine, elf_type;
    uint64_t elf_entry;
    struct kernel_segment *segments;
    size_t segment_count;
    struct kernel_note notes[KERNEL_NOTES];
    unsigned xen_notes;     /* how many of owner "Xen" */
    bool guest_section;     /* @notes are the words of the section __xen_guest */
    unsigned unknown_notes; /* how many of those with a type that <xen/elfnote.h> lacks */
};

/*
 * Read @path and parse it as far as it can be parsed.  Returns NO_FILE, NOT_ELF
 * or BAD_KERNEL (broken payload) having said why; OK says only that there is an
 * ELF file to look at, kernel_image_check() says whether it boots.
 */
enum verdict kernel_image_open(struct kernel_image *image, const char *path);
void kernel_image_close(struct kernel_image *image);

/* Would it boot as a 64-bit PV guest?  If not, @why is one sentence with a fix. */
enum verdict kernel_image_check(const struct kernel_image *image, char **why);

/* The same for the bare machine: can QEMU load and enter it? */
enum verdict kernel_image_check_native(const struct kernel_image *image, char **why);

bool kernel_image_is_bzimage(const struct kernel_image *image);

/* Where the image begins and ends once it is loaded (pseudo-physical), and where it is entered. */
uint64_t kernel_image_start(const struct kernel_image *image);
uint64_t kernel_image_end(const struct kernel_image *image);
uint64_t kernel_image_entry(const struct kernel_image *image);

/* A lower bound, in bytes, of the memory that the domain needs to be built. */
uint64_t kernel_image_least_memory(const struct kernel_image *image, uint64_t ramdisk_size);

/* "HYPERCALL_PAGE" for 2, NULL for a type that <xen/elfnote.h> does not have. */
const char *kernel_note_name(unsigned type);
