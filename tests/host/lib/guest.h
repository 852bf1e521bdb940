/*
 * A PV guest as the tests need it: some frames, page tables that map them all, one or more vCPUs,
 * and hypercalls by C function.
 *
 *   pfn 0  L4      pfn 1  L3      pfn 2  L2      pfn 3...  L1 tables, one for 512 frames      then:
 * free for the test
 *
 * pfn n is mapped at guest_va(n), the tables read-only, all else writable.
 */
#pragma once

#include "hypercall.h"
#include "page-tables.h"
#include "refuse.h"

#define GUEST_VA    0xffff880000000000ull /* L4 slot 272 */
#define GUEST_PAGES 1024u                 /* limit */

struct guest {
    struct domain *d;
    struct vcpu *v; /* vCPU 0 */
    unsigned pages, first_free;
    uint64_t mfn[GUEST_PAGES];
};

/* The machine, and a domain without vCPUs that keeps it from ending with the last guest. */
void world_start(unsigned cpus, uint64_t frames);
/* Make another such domain if a guest with the control role has ended this one. */
void world_keep(void);
/* Ends the test unless audit and TLBs are as they should be. */
void world_check(void);
/* The same, and every frame is back. */
void world_check_empty(void);

/* A started guest; its vCPU n runs on CPU n % cpus.  vCPU 0 is current when this returns. */
void guest_create(struct guest *g, domid_t id, unsigned pages, unsigned vcpus);
/* The same, its vCPU n on CPU @cpu + n. */
void guest_create_at(struct guest *g, domid_t id, unsigned pages, unsigned vcpus, unsigned cpu);
/* Power it off, and let the hypervisor tear it down. */
void guest_destroy(struct guest *g);

static inline uint64_t guest_va(unsigned pfn)
{
    return GUEST_VA + ((uint64_t)pfn << PAGE_SHIFT);
}

static inline mfn_t guest_mfn(const struct guest *g, unsigned pfn)
{
    return mfn(g->mfn[pfn]);
}

static inline uint64_t *guest_page(const struct guest *g, unsigned pfn)
{
    return mfn_to_virt(guest_mfn(g, pfn));
}

static inline struct page_info *guest_info(const struct guest *g, unsigned pfn)
{
    return mfn_to_page(guest_mfn(g, pfn));
}

/* Machine address of entry @slot of the table in frame @pfn; of the L1 entry that maps @pfn. */
static inline uint64_t guest_entry(const struct guest *g, unsigned pfn, unsigned slot)
{
    return mfn_to_maddr(guest_mfn(g, pfn)) + slot * 8ull;
}

static inline uint64_t guest_l1_entry(const struct guest *g, unsigned pfn)
{
    return guest_entry(g, 3 + pfn / PT_ENTRIES, pfn % PT_ENTRIES);
}

#define RW (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define RO (PTE_P | PTE_US | PTE_A)

static inline uint64_t guest_pte(const struct guest *g, unsigned pfn, uint64_t flags)
{
    return pte_make(guest_mfn(g, pfn), flags).v;
}

/* Hypercalls: @v runs (the scheduler lets it), and calls. */
long vcpu_hypercall(struct vcpu *v, unsigned number, uint64_t a, uint64_t b, uint64_t c,
                    uint64_t d);
#define hypercall(g, name, ...) hypercall_((g)->v, __HYPERVISOR_##name, ##__VA_ARGS__, 0, 0, 0, 0)
#define hypercall_(v, number, a, b, c, d, ...) \
    vcpu_hypercall((v), (number), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d))

/* One request of mmu_update: *@ptr (low bits: the command) = @value. */
long guest_mmu_update(struct guest *g, uint64_t ptr, uint64_t value);
/* One operation of mmuext_op. */
long guest_mmuext(struct guest *g, unsigned cmd, uint64_t arg1, uint64_t arg2);
long guest_pin(struct guest *g, unsigned pfn, int level);
long guest_unpin(struct guest *g, unsigned pfn);
/* Change how @pfn is mapped at guest_va(pfn): RW, RO, or 0 for not at all. */
long guest_protect(struct guest *g, unsigned pfn, uint64_t flags);

/* A hypercall whose argument is a structure: @arg is copied in, and out again. */
long guest_op(struct vcpu *v, unsigned number, unsigned cmd, void *arg, size_t size);

/* The rule of the newest refusal since the last hypercall of @v began; RULE_NONE if there was none.
 */
enum rule_id last_rule(const struct vcpu *v);

/* --- all counts of all frames, to prove that a refused operation changed nothing --- */
struct page_info *frames_snapshot(void);
/* How many frames differ from @before in owner, counts, flags, or role if somebody holds it; each
 * printed.  Frees @before. */
unsigned frames_differ(struct page_info *before);

/* --- numbers that repeat --- */
struct random {
    uint64_t state;
};
/* Seeded by the environment's PARAVANE_SEED, or @otherwise. */
struct random random_start(uint64_t otherwise);
uint64_t random_next(struct random *r);
static inline unsigned random_below(struct random *r, unsigned limit)
{
    return (unsigned)(random_next(r) >> 16) % limit;
}
/* Steps of a long random test: @normal, times PARAVANE_SOAK if that is set. */
unsigned soak(unsigned normal);
