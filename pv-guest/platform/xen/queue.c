/*
 * The batch of hypercalls behind every "Queued" operation of platform.h.
 *
 * One multicall carries it all in order.  Runs of page-table updates share one
 * mmu_update, runs of extended operations share one mmuext_op, because each
 * entry of those costs the hypervisor far less than a call.  None of them may
 * fail: a refusal means that the kernel has lost track of its own page tables.
 *
 * There is one batch for all CPUs.  It is filled and sent under the kernel's
 * lock, so batches of their own would gain the CPUs nothing.
 */
#include <paravane/hypercall.h>

#include "kernel/lib/print.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

#define QUEUE_CALLS  32
#define QUEUE_PTES   256
#define QUEUE_MMUEXT 32

static multicall_entry_t calls[QUEUE_CALLS];
static mmu_update_t ptes[QUEUE_PTES];
static struct mmuext_op mmuexts[QUEUE_MMUEXT];
static cpus_t mmuext_cpus[QUEUE_MMUEXT]; /* which the operation of the same index points to */
static unsigned nr_calls, nr_ptes, nr_mmuexts;
static multicall_entry_t *pte_call; /* the last call, if it takes more page-table updates */
static bool flush_at_end;

static void check_results(void)
{
    for (unsigned i = 0; i < nr_calls; i++) {
        const multicall_entry_t *c = &calls[i];
        if ((long)c->result >= 0)
            continue;
        panic("hypercall %lu(%lx, %lx) refused: %ld", (unsigned long)c->op,
              (unsigned long)c->args[0], (unsigned long)c->args[1], (long)c->result);
    }
}

void platform_commit(void)
{
    if (flush_at_end) {
        flush_at_end = false;
        platform_tlb_flush(CPUS_ALL);
    }
    if (!nr_calls)
        return;
    if (nr_calls == 1) {
        multicall_entry_t *c = &calls[0];
        c->result = hypercall_raw(c->op, c->args[0], c->args[1], c->args[2], c->args[3], 0);
    } else {
        const long rc = hypercall_multicall(calls, nr_calls);
        if (rc)
            panic("multicall of %u refused: %ld", nr_calls, rc);
    }
    check_results();
    nr_calls = nr_ptes = nr_mmuexts = 0;
    pte_call = NULL;
}

static multicall_entry_t *add(unsigned long number)
{
    if (nr_calls == QUEUE_CALLS)
        platform_commit();
    multicall_entry_t *c = &calls[nr_calls++];
    *c = (multicall_entry_t){.op = number};
    pte_call = NULL;
    return c;
}

static void begin_ptes(void)
{
    if (nr_ptes == QUEUE_PTES)
        platform_commit();
    multicall_entry_t *c = add(__HYPERVISOR_mmu_update); /* may empty the batch, too */
    c->args[0] = (unsigned long)&ptes[nr_ptes];
    c->args[3] = DOMID_SELF;
    pte_call = c;
}

void queue_pte(uint64_t machine_slot, uint64_t entry)
{
    if (!pte_call || nr_ptes == QUEUE_PTES)
        begin_ptes();
    ptes[nr_ptes++] = (mmu_update_t){machine_slot | MMU_NORMAL_PT_UPDATE, entry};
    pte_call->args[1]++;
}

static struct mmuext_op *add_mmuext(unsigned cmd, uint64_t arg1)
{
    if (nr_mmuexts == QUEUE_MMUEXT)
        platform_commit();
    multicall_entry_t *c = nr_calls ? &calls[nr_calls - 1] : NULL;
    if (!c || c->op != __HYPERVISOR_mmuext_op) {
        c = add(__HYPERVISOR_mmuext_op);
        c->args[0] = (unsigned long)&mmuexts[nr_mmuexts];
        c->args[3] = DOMID_SELF;
    }
    c->args[1]++;
    struct mmuext_op *op = &mmuexts[nr_mmuexts++];
    *op = (struct mmuext_op){.cmd = cmd, .arg1.mfn = arg1};
    return op;
}

void queue_mmuext(unsigned cmd, uint64_t arg1)
{
    (void)add_mmuext(cmd, arg1);
}

void queue_flush(unsigned local, unsigned multi, cpus_t cpus, uint64_t arg1)
{
    const cpus_t self = (cpus_t)1 << vcpu_this()->number;

    cpus &= vcpus_started;
    if (cpus == self)
        queue_mmuext(local, arg1);
    if (!(cpus & ~self))
        return;
    struct mmuext_op *op = add_mmuext(multi, arg1);
    mmuext_cpus[op - mmuexts] = cpus;
    set_xen_guest_handle(op->arg2.vcpumask, &mmuext_cpus[op - mmuexts]);
}

void queue_flush_at_end(void)
{
    flush_at_end = true;
}

void queue_call(unsigned long number, uint64_t a1, uint64_t a2)
{
    multicall_entry_t *c = add(number);
    c->args[0] = a1;
    c->args[1] = a2;
}

void queue_mapping(uintptr_t address, uint64_t entry, unsigned long flags)
{
    multicall_entry_t *c = add(__HYPERVISOR_update_va_mapping);
    c->args[0] = address;
    c->args[1] = entry;
    c->args[2] = flags;
}
