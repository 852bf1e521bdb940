/*
 * ELF64 programs, fixed (ET_EXEC) or placed by us (ET_DYN), and the dynamic linker
 * that some ask for.  Segments become areas; nothing is read before it is touched.
 */
#include "errno.h"
#include "exec.h"
#include "inode.h"
#include "layout.h"
#include "print.h"
#include "space.h"
#include "text.h"

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count;
    uint16_t section_header_size, section_header_count, section_names;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, size, align;
};

#define ELF_EXEC        2
#define ELF_DYN         3
#define ELF_X86_64      62
#define SEGMENT_LOAD    1
#define SEGMENT_INTERP  3
#define SEGMENTS_MAX    64
#define SEGMENT_EXECUTE 1
#define SEGMENT_WRITE   2
#define SEGMENT_READ    4
#define INTERPRETER_MAX 256

static int header_check(const struct elf_header *h, size_t size)
{
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    if (size < sizeof(*h) || memcmp(h->ident, magic, sizeof(magic)))
        return -ENOEXEC;
    if ((h->type != ELF_EXEC && h->type != ELF_DYN) || h->machine != ELF_X86_64 ||
        h->program_header_size != sizeof(struct elf_segment) || !h->program_header_count ||
        h->program_header_count > SEGMENTS_MAX)
        return -ENOEXEC;
    return 0;
}

static unsigned segment_protection(const struct elf_segment *s)
{
    return (s->flags & SEGMENT_READ ? PROT_READ : 0) | (s->flags & SEGMENT_WRITE ? PROT_WRITE : 0) |
           (s->flags & SEGMENT_EXECUTE ? PROT_EXEC : 0);
}

/*
 *      |<-- file pages -->|<-- zero pages -->|
 *      start      file_end                 end      what is between file_end and
 *                                                   the page's end must be zeroed
 */
static int segment_map(struct inode *file, struct space *space, const struct elf_segment *s,
                       uintptr_t base, struct elf_image *image)
{
    const uintptr_t start = base + s->address, file_end = start + s->file_size;
    const uintptr_t end = start + s->size;
    const uintptr_t first = start & PAGE_MASK, boundary = ROUND_UP(file_end, PAGE_SIZE);
    const uintptr_t last = ROUND_UP(end, PAGE_SIZE);
    const unsigned protection = segment_protection(s);
    int rc = 0;

    if (s->size < s->file_size || start % PAGE_SIZE != s->offset % PAGE_SIZE || end < start ||
        end > USER_END || start < USER_START)
        return -ENOEXEC;
    if (s->file_size)
        rc = inode_load_mapping(file, s->offset & PAGE_MASK, boundary - first, false);
    if (!rc && s->file_size)
        rc = space_map(space, first, boundary - first, protection, SHARING_NONE, file,
                       s->offset & PAGE_MASK);
    if (!rc && last > boundary)
        rc = space_map(space, s->file_size ? boundary : first,
                       last - (s->file_size ? boundary : first), protection, SHARING_NONE, NULL, 0);
    if (rc)
        return rc;
    if (s->file_size && end > file_end && file_end < boundary) {
        if (image->zeroes == ARRAY_SIZE(image->zero_from))
            return -ENOEXEC;
        image->zero_from[image->zeroes] = file_end;
        image->zero_to[image->zeroes++] = boundary;
    }
    image->end = MAX(image->end, end);
    return 0;
}

/* All segments of one file that are to be loaded. */
static int segments_map(struct inode *file, struct space *space, const struct elf_header *h,
                        uintptr_t base, struct elf_image *image)
{
    struct elf_segment s;
    for (unsigned i = 0; i < h->program_header_count; i++) {
        const uint64_t at = h->program_headers + i * sizeof(s);
        if (inode_read(file, at, &s, sizeof(s)) != sizeof(s))
            return -ENOEXEC;
        if (s.type != SEGMENT_LOAD)
            continue;
        const int rc = segment_map(file, space, &s, base, image);
        if (rc)
            return rc;
        if (h->program_headers >= s.offset && h->program_headers < s.offset + s.file_size)
            image->headers = base + s.address + h->program_headers - s.offset;
    }
    return image->end && base + h->entry < USER_END ? 0 : -ENOEXEC;
}

/* How much room the segments take, from address zero. */
static size_t image_size(struct inode *file, const struct elf_header *h)
{
    struct elf_segment s;
    uint64_t end = 0;
    for (unsigned i = 0; i < h->program_header_count; i++)
        if (inode_read(file, h->program_headers + i * sizeof(s), &s, sizeof(s)) == sizeof(s) &&
            s.type == SEGMENT_LOAD && s.address < USER_END && s.size < USER_END)
            end = MAX(end, s.address + s.size);
    return ROUND_UP(end, PAGE_SIZE);
}

/* The path in the program's interpreter segment: 0 and an empty one if it has none. */
static int interpreter_path(struct inode *file, const struct elf_header *h,
                            char path[INTERPRETER_MAX])
{
    struct elf_segment s;
    path[0] = 0;
    for (unsigned i = 0; i < h->program_header_count; i++) {
        const uint64_t at = h->program_headers + i * sizeof(s);
        if (inode_read(file, at, &s, sizeof(s)) != sizeof(s))
            return -ENOEXEC;
        if (s.type != SEGMENT_INTERP)
            continue;
        if (s.file_size < 2 || s.file_size > INTERPRETER_MAX ||
            inode_read(file, s.offset, path, s.file_size) != s.file_size || path[s.file_size - 1])
            return -ENOEXEC;
    }
    return 0;
}

/* Map the dynamic linker as well; it starts instead of the program. */
static int interpreter_map(const char *path, struct space *space, struct elf_image *image)
{
    struct elf_header h;
    struct inode *file;
    struct elf_image linker = {0};
    int rc = path_find(inode_root(), path, 0, &file);
    if (rc)
        return rc;
    rc = header_check(&h, inode_read(file, 0, &h, sizeof(h)));
    if (!rc) {
        const size_t size = image_size(file, &h);
        linker.base = h.type == ELF_DYN && size ? space_gap(space, size) : 0;
        rc = linker.base ? segments_map(file, space, &h, linker.base, &linker) : -ENOEXEC;
    }
    inode_put(file);
    if (rc)
        return rc == -ENOEXEC ? -ELIBBAD : rc;
    image->base = linker.base;
    image->start = linker.base + h.entry;
    for (unsigned i = 0; i < linker.zeroes && image->zeroes < ARRAY_SIZE(image->zero_from); i++) {
        image->zero_from[image->zeroes] = linker.zero_from[i];
        image->zero_to[image->zeroes++] = linker.zero_to[i];
    }
    return 0;
}

int elf_map(struct inode *file, struct space *space, struct elf_image *image)
{
    char interpreter[INTERPRETER_MAX];
    struct elf_header h;
    int rc = header_check(&h, inode_read(file, 0, &h, sizeof(h)));
    if (!rc)
        rc = interpreter_path(file, &h, interpreter);
    if (rc)
        return rc;
    const uintptr_t base = h.type == ELF_DYN ? USER_IMAGE_BASE : 0;
    *image = (struct elf_image){
        .start = base + h.entry, .entry = base + h.entry, .header_count = h.program_header_count};
    rc = segments_map(file, space, &h, base, image);
    return rc || !interpreter[0] ? rc : interpreter_map(interpreter, space, image);
}
