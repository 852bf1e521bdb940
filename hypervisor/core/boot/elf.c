/*
 * Reading a guest's kernel: ELF64 and the notes in which it says how it wants to be started.
 *
 *   +--------+-----------------+----------------------------+-----------------+
 *   | header | program headers | segments (one holds notes) | section headers |
 *   +--------+-----------------+----------------------------+-----------------+
 *
 * A Xen note is {namesz = 4, descsz, type, "Xen\0", descriptor}; numbers and strings are
 * described in <xen/elfnote.h>.  Notes are looked for in PT_NOTE segments, and, if none is
 * Xen's, in SHT_NOTE sections (an image that was linked without program headers for them), and, if
 * there is none, either, in the section __xen_guest, as images had it before there were notes.
 *
 * The file comes from outside and may hold anything.  Every offset is checked by span(),
 * which cannot overflow, headers are copied out before they are looked at, every loop advances
 * through the file or counts at most 65535 headers, and what headers can multiply is bounded: notes
 * by the size of the file, segments by not overlapping.
 */
#include "elf.h"
#include "lib.h"
#include "guest-range.h"
#include "pte.h"

#include <xen/elfnote.h>

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF64 header");

struct elf_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_phdr) == 56, "ELF64 program header");

struct elf_shdr {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};
_Static_assert(sizeof(struct elf_shdr) == 64, "ELF64 section header");

struct elf_note {
    uint32_t namesz, descsz, type;
};

#define CLASS_32       1
#define CLASS_64       2
#define DATA_LITTLE    1
#define MACHINE_X86_64 62
#define PT_LOAD        1
#define PT_NOTE        4
#define PF_RWX         7
#define SHT_NOTE       7

/* No guest is that large; keeps all sums far from overflow. */
#define PHYS_LIMIT BIT(46)

int boot_error_(struct boot_error *e, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c)
{
    e->rule = rule;
    e->a = a;
    e->b = b;
    e->c = c;
    return -XEN_EINVAL;
}

/* @length bytes at @offset, or NULL if they are not all inside the file. */
static const uint8_t *span(const struct kernel_image *k, uint64_t offset, uint64_t length)
{
    if (offset > k->size || length > k->size - offset)
        return NULL;
    return k->file + offset;
}

static bool read_phdr(const struct kernel_image *k, const struct elf_header *h, unsigned i,
                      struct elf_phdr *out)
{
    if (i >= h->phnum)
        return false;
    const uint8_t *at = span(k, h->phoff, (uint64_t)h->phnum * h->phentsize);
    if (!at)
        return false;
    memcpy(out, at + (uint64_t)i * h->phentsize, sizeof(*out));
    return true;
}

static bool loadable(const struct elf_phdr *p)
{
    return p->type == PT_LOAD && (p->flags & PF_RWX) && p->memsz;
}

bool elf_next_segment(const struct kernel_image *k, unsigned *cursor, struct elf_segment *s)
{
    struct elf_header h;
    struct elf_phdr p;

    memcpy(&h, k->file, sizeof(h));
    while (read_phdr(k, &h, (*cursor)++, &p)) {
        if (!loadable(&p))
            continue;
        s->from = k->file + p.offset;
        s->at = p.paddr - k->paddr_offset;
        s->bytes = p.filesz;
        s->zeroes = p.memsz - p.filesz;
        return true;
    }
    return false;
}

/* --- headers --------------------------------------------------------------------------------- */

static int check_header(const struct kernel_image *k, struct elf_header *h, struct boot_error *e)
{
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};

    if (k->size < sizeof(*h) || memcmp(k->file, magic, sizeof(magic))) {
        const uint8_t *hdrs = span(k, 0x202, 4);
        if (hdrs && !memcmp(hdrs, "HdrS", 4))
            return boot_error(e, IMAGE_IS_BZIMAGE);
        uint32_t first = 0;
        memcpy(&first, k->file, MIN(k->size, sizeof(first)));
        return boot_error(e, IMAGE_NOT_ELF, first, k->size);
    }
    memcpy(h, k->file, sizeof(*h));
    if (h->ident[4] == CLASS_32)
        return boot_error(e, IMAGE_32_BIT);
    if (h->ident[4] != CLASS_64 || h->ident[5] != DATA_LITTLE || h->machine != MACHINE_X86_64)
        return boot_error(e, IMAGE_OTHER_MACHINE, h->ident[4], h->ident[5], h->machine);
    if (h->phentsize < sizeof(struct elf_phdr) ||
        !span(k, h->phoff, (uint64_t)h->phnum * h->phentsize))
        return boot_error(e, IMAGE_HEADERS_OUTSIDE, h->phnum, h->phoff, k->size);
    return 0;
}

/* --- notes ----------------------------------------------------------------------------------- */

struct notes {
    bool any, virt_base, paddr_offset, version, hypercall;
    uint64_t hypercall_frame; /* of __xen_guest: counts from VIRT_BASE; if @hypercall */
    uint64_t
        budget; /* bytes still to be looked at: headers may name the same ones again and again */
};

/* A number is 1, 2, 4 or 8 bytes (4 is what 32-bit assemblers write). */
static int note_number(const uint8_t *desc, uint32_t size, uint32_t type, uint64_t *out,
                       struct boot_error *e)
{
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return boot_error(e, IMAGE_NOTE_LENGTH, type, size);
    *out = 0;
    memcpy(out, desc, size);
    return 0;
}

/* A list like "!one|two": does it hold @word? */
static bool demands(const uint8_t *desc, uint32_t size, const char *word)
{
    size_t length = strlen(word);

    for (; size >= length; desc++, size--)
        if (!memcmp(desc, word, length))
            return true;
    return false;
}

static int note_apply(struct kernel_image *k, struct notes *n, uint32_t type, const uint8_t *desc,
                      uint32_t size, struct boot_error *e)
{
    uint64_t number;

    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        return note_number(desc, size, type, &k->entry, e);
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        return note_number(desc, size, type, &k->hypercall_page, e);
    case XEN_ELFNOTE_VIRT_BASE:
        n->virt_base = true;
        return note_number(desc, size, type, &k->virt_base, e);
    case XEN_ELFNOTE_PADDR_OFFSET:
        n->paddr_offset = true;
        return note_number(desc, size, type, &k->paddr_offset, e);
    case XEN_ELFNOTE_INIT_P2M:
        return note_number(desc, size, type, &k->p2m_base, e);
    case XEN_ELFNOTE_MOD_START_PFN:
        if (note_number(desc, size, type, &number, e))
            return -XEN_EINVAL;
        k->mod_start_pfn = number != 0;
        return 0;
    case XEN_ELFNOTE_FEATURES:
        return demands(desc, size, "!auto_translated_physmap")
                   ? boot_error(e, IMAGE_AUTO_TRANSLATED)
                   : 0;
    case XEN_ELFNOTE_XEN_VERSION:
        n->version = true;
        return size >= 7 && !memcmp(desc, "xen-3.0", 7) ? 0 : boot_error(e, IMAGE_OTHER_INTERFACE);
    default: /* what we need not know: names, versions, features, where the hypervisor may start */
        return 0;
    }
}

/* The notes of one segment or section; a note that overruns it ends the list. */
static int note_list(struct kernel_image *k, struct notes *n, const uint8_t *at, uint64_t size,
                     struct boot_error *e)
{
    if (size > n->budget)
        return boot_error(e, IMAGE_NOTES_OVERLAP, k->size);
    n->budget -= size;
    while (size >= sizeof(struct elf_note)) {
        struct elf_note note;
        memcpy(&note, at, sizeof(note));
        uint64_t name = ROUND_UP((uint64_t)note.namesz, 4),
                 desc = ROUND_UP((uint64_t)note.descsz, 4);
        uint64_t rest = size - sizeof(note);

        if (name > rest || note.descsz > rest - name)
            break;
        at += sizeof(note);
        if (note.namesz == 4 && !memcmp(at, "Xen", 4)) {
            n->any = true;
            int rc = note_apply(k, n, note.type, at + name, note.descsz, e);
            if (rc)
                return rc;
        }
        if (desc > rest - name)
            break;
        at += name + desc;
        size = rest - name - desc;
    }
    return 0;
}

static int notes_of_segments(struct kernel_image *k, const struct elf_header *h, struct notes *n,
                             struct boot_error *e)
{
    struct elf_phdr p;
    int rc = 0;

    for (unsigned i = 0; !rc && read_phdr(k, h, i, &p); i++) {
        const uint8_t *at = p.type == PT_NOTE ? span(k, p.offset, p.filesz) : NULL;
        if (at)
            rc = note_list(k, n, at, p.filesz, e);
    }
    return rc;
}

static int notes_of_sections(struct kernel_image *k, const struct elf_header *h, struct notes *n,
                             struct boot_error *e)
{
    const uint8_t *table = span(k, h->shoff, (uint64_t)h->shnum * h->shentsize);
    int rc = 0;

    if (!table || h->shentsize < sizeof(struct elf_shdr))
        return 0;
    for (unsigned i = 0; !rc && i < h->shnum; i++) {
        struct elf_shdr s;
        memcpy(&s, table + (uint64_t)i * h->shentsize, sizeof(s));
        const uint8_t *at = s.type == SHT_NOTE ? span(k, s.offset, s.size) : NULL;
        if (at)
            rc = note_list(k, n, at, s.size, e);
    }
    return rc;
}

/* --- __xen_guest ----------------------------------------------------------------------------- */

/*
 * One string: "NAME=VALUE,NAME=VALUE,...", up to a zero byte or the end of the section.  Names that are not here
 * (GUEST_OS, LOADER, PAE, BSD_SYMTAB, ...) say nothing that we need to know.  The last of two words with a name
 * counts.  Physical addresses of such images count from VIRT_BASE unless ELF_PADDR_OFFSET says otherwise.
 */
struct guest_word {
    const char *name, *value;
    uint64_t name_length, value_length;
    unsigned number; /* counted from 1 */
};

static bool word_is(const struct guest_word *w, const char *name)
{
    return w->name_length == strlen(name) && !memcmp(w->name, name, w->name_length);
}

/* "0x1f", "017" or "15", all of it, as C writes numbers. */
static int word_number(const struct guest_word *w, uint64_t *out, struct boot_error *e)
{
    const bool hex = w->value_length > 2 && w->value[0] == '0' && (w->value[1] | 0x20) == 'x';
    const unsigned base = hex ? 16 : w->value_length && w->value[0] == '0' ? 8 : 10;

    *out = 0;
    for (uint64_t i = hex ? 2 : 0; i < w->value_length; i++) {
        const char c = w->value[i];
        const unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                               : (c | 0x20) >= 'a' && (c | 0x20) <= 'f'
                                   ? (unsigned)((c | 0x20) - 'a') + 10
                                   : base;
        if (digit >= base || __builtin_mul_overflow(*out, base, out) ||
            __builtin_add_overflow(*out, digit, out))
            return boot_error(e, IMAGE_WORD_NOT_A_NUMBER, w->number);
    }
    return w->value_length ? 0 : boot_error(e, IMAGE_WORD_NOT_A_NUMBER, w->number);
}

static int word_apply(struct kernel_image *k, struct notes *n, const struct guest_word *w,
                      struct boot_error *e)
{
    if (word_is(w, "VIRT_BASE")) {
        n->virt_base = true;
        return word_number(w, &k->virt_base, e);
    }
    if (word_is(w, "ELF_PADDR_OFFSET")) {
        n->paddr_offset = true;
        return word_number(w, &k->paddr_offset, e);
    }
    if (word_is(w, "VIRT_ENTRY"))
        return word_number(w, &k->entry, e);
    if (word_is(w, "HYPERCALL_PAGE")) {
        n->hypercall = true;
        return word_number(w, &n->hypercall_frame, e);
    }
    if (word_is(w, "XEN_VER"))
        return note_apply(k, n, XEN_ELFNOTE_XEN_VERSION, (const uint8_t *)w->value,
                          (uint32_t)w->value_length, e);
    if (word_is(w, "FEATURES"))
        return note_apply(k, n, XEN_ELFNOTE_FEATURES, (const uint8_t *)w->value,
                          (uint32_t)w->value_length, e);
    return 0;
}

/* The next word of [*@at, @end); false: there is none. */
static bool word_next(const char **at, const char *end, struct guest_word *w)
{
    const char *s = *at;

    if (s == end || !*s)
        return false;
    w->name = s;
    while (s < end && *s && *s != ',' && *s != '=')
        s++;
    w->name_length = (uint64_t)(s - w->name);
    if (s < end && *s == '=')
        s++;
    w->value = s;
    while (s < end && *s && *s != ',')
        s++;
    w->value_length = (uint64_t)(s - w->value);
    *at = s + (s < end && *s == ',');
    w->number++;
    return true;
}

static int guest_words(struct kernel_image *k, struct notes *n, const char *at, const char *end,
                       struct boot_error *e)
{
    struct guest_word w = {0};
    int rc = 0;

    n->any = true;
    while (!rc && word_next(&at, end, &w))
        rc = word_apply(k, n, &w, e);
    if (rc)
        return rc;
    if (!n->paddr_offset)
        k->paddr_offset = k->virt_base;
    if (n->hypercall)
        k->hypercall_page = n->hypercall_frame < PHYS_LIMIT >> PAGE_SHIFT
                                ? k->virt_base + (n->hypercall_frame << PAGE_SHIFT)
                                : ELF_UNSET - 1; /* not a page: IM-013 says so */
    return 0;
}

/* Of the section called @name: its header; false: there is none. */
static bool section_named(const struct kernel_image *k, const struct elf_header *h,
                          const char *name, struct elf_shdr *out)
{
    const uint8_t *table = span(k, h->shoff, (uint64_t)h->shnum * h->shentsize);
    const uint64_t length = strlen(name) + 1;
    struct elf_shdr names;

    if (!table || h->shentsize < sizeof(names) || h->shstrndx >= h->shnum)
        return false;
    memcpy(&names, table + (uint64_t)h->shstrndx * h->shentsize, sizeof(names));
    for (unsigned i = 0; i < h->shnum; i++) {
        memcpy(out, table + (uint64_t)i * h->shentsize, sizeof(*out));
        const uint8_t *at = out->name < names.size && length <= names.size - out->name &&
                                    span(k, names.offset, names.size)
                                ? span(k, names.offset + out->name, length)
                                : NULL;
        if (at && !memcmp(at, name, length))
            return true;
    }
    return false;
}

static int read_guest_section(struct kernel_image *k, const struct elf_header *h, struct notes *n,
                              struct boot_error *e)
{
    struct elf_shdr s;
    const char *at =
        section_named(k, h, "__xen_guest", &s) ? (const char *)span(k, s.offset, s.size) : NULL;

    return at ? guest_words(k, n, at, at + s.size, e) : 0;
}

static int read_notes(struct kernel_image *k, const struct elf_header *h, struct boot_error *e)
{
    struct notes n = {.budget = k->size};
    int rc = notes_of_segments(k, h, &n, e);

    if (!rc && !n.any)
        rc = notes_of_sections(k, h, &n, e);
    if (!rc && !n.any)
        rc = read_guest_section(k, h, &n, e);
    if (rc)
        return rc;
    if (!n.any)
        return boot_error(e, IMAGE_WITHOUT_NOTES);
    if (!n.version)
        return boot_error(e, IMAGE_OTHER_INTERFACE);
    if (n.paddr_offset && !n.virt_base)
        return boot_error(e, IMAGE_OFFSET_WITHOUT_BASE, k->paddr_offset);
    return 0;
}

/* --- segments -------------------------------------------------------------------------------- */

static int check_segments(struct kernel_image *k, const struct elf_header *h, struct boot_error *e)
{
    struct elf_phdr p;
    uint64_t sum = 0;

    k->phys_start = ELF_UNSET;
    k->phys_end = 0;
    for (unsigned i = 0; read_phdr(k, h, i, &p); i++) {
        if (!loadable(&p))
            continue;
        if (p.filesz > p.memsz || !span(k, p.offset, p.filesz))
            return boot_error(e, IMAGE_SEGMENT_OUTSIDE, i, p.offset, p.filesz);
        uint64_t at = p.paddr - k->paddr_offset;
        if (p.paddr < k->paddr_offset || at >= PHYS_LIMIT || p.memsz >= PHYS_LIMIT)
            return boot_error(e, IMAGE_SEGMENT_ADDRESS, i, p.paddr, p.memsz);
        sum += p.memsz; /* 65535 times 2^46 at most */
        k->phys_start = MIN(k->phys_start, at);
        k->phys_end = MAX(k->phys_end, at + p.memsz);
    }
    if (!k->phys_end)
        return boot_error(e, IMAGE_NOTHING_TO_LOAD);
    /* Also bounds the time that loading takes. */
    return sum <= k->phys_end - k->phys_start
               ? 0
               : boot_error(e, IMAGE_SEGMENTS_OVERLAP, sum, k->phys_start, k->phys_end);
}

/* The addresses in the notes must make sense before anything is mapped there. */
static int check_addresses(struct kernel_image *k, struct boot_error *e)
{
    uint64_t span_bytes = ROUND_UP(k->phys_end, PAGE_SIZE);

    if (k->virt_base & ~PAGE_MASK || !va_canonical(k->virt_base) ||
        !guest_range_ok(k->virt_base, span_bytes))
        return boot_error(e, IMAGE_VIRT_BASE, k->virt_base, span_bytes);
    if (k->entry < k->virt_base + k->phys_start || k->entry - k->virt_base >= k->phys_end)
        return boot_error(e, IMAGE_ENTRY_OUTSIDE, k->entry, k->virt_base + k->phys_start,
                          k->virt_base + k->phys_end);
    if (k->hypercall_page != ELF_UNSET &&
        (k->hypercall_page & ~PAGE_MASK || k->hypercall_page < k->virt_base ||
         k->hypercall_page - k->virt_base >= span_bytes))
        return boot_error(e, IMAGE_HYPERCALL_PAGE, k->hypercall_page, k->virt_base,
                          k->virt_base + span_bytes);
    if (k->p2m_base != ELF_UNSET && (k->p2m_base & ~PAGE_MASK || !va_canonical(k->p2m_base)))
        return boot_error(e, IMAGE_INIT_P2M, k->p2m_base);
    return 0;
}

int elf_parse(const void *file, uint64_t size, struct kernel_image *k, struct boot_error *e)
{
    struct elf_header h;

    *k = (struct kernel_image){.file = file,
                               .size = size,
                               .entry = ELF_UNSET,
                               .hypercall_page = ELF_UNSET,
                               .p2m_base = ELF_UNSET};
    int rc = check_header(k, &h, e);
    if (!rc)
        rc = read_notes(k, &h, e);
    if (!rc)
        rc = check_segments(k, &h, e);
    if (rc)
        return rc;
    if (k->entry == ELF_UNSET)
        k->entry = h.entry;
    return check_addresses(k, e);
}
