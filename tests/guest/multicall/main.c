/*
 * Question: does multicall run each entry as if it were called alone?
 *
 * Results go into the entries, not into the hypercall's own.  An entry may
 * fail without stopping the others.  A multicall in a multicall is refused.  An
 * iret in a multicall resumes the frame and the entries behind it must not run
 * (XSA-213: they ran with the guest in user mode).
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/version.h>

COVERS_CALL(multicall);

static multicall_entry_t calls[64];

static void test_results(void)
{
    uint64_t *page = page_alloc();

    calls[0] = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_version}};
    calls[1] = (multicall_entry_t){.op = 63, .result = 5};
    calls[2] = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize}};
    calls[3] = (multicall_entry_t){.op = ~0ul, .result = 5};
    calls[4] = (multicall_entry_t){
        .op = __HYPERVISOR_update_va_mapping,
        .args = {(unsigned long)page, pte_of(page_mfn(page), PTE_RO), UVMF_INVLPG}};
    calls[5] =
        (multicall_entry_t){.op = __HYPERVISOR_update_va_mapping, .args = {0x1000, 0, UVMF_INVLPG}};
    tap_is(hypercall_multicall(calls, 6), 0, "six calls");
    tap_is(calls[0].result, hypercall_xen_version(XENVER_version, NULL), "entry 0: version");
    tap_is(calls[1].result, -XEN_ENOSYS, "entry 1: no such call");
    tap_is(calls[2].result, PAGE_SIZE, "entry 2: page size");
    tap_is(calls[3].result, -XEN_ENOSYS, "entry 3: number ~0");
    tap_is(calls[4].result, 0, "entry 4: update_va_mapping");
    tap_is(calls[5].result, -XEN_EINVAL, "entry 5: a refused one");
    tap_is(TRAPS(poke((unsigned long)page, 1)), TRAP_PF, "entry 4 took effect");
    page_protect(page, PTE_RW);
    tap_is(calls[0].op, __HYPERVISOR_xen_version, "op is kept");
    tap_is(calls[2].args[0], XENVER_pagesize, "args are kept");
}

static void test_arguments(void)
{
    tap_is(hypercall_multicall(calls, 0), 0, "no calls");
    tap_is(hypercall_multicall((void *)0x1000, 1), -XEN_EFAULT, "unmapped calls");
    tap_is(hypercall_multicall((void *)0xffff830000000000, 1), -XEN_EFAULT,
           "calls of the hypervisor's");
    calls[0] = (multicall_entry_t){.op = __HYPERVISOR_multicall, .args = {(unsigned long)calls, 1}};
    tap_is(hypercall_multicall(calls, 1), 0, "a multicall in a multicall: result");
    tap_is(calls[0].result, -XEN_EINVAL, "a multicall in a multicall: refused");

    char *pages = page_alloc();
    multicall_entry_t *last = (multicall_entry_t *)(pages + PAGE_SIZE) - 1;
    page_protect(pages + PAGE_SIZE, 0);
    *last = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize}};
    tap_is(hypercall_multicall(last, 2), -XEN_EFAULT, "calls that run into a hole");
    tap_is(last->result, PAGE_SIZE, "calls that run into a hole: the first ran");
    page_protect(pages, PTE_RO);
    tap_is(hypercall_multicall(last, 1), -XEN_EFAULT, "calls that cannot be written");
    page_protect(pages, PTE_RW);
    page_protect(pages + PAGE_SIZE, PTE_RW);
    page_free(pages);
}

static void test_many(void)
{
    uint64_t *plain = page_alloc();
    static mmu_update_t updates[64];

    for (unsigned i = 0; i < 64; i++) {
        updates[i] = (mmu_update_t){table_entry_ma(plain, i), i + 100};
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_mmu_update,
                                       .result = 9,
                                       .args = {(unsigned long)&updates[i], 1, 0, DOMID_SELF}};
    }
    tap_is(hypercall_multicall(calls, 64), 0, "64 calls of mmu_update");
    unsigned good = 0;
    for (unsigned i = 0; i < 64; i++)
        good += calls[i].result == 0 && plain[i] == i + 100;
    tap_is(good, 64, "64 calls of mmu_update: all done");
    page_free(plain);
}

/* rsp must point at an iret frame when the multicall is made. */
__attribute__((noinline)) static uint64_t iret_in_multicall(void)
{
    uint64_t result, cs = KERNEL_CS, ss = KERNEL_SS;

    __asm__ volatile("mov %%rsp, %%rbx\n"
                     "push %[ss]\n"
                     "push %%rbx\n"
                     "push $2\n" /* rflags: upcalls off */
                     "push %[cs]\n"
                     "lea 1f(%%rip), %%rcx; push %%rcx\n"
                     "push $0; push $0; push $0\n" /* flags rcx r11 */
                     "push $0x1234\n"              /* rax */
                     "syscall\n"
                     "mov $0xbad, %%eax\n"
                     "1:\n"
                     : "=a"(result)
                     : "0"((uint64_t)__HYPERVISOR_multicall), "D"(calls),
                       "S"(3ul), [ss] "r"(ss), [cs] "r"(cs)
                     : "rbx", "rcx", "r11", "memory");
    return result;
}

static void test_iret(void)
{
    calls[0] = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize}};
    calls[1] = (multicall_entry_t){.op = __HYPERVISOR_iret};
    calls[2] = (multicall_entry_t){
        .op = __HYPERVISOR_xen_version, .result = 0x77, .args = {XENVER_pagesize}};
    tap_is_hex(iret_in_multicall(), 0x1234,
               "iret in a multicall: the frame is resumed, with its rax");
    tap_is(calls[0].result, PAGE_SIZE, "iret in a multicall: the entry before ran");
    tap_is(calls[2].result, 0x77, "iret in a multicall: the entry behind did not");
}

void guest_main(void)
{
    test_results();
    test_arguments();
    test_many();
    test_iret();
}
