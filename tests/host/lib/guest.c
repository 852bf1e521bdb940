/* See guest.h. */
#include "guest.h"
#include "arch.h"
#include "lib.h"
#include "sched.h"

#define fail(...) (fprintf(stderr, __VA_ARGS__), fprintf(stderr, "\n"), abort())

static domid_t keeper;
static uint64_t free_at_start;

static void keeper_create(domid_t id)
{
    struct domain *d = domain_create(id, "keeper", 1);

    if (!d)
        fail("no memory for the keeper");
    domain_start(d);
    keeper = id;
}

void world_start(unsigned cpus, uint64_t frames)
{
    machine_start(cpus, frames);
    keeper_create(1000);
    free_at_start = page_free_count();
}

void world_keep(void)
{
    struct domain *d = domain_get_owner(keeper);
    const bool ended = !d || d->shut_down;

    if (d)
        domain_put(d);
    if (ended)
        keeper_create(keeper == 1000 ? 1001 : 1000);
}

void world_check(void)
{
    machine_log_clear();
    unsigned wrong = page_audit();
    if (wrong)
        fail("page_audit() finds %u differences:\n%s", wrong, machine.log);
    if (machine_tlb_check())
        fail("stale translations (invariant I6)");
}

void world_check_empty(void)
{
    world_check();
    if (page_free_count() != free_at_start)
        fail("%ld frames are lost", (long)(free_at_start - page_free_count()));
}

/* --- building
 * --------------------------------------------------------------------------------------------- */

static void build_tables(struct guest *g)
{
    unsigned l1_tables = (g->pages + PT_ENTRIES - 1) / PT_ENTRIES;

    g->first_free = 3 + l1_tables;
    guest_page(g, 0)[pt_index(GUEST_VA, 4)] = guest_pte(g, 1, RW);
    guest_page(g, 1)[pt_index(GUEST_VA, 3)] = guest_pte(g, 2, RW);
    for (unsigned i = 0; i < l1_tables; i++)
        guest_page(g, 2)[pt_index(GUEST_VA, 2) + i] = guest_pte(g, 3 + i, RW);
    for (unsigned i = 0; i < g->pages; i++)
        guest_page(g, 3 + i / PT_ENTRIES)[i % PT_ENTRIES] =
            guest_pte(g, i, i < g->first_free ? RO : RW);
}

static void start_vcpus(struct guest *g, unsigned vcpus, unsigned cpu)
{
    for (unsigned i = 0; i < vcpus; i++) {
        struct vcpu *v = vcpu_create(g->d, i);
        if (!v || vcpu_load_root(v, guest_mfn(g, 0)))
            fail("vCPU %u cannot be made", i);
        v->initialised = 1;
        v->cpu = (uint16_t)((cpu + i) % machine.cpus);
        vcpu_set_affinity(v, BIT(v->cpu));
    }
    domain_start(g->d);
    for (unsigned i = 0; i < vcpus; i++)
        vcpu_unpause(g->d->vcpu[i], PAUSE_DOWN);
    for (unsigned i = vcpus; i-- > 0;)
        machine_enter(g->d->vcpu[i]);
    g->v = g->d->vcpu[0];
}

void guest_create(struct guest *g, domid_t id, unsigned pages, unsigned vcpus)
{
    guest_create_at(g, id, pages, vcpus, 0);
}

void guest_create_at(struct guest *g, domid_t id, unsigned pages, unsigned vcpus, unsigned cpu)
{
    char name[16];

    ASSERT(pages <= GUEST_PAGES);
    snprintf(name, sizeof(name), "guest%u", id);
    *g = (struct guest){.pages = pages, .d = domain_create(id, name, vcpus)};
    if (!g->d)
        fail("domain %u cannot be created", id);
    g->d->max_pages = pages + 16;
    for (unsigned i = 0; i < pages; i++) {
        struct page_info *pg = page_alloc_for(g->d, 0);
        if (!pg)
            fail("no memory for frame %u of domain %u", i, id);
        g->mfn[i] = page_to_mfn(pg).n;
        memset(guest_page(g, i), 0, PAGE_SIZE);
        machine_to_phys[g->mfn[i]] = i;
    }
    build_tables(g);
    mutex_lock(&g->d->mmu);
    int rc = page_table_pin(g->d, g->d, guest_mfn(g, 0), 4);
    mutex_unlock(&g->d->mmu);
    if (rc)
        fail("the first page tables cannot be pinned: %d", rc);
    start_vcpus(g, vcpus, cpu);
}

void guest_destroy(struct guest *g)
{
    domid_t id = g->d->id;

    domain_shutdown(g->d, SHUTDOWN_poweroff);
    for (unsigned cpu = machine.cpus; cpu-- > 0;) {
        machine_on_cpu(cpu);
        schedule(); /* its vCPUs stop */
    }
    machine_run_work();
    struct domain *d = domain_get_owner(id);
    if (d)
        fail("domain %u is still there: %u frames", id, d->tot_pages);
}

/* --- hypercalls
 * -------------------------------------------------------------------------------------------- */

long vcpu_hypercall(struct vcpu *v, unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct hypercall_args args = {{a, b, c, d}};

    machine_enter(v);
    return hypercall_dispatch(v, number, &args);
}

/* Where in the window, for each CPU: far enough apart for a page of requests each. */
#define AT_CPU(v)     ((v)->cpu * (WINDOW_BYTES / MACHINE_CPUS))
#define AT_REQUEST(v) (AT_CPU(v) + 0x1000u)
#define AT_OP(v)      (AT_CPU(v) + 0x3000u)

long guest_mmu_update(struct guest *g, uint64_t ptr, uint64_t value)
{
    mmu_update_t request = {ptr, value};
    return hypercall(g, mmu_update, machine_put(AT_REQUEST(g->v), &request, sizeof(request)).va, 1,
                     0, DOMID_SELF);
}

long guest_mmuext(struct guest *g, unsigned cmd, uint64_t arg1, uint64_t arg2)
{
    struct mmuext_op op = {.cmd = cmd};

    op.arg1.mfn = arg1;
    memcpy(&op.arg2, &arg2, sizeof(op.arg2));
    return hypercall(g, mmuext_op, machine_put(AT_REQUEST(g->v), &op, sizeof(op)).va, 1, 0,
                     DOMID_SELF);
}

long guest_pin(struct guest *g, unsigned pfn, int level)
{
    return guest_mmuext(g, MMUEXT_PIN_L1_TABLE + (unsigned)level - 1, g->mfn[pfn], 0);
}

long guest_unpin(struct guest *g, unsigned pfn)
{
    return guest_mmuext(g, MMUEXT_UNPIN_TABLE, g->mfn[pfn], 0);
}

long guest_protect(struct guest *g, unsigned pfn, uint64_t flags)
{
    return guest_mmu_update(g, guest_l1_entry(g, pfn), flags ? guest_pte(g, pfn, flags) : 0);
}

long guest_op(struct vcpu *v, unsigned number, unsigned cmd, void *arg, size_t size)
{
    guest_ptr_t at = machine_put(AT_OP(v), arg, size);
    long rc = vcpu_hypercall(v, number, cmd, at.va, 0, 0);

    machine_get(arg, AT_OP(v), size);
    return rc;
}

enum rule_id last_rule(const struct vcpu *v)
{
    for (unsigned age = 1; age <= TRACE_SLOTS; age++) {
        const struct trace_record *r = trace_past(&v->trace, age);
        if (r->kind == TRACE_REFUSAL)
            return (enum rule_id)r->what;
        if (r->kind == TRACE_HYPERCALL)
            break;
    }
    return RULE_NONE;
}

/* --- snapshots
 * --------------------------------------------------------------------------------------------- */

struct page_info *frames_snapshot(void)
{
    struct page_info *copy = malloc(max_mfn * sizeof(*copy));
    memcpy(copy, frame_table, max_mfn * sizeof(*copy));
    return copy;
}

/* What counts of a frame's state: the role is a mere memory while nobody holds it, and free memory
 * is the allocator's own affair. */
static uint64_t state_that_counts(const struct page_info *pg)
{
    if (pg->owner == OWNER_NONE)
        return 0;
    return page_state_count(pg->state) ? pg->state : pg->state & ~PAGE_TYPE_MASK;
}

unsigned frames_differ(struct page_info *before)
{
    unsigned count = 0;

    for (uint64_t i = 0; i < max_mfn; i++) {
        const struct page_info *a = &before[i], *b = &frame_table[i];
        if (state_that_counts(a) == state_that_counts(b) && a->owner == b->owner &&
            (a->linear == b->linear || a->owner == OWNER_NONE))
            continue;
        count++;
        fprintf(stderr, "frame %lx: state %lx was %lx, owner %u was %u, linear %d was %d\n",
                (unsigned long)i, (unsigned long)b->state, (unsigned long)a->state, b->owner,
                a->owner, b->linear, a->linear);
    }
    free(before);
    return count;
}

/* --- random numbers
 * ------------------------------------------------------------------------------------------ */

struct random random_start(uint64_t otherwise)
{
    const char *s = getenv("PARAVANE_SEED");
    return (struct random){s ? strtoul(s, NULL, 0) : otherwise};
}

/* splitmix64: any seed is good. */
uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

unsigned soak(unsigned normal)
{
    const char *s = getenv("PARAVANE_SOAK");
    return s ? normal * (unsigned)strtoul(s, NULL, 0) : normal;
}
