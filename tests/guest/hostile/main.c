/*
 * A guest that calls everything with anything: seed=S count=N (default 1 and
 * 20000).  Arguments come from a pool of numbers that hypervisors stumble over:
 * its own frames and tables, other people's, addresses just inside and outside
 * every border, pages full of random words.  The same seed makes the same
 * calls.  The hypervisor must outlive it; the guest itself may come to a bad
 * end, though the calls that would just end it are left out.
 */
#include "guest.h"
#include "console.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define PAGES 16

static uint64_t state;
static uint64_t *pages[PAGES]; /* scratch, some of which become tables */
static uint64_t *tables[8];

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t pick_mfn(void)
{
    switch (rnd() % 8) {
    case 0:
        return rnd() % 0x8000;
    case 1:
        return page_mfn(tables[rnd() % 8]);
    case 2:
        return memory_root_mfn();
    case 3:
        return guest_info->shared_info >> PAGE_SHIFT;
    case 4:
        return rnd();
    default:
        return page_mfn(pages[rnd() % PAGES]);
    }
}

static uint64_t pick_pte(void)
{
    uint64_t flags = rnd() & 0xfff;
    if (rnd() % 2)
        flags = PTE_RW;
    if (rnd() % 8 == 0)
        flags |= rnd() & 0xfff0000000000000;
    return (pick_mfn() << PAGE_SHIFT & PTE_FRAME) | flags;
}

static uint64_t pick_pointer(void)
{
    static const uint64_t borders[] = {
        0,
        8,
        0x1000,
        0x7ffffffff000,
        0x7ffffffffff8,
        0x800000000000,
        0xffff7ffffffffff8,
        0xffff800000000000,
        0xffff830000000000,
        0xffff87fffffffff8,
        0xffff880000000000,
        0xfffffffffffff000,
        0xfffffffffffffff8,
        ~0ul,
    };
    if (rnd() % 4 == 0)
        return borders[rnd() % (sizeof(borders) / sizeof(borders[0]))];
    return (uint64_t)pages[rnd() % PAGES] + (rnd() % 2 ? 0 : rnd() % PAGE_SIZE);
}

static uint64_t pick(void)
{
    switch (rnd() % 8) {
    case 0:
        return rnd() % 32;
    case 1:
        return rnd();
    case 2:
        return (uint32_t)rnd();
    case 3:
        return pick_pte();
    case 4:
        return pick_mfn();
    case 5:
        return rnd() % 2 ? DOMID_SELF : DOMID_SELF + rnd() % 8;
    default:
        return pick_pointer();
    }
}

/* Fill a scratch page with words that some call may take for its argument. */
static void fill(uint64_t *page)
{
    unsigned n = 1 + rnd() % 64;
    for (unsigned i = 0; i < n; i++)
        page[i] = rnd() % 3 ? pick() : rnd() % 32;
}

static void fill_mmu_updates(uint64_t *page, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        page[2 * i] = table_entry_ma(tables[rnd() % 8], rnd() % 512) | (rnd() % 4 ? 0 : rnd() % 8);
        if (rnd() % 16 == 0)
            page[2 * i] = rnd();
        page[2 * i + 1] = pick_pte();
    }
}

static void fill_mmuext_ops(uint64_t *page, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned cmd = rnd() % 24;
        /* A root without our kernel is the end of us. */
        page[3 * i] = cmd == MMUEXT_NEW_BASEPTR ? MMUEXT_UNPIN_TABLE : cmd;
        page[3 * i + 1] = rnd() % 4 ? page_mfn(tables[rnd() % 8]) : pick();
        page[3 * i + 2] = pick();
    }
}

/* Calls that would simply end or stop this domain, or the machine. */
static bool suicidal(unsigned nr, uint64_t a1)
{
    switch (nr) {
    case __HYPERVISOR_iret:
    case __HYPERVISOR_kexec_op:
    case __HYPERVISOR_set_trap_table: /* its own turn, too: a guest without gates ends at its first
                                         fault */
    case __HYPERVISOR_set_callbacks:
    case __HYPERVISOR_callback_op:
    case __HYPERVISOR_sched_op_compat:
    case __HYPERVISOR_event_channel_op_compat:
    case __HYPERVISOR_physdev_op_compat:
    case __HYPERVISOR_multicall: /* has its own turn, with harmless entries */
        return true;
    case __HYPERVISOR_sched_op:
        return (uint32_t)a1 != SCHEDOP_yield && (uint32_t)a1 != SCHEDOP_shutdown_code &&
               (uint32_t)a1 < 8;
    case __HYPERVISOR_vcpu_op:
        /* A vcpu_info in a scratch page unmasks upcalls when the page is filled. */
        return (uint32_t)a1 == VCPUOP_down || (uint32_t)a1 == VCPUOP_register_vcpu_info;
    case __HYPERVISOR_console_io:
        return true; /* nobody wants to read it */
    case __HYPERVISOR_physdev_op:
        return (uint32_t)a1 != PHYSDEVOP_set_iopl && (uint32_t)a1 != PHYSDEVOP_set_iobitmap;
    default:
        return false;
    }
}

static long call_random(void)
{
    unsigned nr = rnd() % 44;
    uint64_t a1 = rnd() % 2 ? rnd() % 32 : pick();

    if (suicidal(nr, a1))
        return 0;
    fill(pages[rnd() % PAGES]);
    return HYPERCALL4(nr, a1, pick(), pick(), rnd() % 2 ? DOMID_SELF : pick());
}

static long call_shaped(void)
{
    uint64_t *page = pages[rnd() % 4]; /* never tables */
    unsigned n = 1 + rnd() % 16;
    unsigned done;

    switch (rnd() % 6) {
    case 5: {
        fill(page);
        long rc = hypercall_set_trap_table((struct trap_info *)page);
        trap_restore_gates();
        return rc;
    }
    case 0:
        fill_mmu_updates(page, n);
        return hypercall_mmu_update((mmu_update_t *)page, n, &done, DOMID_SELF);
    case 1:
        fill_mmuext_ops(page, n);
        return hypercall_mmuext_op((struct mmuext_op *)page, n, &done, DOMID_SELF);
    case 2:
        return hypercall_update_va_mapping((unsigned long)pages[4 + rnd() % (PAGES - 4)],
                                           pick_pte(), pick());
    case 3: {
        multicall_entry_t *calls = (multicall_entry_t *)page;
        for (unsigned i = 0; i < n; i++) {
            unsigned nr = rnd() % 44;
            uint64_t a1 = pick();
            if (suicidal(nr, a1))
                nr = __HYPERVISOR_xen_version;
            calls[i] = (multicall_entry_t){.op = nr, .args = {a1, pick(), pick(), pick(), pick()}};
        }
        return hypercall_multicall(calls, n);
    }
    default: {
        struct xen_memory_reservation r = {.extent_start = {(xen_pfn_t *)page},
                                           .nr_extents = rnd() % 4 ? n : rnd(),
                                           .extent_order = rnd() % 4 ? 0 : rnd(),
                                           .domid = DOMID_SELF};
        fill(page);
        return hypercall_memory_op(
            rnd() % 2 ? XENMEM_populate_physmap : XENMEM_decrease_reservation, &r);
    }
    }
}

/* Have the scratch pages back, as far as the calls left them to us. */
static void remap(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        page_protect(pages[i], PTE_RW);
}

void guest_main(void)
{
    unsigned long seed = guest_option("seed", 1), count = guest_option("count", 20000);

    state = seed * 0x9e3779b97f4a7c15 + 1;
    for (unsigned i = 0; i < PAGES; i++)
        pages[i] = page_alloc();
    for (unsigned i = 0; i < 8; i++) {
        tables[i] = table_alloc();
        mmuext(MMUEXT_PIN_L1_TABLE + i % 4, page_mfn(tables[i]));
    }
    console_printf("hostile: seed %lu, %lu calls\n", seed, count);
    unsigned long refused = 0, trapped = 0;
    for (unsigned long i = 0; i < count; i++) {
        long rc = 0;
        /* A scratch page may have become read-only or gone: that is a fault of ours. */
        if (TRAPS(rc = rnd() % 2 ? call_random() : call_shaped()) != NO_TRAP) {
            trapped++;
            remap();
        }
        refused += rc < 0;
        event_disable();
    }
    trap_restore_gates();
    console_printf("hostile: %lu refused, %lu trapped\n", refused, trapped);
    console_printf("hostile: done\n");
}
