/* Our own mistakes end here, and machines that cannot be started. */
#include "arch.h"
#include "lib.h"
#include "line.h"
#include "verdict.h"

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

void cannot_boot(int verdict, const char *format, ...)
{
    char sentence[200];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    printk("cannot boot: %s\n", sentence);
    arch_machine_end(MACHINE_POWEROFF, verdict);
}
