/*
 * Guest kernel images: 64-bit ELF files with Xen's notes (core/boot/elf.c).
 */
#pragma once

#include "refuse.h"

/* Why something cannot be booted: an IM rule, its operands and where it was found. */
struct boot_error {
    enum rule_id rule;
    uint64_t a, b, c;
    char where[96]; /* a node and property of the tree, a domain; may be empty */
};

/* Record @rule in *@e; always -XEN_EINVAL, so that it can be returned. */
#define boot_error(e, rule, ...) boot_error_((e), RULE_##rule, DETAIL_ARGS(__VA_ARGS__))
int boot_error_(struct boot_error *e, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c);

#define ELF_UNSET (~0ull)

/*
 * What the builder must know.  Guest-physical addresses count from the domain's first frame, which
 * is mapped at
 * @virt_base: a segment at p_paddr goes to p_paddr - @paddr_offset.
 */
struct kernel_image {
    const uint8_t *file;
    uint64_t size;
    uint64_t phys_start, phys_end; /* first and last byte + 1 of all loaded segments */
    uint64_t virt_base, paddr_offset;
    uint64_t entry;          /* virtual */
    uint64_t hypercall_page; /* virtual, or ELF_UNSET */
    uint64_t p2m_base;       /* virtual, or ELF_UNSET: the p2m list lies behind start_info */
    bool mod_start_pfn;      /* the ramdisk need not be mapped */
};

/* Read the headers and notes of @file; nothing outside [@file, @file + @size) is touched whatever
 * it holds.  0, or -XEN_EINVAL and *@e says why. */
int elf_parse(const void *file, uint64_t size, struct kernel_image *k,
              struct boot_error *e) must_check;

/* One loadable segment: @bytes of the file at @from belong at guest-physical @at; the next @zeroes
 * are zero. */
struct elf_segment {
    const void *from;
    uint64_t at, bytes, zeroes;
};

/* The next loadable segment of a parsed image, *@cursor starting at 0; false when there is none
 * left. */
bool elf_next_segment(const struct kernel_image *k, unsigned *cursor,
                      struct elf_segment *s) must_check;
