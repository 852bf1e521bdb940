/*
 * The balloon: pages that the kernel has given back to the hypervisor, until it may have them again.
 *
 * A page that goes is taken from the allocator, unmapped from the direct map, and its frame given back; the page keeps
 * its number, behind which there is nothing then. Growing is the same backwards.  It goes in steps, a few pages at a
 * time, between which others run.
 */
#include <paravane/hypercall.h>
#include <xen/memory.h>

#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "kernel/time/timer.h"
#include "platform/platform.h"
#include "platform/xen/balloon.h"
#include "platform/xen/machine.h"

#define NO_FRAME    (~0ul)
#define STEP_PAGES  512
#define STEP_PERIOD 1000000ul /* ns */

static struct list away = LIST_INIT(away);
static unsigned long away_count, wanted; /* pages */
static struct timer next_step;

static unsigned long have(void)
{
    return boot_info.nr_pages - away_count;
}

/* One extent of one page for XENMEM_*: how many of it were done. */
static long memory_op(unsigned command, xen_pfn_t *extent)
{
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    set_xen_guest_handle(r.extent_start, extent);
    return hypercall_memory_op(command, &r);
}

static bool map(const struct page *page, uint64_t entry)
{
    return !hypercall_update_va_mapping((uintptr_t)page_address(page), entry,
                                        UVMF_INVLPG | UVMF_ALL);
}

static uint64_t entry_of(mfn_t frame)
{
    return frame.n << PAGE_SHIFT | PTE_P | PTE_A | PTE_W | PTE_D | pte_nx;
}

static bool give_back(void)
{
    struct page *page = page_withdraw();
    if (!page)
        return false;
    const mfn_t frame = mfn_of(page_number(page));
    xen_pfn_t extent = frame.n;
    if (map(page, 0) && memory_op(XENMEM_decrease_reservation, &extent) == 1) {
        p2m[page_number(page).n] = NO_FRAME;
        list_add(&page->link, &away);
        away_count++;
        return true;
    }
    BUG_ON(!map(page, entry_of(frame)));
    page_restore(page);
    return false;
}

static bool take(void)
{
    struct page *page = list_entry(away.next, struct page, link);
    xen_pfn_t extent = page_number(page).n;
    if (memory_op(XENMEM_populate_physmap, &extent) != 1)
        return false;
    p2m[page_number(page).n] = extent;
    BUG_ON(!map(page, entry_of(mfn(extent))));
    list_remove(&page->link);
    away_count--;
    page_restore(page);
    return true;
}

static void step(struct timer *timer)
{
    for (unsigned i = 0; i < STEP_PAGES && have() != wanted; i++) {
        if (have() > wanted ? give_back() : take())
            continue;
        print("the domain was to have %lu KiB, it has %lu: %s\n", wanted * 4, have() * 4,
              have() > wanted ? "no more can be spared" : "the hypervisor gives no more");
        return;
    }
    if (have() != wanted)
        timer_start(timer, platform_time() + STEP_PERIOD);
    else
        print("the domain has %lu KiB, as was asked for from outside\n", have() * 4);
}

void balloon_init(void)
{
    timer_init(&next_step, step);
    wanted = boot_info.nr_pages;
}

void balloon_target(const char *kib)
{
    unsigned long number = 0;
    const char *c = kib;
    for (; *c >= '0' && *c <= '9' && number < 1ul << 40; c++)
        number = number * 10 + (unsigned long)(*c - '0');
    if (c == kib || *c) {
        print("memory/target says \"%s\", which is no number of KiB\n", kib);
        return;
    }
    wanted = number / 4;
    if (wanted > boot_info.nr_pages) {
        print(
            "the domain may have %lu KiB; this kernel uses no more than the %lu it started with\n",
            number, boot_info.nr_pages * 4);
        wanted = boot_info.nr_pages;
    }
    if (wanted != have())
        timer_start(&next_step, platform_time());
}
