/* INS and OUTS of a guest.  Whose a port is, and what is behind it: io.c. */
#include "instruction.h"

/* Write the counted part of an address register: 32-bit results clear the upper half, 16-bit ones
 * keep the rest. */
static void set_masked(uint64_t *slot, uint64_t mask, uint64_t value)
{
    *slot = mask == 0xffff ? (*slot & ~0xffffull) | (value & mask) : value & mask;
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
        operand_fault(v, at, bytes, out ? 0 : PF_WRITE);
    return ok;
}

/* Elements done before the guest may be interrupted again. */
#define STRING_CHUNK 512u

enum outcome emulate_string_io(struct vcpu *v, struct insn *i)
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
        !segment_range(v, i, out ? i->segment : SEGMENT_ES, !out, &range))
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
