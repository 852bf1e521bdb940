/* See frame-ops.h. */
#include "frame-ops.h"
#include "arch.h"
#include "lib.h"

#include <xen/memory.h>

struct guest one[2], two, boss;
uint64_t frame;
struct actor first = {&one[0], SCRATCH}, second = {&one[1], SCRATCH + 1}, other = {&two, SCRATCH},
             control = {&boss, SCRATCH};

static uint64_t slot_entry(const struct actor *a)
{
    return guest_entry(a->g, 3, a->slot);
}

static long request(struct guest *g, uint64_t ptr, uint64_t value, uint32_t foreign)
{
    mmu_update_t r = {ptr, value};
    return hypercall(g, mmu_update, machine_put(g->v->cpu * 0x8000u + 0x1000u, &r, sizeof(r)).va, 1,
                     0, foreign);
}

long map_ro(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RO).v, DOMID_SELF);
}

long map_rw(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RW).v, DOMID_SELF);
}

long unmap(struct actor *a)
{
    return request(a->g, slot_entry(a), 0, DOMID_SELF);
}

long foreign_map_ro(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RO).v, 1);
}

long foreign_map_rw(struct actor *a)
{
    return request(a->g, slot_entry(a), pte_make(mfn(frame), RW).v, 1);
}

long pin(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_PIN_L1_TABLE, frame, 0);
}

long pin_upper(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_PIN_L2_TABLE, a->g->mfn[UPPER], 0);
}

long unpin(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_UNPIN_TABLE, frame, 0);
}

long clear(struct actor *a)
{
    return guest_mmuext(a->g, MMUEXT_CLEAR_PAGE, frame, 0);
}

long machphys(struct actor *a)
{
    return request(a->g, frame << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF);
}

/* As an entry of a table, or as plain bytes. */
long write_entry(struct actor *a)
{
    return request(a->g, frame << PAGE_SHIFT | 5 * 8, guest_pte(a->g, 10, RO), DOMID_SELF);
}

long descriptors(struct actor *a)
{
    return machine_hold_segment(a->g->v, mfn(frame));
}

static long reservation(struct guest *g, unsigned cmd, uint64_t *list, domid_t who)
{
    const unsigned at = g->v->cpu * 0x8000u + 0x5000u;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = who};

    r.extent_start.p = (void *)machine_put(at, list, sizeof(*list)).va;
    long done = guest_op(g->v, __HYPERVISOR_memory_op, cmd, &r, sizeof(r));
    machine_get(list, at, sizeof(*list));
    return done;
}

long decrease(struct actor *a)
{
    uint64_t list = frame;
    return reservation(a->g, XENMEM_decrease_reservation, &list, DOMID_SELF);
}

long foreign_decrease(struct actor *a)
{
    uint64_t list = frame;
    return reservation(a->g, XENMEM_decrease_reservation, &list, 1);
}

long populate_at(struct guest *g, uint64_t *list)
{
    return reservation(g, XENMEM_populate_physmap, list, DOMID_SELF);
}

long populate(struct actor *a)
{
    uint64_t list = 60 + a->slot;
    return populate_at(a->g, &list);
}

long exchange(struct actor *a)
{
    const unsigned at = a->g->v->cpu * 0x8000u + 0x5000u;
    struct xen_memory_exchange e = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .domid = DOMID_SELF}};
    const uint64_t pfn = 61;

    e.in.extent_start.p = (void *)machine_put(at, &frame, 8).va;
    e.out.extent_start.p = (void *)machine_put(at + 8, &pfn, 8).va;
    return guest_op(a->g->v, __HYPERVISOR_memory_op, XENMEM_exchange, &e, sizeof(e));
}

long foreign_populate(struct actor *a)
{
    uint64_t list = 93;
    return reservation(a->g, XENMEM_populate_physmap, &list, 1);
}

long foreign_machphys(struct actor *a)
{
    return request(a->g, frame << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 78, 1);
}

long foreign_pin(struct actor *a)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE};

    op.arg1.mfn = frame;
    return hypercall(a->g, mmuext_op,
                     machine_put(a->g->v->cpu * 0x8000u + 0x1000u, &op, sizeof(op)).va, 1, 0, 1);
}

/* A step of the preparation that has to work. */
static void must(long rc, long want)
{
    if (rc == want)
        return;
    fprintf(stderr, "frame-ops: a preparation gives %ld\n", rc);
    abort();
}

void frame_tidy(struct guest *g)
{
    for (unsigned i = 0; i < 4; i++)
        must(request(g, guest_entry(g, 3, SCRATCH + i), 0, DOMID_SELF), 0);
    for_each_vcpu(g->d, v)
        machine_release_segments(v);
    for (uint64_t f = 0; f < max_mfn; f++) {
        struct page_info *pg = mfn_to_page(mfn(f));
        if (pg->owner != g->d->id || f == g->mfn[0])
            continue;
        if (pg->state & PAGE_PINNED)
            must(guest_mmuext(g, MMUEXT_UNPIN_TABLE, f, 0), 0);
    }
    for (uint64_t f = 0; f < max_mfn; f++) {
        bool begun_with =
            mfn_to_page(mfn(f))->owner != g->d->id || (mfn_to_page(mfn(f))->state & PAGE_SHARED);
        for (unsigned i = 0; i < PAGES - (g == one); i++)
            begun_with |= g->mfn[i] == f;
        if (!begun_with)
            must(reservation(g, XENMEM_decrease_reservation, &f, DOMID_SELF), 1);
    }
}

void frame_others_create(void)
{
    guest_create_at(&two, 2, PAGES, 1, CPU_FIRST + 2);
    guest_create_at(&boss, 3, PAGES, 1, CPU_FIRST + 3);
    boss.d->roles |= ROLE_CONTROL;
}

void frame_one_create(void)
{
    guest_create_at(one, 1, PAGES, 2, CPU_FIRST);
    one[1] = one[0];
    one[1].v = one->d->vcpu[1];
    /* UPPER is not mapped writable, so it can be a table; FRAME is made anew. */
    must(guest_protect(one, UPPER, 0), 0);
    must(guest_protect(one, FRAME, 0), 0);
    frame_tidy(one);
}
