/*
 * Privileged instructions of a guest, done for it.
 *
 * A PV kernel runs in ring 3, so a privileged instruction is #GP.  Those that the ABI lets it
 * execute all the same are decoded at its rip and done on the vCPU's virtual state; everything else
 * goes back as the #GP it was.
 *
 *   anybody       IN OUT INS OUTS (vIOPL or I/O bitmap), CLI STI (vIOPL), int n (gate DPL), and
 *                 SGDT SIDT SLDT STR SMSW, which fault only because of CR4.UMIP
 *   kernel only   MOV CR, MOV DR, CLTS, RDMSR, WRMSR, WBINVD, XSETBV, RDTSC and RDTSCP under
 * CR4.TSD nobody        HLT, INVD, INVLPG, LGDT, LIDT, LLDT, LTR, LMSW, RDPMC, ...
 *
 * Also here: the forced-emulation prefix, by which a kernel asks for CPUID as the hypervisor wants
 * it seen:
 *
 *   0f 0b 'x' 'e' 'n' 0f a2        ud2; "xen"; cpuid
 *
 * Bytes are fetched through the door to guest memory, as far as needed and each once.  Results of
 * decoding live in struct insn; an instruction changes nothing before it can no longer fault,
 * string instructions excepted, which stop between two elements.
 */
#include "cpu-state.h"
#include "page-tables.h"
#include "strace.h"

#include <paravane/strace-record.h>

#define INSN_MAX 15u

/* #GP error code: the fault came from a gate of the IDT (Intel SDM volume 3, 6.13). */
#define ERROR_IDT 2u

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

/* --- registers by number --------------------------------------------------------- */

#define REG_RAX 0
#define REG_RCX 1
#define REG_RDX 2

static uint64_t *reg(struct guest_regs *r, unsigned n)
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
    return (uint64_t *)((char *)r + offset[n & 15]);
}

static inline void set_edx_eax(struct guest_regs *r, uint64_t value)
{
    r->rax = (uint32_t)value;
    r->rdx = value >> 32;
}

static inline uint64_t edx_eax(const struct guest_regs *r)
{
    return (uint32_t)r->rax | r->rdx << 32;
}

/* --- fetching -------------------------------------------------------------------- */

unsigned guest_fetch(struct vcpu *v, uint8_t *bytes, unsigned n)
{
    unsigned got = 0;

    if (likely(guest_read(bytes, guest_ptr(v->arch.regs->rip), n) == 0))
        return n;
    /* The page behind may not be there: as far as it goes. */
    while (got < n && guest_read(bytes + got, guest_ptr(v->arch.regs->rip + got), 1) == 0)
        got++;
    return got;
}

static uint64_t insn_address(const struct insn *i, unsigned at)
{
    return i->wide ? i->start + at : (uint32_t)(i->cs_base + (uint32_t)(i->start + at));
}

/* Fetch more: a whole word, or, where that crosses into nothing, what there is.  False: not a byte.
 */
static bool insn_refill(struct insn *i)
{
    guest_ptr_t at = guest_ptr(insn_address(i, i->length));
    uint8_t byte;

    if (likely(guest_read_u64(&i->ahead, at) == 0)) {
        i->ahead_bytes = MIN(8u, INSN_MAX - i->length);
        return true;
    }
    if (guest_read(&byte, at, 1))
        return false;
    i->ahead = byte;
    i->ahead_bytes = 1;
    return true;
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

/* The instruction could not be read: it is too long to be one, or goes on where no address is (both
 * are the #GP that came); or the page is gone since the CPU read it. */
static enum outcome insn_fetch_fault(struct vcpu *v, const struct insn *i)
{
    const uint64_t at = insn_address(i, i->length);

    if (i->length >= INSN_MAX || !va_canonical(at))
        return NOT_OURS;
    guest_page_fault(v, at, v->kernel_mode ? 0 : PF_USER);
    return DELIVERED;
}

/* What kind of code is running, by its code segment.  False: no such segment any more. */
static bool insn_begin(struct vcpu *v, struct insn *i)
{
    struct guest_regs *r = v->arch.regs;
    uint64_t d;

    i->regs = r;
    i->start = r->rip;
    if (likely(r->cs == SEL_GUEST_CS64)) {
        i->wide = true;
        return true;
    }
    if (!descriptor_read(v, (uint16_t)r->cs, &d) || !(d & DESCRIPTOR_PRESENT) ||
        !(d & DESCRIPTOR_USER) || !(d & DESCRIPTOR_CODE))
        return false;
    i->wide = d & DESCRIPTOR_LONG;
    i->big = d & DESCRIPTOR_BIG;
    i->cs_base = descriptor_base(d);
    return true;
}

/* Prefixes and the first opcode byte. */
static bool insn_prefixes(struct insn *i)
{
    for (;;) {
        if (!insn_byte(i, &i->opcode))
            return false;
        switch (i->opcode) {
        case 0x66:
            i->operand_prefix = true;
            break;
        case 0x67:
            i->address_prefix = true;
            break;
        case 0xf2:
        case 0xf3:
            i->rep = true;
            break;
        case 0xf0:
            i->lock = true;
            break;
        case 0x26:
            i->segment = SEGMENT_ES;
            break;
        case 0x2e:
            i->segment = SEGMENT_CS;
            break;
        case 0x36:
            i->segment = SEGMENT_SS;
            break;
        case 0x3e:
            i->segment = SEGMENT_DS;
            break;
        case 0x64:
            i->segment = SEGMENT_FS;
            break;
        case 0x65:
            i->segment = SEGMENT_GS;
            break;
        case 0x40 ... 0x4f:
            if (!i->wide)
                return true;
            /* REX counts only right before the opcode. */
            i->rex = i->opcode;
            continue;
        default:
            return true;
        }
        i->rex = 0;
    }
}

/* The instruction is done: flags and rip as after it. */
static void insn_retire(struct vcpu *v, const struct insn *i)
{
    struct guest_regs *r = i->regs;
    uint64_t next = i->start + i->length;

    v->emulated++;
    r->rip = likely(i->wide) ? next : (uint32_t)next;
    r->rflags &= ~RFLAGS_RF;
    if (unlikely(r->rflags & RFLAGS_TF)) {
        v->arch.dr6 |= DR6_BS;
        guest_exception(v, VECTOR_DB, 0);
    }
}

/* --- software interrupts --------------------------------------------------------- */

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

/* --- ports ----------------------------------------------------------------------- */

static unsigned io_bytes(const struct insn *i)
{
    if (!(i->opcode & 1))
        return 1;
    return (i->wide || i->big) != i->operand_prefix ? 4 : 2;
}

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

struct range {
    uint64_t base, limit; /* @limit: the last offset */
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

/* The addresses that a string instruction reaches through segment @s.  False: it may not use the
 * segment at all. 64-bit code knows only the bases of FS and GS; elsewhere the descriptor tells
 * (expand-down segments excluded). */
static bool string_range(struct vcpu *v, const struct insn *i, enum segment s, bool write,
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

/* How many bits of rcx, rsi, rdi count. */
static uint64_t address_mask(const struct insn *i)
{
    if (i->wide)
        return i->address_prefix ? 0xffffffffull : ~0ull;
    return i->big != i->address_prefix ? 0xffffffffull : 0xffffull;
}

/* Write the counted part of an address register: 32-bit results clear the upper half, 16-bit ones
 * keep the rest. */
static void set_masked(uint64_t *slot, uint64_t mask, uint64_t value)
{
    *slot = mask == 0xffff ? (*slot & ~0xffffull) | (value & mask) : value & mask;
}

/* An element at @at, @bytes long, could not be accessed: the guest gets the fault, at the first bad
 * byte. */
static void string_fault(struct vcpu *v, uint64_t at, unsigned bytes, uint32_t error)
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

/* One element of INS or OUTS: false if memory refused it, and the fault has been delivered. */
static bool string_element(struct vcpu *v, uint64_t at, uint16_t port, unsigned bytes, bool out)
{
    uint32_t value = 0;
    bool ok;

    if (out) {
        ok = guest_read(&value, guest_ptr(at), bytes) == 0;
        if (ok)
            io_write(v, port, bytes, value);
    } else {
        value = io_read(v, port, bytes);
        ok = guest_write(guest_ptr(at), &value, bytes) == 0;
    }
    if (!ok)
        string_fault(v, at, bytes, out ? 0 : PF_WRITE);
    return ok;
}

/* Elements done before the guest may be interrupted again. */
#define STRING_CHUNK 512u

static enum outcome string_io(struct vcpu *v, struct insn *i)
{
    struct guest_regs *r = i->regs;
    bool out = i->opcode & 2;
    unsigned bytes = io_bytes(i);
    uint16_t port = (uint16_t)r->rdx;
    uint64_t mask = address_mask(i);
    uint64_t *index = out ? &r->rsi : &r->rdi;
    struct range range;
    int64_t step = r->rflags & RFLAGS_DF ? -(int64_t)bytes : (int64_t)bytes;
    uint64_t left = i->rep ? r->rcx & mask : 1;

    if (!left)
        return DONE;
    if (!io_allowed(v, port, bytes) ||
        !string_range(v, i, out ? i->segment : SEGMENT_ES, !out, &range))
        return NOT_OURS;
    for (unsigned n = 0; left && n < STRING_CHUNK; n++) {
        uint64_t offset = *index & mask, at = range.base + offset;
        if (offset + bytes - 1 > range.limit)
            return NOT_OURS;
        if (!string_element(v, i->wide ? at : (uint32_t)at, port, bytes, out))
            return DELIVERED;
        set_masked(index, mask, *index + (uint64_t)step);
        left--;
        if (i->rep)
            set_masked(&r->rcx, mask, left);
    }
    return left ? AGAIN : DONE;
}

/* --- control registers ----------------------------------------------------------- */

/* Bits that a guest may choose, and bits of the machine's that it may see. */
#define CR4_GUEST   (CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE)
#define CR4_VISIBLE (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)

uint64_t cr4_guest_view(uint64_t want)
{
    /* The machine's own: bits that follow the guest are never taken from it. */
    uint64_t machine = read_cr4();
    uint64_t can =
        CR4_TSD | CR4_DE | (machine & CR4_OSXSAVE) | (cpuid_has_fsgsbase ? CR4_FSGSBASE : 0);

    return (want & CR4_GUEST & can) | (machine & CR4_VISIBLE);
}

/* Bits of the real CR4 that follow the guest's. FSGSBASE must: a guest kernel that does not know of
 * the instructions keeps bases apart by hypercall, and its user mode must not change them behind
 * its back. */
#define CR4_FOLLOWS_GUEST (CR4_TSD | CR4_FSGSBASE)

void control_restore(const struct vcpu *v)
{
    struct percpu *p = this_percpu();
    uint64_t want = (p->cr4 & ~CR4_FOLLOWS_GUEST) | (v->arch.cr4 & CR4_FOLLOWS_GUEST);

    if (unlikely(want != p->cr4)) {
        p->cr4 = want;
        write_cr4(want);
    }
    if (unlikely(v->arch.tsc_aux != p->tsc_aux)) {
        p->tsc_aux = v->arch.tsc_aux;
        wrmsr(MSR_TSC_AUX, p->tsc_aux);
    }
}

static enum outcome cr_read(struct vcpu *v, unsigned cr, uint64_t *to)
{
    switch (cr) {
    case 0:
        *to = CR0_GUEST | (v->arch.ts ? CR0_TS : 0);
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
    uint64_t *r = reg(i->regs, (modrm & 7) | (i->rex & 1) << 3);
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
    uint64_t *r = reg(i->regs, (modrm & 7) | (i->rex & 1) << 3);
    long rc = i->opcode == 0x23 ? debugreg_set(v, dr, i->wide ? *r : (uint32_t)*r)
                                : debugreg_get(v, dr, r);
    if (rc == -XEN_ENODEV)
        return UNDEFINED;
    return rc ? NOT_OURS : DONE;
}

/* --- the rest -------------------------------------------------------------------- */

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

/* --- where the descriptor tables are ---------------------------------------------- */

/*
 * SGDT, SIDT, SLDT, STR and SMSW work in ring 3 of processors without UMIP, and programs know it.
 * With it they fault, so that the hypervisor's addresses stay its own: everybody is told the start
 * of its part of the address space instead.  The rest is what the processor would say, and says on
 * Xen.
 */
#define TABLE_ADDRESS HYPERVISOR_VIRT_START_

struct operand {
    enum segment segment;
    uint64_t offset;
};

static bool insn_immediate(struct insn *i, unsigned bytes, int64_t *value)
{
    uint64_t v = 0;
    uint8_t byte;

    for (unsigned n = 0; n < bytes; n++) {
        if (!insn_byte(i, &byte))
            return false;
        v |= (uint64_t)byte << 8 * n;
    }
    *value = (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
    return true;
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
        at += *reg(i->regs, base[rm]) + (rm < 4 ? *reg(i->regs, index[rm]) : 0);
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
        at = *reg(i->regs, base | (i->rex & 1) << 3);
    else if (!has_sib && i->wide)
        at = i->start + i->length; /* rip; the displacement was its last part */
    if (index != 4)
        at += *reg(i->regs, index) << (sib >> 6);
    o->offset = at + (uint64_t)displacement;
    return true;
}

/* Write @bytes of @from where the memory operand of @modrm is. */
static enum outcome store_operand(struct vcpu *v, struct insn *i, uint8_t modrm, const void *from,
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
    if (!string_range(v, i, o.segment, true, &range) || o.offset + bytes - 1 > range.limit)
        return NOT_OURS;
    uint64_t at = range.base + o.offset;
    if (!i->wide)
        at = (uint32_t)at;
    if (guest_write(guest_ptr(at), from, bytes)) {
        string_fault(v, at, bytes, PF_WRITE);
        return DELIVERED;
    }
    return DONE;
}

/* SGDT, SIDT: a limit and an address, of 4 bytes outside 64-bit code. */
static enum outcome store_table(struct vcpu *v, struct insn *i, uint8_t modrm, uint16_t limit)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {limit, TABLE_ADDRESS};

    return store_operand(v, i, modrm, &table, i->wide ? 10 : 6);
}

/* SLDT, STR, SMSW: 16 bits into memory, as many as the operand has into a register. */
static enum outcome store_word(struct vcpu *v, struct insn *i, uint8_t modrm, uint64_t word)
{
    if (modrm < 0xc0)
        return store_operand(v, i, modrm, &word, 2);
    uint64_t *r = reg(i->regs, (modrm & 7) | (i->rex & 1) << 3);
    if (i->rex & 8)
        *r = word;
    else if ((i->wide || i->big) != i->operand_prefix)
        *r = (uint32_t)word;
    else
        *r = (*r & ~0xffffull) | (uint16_t)word;
    return DONE;
}

/* 0f 00: SLDT and STR; LLDT, LTR, VERR and VERW are not ours. */
static enum outcome group6(struct vcpu *v, struct insn *i)
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
    uint64_t cr0;

    switch (modrm >> 3 & 7) {
    case 0:
        return modrm < 0xc0 ? store_table(v, i, modrm, GDT_LIMIT) : NOT_OURS;
    case 1:
        return modrm < 0xc0 ? store_table(v, i, modrm, IDT_LIMIT) : NOT_OURS;
    case 4:
        (void)cr_read(v, 0, &cr0);
        return store_word(v, i, modrm, cr0);
    default:
        return NOT_OURS;
    }
}

/* 0f 01: XSETBV (d1) and RDTSCP (f9) are ours, LGDT and its kin are not. */
static enum outcome group7(struct vcpu *v, struct insn *i)
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

/* Two-byte opcodes: most are the kernel's alone. */
static enum outcome two_byte(struct vcpu *v, struct insn *i)
{
    if (!insn_byte(i, &i->opcode))
        return insn_fetch_fault(v, i);
    if (unlikely(i->opcode <= 0x01))
        return i->opcode ? group7(v, i) : group6(v, i);
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
        return string_io(v, i);
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

/* --- forced emulation ------------------------------------------------------------ */

static const uint8_t forced_cpuid[7] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
#define FORCED_CPUID_WORD 0x00a20f6e65780b0full /* the same, as the low seven bytes of a word */

static cold_ void record_cpuid(struct vcpu *v, const struct cpuid_leaf *leaf)
{
    const struct guest_regs *r = v->arch.regs;
    const uint64_t arg[6] = {(uint32_t)r->rax, (uint32_t)r->rcx, leaf->a,
                             leaf->b,          leaf->c,          leaf->d};
    strace_emulated(v, STRACE_CPUID, r->rip, arg);
}

static noinline_ void forced_cpuid_emulate(struct vcpu *v)
{
    struct guest_regs *r = v->arch.regs;
    struct cpuid_leaf leaf;

    cpuid_guest(v, (uint32_t)r->rax, (uint32_t)r->rcx, &leaf);
    if (unlikely(strace_on))
        record_cpuid(v, &leaf);
    r->rax = leaf.a;
    r->rbx = leaf.b;
    r->rcx = leaf.c;
    r->rdx = leaf.d;
    insn_retire(v, &(struct insn){
                       .regs = r, .start = r->rip, .length = sizeof(forced_cpuid), .wide = true});
}

/* The bytes could not be read as one word: compare them singly.  A byte of the prefix, or of the
 * instruction behind a complete prefix, that cannot be read is a page fault there; where no address
 * is, the instruction was UD2. */
static noinline_ void undefined_slowly(struct vcpu *v, uint64_t start)
{
    uint8_t byte;

    for (unsigned n = 0; n < sizeof(forced_cpuid); n++) {
        if (!va_canonical(start + n)) {
            guest_exception(v, VECTOR_UD, 0);
            return;
        }
        if (guest_read(&byte, guest_ptr(start + n), 1)) {
            guest_page_fault(v, start + n, v->kernel_mode ? 0 : PF_USER);
            return;
        }
        if (byte != forced_cpuid[n]) {
            guest_exception(v, VECTOR_UD, 0);
            return;
        }
    }
    forced_cpuid_emulate(v);
}

/* In a segment of the guest's, which may have a base.  32-bit code that goes round its end is not looked at. */
static noinline_ void undefined_in_segment(struct vcpu *v)
{
    struct insn i = {0};

    if (insn_begin(v, &i) && (i.wide || i.start + sizeof(forced_cpuid) <= UINT32_MAX))
        undefined_slowly(v, insn_address(&i, 0));
    else
        guest_exception(v, VECTOR_UD, 0);
}

void emulate_undefined(struct vcpu *v)
{
    const struct guest_regs *r = v->arch.regs;
    uint64_t word;

    if (unlikely(r->cs != SEL_GUEST_CS64))
        undefined_in_segment(v);
    else if (unlikely(guest_read_u64(&word, guest_ptr(r->rip))))
        undefined_slowly(v, r->rip);
    else if ((word & 0x00ffffffffffffffull) == FORCED_CPUID_WORD)
        forced_cpuid_emulate(v);
    else
        guest_exception(v, VECTOR_UD, 0);
}
