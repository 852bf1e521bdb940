/*
 * Multiboot 2, which GRUB speaks: its list of tags, retold as the PVH structure
 * that boot.c reads.  GRUB may have put the list right behind the image, where
 * the kernel's page tables are going to be, so what is needed later is copied.
 *
 *      total size, 0 | type, size, ... | type, size, ... | 0, 8      each on 8 bytes
 */
#include <stdint.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/lib/text.h"
#include "platform/native/machine.h"

enum {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
};

struct tag {
    uint32_t type, size;
    union {
        char text[0];
        struct {
            uint32_t start, end;
        } module;
        struct {
            uint32_t entry_size, entry_version;
            char entries[0];
        } map;
    };
};

struct map_entry {
    uint64_t start, size;
    uint32_t type, zero;
};

#define RSDP_SIZE 36
#define MAP_MOST  64

static struct hvm_start_info info = {.magic = XEN_HVM_START_MAGIC_VALUE, .version = 1};
static struct hvm_modlist_entry ramdisk;
static struct hvm_memmap_table_entry map[MAP_MOST];
static char command_line[COMMAND_LINE_SIZE], rsdp[RSDP_SIZE];

/* Where the image's @variable lies in memory. */
static uint64_t physical(const void *variable)
{
    return (uintptr_t)variable - KERNEL_BASE;
}

/* The types of memory have the same numbers in both worlds. */
static void map_read(const struct tag *tag)
{
    const char *end = (const char *)tag + tag->size;
    for (const char *e = tag->map.entries; e < end && info.memmap_entries < MAP_MOST;
         e += tag->map.entry_size) {
        const struct map_entry *entry = (const struct map_entry *)e;
        map[info.memmap_entries++] = (struct hvm_memmap_table_entry){
            .addr = entry->start, .size = entry->size, .type = entry->type};
    }
    info.memmap_paddr = physical(map);
}

static void tag_read(const struct tag *tag)
{
    switch (tag->type) {
    case TAG_COMMAND_LINE:
        text_copy(command_line, tag->text, sizeof(command_line));
        info.cmdline_paddr = physical(command_line);
        break;
    case TAG_MODULE:
        if (info.nr_modules++)
            break; /* the first one is the ramdisk */
        ramdisk.paddr = tag->module.start;
        ramdisk.size = tag->module.end - tag->module.start;
        info.modlist_paddr = physical(&ramdisk);
        break;
    case TAG_MEMORY_MAP:
        map_read(tag);
        break;
    case TAG_RSDP_OLD:
    case TAG_RSDP_NEW:
        memcpy(rsdp, tag->text, MIN(tag->size - 8ul, sizeof(rsdp)));
        info.rsdp_paddr = physical(rsdp);
        break;
    }
}

const struct hvm_start_info *multiboot_read(const void *list)
{
    const struct tag *tag = (const struct tag *)((const char *)list + 8);
    for (; tag->type != TAG_END; tag = (const void *)((const char *)tag + ROUND_UP(tag->size, 8u)))
        tag_read(tag);
    return &info;
}
