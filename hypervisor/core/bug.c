/* Our own mistakes end here. */
#include "arch.h"
#include "lib.h"
#include "line.h"

#define VERDICT_BUG 0x20 /* hypercall-abi/hyperlaunch.md */

void bug(const char *file, int line, const char *what)
{
    static uint32_t depth;
    uint32_t before = atomic_add(&depth, 1) - 1;
    line_be_urgent();

    file = strstr(file, "hypervisor/") ?: file; /* the build folder's way to it says nothing */
    if (before == 0) {
        printk("BUG: %s:%d: %s\n", file, line, what);
        arch_dump_all();
    } else if (before == 1) {
        printk("BUG: %s:%d: %s (while reporting the first)\n", file, line, what);
    }
    arch_machine_end(MACHINE_REBOOT, VERDICT_BUG);
}
