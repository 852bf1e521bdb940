/* Fetching and decoding a guest's instruction. */
#include "instruction.h"

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

uint64_t insn_address(const struct insn *i, unsigned at)
{
    return i->wide ? i->start + at : (uint32_t)(i->cs_base + (uint32_t)(i->start + at));
}

/* Fetch more: a whole word, or, where that crosses into nothing, what there is.  False: not a byte.
 */
bool insn_refill(struct insn *i)
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

enum outcome insn_fetch_fault(struct vcpu *v, const struct insn *i)
{
    const uint64_t at = insn_address(i, i->length);

    if (i->length >= INSN_MAX || !va_canonical(at))
        return NOT_OURS;
    guest_page_fault(v, at, v->kernel_mode ? 0 : PF_USER);
    return DELIVERED;
}

bool insn_begin_segment(struct vcpu *v, struct insn *i)
{
    uint64_t d;

    if (!descriptor_read(v, (uint16_t)i->regs->cs, &d) || !(d & DESCRIPTOR_PRESENT) ||
        !(d & DESCRIPTOR_USER) || !(d & DESCRIPTOR_CODE))
        return false;
    i->wide = d & DESCRIPTOR_LONG;
    i->big = d & DESCRIPTOR_BIG;
    i->cs_base = descriptor_base(d);
    return true;
}

bool insn_prefixes(struct insn *i)
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

bool insn_immediate(struct insn *i, unsigned bytes, int64_t *value)
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

void insn_retire(struct vcpu *v, const struct insn *i)
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
