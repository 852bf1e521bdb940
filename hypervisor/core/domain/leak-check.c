/*
 * Nothing is lost: with no domain left all frames that domains took have come back.
 */
#include "domain-record.h"
#include "audit.h"
#include "console.h"
#include "page.h"
#include "verdict.h"

/* Free frames while no domain exists: all that domains take comes back.  What the hypervisor keeps
 * for good, page tables for vCPU areas, eight areas a frame, is not lost: @slack says how many
 * vCPUs there were to need them. */
static struct {
    uint64_t free;
    uint64_t slack;
} at_rest;

void leak_check_begin(unsigned max_vcpus)
{
    if (!at_rest.free)
        at_rest.free = page_free_count();
    atomic_add(&at_rest.slack, max_vcpus);
}

void domain_expect_free(uint64_t frames)
{
    at_rest.free += frames;
}

void leak_check(domid_t id)
{
    uint64_t now = page_free_count() + console_early_frames();
    unsigned wrong = page_audit();

    audit_tell();
    if (now + at_rest.slack / 8 + 1 < at_rest.free) {
        printk("audit: %ld frames were lost when d%u was destroyed\n", (long)(at_rest.free - now),
               id);
        wrong++;
    }
    at_rest.free = now;
    at_rest.slack = 0;
    if (wrong)
        machine_verdict(VERDICT_BUG);
}

void domain_memory_report(void)
{
    const uint64_t now = page_free_count();
    uint64_t theirs = 0, spent;
    unsigned count = 0;

    for (struct domain *d = domain_next(NULL); d; d = domain_next(d), count++)
        theirs += atomic_read(&d->tot_pages);
    spent = at_rest.free > now + theirs ? at_rest.free - now - theirs : 0;
    printk("memory: %lu KiB are free, %u domains have %lu KiB, the hypervisor spends %lu KiB on "
           "them, %lu each\n",
           now * 4, count, theirs * 4, spent * 4, spent * 4 / MAX(count, 1u));
}
