/* What core/strace.c wants of the machine. */
#include "guest.h"
#include "machine.h"

void arch_port_write(uint16_t port, uint8_t byte)
{
    outb(port, byte);
}

/*
 * Who wants this?  A call through the hypercall page comes from one of its stubs, all of which go on
 * with pop r11, pop rcx, ret: then the caller is three words up the guest's stack.
 */
uint64_t arch_guest_caller(struct vcpu *v)
{
    static const uint8_t stub_end[] = {0x41, 0x5b, 0x59, 0xc3};
    const struct guest_regs *r = v->arch.regs;
    uint8_t code[sizeof(stub_end)];
    uint64_t caller;

    if (guest_read(code, guest_ptr(r->rip), sizeof(code)) || memcmp(code, stub_end, sizeof(code)) ||
        guest_read_u64(&caller, guest_ptr(r->rsp + 2 * sizeof(uint64_t))))
        return r->rip;
    return caller;
}
