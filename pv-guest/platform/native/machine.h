/*
 * What the files of platform/native share: the instructions that only ring 0
 * has, the CPUs, devices and the map of memory.
 */
#pragma once

#include "kernel/lib/base.h"
#include "kernel/memory/pte.h"
#include "platform/native/layout.h"

/* ---- Instructions ------------------------------------------------------------------ */

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t msr_read(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* ---- Memory (mmu.c) ---------------------------------------------------------------- */

#define PTE_LARGE  (1ul << 7) /* in an L2 entry: 2 MiB, no L1 below */
#define PTE_GLOBAL (1ul << 8) /* stays in the TLB when CR3 is written */
#define PTE_DEVICE (1ul << 4) /* not cached */

#define FOUR_GIB 0x100000000ul /* behind the hole that every PC has for its devices */

/* Take pages for page tables from @next on, and build the kernel's half, with
 * the RAM up to @low and from FOUR_GIB to @high in the direct map. */
void mmu_init(pfn_t next, uint64_t low, uint64_t high);
/* The first page that mmu_init and the mappings since have left. */
pfn_t mmu_first_free(void);
/* Map @size bytes of device registers or firmware tables; NULL when the window is full. */
void *device_map(uint64_t physical, size_t size);

/* Forget the process's cached translations on this CPU. */
void tlb_flush_here(void);
/* What CR3 holds while there is no process. */
uint64_t mmu_root(void);

/* ---- CPUs (cpu.c) ------------------------------------------------------------------ */

/* Room for CPU @number; -ENOMEM. */
MUST_CHECK int cpu_create(unsigned number);
/* Tables and registers of the CPU that calls: segments, traps, system calls. */
void cpu_init(unsigned number);
/* Which one that is; after cpu_init. */
unsigned cpu_number(void);

static inline NORETURN void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* ---- Several CPUs (smp.c) ----------------------------------------------------------- */

/* On the CPUs of @cpus but this one, forget the process's cached translations. */
void tlb_flush_others(cpus_t cpus);
/* Another CPU has stopped this one. */
bool smp_stopped(void);

/* ---- Start of day (boot.c) ---------------------------------------------------------- */

#define COMMAND_LINE_SIZE 1024

/* What a Multiboot 2 loader says at @list, in PVH's words. */
const struct hvm_start_info *multiboot_read(const void *list);

/* ---- What the machine is made of ---------------------------------------------------- */

struct acpi {
    unsigned cpus;
    uint8_t apic_id[CPU_MAX]; /* first that of the CPU which booted */
    uint64_t lapic, ioapic;
    uint32_t isa_gsi[16]; /* which pin of the IO-APIC an ISA interrupt comes in at */
    uint16_t isa_flags[16];
    uint16_t pm1a_control, s5; /* power off: write s5 to the port; 0: there is none */
};
extern struct acpi acpi;

/* Read the tables; without any, what every PC has is assumed. */
void acpi_init(uint64_t rsdp);

void serial_init(void);
void serial_interrupt_on(void);
void shutdown_init(const char *command_line);

/* ---- Interrupts and time ------------------------------------------------------------ */

void apic_init(void);     /* the machine's interrupt controllers */
void apic_init_cpu(void); /* this CPU's own */
uint8_t apic_id(void);
void apic_interrupt(unsigned cpu, uint8_t vector); /* interrupt that CPU */
void apic_start(unsigned cpu, bool again);         /* wake it up at AP_START */
void apic_stop_others(void);                       /* by NMI */
void apic_end(void);                               /* of the interrupt that is being served */
void apic_route(unsigned isa_interrupt, uint8_t vector);
void apic_timer_start(uint32_t ticks);
uint32_t apic_timer_left(void);

void time_init(void);
