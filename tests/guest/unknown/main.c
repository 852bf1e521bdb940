/*
 * Question: what happens at a hypercall that is not there, and which registers
 * does any hypercall change?
 *
 * A hypercall table is an array indexed by a guest's number: the first thing to
 * go wrong is the bound (a number of 64 bits compared as 32, a speculative
 * look-up).  -ENOSYS is also how guests probe for calls, so the answer must be
 * exactly that.  SYSCALL destroys rcx and r11; rax is the result; every other
 * register belongs to the guest.
 */
#include "guest.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <paravane/hypercall-list.h>
#include <xen/version.h>

struct registers {
    uint64_t rax, rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15;
};

/* Load everything, SYSCALL, store everything. */
void call_with(struct registers *r);
__asm__(".pushsection .text\n"
        "call_with:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi\n"
        "mov 0(%rdi),%rax; mov 8(%rdi),%rbx; mov 16(%rdi),%rdx; mov 24(%rdi),%rsi\n"
        "mov 40(%rdi),%rbp; mov 48(%rdi),%r8; mov 56(%rdi),%r9; mov 64(%rdi),%r10\n"
        "mov 72(%rdi),%r12; mov 80(%rdi),%r13; mov 88(%rdi),%r14; mov 96(%rdi),%r15\n"
        "mov 32(%rdi),%rdi\n"
        "syscall\n"
        "mov %rdi,%rcx; pop %rdi\n"
        "mov %rax,0(%rdi); mov %rbx,8(%rdi); mov %rdx,16(%rdi); mov %rsi,24(%rdi)\n"
        "mov %rcx,32(%rdi); mov %rbp,40(%rdi); mov %r8,48(%rdi); mov %r9,56(%rdi)\n"
        "mov %r10,64(%rdi); mov %r12,72(%rdi); mov %r13,80(%rdi); mov %r14,88(%rdi)\n"
        "mov %r15,96(%rdi)\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        ".popsection");

static void test_registers(const char *name, unsigned long number)
{
    struct registers r = {number, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11, 12};
    struct registers before = r;

    call_with(&r);
#define KEPT(reg) tap_is_hex(r.reg, before.reg, "%s keeps " #reg, name)
    KEPT(rbx);
    KEPT(rdx);
    KEPT(rsi);
    KEPT(rdi);
    KEPT(rbp);
    KEPT(r8);
    KEPT(r9);
    KEPT(r10);
    KEPT(r12);
    KEPT(r13);
    KEPT(r14);
    KEPT(r15);
#undef KEPT
}

static void test_hypercall_page(void)
{
    extern char hypercall_page[];
    long (*version)(int, void *) = (void *)(hypercall_page + 32 * __HYPERVISOR_xen_version);
    long (*none)(void) = (void *)(hypercall_page + 32 * 63);

    tap_is(version(XENVER_version, NULL), hypercall_xen_version(XENVER_version, NULL),
           "hypercall page: xen_version");
    tap_is(none(), -XEN_ENOSYS, "hypercall page: number 63");
    tap_ok((unsigned char)hypercall_page[0] != 0xc3, "hypercall page: not a bare return");
    tap_is(TRAPS(*(volatile char *)hypercall_page = 0), NO_TRAP,
           "hypercall page: is the guest's own");
}

#define SKIP_CALL(name, nargs, cost, args)
#define NAME_CALL(name, nargs, args) {#name, __HYPERVISOR_##name},
static const struct {
    const char *name;
    unsigned long number;
} known_by_name[] = {HYPERCALL_LIST(SKIP_CALL, NAME_CALL)};

void guest_main(void)
{
    /* Reserved for ever, removed, not for PV guests, or beyond any table. */
    static const unsigned long numbers[] = {
        11,
        38,
        43,
        47,
        50,
        51,
        52,
        53,
        54,
        55,
        56,
        63,
        64,
        127,
        255,
        256,
        1000,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x100000064,
        0x8000000000000000,
        ~0ul,
        ~0ul - 10,
    };

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        tap_is(HYPERCALL4(numbers[i], 1, 2, 3, 4), -XEN_ENOSYS, "number 0x%lx", numbers[i]);
    tap_is(HYPERCALL2(0x100000000 + __HYPERVISOR_xen_version, 0, 0), -XEN_ENOSYS,
           "all 64 bits of rax are the number");
    for (unsigned i = 0; i < sizeof(known_by_name) / sizeof(known_by_name[0]); i++)
        tap_is(HYPERCALL4(known_by_name[i].number, ~0ul, ~0ul, ~0ul, ~0ul), -XEN_ENOSYS,
               "not served: %s", known_by_name[i].name);

    test_registers("xen_version", __HYPERVISOR_xen_version);
    test_registers("number 63", 63);
    test_registers("stack_switch", __HYPERVISOR_stack_switch);
    test_hypercall_page();
}
