/*
 * Writable page tables: a guest kernel stores to its own L1 table, which it may only read, and we make the store for
 * it as the entry update that it is (vm_assist writable_pagetables).
 *
 * One aligned store of 1, 2, 4 or 8 bytes inside one entry; anything else is the guest's fault to handle.  The
 * instructions are those that compilers and kernels use to change an entry:
 *
 *   88 89 C6 C7         mov        86 87      xchg             0F B0 B1  cmpxchg     0F C0 C1  xadd
 *   00-35 80 81 83      add or adc sbb and sub xor (memory destination)
 *   0F AB B3 BB, 0F BA  bts btr btc
 */
#include "guest.h"
#include "lib.h"
#include "instruction.h"
#include "page-tables.h"
#include "pci.h"
#include "strace.h"

#include <paravane/strace-record.h>

struct store {
    uint8_t length;  /* of the instruction */
    uint8_t size;    /* of the operand: 1, 2, 4, 8 */
    uint16_t opcode; /* second byte for 0F xx: 0x0fxx */
    uint8_t reg;     /* ModRM.reg with REX.R */
    uint8_t rm_ext;  /* ModRM.reg without REX: opcode extension */
    bool rex;
    uint64_t immediate;
};

static uint64_t size_mask(unsigned size)
{
    return size == 8 ? ~0ull : (1ull << size * 8) - 1;
}

/* ah, ch, dh and bh exist only without a REX prefix. */
static bool is_high_byte(const struct store *s)
{
    return s->size == 1 && !s->rex && s->reg >= 4;
}

static uint64_t reg_read(struct guest_regs *regs, const struct store *s)
{
    if (is_high_byte(s))
        return *insn_reg(regs, s->reg - 4) >> 8 & 0xff;
    return *insn_reg(regs, s->reg) & size_mask(s->size);
}

/* Bits 15:8 of one of the first four: the high-byte registers ah, ch, dh, bh are numbers 4 to 7. */
static void reg_write_high_byte(struct guest_regs *regs, unsigned n, uint64_t value)
{
    uint64_t *r = insn_reg(regs, n - 4);

    *r = (*r & ~0xff00ull) | (value & 0xff) << 8;
}

static void reg_write(struct guest_regs *regs, const struct store *s, unsigned n, uint64_t value)
{
    uint64_t *r = insn_reg(regs, n);

    if (s->size == 4)
        *r = (uint32_t)value;
    else
        *r = (*r & ~size_mask(s->size)) | (value & size_mask(s->size));
}

/* Length of ModRM, SIB and displacement at @p; 0: a register operand, or beyond @end. */
static inline unsigned modrm_length(const uint8_t *p, const uint8_t *end)
{
    if (p + 2 > end)
        return 0;
    uint8_t mod = p[0] >> 6, rm = p[0] & 7;
    unsigned n = 1;

    if (mod == 3)
        return 0;
    if (rm == 4) {
        n++;
        if (mod == 0 && (p[1] & 7) == 5)
            n += 4;
    } else if (mod == 0 && rm == 5) {
        n += 4;
    }
    n += mod == 1 ? 1 : mod == 2 ? 4 : 0;
    return p + n <= end ? n : 0;
}

/* How many immediate bytes @opcode has; -1: not one of ours. */
static int immediate_length(uint16_t opcode, unsigned size, uint8_t ext)
{
    /* clang-format off */
    switch (opcode) {
    case 0x88: case 0x89: case 0x86: case 0x87:
    case 0x0fb0: case 0x0fb1: case 0x0fc0: case 0x0fc1:
    case 0x0fab: case 0x0fb3: case 0x0fbb:
        return 0;
    case 0x00: case 0x01: case 0x08: case 0x09: case 0x10: case 0x11: case 0x18: case 0x19:
    case 0x20: case 0x21: case 0x28: case 0x29: case 0x30: case 0x31:
        return 0;
    case 0xc6: case 0xc7:
        return ext ? -1 : opcode == 0xc6 ? 1 : (int)MIN(size, 4u);
    /* clang-format on */
    case 0x80:
    case 0x83:
        return ext == 7 ? -1 : 1;
    case 0x81:
        return ext == 7 ? -1 : (int)MIN(size, 4u);
    case 0x0fba:
        return ext < 5 ? -1 : 1;
    default:
        return -1;
    }
}

static bool opcode_is_byte(uint16_t opcode)
{
    return opcode != 0x83 && opcode != 0x0fba && opcode != 0x0fab && opcode != 0x0fb3 &&
           opcode != 0x0fbb && !(opcode & 1);
}

/* A legacy prefix that may stand before one of these: it changes nothing, but for 66. */
static inline bool is_prefix(uint8_t byte)
{
    switch (byte) {
    /* clang-format off */
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0xf0:
        /* clang-format on */
        return true;
    default:
        return false;
    }
}

static bool decode(const uint8_t *bytes, unsigned got, struct store *s)
{
    const uint8_t *p = bytes, *end = bytes + got;
    uint8_t rex = 0;
    bool wide16 = false;

    for (; p < end && is_prefix(*p); p++)
        wide16 |= *p == 0x66;
    if (p < end && (*p & 0xf0) == 0x40)
        rex = *p++;
    if (p >= end)
        return false;
    s->opcode = *p++;
    if (s->opcode == 0x0f) {
        if (p >= end)
            return false;
        s->opcode = 0x0f00 | *p++;
    }
    unsigned m = modrm_length(p, end);
    if (!m)
        return false;
    s->rex = rex;
    s->rm_ext = *p >> 3 & 7;
    s->reg = s->rm_ext | (rex & 4) << 1;
    s->size = opcode_is_byte(s->opcode) ? 1 : rex & 8 ? 8 : wide16 ? 2 : 4;
    p += m;

    int n = immediate_length(s->opcode, s->size, s->rm_ext);
    if (n < 0 || p + n > end)
        return false;
    int64_t imm = 0;
    for (int i = n - 1; i >= 0; i--)
        imm = imm << 8 | p[i];
    if (n && n < 8)
        imm = (int64_t)((uint64_t)imm << (64 - 8 * n)) >> (64 - 8 * n);
    s->immediate = (uint64_t)imm & size_mask(s->size);
    s->length = (uint8_t)(p + n - bytes);
    return true;
}

#define ARITHMETIC_FLAGS 0x8d5u /* CF PF AF ZF SF OF */

/* Run one real instruction on values to get both result and flags. */
/* clang-format off */
#define ALU(insn, size_suffix, type)                                                             \
    {                                                                                            \
        type r_ = (type)a;                                                                       \
        __asm__("push %2\n\tpopf\n\t" insn size_suffix " %3, %0\n\tpushf\n\tpop %1"              \
                : "+r"(r_), "=&r"(out)                                                           \
                : "r"(*flags & ARITHMETIC_FLAGS), "r"((type)b)                                   \
                : "cc");                                                                         \
        result = r_;                                                                             \
    }
#define ALU_SIZES(insn)                                                                          \
    switch (size) {                                                                              \
    case 1: ALU(insn, "b", uint8_t) break;                                                       \
    case 2: ALU(insn, "w", uint16_t) break;                                                      \
    case 4: ALU(insn, "l", uint32_t) break;                                                      \
    default: ALU(insn, "q", uint64_t) break;                                                     \
    }

static uint64_t alu(unsigned op, unsigned size, uint64_t a, uint64_t b, uint64_t *flags)
{
    uint64_t out = 0, result = a;

    switch (op) {
    case 0: ALU_SIZES("add") break;
    case 1: ALU_SIZES("or") break;
    case 2: ALU_SIZES("adc") break;
    case 3: ALU_SIZES("sbb") break;
    case 4: ALU_SIZES("and") break;
    case 5: ALU_SIZES("sub") break;
    case 6: ALU_SIZES("xor") break;
    default: ALU_SIZES("cmp") break;
    }
    /* clang-format on */
    *flags = (*flags & ~(uint64_t)ARITHMETIC_FLAGS) | (out & ARITHMETIC_FLAGS);
    return result;
}

static uint64_t bit_op(unsigned which, unsigned bit, uint64_t old, uint64_t *flags)
{
    *flags = (*flags & ~1ull) | (old >> bit & 1);
    switch (which) {
    case 5:
        return old | BIT(bit);
    case 6:
        return old & ~BIT(bit);
    default:
        return old ^ BIT(bit);
    }
}

/* What the operand becomes when it holds @old; *flags as after the instruction; *writes false: cmpxchg that differs. */
static uint64_t new_value(const struct store *s, struct guest_regs *regs, uint64_t old,
                          uint64_t *flags, bool *writes)
{
    unsigned bit;

    *writes = true;
    switch (s->opcode) {
    case 0x88:
    case 0x89:
    case 0x86:
    case 0x87:
        return reg_read(regs, s);
    case 0xc6:
    case 0xc7:
        return s->immediate;
    case 0x80:
    case 0x81:
    case 0x83:
        return alu(s->rm_ext, s->size, old, s->immediate, flags);
    case 0x0fc0:
    case 0x0fc1:
        return alu(0, s->size, old, reg_read(regs, s), flags);
    case 0x0fb0:
    case 0x0fb1:
        (void)alu(7, s->size, regs->rax & size_mask(s->size), old, flags);
        *writes = (regs->rax & size_mask(s->size)) == old;
        return reg_read(regs, s);
    case 0x0fba:
        bit = s->immediate & (s->size * 8 - 1);
        return bit_op(s->rm_ext, bit, old, flags);
    case 0x0fab:
    case 0x0fb3:
    case 0x0fbb:
        /* The bit offset moves the operand: only one inside it is an update of this entry. */
        bit = reg_read(regs, s) & (s->size * 8 - 1);
        return bit_op(s->opcode == 0x0fab ? 5 : s->opcode == 0x0fb3 ? 6 : 7, bit, old, flags);
    default:
        return alu(s->opcode >> 3, s->size, old, reg_read(regs, s), flags);
    }
}

/* What else the instruction leaves behind. */
static void write_back(const struct store *s, struct guest_regs *regs, uint64_t old, bool wrote)
{
    switch (s->opcode) {
    case 0x86:
    case 0x87:
    case 0x0fc0:
    case 0x0fc1:
        if (is_high_byte(s))
            reg_write_high_byte(regs, s->reg, old);
        else
            reg_write(regs, s, s->reg, old);
        break;
    case 0x0fb0:
    case 0x0fb1:
        if (!wrote)
            reg_write(regs, s, 0, old);
        break;
    }
}

/* The register form of bts and friends reaches beyond its operand when the bit offset is large. */
static bool bit_offset_inside(const struct store *s, struct guest_regs *regs)
{
    if (s->opcode != 0x0fab && s->opcode != 0x0fb3 && s->opcode != 0x0fbb)
        return true;
    return reg_read(regs, s) < s->size * 8u;
}

/* Exchange the entry until no A or D bit was set by the CPU in between. */
static int store_apply(struct domain *d, const struct store *s, struct guest_regs *regs,
                       uint64_t *slot, unsigned shift) REQUIRES(&d->mmu)
{
    for (;;) {
        uint64_t entry = atomic_read(slot), mask = size_mask(s->size) << shift;
        uint64_t old = entry >> shift & size_mask(s->size), flags = regs->rflags;
        bool writes;
        uint64_t value = new_value(s, regs, old, &flags, &writes);
        uint64_t want = (entry & ~mask) | (value << shift & mask);

        int rc = writes ? l1_compare_exchange(d, slot, entry, pte(want)) : 0;
        if (rc == -XEN_EAGAIN)
            continue;
        if (rc == 0) {
            regs->rflags = flags;
            write_back(s, regs, old, writes);
        }
        return rc;
    }
}

/* The length of the instruction at @bytes if it is what kernels do to a whole entry: REX.W mov or xchg with a
 * register.  Else 0. */
static inline unsigned is_plain_store(const uint8_t *bytes, unsigned got)
{
    if ((bytes[0] & 0xf8) != 0x48 || (bytes[1] != 0x89 && bytes[1] != 0x87))
        return 0;
    unsigned m = modrm_length(bytes + 2, bytes + got);
    return m ? 2 + m : 0;
}

/* Make that store.  0 or -errno. */
static inline int plain_store(struct domain *d, const uint8_t *bytes, struct guest_regs *regs,
                              uint64_t *slot) REQUIRES(&d->mmu)
{
    uint64_t *reg = insn_reg(regs, (bytes[2] >> 3 & 7) | (bytes[0] & 4) << 1);
    uint64_t old;
    int rc;

    for (;;) {
        old = atomic_read(slot);
        rc = l1_compare_exchange(d, slot, old, pte(*reg));
        if (likely(!rc))
            break;
        if (rc != -XEN_EAGAIN)
            return rc;
    }
    if (bytes[1] == 0x87)
        *reg = old;
    return 0;
}

/* Does @entry map a validated L1 table of @d, read-only? */
static inline bool maps_l1_table(const struct domain *d, pte_t entry)
{
    return (entry.v & (PTE_P | PTE_RW)) == PTE_P && mfn_valid(pte_mfn(entry)) &&
           page_is_table_of(mfn_to_page(pte_mfn(entry)), d->id, PAGE_TYPE_L1);
}

/* Does @entry map device memory that the domain may only read (device-memory.h)? */
static inline bool maps_read_only_device(const struct domain *d, pte_t entry)
{
    return domain_has(d, ROLE_HARDWARE) && (entry.v & (PTE_P | PTE_RW)) == PTE_P &&
           arch_device_frame_read_only(pte_mfn(entry));
}

/* A store to such memory comes to nothing, or becomes a write to configuration space (pci.c).  The length of the
 * instruction, or 0. */
static unsigned device_store(struct vcpu *v, pte_t entry, uint64_t address)
{
    struct guest_regs *regs = v->arch.regs;
    uint8_t bytes[16];
    uint64_t old = 0, flags = regs->rflags;
    struct store s;
    bool writes;

    if (!decode(bytes, guest_fetch(v, bytes, 15), &s) || (address & (s.size - 1)) ||
        !bit_offset_inside(&s, regs))
        return 0;
    /* What a plain store does not look at may not like to be read. */
    const bool plain = (s.opcode & ~1u) == 0x88 || (s.opcode & ~1u) == 0xc6;
    if (!plain && guest_read(&old, guest_ptr(address), s.size))
        return 0;
    const uint64_t value = new_value(&s, regs, old, &flags, &writes);
    if (writes)
        pci_ecam_write(mfn_to_maddr(pte_mfn(entry)) + (address & ~PAGE_MASK), s.size, value);
    regs->rflags = flags;
    write_back(&s, regs, old, writes);
    return s.length;
}

/* Make the store that the guest's kernel tried at @entry's page.  The length of the instruction, or 0: it is not one of
 * ours, or the entry may not say that. */
static unsigned store_emulate(struct vcpu *v, pte_t entry, uint64_t address)
    REQUIRES(&v->domain->mmu)
{
    struct domain *d = v->domain;
    struct guest_regs *regs = v->arch.regs;
    uint64_t *slot = (uint64_t *)((char *)mfn_to_virt(pte_mfn(entry)) + (address & 0xff8));
    uint8_t bytes[16];
    struct store s;

    /* A page's last bytes apart, all that an instruction can have is there. */
    unsigned got = likely(!guest_read(bytes, guest_ptr(regs->rip), sizeof(bytes)))
                       ? 15
                       : guest_fetch(v, bytes, 15);
    mutex_is_held(&d->mmu);
    unsigned length = got == 15 && !(address & 7) ? is_plain_store(bytes, got) : 0;
    if (likely(length))
        return plain_store(d, bytes, regs, slot) == 0 ? length : 0;
    if (!decode(bytes, got, &s) || (address & (s.size - 1)) || !bit_offset_inside(&s, regs))
        return 0;
    return store_apply(d, &s, regs, slot, (address & 7) * 8) == 0 ? s.length : 0;
}

/* No arguments: the fast path would have to keep them. */
static cold_ void record_store(void)
{
    struct vcpu *v = current_vcpu();
    uint64_t arg[6] = {0};
    __asm__("mov %%cr2, %0" : "=r"(arg[0]));
    /* The guest may read what it may not write. */
    if (guest_read_u64(&arg[1], guest_ptr(arg[0] & ~7ull)) == 0)
        strace_emulated(v, STRACE_STORE, v->arch.regs->rip, arg);
}

bool emulate_pagetable_write(struct vcpu *v, uint64_t address, uint32_t error)
{
    struct domain *d = v->domain;
    struct guest_regs *regs = v->arch.regs;
    unsigned length = 0;

    mutex_lock(&d->mmu);
    mutex_is_held(&v->domain->mmu);
    const uint64_t *slot = l1_slot(v, address);
    if (slot) {
        const pte_t entry = pte(atomic_read(slot));
        if (maps_l1_table(d, entry))
            length = store_emulate(v, entry, address);
        else if (unlikely(maps_read_only_device(d, entry)))
            length = device_store(v, entry, address);
    }
    mutex_unlock(&d->mmu);
    if (!length)
        return false;
    if (unlikely(strace_on))
        record_store();
    regs->rip += length;
    regs->rflags &= ~RFLAGS_RF;
    if (unlikely(regs->rflags & RFLAGS_TF))
        guest_exception(current_vcpu(), VECTOR_DB, 0); /* @v, which need not be kept for that */
    return true;
}
