/* Every CPUID leaf as this guest's kernel sees it, one line each: for comparison with another
 * hypervisor's. */
#include "guest.h"
#include "console.h"

#include <xen/arch-x86/cpuid.h>

static void show(uint32_t leaf, uint32_t subleaf)
{
    uint32_t a, b, c, d;

    __asm__ volatile(XEN_CPUID : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(leaf), "2"(subleaf));
    console_printf("leaf %x.%x: %x %x %x %x\n", leaf, subleaf, a, b, c, d);
}

static unsigned subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 4: /* caches */
        return 6;
    case 0xd: /* extended states */
        return 12;
    case 7:
    case 0xb: /* topology */
    case 0x1f:
    case 0x8000001d:
        return 3;
    default:
        return 1;
    }
}

void guest_main(void)
{
    static const uint32_t first[] = {0, 0x80000000, 0x40000000};

    for (unsigned i = 0; i < 3; i++)
        for (uint32_t leaf = first[i]; leaf < first[i] + (i == 2 ? 6 : 0x24); leaf++)
            for (unsigned n = 0; n < subleaves(leaf); n++)
                show(leaf, n);
}
