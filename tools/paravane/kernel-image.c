/*
 * Opening a guest kernel: find the ELF in the file, then read its headers and
 * notes with libelf.  See kernel-image.h for the picture.
 */
#include "kernel-image.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <xen/elfnote.h>

#include "file.h"
#include "memory.h"

/* Name, type, and whether its value is a string (else a number). */
#define NOTE_LIST(N)             \
    N(INFO, false)               \
    N(ENTRY, false)              \
    N(HYPERCALL_PAGE, false)     \
    N(VIRT_BASE, false)          \
    N(PADDR_OFFSET, false)       \
    N(XEN_VERSION, true)         \
    N(GUEST_OS, true)            \
    N(GUEST_VERSION, true)       \
    N(LOADER, true)              \
    N(PAE_MODE, true)            \
    N(FEATURES, true)            \
    N(BSD_SYMTAB, true)          \
    N(HV_START_LOW, false)       \
    N(L1_MFN_VALID, false)       \
    N(SUSPEND_CANCEL, false)     \
    N(INIT_P2M, false)           \
    N(MOD_START_PFN, false)      \
    N(SUPPORTED_FEATURES, false) \
    N(PHYS32_ENTRY, false)

static const struct {
    const char *name;
    bool is_string;
} note_types[KERNEL_NOTES] = {
#define N(name, string) [XEN_ELFNOTE_##name] = {#name, string},
    NOTE_LIST(N)
#undef N
};

const char *kernel_note_name(unsigned type)
{
    return type < KERNEL_NOTES ? note_types[type].name : NULL;
}

/* --- Unpacking ----------------------------------------------------------- */

static bool is_elf(const void *data, size_t size)
{
    return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static uint32_t get_le32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Offsets in a bzImage. */
enum setup_header {
    SETUP_SECTS = 0x1f1,
    SETUP_BOOT_FLAG = 0x1fe,
    SETUP_MAGIC = 0x202,
    SETUP_VERSION = 0x206,
    SETUP_PAYLOAD_OFFSET = 0x248,
    SETUP_PAYLOAD_LENGTH = 0x24c,
    SETUP_END = 0x250,
};

static bool is_bzimage(const unsigned char *data, size_t size)
{
    return size >= SETUP_END && data[SETUP_BOOT_FLAG] == 0x55 &&
           data[SETUP_BOOT_FLAG + 1] == 0xaa && memcmp(data + SETUP_MAGIC, "HdrS", 4) == 0;
}

/*
 * The payload of a bzImage, and the size that it unpacks to; false if the
 * header points outside the file.  That size stands in the payload's last four
 * bytes: gzip's format puts it there, for the others Linux appends it.
 */
static bool bzimage_payload(const unsigned char *data, size_t size, size_t *start, size_t *length,
                            size_t *unpacked)
{
    unsigned version = data[SETUP_VERSION] | data[SETUP_VERSION + 1] << 8;
    unsigned sects = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4; /* 0 means 4, says the protocol */

    *start = (sects + 1) * 512ul + get_le32(data + SETUP_PAYLOAD_OFFSET);
    *length = get_le32(data + SETUP_PAYLOAD_LENGTH);
    if (version < 0x0208 || *start > size || *length > size - *start || *length < 8)
        return false;
    const unsigned char *payload = data + *start;
    bool gzip = payload[0] == 0x1f && payload[1] == 0x8b;
    *unpacked = get_le32(payload + *length - 4);
    *length -= gzip ? 0 : 4;
    return true;
}

/* Decompress whatever libarchive knows; true if an ELF file came out, whole. */
static bool kernel_image_unpack(const void *data, size_t size, struct bytes *out, char codec[16])
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    bool ok = false;

    archive_read_support_filter_all(a);
    archive_read_support_format_raw(a);
    if (archive_read_open_memory(a, data, size) == ARCHIVE_OK &&
        archive_read_next_header(a, &entry) == ARCHIVE_OK && archive_filter_code(a, 0) != 0) {
        static char block[1 << 16];
        ssize_t got;
        while ((got = archive_read_data(a, block, sizeof(block))) > 0)
            bytes_append(out, block, (size_t)got);
        ok = got == 0 && is_elf(out->data, out->size);
        strncpy(codec, archive_filter_name(a, 0), 15);
    }
    archive_read_free(a);
    return ok;
}

/* Replace image->data, the whole file, by the ELF inside it. */
static enum verdict find_elf(struct kernel_image *image)
{
    size_t start = 0, length = image->size, unpacked = 0;
    struct bytes elf = {0};

    image->kind = "ELF";
    if (is_elf(image->data, image->size))
        return VERDICT_OK;

    image->kind = "compressed ELF";
    bool bz = is_bzimage(image->data, image->size);
    if (bz) {
        image->kind = "bzImage";
        if (!bzimage_payload(image->data, image->size, &start, &length, &unpacked))
            return verdict_say(VERDICT_BAD_KERNEL,
                               "%s is a bzImage whose header points outside the file; it is cut "
                               "off or older than boot protocol 2.08, get it again",
                               image->path);
    }
    if (!kernel_image_unpack((char *)image->data + start, length, &elf, image->codec) ||
        (bz && elf.size != unpacked)) {
        bytes_free(&elf);
        if (bz)
            return verdict_say(VERDICT_BAD_KERNEL,
                               "%s is a bzImage whose payload does not unpack to an ELF file; it "
                               "is damaged, get it again",
                               image->path);
        return verdict_say(VERDICT_NOT_ELF,
                           "%s is neither an ELF file nor a bzImage; give the path of a guest "
                           "kernel (or a configuration whose name ends in .cfg)",
                           image->path);
    }
    free(image->data);
    image->data = elf.data;
    image->size = elf.size;
    image->unpacked = true;
    return VERDICT_OK;
}

/* --- Parsing ------------------------------------------------------------- */

static void read_segments(struct kernel_image *image, Elf *elf, size_t count)
{
    image->segments = memory_zalloc(count * sizeof(*image->segments));
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_LOAD)
            continue;
        image->segments[image->segment_count++] = (struct kernel_segment){
            .vaddr = p.p_vaddr,
            .paddr = p.p_paddr,
            .offset = p.p_offset,
            .file_size = p.p_filesz,
            .memory_size = p.p_memsz,
            .flags = p.p_flags,
        };
    }
}

static void read_note(struct kernel_image *image, unsigned type, const char *value, size_t size)
{
    image->xen_notes++;
    if (!kernel_note_name(type)) {
        image->unknown_notes++;
        return;
    }
    struct kernel_note *note = &image->notes[type];
    note->present = true;
    note->is_string = note_types[type].is_string;
    if (note->is_string) {
        size_t n = size < sizeof(note->text) ? size : sizeof(note->text) - 1;
        memcpy(note->text, value, n);
        note->text[n] = '\0';
    } else {
        memcpy(&note->number, value, size < 8 ? size : 8); /* 4 or 8 bytes, little-endian */
    }
}

static void read_notes(struct kernel_image *image, Elf_Data *notes)
{
    GElf_Nhdr header;
    size_t name, value;

    if (!notes)
        return;
    for (size_t at = 0; (at = gelf_getnote(notes, at, &header, &name, &value)) > 0;) {
        const char *base = notes->d_buf;
        if (header.n_namesz == 4 && memcmp(base + name, "Xen", 4) == 0)
            read_note(image, header.n_type, base + value, header.n_descsz);
    }
}

/* PT_NOTE is what loaders read; images without it are read by section, as Xen does. */
static void read_all_notes(struct kernel_image *image, Elf *elf, size_t segments)
{
    for (size_t i = 0; i < segments; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_NOTE)
            read_notes(image, elf_getdata_rawchunk(elf, (int64_t)p.p_offset, p.p_filesz,
                                                   p.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR));
    }
    for (Elf_Scn *s = NULL; !image->xen_notes && (s = elf_nextscn(elf, s));) {
        GElf_Shdr header;
        if (gelf_getshdr(s, &header) && header.sh_type == SHT_NOTE)
            read_notes(image, elf_getdata(s, NULL));
    }
}

/* How images said it before there were notes, in a section: "NAME=VALUE,...". */
static const struct {
    const char *name;
    unsigned type;
} guest_words[] = {
    {"GUEST_OS", XEN_ELFNOTE_GUEST_OS},     {"GUEST_VER", XEN_ELFNOTE_GUEST_VERSION},
    {"XEN_VER", XEN_ELFNOTE_XEN_VERSION},   {"VIRT_BASE", XEN_ELFNOTE_VIRT_BASE},
    {"VIRT_ENTRY", XEN_ELFNOTE_ENTRY},      {"ELF_PADDR_OFFSET", XEN_ELFNOTE_PADDR_OFFSET},
    {"LOADER", XEN_ELFNOTE_LOADER},         {"HYPERCALL_PAGE", XEN_ELFNOTE_HYPERCALL_PAGE},
    {"FEATURES", XEN_ELFNOTE_FEATURES},     {"PAE", XEN_ELFNOTE_PAE_MODE},
    {"BSD_SYMTAB", XEN_ELFNOTE_BSD_SYMTAB},
};

static void read_guest_word(struct kernel_image *image, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(guest_words) / sizeof(guest_words[0]); i++) {
        if (strcmp(guest_words[i].name, name) != 0)
            continue;
        uint64_t number = strtoull(value, NULL, 0);
        if (note_types[guest_words[i].type].is_string)
            read_note(image, guest_words[i].type, value, strlen(value));
        else
            read_note(image, guest_words[i].type, (const char *)&number, sizeof(number));
        return;
    }
}

/* The hypercall page is a frame number there, and physical addresses count from the base. */
static void read_guest_section(struct kernel_image *image, const char *data, size_t size)
{
    char *text = memory_zalloc(size + 1), *save = NULL;

    memcpy(text, data, size);
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        read_guest_word(image, word, value ? value : "yes");
    }
    free(text);
    image->guest_section = true;
    struct kernel_note *base = &image->notes[XEN_ELFNOTE_VIRT_BASE],
                       *page = &image->notes[XEN_ELFNOTE_HYPERCALL_PAGE],
                       *offset = &image->notes[XEN_ELFNOTE_PADDR_OFFSET];
    if (page->present)
        page->number = (page->number << 12) + base->number;
    if (!offset->present)
        *offset = *base;
}

static void find_guest_section(struct kernel_image *image, Elf *elf)
{
    size_t names;

    if (elf_getshdrstrndx(elf, &names) != 0)
        return;
    for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
        GElf_Shdr header;
        const char *name = gelf_getshdr(s, &header) ? elf_strptr(elf, names, header.sh_name) : NULL;
        Elf_Data *data = name && strcmp(name, "__xen_guest") == 0 ? elf_getdata(s, NULL) : NULL;
        if (data && data->d_buf) {
            read_guest_section(image, data->d_buf, data->d_size);
            return;
        }
    }
}

static enum verdict read_elf(struct kernel_image *image)
{
    GElf_Ehdr header;
    size_t segments = 0;

    elf_version(EV_CURRENT);
    Elf *elf = elf_memory(image->data, image->size);
    if (!elf || !gelf_getehdr(elf, &header)) {
        elf_end(elf);
        return verdict_say(VERDICT_NOT_ELF,
                           "%s begins like an ELF file but has no whole ELF header; it is cut off, "
                           "get it again",
                           image->path);
    }
    image->elf_class = header.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    image->elf_machine = header.e_machine;
    image->elf_type = header.e_type;
    image->elf_entry = header.e_entry;
    if (elf_getphdrnum(elf, &segments) == 0) {
        read_segments(image, elf, segments);
        read_all_notes(image, elf, segments);
        if (!image->xen_notes)
            find_guest_section(image, elf);
    }
    elf_end(elf);
    return VERDICT_OK;
}

enum verdict kernel_image_open(struct kernel_image *image, const char *path)
{
    *image = (struct kernel_image){.path = memory_strdup(path)};
    enum verdict v = file_read(path, "the kernel", &image->data, &image->size);
    if (v == VERDICT_OK)
        v = find_elf(image);
    if (v == VERDICT_OK)
        v = read_elf(image);
    return v;
}

void kernel_image_close(struct kernel_image *image)
{
    free(image->path);
    free(image->data);
    free(image->segments);
    *image = (struct kernel_image){0};
}

/* --- Judging ------------------------------------------------------------- */

static uint64_t note_number(const struct kernel_image *image, unsigned type, uint64_t otherwise)
{
    return image->notes[type].present ? image->notes[type].number : otherwise;
}

uint64_t kernel_image_start(const struct kernel_image *image)
{
    uint64_t start = UINT64_MAX;
    for (size_t i = 0; i < image->segment_count; i++)
        if (image->segments[i].paddr < start)
            start = image->segments[i].paddr;
    return start - note_number(image, XEN_ELFNOTE_PADDR_OFFSET, 0);
}

uint64_t kernel_image_end(const struct kernel_image *image)
{
    uint64_t end = 0;
    for (size_t i = 0; i < image->segment_count; i++)
        if (image->segments[i].paddr + image->segments[i].memory_size > end)
            end = image->segments[i].paddr + image->segments[i].memory_size;
    return end - note_number(image, XEN_ELFNOTE_PADDR_OFFSET, 0);
}

uint64_t kernel_image_entry(const struct kernel_image *image)
{
    return note_number(image, XEN_ELFNOTE_ENTRY, image->elf_entry);
}

/*
 * Image, ramdisk, the list of its frames (8 bytes a page), page tables for all
 * of that, and the 512 KiB that the ABI promises behind the boot stack.  The
 * builder may need a little more; it says so itself then.
 */
uint64_t kernel_image_least_memory(const struct kernel_image *image, uint64_t ramdisk_size)
{
    uint64_t loaded = kernel_image_end(image) + ramdisk_size + (512 << 10);
    return loaded + loaded / 512 * 2 + (64 << 10);
}

/*
 * FEATURES is "name|!name|...": a name with `!` must be provided, one without
 * may be.  Returns the first that must be and is not, to any 64-bit PV guest.
 */
static const char *impossible_feature(const struct kernel_note *features)
{
    static const char *const never[] = {"auto_translated_physmap", "supervisor_mode_kernel",
                                        "hvm_callback_vector", "hvm_safe_pvclock", "hvm_pirqs"};
    if (!features->present)
        return NULL;
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        const char *at = strstr(features->text, never[i]);
        if (at && at > features->text && at[-1] == '!')
            return never[i];
    }
    return NULL;
}

/* Notes that make a PV guest; PHYS32_ENTRY makes a PVH one, and a name of the system none. */
static bool has_pv_notes(const struct kernel_image *image)
{
    static const unsigned char pv[] = {XEN_ELFNOTE_XEN_VERSION, XEN_ELFNOTE_ENTRY,
                                       XEN_ELFNOTE_VIRT_BASE, XEN_ELFNOTE_HYPERCALL_PAGE};
    for (size_t i = 0; i < sizeof(pv); i++)
        if (image->notes[pv[i]].present)
            return true;
    return false;
}

static char *why_no_class(const struct kernel_image *image, enum verdict *v)
{
    if (image->elf_machine == EM_X86_64 && image->elf_class == 64)
        return NULL;
    bool x86 = image->elf_machine == EM_386 || image->elf_machine == EM_X86_64;
    if (x86 && has_pv_notes(image)) {
        *v = VERDICT_PV32;
        return memory_format("it is a 32-bit paravirtualized guest, and only 64-bit ones run here; "
                             "use an amd64 build");
    }
    *v = VERDICT_BAD_KERNEL;
    return memory_format("it is an ELF%u file for machine %u, not for x86-64; use an amd64 build",
                         image->elf_class, image->elf_machine);
}

static char *why_no_notes(const struct kernel_image *image, enum verdict *v)
{
    if (has_pv_notes(image))
        return NULL;
    *v = VERDICT_NO_XEN_NOTES;
    if (image->notes[XEN_ELFNOTE_PHYS32_ENTRY].present)
        return memory_format("its only Xen note is for PVH boot, which needs --native; or build it "
                             "with support for PV guests (Linux: CONFIG_XEN_PV=y)");
    return memory_format("it has no ELF notes of owner \"Xen\" and no section __xen_guest; build "
                         "it with support for PV "
                         "guests (Linux: CONFIG_XEN_PV=y)");
}

static char *why_no_segment(const struct kernel_image *image, const struct kernel_segment *s)
{
    const char *cause = s->offset > image->size || s->file_size > image->size - s->offset
                            ? "lies outside the file"
                        : s->file_size > s->memory_size ? "is longer in the file than in memory"
                        : s->paddr + s->memory_size < s->paddr ? "wraps around the address space"
                                                               : NULL;
    return cause
               ? memory_format("its segment at file offset %#lx %s; the file is cut off or wrongly "
                               "linked",
                               (unsigned long)s->offset, cause)
               : NULL;
}

/* Asked before the notes: a file that is cut off may have lost them. */
static char *why_no_segments(const struct kernel_image *image, enum verdict *v)
{
    char *why = NULL;

    *v = VERDICT_BAD_KERNEL;
    if (image->segment_count == 0)
        return memory_format("it has no segments to load; link it as an executable");
    for (size_t i = 0; !why && i < image->segment_count; i++)
        why = why_no_segment(image, &image->segments[i]);
    return why;
}

static bool entry_is_loaded(const struct kernel_image *image)
{
    uint64_t base = note_number(image, XEN_ELFNOTE_VIRT_BASE, 0);
    uint64_t at = kernel_image_entry(image) - base;
    return at >= kernel_image_start(image) && at < kernel_image_end(image);
}

static char *why_no_load(const struct kernel_image *image, enum verdict *v)
{
    const char *feature = impossible_feature(&image->notes[XEN_ELFNOTE_FEATURES]);
    const struct kernel_note *version = &image->notes[XEN_ELFNOTE_XEN_VERSION];

    *v = VERDICT_BAD_KERNEL;
    if (version->present && strcmp(version->text, "xen-3.0") != 0)
        return memory_format("its note XEN_VERSION says \"%s\"; the one interface there is, is "
                             "called \"xen-3.0\"",
                             version->text);
    if (feature)
        return memory_format("its note FEATURES demands %s, which no 64-bit PV guest gets; build "
                             "it for PV",
                             feature);
    if (!entry_is_loaded(image))
        return memory_format("its entry %#lx lies outside its segments; check the notes ENTRY, "
                             "VIRT_BASE and PADDR_OFFSET",
                             (unsigned long)kernel_image_entry(image));
    return NULL;
}

enum verdict kernel_image_check(const struct kernel_image *image, char **why)
{
    enum verdict v = VERDICT_OK;
    char *(*const questions[])(const struct kernel_image *, enum verdict *) = {
        why_no_class, why_no_segments, why_no_notes, why_no_load};

    *why = NULL;
    for (size_t i = 0; !*why && i < sizeof(questions) / sizeof(questions[0]); i++)
        *why = questions[i](image, &v);
    return *why ? v : VERDICT_OK;
}

/* --- On the bare machine ------------------------------------------------- */

enum { MULTIBOOT_MAGIC = 0x1badb002, MULTIBOOT_SEARCH = 8192 };

bool kernel_image_is_bzimage(const struct kernel_image *image)
{
    return strcmp(image->kind, "bzImage") == 0;
}

/* Magic, flags and their checksum, on four bytes, near the beginning of the file. */
static bool has_multiboot_header(const struct kernel_image *image)
{
    const unsigned char *data = image->data;
    for (size_t at = 0; at + 12 <= image->size && at + 12 <= MULTIBOOT_SEARCH; at += 4)
        if (get_le32(data + at) == MULTIBOOT_MAGIC &&
            get_le32(data + at) + get_le32(data + at + 4) + get_le32(data + at + 8) == 0)
            return true;
    return false;
}

enum verdict kernel_image_check_native(const struct kernel_image *image, char **why)
{
    *why = NULL;
    if (kernel_image_is_bzimage(image) || image->notes[XEN_ELFNOTE_PHYS32_ENTRY].present ||
        has_multiboot_header(image))
        return VERDICT_OK;
    *why = memory_format(has_pv_notes(image)
                             ? "it is a PV guest; leave out --native, or take the kernel's native "
                               "build"
                             : "QEMU loads a bzImage, an ELF file with a PVH note, or one with a "
                               "multiboot header; this is none of them");
    return VERDICT_BAD_KERNEL;
}
