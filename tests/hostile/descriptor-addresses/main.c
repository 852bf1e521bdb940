/*
 * Wants: the hypervisor's addresses, as a start for something else.
 *
 * SGDT and SIDT may be executed in ring 3 and tell where the tables lie, in ring 0's half.  A
 * processor that has UMIP can refuse them there; the hypervisor then answers with addresses of its
 * choice, or with a fault.  A processor without UMIP (qemu64) tells; that is said, not judged.
 *
 * Fails (where the processor has UMIP): the hypervisor switches it on.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#define UMIP_BIT \
    2 /* of CPUID 7's ecx: the instruction itself, which no hypervisor below us hides */

static bool has_umip(void)
{
    uint32_t a = 7, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> UMIP_BIT & 1;
}

struct table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static bool is_hypervisors(uint64_t address)
{
    return address > HYPERVISOR_VIRT_START &&
           address < HYPERVISOR_VIRT_END; /* where it starts, everybody knows */
}

void guest_main(void)
{
    struct table gdt = {0}, idt = {0};

    attack_begin("descriptor-addresses");
    int v = TRAPS(__asm__ volatile("sgdt %0" : "=m"(gdt)));
    int w = TRAPS(__asm__ volatile("sidt %0" : "=m"(idt)));
    tap_note("SGDT: trap %d, %lx; SIDT: trap %d, %lx; UMIP %u", v, gdt.base, w, idt.base,
             has_umip());
    if (has_umip())
        tap_ok(!is_hypervisors(idt.base), "SIDT does not tell where the hypervisor is");
    while (attack_goes_on())
        attack_nap(1000000);
}
