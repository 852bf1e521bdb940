/*
 * Question: does a translation that is gone stay gone on every CPU?
 *
 * Four vCPUs of one address space look at one page, the window, all the time.
 * The first changes what is behind it and says to whom it may concern:
 *
 *   by the guest's own flushes   no other vCPU sees the old frame afterwards
 *   by no flush at all           they may, but once the hypervisor has taken the frame for something else
 *                                (a page table; somebody's memory), nobody writes to it any more
 *
 * Needs dom0_max_vcpus=4; asks most with as many CPUs.
 */
#include "guest.h"
#include "clock.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>
#include <xen/sched.h>

COVERS(mmuext_op, MMUEXT_TLB_FLUSH_ALL);
COVERS(mmuext_op, MMUEXT_INVLPG_ALL);
COVERS(mmuext_op, MMUEXT_TLB_FLUSH_MULTI);
COVERS(mmuext_op, MMUEXT_INVLPG_MULTI);

#define OTHERS 3
#define ROUNDS 60
#define SECOND 1000000000ul
#define WORDS  8 /* of the window, at its start, that are looked at */

enum { PAUSE, READ, WRITE };

static volatile unsigned task;          /* what the others do */
static volatile uint64_t epoch;         /* no reader may find less than this */
static volatile uint64_t seen_old;      /* how often one did */
static volatile unsigned ready, paused; /* how many of the others are */
static volatile uint64_t attempts[OTHERS];

static unsigned long window;

/* Accesses to the window, each one instruction that the fault handler may leave out. */
uint64_t window_load(unsigned long va);
void window_store(unsigned long va, uint64_t value);
extern char window_load_at[], window_load_out[], window_store_at[], window_store_out[];
__asm__(".text\n"
        "window_load: mov $-1, %rax\n"
        "window_load_at: mov (%rdi), %rax\n"
        "window_load_out: ret\n"
        "window_store:\n"
        "window_store_at: mov %rsi, (%rdi)\n"
        "window_store_out: ret\n");

static bool leave_out(struct trap_frame *frame)
{
    if (frame->rip == (unsigned long)window_load_at)
        frame->rip = (unsigned long)window_load_out;
    else if (frame->rip == (unsigned long)window_store_at)
        frame->rip = (unsigned long)window_store_out;
    else
        return false;
    return true;
}

static void look(unsigned me, uint64_t *count)
{
    const uint64_t least = epoch;

    if (task == READ && window_load(window) < least)
        __atomic_fetch_add(&seen_old, 1, __ATOMIC_SEQ_CST);
    if (task == WRITE) /* bit 0 is clear: as a table entry it is not present */
        window_store(window + 8 * (*count % WORDS), *count << 12);
    attempts[me] = ++*count;
}

static void other(void *argument)
{
    const unsigned me = (unsigned)(unsigned long)argument;
    uint64_t count = 0;

    trap_restore_gates();
    ready++;
    for (;;) {
        if (task == PAUSE) {
            __atomic_fetch_add(&paused, 1, __ATOMIC_SEQ_CST);
            while (task == PAUSE)
                hypercall_sched_op(SCHEDOP_yield, NULL);
            __atomic_fetch_sub(&paused, 1, __ATOMIC_SEQ_CST);
        }
        look(me, &count);
        if (count % 16384 == 0)
            hypercall_sched_op(SCHEDOP_yield, NULL); /* they may share a CPU */
    }
}

/* Let the others go on until each has looked @n times more. */
static void wait_for_looks(uint64_t n)
{
    const uint64_t deadline = clock_ns() + 60 * SECOND;
    uint64_t goal[OTHERS];

    for (unsigned i = 0; i < OTHERS; i++)
        goal[i] = attempts[i] + n;
    for (unsigned i = 0; i < OTHERS; i++)
        while (attempts[i] < goal[i]) {
            hypercall_sched_op(SCHEDOP_yield, NULL);
            if (clock_ns() > deadline)
                tap_bail_out("vCPU %u did not look %lu times in 60 s", i + 1, n);
        }
}

static void wait_for_count(volatile unsigned *counter, unsigned value)
{
    const uint64_t deadline = clock_ns() + 60 * SECOND;

    while (*counter != value) {
        hypercall_sched_op(SCHEDOP_yield, NULL);
        if (clock_ns() > deadline)
            tap_bail_out("%u vCPUs instead of %u are there after 60 s", *counter, value);
    }
}

static void let_all(unsigned what)
{
    task = what;
    wait_for_count(&paused, what == PAUSE ? OTHERS : 0);
}

/* ---- The guest's own flushes ------------------------------------------------------ */

static long flush(unsigned cmd)
{
    unsigned long set = ~0ul;
    struct mmuext_op op = {.cmd = cmd, .arg1.linear_addr = window};

    if (cmd == MMUEXT_TLB_FLUSH_MULTI || cmd == MMUEXT_INVLPG_MULTI)
        set_xen_guest_handle(op.arg2.vcpumask, (void *)&set);
    return hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static long set_window(uint64_t pte)
{
    return mmu_set(memory_entry_ma(window, 1), pte);
}

/* Two frames take turns behind the window, the one that comes always holds the greater number. */
static void test_flush(const char *name, long (*change)(uint64_t pte, unsigned how), unsigned how)
{
    volatile uint64_t *const page[2] = {page_alloc(), page_alloc()};
    const uint64_t first = epoch + 1;
    long rc = 0;

    *page[first & 1] = first;
    set_window(pte_of(page_mfn((void *)page[first & 1]), PTE_RW));
    flush(MMUEXT_INVLPG_ALL);
    epoch = first;
    seen_old = 0;
    let_all(READ);
    wait_for_looks(10);
    for (uint64_t i = first + 1; i < first + ROUNDS && !rc; i++) {
        *page[i & 1] = i;
        rc = change(pte_of(page_mfn((void *)page[i & 1]), PTE_RW), how);
        epoch = i;
        if (i % 16 == 0)
            wait_for_looks(1);
    }
    wait_for_looks(10);
    let_all(PAUSE);
    tap_is(rc, 0, "%s: accepted", name);
    tap_is(seen_old, 0, "%s: nobody sees the old frame afterwards", name);
    set_window(0);
    flush(MMUEXT_INVLPG_ALL);
    page_free((void *)page[0]);
    page_free((void *)page[1]);
}

static long by_va(uint64_t pte, unsigned flags)
{
    static unsigned long all = ~0ul;

    return hypercall_update_va_mapping(window, pte,
                                       flags & UVMF_ALL ? flags : flags | (unsigned long)&all);
}

static long by_mmuext(uint64_t pte, unsigned cmd)
{
    const long rc = set_window(pte);
    return rc ? rc : flush(cmd);
}

/* ---- The hypervisor's own ---------------------------------------------------------- */

/* Nobody changes @page while each of the others tries so many times. */
static bool stays(const volatile uint64_t *page)
{
    uint64_t before[WORDS];

    for (unsigned i = 0; i < WORDS; i++)
        before[i] = page[i];
    wait_for_looks(200);
    for (unsigned i = 0; i < WORDS; i++)
        if (page[i] != before[i])
            return false;
    return true;
}

/* The others write through the window; it goes away without a flush, and its frame becomes an L1 table. */
static void test_promotion(void)
{
    uint64_t *const page = page_alloc();
    unsigned bad = 0, written = 0;
    long rc = 0;

    for (unsigned i = 0; i < ROUNDS / 3 && !rc; i++) {
        memset(page, 0, PAGE_SIZE);
        rc = set_window(pte_of(page_mfn(page), PTE_RW));
        let_all(WRITE);
        wait_for_looks(20);
        written += page[0] || page[1] || page[2];
        rc = rc ? rc : set_window(0);
        rc = rc ? rc
                : mmu_set(memory_entry_ma((unsigned long)page, 1), pte_of(page_mfn(page), PTE_RO));
        rc = rc ? rc : mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(page));
        bad += !stays(page);
        let_all(PAUSE);
        rc = rc ? rc : mmuext(MMUEXT_UNPIN_TABLE, page_mfn(page));
        rc = rc ? rc : page_protect(page, PTE_RW);
    }
    tap_is(rc, 0, "a frame that others have written to becomes a page table");
    tap_is(written, ROUNDS / 3, "they did write");
    tap_is(bad, 0, "as a page table nobody changes it through an old translation");
    page_free(page);
}

/* The same with a frame that goes back to the hypervisor, and comes again clean. */
static void test_release(void)
{
    unsigned bad = 0, dirty = 0;
    long rc = 0;

    for (unsigned i = 0; i < ROUNDS / 3 && !rc; i++) {
        xen_pfn_t frame = frame_alloc(), pfn = 1;
        struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

        rc = set_window(pte_of(frame, PTE_RW));
        let_all(WRITE);
        wait_for_looks(20);
        rc = rc ? rc : set_window(0);
        set_xen_guest_handle(r.extent_start, &frame);
        rc = rc ? rc : hypercall_memory_op(XENMEM_decrease_reservation, &r) - 1;
        set_xen_guest_handle(r.extent_start, &pfn);
        rc = rc ? rc : hypercall_memory_op(XENMEM_populate_physmap, &r) - 1;
        if (rc)
            break;
        uint64_t *const page = memory_map_frame(pfn, PTE_RO);
        for (unsigned w = 0; w < WORDS; w++)
            dirty += page[w] != 0;
        bad += !stays(page);
        let_all(PAUSE);
        memory_unmap_frame(page);
    }
    tap_is(rc, 0, "a frame that others have written to goes back, another comes");
    tap_is(dirty, 0, "it comes clean");
    tap_is(bad, 0, "nobody writes to it through an old translation");
}

void guest_main(void)
{
    if (!vcpu_have(OTHERS + 1, "flushes of other vCPUs' TLBs"))
        return;
    window = memory_mapped_end() + 64 * PAGE_SIZE;
    if (memory_map_at(window, 0))
        tap_bail_out("no page table for the window");
    trap_handle(TRAP_PF, leave_out);
    for (unsigned i = 0; i < OTHERS; i++) {
        if (vcpu_start(i + 1, other, (void *)(unsigned long)i))
            tap_bail_out("vCPU %u does not start", i + 1);
        wait_for_count(&ready, i + 1);
    }
    wait_for_count(&paused, OTHERS);

    test_flush("update_va_mapping, INVLPG everywhere", by_va, UVMF_INVLPG | UVMF_ALL);
    test_flush("update_va_mapping, INVLPG by set", by_va, UVMF_INVLPG);
    test_flush("update_va_mapping, flush everywhere", by_va, UVMF_TLB_FLUSH | UVMF_ALL);
    test_flush("INVLPG_ALL", by_mmuext, MMUEXT_INVLPG_ALL);
    test_flush("INVLPG_MULTI", by_mmuext, MMUEXT_INVLPG_MULTI);
    test_flush("TLB_FLUSH_ALL", by_mmuext, MMUEXT_TLB_FLUSH_ALL);
    test_flush("TLB_FLUSH_MULTI", by_mmuext, MMUEXT_TLB_FLUSH_MULTI);
    test_promotion();
    test_release();
}
