/*
 * Privileged instructions of a guest, done for it.
 *
 * A PV kernel runs in ring 3, so a privileged instruction is #GP.  Those that the ABI lets it execute all the same are
 * decoded at its rip and done on the vCPU's virtual state; everything else goes back as the #GP it was.
 *
 *   anybody       IN OUT INS OUTS (vIOPL or I/O bitmap), CLI STI (vIOPL), int n (gate DPL), and
 *                 SGDT SIDT SLDT STR SMSW, which fault only because of CR4.UMIP
 *   kernel only   MOV CR, MOV DR, CLTS, RDMSR, WRMSR, WBINVD, XSETBV, RDTSC and RDTSCP under CR4.TSD
 *   nobody        HLT, INVD, INVLPG, LGDT, LIDT, LLDT, LTR, LMSW, RDPMC, ...
 */
#include "instruction.h"
#include "page-tables.h"
#include "strace.h"

#include <paravane/strace-record.h>

/* #GP error code: the fault came from a gate of the IDT (Intel SDM volume 3, 6.13). */
#define ERROR_IDT 2u

#define VECTOR_LEGACY_SYSCALL 0x80

/*
 * `int n`, stopped by the IDT gate's DPL.  The guest's gate decides, as on Xen: its kernel counts
 * as ring 1 (a gate of DPL 0 is for exceptions alone), its user as ring 3; int 0x80 is open to both
 * whatever the gate says. QEMU's TCG reports n*16+2 instead of n*8+2, so n is taken from
 * the instruction.
 */
static void software_interrupt(struct vcpu *v, uint32_t error)
{
    struct insn i = {0};
    unsigned length = 2;
    uint8_t n = (uint8_t)(error >> (cpu_is_tcg ? 4 : 3)), byte;

    if (insn_begin(v, &i) && insn_prefixes(&i) && i.opcode == 0xcd && insn_byte(&i, &byte)) {
        n = byte;
        length = i.length;
    }
    const struct trap_info *gate = &v->arch.traps[n];
    unsigned level = v->kernel_mode ? 1 : 3;
    if (!gate->address || (TI_GET_DPL(gate) < level && n != VECTOR_LEGACY_SYSCALL)) {
        guest_exception(v, VECTOR_GP, n * 8u + ERROR_IDT);
        return;
    }
    v->arch.regs->rip += length;
    guest_software_interrupt(v, n);
}

/* --- ports --- */

/* Replace the low @bytes of @slot; four zero-extend, as every 32-bit result does. */
static void set_low(uint64_t *slot, unsigned bytes, uint32_t value)
{
    if (bytes == 4)
        *slot = value;
    else
        __builtin_memcpy(slot, &value, bytes);
}

static enum outcome port_io(struct vcpu *v, struct insn *i)
{
    struct guest_regs *r = i->regs;
    unsigned bytes = io_bytes(i);
    uint16_t port = (uint16_t)r->rdx;
    uint8_t immediate;

    if (i->opcode < 0xec) {
        if (!insn_byte(i, &immediate))
            return insn_fetch_fault(v, i);
        port = immediate;
    }
    if (!io_allowed(v, port, bytes))
        return NOT_OURS;
    if (i->opcode & 2)
        io_write(v, port, bytes, (uint32_t)r->rax);
    else
        set_low(&r->rax, bytes, io_read(v, port, bytes));
    return DONE;
}

/* --- control and debug registers, MSRs --- */

static enum outcome cr_read(struct vcpu *v, unsigned cr, uint64_t *to)
{
    switch (cr) {
    case 0:
        *to = cr0_guest_view(v);
        return DONE;
    case 2:
        *to = v->info->arch.cr2;
        return DONE;
    case 3:
        *to = v->arch.kernel_cr3; /* a frame number in its place: Xen's cr3 format on x86-64 */
        return DONE;
    case 4:
        *to = v->arch.cr4;
        return DONE;
    default:
        return NOT_OURS;
    }
}

static enum outcome cr3_write(struct vcpu *v, uint64_t value)
{
    mutex_lock(&v->domain->mmu);
    int rc = vcpu_new_root(v, mfn(xen_cr3_to_pfn(value)));
    mutex_unlock(&v->domain->mmu);
    return rc ? NOT_OURS : DONE;
}

static enum outcome cr_write(struct vcpu *v, unsigned cr, uint64_t value)
{
    switch (cr) {
    case 0:
        if ((value ^ CR0_GUEST) & ~CR0_TS)
            return NOT_OURS;
        fpu_set_ts(v, value & CR0_TS);
        return DONE;
    case 2:
        v->info->arch.cr2 = value;
        return DONE;
    case 3:
        return cr3_write(v, value);
    case 4:
        v->arch.cr4 = cr4_guest_view(value);
        control_restore(v);
        return DONE;
    default:
        return NOT_OURS;
    }
}

static enum outcome mov_control(struct vcpu *v, struct insn *i)
{
    uint8_t modrm;

    if (!insn_byte(i, &modrm))
        return insn_fetch_fault(v, i);
    unsigned cr = (modrm >> 3 & 7) | (i->rex & 4) << 1;
    uint64_t *r = insn_reg(i->regs, (modrm & 7) | (i->rex & 1) << 3);
    if (i->opcode == 0x22)
        return cr_write(v, cr, i->wide ? *r : (uint32_t)*r);
    return cr_read(v, cr, r);
}

static enum outcome mov_debug(struct vcpu *v, struct insn *i)
{
    uint8_t modrm;

    if (!insn_byte(i, &modrm))
        return insn_fetch_fault(v, i);
    unsigned dr = (modrm >> 3 & 7) | (i->rex & 4) << 1;
    uint64_t *r = insn_reg(i->regs, (modrm & 7) | (i->rex & 1) << 3);
    long rc = i->opcode == 0x23 ? debugreg_set(v, dr, i->wide ? *r : (uint32_t)*r)
                                : debugreg_get(v, dr, r);
    if (rc == -XEN_ENODEV)
        return UNDEFINED;
    return rc ? NOT_OURS : DONE;
}

static enum outcome msr_access(struct vcpu *v, struct insn *i)
{
    struct guest_regs *r = i->regs;
    uint64_t value;

    if (i->opcode == 0x30)
        return msr_guest_write(v, (uint32_t)r->rcx, edx_eax(r)) ? DONE : NOT_OURS;
    if (!msr_guest_read(v, (uint32_t)r->rcx, &value))
        return NOT_OURS;
    set_edx_eax(r, value);
    return DONE;
}

/* --- all --- */

/* Two-byte opcodes: most are the kernel's alone. */
static enum outcome two_byte(struct vcpu *v, struct insn *i)
{
    if (!insn_byte(i, &i->opcode))
        return insn_fetch_fault(v, i);
    if (unlikely(i->opcode <= 0x01))
        return i->opcode ? emulate_group7(v, i) : emulate_group6(v, i);
    if (!v->kernel_mode)
        return NOT_OURS;
    switch (i->opcode) {
    case 0x06: /* CLTS */
        fpu_set_ts(v, false);
        return DONE;
    case 0x09: /* WBINVD: caches are coherent for those without devices */
        if (domain_has(v->domain, ROLE_HARDWARE))
            __asm__ volatile("wbinvd" ::: "memory");
        return DONE;
    case 0x20:
    case 0x22:
        return mov_control(v, i);
    case 0x21:
    case 0x23:
        return mov_debug(v, i);
    case 0x30:
    case 0x32:
        return msr_access(v, i);
    case 0x31:
        set_edx_eax(i->regs, rdtsc());
        return DONE;
    default:
        return NOT_OURS;
    }
}

static enum outcome execute(struct vcpu *v, struct insn *i)
{
    switch (i->opcode) {
    case 0x0f:
        return two_byte(v, i);
    case 0x6c ... 0x6f:
        return emulate_string_io(v, i);
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return port_io(v, i);
    case 0xfa:
    case 0xfb:
        /* The guest masks events through vcpu_info.  Were CLI to do it, POPF, which cannot be
         * caught, would not undo it. */
        return io_privileged(v) ? DONE : NOT_OURS;
    default:
        return NOT_OURS;
    }
}

static cold_ void record_instruction(struct vcpu *v, const struct insn *i)
{
    uint64_t arg[6] = {0, i->regs->rax, i->regs->rcx, i->regs->rdx};
    (void)guest_fetch(v, (uint8_t *)arg, MIN(i->length, 8u));
    strace_emulated(v, STRACE_INSTRUCTION, i->start, arg);
}

void emulate_privileged(struct vcpu *v, uint32_t error)
{
    if (unlikely(error)) {
        if (error & ERROR_IDT)
            software_interrupt(v, error);
        else
            guest_exception(v, VECTOR_GP, error);
        return;
    }

    struct insn i = {0};
    enum outcome o = NOT_OURS;
    if (likely(insn_begin(v, &i)))
        o = !insn_prefixes(&i) ? insn_fetch_fault(v, &i) : i.lock ? UNDEFINED : execute(v, &i);
    switch (o) {
    case DONE:
        if (unlikely(strace_on))
            record_instruction(v, &i);
        insn_retire(v, &i);
        return;
    case NOT_OURS:
        guest_exception(v, VECTOR_GP, 0);
        return;
    case UNDEFINED:
        guest_exception(v, VECTOR_UD, 0);
        return;
    case AGAIN:
    case DELIVERED:
        return;
    }
}
