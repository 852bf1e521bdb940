/*
 * From the first line of C to the first guest.
 *
 * hypervisor_main() is the boot order, one line a step.  It runs on boot_stack as boot_vcpu, a
 * stand-in that makes current_vcpu() and this_cpu() work; then CPU 0's idle vCPU takes over on its
 * own stack, builds the guests and idles.
 */
#include "device-memory.h"
#include "machine.h"
#include "pci.h"
#include "pirq.h"
#include "lines.h"
#include "builder.h"
#include "debug-keys.h"
#include "evtchn.h"
#include "grant-table.h"
#include "guest.h"
#include "sched.h"
#include "strace.h"
#include "xenstore.h"

/* --- what the loader hands over (Multiboot specification 0.6.96, 3.3) ------------------------ */

struct __attribute__((packed)) multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
    uint32_t mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
};
#define MULTIBOOT_MEMORY  BIT(0)
#define MULTIBOOT_CMDLINE BIT(2)
#define MULTIBOOT_MODULES BIT(3)
#define MULTIBOOT_MMAP    BIT(6)
#define MULTIBOOT_LOADER  BIT(9)

struct __attribute__((packed)) multiboot_module {
    uint32_t start, end, cmdline, reserved;
};

struct __attribute__((packed)) multiboot_mmap {
    uint32_t size; /* of what follows */
    uint64_t start, length;
    uint32_t type; /* 1: available */
};

/* Words that the loader brings are no longer than this. */
#define CMDLINE_ROOM 0x2000

/* boot.S maps the first gigabyte at the direct map's place. */
static const void *boot_ptr(uint32_t at)
{
    return maddr_to_virt(at);
}

/* QEMU and GRUB 0.9x put the file's name first on a command line, GRUB 2 does not. */
static void copy_cmdline(char *to, size_t size, uint32_t at, bool has_file_name)
{
    const char *s = at ? boot_ptr(at) : "";
    while (*s == ' ')
        s++;
    if (has_file_name) {
        while (*s && *s != ' ')
            s++;
        while (*s == ' ')
            s++;
    }
    string_copy(to, s, size);
}

static bool loader_is_grub2(const struct multiboot_info *mbi)
{
    if (!(mbi->flags & MULTIBOOT_LOADER) || !mbi->boot_loader_name)
        return false;
    const char *name = boot_ptr(mbi->boot_loader_name);
    return !strncmp(name, "GRUB ", 5) && name[5] != '0';
}

static void read_modules(const struct multiboot_info *mbi, bool has_file_name)
{
    if (!(mbi->flags & MULTIBOOT_MODULES))
        return;
    const struct multiboot_module *m = boot_ptr(mbi->mods_addr);
    for (uint32_t i = 0; i < mbi->mods_count && i < MAX_MODULES; i++) {
        struct boot_module *b = &boot_module[boot_module_count++];
        b->start = m[i].start;
        b->size = m[i].end - m[i].start;
        memory_loader_used(b->start, b->size);
        memory_loader_used(m[i].cmdline, CMDLINE_ROOM);
        copy_cmdline(b->cmdline, sizeof(b->cmdline), m[i].cmdline, has_file_name);
    }
}

static void read_memory_map(const struct multiboot_info *mbi)
{
    if (mbi->flags & MULTIBOOT_MMAP) {
        uint32_t at = mbi->mmap_addr, end = mbi->mmap_addr + mbi->mmap_length;
        while (at + sizeof(struct multiboot_mmap) <= end) {
            const struct multiboot_mmap *m = boot_ptr(at);
            if (m->type == 1 && m->start + m->length > m->start)
                memory_map_add(m->start, m->start + m->length);
            at += m->size + 4;
        }
    } else if (mbi->flags & MULTIBOOT_MEMORY) {
        memory_map_add(0, mbi->mem_lower * 1024ull);
        memory_map_add(0x100000, 0x100000 + mbi->mem_upper * 1024ull);
    }
    memory_map_done();
}

/* After this the loader's structures may be overwritten. */
static void read_multiboot(uint32_t info)
{
    const struct multiboot_info *mbi = boot_ptr(info);
    memory_loader_used(image_phys(image_start), (uint64_t)(bss_end - image_start));
    memory_loader_used(info, sizeof(*mbi));
    memory_loader_used(mbi->mods_addr, mbi->mods_count * sizeof(struct multiboot_module));
    memory_loader_used(mbi->flags & MULTIBOOT_CMDLINE ? mbi->cmdline : 0, CMDLINE_ROOM);
    memory_loader_used(mbi->flags & MULTIBOOT_MMAP ? mbi->mmap_addr : 0, mbi->mmap_length);
    memory_loader_used(mbi->flags & MULTIBOOT_LOADER ? mbi->boot_loader_name : 0, CMDLINE_ROOM);
    bool has_file_name = !loader_is_grub2(mbi);
    if (mbi->flags & MULTIBOOT_CMDLINE)
        copy_cmdline(hypervisor_cmdline, sizeof(hypervisor_cmdline), mbi->cmdline, has_file_name);
    read_modules(mbi, has_file_name);
    read_memory_map(mbi);

    memory_reserve(0, 0x2000); /* BIOS data; the trampoline of other CPUs */
    memory_reserve(image_phys(image_start), image_phys(bss_end));
    for (unsigned i = 0; i < boot_module_count; i++)
        memory_reserve(boot_module[i].start, boot_module[i].start + boot_module[i].size);
}

/* --- saying so ------------------------------------------------------------------------------- */

static void banner(void)
{
    printk("Paravane %s (%s)\n", build_version, build_compiler);
    printk("Latest ChangeSet: %s\n", build_changeset);
    printk("Command line: %s\n", hypervisor_cmdline);
}

static void say_memory(void)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < ram_count; i++)
        all += ram[i].end - ram[i].start;
    printk("RAM: %lu KiB in %u ranges, %lu KiB free\n", all >> 10, ram_count,
           page_free_count() << 2);
    if (memory_is_zero())
        printk("RAM is zero: this machine is new, says bootscrub=no\n");
    else if (cmdline_denies("bootscrub"))
        printk("RAM is scrubbed in spite of bootscrub=no: somebody has used it before\n");
}

/* --- the boot order -------------------------------------------------------------------------- */

extern struct vcpu boot_vcpu; /* boot.S */
struct vcpu boot_vcpu = {.domain = &idle_domain, .is_idle = true, .affinity = BIT(0)};

/* fs:0x28 for libfdt.a (hypervisor/README.md): valid until the first guest owns the FS base, after
 * which libfdt is not called any more. */
uint64_t stack_canary[6] __attribute__((aligned(64))) = {[5] = 0x0a0d00ff5a17e5ull};
noreturn_ void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
    bug("libfdt", 0, "stack canary overwritten");
}

static uint64_t boot_tsc; /* when the loader jumped to us */

/* On CPU 0's idle vCPU: everything else may now be preempted. */
static noreturn_ void start_guests(void)
{
    paging_free_boot_tables();
    smp_start_others();     /* other CPUs: they idle */
    time_cpus_online();     /* a CPU's longest turn */
    serial_interrupts_on(); /* typed input */
    strace_init();          /* a record of each hypercall, if somebody wants it */
    builder_start_all();    /* every domain that the modules describe */
    printk("boot took %lu us\n", tsc_to_ns(tsc_scale.base + rdtsc() - boot_tsc) / 1000);
    idle_loop(); /* never returns */
}

/* Leave the boot stack for the idle vCPU's. */
static noreturn_ void become_idle(void)
{
    cpu_set_idle(0, sched_idle_vcpu(0));
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "call *%1\n\t"
                     "ud2" ::"r"(percpu_of(0)->stack_top),
                     "r"(start_guests)
                     : "memory");
    __builtin_unreachable();
}

void hypervisor_main(uint32_t multiboot_info)
{
    boot_tsc = rdtsc();
    read_multiboot(multiboot_info); /* command line, modules, memory map */
    serial_init();                  /* output from here on */
    banner();
    cpu_check(); /* nothing below does without */
    if (!ram_count)
        cannot_boot(VERDICT_BOOT, "the loader gave no memory map");
    paging_init(); /* final address space, frame table, page allocator */
    say_memory();
    idt_init();
    if (cpu_area_init(0, 0)) /* GDT, TSS, exception stacks */
        cannot_boot(VERDICT_MEMORY, "too little memory for the first CPU");
    cpu_load(0); /* exceptions are handled from here on */
    acpi_init(); /* where the timers and interrupt controllers are */
    pic_mask();
    lapic_map();
    lapic_init();
    percpu_of(0)->apic_id = lapic_id();
    ioapic_init();
    lines_init();
    time_init(); /* system time 0 */
    smp_boot_cpu_online();
    arch_tlb_flush_local(); /* starts the flush clock */
    cpu_probe_quirks();
    ring3_probe();
    fpu_probe();
    cpuid_probe(); /* what guests will see */
    device_memory_init();
    pci_ecam_init();
    sched_init_cpu(0, vcpu_create(&idle_domain, 0)); /* run queue and idle vCPU */
    evtchn_audit_init();                             /* the audit is to count what they hold */
    xenstore_audit_init();
    grant_audit_init();
    pirq_audit_init();
    grant_resource_init();
    console_init(&debug_keys);
    become_idle();
}
