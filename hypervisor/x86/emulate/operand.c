/* Operands in memory: what an instruction reaches through which segment, and the stores that are made for it. */
#include "instruction.h"

struct operand {
    enum segment segment;
    uint64_t offset;
};

static uint16_t segment_selector(const struct insn *i, enum segment s)
{
    uint16_t selector;

    switch (s) {
    case SEGMENT_CS:
        return (uint16_t)i->regs->cs;
    case SEGMENT_SS:
        return (uint16_t)i->regs->ss;
    case SEGMENT_ES:
        __asm__ volatile("mov %%es, %0" : "=r"(selector));
        return selector;
    case SEGMENT_FS:
        __asm__ volatile("mov %%fs, %0" : "=r"(selector));
        return selector;
    case SEGMENT_GS:
        __asm__ volatile("mov %%gs, %0" : "=r"(selector));
        return selector;
    default:
        __asm__ volatile("mov %%ds, %0" : "=r"(selector));
        return selector;
    }
}

bool segment_range(struct vcpu *v, const struct insn *i, enum segment s, bool write,
                   struct range *out)
{
    uint64_t d;

    if (i->wide) {
        uint64_t base = s == SEGMENT_FS   ? rdmsr(MSR_FS_BASE)
                        : s == SEGMENT_GS ? rdmsr(MSR_GS_BASE)
                                          : 0;
        *out = (struct range){base, ~0ull};
        return true;
    }
    uint16_t selector = segment_selector(i, s);
    if (!(selector & ~3) || !descriptor_read(v, selector, &d) || !(d & DESCRIPTOR_PRESENT) ||
        !(d & DESCRIPTOR_USER))
        return false;
    bool code = d & DESCRIPTOR_CODE;
    if ((write ? code || !(d & DESCRIPTOR_RW) : code && !(d & DESCRIPTOR_RW)) ||
        (!code && (d & DESCRIPTOR_DOWN)))
        return false;
    out->base = descriptor_base(d);
    out->limit = (d & 0xffff) | (d >> 32 & 0xf0000);
    if (d & DESCRIPTOR_PAGES)
        out->limit = out->limit << PAGE_SHIFT | ~PAGE_MASK;
    return true;
}

uint64_t address_mask(const struct insn *i)
{
    if (i->wide)
        return i->address_prefix ? 0xffffffffull : ~0ull;
    return i->big != i->address_prefix ? 0xffffffffull : 0xffffull;
}

void operand_fault(struct vcpu *v, uint64_t at, unsigned bytes, uint32_t error)
{
    uint8_t byte;

    if (!guest_range_ok(at, bytes)) {
        guest_exception(v, VECTOR_GP, 0);
        return;
    }
    if ((at & ~PAGE_MASK) + bytes > PAGE_SIZE && guest_read(&byte, guest_ptr(at), 1) == 0)
        at = (at | ~PAGE_MASK) + 1;
    guest_page_fault(v, at, error | (v->kernel_mode ? 0 : PF_USER));
}

/* A memory operand of 16-bit addressing (Intel SDM volume 2, table 2-1). */
static bool operand_16(struct insn *i, uint8_t modrm, struct operand *o)
{
    static const uint8_t base[8] = {3, 3, 5, 5, 6, 7, 5, 3}; /* bx bx bp bp si di bp bx */
    static const uint8_t index[8] = {6, 7, 6, 7};            /* si di si di, or none */
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    const bool absolute = mod == 0 && rm == 6;
    int64_t displacement = 0;

    if ((mod == 1 || mod == 2 || absolute) && !insn_immediate(i, mod == 1 ? 1 : 2, &displacement))
        return false;
    uint64_t at = (uint64_t)displacement;
    if (!absolute)
        at += *insn_reg(i->regs, base[rm]) + (rm < 4 ? *insn_reg(i->regs, index[rm]) : 0);
    o->offset = at & 0xffff;
    o->segment = !absolute && base[rm] == 5 ? SEGMENT_SS : SEGMENT_DS;
    return true;
}

/* Of 32-bit and 64-bit addressing (tables 2-2 and 2-3). */
static bool operand_32(struct insn *i, uint8_t modrm, struct operand *o)
{
    const unsigned mod = modrm >> 6;
    unsigned base = modrm & 7;
    uint64_t at = 0;
    uint8_t sib = 0x20; /* no index */
    int64_t displacement = 0;
    const bool has_sib = base == 4;

    if (has_sib) {
        if (!insn_byte(i, &sib))
            return false;
        base = sib & 7;
    }
    const unsigned index = (sib >> 3 & 7) | (i->rex & 2) << 2;
    const bool no_base = mod == 0 && base == 5;
    if ((no_base || mod == 1 || mod == 2) && !insn_immediate(i, mod == 1 ? 1 : 4, &displacement))
        return false;
    o->segment = !no_base && !(i->rex & 1) && (base == 4 || base == 5) ? SEGMENT_SS : SEGMENT_DS;
    if (!no_base)
        at = *insn_reg(i->regs, base | (i->rex & 1) << 3);
    else if (!has_sib && i->wide)
        at = i->start + i->length; /* rip; the displacement was its last part */
    if (index != 4)
        at += *insn_reg(i->regs, index) << (sib >> 6);
    o->offset = at + (uint64_t)displacement;
    return true;
}

enum outcome operand_store(struct vcpu *v, struct insn *i, uint8_t modrm, const void *from,
                           unsigned bytes)
{
    const uint64_t mask = address_mask(i);
    struct operand o;
    struct range range;

    if (!(mask == 0xffff ? operand_16(i, modrm, &o) : operand_32(i, modrm, &o)))
        return insn_fetch_fault(v, i);
    if (i->segment != SEGMENT_DEFAULT)
        o.segment = i->segment;
    o.offset &= mask;
    if (!segment_range(v, i, o.segment, true, &range) || o.offset + bytes - 1 > range.limit)
        return NOT_OURS;
    uint64_t at = range.base + o.offset;
    if (!i->wide)
        at = (uint32_t)at;
    if (guest_write(guest_ptr(at), from, bytes)) {
        operand_fault(v, at, bytes, PF_WRITE);
        return DELIVERED;
    }
    return DONE;
}
