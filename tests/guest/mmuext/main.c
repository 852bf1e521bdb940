/*
 * Question: do the other operations of mmuext_op (base pointers, flushes,
 * clear and copy, the done count) behave?
 *
 * Pinning has its own image.  Here: which frames may become the running root,
 * whether a refused one leaves the old root running, what a flush of an odd
 * address or of a strange set of vCPUs does (nothing, without a fault in the
 * hypervisor), and that batches report how far they came.
 */
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

COVERS(mmuext_op, MMUEXT_NEW_BASEPTR);
COVERS(mmuext_op, MMUEXT_NEW_USER_BASEPTR);
COVERS(mmuext_op, MMUEXT_TLB_FLUSH_LOCAL);
COVERS(mmuext_op, MMUEXT_INVLPG_LOCAL);
COVERS(mmuext_op, MMUEXT_TLB_FLUSH_MULTI);
COVERS(mmuext_op, MMUEXT_INVLPG_MULTI);
COVERS(mmuext_op, MMUEXT_TLB_FLUSH_ALL);
COVERS(mmuext_op, MMUEXT_INVLPG_ALL);
COVERS(mmuext_op, MMUEXT_CLEAR_PAGE);
COVERS(mmuext_op, MMUEXT_COPY_PAGE);
COVERS(mmuext_op, MMUEXT_FLUSH_CACHE);
COVERS(mmuext_op, MMUEXT_FLUSH_CACHE_GLOBAL);
COVERS(mmuext_op, MMUEXT_MARK_SUPER);
COVERS(mmuext_op, MMUEXT_UNMARK_SUPER);

static long op_with(unsigned cmd, unsigned long arg1, unsigned long arg2, domid_t domain)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.linear_addr = arg1, .arg2.src_mfn = arg2};
    return hypercall_mmuext_op(&op, 1, NULL, domain);
}

static long op(unsigned cmd, unsigned long arg1, unsigned long arg2)
{
    return op_with(cmd, arg1, arg2, DOMID_SELF);
}

static void test_base_pointer(void)
{
    uint64_t *old = (uint64_t *)guest_info->pt_base;
    uint64_t *copy = page_alloc();

    memcpy(copy, old, PAGE_SIZE);
    tap_is(op(MMUEXT_NEW_BASEPTR, page_mfn(copy), 0), -XEN_EINVAL, "base: a writable page");
    page_protect(copy, PTE_RO);
    tap_is(op(MMUEXT_NEW_BASEPTR, page_mfn(copy), 0), 0, "base: a copy of the root, not pinned");
    tap_is(page_protect(copy, PTE_RW), -XEN_EBUSY, "base: it is an L4 now");
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    tap_is_hex(cr3, xen_pfn_to_cr3(page_mfn(copy)), "base: CR3 reads as the new root");
    tap_is(op(MMUEXT_NEW_BASEPTR, page_mfn(copy), 0), 0, "base: the same again");
    tap_is(op(MMUEXT_NEW_BASEPTR, memory_root_mfn(), 0), 0, "base: back");
    tap_is(page_protect(copy, PTE_RW), 0, "base: the copy is free");
    tap_is(op(MMUEXT_NEW_BASEPTR, page_mfn(copy), 0), -XEN_EINVAL, "base: a writable page again");
    tap_is(op(MMUEXT_NEW_BASEPTR, 0xffffffffff, 0), -XEN_EINVAL, "base: beyond memory");
    tap_is(op(MMUEXT_NEW_BASEPTR, 1ul << 52 | memory_root_mfn(), 0), -XEN_EINVAL,
           "base: the root's frame plus 2^52");
    tap_is(op(MMUEXT_NEW_BASEPTR, 0x100, 0), -XEN_EINVAL, "base: a frame of the hypervisor's");
    tap_is(op(MMUEXT_NEW_BASEPTR, pte_mfn(*memory_entry(VIRT_BASE, 2)), 0), -XEN_EINVAL,
           "base: an L1");
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    tap_is_hex(cr3, xen_pfn_to_cr3(memory_root_mfn()), "base: the old root stays");
    page_free(copy);
}

static void test_user_base_pointer(void)
{
    uint64_t *user = table_alloc();
    unsigned long mfn = page_mfn(user);

    tap_is(op(MMUEXT_NEW_USER_BASEPTR, mfn, 0), 0, "user base: an empty L4");
    tap_is(page_protect(user, PTE_RW), -XEN_EBUSY, "user base: it is an L4 now");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, mfn, 0), 0, "user base: the same again");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, memory_root_mfn(), 0), 0, "user base: the kernel's root");
    tap_is(page_protect(user, PTE_RW), 0, "user base: the old one is free");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, mfn, 0), -XEN_EINVAL, "user base: a writable page");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, 0xffffffffff, 0), -XEN_EINVAL, "user base: beyond memory");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, 1ul << 52 | memory_root_mfn(), 0), -XEN_EINVAL,
           "user base: the present one's frame plus 2^52");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0, "user base: none");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, 1ul << 52, 0), -XEN_EINVAL, "user base: none: frame 2^52");
    tap_is(op(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0, "user base: none again");
    page_free(user);
}

static void test_flushes(void)
{
    static unsigned long mask[64] = {~0ul, ~0ul};
    unsigned long va = (unsigned long)mask;
    const struct {
        const char *name;
        unsigned cmd;
        unsigned long arg1, arg2;
        long expected;
    } cases[] = {
        {"flush local", MMUEXT_TLB_FLUSH_LOCAL, 0, 0, 0},
        {"flush all", MMUEXT_TLB_FLUSH_ALL, 0, 0, 0},
        {"flush some", MMUEXT_TLB_FLUSH_MULTI, 0, va, 0},
        {"flush some, unmapped mask", MMUEXT_TLB_FLUSH_MULTI, 0, 0x1000, -XEN_EINVAL},
        {"flush some, hypervisor's mask", MMUEXT_TLB_FLUSH_MULTI, 0, 0xffff830000000000,
         -XEN_EINVAL},
        {"invlpg local", MMUEXT_INVLPG_LOCAL, va, 0, 0},
        {"invlpg all", MMUEXT_INVLPG_ALL, va, 0, 0},
        {"invlpg some", MMUEXT_INVLPG_MULTI, va, va, 0},
        {"invlpg some, unmapped mask", MMUEXT_INVLPG_MULTI, va, 0x1000, -XEN_EINVAL},
        {"invlpg local, non-canonical", MMUEXT_INVLPG_LOCAL, 1ul << 63, 0, 0},
        {"invlpg all, non-canonical", MMUEXT_INVLPG_ALL, 0x0000800000000000, 0, 0},
        {"invlpg some, non-canonical", MMUEXT_INVLPG_MULTI, 1ul << 63, va, 0},
        {"invlpg local, hypervisor", MMUEXT_INVLPG_LOCAL, 0xffff830000000000, 0, 0},
        {"invlpg local, hole", MMUEXT_INVLPG_LOCAL, 0x123456789000, 0, 0},
        {"flush cache", MMUEXT_FLUSH_CACHE, 0, 0, guest_is_first() ? 0 : -XEN_EACCES},
        {"flush cache global", MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0, guest_is_first() ? 0 : -XEN_EINVAL},
        {"mark super", MMUEXT_MARK_SUPER, 0, 0, -XEN_EOPNOTSUPP},
        {"unmark super", MMUEXT_UNMARK_SUPER, 0, 0, -XEN_EOPNOTSUPP},
        {"no operation 14", 14, 0, 0, -XEN_ENOSYS},
        {"no operation 21", 21, 0, 0, -XEN_ENOSYS},
        {"no operation ~0", ~0u, 0, 0, -XEN_ENOSYS},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        tap_is(op(cases[i].cmd, cases[i].arg1, cases[i].arg2), cases[i].expected, "%s",
               cases[i].name);
}

static void test_flush_works(void)
{
    static unsigned long mask = 1;
    static const struct {
        const char *name;
        unsigned cmd;
    } flushes[] = {
        {"flush local", MMUEXT_TLB_FLUSH_LOCAL}, {"invlpg local", MMUEXT_INVLPG_LOCAL},
        {"flush some", MMUEXT_TLB_FLUSH_MULTI},  {"invlpg some", MMUEXT_INVLPG_MULTI},
        {"flush all", MMUEXT_TLB_FLUSH_ALL},     {"invlpg all", MMUEXT_INVLPG_ALL},
    };
    char *page = page_alloc();
    unsigned long frame = frame_alloc();
    char *other = memory_map_frame(frame, PTE_RW);

    *page = 'a', *other = 'b';
    for (unsigned i = 0; i < sizeof(flushes) / sizeof(flushes[0]); i++) {
        page_protect(page, PTE_RW);
        (void)*(volatile char *)page;
        mmu_set(memory_entry_ma((unsigned long)page, 1), pte_of(frame, PTE_RW));
        op(flushes[i].cmd, (unsigned long)page, (unsigned long)&mask);
        tap_is(*(volatile char *)page, 'b', "%s: the new mapping shows", flushes[i].name);
    }
    page_protect(page, PTE_RW);
}

static void test_clear_copy(void)
{
    char *a = page_alloc(), *b = page_alloc();

    memset(a, 0x5a, PAGE_SIZE);
    tap_is(op(MMUEXT_COPY_PAGE, page_mfn(b), page_mfn(a)), 0, "copy: result");
    tap_is(memcmp(a, b, PAGE_SIZE), 0, "copy: the pages are equal");
    tap_is(op(MMUEXT_CLEAR_PAGE, page_mfn(a), 0), 0, "clear: result");
    unsigned zeros = 0;
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        zeros += !a[i];
    tap_is(zeros, PAGE_SIZE, "clear: all zero");
    tap_is(op(MMUEXT_CLEAR_PAGE, memory_root_mfn(), 0), -XEN_EINVAL, "clear: the root");
    tap_is(op(MMUEXT_COPY_PAGE, memory_root_mfn(), page_mfn(a)), -XEN_EINVAL, "copy onto the root");
    tap_is(op(MMUEXT_COPY_PAGE, page_mfn(a), memory_root_mfn()), 0, "copy from the root");
    tap_is(op(MMUEXT_CLEAR_PAGE, 0xffffffffff, 0), -XEN_EINVAL, "clear: beyond memory");
    tap_is(op(MMUEXT_CLEAR_PAGE, 0x100, 0), -XEN_EINVAL, "clear: a frame of the hypervisor's");
    tap_is(op(MMUEXT_COPY_PAGE, page_mfn(a), 0x100), -XEN_EINVAL, "copy from the hypervisor");
    tap_is(op(MMUEXT_COPY_PAGE, 0x100, page_mfn(a)), -XEN_EINVAL, "copy to the hypervisor");
    page_protect(a, PTE_RO);
    tap_is(op(MMUEXT_CLEAR_PAGE, page_mfn(a), 0), 0, "clear: a page of no type");
    tap_is(op(MMUEXT_PIN_L1_TABLE, page_mfn(a), 0), 0, "and it can still become a table");
    tap_is(op(MMUEXT_CLEAR_PAGE, page_mfn(a), 0), -XEN_EINVAL, "clear: a page table");
    op(MMUEXT_UNPIN_TABLE, page_mfn(a), 0);
}

static void test_batches(void)
{
    struct mmuext_op ops[4] = {{.cmd = MMUEXT_TLB_FLUSH_LOCAL},
                               {.cmd = MMUEXT_TLB_FLUSH_LOCAL},
                               {.cmd = 14},
                               {.cmd = MMUEXT_TLB_FLUSH_LOCAL}};
    unsigned done = 77;

    tap_is(hypercall_mmuext_op(ops, 2, &done, DOMID_SELF), 0, "two good: result");
    tap_is(done, 2, "two good: done");
    tap_is(hypercall_mmuext_op(ops, 4, &done, DOMID_SELF), -XEN_ENOSYS, "the third is bad: result");
    tap_is(done, 2, "the third is bad: done");
    tap_is(hypercall_mmuext_op(ops, 0, &done, DOMID_SELF), 0, "none: result");
    tap_is(done, 0, "none: done");
    tap_is(hypercall_mmuext_op(ops, 2, NULL, DOMID_SELF), 0, "done may be NULL");
    tap_is(hypercall_mmuext_op((void *)0x1000, 1, &done, DOMID_SELF), -XEN_EFAULT,
           "unmapped operations");
    tap_is(hypercall_mmuext_op((void *)0xffff830000000000, 1, &done, DOMID_SELF), -XEN_EFAULT,
           "operations of the hypervisor's");
}

static void test_foreign(void)
{
    uint64_t *table = table_alloc();

    tap_is(op_with(MMUEXT_PIN_L1_TABLE, page_mfn(table), 0, 77), guest_role(-XEN_ESRCH),
           "no such domain");
    tap_is(op_with(MMUEXT_PIN_L1_TABLE, page_mfn(table), 0, 0), guest_role(-XEN_ESRCH),
           "its own number");
    tap_is(op_with(MMUEXT_PIN_L1_TABLE, page_mfn(table), 0, DOMID_XEN), guest_role(-XEN_EINVAL),
           "DOMID_XEN does not own the frame");
    tap_is(op_with(MMUEXT_NEW_BASEPTR, memory_root_mfn(), 0, DOMID_XEN), -XEN_EPERM,
           "a base pointer of another domain");
    tap_is(op_with(MMUEXT_TLB_FLUSH_LOCAL, 0, 0, DOMID_XEN), -XEN_EPERM,
           "a flush for another domain");
    table_free(table);
}

void guest_main(void)
{
    test_base_pointer();
    test_user_base_pointer();
    test_flushes();
    test_flush_works();
    test_clear_copy();
    test_batches();
    test_foreign();
}
