/*
 * Guest page tables: validation, update, roots (core/mmu/).
 *
 *   page-tables.c   what an entry may say; whole tables; one entry of any level
 *   l1-table.c      one entry of level 1, and tables of it
 *   upper-table.c   levels 2 to 4, linear entries
 *   table-walk.c    from an address to its level-1 slot
 *   table-pin.c     MMUEXT_PIN_Ln_TABLE
 *   vcpu-roots.c    what CR3 names
 *
 * Locks: everything here needs @d->mmu, d being the tables' owner, unless said otherwise.
 */
#pragma once

#include "arch.h"
#include "pte.h"
#include "tlb.h"

/* A frame of @d is about to become a table of @level (its state already says so, count 1, not validated): check every entry
 * and take its references.  0; or the first bad entry's -errno, everything undone.  Preemptible. */
int page_table_validate(struct domain *d, struct page_info *pg, int level)
    REQUIRES(&d->mmu) must_check;
/* The last type reference is going: drop every entry's references.  Preemptible. */
void page_table_invalidate(struct page_info *pg, int level);

/* MMUEXT_PIN_Ln_TABLE / UNPIN, for @d, of a table of @owner, whose lock is needed. */
int page_table_pin(struct domain *d, struct domain *owner, mfn_t m, int level)
    REQUIRES(&owner->mmu) must_check;
int page_table_unpin(struct domain *d, mfn_t m) REQUIRES(&d->mmu);

/* What becomes of the bits A and D of the entry that is replaced; the CPU may set them at any moment. */
enum ad_bits {
    AD_AS_GIVEN, /* they are as the new entry says */
    AD_KEPT,     /* what is set stays set (MMU_PT_UPDATE_PRESERVE_AD) */
};

/* Replace one entry of the validated table @pg (index @slot) by @want; new frames must be @owner's. */
int page_table_update(struct domain *d, struct domain *owner, struct page_info *pg, unsigned slot,
                      pte_t want, enum ad_bits ad) REQUIRES(&d->mmu) must_check;
/* The same for a level-1 table, the hot one. */
int l1_update(struct domain *d, struct domain *owner, uint64_t *slot, pte_t want, enum ad_bits ad)
    REQUIRES(&d->mmu) must_check;
/* A PV guest's kernel runs in ring 3: every page it maps must be reachable from there.  Bit 52 remembers that the
 * guest asked for a supervisor page. */
static inline pte_t l1_adjust(pte_t e)
{
    if (!(e.v & PTE_US) && pte_present(e))
        e.v |= PTE_US | PTE_GUEST_KERNEL;
    return e;
}

/* The same as one exchange: -XEN_EAGAIN, nothing changed, if the slot no longer holds @expected. */
int l1_compare_exchange(struct domain *d, uint64_t *slot, uint64_t expected, pte_t want)
    REQUIRES(&d->mmu) must_check;

/*
 * For entries of grants (core/grants).  l1_remove() empties @slot, or stores @instead, if it holds a present entry of frame @m with
 * just this right to write; false: it does not.  What the entry held is the caller's now, to be given back by page_put_mapped() when no
 * TLB has it any more; @instead brings what it holds along.  The frame is stamped.
 */
static inline must_check bool l1_remove(uint64_t *slot, mfn_t m, bool writable, pte_t instead)
{
    const uint64_t have = mfn_to_maddr(m) | PTE_P | (writable ? PTE_RW : 0);

    if (unlikely((atomic_read(slot) ^ have) & (PTE_ADDR_MASK | PTE_P | PTE_RW)))
        return false;
    atomic_exchange(slot, instead.v); /* visible to all before the clock is read: tlb.h */
    tlb_stamp(mfn_to_page(m));
    return true;
}
/* The slot at machine address @maddr, if that is one in an L1 table of @d; else NULL. */
uint64_t *l1_slot_at(const struct domain *d, uint64_t maddr);

/* The L1 slot that maps @va in @v's kernel tables, or NULL: no L1 table there, or not a guest address. */
uint64_t *l1_slot(const struct vcpu *v, uint64_t va) REQUIRES(&v->domain->mmu);

/* Give @v its first root before it runs (builder, VCPUOP_initialise): takes reference and type. Takes @d->mmu itself. */
int vcpu_load_root(struct vcpu *v, mfn_t l4) must_check;
/* MMUEXT_NEW_BASEPTR, NEW_USER_BASEPTR (0: none) for the running vCPU. */
int vcpu_new_root(struct vcpu *v, mfn_t l4) REQUIRES(&v->domain->mmu) must_check;
int vcpu_new_user_root(struct vcpu *v, mfn_t l4) REQUIRES(&v->domain->mmu) must_check;
/* Let go of both roots (teardown, VCPUOP_initialise failing).  Not while any CPU has them loaded. */
void vcpu_drop_roots(struct vcpu *v);
