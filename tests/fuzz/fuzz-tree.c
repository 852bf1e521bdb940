/*
 * Device trees made of anything, read by the hypervisor's reader of hyperlaunch trees.
 *
 * The tree ends where a page ends that nothing is mapped behind, because libfdt is not
 * instrumented; and whatever is read is written out to the last byte, as the builder would.  Trees
 * that are accepted are built if they are small enough.
 */
#include "fuzz.h"

#include "arch.h"
#include "builder.h"
#include "console.h"
#include "guest.h"
#include "image.h"
#include "lib.h"

#include <sys/mman.h>

const unsigned fuzz_mutations = 10000;
unsigned fuzz_accepted;
unsigned long fuzz_steps;

static uint8_t *guarded; /* FUZZ_ROOM bytes, then nothing */
static uint64_t free_frames;

static void start(void)
{
    static uint8_t kernel[FUZZ_ROOM];

    world_start(1, 4096);
    size_t size = image_kernel(kernel, sizeof(kernel));
    (void)module_add(kernel, 1, "the tree");
    (void)module_add(kernel, size, "kernel");
    (void)module_add("ramdisk", 7, "ramdisk");
    guarded = mmap(NULL, FUZZ_ROOM + PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    mprotect(guarded + FUZZ_ROOM, PAGE_SIZE, PROT_NONE);
    free_frames = page_free_count();
}

static void check_config(const struct domain_config *c)
{
    ASSERT(strnlen(c->name, sizeof(c->name)) < sizeof(c->name));
    ASSERT(strnlen(c->cmdline, sizeof(c->cmdline)) < sizeof(c->cmdline));
    ASSERT(c->kernel >= 1 && c->kernel < (int)boot_module_count);
    ASSERT(c->ramdisk == -1 || (c->ramdisk >= 1 && c->ramdisk < (int)boot_module_count));
    ASSERT(c->vcpus >= 1 && c->vcpus <= MAX_VCPUS && c->memory >= PAGE_SIZE &&
           c->max_memory >= c->memory);
    ASSERT(c->weight && c->on_reboot <= END_PRESERVE && c->console <= CONSOLE_OFF);
}

static void build(struct domain_config *c)
{
    struct boot_error e = {0};
    struct domain *d;

    if (c->memory > 1 << 21)
        return;
    if (builder_build(c, &d, &e)) {
        ASSERT(e.rule != RULE_NONE);
        return;
    }
    console_detach(d);
    domain_destroy(d);
}

static void check_lost(void)
{
    if (page_free_count() == free_frames)
        return;
    fprintf(stderr, "%ld frames are lost\n", (long)(free_frames - page_free_count()));
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_steps++;
    static struct domain_config *configs[MAX_DOMAINS_AT_BOOT];
    static unsigned runs;
    struct boot_error e = {0};
    unsigned count;

    if (!free_frames)
        start();
    if (size > FUZZ_ROOM)
        return 0;
    /* Trees are 8-aligned. */
    uint8_t *tree = guarded + FUZZ_ROOM - ROUND_UP(size, 8);
    memcpy(tree, data, size);
    memset(tree + size, 0xee, guarded + FUZZ_ROOM - tree - size);
    int rc = hyperlaunch_read(tree, size, boot_module_count, configs, &count, &e);
    if (rc) {
        ASSERT(rc == -XEN_EINVAL && e.rule != RULE_NONE &&
               strnlen(e.where, sizeof(e.where)) < sizeof(e.where));
        check_lost();
        return 0;
    }
    fuzz_accepted++;
    for (unsigned i = 0; i < count; i++)
        check_config(configs[i]);
    if (runs++ % 16 == 0)
        for (unsigned i = 0; i < count && i < 2; i++)
            build(configs[i]);
    for (unsigned i = 0; i < count; i++)
        mem_free(configs[i], sizeof(*configs[i]));
    check_lost();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to, size_t room)
{
    switch (i) {
    case 0:
        return image_tree(to, room, 1, false);
    case 1:
        return image_tree(to, room, 2, true);
    case 2:
        return image_tree(to, room, 12, false);
    default:
        return 0;
    }
}
