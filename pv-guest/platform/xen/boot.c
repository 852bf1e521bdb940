/*
 * Start of day: from what the domain builder left to kernel_start.
 *
 * The builder gives one address range, mapped in this order from KERNEL_BASE:
 *
 *      image | [ramdisk] | p2m list | start_info | xenstore page | console page |
 *      page tables | boot stack | at least 512 KiB more, to a multiple of 4 MiB
 *
 * page N of the range being pseudo-physical page N.  Everything else that the
 * kernel needs, a map of all its memory above all, it makes itself, and it gets
 * rid of the builder's mappings behind its image.
 */
#include <paravane/hypercall.h>

#include "kernel/lib/layout.h"
#include "kernel/memory/page.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

struct start_info boot_info;
struct shared_info *shared;
unsigned long *p2m;
uint64_t pte_nx;

/* A page of our address space that the shared page is mapped over. */
static char shared_window[PAGE_SIZE] __attribute__((aligned(4096)));

NORETURN void boot_start(const struct start_info *builder_info);

static void shared_info_map(void)
{
    const long rc = hypercall_update_va_mapping(
        (unsigned long)shared_window, boot_info.shared_info | PTE_P | PTE_W | PTE_A | PTE_D,
        UVMF_INVLPG | UVMF_LOCAL);
    if (rc)
        platform_shutdown(SHUTDOWN_AS_CRASH); /* no console yet to say it on */
    shared = (struct shared_info *)shared_window;
}

static bool cpu_has_nx(void)
{
    uint32_t regs[4] = {0x80000001};
    platform_cpuid(regs);
    return regs[3] & (1u << 20);
}

/* The ramdisk's place in the direct map, however the builder names it. */
static const void *ramdisk_address(void)
{
    if (!boot_info.mod_len)
        return NULL;
    if (boot_info.flags & SIF_MOD_START_PFN)
        return page_at(pfn(boot_info.mod_start));
    return (const void *)(boot_info.mod_start - KERNEL_BASE + DIRECT_MAP_BASE);
}

void boot_start(const struct start_info *builder_info)
{
    boot_info = *builder_info;
    p2m = (unsigned long *)boot_info.mfn_list;
    console_init_early();
    shared_info_map();
    vcpu_init();
    trap_init();
    pte_nx = cpu_has_nx() ? PTE_NX : 0;

    const pfn_t first_free = direct_map_build();
    event_init();
    console_init();
    control_init();
    image_protect();
    gdt_init();
    vcpu_events_init();

    const struct platform_boot boot = {
        .command_line = (const char *)boot_info.cmd_line,
        .page_count = boot_info.nr_pages,
        .first_free = first_free,
        .ramdisk = ramdisk_address(),
        .ramdisk_size = boot_info.mod_len,
        .name = boot_info.flags & SIF_INITDOMAIN ? "xen (first domain)" : "xen",
    };
    kernel_start(&boot);
}
