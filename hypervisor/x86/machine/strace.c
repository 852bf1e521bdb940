/* What core/dispatch/strace.c wants of the machine. */
#include "guest.h"
#include "machine.h"

void arch_port_write(uint16_t port, uint8_t byte)
{
    outb(port, byte);
}

/*
 * Who wants this?  A call through the hypercall page comes from one of its stubs, all of which go
 * on with pop r11, pop rcx, ret: then the caller is two words up the guest's stack.  Newer Linux
 * has a stub of its own that does the same, and leaves by a jump.
 */
uint64_t arch_guest_caller(struct vcpu *v)
{
    static const uint8_t pops[] = {0x41, 0x5b, 0x59};
    enum { RET = 0xc3, JMP = 0xe9 };
    const struct guest_regs *r = v->arch.regs;
    uint8_t code[sizeof(pops) + 1];
    uint64_t caller;

    if (guest_read(code, guest_ptr(r->rip), sizeof(code)) || memcmp(code, pops, sizeof(pops)) ||
        (code[sizeof(pops)] != RET && code[sizeof(pops)] != JMP) ||
        guest_read_u64(&caller, guest_ptr(r->rsp + 2 * sizeof(uint64_t))))
        return r->rip;
    return caller;
}
