/*
 * Does a physical CPU ever walk an L4 table that its domain may write?
 *
 * vCPU 0 switches between two L4 tables, sleeping in between, so that it comes from CPU to CPU.  The table that it has
 * left has no reference any more: it is mapped writable, the A bits of the hypervisor's sixteen entries in it are cleared, and it
 * is watched.  An A bit that comes back was set by a CPU whose CR3 still names that table: this guest could now give that CPU
 * page tables of its own choice, in ring 0.
 *
 * It went wrong where an idle CPU kept the root of whoever ran last.  So there should be much idling, and work for the
 * hypervisor that is not done in a guest's name: a neighbour that is built anew all the time (tests/boot/test-roots.sh).
 *
 *   for=MS of system time (default 1000)   others=N vCPUs that come and go (default 4)   seed=N
 */
#include "guest.h"
#include "clock.h"
#include "memory.h"
#include "tap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

/* long enough for a CPU that idles to be asked to flush, short enough for many rounds */
#define PAUSE_US 150
#define NAP_US   550

static volatile bool done;

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

static void spin_us(unsigned long us)
{
    const uint64_t end = clock_ns() + us * 1000;

    while (clock_ns() < end)
        __asm__ volatile("pause");
}

static void nap(uint32_t *seed)
{
    struct sched_poll poll = {.timeout = clock_ns() + random_next(seed) % (NAP_US * 1000)};

    hypercall_sched_op(SCHEDOP_poll, &poll);
}

/* Makes vCPU 0 change its CPU; touches no page table. */
static void mixer(void *id)
{
    uint32_t seed = 5 + 991 * (uint32_t)(unsigned long)id;

    while (!done) {
        spin_us(PAUSE_US + random_next(&seed) % 300);
        nap(&seed);
    }
    for (;;)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

/* How many of the hypervisor's entries of @root did somebody walk?  It is ours, writable, and nobody's table. */
static unsigned count_walked(volatile uint64_t *root)
{
    unsigned walked = 0;

    for (unsigned i = 256; i < 272; i++)
        root[i] &= ~PTE_A;
    spin_us(PAUSE_US);
    for (unsigned i = 256; i < 272; i++)
        walked += (root[i] & PTE_A) != 0;
    return walked;
}

static bool must(long rc, const char *what)
{
    if (rc)
        tap_note("%s: %ld", what, rc);
    return rc == 0;
}

/* Our own mapping of @page.  No other CPU is asked to flush: that would make it leave an old root. */
static long protect(void *page, uint64_t flags)
{
    return hypercall_update_va_mapping((unsigned long)page, pte_of(page_mfn(page), flags),
                                       UVMF_INVLPG | UVMF_LOCAL);
}

/* Leave @old for @next, look at @old, and make it a table again. */
static bool round(uint64_t *old, uint64_t *next, unsigned *walked)
{
    if (!must(mmuext(MMUEXT_NEW_BASEPTR, page_mfn(next)), "NEW_BASEPTR") ||
        !must(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(old)), "unpin"))
        return false;
    spin_us(PAUSE_US);
    if (!must(protect(old, PTE_RW), "write to what was a table"))
        return false;
    *walked += count_walked(old);
    for (unsigned i = 256; i < 272; i++)
        old[i] = 0;
    return must(protect(old, PTE_RO), "read only again") &&
           must(mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(old)), "pin again");
}

static uint64_t *copy_of_root(void)
{
    const uint64_t *model = (const uint64_t *)guest_info->pt_base;
    uint64_t *root = page_alloc();

    for (unsigned i = 0; i < 512; i++)
        root[i] = i >= 256 && i < 272 ? 0 : model[i];
    if (protect(root, PTE_RO) || mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(root)))
        tap_bail_out("cannot pin a copy of the root");
    return root;
}

void guest_main(void)
{
    uint64_t *root[2] = {copy_of_root(), copy_of_root()};
    uint32_t seed = 77 + 1299709 * (uint32_t)guest_option("seed", 0);
    unsigned rounds = 0, walked = 0;

    for (unsigned long id = 1; id <= guest_option("others", 4); id++)
        if (vcpu_start((unsigned)id, mixer, (void *)id))
            tap_bail_out("vCPU %lu does not start", id);
    if (mmuext(MMUEXT_NEW_BASEPTR, page_mfn(root[0])))
        tap_bail_out("cannot use a copy of the root");

    const uint64_t end = clock_ns() + guest_option("for", 1000) * 1000000ul;
    for (; clock_ns() < end && !walked; rounds++) {
        if (!round(root[rounds & 1], root[~rounds & 1], &walked))
            break;
        nap(&seed);
    }
    done = true;
    tap_note("%u rounds", rounds);
    tap_ok(clock_ns() >= end || walked, "tables became plain memory and tables again to the end");
    tap_ok(!walked, "no CPU walks an L4 table that the guest may write");
}
