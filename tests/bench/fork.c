/*
 * What a fork of Linux asks for, beside the rows of main.c: level-1 tables whose entries are read-only (a forked process shares
 * its pages), entries that lose the right to write and get it back, and entries of the levels above.
 */
#include "bench.h"
#include "memory.h"

#include <paravane/hypercall.h>

static mmu_update_t to_read_only[512], to_writable[512];
static uint64_t *pages; /* a level-1 table of 512 entries for one frame of ours */
static unsigned long frame;

static void fill(mmu_update_t *updates, uint64_t flags)
{
    for (unsigned i = 0; i < 512; i++)
        updates[i] = (mmu_update_t){table_entry_ma(pages, i), pte_of(frame, flags)};
}

static void pin(void)
{
    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(pages));
}

static void unpin(void)
{
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(pages));
}

static void run_pin(unsigned long n)
{
    pin();
}

static void run_unpin(unsigned long n)
{
    unpin();
}

static void run_protect_and_back(unsigned long n)
{
    hypercall_mmu_update(to_read_only, 512, NULL, DOMID_SELF);
    hypercall_mmu_update(to_writable, 512, NULL, DOMID_SELF);
}

/* --- entries of the levels above: a table below, its entry here, twice: not present to present and back --- */

static mmu_update_t link, unlink;

static void run_link_and_back(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        hypercall_mmu_update(&link, 1, NULL, DOMID_SELF);
        hypercall_mmu_update(&unlink, 1, NULL, DOMID_SELF);
    }
}

/* @level: of the table whose entry changes; the table below, empty, is pinned and stays valid. */
static uint64_t link_and_back(unsigned level)
{
    uint64_t *table = table_alloc(), *below = table_alloc();

    mmuext(MMUEXT_PIN_L1_TABLE + level - 2, page_mfn(below));
    mmuext(MMUEXT_PIN_L1_TABLE + level - 1, page_mfn(table));
    link = (mmu_update_t){table_entry_ma(table, 5), pte_of(page_mfn(below), PTE_TABLE)};
    unlink = (mmu_update_t){table_entry_ma(table, 5), 0};
    return measure(NULL, run_link_and_back, 100, 1);
}

void bench_fork(void)
{
    frame = frame_alloc();
    pages = page_alloc();
    for (unsigned i = 0; i < 512; i++)
        pages[i] = pte_of(frame, PTE_RO);
    page_protect(pages, PTE_RO);
    report("pin an L1 of 512 read-only entries", (pin(), measure(unpin, run_pin, 1, 1)));
    unpin();
    report("unpin an L1 of 512 read-only entries", measure(pin, run_unpin, 1, 1));

    pin();
    fill(to_read_only, PTE_RO);
    fill(to_writable, PTE_RW);
    hypercall_mmu_update(to_writable, 512, NULL, DOMID_SELF);
    report("mmu_update, per entry of 512, write-protect and back",
           measure(NULL, run_protect_and_back, 1, 1024));
    report("mmu_update, an L2 entry and back", link_and_back(2));
    report("mmu_update, an L3 entry and back", link_and_back(3));
    report("mmu_update, an L4 entry and back", link_and_back(4));
}
