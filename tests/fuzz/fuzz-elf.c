/*
 * Guest kernels made of anything: parsed, and, if they are accepted, built into a domain and
 * destroyed again.
 *
 * The parser gets a heap block of exactly the file's size, so AddressSanitizer sees any look
 * outside.
 */
#include "fuzz.h"

#include "arch.h"
#include "builder.h"
#include "console.h"
#include "guest.h"
#include "image.h"
#include "lib.h"

#include <xen/elfnote.h>

const unsigned fuzz_mutations = 10000;
unsigned fuzz_accepted;
unsigned long fuzz_steps;

static unsigned module;
static uint64_t free_frames;

static void start(void)
{
    static uint8_t zeroes[FUZZ_ROOM];

    world_start(1, 2048);
    (void)module_add(zeroes, 1, "");
    module = module_add(zeroes, sizeof(zeroes), "");
    free_frames = page_free_count();
}

/* Every byte that the builder would copy. */
static uint64_t sum_segments(const struct kernel_image *k)
{
    struct elf_segment s;
    uint64_t sum = 0;

    for (unsigned cursor = 0; elf_next_segment(k, &cursor, &s);)
        for (uint64_t i = 0; i < s.bytes; i++)
            sum += ((const uint8_t *)s.from)[i];
    return sum;
}

static bool parse(const uint8_t *data, size_t size)
{
    struct kernel_image k;
    struct boot_error e = {0};
    uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, data, size);
    int rc = elf_parse(copy, size, &k, &e);
    ASSERT(rc == 0 || (rc == -XEN_EINVAL && e.rule != RULE_NONE));
    if (rc == 0)
        (void)sum_segments(&k);
    free(copy);
    return rc == 0;
}

static void build(const uint8_t *data, size_t size)
{
    struct domain_config c = {.id = 7,
                              .vcpus = 1,
                              .memory = 1 << 20,
                              .max_memory = 1 << 20,
                              .weight = 256,
                              .kernel = (int)module,
                              .ramdisk = -1,
                              .name = "fuzz"};
    struct boot_error e = {0};
    struct domain *d;

    module_replace(module, data, size);
    if (builder_build(&c, &d, &e) == 0) {
        if (page_audit())
            abort();
        console_detach(d);
        domain_destroy(d);
    } else {
        ASSERT(e.rule != RULE_NONE);
    }
    if (page_free_count() != free_frames) {
        fprintf(stderr, "%ld frames are lost\n", (long)(free_frames - page_free_count()));
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_steps++;
    if (!free_frames)
        start();
    if (size > FUZZ_ROOM || !parse(data, size))
        return 0;
    fuzz_accepted++;
    build(data, size);
    return 0;
}

/* An ordinary kernel; one that wants its p2m list elsewhere; one at the very bottom with few notes.
 */
size_t fuzz_seed(unsigned i, uint8_t *to, size_t room)
{
    static const uint64_t base = IMAGE_BASE, zero, p2m = 0xffffc00000000000ull, one = 1;
    const struct image_note elsewhere[] = {
        {XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8}, {XEN_ELFNOTE_VIRT_BASE, &base, 8},
        {XEN_ELFNOTE_ENTRY, &base, 8},           {XEN_ELFNOTE_PADDR_OFFSET, &zero, 8},
        {XEN_ELFNOTE_INIT_P2M, &p2m, 8},         {XEN_ELFNOTE_MOD_START_PFN, &one, 4},
    };
    const struct image_note few[] = {{XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8},
                                     {XEN_ELFNOTE_ENTRY, &zero, 8}};

    switch (i) {
    case 0:
        return image_kernel(to, room);
    case 1:
        return image_elf(to, room, elsewhere, ARRAY_SIZE(elsewhere));
    case 2:
        return image_elf(to, room, few, ARRAY_SIZE(few));
    case 3:
        return image_guest_section(
            to, room,
            "GUEST_OS=test,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0,"
            "VIRT_ENTRY=0xffffffff80000000,HYPERCALL_PAGE=0x1,LOADER=generic,FEATURES=,PAE=yes");
    default:
        return 0;
    }
}
