/*
 * Question: what happens when the guest kernel writes a page table through its
 * read-only mapping?
 *
 * Linux does it all the time: it clears entries of pinned tables by a plain
 * XCHG.  The hypervisor takes the page fault, decodes the one instruction and
 * performs it as a checked update of that entry.  It does so for L1 tables
 * only, and for stores inside one entry; everything else is a page fault like
 * any other, with error code 3.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

static uint64_t *l1;
static void *leaf;
static uint64_t good;

static void set(unsigned i, uint64_t pte)
{
    mmu_set(table_entry_ma(l1, i), pte);
}

static void test_stores(void)
{
    uint64_t old;

    set(0, 0);
    tap_is(TRAPS(poke((unsigned long)&l1[0], good)), NO_TRAP,
           "MOV of 8 bytes, not present to present");
    tap_is_hex(l1[0] & PTE_FRAME, good & PTE_FRAME, "it is stored");
    tap_is(mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(leaf)), -XEN_EINVAL,
           "the writable reference was taken");
    tap_is(TRAPS(poke((unsigned long)&l1[0], 0)), NO_TRAP,
           "MOV of 8 bytes, present to not present");
    tap_is_hex(l1[0], 0, "it is stored");

    set(1, good);
    old = 0;
    tap_is(TRAPS(__asm__ volatile("xchg %0, (%1)"
                                  : "+r"(old)
                                  : "r"(&l1[1])
                                  : "memory")),
           NO_TRAP, "XCHG");
    tap_is_hex(old & PTE_FRAME, good & PTE_FRAME, "XCHG gives the old entry");
    tap_is_hex(l1[1], 0, "XCHG stores the new one");

    set(2, good);
    tap_is(TRAPS(__asm__ volatile("lock andb $0xfd, (%0)"
                                  :
                                  : "r"(&l1[2])
                                  : "memory")),
           NO_TRAP, "LOCK AND of one byte");
    tap_is_hex(l1[2] & (PTE_P | PTE_W), PTE_P, "LOCK AND removed W");

    set(3, good);
    uint64_t expected = l1[3], desired = good & ~PTE_W;
    uint8_t equal;
    tap_is(TRAPS(__asm__ volatile("lock cmpxchg %3, (%2); sete %1"
                                  : "+a"(expected), "=q"(equal)
                                  : "r"(&l1[3]), "r"(desired)
                                  : "memory")),
           NO_TRAP, "LOCK CMPXCHG that succeeds");
    tap_is(equal, 1, "LOCK CMPXCHG that succeeds: ZF");
    tap_is_hex(l1[3] & PTE_W, 0, "LOCK CMPXCHG that succeeds: stored");
    expected = 0x1234;
    tap_is(TRAPS(__asm__ volatile("lock cmpxchg %3, (%2); sete %1"
                                  : "+a"(expected), "=q"(equal)
                                  : "r"(&l1[3]), "r"(0ul)
                                  : "memory")),
           NO_TRAP, "LOCK CMPXCHG that fails");
    tap_is(equal, 0, "LOCK CMPXCHG that fails: ZF");
    tap_is_hex(expected, l1[3], "LOCK CMPXCHG that fails: the entry is in rax");
}

static void test_partial_stores(void)
{
    set(4, good);
    tap_is(TRAPS(__asm__ volatile("lock btrq $1, (%0)"
                                  :
                                  : "r"(&l1[4])
                                  : "memory")),
           NO_TRAP, "LOCK BTR");
    tap_is_hex(l1[4] & PTE_W, 0, "LOCK BTR removed W");

    set(5, 0);
    tap_is(TRAPS(__asm__ volatile("movl %1, (%0)"
                                  :
                                  : "r"(&l1[5]), "r"(0x1000)
                                  : "memory")),
           NO_TRAP, "MOV of 4 bytes");
    tap_is_hex(l1[5], 0x1000, "MOV of 4 bytes: stored");
    tap_is(TRAPS(__asm__ volatile("movl %1, 4(%0)"
                                  :
                                  : "r"(&l1[5]), "r"(0x8)
                                  : "memory")),
           NO_TRAP, "MOV of the upper 4 bytes");
    tap_is_hex(l1[5], 0x800001000, "MOV of the upper 4 bytes: stored");
}

static void test_refusals(void)
{
    set(0, 0);
    tap_is(TRAPS(poke((unsigned long)&l1[0], pte_of(memory_root_mfn(), PTE_RW))), TRAP_PF,
           "an entry that may not be: #PF");
    tap_is_hex(trap_last.error, PF_PRESENT | PF_WRITE, "its error code is 3");
    tap_is_hex(trap_last_cr2, (uint64_t)&l1[0], "its address is the entry's");
    tap_is_hex(l1[0], 0, "nothing is stored");
    tap_is(TRAPS(poke((unsigned long)l1 + 4, 0)), TRAP_PF, "a store across two entries: #PF");
    tap_is(TRAPS(poke((unsigned long)&l1[511] + 4, 0)), TRAP_PF, "a store across two pages: #PF");

    uint64_t *root = (uint64_t *)guest_info->pt_base;
    tap_is(TRAPS(poke((unsigned long)&root[300], 0)), TRAP_PF, "a store to an L4: #PF");
    tap_is_hex(trap_last.error, PF_PRESENT | PF_WRITE, "its error code is 3, too");
    uint64_t *l2 = memory_entry(VIRT_BASE, 2);
    tap_is(TRAPS(poke((unsigned long)&l2[100], 0)), TRAP_PF, "a store to an L2: #PF");
    uint64_t *plain = table_alloc();
    tap_is(TRAPS(poke((unsigned long)&plain[0], 0)), TRAP_PF,
           "a store to a read-only page of no type: #PF");
    tap_is_hex(trap_last.error, PF_PRESENT | PF_WRITE, "its error code is 3 as well");
}

static void test_running_tables(void)
{
    char *page = page_alloc();
    uint64_t *entry = memory_entry((unsigned long)page, 1);
    uint64_t pte = *entry;

    tap_is(TRAPS(poke((unsigned long)entry, 0)), NO_TRAP, "unmap a page of the running kernel");
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    tap_is(TRAPS(peek((unsigned long)page)), TRAP_PF, "it is gone");
    tap_is(TRAPS(poke((unsigned long)entry, pte)), NO_TRAP, "map it again");
    tap_is(TRAPS(peek((unsigned long)page)), NO_TRAP, "it is back");
}

void guest_main(void)
{
    hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    l1 = table_alloc();
    leaf = page_alloc();
    page_protect(leaf, PTE_RO);
    good = pte_of(page_mfn(leaf), PTE_RW);
    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(l1));
    test_stores();
    test_partial_stores();
    test_refusals();
    test_running_tables();
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(l1)), 0, "unpin the table");
    tap_is(page_protect(l1, PTE_RW), 0, "no reference is left");
    tap_is(mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(leaf)), 0, "nor to the leaf");
}
