/* `paravane inspect KERNEL`: what is in an image, and whether it boots. */
#include "command.h"

#include <elf.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-image.h"
#include "memory.h"
#include "output.h"

static void print_kind(const struct kernel_image *image)
{
    printf("%s: %s", image->path, image->kind);
    if (image->unpacked)
        printf(" (%s, %zu KiB unpacked)", image->codec, image->size >> 10);
    printf(", ELF%u for %s\n", image->elf_class,
           image->elf_machine == EM_X86_64 ? "x86-64"
           : image->elf_machine == EM_386  ? "i386"
                                           : "another machine");
}

static void print_segments(const struct kernel_image *image)
{
    printf("\n  %-18s %-18s %12s %12s  flags\n", "virtual address", "physical address",
           "in the file", "in memory");
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct kernel_segment *s = &image->segments[i];
        printf("  0x%016lx 0x%016lx %12lu %12lu  %c%c%c\n", (unsigned long)s->vaddr,
               (unsigned long)s->paddr, (unsigned long)s->file_size, (unsigned long)s->memory_size,
               s->flags & PF_R ? 'r' : '-', s->flags & PF_W ? 'w' : '-',
               s->flags & PF_X ? 'x' : '-');
    }
    printf("  entry %#lx, loaded to %#lx-%#lx\n", (unsigned long)kernel_image_entry(image),
           (unsigned long)kernel_image_start(image), (unsigned long)kernel_image_end(image));
}

static void print_notes(const struct kernel_image *image)
{
    printf(image->guest_section ? "\n  %u words in the section __xen_guest\n"
                                : "\n  %u notes of owner \"Xen\"\n",
           image->xen_notes);
    for (unsigned type = 0; type < KERNEL_NOTES; type++) {
        const struct kernel_note *n = &image->notes[type];
        if (n->present && n->is_string)
            printf("  %2u %-19s \"%s\"\n", type, kernel_note_name(type), n->text);
        else if (n->present)
            printf("  %2u %-19s %#lx\n", type, kernel_note_name(type), (unsigned long)n->number);
    }
    if (image->unknown_notes)
        printf("  and %u of types that <xen/elfnote.h> does not have\n", image->unknown_notes);
}

static bool boots_bare(const struct kernel_image *image)
{
    char *why = NULL;
    const bool can = kernel_image_check_native(image, &why) == VERDICT_OK;
    free(why);
    return can;
}

static void print_text(const struct kernel_image *image, const char *why)
{
    print_kind(image);
    if (image->segment_count)
        print_segments(image);
    print_notes(image);
    if (why)
        printf("\nIt would not boot as a PV guest: %s.\n", why);
    else
        printf("\nIt boots as a PV guest, and needs at least %lu KiB without a ramdisk.\n",
               (unsigned long)(kernel_image_least_memory(image, 0) >> 10));
    if (boots_bare(image))
        printf("With --native it boots on the bare machine.\n");
}

/* Addresses are strings: JSON's integers are signed, and few readers take 64 bits of them. */
static json_t *address_json(uint64_t address)
{
    return json_sprintf("0x%lx", (unsigned long)address);
}

/* Paths and notes may be in any encoding, JSON is in one. */
static json_t *text_json(const char *text)
{
    json_t *j = json_string(text);
    if (j)
        return j;
    char *plain = memory_strdup(text);
    for (char *c = plain; *c; c++)
        if (*c & 0x80)
            *c = '?';
    j = json_string(plain);
    free(plain);
    return j;
}

static json_t *segments_json(const struct kernel_image *image)
{
    json_t *list = json_array();
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct kernel_segment *s = &image->segments[i];
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:I,s:I,s:i}", "virtual", address_json(s->vaddr), "physical",
                            address_json(s->paddr), "file_size", (json_int_t)s->file_size,
                            "memory_size", (json_int_t)s->memory_size, "flags", (int)s->flags));
    }
    return list;
}

static json_t *notes_json(const struct kernel_image *image)
{
    json_t *notes = json_object();
    for (unsigned type = 0; type < KERNEL_NOTES; type++) {
        const struct kernel_note *n = &image->notes[type];
        if (n->present)
            json_object_set_new(notes, kernel_note_name(type),
                                n->is_string ? text_json(n->text) : address_json(n->number));
    }
    return notes;
}

static enum verdict print_json(const struct kernel_image *image, const char *why, enum verdict v)
{
    json_t *all = json_pack(
        "{s:o,s:s,s:i,s:o,s:o,s:o,s:s}", "path", text_json(image->path), "kind", image->kind,
        "class", (int)image->elf_class, "entry", address_json(kernel_image_entry(image)),
        "segments", segments_json(image), "notes", notes_json(image), "verdict", verdict_name(v));
    json_object_set_new(all, "native", json_boolean(boots_bare(image)));
    if (why)
        json_object_set_new(all, "why", text_json(why));
    const bool ok = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
    putchar('\n');
    json_decref(all);
    return ok ? v
              : verdict_say(VERDICT_HOST_FAILED, "cannot write %s in JSON; leave out -o json",
                            image->path);
}

/* What a boot loader without this codec could load. */
static enum verdict unpack_to(const struct kernel_image *image, const char *path)
{
    FILE *f = output_open(path);
    if (!f)
        return verdict_say(VERDICT_NO_FILE, "cannot write %s: %s; check the path", path,
                           strerror(errno));
    (void)fwrite(image->data, 1, image->size, f);
    output_close(f);
    return output_check(VERDICT_OK);
}

int command_inspect(int argc, char **argv)
{
    struct kernel_image image;
    bool json = argc == 4 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
    const char *to = argc == 4 && strcmp(argv[1], "-u") == 0 ? argv[2] : NULL;
    char *why = NULL;

    if (argc != 2 && !json && !to)
        return verdict_say(VERDICT_USAGE,
                           "inspect takes one KERNEL; write `paravane inspect [-o json] [-u FILE] "
                           "KERNEL`, with one of these options");
    enum verdict v = kernel_image_open(&image, argv[argc - 1]);
    if (v == VERDICT_OK) {
        v = kernel_image_check(&image, &why);
        if (to)
            v = unpack_to(&image, to);
        else if (json)
            v = print_json(&image, why, v);
        else
            print_text(&image, why);
    }
    free(why);
    kernel_image_close(&image);
    return v;
}
