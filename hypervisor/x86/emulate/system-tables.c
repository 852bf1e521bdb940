/*
 * SGDT, SIDT, SLDT, STR and SMSW work in ring 3 of processors without UMIP, and programs know it.
 * With it they fault, so that the hypervisor's addresses stay its own: everybody is told the start
 * of its part of the address space instead.  The rest is what the processor would say, and says on
 * Xen.
 */
#include "instruction.h"

#define TABLE_ADDRESS HYPERVISOR_VIRT_START_

/* SGDT, SIDT: a limit and an address, of 4 bytes outside 64-bit code. */
static enum outcome store_table(struct vcpu *v, struct insn *i, uint8_t modrm, uint16_t limit)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {limit, TABLE_ADDRESS};

    return operand_store(v, i, modrm, &table, i->wide ? 10 : 6);
}

/* SLDT, STR, SMSW: 16 bits into memory, as many as the operand has into a register. */
static enum outcome store_word(struct vcpu *v, struct insn *i, uint8_t modrm, uint64_t word)
{
    if (modrm < 0xc0)
        return operand_store(v, i, modrm, &word, 2);
    uint64_t *r = insn_reg(i->regs, (modrm & 7) | (i->rex & 1) << 3);
    if (i->rex & 8)
        *r = word;
    else if ((i->wide || i->big) != i->operand_prefix)
        *r = (uint32_t)word;
    else
        *r = (*r & ~0xffffull) | (uint16_t)word;
    return DONE;
}

/* 0f 00: SLDT and STR; LLDT, LTR, VERR and VERW are not ours. */
enum outcome emulate_group6(struct vcpu *v, struct insn *i)
{
    uint16_t selector;
    uint8_t modrm;

    if (!insn_byte(i, &modrm))
        return insn_fetch_fault(v, i);
    switch (modrm >> 3 & 7) {
    case 0:
        __asm__("sldt %0" : "=m"(selector));
        return store_word(v, i, modrm, selector);
    case 1:
        return store_word(v, i, modrm, SEL_TSS);
    default:
        return NOT_OURS;
    }
}

/* 0f 01 with a memory operand, and SMSW. */
static enum outcome store_system(struct vcpu *v, struct insn *i, uint8_t modrm)
{
    switch (modrm >> 3 & 7) {
    case 0:
        return modrm < 0xc0 ? store_table(v, i, modrm, GDT_LIMIT) : NOT_OURS;
    case 1:
        return modrm < 0xc0 ? store_table(v, i, modrm, IDT_LIMIT) : NOT_OURS;
    case 4:
        return store_word(v, i, modrm, cr0_guest_view(v));
    default:
        return NOT_OURS;
    }
}

/* 0f 01: XSETBV (d1) and RDTSCP (f9) are ours, LGDT and its kin are not. */
enum outcome emulate_group7(struct vcpu *v, struct insn *i)
{
    struct guest_regs *r = i->regs;
    uint8_t modrm;

    if (!insn_byte(i, &modrm))
        return insn_fetch_fault(v, i);
    switch (modrm) {
    case 0xd1:
        if (i->rep || i->operand_prefix || !(v->arch.cr4 & CR4_OSXSAVE))
            return UNDEFINED;
        return v->kernel_mode && (uint32_t)r->rcx == 0 && fpu_set_xcr0(v, edx_eax(r)) ? DONE
                                                                                      : NOT_OURS;
    case 0xf9:
        if (!v->kernel_mode)
            return NOT_OURS;
        set_edx_eax(r, rdtsc());
        r->rcx = v->arch.tsc_aux;
        return DONE;
    default:
        return store_system(v, i, modrm);
    }
}
