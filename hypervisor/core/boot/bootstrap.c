/*
 * One domain's memory at the start of its day: layout, frames, image, p2m list, page tables.
 *
 * The layout is drawn in builder.h; the promises to the guest are <xen/xen.h>'s ("start-of-day
 * memory layout").  Everything is counted before anything is allocated, so that "too little
 * memory" is one sentence with a number in it.
 *
 * The page tables are written as plain memory, while their frames have no role, and then
 * pinned like any guest's: one set of rules decides what a page table may say, and a mistake
 * made here is refused there.
 *
 * Frames come zeroed (page_alloc_for).  What is zeroed here all the same, bss, tables and the pages
 * that carry structures, is what the guest is promised.
 */
#include "arch.h"
#include "builder.h"
#include "lib.h"
#include "page-tables.h"
#include "pte.h"
#include "sched.h"

#define LARGEST_ORDER 18u
#define REBUILD_ORDER 10u        /* beside other domains, what is done in one piece is small */
#define FILL_SPAN     0x20000ull /* bytes, the same */
#define SPARE_PAGES   (0x80000 >> PAGE_SHIFT) /* mapped behind the stack, at least */
#define MAP_ALIGN     0x400000ull

#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define PAGE_FLAGS  (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_GUEST_KERNEL)

/* A rebuild runs beside other domains: let them in now and then.  The first build is alone. */
static void preempt_now_and_then(const struct bootstrap *b)
{
    if (b->config->restarts)
        (void)preempt_point();
}

static uint64_t pages_of(uint64_t bytes)
{
    return ROUND_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
}

/* --- layout ---------------------------------------------------------------------------------- */

/* How many aligned units of 2^shift bytes [first, last] touches. */
static uint64_t units(uint64_t first, uint64_t last, unsigned shift)
{
    return (last >> shift) - (first >> shift) + 1;
}

static uint64_t common_units(uint64_t first, uint64_t last, uint64_t other_first,
                             uint64_t other_last, unsigned shift)
{
    uint64_t from = MAX(first >> shift, other_first >> shift),
             to = MIN(last >> shift, other_last >> shift);
    return from <= to ? to - from + 1 : 0;
}

/* Place everything up to the stack; the number of tables depends on the end, which depends on them.
 */
static int layout_mapped(struct bootstrap *b, struct boot_error *e)
{
    const uint64_t base = b->image.virt_base;
    uint64_t at = pages_of(b->image.phys_end), ramdisk = pages_of(b->ramdisk_bytes);

    if (ramdisk && !b->image.mod_start_pfn) {
        b->ramdisk_pfn = at;
        at += ramdisk;
    }
    if (!bootstrap_p2m_apart(b)) {
        b->p2m_pfn = at;
        at += b->p2m_pages;
    }
    b->start_info_pfn = at++;
    if (!b->config->initial) {
        b->store_pfn = at++;
        b->console_pfn = at++;
    }
    b->table_pfn = at;
    b->tables = 4;
    for (;;) {
        b->stack_pfn = b->table_pfn + b->tables;
        uint64_t bytes = (b->stack_pfn + 1 + SPARE_PAGES) << PAGE_SHIFT;
        b->virt_end = ROUND_UP(base + bytes, MAP_ALIGN);
        if (!guest_range_ok(base, bytes + MAP_ALIGN) && b->virt_end != 0)
            return boot_error(e, IMAGE_VIRT_BASE, base, bytes);
        uint64_t last = b->virt_end - 1;
        uint64_t need = 1 + units(base, last, 39) + units(base, last, 30) + units(base, last, 21);
        if (need <= b->tables)
            return 0;
        b->tables = need;
    }
}

/* The p2m list at an address of its own: its tables, less those that the bootstrap mapping has
 * anyway. */
static int layout_p2m_tables(struct bootstrap *b, struct boot_error *e)
{
    uint64_t first = b->image.p2m_base, bytes = b->p2m_pages << PAGE_SHIFT,
             last = first + bytes - 1;
    uint64_t low = b->image.virt_base, high = b->virt_end - 1;

    if (!guest_range_ok(first, bytes) || common_units(first, last, low, high, PAGE_SHIFT))
        return boot_error(e, IMAGE_INIT_P2M, first);
    b->p2m_tables = 0;
    for (unsigned shift = 21; shift <= 39; shift += 9)
        b->p2m_tables += units(first, last, shift) - common_units(first, last, low, high, shift);
    return 0;
}

static int layout(struct bootstrap *b, struct boot_error *e)
{
    uint64_t behind = 0;

    b->pages = b->config->memory >> PAGE_SHIFT;
    b->p2m_pages = pages_of(b->pages * sizeof(uint64_t));
    /* First: no address space has room for the page tables of absurd amounts. */
    if (b->pages > page_free_count())
        return boot_error(e, MACHINE_MEMORY_SHORT, b->pages * 4, page_free_count() * 4);
    int rc = layout_mapped(b, e);
    if (!rc && bootstrap_p2m_apart(b)) {
        rc = layout_p2m_tables(b, e);
        behind += b->p2m_pages + b->p2m_tables;
    }
    if (rc)
        return rc;
    if (b->image.mod_start_pfn)
        behind += pages_of(b->ramdisk_bytes);

    uint64_t need = b->stack_pfn + 1 + SPARE_PAGES + behind;
    if (need > b->pages)
        return boot_error(e, DOMAIN_MEMORY_TOO_SMALL, need * 4, b->pages * 4);
    /* A small domain ends before the rounded end of the mapping does. */
    b->mapped = MIN((b->virt_end - b->image.virt_base) >> PAGE_SHIFT, b->pages - behind);

    uint64_t at = b->mapped;
    if (b->ramdisk_bytes && b->image.mod_start_pfn) {
        b->ramdisk_pfn = at;
        at += pages_of(b->ramdisk_bytes);
    }
    if (bootstrap_p2m_apart(b)) {
        b->p2m_pfn = at;
        b->p2m_tables_pfn = at + b->p2m_pages;
    }
    return 0;
}

/* --- frames ---------------------------------------------------------------------------------- */

static int extent_add(struct bootstrap *b, uint64_t first_pfn, uint64_t first_mfn, uint64_t count)
{
    struct extent_page *p = b->extents_last;

    if (p && p->used) {
        struct extent *last = &p->extent[p->used - 1];
        if (last->mfn + last->count == first_mfn) {
            last->count += count;
            return 0;
        }
    }
    if (!p || p->used == EXTENTS_PER_PAGE) {
        p = page_alloc_zeroed(0);
        if (!p)
            return -XEN_ENOMEM;
        *(b->extents ? &b->extents_last->next : &b->extents) = p;
        b->extents_last = p;
    }
    p->extent[p->used++] = (struct extent){first_pfn, first_mfn, count};
    return 0;
}

void bootstrap_free(struct bootstrap *b)
{
    while (b->extents) {
        struct extent_page *p = b->extents;
        b->extents = p->next;
        page_free_virt(p, 0);
    }
}

static int populate(struct bootstrap *b, struct boot_error *e)
{
    unsigned order = b->config->restarts ? REBUILD_ORDER : LARGEST_ORDER;

    for (uint64_t at = 0; at < b->pages;) {
        while (1ull << order > b->pages - at)
            order--;
        struct page_info *pg = page_alloc_for(b->d, order);
        if (!pg) {
            if (order-- == 0)
                return boot_error(e, MACHINE_MEMORY_SHORT, b->pages * 4, at * 4);
            continue;
        }
        if (extent_add(b, at, page_to_mfn(pg).n, 1ull << order))
            return boot_error(e, MACHINE_MEMORY_SHORT, b->pages * 4, at * 4);
        at += 1ull << order;
        preempt_now_and_then(b);
    }
    return 0;
}

/* The extent that holds guest frame @n. */
static const struct extent *extent_of(struct bootstrap *b, uint64_t n)
{
    if (!b->cursor || n < b->cursor->extent[b->cursor_at].pfn) {
        b->cursor = b->extents;
        b->cursor_at = 0;
    }
    while (b->cursor) {
        for (; b->cursor_at < b->cursor->used; b->cursor_at++) {
            const struct extent *x = &b->cursor->extent[b->cursor_at];
            if (n - x->pfn < x->count)
                return x;
        }
        b->cursor = b->cursor->next;
        b->cursor_at = 0;
    }
    BUG(); /* layout() placed something outside the domain */
}

mfn_t bootstrap_mfn(struct bootstrap *b, uint64_t n)
{
    const struct extent *x = extent_of(b, n);
    return mfn(x->mfn + (n - x->pfn));
}

void *bootstrap_page(struct bootstrap *b, uint64_t n)
{
    return mfn_to_virt(bootstrap_mfn(b, n));
}

/* --- contents -------------------------------------------------------------------------------- */

/* Copy @bytes to guest-physical @at, or zero there if @from is NULL. */
static void fill(struct bootstrap *b, uint64_t at, const uint8_t *from, uint64_t bytes)
{
    while (bytes) {
        const struct extent *x = extent_of(b, at >> PAGE_SHIFT);
        uint64_t skip = at - (x->pfn << PAGE_SHIFT);
        uint64_t n = MIN(MIN(bytes, FILL_SPAN), (x->count << PAGE_SHIFT) - skip);
        uint8_t *to = (uint8_t *)mfn_to_virt(mfn(x->mfn)) + skip;

        if (from) {
            memcpy(to, from, n);
            from += n;
        } else {
            memset(to, 0, n);
        }
        at += n;
        bytes -= n;
        preempt_now_and_then(b);
    }
}

static void load_image(struct bootstrap *b)
{
    struct elf_segment s;

    for (unsigned cursor = 0; elf_next_segment(&b->image, &cursor, &s);) {
        fill(b, s.at, s.from, s.bytes);
        fill(b, s.at + s.bytes, NULL, s.zeroes);
        preempt_now_and_then(b);
    }
    if (b->ramdisk_bytes)
        fill(b, b->ramdisk_pfn << PAGE_SHIFT, boot_module_data(b->config->ramdisk),
             b->ramdisk_bytes);
}

/* Both directions of the domain's numbering: its own list, and the machine's table. */
static void number_extent(struct bootstrap *b, const struct extent *x)
{
    for (uint64_t i = 0; i < x->count;) {
        uint64_t at = x->pfn + i, slot = at % PT_ENTRIES, n = MIN(x->count - i, PT_ENTRIES - slot);
        uint64_t *list = (uint64_t *)bootstrap_page(b, b->p2m_pfn + at / PT_ENTRIES) + slot;
        uint64_t *numbers = machine_to_phys + x->mfn + i;

        for (uint64_t k = 0; k < n; k++) {
            list[k] = x->mfn + i + k;
            numbers[k] = at + k;
        }
        i += n;
        preempt_now_and_then(b);
    }
}

static void write_p2m(struct bootstrap *b)
{
    for (const struct extent_page *p = b->extents; p; p = p->next)
        for (uint64_t i = 0; i < p->used; i++)
            number_extent(b, &p->extent[i]);
    uint64_t used = b->pages % PT_ENTRIES;
    if (used) /* a guest that reads on to the end of the page finds "no frame" */
        memset((uint64_t *)bootstrap_page(b, b->p2m_pfn + b->p2m_pages - 1) + used, 0xff,
               (PT_ENTRIES - used) * sizeof(uint64_t));
}

/* --- page tables ----------------------------------------------------------------------------- */

static uint64_t table_new(struct bootstrap *b)
{
    ASSERT(b->next_table < b->table_limit); /* layout() counted them */
    memset(bootstrap_page(b, b->next_table), 0, PAGE_SIZE);
    return b->next_table++;
}

/* The L1 table for @va; tables on the way are made of the reserved frames. */
static uint64_t *l1_table(struct bootstrap *b, uint64_t va)
{
    uint64_t *table = bootstrap_page(b, b->table_pfn);

    for (int level = 4; level > 1; level--) {
        uint64_t *entry = &table[pt_index(va, level)];
        if (!(*entry & PTE_P))
            *entry = pte_make(bootstrap_mfn(b, table_new(b)), TABLE_FLAGS).v;
        table = mfn_to_virt(pte_mfn(pte(*entry)));
    }
    return table;
}

/* Map guest frames [first, first + count) at @va; frames that are page tables read-only. */
static void map_frames(struct bootstrap *b, uint64_t va, uint64_t first, uint64_t count)
{
    uint64_t *l1 = NULL;

    for (uint64_t i = 0; i < count; i++, va += PAGE_SIZE) {
        unsigned slot = pt_index(va, 1);
        if (!l1 || slot == 0) {
            l1 = l1_table(b, va);
            preempt_now_and_then(b);
        }
        bool is_table = first + i - b->table_pfn < b->tables;
        l1[slot] = pte_make(bootstrap_mfn(b, first + i), PAGE_FLAGS & ~(is_table ? PTE_RW : 0)).v;
    }
}

static int build_tables(struct bootstrap *b)
{
    b->next_table = b->table_pfn;
    b->table_limit = b->table_pfn + b->tables;
    (void)table_new(b); /* the L4 */
    map_frames(b, b->image.virt_base, 0, b->mapped);
    if (bootstrap_p2m_apart(b)) {
        b->next_table = b->p2m_tables_pfn;
        b->table_limit = b->p2m_tables_pfn + b->p2m_tables;
        map_frames(b, b->image.p2m_base, b->p2m_pfn, b->p2m_pages);
    }

    mutex_lock(&b->d->mmu);
    int rc = page_table_pin(b->d, b->d, bootstrap_mfn(b, b->table_pfn), 4);
    mutex_unlock(&b->d->mmu);
    return rc;
}

int bootstrap_build(struct bootstrap *b, struct boot_error *e)
{
    const int kernel = b->config->kernel;
    int rc = elf_parse(boot_module_data(kernel), boot_module[kernel].size, &b->image, e);

    if (b->config->ramdisk >= 0)
        b->ramdisk_bytes = boot_module[b->config->ramdisk].size;
    if (!rc)
        rc = layout(b, e);
    if (!rc)
        rc = populate(b, e);
    if (rc)
        return rc;
    load_image(b);
    write_p2m(b);
    rc = build_tables(b);
    return rc ? boot_error(e, FIRST_TABLES_REFUSED, -rc) : 0;
}
