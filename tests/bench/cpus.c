/*
 * Two processors, a vCPU on each: what it takes until the other has forgotten a translation, and nothing else.  Under -icount
 * processors take turns, and PAUSE gives one's turn away: so these rows repeat to the instruction, too.
 */
#include "bench.h"
#include "guest.h"
#include "memory.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static struct mmuext_op op;
static volatile unsigned here, asleep;
static volatile unsigned wanted; /* 1: the other vCPU is to fall asleep, for good */

LOOP(run_op, hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF))

static void other(void *argument)
{
    here = 1;
    while (!wanted)
        __asm__ volatile("pause");
    asleep = 1;
    hypercall_vcpu_op(VCPUOP_down, 1, NULL);
}

static void flushes(const char *page_row, const char *all_row, unsigned long va)
{
    op = (struct mmuext_op){.cmd = MMUEXT_INVLPG_ALL, .arg1.linear_addr = va};
    report(page_row, measure(NULL, run_op, 100, 1));
    op = (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_ALL};
    report(all_row, measure(NULL, run_op, 100, 1));
}

/* A page becomes a table, which takes that every CPU has forgotten it as a writable page; and a page again. */
static char *turned;

static void run_turn(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        page_protect(turned, PTE_RO);
        mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(turned));
        mmuext(MMUEXT_UNPIN_TABLE, page_mfn(turned));
        page_protect(turned, PTE_RW);
    }
}

void bench_cpus(void)
{
    unsigned long page = (unsigned long)page_alloc();

    turned = page_alloc();
    if (vcpu_start(1, other, NULL))
        return;
    while (!here)
        __asm__ volatile("pause");
    flushes("INVLPG_ALL, the other CPU runs", "TLB_FLUSH_ALL, the other CPU runs", page);
    report("a page becomes a table and back, the other CPU runs", measure(NULL, run_turn, 100, 1));
    wanted = 1;
    while (!asleep)
        __asm__ volatile("pause");
    for (unsigned i = 0; i < 10000; i++) /* it is on its way */
        __asm__ volatile("pause");
    flushes("INVLPG_ALL, the other CPU sleeps", "TLB_FLUSH_ALL, the other CPU sleeps", page);
    report("a page becomes a table and back, the other CPU sleeps",
           measure(NULL, run_turn, 100, 1));
}
