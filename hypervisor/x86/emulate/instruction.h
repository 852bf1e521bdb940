/*
 * One instruction of a guest, decoded as far as the work on it needs.
 *
 * Bytes are fetched as guest memory, eight at most at once, and each is decoded once.  An instruction changes nothing
 * before it can no longer fault, string instructions excepted, which stop between two elements.
 */
#pragma once

#include "cpu-state.h"

#define INSN_MAX 15u

enum outcome {
    NOT_OURS,  /* give the guest its #GP */
    DONE,      /* go on behind the instruction */
    AGAIN,     /* state is consistent, the instruction is to be executed (again) */
    DELIVERED, /* the guest has got another exception */
    UNDEFINED, /* the guest gets #UD */
};

enum segment {
    SEGMENT_DEFAULT,
    SEGMENT_CS,
    SEGMENT_DS,
    SEGMENT_ES,
    SEGMENT_FS,
    SEGMENT_GS,
    SEGMENT_SS
};

struct insn {
    struct guest_regs *regs;
    uint64_t start; /* rip */
    uint64_t cs_base;
    uint64_t ahead; /* bytes fetched and not consumed */
    unsigned ahead_bytes;
    unsigned length; /* bytes consumed */
    uint8_t opcode;  /* of the map that was asked for */
    uint8_t rex;
    uint8_t segment; /* enum segment: override prefix */
    bool wide;       /* 64-bit code */
    bool big;        /* 32-bit code */
    bool operand_prefix, address_prefix, rep, lock;
};

/* --- instruction.c --- */

/* Where the instruction's byte @at is: a linear address. */
uint64_t insn_address(const struct insn *i, unsigned at);
/* Fetch more bytes; called by insn_byte(). */
bool insn_refill(struct insn *i);
/* The instruction could not be read: it is too long to be one, or goes on where no address is (both
 * are the #GP that came); or the page is gone since the CPU read it. */
enum outcome insn_fetch_fault(struct vcpu *v, const struct insn *i);
/* insn_begin() in a segment of the guest's own. */
bool insn_begin_segment(struct vcpu *v, struct insn *i);
/* Prefixes and the first opcode byte. */
bool insn_prefixes(struct insn *i);
/* A signed immediate or displacement of 1 to 4 bytes.  False: it could not be fetched. */
bool insn_immediate(struct insn *i, unsigned bytes, int64_t *value);
/* The instruction is done: flags and rip as after it. */
void insn_retire(struct vcpu *v, const struct insn *i);

/* General register @n, below 16, in the processor's numbers. */
static inline uint64_t *insn_reg(struct guest_regs *r, unsigned n)
{
    static const uint8_t offset[16] = {
        offsetof(struct guest_regs, rax), offsetof(struct guest_regs, rcx),
        offsetof(struct guest_regs, rdx), offsetof(struct guest_regs, rbx),
        offsetof(struct guest_regs, rsp), offsetof(struct guest_regs, rbp),
        offsetof(struct guest_regs, rsi), offsetof(struct guest_regs, rdi),
        offsetof(struct guest_regs, r8),  offsetof(struct guest_regs, r9),
        offsetof(struct guest_regs, r10), offsetof(struct guest_regs, r11),
        offsetof(struct guest_regs, r12), offsetof(struct guest_regs, r13),
        offsetof(struct guest_regs, r14), offsetof(struct guest_regs, r15),
    };
    return (uint64_t *)((char *)r + offset[n]);
}

/* What kind of code is running, by its code segment.  False: no such segment any more. */
static inline bool insn_begin(struct vcpu *v, struct insn *i)
{
    i->regs = v->arch.regs;
    i->start = i->regs->rip;
    i->wide = i->regs->cs == SEL_GUEST_CS64;
    return likely(i->wide) || insn_begin_segment(v, i);
}

/* The next byte.  False: there is none (insn_fetch_fault says why). */
static inline bool insn_byte(struct insn *i, uint8_t *out)
{
    if (unlikely(!i->ahead_bytes) && (i->length >= INSN_MAX || !insn_refill(i)))
        return false;
    *out = (uint8_t)i->ahead;
    i->ahead >>= 8;
    i->ahead_bytes--;
    i->length++;
    return true;
}

static inline void set_edx_eax(struct guest_regs *r, uint64_t value)
{
    r->rax = (uint32_t)value;
    r->rdx = value >> 32;
}

/* How many bytes a port instruction moves. */
static inline unsigned io_bytes(const struct insn *i)
{
    if (!(i->opcode & 1))
        return 1;
    return (i->wide || i->big) != i->operand_prefix ? 4 : 2;
}

static inline uint64_t edx_eax(const struct guest_regs *r)
{
    return (uint32_t)r->rax | r->rdx << 32;
}

/* --- operand.c: what an instruction reaches of memory --- */

/* The addresses behind a segment. */
struct range {
    uint64_t base, limit; /* @limit: the last offset */
};

/* The addresses that a string instruction reaches through segment @s.  False: it may not use the
 * segment at all. 64-bit code knows only the bases of FS and GS; elsewhere the descriptor tells
 * (expand-down segments excluded). */
bool segment_range(struct vcpu *v, const struct insn *i, enum segment s, bool write,
                   struct range *out);
/* How many bits of rcx, rsi, rdi count. */
uint64_t address_mask(const struct insn *i);
/* An element at @at, @bytes long, could not be accessed: the guest gets the fault, at the first bad
 * byte. */
void operand_fault(struct vcpu *v, uint64_t at, unsigned bytes, uint32_t error);
/* Write @bytes of @from where the memory operand of @modrm is. */
enum outcome operand_store(struct vcpu *v, struct insn *i, uint8_t modrm, const void *from,
                           unsigned bytes);

/* --- the instructions, by what they work on; each is decoded up to its opcode --- */

/* INS, OUTS (string-io.c). */
enum outcome emulate_string_io(struct vcpu *v, struct insn *i);
/* CR0 as the guest sees it (control-registers.c). */
uint64_t cr0_guest_view(const struct vcpu *v);
/* 0f 00 and 0f 01: where the descriptor tables are, XSETBV, RDTSCP (system-tables.c). */
enum outcome emulate_group6(struct vcpu *v, struct insn *i);
enum outcome emulate_group7(struct vcpu *v, struct insn *i);
