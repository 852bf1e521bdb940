/*
 * The physical machine: what boot finds and sets up, and how it ends.  Used by x86/ only.
 */
#pragma once

#include "arch.h"
#include "lib.h"
#include "verdict.h"

/* --- instructions ---------------------------------------------------------------------------- */

#define MSR_APIC_BASE      0x0000001b
#define MSR_SYSENTER_CS    0x00000174
#define MSR_SYSENTER_ESP   0x00000175
#define MSR_SYSENTER_EIP   0x00000176
#define MSR_PAT            0x00000277
#define MSR_TSC_DEADLINE   0x000006e0
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_FMASK          0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NX  BIT(11)

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_PG BIT(31)

#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_FSGSBASE   BIT(16)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)

/* The PAT that the PV ABI promises: WB WT UC- UC WC WP UC UC (entries 0..7). */
#define PAT_ABI 0x0000050100070406ull

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(subleaf));
}

#define CONTROL_REGISTER(name)                                        \
    static inline uint64_t read_##name(void)                          \
    {                                                                 \
        uint64_t value;                                               \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value));        \
        return value;                                                 \
    }                                                                 \
    static inline void write_##name(uint64_t value)                   \
    {                                                                 \
        __asm__ volatile("mov %0, %%" #name ::"r"(value) : "memory"); \
    }
CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
#undef CONTROL_REGISTER

/* --- memory.c: the loader's memory map, boot-time allocation, frame table -------------------- */

struct ram_range {
    uint64_t start, end; /* machine addresses, whole pages */
};
#define MAX_RAM_RANGES 64
extern struct ram_range ram[MAX_RAM_RANGES]; /* ascending, disjoint */
extern unsigned ram_count;

/* Note usable RAM; ranges may come in any order.  memory_map_done() sorts and merges. */
void memory_map_add(uint64_t start, uint64_t end);
void memory_map_done(void);
/* Keep [start, end) out of the allocator's hands. */
void memory_reserve(uint64_t start, uint64_t end);
/* The loader has put something there: no memory up to its end is taken for zero. */
void memory_loader_used(uint64_t start, uint64_t size);
/* Does RAM hold zeroes where neither firmware nor loader work?  Known when paging_init() has run.
 */
bool memory_is_zero(void);
/* @pages contiguous frames for good, zeroed, below machine address @limit; 0: none.  Before
 * memory_to_allocator(). */
uint64_t boot_alloc(uint64_t pages, uint64_t limit);
/* Build the frame table and the machine-to-phys table in the final address space. */
void frame_table_init(void);
/* What is left becomes the page allocator's. */
void memory_to_allocator(void);

/* --- paging.c (also see guest.h) ------------------------------------------------------------- */

/* Build and load the final address space. */
void paging_init(void);
/* Nothing writes to page @va of the image any more: read-only from now on, in both places. */
void paging_protect(const void *va);
#define PTE_OUR_DATA (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
/* Give the frames of boot.S's tables to the allocator. */
void paging_free_boot_tables(void);
/* The entry of @va in the table of @level; tables are made as needed; NULL: out of memory. */
uint64_t *hyp_entry(uint64_t va, int level);
/* The lower half of our address space goes to @l4, the table of starting CPUs (smp.c). */
void hyp_move_low(uint64_t *l4);
/* A page for the hypervisor's tables, zeroed, as memory; NULL: none. */
uint64_t *hyp_table_alloc(void);

/* --- cpu.c ----------------------------------------------------------------------------------- */

/* The area of CPU @cpu: frames, mappings, descriptor tables.  -XEN_ENOMEM. */
int cpu_area_init(unsigned cpu, uint32_t apic_id);
/* @idle is what CPU @cpu runs. */
void cpu_set_idle(unsigned cpu, struct vcpu *idle);
/* Load it all into the CPU that executes this. */
void cpu_load(unsigned cpu);
void idt_init(void);
bool idt_is_loaded(void); /* the CPU's IDTR names it */
void idt_load(void);
/* Load a copy of the interrupt table, made in @page, in which some exceptions of this CPU go
 * elsewhere (to the first without an entry), on the stack of #DB.  idt_load() ends it. */
struct idt_diversion {
    unsigned vector;
    const char *entry;
};
void idt_divert(void *page, const struct idt_diversion *to);
/* Look for what the emulator gets wrong, and say so. */
void cpu_probe_quirks(void);
/* Is ring 3 kept from what is not its own?  Say so if not.  CPU 0, at boot (ring3-probe.c). */
void ring3_probe(void);
extern bool cpu_is_tcg;
extern bool cpu_takes_any_base; /* WRFSBASE and WRGSBASE take addresses that are not canonical */
/* Ends the machine with a sentence if this CPU lacks something without which nothing here works. */
void cpu_check(void);
bool cpu_vendor_is_amd(void); /* or Hygon; cpuid.c keeps the answer */

/* Given by entry.S. */
extern const uint64_t idt_entry[256]; /* addresses of stubs, each of this size */
#define IDT_STUB_SIZE 16
extern const char trampoline[], trampoline_syscall32[], trampoline_sysenter[],
    trampoline_sysenter_saved[];

/* --- lapic.c --------------------------------------------------------------------------------- */

enum interrupt_vector {
    INTERRUPT_PIC_FIRST = 0x20, /* the masked PICs' spurious ones: 16 */
    INTERRUPT_SERIAL = 0x30,    /* one for each port: 0x30, 0x31 */
    INTERRUPT_LINE = 0x40,      /* lines.c: one for each, up to 0x7f */
    INTERRUPT_TIMER = 0x88,
    INTERRUPT_KICK = 0x89,
    INTERRUPT_MESSAGE = 0x90, /* messages.c: one for each, up to 0xef */
    /* From here on only what may be served while any lock but the serial line's is held (lapic_halt).  A kick is not: it may be an
     * NMI, which somebody is to be told. */
    INTERRUPT_AT_ANY_TIME = 0xf0,
    INTERRUPT_FLUSH = 0xf2,
    INTERRUPT_STOP = 0xf3, /* the machine ends: halt */
    INTERRUPT_ERROR = 0xfe,
    INTERRUPT_SPURIOUS = 0xff,
};

void lapic_map(void);  /* once */
void lapic_init(void); /* each CPU */
uint32_t lapic_id(void);
uint32_t lapic_timer_count(void);
void lapic_timer_start(uint32_t ticks); /* 0 stops */
void lapic_timer_mode(uint32_t mode);   /* LAPIC_TIMER_* */
/* Halt until another CPU asks for a flush, or has served ours; all other interrupts wait.  Interrupts are off, before and after. */
void lapic_halt(void);
#define LAPIC_TIMER_ONESHOT  0u
#define LAPIC_TIMER_DEADLINE (2u << 17)
void lapic_ipi(uint32_t apic_id, uint8_t vector);
void lapic_ipi_self(uint8_t vector);
void lapic_init_ipi(uint32_t apic_id);
void lapic_startup_ipi(uint32_t apic_id, uint64_t entry);

/* --- ioapic.c -------------------------------------------------------------------------------- */

void pic_mask(void);
void ioapic_init(void);
unsigned ioapic_pins(void);
uint32_t ioapic_register(unsigned index);
/* For lines.c, under its lock: @vector goes to @cpu when @pin is signalled, from now on. */
void ioapic_route(unsigned pin, uint8_t vector, unsigned cpu, bool level, bool low);
/* The same, but for where it goes: an edge that comes meanwhile is not lost. */
void ioapic_aim(unsigned pin, unsigned cpu);
void ioapic_mask(unsigned pin);
void ioapic_unmask(unsigned pin);

/* --- acpi.c ---------------------------------------------------------------------------------- */

struct acpi_info {
    bool found;
    uint64_t lapic;           /* machine address of the registers */
    uint64_t ioapic;          /* the one that serves GSI 0 */
    uint32_t all_ioapics[16]; /* registers of each */
    unsigned ioapics;
    struct pci_ecam {
        uint64_t address; /* of bus 0, which need not be in it */
        uint16_t segment;
        uint8_t first_bus, last_bus;
    } ecam[8]; /* where PCI configuration space can be seen in memory */
    unsigned ecams;
    uint64_t hpet;              /* registers of the high-precision timers; 0: none */
    uint32_t isa_gsi[16];       /* where ISA interrupts go */
    uint16_t isa_flags[16];     /* MPS flags: polarity, trigger */
    uint8_t acpi_id[MAX_CPUS];  /* the firmware's number of each of these */
    uint32_t apic_id[MAX_CPUS]; /* of enabled processors, the boot CPU among them */
    unsigned cpus;
    uint16_t pm_timer; /* port; 0: none */
    uint16_t pm1a_control, pm1b_control;
    uint8_t s5_a, s5_b; /* SLP_TYP of soft-off */
    bool has_s5;
    uint8_t reset_space; /* 0 memory, 1 port, 0xff none */
    uint64_t reset_address;
    uint8_t reset_value;
};
extern struct acpi_info acpi;
void acpi_init(void);

/* --- time.c ---------------------------------------------------------------------------------- */

void time_init_cpu(void); /* on every other CPU */
void time_init(void);     /* calibrates TSC and LAPIC timer; system time 0 is now */
/* After the others have started: the longest turn of a busy CPU (TURN_MAX). */
void time_cpus_online(void);

/* --- serial.c -------------------------------------------------------------------------------- */

void serial_init(void);          /* output works from here */
void serial_interrupts_on(void); /* input, too */
void serial_interrupt(unsigned port);
void serial_drain(void); /* wait until everything is out (bounded) */

/* --- machine.c ------------------------------------------------------------------------------- */

/* This CPU does nothing any more. */
noreturn_ void cpu_halt(void);

/* --- smp.c ----------------------------------------------------------------------------------- */

void smp_boot_cpu_online(void);
void smp_start_others(void);

/* --- start.c --------------------------------------------------------------------------------- */

noreturn_ void hypervisor_main(uint32_t multiboot_info);

/* The image (paravane.lds). */
extern const char image_start[], text_end[], rodata_start[], rodata_end[], data_start[], bss_end[];
extern char boot_only_start[], boot_only_end[];

static inline uint64_t image_phys(const void *va)
{
    return (uint64_t)va - IMAGE_VIRT + IMAGE_PHYS;
}
