/* See image.h. */
#include "image.h"
#include "arch.h"
#include "lib.h"

#include <elf.h>
#include <libfdt.h>
#include <xen/elfnote.h>

static size_t put_notes(uint8_t *to, const struct image_note *notes, unsigned count)
{
    size_t at = 0;

    for (unsigned i = 0; i < count; i++) {
        Elf64_Nhdr h = {.n_namesz = 4, .n_descsz = notes[i].size, .n_type = notes[i].type};
        memcpy(to + at, &h, sizeof(h));
        memcpy(to + at + sizeof(h), "Xen", 4);
        at += sizeof(h) + 4;
        memcpy(to + at, notes[i].data, notes[i].size);
        at += ROUND_UP(notes[i].size, 4);
    }
    return at;
}

size_t image_elf(uint8_t *to, size_t room, const struct image_note *notes, unsigned count)
{
    const size_t file = 0x1000 + IMAGE_BYTES / 2;
    Elf64_Ehdr *h = (Elf64_Ehdr *)to;
    Elf64_Phdr *p = (Elf64_Phdr *)(h + 1);

    ASSERT(room >= file);
    memset(to, 0, file);
    memcpy(h->e_ident, ELFMAG, SELFMAG);
    h->e_ident[EI_CLASS] = ELFCLASS64;
    h->e_ident[EI_DATA] = ELFDATA2LSB;
    h->e_ident[EI_VERSION] = EV_CURRENT;
    h->e_type = ET_EXEC;
    h->e_machine = EM_X86_64;
    h->e_version = EV_CURRENT;
    h->e_entry = IMAGE_BASE;
    h->e_phoff = sizeof(*h);
    h->e_ehsize = sizeof(*h);
    h->e_phentsize = sizeof(*p);
    h->e_phnum = 2;
    p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_flags = PF_R | PF_W | PF_X,
                        .p_offset = 0x1000,
                        .p_vaddr = IMAGE_BASE,
                        .p_filesz = IMAGE_BYTES / 2,
                        .p_memsz = IMAGE_BYTES,
                        .p_align = 0x1000};
    p[1] = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_flags = PF_R, .p_offset = sizeof(*h) + 2 * sizeof(*p), .p_align = 4};
    p[1].p_filesz = p[1].p_memsz = put_notes(to + p[1].p_offset, notes, count);
    memset(to + 0x1000, 0x90, IMAGE_BYTES / 2);
    return file;
}

size_t image_kernel(uint8_t *to, size_t room)
{
    static const uint64_t base = IMAGE_BASE, zero, entry = IMAGE_BASE, page = IMAGE_BASE + 0x1000;
    const struct image_note notes[] = {
        {XEN_ELFNOTE_GUEST_OS, "test", 5},
        {XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8},
        {XEN_ELFNOTE_VIRT_BASE, &base, 8},
        {XEN_ELFNOTE_PADDR_OFFSET, &zero, 8},
        {XEN_ELFNOTE_ENTRY, &entry, 8},
        {XEN_ELFNOTE_HYPERCALL_PAGE, &page, 8},
        {XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb", 42},
        {XEN_ELFNOTE_LOADER, "generic", 8},
    };
    return image_elf(to, room, notes, ARRAY_SIZE(notes));
}

size_t image_guest_section(uint8_t *to, size_t room, const char *text)
{
    static const char names[] = "\0__xen_guest\0.shstrtab";
    size_t at = image_elf(to, room, NULL, 0);
    Elf64_Ehdr *h = (Elf64_Ehdr *)to;
    const size_t length = strlen(text) + 1;

    h->e_phnum = 1;
    h->e_shoff = ROUND_UP(at, 8);
    h->e_shentsize = sizeof(Elf64_Shdr);
    h->e_shnum = 3;
    h->e_shstrndx = 2;
    Elf64_Shdr *s = (Elf64_Shdr *)(to + h->e_shoff);
    at = h->e_shoff + 3 * sizeof(*s);
    ASSERT(room >= at + length + sizeof(names));
    s[0] = (Elf64_Shdr){0};
    s[1] = (Elf64_Shdr){.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = at, .sh_size = length};
    memcpy(to + at, text, length);
    at += length;
    s[2] = (Elf64_Shdr){
        .sh_name = 13, .sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = sizeof(names)};
    memcpy(to + at, names, sizeof(names));
    return at + sizeof(names);
}

/* --- trees
 * ------------------------------------------------------------------------------------------------
 */

#define CHECK(x)                                                        \
    do {                                                                \
        int rc_ = (x);                                                  \
        if (rc_) {                                                      \
            fprintf(stderr, "libfdt: %s: %s\n", #x, fdt_strerror(rc_)); \
            abort();                                                    \
        }                                                               \
    } while (0)

static void put_module(void *t, const char *name, const char *compatible, uint32_t index,
                       const char *args)
{
    CHECK(fdt_begin_node(t, name));
    CHECK(fdt_property_string(t, "compatible", compatible));
    CHECK(fdt_property_u32(t, "mb-index", index));
    if (args)
        CHECK(fdt_property_string(t, "bootargs", args));
    CHECK(fdt_end_node(t));
}

static void put_rich(void *t, unsigned i)
{
    static const uint8_t uuid[16] = {1, 2, 3};

    CHECK(fdt_property_u32(t, "domid", i + 5));
    CHECK(fdt_property_u32(t, "mode", 5));
    CHECK(fdt_property_u32(t, "permissions", 3));
    CHECK(fdt_property_u32(t, "functions", 4));
    CHECK(fdt_property(t, "domain-uuid", uuid, sizeof(uuid)));
    CHECK(fdt_property_string(t, "security-id", "system_u:x"));
    CHECK(fdt_property_string(t, "paravane,on-poweroff", "destroy"));
    CHECK(fdt_property_string(t, "paravane,on-reboot", "restart"));
    CHECK(fdt_property_string(t, "paravane,on-crash", "preserve"));
    CHECK(fdt_property_string(t, "paravane,console", "prefix"));
    CHECK(fdt_property_u32(t, "paravane,cpu-weight", 512));
    CHECK(fdt_property_u32(t, "paravane,cpu-cap", 50));
    CHECK(fdt_property_u32(t, "paravane,cpu-affinity", 3));
    CHECK(fdt_property_u64(t, "paravane,max-memory", 2048));
}

size_t image_tree(void *t, size_t room, unsigned domains, bool rich)
{
    CHECK(fdt_create(t, (int)room));
    CHECK(fdt_finish_reservemap(t));
    CHECK(fdt_begin_node(t, ""));
    CHECK(fdt_begin_node(t, "chosen"));
    CHECK(fdt_begin_node(t, "hypervisor"));
    CHECK(fdt_property_u32(t, "#address-cells", 1));
    CHECK(fdt_property_u32(t, "#size-cells", 0));
    CHECK(fdt_property_string(t, "compatible", "hypervisor,xen"));
    if (rich)
        CHECK(fdt_property_u32(t, "paravane,console", 5));
    for (unsigned i = 0; i < domains; i++) {
        char name[16];
        snprintf(name, sizeof(name), "guest%u", i);
        CHECK(fdt_begin_node(t, name));
        CHECK(fdt_property_string(t, "compatible", "xen,domain"));
        CHECK(fdt_property_u64(t, "memory", 1024));
        CHECK(fdt_property_u32(t, "cpus", 1 + i % 2));
        if (rich)
            put_rich(t, i);
        put_module(t, "module@1", "module,kernel", 1, rich ? "console=hvc0 quiet" : NULL);
        if (rich)
            put_module(t, "module@2", "module,ramdisk", 2, NULL);
        CHECK(fdt_end_node(t));
    }
    CHECK(fdt_end_node(t));
    CHECK(fdt_end_node(t));
    CHECK(fdt_end_node(t));
    CHECK(fdt_finish(t));
    CHECK(fdt_check_full(t, fdt_totalsize(t)));
    return fdt_totalsize(t);
}

/* --- modules
 * ------------------------------------------------------------------------------------------------
 */

unsigned module_add(const void *data, size_t size, const char *cmdline)
{
    unsigned i = boot_module_count++, order = 0;

    while (PAGE_SIZE << order < size)
        order++;
    void *to = page_alloc_zeroed(order);
    ASSERT(to);
    boot_module[i].start = mfn_to_maddr(virt_to_mfn(to));
    string_copy(boot_module[i].cmdline, cmdline, sizeof(boot_module[i].cmdline));
    module_replace(i, data, size);
    return i;
}

void module_replace(unsigned i, const void *data, size_t size)
{
    boot_module[i].size = size;
    memcpy(mfn_to_virt(maddr_to_mfn(boot_module[i].start)), data, size);
}
