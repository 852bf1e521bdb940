/* Guest kernels: what is read from headers and notes, and the rule that each bad file breaks. */
#include "suite.h"
#include "elf.h"
#include "image.h"

#include <elf.h>
#include <xen/elfnote.h>

static uint8_t file[0x8000];
static size_t size;
static struct kernel_image k;
static struct boot_error e;

static Elf64_Ehdr *header(void)
{
    return (Elf64_Ehdr *)file;
}

static Elf64_Phdr *segment(unsigned i)
{
    return (Elf64_Phdr *)(file + header()->e_phoff) + i;
}

static void start(void)
{
    size = image_kernel(file, sizeof(file));
}

/* Parse a copy that ends where the heap block ends: AddressSanitizer sees a look behind it. */
static int parse(void)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, file, size);
    e = (struct boot_error){0};
    int rc = elf_parse(copy, size, &k, &e);
    if (rc == 0) {
        struct elf_segment s;
        for (unsigned cursor = 0; elf_next_segment(&k, &cursor, &s);)
            cr_assert(memchr(s.from, 0xee, s.bytes) == NULL, "a byte that was not in the file");
    }
    free(copy);
    return rc;
}

#define assert_rule(name)                                                                  \
    do {                                                                                   \
        int rc_ = parse();                                                                 \
        cr_assert(rc_ == -XEN_EINVAL && e.rule == RULE_##name, "%d, %s, expected %s", rc_, \
                  rule_text[e.rule].id, #name);                                            \
    } while (0)

TestSuite(elf, .init = start);

Test(elf, ordinary_kernel_is_understood)
{
    assert_ok(parse());
    assert_eq_long(k.virt_base, IMAGE_BASE);
    assert_eq_long(k.entry, IMAGE_BASE);
    assert_eq_long(k.hypercall_page, IMAGE_BASE + 0x1000);
    assert_eq_long(k.p2m_base, ELF_UNSET);
    assert_eq_long(k.phys_start, 0);
    assert_eq_long(k.phys_end, IMAGE_BYTES);
    cr_assert(!k.mod_start_pfn);
}

Test(elf, not_a_kernel_at_all)
{
    static const char *const text[] = {"", "#!/bin/sh\n", "\x7f", "\177ELF"};
    for (unsigned i = 0; i < ARRAY_SIZE(text); i++) {
        memset(file, 0, sizeof(file));
        size = strlen(text[i]);
        memcpy(file, text[i], size);
        assert_rule(IMAGE_NOT_ELF);
    }
}

Test(elf, compressed_kernel_is_told_apart)
{
    memset(file, 0, sizeof(file));
    size = 0x1000;
    memcpy(file + 0x202, "HdrS", 4);
    assert_rule(IMAGE_IS_BZIMAGE);
}

Test(elf, wrong_kinds_of_elf)
{
    header()->e_ident[EI_CLASS] = ELFCLASS32;
    assert_rule(IMAGE_32_BIT);
    start();
    header()->e_ident[EI_DATA] = ELFDATA2MSB;
    assert_rule(IMAGE_OTHER_MACHINE);
    start();
    header()->e_machine = EM_AARCH64;
    assert_rule(IMAGE_OTHER_MACHINE);
}

Test(elf, program_headers_outside_the_file)
{
    static const uint64_t offset[] = {0x8000, ~0ull, ~0ull - 50, 1ull << 63};
    for (unsigned i = 0; i < ARRAY_SIZE(offset); i++) {
        header()->e_phoff = offset[i];
        assert_rule(IMAGE_HEADERS_OUTSIDE);
    }
    start();
    header()->e_phnum = 65535;
    assert_rule(IMAGE_HEADERS_OUTSIDE);
    start();
    header()->e_phentsize = 8;
    assert_rule(IMAGE_HEADERS_OUTSIDE);
}

Test(elf, segments_outside_the_file)
{
    segment(0)->p_offset = size - 5;
    assert_rule(IMAGE_SEGMENT_OUTSIDE);
    segment(0)->p_offset = ~0ull - 5;
    assert_rule(IMAGE_SEGMENT_OUTSIDE);
    start();
    segment(0)->p_memsz = segment(0)->p_filesz - 1;
    assert_rule(IMAGE_SEGMENT_OUTSIDE);
}

Test(elf, segments_that_no_domain_can_hold)
{
    segment(0)->p_paddr = ~0ull - 100;
    assert_rule(IMAGE_SEGMENT_ADDRESS);
    start();
    segment(0)->p_memsz = 1ull << 46;
    assert_rule(IMAGE_SEGMENT_ADDRESS);
    start();
    segment(0)->p_memsz = ~0ull;
    assert_rule(IMAGE_SEGMENT_ADDRESS);
}

Test(elf, nothing_to_load)
{
    segment(0)->p_type = PT_NULL;
    assert_rule(IMAGE_NOTHING_TO_LOAD);
    start();
    header()->e_phnum = 0;
    assert_rule(IMAGE_WITHOUT_NOTES);
}

Test(elf, notes_that_must_be_there)
{
    static const uint64_t base = IMAGE_BASE, zero;
    const struct image_note none[] = {{XEN_ELFNOTE_GUEST_OS, "test", 5}};
    size = image_elf(file, sizeof(file), NULL, 0);
    assert_rule(IMAGE_WITHOUT_NOTES);
    size = image_elf(file, sizeof(file), none, 1);
    assert_rule(IMAGE_OTHER_INTERFACE);
    const struct image_note old[] = {{XEN_ELFNOTE_XEN_VERSION, "xen-2.0", 8}};
    size = image_elf(file, sizeof(file), old, 1);
    assert_rule(IMAGE_OTHER_INTERFACE);
    const struct image_note offset[] = {{XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8},
                                        {XEN_ELFNOTE_PADDR_OFFSET, &zero, 8}};
    size = image_elf(file, sizeof(file), offset, 2);
    assert_rule(IMAGE_OFFSET_WITHOUT_BASE);
    const struct image_note odd[] = {{XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8},
                                     {XEN_ELFNOTE_VIRT_BASE, &base, 5}};
    size = image_elf(file, sizeof(file), odd, 2);
    assert_rule(IMAGE_NOTE_LENGTH);
}

static void with_number(uint32_t type, uint64_t value)
{
    static const uint64_t base = IMAGE_BASE, entry = IMAGE_BASE;
    const struct image_note notes[] = {{XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8},
                                       {XEN_ELFNOTE_VIRT_BASE, &base, 8},
                                       {XEN_ELFNOTE_ENTRY, &entry, 8},
                                       {type, &value, 8}};
    size = image_elf(file, sizeof(file), notes, ARRAY_SIZE(notes));
}

Test(elf, addresses_that_make_no_sense)
{
    with_number(XEN_ELFNOTE_ENTRY, IMAGE_BASE + IMAGE_BYTES);
    assert_rule(IMAGE_ENTRY_OUTSIDE);
    with_number(XEN_ELFNOTE_ENTRY, 0);
    assert_rule(IMAGE_ENTRY_OUTSIDE);
    with_number(XEN_ELFNOTE_ENTRY, ~0ull - 1);
    assert_rule(IMAGE_ENTRY_OUTSIDE);
    static const uint64_t bad_base[] = {IMAGE_BASE + 1, HYPERVISOR_VIRT_START_,
                                        0x0000800000000000ull, 0x00007ffffffff000ull,
                                        0xfffffffffffff000ull};
    for (unsigned i = 0; i < ARRAY_SIZE(bad_base); i++) {
        with_number(XEN_ELFNOTE_VIRT_BASE, bad_base[i]);
        assert_rule(IMAGE_VIRT_BASE);
    }
    static const uint64_t bad_page[] = {IMAGE_BASE + 8, IMAGE_BASE - 0x1000,
                                        IMAGE_BASE + IMAGE_BYTES, 0};
    for (unsigned i = 0; i < ARRAY_SIZE(bad_page); i++) {
        with_number(XEN_ELFNOTE_HYPERCALL_PAGE, bad_page[i]);
        assert_rule(IMAGE_HYPERCALL_PAGE);
    }
    with_number(XEN_ELFNOTE_INIT_P2M, 0x1234);
    assert_rule(IMAGE_INIT_P2M);
    with_number(XEN_ELFNOTE_INIT_P2M, 0x0000900000000000ull);
    assert_rule(IMAGE_INIT_P2M);
}

Test(elf, note_that_overruns_its_segment_ends_the_list)
{
    Elf64_Phdr *notes = segment(1);
    size_t all = notes->p_filesz;
    for (size_t cut = 0; cut < all; cut++) {
        notes->p_filesz = cut;
        (void)parse(); /* whatever the answer, nothing behind the end is read */
    }
    for (size_t cut = 0; cut < 0x1000; cut += 3) {
        start();
        size = cut;
        cr_assert(parse() < 0, "cut after %zu bytes", cut);
    }
}

Test(elf, note_sizes_of_all_ones)
{
    for (unsigned field = 0; field < 3; field++) {
        start();
        uint32_t *note = (uint32_t *)(file + segment(1)->p_offset);
        note[field] = ~0u;
        (void)parse();
    }
}

/* --- __xen_guest: what images had before there were notes ------------------------------------- */

#define WORDS "GUEST_OS=test,XEN_VER=xen-3.0,LOADER=generic,PAE=yes,BSD_SYMTAB,"
#define BASE  "VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0x0,"

static void with_section(const char *text)
{
    size = image_guest_section(file, sizeof(file), text);
}

Test(elf, section_is_understood)
{
    with_section(WORDS BASE
                 "VIRT_ENTRY=0xFFFFFFFF80001234,HYPERCALL_PAGE=0x1,FEATURES=!writable_page_tables");
    assert_ok(parse());
    assert_eq_long(k.virt_base, IMAGE_BASE);
    assert_eq_long(k.paddr_offset, 0);
    assert_eq_long(k.entry, IMAGE_BASE + 0x1234);
    assert_eq_long(k.hypercall_page, IMAGE_BASE + 0x1000);
    assert_eq_long(k.p2m_base, ELF_UNSET);

    /* The order is free, the last word counts, numbers are C's, an unknown or empty word says nothing. */
    with_section("HYPERCALL_PAGE=02,=,,WHAT,XEN_VER=xen-3.0,VIRT_ENTRY=18446744071562067968,VIRT_"
                 "BASE=1," BASE);
    assert_ok(parse());
    assert_eq_long(k.entry, IMAGE_BASE);
    assert_eq_long(k.hypercall_page, IMAGE_BASE + 0x2000);
}

/* Then p_paddr is the virtual address. */
Test(elf, section_without_an_offset_counts_from_the_base)
{
    with_section("XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000");
    assert_rule(IMAGE_SEGMENT_ADDRESS);
    segment(0)->p_paddr = IMAGE_BASE;
    assert_ok(parse());
    assert_eq_long(k.phys_start, 0);
    assert_eq_long(k.entry, IMAGE_BASE);
    assert_eq_long(k.hypercall_page, ELF_UNSET);
}

Test(elf, notes_count_where_both_are)
{
    const uint64_t zero = 0, base = IMAGE_BASE;
    const struct image_note notes[] = {{XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8},
                                       {XEN_ELFNOTE_VIRT_BASE, &base, 8},
                                       {XEN_ELFNOTE_PADDR_OFFSET, &zero, 8}};
    static uint8_t other[0x4000];

    with_section("VIRT_BASE=nonsense");
    assert_rule(IMAGE_WORD_NOT_A_NUMBER);
    (void)image_elf(other, sizeof(other), notes, ARRAY_SIZE(notes));
    memcpy(file + sizeof(Elf64_Ehdr), other + sizeof(Elf64_Ehdr), 0x1000 - sizeof(Elf64_Ehdr));
    header()->e_phnum = 2;
    assert_ok(parse());
    assert_eq_long(k.virt_base, IMAGE_BASE);
}

Test(elf, sections_that_make_no_sense)
{
    /* clang-format off */
    static const char *const not_a_number[] = {
        "VIRT_BASE=",      "VIRT_BASE",         "VIRT_BASE=0x",          "VIRT_BASE=12z",
        "VIRT_ENTRY=0x1g", "HYPERCALL_PAGE=08", "ELF_PADDR_OFFSET= 1",   "VIRT_BASE=-1",
        "VIRT_BASE=18446744073709551616",       "VIRT_BASE=0x10000000000000000"};
    /* clang-format on */

    for (unsigned i = 0; i < ARRAY_SIZE(not_a_number); i++) {
        with_section(not_a_number[i]);
        assert_rule(IMAGE_WORD_NOT_A_NUMBER);
        assert_eq_long(e.a, 1);
    }
    with_section("");
    assert_rule(IMAGE_OTHER_INTERFACE);
    with_section(BASE "XEN_VER=xen-4.0");
    assert_rule(IMAGE_OTHER_INTERFACE);
    with_section(BASE "XEN_VER=xen-3");
    assert_rule(IMAGE_OTHER_INTERFACE);
    with_section(WORDS BASE "FEATURES=writable_page_tables|!auto_translated_physmap");
    assert_rule(IMAGE_AUTO_TRANSLATED);
    with_section(WORDS "ELF_PADDR_OFFSET=0");
    assert_rule(IMAGE_OFFSET_WITHOUT_BASE);
    with_section(WORDS BASE "HYPERCALL_PAGE=3");
    assert_rule(IMAGE_HYPERCALL_PAGE);
    with_section(WORDS BASE "HYPERCALL_PAGE=0xffffffffffffffff");
    assert_rule(IMAGE_HYPERCALL_PAGE);
    with_section(WORDS BASE "HYPERCALL_PAGE=0x10000000000000");
    assert_rule(IMAGE_HYPERCALL_PAGE);
    with_section(WORDS BASE "VIRT_ENTRY=0");
    assert_rule(IMAGE_ENTRY_OUTSIDE);
}

/* Wherever the file is cut, and whatever the section headers say, nothing outside is read. */
Test(elf, section_headers_are_not_believed)
{
    with_section(WORDS BASE);
    const size_t all = size, headers = header()->e_shoff;
    for (size = headers; size < all; size++)
        (void)parse();
    for (size_t at = headers; at < headers + 3 * sizeof(Elf64_Shdr); at += 4) {
        static const uint32_t value[] = {0, 1, 0x2fff, 0x7fffffff, 0xfffffff0, ~0u};
        for (unsigned i = 0; i < ARRAY_SIZE(value); i++) {
            with_section(WORDS BASE);
            memcpy(file + at, &value[i], 4);
            (void)parse();
        }
    }
    with_section(WORDS BASE);
    header()->e_shstrndx = 3;
    assert_rule(IMAGE_WITHOUT_NOTES);
    with_section(WORDS BASE);
    header()->e_shentsize = 8;
    assert_rule(IMAGE_WITHOUT_NOTES);
}
