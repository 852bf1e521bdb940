/*
 * TLBs as adversaries: each CPU remembers every translation that it could have seen since its last
 * flush.
 *
 * Hardware may cache any translation reachable from CR3 at any moment, and the tables on the way
 * (paging-structure caches), and keeps them until told otherwise.  machine_tlb_fill() takes the
 * worst case: everything reachable now is remembered.  A test that fills after each step and then
 * finds no violation has shown that no CPU, however eager, could have used a translation that it
 * must not.
 */
#include "arch.h"
#include "tlb.h"

#define KNOWN 16384u /* slots of one CPU's set; a power of two */

/* One remembered translation (level 0) or table (its level in the walk). */
struct known {
    uint64_t key; /* mfn << 8 | level << 1 | writable, + 1; 0: free slot */
    uint64_t va;  /* level 0: of which page; else one address that led there */
    uint16_t owner;
    uint8_t type; /* the table's role when it was seen */
};

static struct known_set {
    struct known slot[KNOWN];
    uint32_t used[KNOWN / 2]; /* which slots, in order of appearance */
    uint32_t count;
} set[MACHINE_CPUS];

static uint64_t key_of(uint64_t frame, unsigned level, bool writable)
{
    return (frame << 8 | level << 1 | writable) + 1;
}

static unsigned level_of(uint64_t key)
{
    return (unsigned)((key - 1) >> 1 & 127);
}

/* Where (@key, @va) is, or a free slot. */
static struct known *slot_of(struct known_set *s, uint64_t key, uint64_t va)
{
    bool leaf = level_of(key) == 0;
    uint32_t i = (uint32_t)((key ^ (leaf ? va << 8 : 0)) * 0x9e3779b97f4a7c15ull >> 40);
    for (;; i++) {
        struct known *k = &s->slot[i % KNOWN];
        if (!k->key || (k->key == key && (!leaf || k->va == va)))
            return k;
    }
}

static void insert(struct known_set *s, struct known *at, const struct known *what)
{
    ASSERT(s->count < KNOWN / 2);
    s->used[s->count++] = (uint32_t)(at - s->slot);
    *at = *what;
}

static bool remember(struct known_set *s, uint64_t frame, unsigned level, bool writable,
                     uint64_t va)
{
    uint64_t key = key_of(frame, level, writable);
    struct known *k = slot_of(s, key, va);
    if (k->key)
        return false;
    const struct page_info *pg = mfn_to_page(mfn(frame));
    insert(s, k, &(struct known){key, va, pg->owner, (uint8_t)page_state_type(pg->state)});
    return true;
}

/* Empty @s; what it held goes to @out (KNOWN / 2 places) if that is not NULL.  How many. */
static uint32_t empty(struct known_set *s, struct known *out)
{
    uint32_t count = s->count;

    for (uint32_t i = 0; i < count; i++) {
        struct known *k = &s->slot[s->used[i]];
        if (out)
            out[i] = *k;
        k->key = 0;
    }
    s->count = 0;
    return count;
}

/* Everything below @table, a table that the walk meets at @level.  A table met again at the same
 * level with the same rights has been seen. */
static void fill_table(struct known_set *s, uint64_t table, int level, bool writable, uint64_t va)
{
    if (!remember(s, table, (unsigned)level, writable, va))
        return;
    const uint64_t *entry = mfn_to_virt(mfn(table));
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        pte_t e = pte(entry[i]);
        mfn_t m = pte_mfn(e);
        if (!pte_present(e) ||
            (level == 4 && i >= HYPERVISOR_SLOT_FIRST && i <= HYPERVISOR_SLOT_LAST))
            continue;
        if (!mfn_valid(m) || mfn_to_page(m)->owner == OWNER_IO)
            continue;
        bool w = writable && (e.v & PTE_RW);
        uint64_t at = va | (uint64_t)i << (PAGE_SHIFT + 9 * (level - 1));
        if (level > 1)
            fill_table(s, m.n, level - 1, w, at);
        else
            (void)remember(s, m.n, 0, w, at);
    }
}

void machine_tlb_fill(unsigned cpu)
{
    static struct known old[KNOWN / 2];
    struct known_set *s = &set[cpu];

    if (!machine.cpu[cpu].root)
        return;
    /* fill_table() stops at tables that are in the set: start from an empty one.  A table that was
     * known before goes on being walked, whether anything leads there still or not; and what was
     * known is remembered as it was when it was seen first. */
    uint32_t count = empty(s, old);
    fill_table(s, machine.cpu[cpu].root >> PAGE_SHIFT, 4, true, 0);
    for (uint32_t i = 0; i < count; i++)
        if (level_of(old[i].key))
            fill_table(s, (old[i].key - 1) >> 8, (int)level_of(old[i].key), (old[i].key - 1) & 1,
                       old[i].va);
    for (uint32_t i = 0; i < count; i++) {
        struct known *k = slot_of(s, old[i].key, old[i].va);
        if (k->key)
            *k = old[i];
        else
            insert(s, k, &old[i]);
    }
}

void machine_tlb_fill_all(void)
{
    for (unsigned cpu = 0; cpu < machine.cpus; cpu++)
        machine_tlb_fill(cpu);
}

bool machine_tlb_knows(unsigned cpu, mfn_t m, bool writable)
{
    for (uint32_t i = 0; i < set[cpu].count; i++) {
        uint64_t key = set[cpu].slot[set[cpu].used[i]].key;
        if (key == key_of(m.n, 0, true) || (!writable && key == key_of(m.n, 0, false)))
            return true;
    }
    return false;
}

static bool is_protected_role(uint64_t state)
{
    enum page_type type = page_state_type(state);
    return page_state_count(state) && type >= PAGE_TYPE_L1 && type <= PAGE_TYPE_SEG;
}

static const char *violation(const struct known *k)
{
    uint64_t frame = (k->key - 1) >> 8;
    unsigned level = level_of(k->key);
    bool writable = (k->key - 1) & 1;
    const struct page_info *pg = mfn_to_page(mfn(frame));

    if (pg->owner != k->owner)
        return "frame has another owner by now";
    if (level == 0)
        return writable && is_protected_role(pg->state)
                   ? "writable translation to a protected frame"
                   : NULL;
    /* A cached table: dangerous once somebody could write entries into it. */
    if (page_state_count(pg->state) && page_state_type(pg->state) != k->type)
        return "cached table has another role by now";
    return NULL;
}

unsigned machine_tlb_check(void)
{
    unsigned bad = 0;

    for (unsigned cpu = 0; cpu < machine.cpus; cpu++) {
        for (uint32_t i = 0; i < set[cpu].count; i++) {
            const struct known *k = &set[cpu].slot[set[cpu].used[i]];
            const char *what = violation(k);
            if (!what)
                continue;
            bad++;
            fprintf(
                stderr,
                "I6: CPU %u, frame %lx (level %lu, owner was %u, is %u, state %lx, stamp %u): %s\n",
                cpu, (unsigned long)((k->key - 1) >> 8), (unsigned long)level_of(k->key), k->owner,
                mfn_to_page(mfn((k->key - 1) >> 8))->owner,
                (unsigned long)mfn_to_page(mfn((k->key - 1) >> 8))->state,
                mfn_to_page(mfn((k->key - 1) >> 8))->stamp, what);
        }
    }
    return bad;
}

/* --- flushes, arch.h
 * ------------------------------------------------------------------------------------- */

static void flush_cpu(unsigned cpu)
{
    const uint32_t began = tlb_flush_begin();

    (void)empty(&set[cpu], NULL);
    machine.cpu[cpu].flushes++;
    tlb_flush_end(cpu, began);
}

/* INVLPG: the page, and all cached tables.  We know one address of each translation only: forget
 * the translation if it is that one. */
static void flush_page(unsigned cpu, uint64_t va)
{
    static struct known old[KNOWN / 2];
    struct known_set *s = &set[cpu];

    machine.cpu[cpu].page_flushes++;
    uint32_t count = empty(s, old);
    for (uint32_t i = 0; i < count; i++)
        if (level_of(old[i].key) == 0 && old[i].va != (va & 0x0000fffffffff000ull))
            insert(s, slot_of(s, old[i].key, old[i].va), &old[i]);
}

void arch_tlb_flush_local(void)
{
    flush_cpu(machine_cpu);
}

void arch_tlb_invlpg_local(uint64_t va)
{
    flush_page(machine_cpu, va);
}

void arch_tlb_flush(uint64_t cpus, bool all, uint64_t va)
{
    for (cpus &= arch_cpus_online(); cpus; cpus &= cpus - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(cpus);
        if (all)
            flush_cpu(cpu);
        else
            flush_page(cpu, va);
    }
}
