/*
 * The audit: recount the world from scratch and compare with what the counts claim (invariants I1-I5 and I7-I10 of page.h).
 *
 * Every holder of a reference is asked once: each present entry of each validated table, each pin, each root and
 * descriptor slot of each vCPU, each placement the hypervisor made.  What they add up to must be what the frames say.  Run after
 * every host test, on debug key 'a', when a domain has been destroyed, and after every hypercall with -Daudit=always.
 * Nothing may change meanwhile: callers hold everybody else still (one CPU, interrupts off).
 */
#include "arch.h"
#include "audit.h"
#include "lib.h"
#include "page-tables.h"

#define PRINT_LIMIT 20u

/* What a frame should have, by our own count. */
struct tally {
    uint32_t refs, types;
    int32_t linear;
};

static struct {
    struct tally *tally;     /* one a frame */
    uint64_t l4[PT_ENTRIES]; /* an L4 table with the hypervisor's entries */
    unsigned differences;
} audit;

static struct audit_holder *holders;

static unsigned long recounts; /* audit_always()'s */

void audit_register(struct audit_holder *h)
{
    for (const struct audit_holder *other = holders; other; other = other->next)
        if (other == h)
            return;
    h->next = holders;
    holders = h;
}

static void differ(uint64_t frame, const char *what, uint64_t have, uint64_t counted)
{
    const struct page_info *pg = &frame_table[frame];

    if (audit.differences++ < PRINT_LIMIT)
        printk("audit: frame %lx of domain %u, %s: %s is %lu, counted %lu\n", (unsigned long)frame,
               pg->owner, page_type_name[page_state_type(pg->state)], what, (unsigned long)have,
               (unsigned long)counted);
}

void audit_count(mfn_t m, bool typed)
{
    if (!mfn_valid(m))
        return;
    audit.tally[m.n].refs++;
    if (typed)
        audit.tally[m.n].types++;
}

static bool is_table(const struct page_info *pg)
{
    return (pg->state & PAGE_VALIDATED) && page_state_type(pg->state) >= PAGE_TYPE_L1 &&
           page_state_type(pg->state) <= PAGE_TYPE_L4;
}

static int level_of(const struct page_info *pg)
{
    return page_state_type(pg->state) - PAGE_TYPE_L1 + 1;
}

static void count_mapping(const struct page_info *table, mfn_t m, pte_t e)
{
    enum page_type type = page_state_type(mfn_to_page(m)->state);

    audit_count(m, e.v & PTE_RW);
    if ((e.v & PTE_RW) && type != PAGE_TYPE_WRITABLE)
        differ(m.n, "I2: a writable entry's target type", type, PAGE_TYPE_WRITABLE);
    for (const struct audit_holder *h = holders; mfn_to_page(m)->owner != table->owner && h;
         h = h->next)
        if (h->foreign)
            h->foreign(table->owner);
}

/* An entry of a table of @level > 1.  One that names a table of that level itself makes the tables below it memory that can be read
 * (linear tables): were it writable, they could be written to. */
static void count_link(const struct page_info *table, int level, pte_t e)
{
    const mfn_t m = pte_mfn(e);
    const struct page_info *target = mfn_to_page(m);
    const bool linear = is_table(target) && level_of(target) == level;

    if (linear && (e.v & PTE_RW))
        differ(m.n, "I2: the write bit of an entry that names a table of its own level", 1, 0);
    if (target == table) /* holds nothing by it */
        return;
    audit_count(m, true);
    if (linear) {
        audit.tally[page_to_mfn(table).n].linear--;
        audit.tally[m.n].linear++;
    } else if (!is_table(target) || level_of(target) != level - 1) {
        differ(m.n, "a table entry's target type", page_state_type(target->state),
               page_type_of_level(level - 1));
    }
}

static void count_entry(const struct page_info *table, int level, pte_t e)
{
    const mfn_t m = pte_mfn(e);

    if (!mfn_valid(m) || mfn_to_page(m)->owner == OWNER_IO)
        return;
    if (level == 1)
        count_mapping(table, m, e);
    else
        count_link(table, level, e);
}

/* Slot @slot of L4 table @pg is the hypervisor's. */
static void compare_slot(const struct page_info *pg, unsigned slot, uint64_t e)
{
    if ((e ^ audit.l4[slot]) & ~(PTE_A | PTE_D))
        differ(page_to_mfn(pg).n, "I9: an L4 entry of the hypervisor's", e, audit.l4[slot]);
}

static void count_table(const struct page_info *pg)
{
    int level = level_of(pg);
    const uint64_t *entries = mfn_to_virt(page_to_mfn(pg));

    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        if (level == 4 && i >= HYPERVISOR_SLOT_FIRST && i <= HYPERVISOR_SLOT_LAST)
            compare_slot(pg, i, entries[i]);
        else if (entries[i] & PTE_P)
            count_entry(pg, level, pte(entries[i]));
    }
}

static bool is_no_domains(const struct page_info *pg)
{
    return pg->owner >= DOMID_FIRST_RESERVED && pg->owner != DOMID_XEN;
}

static void count_frame(uint64_t frame)
{
    const struct page_info *pg = &frame_table[frame];

    if (is_no_domains(pg))
        return;
    if (page_state_type(pg->state) == PAGE_TYPE_SHOWN)
        audit_count(mfn(frame), true);
    if (pg->state & PAGE_ALLOCATED)
        audit_count(mfn(frame), false);
    if (pg->state & PAGE_PINNED)
        audit_count(mfn(frame), true);
    if (pg->state & PAGE_SHARED)
        audit_count(mfn(frame), true);
    if (is_table(pg))
        count_table(pg);
}

static void count_vcpu(struct vcpu *v)
{
    if (vcpu_kernel_root(v))
        audit_count(maddr_to_mfn(vcpu_kernel_root(v)), true);
    if (vcpu_user_root(v))
        audit_count(maddr_to_mfn(vcpu_user_root(v)), true);
    if (v->info_page)
        audit_count(page_to_mfn(v->info_page), true);
    arch_audit_vcpu(v);
}

static void compare_frame(uint64_t frame)
{
    const struct page_info *pg = &frame_table[frame];
    const struct tally *t = &audit.tally[frame];
    uint64_t s = pg->state;

    if (is_no_domains(pg)) {
        if (t->refs)
            differ(frame, "references to a frame that is no domain's", 0, t->refs);
        if (page_state_refs(s))
            differ(frame, "I7: references of a frame that is no domain's", page_state_refs(s), 0);
        return;
    }
    if (page_state_count(s) && !page_state_refs(s))
        differ(frame, "I1: references of a typed frame", 0, page_state_count(s));
    if (page_state_refs(s) != t->refs)
        differ(frame, "I3: references", page_state_refs(s), t->refs);
    if (page_state_count(s) != t->types)
        differ(frame, "I4: type count", page_state_count(s), t->types);
    if ((s & PAGE_VALIDATED) && !page_state_count(s))
        differ(frame, "I5: type count of a validated table", 0, 1);
    if (is_table(pg) && pg->linear != t->linear)
        differ(frame, "I8: linear entries", (uint64_t)pg->linear, (uint64_t)t->linear);
}

/* Frames that the domains say they own. */
static void compare_totals(void)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        uint64_t owned = 0;
        for (uint64_t f = 0; f < max_mfn; f++)
            if (frame_table[f].owner == d->id && !(frame_table[f].state & PAGE_SHARED))
                owned++;
        if (owned != d->tot_pages) {
            audit.differences++;
            printk("audit: domain %u counts %u frames, owns %lu\n", d->id, d->tot_pages,
                   (unsigned long)owned);
        }
    }
}

/* Is somebody in the middle of changing page tables (put aside at a preemption point, or on another CPU)? */
static bool tables_are_changing(void)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        if (atomic_read(&d->mmu.held))
            return true;
    return false;
}

/*
 * A recount takes milliseconds.  So that Linux gets anywhere, `audit-pause=MS` lets that much time pass between two.
 * It needs the machine for itself: while another CPU runs guests, references come and go under it.
 */
void audit_always(void)
{
    static uint64_t next;
    const uint64_t others = arch_cpus_online() & (arch_cpus_online() - 1);

    if (others || arch_now() < next || tables_are_changing())
        return;
    if (page_audit())
        BUG();
    next = arch_now() + cmdline_number("audit-pause", 0) * 1000000;
    recounts++;
}

void audit_tell(void)
{
    if (recounts)
        printk("audit: %lu recounts while domains ran\n", recounts);
}

unsigned page_audit(void)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < max_mfn * sizeof(struct tally))
        order++;
    audit.tally = page_alloc_zeroed(order);
    audit.differences = 0;
    if (!audit.tally) {
        printk("audit: no %lu KiB of free memory to count in\n",
               (unsigned long)(PAGE_SIZE << order) / 1024);
        return 0;
    }
    arch_fill_l4(audit.l4);
    for (uint64_t f = 0; f < max_mfn; f++)
        count_frame(f);
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        for_each_vcpu(d, v)
            count_vcpu(v);
        for (const struct audit_holder *h = holders; h; h = h->next)
            h->count(d);
    }
    for (uint64_t f = 0; f < max_mfn; f++)
        compare_frame(f);
    compare_totals();
    for (const struct audit_holder *h = holders; h; h = h->next)
        if (h->compare)
            audit.differences += h->compare();
    audit.differences += arch_audit_cpus();
    page_free_virt(audit.tally, order);
    audit.tally = NULL;
    if (audit.differences > PRINT_LIMIT)
        printk("audit: %u differences in all\n", audit.differences);
    return audit.differences;
}
