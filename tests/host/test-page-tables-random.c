/*
 * Page tables under fire: two guests do thousands of random operations, mostly nearly right ones,
 * and after each the audit recounts every reference and no CPU may know a dangerous translation.
 *
 * The guests never ask for flushes, and every CPU remembers after each step whatever it could have
 * seen.  The second guest is the first one's controller: it maps the other's frames.  Change the
 * seed with PARAVANE_SEED, the length with PARAVANE_SOAK (a factor).
 */
#include "suite.h"

#define FRAMES 40u /* frames that operations choose from: few, so that they collide */
#define FIRST  16u

static struct guest a, b;

struct fuzz {
    struct random r;
    uint64_t done, refused;
    unsigned held; /* descriptor tables */
};

static unsigned some_frame(struct fuzz *f)
{
    /* Now and then one of the tables that the guest runs on. */
    return random_below(&f->r, 12) ? FIRST + random_below(&f->r, FRAMES) : random_below(&f->r, 4);
}

static uint64_t some_mfn(struct fuzz *f, const struct guest *g)
{
    unsigned kind = random_below(&f->r, 40);
    if (kind == 0)
        return machine.hole_first + random_below(&f->r, 4);
    if (kind == 1)
        return random_below(&f->r, (unsigned)max_mfn + 16);
    if (kind < 5)
        g = g == &a ? &b : &a;
    return g->mfn[some_frame(f)];
}

/* Slots that matter: a few low ones, the hypervisor's, the guest's own. */
static unsigned some_slot(struct fuzz *f)
{
    static const uint16_t slot[] = {0, 1, 2, 3, 4, 5, 255, 256, 271, 272, 273, 300, 511};
    return slot[random_below(&f->r, ARRAY_SIZE(slot))];
}

static uint64_t some_entry(struct fuzz *f, const struct guest *g)
{
    uint64_t flags = PTE_P | PTE_US;

    if (random_below(&f->r, 10) == 0)
        return 0;
    if (random_below(&f->r, 3))
        flags |= PTE_RW;
    if (random_below(&f->r, 8) == 0)
        flags ^= random_next(&f->r) & (PTE_AVAIL | PTE_US | PTE_A | PTE_D | PTE_NX | PTE_G);
    if (random_below(&f->r, 30) == 0)
        flags ^= random_next(&f->r) & (PTE_PSE | PTE_PWT | PTE_PCD | PTE_P);
    return pte_make(mfn(some_mfn(f, g)), flags).v;
}

static long op_entry(struct fuzz *f, struct guest *g)
{
    unsigned pfn = some_frame(f);
    static const uint8_t command[] = {0, 0, 0, MMU_PT_UPDATE_PRESERVE_AD, MMU_MACHPHYS_UPDATE, 7};
    unsigned c = command[random_below(&f->r, ARRAY_SIZE(command))];

    return guest_mmu_update(g, guest_entry(g, pfn, some_slot(f)) | c, some_entry(f, g));
}

/* The guest's kernel makes a table by the book, sort of: fill the page, map it read-only. (Whatever
 * frame it is that the address maps by now.) */
static long op_prepare(struct fuzz *f, struct guest *g)
{
    unsigned pfn = FIRST + random_below(&f->r, FRAMES), entries = random_below(&f->r, 6);
    uint64_t zero[PT_ENTRIES] = {0};

    if (guest_write(guest_ptr(guest_va(pfn)), zero, sizeof(zero)))
        return guest_protect(g, pfn, random_below(&f->r, 2) ? RW : RO);
    for (unsigned i = 0; i < entries; i++)
        if (guest_write_u64(guest_ptr(guest_va(pfn) + some_slot(f) * 8ull), some_entry(f, g)))
            return -1;
    return guest_protect(g, pfn, RO);
}

static long op_protect(struct fuzz *f, struct guest *g)
{
    static const uint64_t flags[] = {0, RO, RW};
    return guest_protect(g, some_frame(f), flags[random_below(&f->r, 3)]);
}

static long op_va(struct fuzz *f, struct guest *g)
{
    uint64_t va = guest_va(random_below(&f->r, 96));
    if (random_below(&f->r, 4) == 0) /* wherever else the tables lead by now */
        va = (uint64_t)((int64_t)((uint64_t)some_slot(f) << 39 << 16) >> 16) |
             (uint64_t)some_slot(f) << 30 | (uint64_t)some_slot(f) << 21 |
             (uint64_t)some_slot(f) << 12;
    return hypercall(g, update_va_mapping, va, some_entry(f, g), 0);
}

static long op_mmuext(struct fuzz *f, struct guest *g)
{
    static const uint8_t cmd[] = {
        MMUEXT_PIN_L1_TABLE,     MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,    MMUEXT_PIN_L2_TABLE,
        MMUEXT_PIN_L3_TABLE,     MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE,     MMUEXT_UNPIN_TABLE,
        MMUEXT_UNPIN_TABLE,      MMUEXT_UNPIN_TABLE,  MMUEXT_NEW_BASEPTR,     MMUEXT_COPY_PAGE,
        MMUEXT_NEW_USER_BASEPTR, MMUEXT_CLEAR_PAGE,   MMUEXT_NEW_USER_BASEPTR};
    unsigned c = cmd[random_below(&f->r, ARRAY_SIZE(cmd))];
    uint64_t m = some_mfn(f, g);

    if (c == MMUEXT_NEW_USER_BASEPTR && random_below(&f->r, 4) == 0)
        m = 0;
    return guest_mmuext(g, c, m, some_mfn(f, g));
}

/* Back to the first tables, or the guest ends up in a desert. */
static long op_home(struct fuzz *f, struct guest *g)
{
    return guest_mmuext(g, MMUEXT_NEW_BASEPTR, g->mfn[0], 0);
}

static long op_foreign(struct fuzz *f, struct guest *g)
{
    mmu_update_t r = {guest_entry(&b, some_frame(f), some_slot(f)), some_entry(f, &a)};
    return hypercall(&b, mmu_update, machine_put(0x8000, &r, sizeof(r)).va, 1, 0, 1);
}

static long op_segment(struct fuzz *f, struct guest *g)
{
    if (g->v->arch.segment_frames > 2) {
        machine_release_segments(g->v);
        return 0;
    }
    return machine_hold_segment(g->v, guest_mfn(g, some_frame(f)));
}

/* The guest gives a frame away and gets another one in its place. */
static long op_balloon(struct fuzz *f, struct guest *g)
{
    unsigned pfn = FIRST + random_below(&f->r, FRAMES);
    struct page_info *pg = guest_info(g, pfn), *fresh;

    if (!page_get(pg, g->d))
        return -1;
    page_release(g->d, pg);
    page_put(pg);
    g->d->max_pages = g->d->tot_pages + 4; /* frames that are still mapped somewhere linger */
    fresh = page_alloc_for(g->d, 0);
    if (!fresh)
        return -1;
    g->mfn[pfn] = page_to_mfn(fresh).n;
    return 0;
}

static long op_flush(struct fuzz *f, struct guest *g)
{
    return guest_mmuext(g, MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

static long op_other_vcpu(struct fuzz *f, struct guest *g)
{
    struct vcpu *v = g->d->vcpu[1];
    struct mmuext_op op = {.cmd = MMUEXT_NEW_BASEPTR,
                           .arg1.mfn = random_below(&f->r, 2) ? g->mfn[0] : some_mfn(f, g)};

    return vcpu_hypercall(v, __HYPERVISOR_mmuext_op, machine_put(0x8000, &op, sizeof(op)).va, 1, 0,
                          DOMID_SELF);
}

static void run(uint64_t seed, unsigned steps)
{
    static long (*const op[])(struct fuzz *, struct guest *) = {
        op_entry,   op_entry,   op_entry,  op_entry,     op_prepare, op_prepare,
        op_prepare, op_protect, op_va,     op_va,        op_mmuext,  op_mmuext,
        op_mmuext,  op_mmuext,  op_mmuext, op_home,      op_home,    op_foreign,
        op_segment, op_balloon, op_flush,  op_other_vcpu};
    struct fuzz f = {.r = random_start(seed)};

    for (unsigned step = 0; step < steps; step++) {
        struct guest *g = random_below(&f.r, 4) ? &a : &b;
        unsigned which = random_below(&f.r, ARRAY_SIZE(op));
        machine_enter(g->v);
        long rc = op[which](&f, g);
        rc ? f.refused++ : f.done++;
        machine_tlb_fill_all();
        machine_log_clear();
        unsigned wrong = page_audit();
        cr_assert(wrong == 0, "seed %lu, step %u (operation %u): %s", (unsigned long)seed, step,
                  which, machine.log);
        wrong = machine_tlb_check();
        cr_assert(wrong == 0, "seed %lu, step %u (operation %u): stale translations",
                  (unsigned long)seed, step, which);
    }
    cr_log_info("seed %lu: %lu done, %lu refused", (unsigned long)seed, (unsigned long)f.done,
                (unsigned long)f.refused);
    cr_assert(f.done > steps / 10 && f.refused > steps / 10,
              "%lu done, %lu refused: not much of a test", (unsigned long)f.done,
              (unsigned long)f.refused);
}

static void start(void)
{
    world_start(2, 1024);
    guest_create(&a, 1, 96, 2);
    guest_create(&b, 2, 96, 2);
    b.d->roles = ROLE_CONTROL;
}

/* Whatever mess they have made, both can be torn down, in either order, and every frame comes back.
 */
static void finish(void)
{
    guest_destroy(&b);
    world_check();
    guest_destroy(&a);
    world_check_empty();
}

TestSuite(page_tables_random, .init = start, .fini = finish);

#define SEED(n)                        \
    Test(page_tables_random, seed_##n) \
    {                                  \
        run(n, soak(2500));            \
    }
SEED(1)
SEED(2)
SEED(3)
SEED(4)
SEED(5)
SEED(6)
