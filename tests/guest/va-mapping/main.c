/*
 * Question: does update_va_mapping find the right entry, flush as asked, and
 * refuse addresses that have none?
 *
 * It walks the running root itself, so any 64-bit number may arrive as an
 * address: holes at each level, non-canonical ones (which must not reach
 * INVLPG), the hypervisor's own range.  When the update fails nothing is
 * flushed or changed.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

COVERS_CALL(update_va_mapping);
COVERS_CALL(update_va_mapping_otherdomain);

static void test_flush_flags(void)
{
    static unsigned long mask = 1;
    const struct {
        const char *name;
        unsigned long flags;
    } cases[] = {
        {"flush all local", UVMF_TLB_FLUSH | UVMF_LOCAL},
        {"invlpg local", UVMF_INVLPG | UVMF_LOCAL},
        {"flush all everywhere", UVMF_TLB_FLUSH | UVMF_ALL},
        {"invlpg everywhere", UVMF_INVLPG | UVMF_ALL},
        {"flush some", UVMF_TLB_FLUSH | (unsigned long)&mask},
        {"invlpg some", UVMF_INVLPG | (unsigned long)&mask},
    };
    char *page = page_alloc();
    unsigned long frame = frame_alloc();
    char *other = memory_map_frame(frame, PTE_RW);

    *page = 'a';
    *other = 'b';
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_is(
            hypercall_update_va_mapping((unsigned long)page, pte_of(frame, PTE_RW), cases[i].flags),
            0, "%s: map another", cases[i].name);
        tap_is(*(volatile char *)page, 'b', "%s: it shows", cases[i].name);
        tap_is(hypercall_update_va_mapping((unsigned long)page, 0, cases[i].flags), 0, "%s: unmap",
               cases[i].name);
        tap_is(TRAPS(peek((unsigned long)page)), TRAP_PF, "%s: it is gone", cases[i].name);
        tap_is(hypercall_update_va_mapping((unsigned long)page, pte_of(page_mfn(page), PTE_RW),
                                           cases[i].flags),
               0, "%s: map again", cases[i].name);
        tap_is(*(volatile char *)page, 'a', "%s: nothing was lost", cases[i].name);
    }
    tap_is(
        hypercall_update_va_mapping((unsigned long)page, pte_of(page_mfn(page), PTE_RW), UVMF_NONE),
        0, "no flush");
    tap_is(hypercall_update_va_mapping((unsigned long)page, pte_of(page_mfn(page), PTE_RW), 3), 0,
           "flush type 3 is none");
    tap_is(hypercall_update_va_mapping((unsigned long)page, pte_of(page_mfn(page), PTE_RW),
                                       UVMF_TLB_FLUSH | 0x1000),
           -XEN_EFAULT, "an unmapped vCPU mask");
    memory_unmap_frame(other);
}

static void test_addresses(void)
{
    uint64_t pte = pte_of(page_mfn(page_alloc()), PTE_RO);
    static const struct {
        const char *name;
        unsigned long va;
    } cases[] = {
        {"no L3", 0x1000},
        {"no L2", 0xffffff8000000000},
        {"no L1", 0xffffffffc0000000},
        {"non-canonical, bit 63 alone", 1ul << 63},
        {"non-canonical, first", 0x0000800000000000},
        {"non-canonical, last", 0xffff7fffffffffff},
        {"the m2p table", 0xffff800000000000},
        {"the hypervisor", 0xffff830000000000},
        {"the last page", 0xfffffffffffff000},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned flags = 0; flags < 3; flags++)
            tap_is(hypercall_update_va_mapping(cases[i].va, pte, flags), -XEN_EINVAL,
                   "%s, flags %u: refused", cases[i].name, flags);
    /* The offset in the page is ignored. */
    char *page = page_alloc();
    tap_is(hypercall_update_va_mapping((unsigned long)page + 0x123, pte_of(page_mfn(page), PTE_RO),
                                       UVMF_INVLPG),
           0, "an address inside the page");
    tap_is(TRAPS(poke((unsigned long)page, 1)), TRAP_PF, "means that page");
    page_protect(page, PTE_RW);
}

static void test_entries(void)
{
    char *page = page_alloc();
    unsigned long va = (unsigned long)page;

    tap_is(hypercall_update_va_mapping(va, pte_of(memory_root_mfn(), PTE_RW), UVMF_INVLPG),
           -XEN_EBUSY, "map the root writable");
    tap_is(hypercall_update_va_mapping(va, pte_of(0xffffffffff, PTE_RW), UVMF_INVLPG), -XEN_EINVAL,
           "map a frame beyond memory");
    *page = 1;
    tap_is(*page, 1, "a refused update changes nothing");
    tap_is(hypercall_update_va_mapping(va, pte_of(memory_root_mfn(), PTE_RO), UVMF_INVLPG), 0,
           "map the root read-only");
    tap_is_hex(*(uint64_t *)(va + 511 * 8), *memory_entry(VIRT_BASE, 4), "its last entry shows");
    page_protect(page, PTE_RW);
}

static void test_other_domain(void)
{
    char *page = page_alloc();
    unsigned long va = (unsigned long)page;
    uint64_t pte = pte_of(page_mfn(page), PTE_RW);

    tap_is(hypercall_update_va_mapping_otherdomain(va, pte, 0, 77), guest_role(-XEN_ESRCH),
           "otherdomain: no such domain");
    tap_is(hypercall_update_va_mapping_otherdomain(va, pte, 0, 0), guest_role(-XEN_ESRCH),
           "otherdomain: its own number");
    tap_is(hypercall_update_va_mapping_otherdomain(va, pte, 0, DOMID_SELF), 0, "otherdomain: SELF");
    tap_is(hypercall_update_va_mapping_otherdomain(va, pte, 0, DOMID_INVALID),
           guest_role(-XEN_ESRCH), "otherdomain: DOMID_INVALID");
}

void guest_main(void)
{
    test_flush_flags();
    test_addresses();
    test_entries();
    test_other_domain();
}
