/*
 * Descriptor tables of guests: their GDT and LDT, shown to the CPU without letting go of the
 * machine.
 *
 * The CPU reads descriptors by itself, so a table must hold only harmless ones for as long as it
 * can be read.  A frame that serves as a descriptor table has role SEG: all 512 descriptors were
 * checked when it got the role, no guest can write to it, and update_descriptor() checks each new
 * one (descriptor_sanitize).  Harmless means: not present; or code or data, which from ring 3 reach
 * nothing that page tables do not allow; never a gate or a task.
 *
 * The tables are frames of the guest's, but the CPU wants linear addresses that the guest cannot
 * remap.  So every vCPU has a view in the hypervisor's half (layout.h), and its GDTR and LDT
 * descriptor name that:
 *
 *   GDT view   0..13 the guest's frames, or the page of zeros     14 the physical CPU's own
 * segments LDT view   0..15 the guest's frames, each shown at its first use: its address is a guest
 * linear address, and what lies there is looked up in the guest's page tables when the CPU asks (a
 * #PF in the view)
 *
 * The views are writable: the CPU sets the accessed bit.
 *
 * Roles and views change under the domain's mmu lock.  Before a frame is let go every CPU of the
 * domain forgets the view's translations.
 */
#include "cpu-state.h"
#include "hypercall.h"
#include "page-tables.h"
#include "sched.h"
#include "tlb.h"

#define GDT_PAGES 14u
#define LDT_PAGES 16u
#define LDT_SLOT  (VCPU_AREA_LDT >> PAGE_SHIFT) /* first L1 entry of the LDT view */

#define VIEW_FLAGS      (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define VIEW_ZERO_FLAGS (PTE_P | PTE_A | PTE_NX)

/* A descriptor is 64 bits; the fields that are not bits (Intel SDM volume 3, 3.4.5 and 5.8.3). */
#define D_TYPE_MASK           (BIT(40) | BIT(41) | BIT(42) | BIT(43))
#define D_TYPE_GATE           (0xcull << 40)
#define D_DPL_SHIFT           45
#define D_DPL                 (3ull << D_DPL_SHIFT)
#define D_GATE_RESERVED       (0xffull << 32)
#define D_GATE_SELECTOR_SHIFT 16

static uint8_t zeros[PAGE_SIZE] __attribute__((aligned(4096)));

/* --- what may stand in a table --------------------------------------------------- */

/* May a gate lead to @selector: a segment of the guest's GDT or LDT, or its kernel's flat one? */
static bool gate_selector_ok(uint16_t selector)
{
    return (selector & 4) || selector == SEL_GUEST_CS64 ||
           (selector >> 3) < FIRST_RESERVED_GDT_ENTRY;
}

bool descriptor_sanitize(uint64_t *d)
{
    uint64_t was = *d, dpl = was >> D_DPL_SHIFT & 3;

    if (!(was & DESCRIPTOR_PRESENT))
        return true; /* its use faults, whatever it says */

    if (was & DESCRIPTOR_USER) {
        *d = was | D_DPL; /* the guest's kernel runs in ring 3, too */
        return true;
    }
    if (!(was & D_TYPE_MASK))
        return true; /* reserved type 0: the second half of a gate; its use faults */

    /* A call gate cannot change from a guest's user mode to its kernel mode; with DPL 0 its use is
     * #GP(selector). The guest's own DPL is kept in the target's RPL. */
    uint16_t target = (uint16_t)(was >> D_GATE_SELECTOR_SHIFT);
    if ((was & D_TYPE_MASK) != D_TYPE_GATE || (was & D_GATE_RESERVED) || !gate_selector_ok(target))
        return false;
    *d = (was & ~(D_DPL | 3ull << D_GATE_SELECTOR_SHIFT)) | dpl << D_GATE_SELECTOR_SHIFT;
    return true;
}

int arch_segment_page_validate(uint64_t *descriptors)
{
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
        uint64_t d = descriptors[i];
        if (!descriptor_sanitize(&d))
            return refuse(DESCRIPTOR_IN_FRAME_NOT_ALLOWED, d, i);
        if (d != descriptors[i])
            descriptors[i] = d;
    }
    return 0;
}

/* --- reading --------------------------------------------------------------------- */

uint64_t descriptor_base(uint64_t d)
{
    return (d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24;
}

bool descriptor_read(struct vcpu *v, uint16_t selector, uint64_t *d)
{
    uint32_t offset = selector & ~7u;
    uint64_t table = v->arch.area + VCPU_AREA_GDT;

    if (selector & 4) {
        if (offset / 8 >= v->arch.ldt_entries)
            return false;
        if (!(v->arch.ldt_mapped & BIT(offset >> PAGE_SHIFT)) &&
            !descriptors_ldt_fault(v, offset, true))
            return false;
        table = v->arch.area + VCPU_AREA_LDT;
    } else if (offset > GDT_LIMIT) {
        return false;
    }
    *d = *(volatile const uint64_t *)(table + offset);
    return true;
}

/* --- the views ------------------------------------------------------------------- */

/* Frame @m in the role of a descriptor table, or -XEN_EINVAL. */
static int segment_page_get(struct domain *d, uint64_t m) REQUIRES(&d->mmu)
{
    if (!mfn_valid(mfn(m)) || page_get_and_type(mfn_to_page(mfn(m)), d, PAGE_TYPE_SEG))
        return refuse(DESCRIPTOR_FRAME_UNFIT, m);
    return 0;
}

static void gdt_show(struct vcpu *v, unsigned page, const uint64_t *m)
{
    uint64_t entry = m ? pte_make(mfn(*m), VIEW_FLAGS).v : image_phys(zeros) | VIEW_ZERO_FLAGS;
    atomic_set(&v->arch.area_pt[page], entry);
}

static void views_flush(const struct domain *d)
{
    tlb_flush_cpus(atomic_read(&d->tlb_cpus));
}

int descriptors_init_vcpu(struct vcpu *v)
{
    for (unsigned i = 0; i < GDT_PAGES; i++)
        gdt_show(v, i, NULL);
    for (unsigned i = 0; i < LDT_PAGES; i++)
        atomic_set(&v->arch.area_pt[LDT_SLOT + i], 0);
    return 0;
}

/* Make @mfns (which hold their references) the GDT, and let go of the old one. */
static void gdt_replace(struct vcpu *v, const uint64_t *mfns, unsigned frames, unsigned entries)
{
    uint64_t old[GDT_PAGES];
    unsigned old_frames = v->arch.gdt_frames;

    memcpy(old, v->arch.gdt_mfn, sizeof(old));
    for (unsigned i = 0; i < GDT_PAGES; i++) {
        if (i >= frames && i >= old_frames)
            break;
        v->arch.gdt_mfn[i] = i < frames ? mfns[i] : 0;
        gdt_show(v, i, i < frames ? &mfns[i] : NULL);
    }
    v->arch.gdt_frames = frames;
    v->arch.gdt_entries = entries;
    views_flush(v->domain);
    for (unsigned i = 0; i < old_frames; i++)
        page_put_and_type(mfn_to_page(mfn(old[i])));
}

int descriptors_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned entries)
{
    struct domain *d = v->domain;
    unsigned frames = (entries + 511) / 512, got = 0;
    int rc = 0;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return refuse(GDT_TOO_LONG, entries, FIRST_RESERVED_GDT_ENTRY);

    mutex_lock(&d->mmu);
    while (got < frames && !rc) {
        rc = segment_page_get(d, mfns[got]);
        if (!rc)
            got++;
        (void)preempt_point(); /* 512 descriptors have been looked at, maybe */
    }
    if (rc) {
        while (got--)
            page_put_and_type(mfn_to_page(mfn(mfns[got])));
    } else {
        gdt_replace(v, mfns, frames, entries);
    }
    mutex_unlock(&d->mmu);
    return rc;
}

/* Take back all LDT pages shown. */
static void ldt_hide(struct vcpu *v) REQUIRES(&v->domain->mmu)
{
    uint64_t *view = &v->arch.area_pt[LDT_SLOT];
    uint32_t shown = v->arch.ldt_mapped;
    pte_t old[LDT_PAGES];

    if (!shown)
        return;
    for (unsigned i = 0; i < LDT_PAGES; i++)
        old[i] = pte(atomic_exchange(&view[i], 0));
    v->arch.ldt_mapped = 0;
    views_flush(v->domain);
    for (unsigned i = 0; i < LDT_PAGES; i++)
        if (pte_present(old[i]))
            page_put_and_type(mfn_to_page(pte_mfn(old[i])));
}

void descriptors_ldt_forget(struct vcpu *v) NO_ANALYSIS
{
    ldt_hide(v);
}

int arch_vcpu_set_ldt(struct vcpu *v, uint64_t base, unsigned entries)
{
    if (!entries)
        base = 0;
    if ((base & ~PAGE_MASK) || entries > 8192 || !guest_range_ok(base, 1))
        return refuse(LDT_ADDRESS, base, entries);
    if (base == v->arch.ldt_base && entries == v->arch.ldt_entries)
        return 0;

    mutex_lock(&v->domain->mmu);
    ldt_hide(v);
    v->arch.ldt_base = base;
    v->arch.ldt_entries = entries;
    mutex_unlock(&v->domain->mmu);
    if (v == current_vcpu())
        descriptors_load_ldt(v);
    return 0;
}

/* The frame that the guest's kernel tables map at @va, in the role of a descriptor table; NULL:
 * none. */
static struct page_info *ldt_frame_get(struct vcpu *v, uint64_t va) REQUIRES(&v->domain->mmu)
{
    const uint64_t *slot = l1_slot(v, va);
    if (!slot)
        return NULL;
    pte_t e = pte(atomic_read(slot));
    if (!pte_present(e) || !mfn_valid(pte_mfn(e)))
        return NULL;
    struct page_info *pg = mfn_to_page(pte_mfn(e));
    return page_get_and_type(pg, v->domain, PAGE_TYPE_SEG) ? NULL : pg;
}

static bool mmu_try_lock(struct domain *d) NO_ANALYSIS
{
    return !atomic_exchange(&d->mmu.held, 1);
}

bool descriptors_ldt_fault(struct vcpu *v, uint64_t offset, bool may_wait) NO_ANALYSIS
{
    unsigned page = (unsigned)(offset >> PAGE_SHIFT);

    if (offset / 8 >= v->arch.ldt_entries)
        return false;
    if (may_wait)
        mutex_lock(&v->domain->mmu);
    else if (!mmu_try_lock(v->domain))
        return false;
    bool shown = v->arch.ldt_mapped & BIT(page);
    if (!shown) {
        struct page_info *pg = ldt_frame_get(v, v->arch.ldt_base + (offset & PAGE_MASK));
        if (pg) {
            atomic_set(&v->arch.area_pt[LDT_SLOT + page], pte_make(page_to_mfn(pg), VIEW_FLAGS).v);
            v->arch.ldt_mapped |= BIT(page);
            shown = true;
        }
    }
    mutex_unlock(&v->domain->mmu);
    return shown;
}

void descriptors_load_ldt(struct vcpu *v)
{
    if (likely(!v->arch.ldt_entries)) {
        uint16_t now;
        __asm__ volatile("sldt %0" : "=r"(now));
        if (now)
            __asm__ volatile("lldt %w0" ::"r"(0));
        return;
    }

    /* A system descriptor of type 2, 16 bytes (Intel SDM volume 3, 8.2.3). */
    uint64_t base = v->arch.area + VCPU_AREA_LDT, limit = v->arch.ldt_entries * 8ull - 1;
    uint64_t *d = (uint64_t *)((char *)maddr_to_virt(this_percpu()->gdt_mfn << PAGE_SHIFT) +
                               (SEL_LDT & 0xfff));
    d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x82ull << 40 | (base >> 24 & 0xff) << 56;
    d[1] = base >> 32;
    compiler_barrier();
    __asm__ volatile("lldt %w0" ::"r"(SEL_LDT) : "memory");
}

void descriptors_release(struct vcpu *v)
{
    mutex_lock(&v->domain->mmu);
    ldt_hide(v);
    v->arch.ldt_base = 0;
    v->arch.ldt_entries = 0;
    if (v->arch.gdt_frames)
        gdt_replace(v, NULL, 0, 0);
    mutex_unlock(&v->domain->mmu);
}

/* --- hypercalls ------------------------------------------------------------------ */

/* set_gdt(frames, entries) */
long hypercall_set_gdt(struct vcpu *v, const struct hypercall_args *a)
{
    uint64_t mfns[GDT_PAGES];
    uint32_t entries = (uint32_t)a->arg[1];

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return refuse(GDT_TOO_LONG, entries, FIRST_RESERVED_GDT_ENTRY);
    if (guest_read(mfns, guest_ptr(a->arg[0]), (entries + 511) / 512 * 8))
        return refuse(ARGUMENT_UNREADABLE, a->arg[0]);
    return descriptors_set_gdt(v, mfns, entries);
}

/*
 * update_descriptor(machine address, descriptor).  In a frame that is a descriptor table the store
 * is checked and atomic; in one that is not it is an ordinary store of the guest's, which must be
 * allowed to write there.
 */
long hypercall_update_descriptor(struct vcpu *v, const struct hypercall_args *a)
{
    struct domain *d = v->domain;
    const uint64_t maddr = a->arg[0];
    uint64_t want = a->arg[1];
    int rc = 0;

    if (unlikely((maddr & 7) || !descriptor_sanitize(&want)))
        return refuse(DESCRIPTOR_NOT_ALLOWED, maddr, want);
    if (unlikely(!mfn_valid(maddr_to_mfn(maddr))))
        return refuse(DESCRIPTOR_FRAME_NOT_OWNED, maddr);

    struct page_info *pg = mfn_to_page(maddr_to_mfn(maddr));
    mutex_lock(&d->mmu);
    if (page_is_table_of(pg, d->id, PAGE_TYPE_SEG)) {
        /* The lock keeps the role, and the role keeps the frame. */
        atomic_set((uint64_t *)maddr_to_virt(maddr), want);
    } else if (page_get_and_type(pg, d, PAGE_TYPE_WRITABLE) == 0) {
        atomic_set((uint64_t *)maddr_to_virt(maddr), want);
        page_put_and_type(pg);
    } else {
        rc = refuse(DESCRIPTOR_FRAME_NOT_OWNED, maddr);
    }
    mutex_unlock(&d->mmu);
    return rc;
}
