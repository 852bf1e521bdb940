/*
 * Wants: a mapping that says yes to what was never granted, or one that cannot be given back.
 *
 * The granter's entries lie in memory that it writes to while they are judged: frame, domain and flags change on two vCPUs all the
 * time, to page tables, to other domains' frames, to no frame; references change places, the table its version; it ends
 * in the middle of all that and comes back.  An honest mapper maps, copies and unmaps meanwhile.
 *
 * Fails: each word is read once, and what was read is what is judged; a frame is taken as from the granter; what is pinned
 * stays what it was, whatever the entry says.  An honest mapper can always unmap, and sees no secret (the victim's
 * words, domain 1).
 */
#include "attack.h"
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/grant_table.h>

#define GRANTER (DOMAIN_ATTACKER + 0)
#define MAPPER  (DOMAIN_ATTACKER + 1)
#define FIRST   16u /* the first sixteen are where version 2 has its reserved entries */
#define REFS    32u
#define VCPUS   2u

static volatile bool done;

/* --- the granter ------------------------------------------------------------------------------------- */

static volatile grant_entry_v1_t *entries;
static unsigned long frames[6];

static void flip(struct chance *c)
{
    volatile grant_entry_v1_t *e = &entries[FIRST + chance_below(c, REFS)];
    static const uint16_t flags[] = {GTF_permit_access,
                                     GTF_permit_access | GTF_readonly,
                                     GTF_permit_access | GTF_reading,
                                     GTF_permit_access | GTF_writing,
                                     GTF_permit_access | GTF_sub_page,
                                     GTF_accept_transfer,
                                     GTF_transitive,
                                     0};

    switch (chance_below(c, 4)) {
    case 0:
        e->frame = frames[chance_below(c, chance_below(c, 2) ? 2 : 6)] +
                   (chance_below(c, 8) ? 0 : chance_below(c, 5000));
        break;
    case 1:
        e->domid = chance_below(c, 4) ? MAPPER : chance_below(c, 8);
        break;
    default:
        e->flags = flags[chance_below(c, 3) ? 0 : chance_below(c, 8)];
    }
}

static void flip_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done)
        flip(&c);
}

static void change_table(struct chance *c)
{
    struct gnttab_set_version other = {.version = 2}, back = {.version = 1};
    struct gnttab_swap_grant_ref swap = {.ref_a = FIRST + chance_below(c, REFS),
                                         .ref_b = FIRST + chance_below(c, REFS)};
    xen_pfn_t list[4];
    struct gnttab_setup_table more = {
        .dom = DOMID_SELF, .nr_frames = 1 + chance_below(c, 3), .frame_list = {list}};

    switch (chance_below(c, 64)) {
    case 0:
        hypercall_grant_table_op(GNTTABOP_set_version, &other, 1);
        for (unsigned i = 0; i < 20; i++)
            flip(c);
        hypercall_grant_table_op(GNTTABOP_set_version, &back, 1);
        break;
    case 1:
        hypercall_grant_table_op(GNTTABOP_setup_table, &more, 1);
        break;
    default:
        hypercall_grant_table_op(GNTTABOP_swap_grant_ref, &swap, 1);
    }
}

static void be_granter(void)
{
    struct chance c = chance_of(0);
    uint64_t *page = page_alloc();

    entries = grant_entries();
    frames[0] = page_mfn(page);
    frames[1] = page_mfn(page_alloc());
    frames[2] = memory_root_mfn();
    frames[3] = pte_mfn(*memory_entry((unsigned long)page, 2)); /* an L1 table */
    frames[4] = 0;
    frames[5] = 0xffffffff;
    for (unsigned i = 0; i < REFS; i++)
        grant_allow(FIRST + i, MAPPER, frames[i % 2], 0);
    attack_vcpus(VCPUS, flip_all);
    for (unsigned life = 0; attack_goes_on() && life < 300; life++)
        for (unsigned i = 0; i < 30; i++) {
            flip(&c);
            change_table(&c);
        }
    attack_again();
}

/* --- the mapper, which is honest --------------------------------------------------------------------- */

static volatile uint64_t *window[VCPUS], *copies[VCPUS];
static volatile unsigned secrets, stuck;
static volatile unsigned long mapped, refused;

static void use_mapping(struct chance *c, unsigned vcpu)
{
    const uint32_t device = chance_below(c, 2) ? GNTMAP_device_map : 0,
                   flags = GNTMAP_host_map | device | (chance_below(c, 2) ? GNTMAP_readonly : 0);
    struct grant_mapping m =
        grant_map_of(GRANTER, FIRST + chance_below(c, REFS), (uint64_t)window[vcpu], flags);

    if (m.status) {
        refused++;
        return;
    }
    mapped++;
    secrets += is_secret(window[vcpu][chance_below(c, 512)]);
    stuck += grant_unmap(m.handle, (uint64_t)window[vcpu], device ? m.address : 0) != GNTST_okay;
    frame_show((void *)window[vcpu], page_mfn((void *)window[vcpu]), PTE_RW);
}

static void use_copy(struct chance *c, unsigned vcpu)
{
    const bool out = chance_below(c, 2);
    struct gnttab_copy_ptr theirs = {.u.ref = FIRST + chance_below(c, REFS), .domid = GRANTER},
                           ours = {.u.gmfn = page_mfn((void *)copies[vcpu]), .domid = DOMID_SELF};
    struct gnttab_copy op = {.source = out ? ours : theirs,
                             .dest = out ? theirs : ours,
                             .len = 512,
                             .flags = out ? GNTCOPY_dest_gref : GNTCOPY_source_gref};

    hypercall_grant_table_op(GNTTABOP_copy, &op, 1);
    if (op.status)
        refused++;
    else
        secrets += !out && is_secret(copies[vcpu][chance_below(c, 64)]);
}

static void use_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done)
        if (chance_below(&c, 2))
            use_mapping(&c, vcpu);
        else
            use_copy(&c, vcpu);
}

static void be_mapper(void)
{
    struct chance c = chance_of(0);

    for (unsigned i = 0; i < VCPUS; i++) {
        window[i] = page_alloc();
        copies[i] = page_alloc();
    }
    attack_vcpus(VCPUS, use_all);
    while (attack_goes_on())
        for (unsigned i = 0; i < 20; i++) {
            use_mapping(&c, 0);
            use_copy(&c, 0);
        }
    done = true;
    tap_note("%lu mapped, %lu refused", mapped, refused);
    tap_is(secrets, 0, "nothing was seen that nobody granted");
    tap_is(stuck, 0, "what was mapped could be unmapped");
}

void guest_main(void)
{
    attack_begin("grant-flips");
    if (guest_option("role", 0))
        be_mapper();
    else
        be_granter();
}
