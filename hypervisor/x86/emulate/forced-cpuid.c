/*
 * The forced-emulation prefix, by which a guest's kernel or program asks for CPUID as the hypervisor wants it seen:
 *
 *   0f 0b 'x' 'e' 'n' 0f a2        ud2; "xen"; cpuid
 */
#include "instruction.h"
#include "strace.h"

#include <paravane/strace-record.h>

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
    if (unlikely(v->domain->arch.features))
        cpuid_limit(v, (uint32_t)r->rax, (uint32_t)r->rcx, &leaf);
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
