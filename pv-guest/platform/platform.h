/*
 * The seam between the kernel and what it runs on.
 *
 * Every privileged operation that the kernel needs is one function here.  On
 * the bare machine it is an instruction; a paravirtual kernel may not execute
 * that instruction and asks by hypercall, or, better, has agreed with the
 * hypervisor on a way that needs no privilege at all.  platform/native/ and
 * platform/xen/ implement this header; nothing else in the kernel knows which
 * of them it is linked with.
 *
 * The kernel runs with interrupts masked from entry to exit: it is one critical
 * section, and only processes and the idle loop are ever interrupted.  So the
 * seam has no operation to mask or unmask them: platform_return and
 * platform_idle open the gate, entry code closes it.
 *
 * With several CPUs the critical section has a lock (kernel/tasks/cpu.h), taken on the
 * way in and dropped on the way out.  The platform takes no part in that: its
 * functions are called with the lock held, but for platform_return,
 * platform_idle, platform_relax, platform_time, platform_cpuid and those that
 * end the machine.  What belongs to one CPU, its time, its timer, its kernel
 * stack, its address space, is that of the CPU which calls.
 *
 * Operations marked "Queued" take effect at the next platform_commit, in order,
 * which must come before the lock goes to another CPU.  Under a hypervisor a
 * batch costs little more than one of its members.
 *
 * The comment before each function has a fixed form, because the porting table
 * in README.md is made from it (porting-table.sh, which also checks it):
 *
 *   name - What it does.
 *   Instruction: how the bare machine does it
 *   Hypercall:   how a PV guest does it
 *   Why:         why it cannot be the same
 */
#pragma once

#include "kernel/lib/base.h"
#include "kernel/memory/pte.h"

struct frame;

/* What a platform knows when it calls kernel_start. */
struct platform_boot {
    const char *command_line;
    unsigned long page_count; /* all pfns below this are RAM and in the direct map... */
    pfn_t hole_start;         /* ...but those from here... */
    pfn_t hole_end;           /* ...to before here, if there are any */
    pfn_t first_free;         /* the pages below hold the image, boot tables and such */
    const void *ramdisk;      /* in the direct map; its pages may lie anywhere */
    size_t ramdisk_size;
    const char *name; /* of the platform, for uname and the banner */
};

/* The kernel's entry points, called by the platform. */
NORETURN void kernel_start(const struct platform_boot *boot);
void trap_handle(struct frame *frame);        /* every exception, system call and interrupt */
void timer_interrupt(void);                   /* the deadline of platform_timer_set has passed */
void console_interrupt(void);                 /* platform_console_read has something to give */
NORETURN void kernel_start_cpu(unsigned cpu); /* on the CPU that platform_cpu_start started */
void cpu_interrupt(void);                     /* another CPU has called platform_cpu_kick */

/* What a process's cs and ss hold: the machine's 64-bit user segments. */
extern const uint16_t platform_user_code, platform_user_data;

/* Called by the platform's entry code for VECTOR_EVENT: acknowledge, then call the above. */
void platform_interrupt(void);

/* ---- The machine ------------------------------------------------------------------ */

enum shutdown_reason { SHUTDOWN_AS_POWEROFF, SHUTDOWN_AS_REBOOT, SHUTDOWN_AS_CRASH };

/*
 * platform_shutdown - End the machine, saying why.
 * Instruction: OUT to the emulator's exit port; without one to ACPI's PM1a control, or to the
 *              keyboard controller's reset line
 * Hypercall:   sched_op SCHEDOP_shutdown
 * Why:         a domain has no chipset; the reason tells the toolstack whether to restart or to
 *              dump it
 */
NORETURN void platform_shutdown(enum shutdown_reason reason);

/*
 * platform_console_write - Put text on the console.
 * Instruction: OUT to the 16550's data port, waiting for room
 * Hypercall:   first domain: console_io CONSOLEIO_write; others: bytes in the shared console
 *              ring, then event_channel_op EVTCHNOP_send
 * Why:         the serial port belongs to the hypervisor
 */
void platform_console_write(const char *text, size_t size);

/*
 * platform_console_read - Take what has been typed, up to @size bytes; returns how many.
 * Instruction: IN from the 16550's data port while its status says so
 * Hypercall:   first domain: console_io CONSOLEIO_read; others: bytes from the shared console
 *              ring
 * Why:         the serial port belongs to the hypervisor
 */
size_t platform_console_read(char *to, size_t size);

/*
 * platform_cpuid - Ask the CPU what it can do: @regs is eax, ebx, ecx, edx, in and out.
 * Instruction: CPUID
 * Hypercall:   UD2 "xen" CPUID, which the hypervisor emulates
 * Why:         CPUID does not trap without hardware help, so the plain form shows features that a
 *              guest may not use
 */
void platform_cpuid(uint32_t regs[4]);

struct file_ops;
struct page;
struct space;
struct platform_device {
    const char *name; /* in /dev/xen */
    unsigned device;
    const struct file_ops *ops;
};

/*
 * platform_devices - The files by which user 0's programs reach what the kernel runs on, ended by one
 * without a name.
 * Instruction: none: there are none
 * Hypercall:   first domain: those privcmd knows, and mmu_update, memory_op XENMEM_acquire_resource for its mappings;
 *              event_channel_op for evtchn; grant_table_op for gntdev
 * Why:         other domains are made, watched and ended by programs, not by kernels
 */
const struct platform_device *platform_devices(void);

/*
 * platform_store_page - The page by which the kernel would speak to a store that a process keeps, and
 * in *@port its event channel; NULL: no process does.
 * Instruction: none
 * Hypercall:   first domain: event_channel_op EVTCHNOP_alloc_unbound
 * Why:         the first domain's programs are the store of all domains
 */
struct page *platform_store_page(unsigned *port);

/*
 * platform_foreign_forget - The entries of [start, end) of @space that map other domains' memory are going
 * to be cleared.
 * Instruction: none
 * Hypercall:   grant_table_op GNTTABOP_unmap_grant_ref, for what those domains have granted
 * Why:         the hypervisor counts who has a granted frame, and is told by whoever lets go of it
 */
void platform_foreign_forget(struct space *space, uintptr_t start, uintptr_t end);

/*
 * platform_disks_start - Find the disks that the machine has, and register them (kernel/block/block.h); those that
 * other domains serve come later, found by a task.
 * Instruction: none: it drives none
 * Hypercall:   IN and OUT to PCI's configuration ports, which trap and are passed on to a domain with the
 *              hardware role; for its interrupts physdev_op PHYSDEVOP_map_pirq and event_channel_op
 *              EVTCHNOP_bind_pirq; for other domains' disks grant_table_op GNTTABOP_setup_table and
 *              event_channel_op EVTCHNOP_alloc_unbound
 * Why:         the devices are the domain's, who gets which interrupt is the hypervisor's to decide; other domains
 *              reach this one's memory by its leave
 */
void platform_disks_start(void);

/* ---- Processors --------------------------------------------------------------------- */

/*
 * platform_cpu_count - How many CPUs there are, at most CPU_MAX; they are numbered from 0, and
 * the machine starts on that one.
 * Instruction: none: the local APICs that ACPI's table of interrupt controllers lists
 * Hypercall:   vcpu_op VCPUOP_is_up, for each number until there is no such virtual CPU
 * Why:         a PV guest has no firmware tables
 */
unsigned platform_cpu_count(void);

/*
 * platform_cpu_start - Have CPU @cpu call kernel_start_cpu(@cpu) on the stack that ends at @stack,
 * interrupts masked, in the kernel's own address space; -errno if it cannot be started.
 * Instruction: stores to the local APIC's interrupt command register: INIT, then STARTUP with the
 *              page where 16-bit code waits
 * Hypercall:   vcpu_op VCPUOP_initialise with all registers, tables and entry points, then
 *              VCPUOP_up
 * Why:         a virtual CPU begins in 64-bit mode with what it is given; there is nothing to climb
 *              out of
 */
MUST_CHECK int platform_cpu_start(unsigned cpu, void *stack);

/*
 * platform_cpu_kick - Have cpu_interrupt called on CPU @cpu, soon.
 * Instruction: store to the local APIC's interrupt command register
 * Hypercall:   event_channel_op EVTCHNOP_send, to a port made by EVTCHNOP_bind_ipi
 * Why:         the APIC belongs to the hypervisor
 */
void platform_cpu_kick(unsigned cpu);

/*
 * platform_cpu_stop_others - Let no other CPU run ever again, whatever it is doing.
 * Instruction: store to the local APIC's interrupt command register: a non-maskable interrupt,
 *              whose handler halts
 * Hypercall:   vcpu_op VCPUOP_down
 * Why:         the hypervisor takes the processor away, nobody needs to consent
 */
void platform_cpu_stop_others(void);

/*
 * platform_relax - One turn of a loop that waits for another CPU; @turns counts them from 0.
 * Instruction: PAUSE; and what other CPUs ask by interrupt, TLB flushes, is done here, because
 *              interrupts are masked
 * Hypercall:   none for a while: PAUSE; then sched_op SCHEDOP_poll without a port, to sleep some
 *              microseconds
 * Why:         the CPU that is waited for may be waiting itself, for the processor that this one
 *              uses up
 */
void platform_relax(unsigned turns);

/* ---- Time ------------------------------------------------------------------------- */

/*
 * platform_time - Nanoseconds since boot, never going back, on no CPU.
 * Instruction: RDTSC, scaled by what the PIT calibrated
 * Hypercall:   none: RDTSC, scaled by the vcpu_time_info that the hypervisor keeps in shared
 *              memory
 * Why:         a guest cannot calibrate a clock while others may run; the hypervisor can
 */
uint64_t platform_time(void);

/*
 * platform_time_of_day - Nanoseconds since 1970 at platform_time() == 0.
 * Instruction: IN from the real-time clock
 * Hypercall:   none: wc_sec and wc_nsec in shared_info
 * Why:         the real-time clock belongs to the hypervisor
 */
uint64_t platform_time_of_day(void);

/*
 * platform_timer_set - Have timer_interrupt called on this CPU once at @deadline
 * (platform_time); ~0 is never.  Each call replaces the last.
 * Instruction: store to the local APIC's initial-count register
 * Hypercall:   vcpu_op VCPUOP_set_singleshot_timer, answered by VIRQ_TIMER
 * Why:         the APIC belongs to the hypervisor, which multiplexes it among all virtual CPUs
 */
void platform_timer_set(uint64_t deadline);

/*
 * platform_interrupts_take - Let in the interrupts that have come while they were masked; masked
 * before and after.
 * Instruction: STI; NOP; CLI
 * Hypercall:   if the upcall_pending byte in shared memory says so: clear the mask there, and any
 *              call, xen_version for one, since all end with a look at pending events
 * Why:         STI and CLI do nothing in a guest's kernel, or trap; a byte of shared memory is the
 *              mask
 */
void platform_interrupts_take(void);

/*
 * platform_idle - Sleep until the next interrupt has been handled; masked before and after.
 * Instruction: STI; HLT; CLI
 * Hypercall:   sched_op SCHEDOP_block
 * Why:         HLT is privileged; block unmasks and sleeps in one step, so that no wakeup is lost
 *              between the two
 */
void platform_idle(void);

/* ---- Entering and leaving a process ------------------------------------------------ */

/*
 * platform_return - Continue what @frame describes, unmasking interrupts as its rflags say.
 * Instruction: SYSRET after a system call, else IRETQ
 * Hypercall:   iret
 * Why:         going to a process changes page tables and mode, which only the hypervisor can do;
 *              unmasking must be one step with leaving
 */
NORETURN void platform_return(struct frame *frame);

/*
 * platform_fault_address - The address whose access raised the last page fault.
 * Instruction: MOV from CR2
 * Hypercall:   none: vcpu_info.arch.cr2 in shared memory
 * Why:         reading CR2 is privileged
 */
uintptr_t platform_fault_address(void);

/*
 * platform_kernel_stack - Queued.  Traps from a process arrive at @top from now on.
 * Instruction: store to RSP0 of the task-state segment
 * Hypercall:   stack_switch
 * Why:         the CPU's task-state segment is the hypervisor's
 */
void platform_kernel_stack(void *top);

/*
 * platform_user_bases - Queued.  The process's FS and GS segments start at @fs and @gs.
 * Instruction: WRMSR to FS_BASE and GS_BASE
 * Hypercall:   set_segment_base SEGBASE_FS and SEGBASE_GS_USER
 * Why:         WRMSR is privileged
 */
void platform_user_bases(uint64_t fs, uint64_t gs);

/*
 * platform_user_selectors_clear - Queued.  Make DS, ES, FS and GS null for the next process;
 * ahead of platform_user_bases.
 * Instruction: MOV to segment registers
 * Hypercall:   none for DS, ES, FS; set_segment_base SEGBASE_GS_USER_SEL for GS
 * Why:         MOV to GS acts on the active base, which is the kernel's there, since it cannot
 *              SWAPGS; the bare kernel leaves GS to the process but for three instructions
 */
void platform_user_selectors_clear(void);

/*
 * platform_fpu_enable - Let processes on this CPU use those of @wanted that the CPU has (bits of
 * XCR0: 0 x87, 1 SSE, 2 AVX), and the kernel save them by XSAVE; returns which, 0 if there is no
 * XSAVE.
 * Instruction: MOV to CR4, XSETBV
 * Hypercall:   none: the same two, which trap and are emulated, once when a CPU starts
 * Why:         it is the same, as Xen has no call for it
 */
uint64_t platform_fpu_enable(uint64_t wanted);

/* ---- Page tables -------------------------------------------------------------------- */

/*
 * platform_pte - The page-table entry that maps @page with @flags (PTE_*).
 * Instruction: none: pfn << 12, plus flags
 * Hypercall:   none: p2m[pfn] << 12, plus flags
 * Why:         page tables hold machine frames; the guest's own page numbers are translated by
 *              the guest (direct paging)
 */
pte_t platform_pte(pfn_t page, uint64_t flags);

/*
 * platform_pte_page - Which page a present entry maps.
 * Instruction: none: bits 12 to 51
 * Hypercall:   none: machine_to_phys_mapping, a read-only table that the hypervisor maps into
 *              every guest
 * Why:         the way back from machine frames
 */
pfn_t platform_pte_page(pte_t entry);

/*
 * platform_pte_write - Queued in protected tables, at once in others.  Store @entry to @slot.
 * Instruction: MOV
 * Hypercall:   mmu_update in a protected table; MOV in one that the hypervisor does not know yet
 * Why:         the hypervisor checks each entry of a live table, so a guest maps it read-only and
 *              asks
 */
void platform_pte_write(pte_t *slot, pte_t entry);

/*
 * platform_leaf_write - Queued.  As platform_pte_write, for the entry that maps @address in the
 * loaded address space; and on @cpus forget the cached translation of @address.
 * Instruction: MOV, INVLPG
 * Hypercall:   update_va_mapping
 * Why:         one call for what takes two otherwise, at every fault
 */
void platform_leaf_write(pte_t *slot, pte_t entry, uintptr_t address, cpus_t cpus);

/*
 * platform_table_protect - Queued.  @table is about to become reachable as a page table.
 * Instruction: none
 * Hypercall:   mmu_update: map the page read-only in the direct map
 * Why:         the hypervisor refuses a page table to which any writable mapping exists
 */
void platform_table_protect(pfn_t table);

/*
 * platform_table_unprotect - Queued.  @table is reachable no longer: make it ordinary memory, on
 * all CPUs.
 * Instruction: none
 * Hypercall:   mmu_update: map the page writable in the direct map; for the whole batch one
 *              mmuext_op MMUEXT_TLB_FLUSH_MULTI
 * Why:         the reverse of platform_table_protect
 */
void platform_table_unprotect(pfn_t table);

/*
 * The top of a process's tables.  A PV guest needs two: its kernel and its
 * processes share ring 3, so only different tables keep them apart.
 */
struct platform_root {
    pfn_t kernel, user;
};

/*
 * platform_root_create - Make top-level tables with the kernel's half filled in; -ENOMEM if
 * there is no page.
 * Instruction: none: one zeroed table with the kernel's 256 entries
 * Hypercall:   none: one such table and an empty one for user mode
 * Why:         paging's supervisor bit cannot protect the kernel when both run in ring 3
 */
MUST_CHECK int platform_root_create(struct platform_root *root);

/*
 * platform_root_get - The entry of the user half that covers index @index.
 * Instruction: none: MOV
 * Hypercall:   none: MOV
 * Why:         reading a table is never privileged
 */
pte_t platform_root_get(const struct platform_root *root, unsigned index);

/*
 * platform_root_set - As platform_pte_write, for an entry of the user half.
 * Instruction: MOV
 * Hypercall:   mmu_update of both tables
 * Why:         the user half exists twice
 */
void platform_root_set(const struct platform_root *root, unsigned index, pte_t entry);

/*
 * platform_root_activate - Queued.  The tree is complete and all tables below the root are
 * protected: allow it to be loaded.
 * Instruction: none
 * Hypercall:   mmuext_op MMUEXT_PIN_L4_TABLE for both tables
 * Why:         pinned, the tree is checked once, not at every load
 */
void platform_root_activate(const struct platform_root *root);

/*
 * platform_root_retire - Queued.  The tree is loaded on no CPU and will not be loaded again.
 * Instruction: none
 * Hypercall:   mmuext_op MMUEXT_UNPIN_TABLE for both tables, then as platform_table_unprotect
 * Why:         its pages cannot be written while they are page tables
 */
void platform_root_retire(const struct platform_root *root);

/*
 * platform_root_free - Give back a retired (or never activated) root's own pages, after a
 * commit.
 * Instruction: none
 * Hypercall:   none
 * Why:         it is the same
 */
void platform_root_free(const struct platform_root *root);

/*
 * platform_root_load - Queued.  Make @root this CPU's address space; NULL is the kernel alone.
 * Loading forgets cached translations of the process.
 * Instruction: MOV to CR3
 * Hypercall:   mmuext_op MMUEXT_NEW_BASEPTR and MMUEXT_NEW_USER_BASEPTR
 * Why:         MOV to CR3 is privileged; the second root is used whenever the CPU is in user mode
 */
void platform_root_load(const struct platform_root *root);

/*
 * platform_tlb_flush - Queued.  On @cpus, forget every cached translation.
 * Instruction: MOV to CR3; on other CPUs by interrupt, waiting until all have answered but the
 *              idle ones, which do it when they wake up
 * Hypercall:   mmuext_op MMUEXT_TLB_FLUSH_LOCAL, or MMUEXT_TLB_FLUSH_MULTI for other CPUs
 * Why:         MOV to CR3 is privileged; only the hypervisor knows which virtual CPUs have a
 *              processor, and only those have a TLB
 */
void platform_tlb_flush(cpus_t cpus);

/*
 * platform_tlb_flush_page - Queued.  On @cpus, forget the cached translation of @address.
 * Instruction: INVLPG; on other CPUs as platform_tlb_flush
 * Hypercall:   mmuext_op MMUEXT_INVLPG_LOCAL, or MMUEXT_INVLPG_MULTI for other CPUs
 * Why:         as platform_tlb_flush
 */
void platform_tlb_flush_page(cpus_t cpus, uintptr_t address);

/*
 * platform_commit - Everything queued has taken effect when this returns.
 * Instruction: none
 * Hypercall:   multicall
 * Why:         entering the hypervisor costs more than most of what is asked there
 */
void platform_commit(void);
