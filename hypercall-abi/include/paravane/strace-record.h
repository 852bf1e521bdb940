/*
 * What the hypervisor says about each hypercall when it is asked to (strace=0xPORT,
 * hyperlaunch.md), and how to read the formats of hypercall-list.h.  Shared by the hypervisor,
 * which writes, and by `paravane strace`, which reads.
 *
 *     hypervisor                     RAM that the reader maps, too          reader
 *     strace_record ----write---->   | chunk | chunk | chunk | ... |   ----read----> a line
 *          |                           (a ring of STRACE_CHUNKS)                        ^
 *          +--- a chunk is full: one byte to the port ---> a pipe: at most 4096 bytes --+
 *
 * The first bytes to the port are struct strace_hello; after that each byte means one chunk more.
 * The pipe is the flow control: as it holds 4096 bytes, the write to the port that would be one too
 * many takes as long as the reader needs, and no virtual time.  The ring holds more than pipe and
 * reader together, so nothing is overwritten before it is read, and nothing is lost.
 */
#pragma once

#define STRACE_VERSION 1
#define STRACE_CHUNK   1024u /* bytes */
#define STRACE_CHUNKS  8192u /* of the ring */
#define STRACE_READ    2048u /* taken at once at most: 4096 + 2048 + 1 < STRACE_CHUNKS */

struct strace_hello {
    uint32_t magic; /* STRACE_MAGIC */
    uint32_t version;
    uint64_t ring;  /* its machine address */
    uint64_t rules; /* how many there are: a reader of another build has another number */
};
#define STRACE_MAGIC 0x43525453u /* "STRC" */

enum strace_kind {
    STRACE_FILLER,    /* to the end of the chunk: nothing */
    STRACE_CALL,      /* a hypercall */
    STRACE_REFUSAL,   /* a rule that refused something else: an instruction that was emulated */
    STRACE_EMULATION, /* an instruction that was emulated */
};

#define STRACE_ENTRY      1u /* it is entry @index of a multicall, whose own record follows */
#define STRACE_UNFINISHED 2u /* it had not returned when its domain ended: no result */

/* STRACE_EMULATION: @number is one of these, and @arg: */
#define STRACE_INSTRUCTION 0u /* its first eight bytes; rax, rcx, rdx as it left them */
#define STRACE_CPUID       1u /* by forced emulation: leaf, subleaf; eax, ebx, ecx, edx */
#define STRACE_STORE       2u /* into a page table: address, the entry as it is now */

/* A record lies within one chunk.  @in bytes of argument as they were before the call stand behind
 * it, and
 * @out bytes as they were after it, each padded to eight. */
struct strace_record {
    uint16_t size; /* of all, a multiple of 8 */
    uint8_t kind, flags;
    uint16_t domain;
    uint8_t vcpu, cpu;
    uint32_t number; /* of the hypercall */
    uint16_t rule;   /* enum rule_id, 0: not refused */
    uint16_t in, out;
    uint16_t index, entries; /* multicall: how many of its entries have been recorded */
    uint16_t args;           /* how many of them are known */
    uint64_t time;           /* system time at entry, ns */
    uint64_t ticks;  /* of the TSC, spent in the handler: without waiting, and without a multicall's
                        entries */
    uint64_t away;   /* ns from beginning to end in which the vCPU did not run */
    uint64_t caller; /* the guest's instruction that wants the call */
    uint64_t result;
    uint64_t operand[3]; /* of the rule's sentence */
    uint64_t arg[6];
};
#define STRACE_DATA_MOST 256u /* of @in, and of @out */
_Static_assert(sizeof(struct strace_record) + 2 * STRACE_DATA_MOST < STRACE_CHUNK, "a record fits");

/* --- formats -----------------------------------------------------------------------------------
 */

/* clang-format off */
enum strace_kind_letter {
    FORMAT_UNSIGNED, FORMAT_SIGNED, FORMAT_HEX, FORMAT_VA, FORMAT_POINTER, FORMAT_MACHINE, FORMAT_FRAME,
    FORMAT_ENTRY, FORMAT_DOMAIN, FORMAT_OPERATION, FORMAT_STRING, FORMAT_UPDATE,
    FORMAT_ARRAY, FORMAT_SUB, FORMAT_TEXT,
};
/* clang-format on */

/* One "name:kind" of an argument or field list; texts are not terminated. */
struct strace_field {
    const char *name, *list,
        *count; /* @list: of an operation or array; @count: the argument that counts */
    uint8_t name_length, list_length, count_length;
    uint8_t kind;
    uint8_t written, read; /* by the hypervisor: > is written only, ~ both, else read only */
    uint16_t size;         /* bytes */
    uint16_t offset;       /* in the structure, aligned as C does */
    uint16_t divisor;      /* of the count */
};

static inline uint8_t strace_word_(const char **at)
{
    const char *start = *at;
    while ((**at >= 'a' && **at <= 'z') || (**at >= 'A' && **at <= 'Z') || **at == '_' ||
           **at == '-')
        (*at)++;
    return (uint8_t)(*at - start);
}

static inline uint16_t strace_number_(const char **at)
{
    unsigned n = 0;
    while (**at >= '0' && **at <= '9')
        n = n * 10 + (unsigned)(*(*at)++ - '0');
    return (uint16_t)n;
}

/* The kind's number and width in bytes, by its letters. */
static inline void strace_kind_(struct strace_field *f, const char *kind, unsigned length,
                                unsigned width)
{
    /* clang-format off */
    static const struct {
        char word[8];
        uint8_t kind, size;
    } kinds[] = {
        {"u", FORMAT_UNSIGNED, 4}, {"d", FORMAT_SIGNED, 4},   {"x", FORMAT_HEX, 4},     {"va", FORMAT_VA, 8},
        {"ptr", FORMAT_POINTER, 8}, {"ma", FORMAT_MACHINE, 8}, {"mfn", FORMAT_FRAME, 8}, {"pte", FORMAT_ENTRY, 8},
        {"dom", FORMAT_DOMAIN, 2}, {"op", FORMAT_OPERATION, 4}, {"s", FORMAT_STRING, 0}, {"update", FORMAT_UPDATE, 8},
        {"array", FORMAT_ARRAY, 8}, {"sub", FORMAT_SUB, 8},    {"text", FORMAT_TEXT, 8},
    };
    /* clang-format on */
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        unsigned n = 0;
        while (n < length && n < sizeof(kinds[i].word) && kinds[i].word[n] == kind[n])
            n++;
        if (n < length || (n < sizeof(kinds[i].word) && kinds[i].word[n]))
            continue;
        f->kind = kinds[i].kind;
        f->size = kinds[i].size;
        if (width)
            f->size = (uint16_t)(f->kind == FORMAT_STRING ? width : width / 8);
    }
}

/*
 * Read the next field from *@at into @f, which holds the one before it (all zero at the start).  0:
 * there is none; then f->offset + f->size is where the last one ends.
 */
static inline int strace_field_next(const char **at, struct strace_field *f)
{
    const unsigned end = f->offset + f->size;

    while (**at == ' ')
        (*at)++;
    if (!**at)
        return 0;
    *f = (struct strace_field){.name = *at, .divisor = 1, .read = 1};
    while (**at && **at != ':')
        (*at)++;
    f->name_length = (uint8_t)(*at - f->name);
    if (**at == ':')
        (*at)++;
    const char *kind = *at;
    const unsigned length = strace_word_(at);
    strace_kind_(f, kind, length, strace_number_(at));
    if (**at == ':') {
        f->list = ++*at;
        f->list_length = strace_word_(at);
    }
    if (**at == '*') {
        f->count = ++*at;
        f->count_length = strace_word_(at);
        if (**at == '/') {
            ++*at;
            f->divisor = strace_number_(at);
        }
    }
    f->written = **at == '>' || **at == '~';
    f->read = **at != '>';
    while (**at && **at != ' ')
        (*at)++;
    const unsigned align = f->kind == FORMAT_STRING ? 1 : f->size;
    f->offset = (uint16_t)(align ? (end + align - 1) / align * align : end);
    return 1;
}

/* Size of the structure with these fields, and whether the hypervisor writes any of them. */
static inline unsigned strace_structure_size(const char *fields, int *written)
{
    struct strace_field f = {0};
    unsigned align = 1;

    *written = 0;
    while (strace_field_next(&fields, &f)) {
        if (f.kind != FORMAT_STRING && f.size > align)
            align = f.size;
        *written |= f.written;
    }
    return (f.offset + f.size + align - 1) / align * align;
}
