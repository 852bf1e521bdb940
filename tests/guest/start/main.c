/*
 * Question: is the machine that the domain builder hands over the one that the
 * ABI promises?
 *
 * <xen/xen.h> ("Start-of-day memory layout") fixes the order: kernel, ramdisk,
 * p2m list, start_info, page tables, boot stack, then padding up to a 4 MiB
 * boundary with at least 512 KiB behind the last element.  Everything is mapped by
 * 4 KiB entries, writable except the page tables.  Kernels build on every word
 * of this long before they can report an error.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

extern char guest_end[];

static bool table_page(unsigned long va)
{
    return va >= guest_info->pt_base &&
           va < guest_info->pt_base + guest_info->nr_pt_frames * PAGE_SIZE;
}

static void test_start_info(void)
{
    const start_info_t *si = guest_info;
    unsigned long at = (unsigned long)si;

    tap_ok(!strncmp((const char *)si->magic, "xen-3.0-x86_64", 14), "magic");
    tap_ok(!(at & (PAGE_SIZE - 1)), "start_info starts a page");
    tap_ok(!(si->shared_info & (PAGE_SIZE - 1)) && si->shared_info,
           "shared_info is a machine address");
    tap_ok(si->nr_pages >= 1024, "nr_pages");
    unsigned roles = si->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN);
    tap_ok(roles == 0 || roles == (SIF_PRIVILEGED | SIF_INITDOMAIN), "flags: all roles or none");
    tap_is(si->mod_len, 0, "no ramdisk: mod_len");
    if (!tap_ok(!strcmp(guest_arguments(), "one two=2"), "the image's arguments arrive"))
        tap_note("they are: %s", guest_arguments());

    tap_ok(si->mfn_list >= (unsigned long)guest_end, "the p2m list lies behind the kernel");
    tap_ok(at >= si->mfn_list + si->nr_pages * 8, "start_info lies behind the p2m list");
    tap_ok(si->pt_base > at, "the page tables lie behind start_info");
    tap_is(guest_entry_rsp, si->pt_base + (si->nr_pt_frames + 1) * PAGE_SIZE,
           "the boot stack's page lies behind the page tables");
    tap_ok(memory_mapped_end() - guest_entry_rsp >= 512 * 1024, "512 KiB of padding");
    tap_is(memory_mapped_end() & 0x3fffff, 0, "the mapped region ends on a 4 MiB boundary");
}

static void test_entry_state(void)
{
    unsigned cs, ss, ds, es, fs, gs;

    tap_is_hex(guest_entry_rflags & ~0x8d5ul, 0x202, "entry rflags: IF alone");
    __asm__ volatile(
        "mov %%cs, %0; mov %%ss, %1; mov %%ds, %2; mov %%es, %3; mov %%fs, %4; mov %%gs, %5"
        : "=r"(cs), "=r"(ss), "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    tap_is_hex(cs & 0xffff, FLAT_KERNEL_CS, "cs is the flat kernel selector");
    tap_is_hex(ss & 0xffff, FLAT_KERNEL_SS, "ss is the flat selector");
    tap_is_hex(ds & 0xffff, 0, "ds is null");
    tap_is_hex(es & 0xffff, 0, "es is null");
    tap_is_hex(fs & 0xffff, 0, "fs is null");
    tap_is_hex(gs & 0xffff, 0, "gs is null");
    tap_is(event_vcpu_info(0)->evtchn_upcall_mask, 1, "upcalls are masked");
    tap_is(event_vcpu_info(0)->evtchn_upcall_pending, 0, "no upcall is pending");
    tap_ok(event_vcpu_info(0)->time.tsc_to_system_mul, "the clock is set");
    tap_ok(!(event_vcpu_info(0)->time.version & 1), "the clock is not being written");
    tap_ok(guest_shared->wc_sec > 1600000000, "the wall clock is in this century");
}

static void test_p2m(void)
{
    const unsigned long *p2m = (const unsigned long *)guest_info->mfn_list;
    unsigned wrong = 0;

    for (unsigned long pfn = 0; pfn < guest_info->nr_pages; pfn++)
        wrong += machine_to_phys_mapping[p2m[pfn]] != pfn;
    tap_is(wrong, 0, "m2p[p2m[pfn]] is pfn for every page");
    tap_is(TRAPS(poke((unsigned long)&machine_to_phys_mapping[p2m[0]], 1)), TRAP_PF,
           "the m2p table is read-only");
}

static void test_mappings(void)
{
    unsigned wrong_frame = 0, wrong_flags = 0, tables = 0;

    for (unsigned long va = VIRT_BASE; va < memory_mapped_end(); va += PAGE_SIZE) {
        uint64_t pte = *memory_entry(va, 1);
        if (va == (unsigned long)guest_shared)
            continue; /* mapped by us */
        wrong_frame += pte_mfn(pte) != page_mfn((void *)va);
        wrong_flags += !(pte & PTE_W) != table_page(va);
        tables += table_page(va);
    }
    tap_is(wrong_frame, 0, "every page maps its own frame");
    tap_is(wrong_flags, 0, "everything is writable but the page tables");
    tap_is(tables, guest_info->nr_pt_frames, "nr_pt_frames pages are tables");
    tap_ok(*memory_entry(VIRT_BASE, 1) & PTE_U, "leaf entries have the user bit");
    tap_is(TRAPS(poke(guest_info->pt_base, 0)), TRAP_PF, "the L4 cannot be written");
    tap_is(TRAPS(peek(memory_mapped_end())), TRAP_PF, "nothing is mapped behind the padding");

    const uint64_t *l4 = (const uint64_t *)guest_info->pt_base;
    unsigned used = 0;
    for (unsigned i = 0; i < 512; i++)
        used += (i < 256 || i > 271) && i != 511 && l4[i];
    tap_is(used, 0, "the L4 holds the kernel's slot and the hypervisor's only");
}

void guest_main(void)
{
    test_start_info();
    test_entry_state();
    test_p2m();
    test_mappings();
    tap_is(mmuext(MMUEXT_PIN_L4_TABLE, memory_root_mfn()), -XEN_EINVAL,
           "the root is pinned already");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, memory_root_mfn()), 0,
           "the root can be unpinned while in use");
    tap_is(mmuext(MMUEXT_PIN_L4_TABLE, memory_root_mfn()), 0, "and pinned again");
}
