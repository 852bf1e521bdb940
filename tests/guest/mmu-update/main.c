/*
 * Question: does mmu_update do each of its commands, refuse what it must, and
 * count what it did?
 *
 * A batch stops at its first failure: the entries before it stay applied, and
 * *done says how many, on success and on failure.  Kernels undo from that
 * count, so it must be exact.  The low bits of ptr are the command; the high half
 * of the last argument names the owner of the page table, the low half that
 * of the frames being mapped.
 */
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

COVERS_CALL(mmu_update);

#define BATCH 512

static char *page;           /* a page whose L1 entry the tests change */
static unsigned long victim; /* a frame to map there */
static unsigned long va;
static uint64_t ma; /* of the entry that maps page */

static long update(const mmu_update_t *r, unsigned count, unsigned *done, unsigned domain)
{
    return HYPERCALL4(__HYPERVISOR_mmu_update, r, count, done, domain);
}

static long one(uint64_t ptr, uint64_t val)
{
    unsigned done = 77;
    mmu_update_t r = {ptr, val};
    long rc = update(&r, 1, &done, DOMID_SELF);
    if (done != (rc == 0))
        tap_ok(false, "done after one request: result %ld done %u", rc, done);
    return rc;
}

static void test_normal(void)
{
    *page = 'p';
    char *other = memory_map_frame(victim, PTE_RW);
    *other = 'v';
    memory_unmap_frame(other);

    tap_is(one(ma, pte_of(victim, PTE_RW)), 0, "normal: map another frame");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(*(volatile char *)page, 'v', "normal: the other frame shows");
    tap_is_hex(*memory_entry(va, 1) & PTE_FRAME, victim << PAGE_SHIFT,
               "normal: the entry reads back");
    tap_is(one(ma, 0), 0, "normal: unmap");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(TRAPS(peek(va)), TRAP_PF, "normal: the page is gone");
    tap_is(one(ma, 0xdeadbeef000), 0, "normal: any content that is not present");
    tap_is_hex(*memory_entry(va, 1), 0xdeadbeef000, "normal: it reads back");
    tap_is(one(ma, pte_of(page_mfn(page), PTE_RO)), 0, "normal: map read-only");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(TRAPS(poke(va, 0)), TRAP_PF, "normal: the page is read-only");
    tap_is(one(ma, pte_of(page_mfn(page), PTE_RW)), 0, "normal: map writable again");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(*(volatile char *)page, 'p', "normal: nothing was lost");
}

static void test_flags_read_back(void)
{
    static const struct {
        const char *name;
        uint64_t flags, expected;
    } cases[] = {
        {"user", PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U},
        {"NX", PTE_P | PTE_W | PTE_U | PTE_NX, PTE_P | PTE_W | PTE_U | PTE_NX},
        {"available bits", PTE_P | PTE_U | PTE_AVAIL, PTE_P | PTE_U | PTE_AVAIL},
        {"accessed and dirty", PTE_P | PTE_U | PTE_A | PTE_D, PTE_P | PTE_U | PTE_A | PTE_D},
        {"kernel", PTE_P | PTE_W, PTE_P | PTE_W | PTE_U},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_is(one(ma, pte_of(victim, cases[i].flags)), 0, "flags: %s", cases[i].name);
        tap_is_hex(*memory_entry(va, 1) & ~(PTE_FRAME | PTE_G | PTE_GUEST_KERNEL),
                   cases[i].expected, "flags: %s read back", cases[i].name);
    }
    one(ma, pte_of(page_mfn(page), PTE_RW));
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

static void test_preserve_ad(void)
{
    one(ma, pte_of(page_mfn(page), PTE_P | PTE_W | PTE_U));
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    *(volatile char *)page = 1; /* sets A and D */
    tap_is_hex(*memory_entry(va, 1) & (PTE_A | PTE_D), PTE_A | PTE_D, "A and D are set by a store");
    tap_is(one(ma | MMU_PT_UPDATE_PRESERVE_AD, pte_of(page_mfn(page), PTE_P | PTE_U)), 0,
           "preserve: result");
    tap_is_hex(*memory_entry(va, 1) & (PTE_A | PTE_D | PTE_W), PTE_A | PTE_D,
               "preserve: A and D stay, W goes");
    tap_is(one(ma, pte_of(page_mfn(page), PTE_P | PTE_U)), 0, "normal: result");
    tap_is_hex(*memory_entry(va, 1) & (PTE_A | PTE_D), 0, "normal: A and D go");
    tap_is(one(ma | MMU_PT_UPDATE_NO_TRANSLATE, pte_of(page_mfn(page), PTE_RW)), 0,
           "no_translate: the same as normal here");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

static void test_machphys(void)
{
    unsigned long mfn = page_mfn(page), pfn = page_pfn(page);
    uint64_t ptr = (uint64_t)mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE;

    tap_is(one(ptr, 0x12345), 0, "machphys: write");
    tap_is_hex(machine_to_phys_mapping[mfn], 0x12345, "machphys: the table shows it");
    tap_is(one(ptr | 0xff8, 0x54321), 0, "machphys: the offset in the page does not matter");
    tap_is_hex(machine_to_phys_mapping[mfn], 0x54321, "machphys: it was the same entry");
    tap_is(one(ptr, pfn), 0, "machphys: write back");
    tap_is(one(0xffffffffff000 | MMU_MACHPHYS_UPDATE, 1), -XEN_EINVAL, "machphys: no such frame");
    tap_is(one((guest_info->shared_info) | MMU_MACHPHYS_UPDATE, 0x55555), 0,
           "machphys: the shared info page is the domain's as well");
}

static void test_refusals(void)
{
    unsigned long mfn = page_mfn(page);
    unsigned long root = memory_root_mfn();
    uint64_t l2 = memory_entry_ma(va, 2), l4 = memory_entry_ma(va, 4);

    for (unsigned cmd = 4; cmd < 8; cmd++)
        tap_is(one(ma | cmd, pte_of(mfn, PTE_RW)), -XEN_ENOSYS, "command %u", cmd);
    tap_is(one(0xffffffffff000, 0), -XEN_EINVAL, "ptr beyond memory");
    tap_is(one(0xfee00000, 0), -XEN_EINVAL, "ptr in the local APIC");
    tap_is(one(ma, pte_of(root, PTE_RW)), -XEN_EBUSY, "map the root writable");
    tap_is(one(ma, pte_of(root, PTE_RO)), 0, "map the root read-only");
    tap_is(one(ma, pte_of(mfn, PTE_RW)), 0, "and the page again");
    tap_is(one(ma, pte_of(0xffffffffff, PTE_RW)), -XEN_EINVAL, "map a frame beyond memory");
    tap_is(one(ma, pte_of(0x100, PTE_RW)), -XEN_EBUSY, "map a frame of the hypervisor's");
    tap_is(one(l2, pte_of(mfn, PTE_TABLE)), -XEN_EINVAL, "an L2 entry for a writable page");
    tap_is(one(l2, pte_of(root, PTE_TABLE)), -XEN_EINVAL, "an L2 entry for an L4");
    tap_is(one(l4, pte_of(mfn, PTE_TABLE)), -XEN_EINVAL, "an L4 entry for a writable page");
    tap_is_hex(*memory_entry(va, 1), *memory_entry(va, 1), "the entry is still there");
    tap_is(*(volatile char *)page, 1, "the page is still there");

    /* The hypervisor's slots of the L4. */
    for (unsigned slot = 256; slot <= 271; slot += 5)
        tap_is(mmu_set((uint64_t)root << PAGE_SHIFT | slot * 8, 0), -XEN_EINVAL,
               "L4 slot %u is the hypervisor's", slot);
    tap_is(mmu_set((uint64_t)root << PAGE_SHIFT | 272 * 8, 0), 0, "L4 slot 272 is the guest's");
    tap_is(mmu_set((uint64_t)root << PAGE_SHIFT | 255 * 8, 0), 0, "L4 slot 255 is the guest's");
}

static void test_plain_page(void)
{
    uint64_t *plain = page_alloc();

    tap_is(one(table_entry_ma(plain, 7), 0x123456789abcdef0), 0, "an ordinary page: any store");
    tap_is_hex(plain[7], 0x123456789abcdef0, "an ordinary page: it shows");
    page_protect(plain, PTE_RO);
    tap_is(one(table_entry_ma(plain, 8), ~0ul), 0, "an ordinary page mapped read-only: any store");
    tap_is_hex(plain[8], ~0ul, "an ordinary page mapped read-only: it shows");
    page_protect(plain, PTE_RW);
    page_free(plain);
}

static void test_batches(void)
{
    static mmu_update_t r[BATCH];
    uint64_t *plain = page_alloc();
    unsigned done = 77;

    for (unsigned i = 0; i < BATCH; i++)
        r[i] = (mmu_update_t){table_entry_ma(plain, i), i + 1};
    tap_is(update(r, BATCH, &done, DOMID_SELF), 0, "512 requests");
    tap_is(done, BATCH, "512 requests: done");
    unsigned right = 0;
    for (unsigned i = 0; i < BATCH; i++)
        right += plain[i] == i + 1;
    tap_is(right, BATCH, "512 requests: all stored");

    memset(plain, 0, PAGE_SIZE);
    r[100].ptr |= 5;
    done = 77;
    tap_is(update(r, BATCH, &done, DOMID_SELF), -XEN_ENOSYS, "request 100 is bad");
    tap_is(done, 100, "request 100 is bad: done");
    tap_is(plain[99], 100, "request 100 is bad: the one before is applied");
    tap_is(plain[101], 0, "request 100 is bad: the one behind is not");
    r[100].ptr &= ~7ul;
    tap_is(update(r, BATCH, NULL, DOMID_SELF), 0, "done may be NULL");
    tap_is(update(r, 1, (void *)0x1000, DOMID_SELF), 0, "an unmapped done is not an error");
    done = 77;
    tap_is(update(r, 0, &done, DOMID_SELF), 0, "no requests");
    tap_is(done, 0, "no requests: done");
    tap_is(update((void *)0x1000, 1, &done, DOMID_SELF), -XEN_EFAULT, "unmapped requests");
    tap_is(update((void *)0xffff830000000000, 1, &done, DOMID_SELF), -XEN_EFAULT,
           "requests of the hypervisor's");

    /* The second request lies in a page that is not there. */
    char *pages = page_alloc();
    mmu_update_t *last = (mmu_update_t *)(pages + PAGE_SIZE) - 1;
    if (page_protect(pages + PAGE_SIZE, 0) == 0) {
        *last = (mmu_update_t){table_entry_ma(plain, 3), 333};
        done = 77;
        tap_is(update(last, 2, &done, DOMID_SELF), -XEN_EFAULT, "requests that run into a hole");
        tap_is(done, 1, "requests that run into a hole: done");
        tap_is(plain[3], 333, "requests that run into a hole: the first is applied");
        page_protect(pages + PAGE_SIZE, PTE_RW);
    }
    page_free(pages);
    page_free(plain);
}

static void test_foreign(void)
{
    mmu_update_t r = {ma, pte_of(victim, PTE_RW)};
    static const struct {
        const char *name;
        unsigned domain;
        long expected;
    } cases[] = {
        {"SELF", DOMID_SELF, 0},
        {"its own number", 0, -XEN_ESRCH},
        {"no such domain", 77, -XEN_ESRCH},
        {"DOMID_INVALID", DOMID_INVALID, -XEN_ESRCH},
        {"tables of SELF by that name", (DOMID_SELF + 1) << 16 | DOMID_SELF, -XEN_ESRCH},
        {"tables of no such domain", 78 << 16 | DOMID_SELF, -XEN_ESRCH},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        tap_is(update(&r, 1, NULL, cases[i].domain),
               cases[i].expected ? guest_role(cases[i].expected) : 0, "foreign: %s", cases[i].name);
    if (guest_is_first()) {
        mmu_update_t table = {memory_entry_ma(va, 2), *memory_entry(va, 2)};
        table.val ^= 1ul << 9;
        tap_is(update(&table, 1, NULL, DOMID_XEN), -XEN_EINVAL,
               "foreign: an L2 entry for frames of another domain");
    }
    r.val = pte_of(page_mfn(page), PTE_RW);
    tap_is(update(&r, 1, NULL, DOMID_SELF), 0, "foreign: map the page again");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(*(volatile char *)page, 1, "foreign: the page is still there");
}

void guest_main(void)
{
    page_alloc();
    page = page_alloc();
    va = (unsigned long)page;
    victim = frame_alloc();
    ma = memory_entry_ma(va, 1);

    test_normal();
    test_flags_read_back();
    test_preserve_ad();
    test_machphys();
    test_refusals();
    test_plain_page();
    test_batches();
    test_foreign();
}
