/*
 * One physical CPU: its area, descriptor tables, control registers and system-call entry.
 *
 * The area (layout.h, percpu.h) holds the SYSCALL trampoline, struct percpu, page 14 of every GDT
 * that this CPU uses, and the stacks of the four exceptions that must not trust the running one.
 */
#include "machine.h"
#include "guest.h"

bool cpu_is_tcg, cpu_takes_any_base;

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

/* --- interrupt descriptor table: one for all CPUs -------------------------------------------- */

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "Intel SDM volume 3, 6.14.1");

static struct gate idt[256] __attribute__((aligned(4096)));
_Static_assert(sizeof(idt) - 1 == IDT_LIMIT, "");

enum ist { IST_NONE, IST_NMI, IST_DF, IST_MC, IST_DB };

static uint8_t ist_of(unsigned vector)
{
    switch (vector) {
    case VECTOR_NMI:
        return IST_NMI;
    case VECTOR_DF:
        return IST_DF;
    case VECTOR_MC:
        return IST_MC;
    case VECTOR_DB:
        return IST_DB;
    default:
        return IST_NONE;
    }
}

static struct gate gate_to(uint64_t entry, unsigned ist, unsigned dpl)
{
    return (struct gate){
        .offset_low = (uint16_t)entry,
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
        .selector = SEL_HYP_CS,
        .ist = (uint8_t)ist,
        .type = (uint8_t)(0x8e | dpl << 5), /* present, 64-bit interrupt gate */
    };
}

void idt_init(void)
{
    for (unsigned v = 0; v < 256; v++) {
        /* Ring 3 may execute int3 and into; any other `int n` arrives as #GP and is
         * delivered from there (ABI: trap table with DPL). */
        idt[v] = gate_to(idt_entry[v], ist_of(v), v == VECTOR_BP || v == 4 ? 3 : 0);
    }
    paging_protect(idt);
}

void idt_load(void)
{
    const struct table_register idtr = {.limit = IDT_LIMIT, .base = (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

void idt_divert(void *page, const struct idt_diversion *to)
{
    const struct table_register idtr = {.limit = IDT_LIMIT, .base = (uint64_t)page};
    struct gate *table = page;

    memcpy(table, idt, sizeof(idt));
    for (; to->entry; to++)
        table[to->vector] = gate_to((uint64_t)to->entry, IST_DB, 0);
    __asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

bool idt_is_loaded(void)
{
    struct table_register now;

    __asm__ volatile("sidt %0" : "=m"(now));
    return now.base == (uint64_t)idt && now.limit == sizeof(idt) - 1;
}

/* --- segment descriptors --------------------------------------------------------------------- */

#define DESCRIPTOR_CODE64(dpl) (0x00af9b000000ffffull | (uint64_t)(dpl) << 45)
#define DESCRIPTOR_CODE32(dpl) (0x00cf9b000000ffffull | (uint64_t)(dpl) << 45)
#define DESCRIPTOR_DATA(dpl)   (0x00cf93000000ffffull | (uint64_t)(dpl) << 45)
#define DESCRIPTOR_TSS         0x89ull

/* Slot of @selector in GDT page 14. */
static unsigned gdt_slot(unsigned selector)
{
    return (selector & 0xfff) / 8;
}

static void gdt_fill(uint64_t *gdt, const struct tss64 *tss)
{
    gdt[gdt_slot(SEL_HYP_CS)] = DESCRIPTOR_CODE64(0);
    gdt[gdt_slot(SEL_HYP_DS)] = DESCRIPTOR_DATA(0);
    gdt[gdt_slot(SEL_GUEST_CS32)] = DESCRIPTOR_CODE32(3);
    gdt[gdt_slot(SEL_GUEST_DS)] = DESCRIPTOR_DATA(3);
    gdt[gdt_slot(SEL_GUEST_CS64)] = DESCRIPTOR_CODE64(3);

    uint64_t base = (uint64_t)tss;
    gdt[gdt_slot(SEL_TSS)] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | DESCRIPTOR_TSS << 40 |
                             (base >> 24 & 0xff) << 56;
    gdt[gdt_slot(SEL_TSS) + 1] = base >> 32;
}

/* --- the area -------------------------------------------------------------------------------- */

static int map_fresh(uint64_t va, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++, va += PAGE_SIZE) {
        void *page = page_alloc_zeroed(0);
        if (!page || hyp_map(va, virt_to_mfn(page), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX))
            return -XEN_ENOMEM;
    }
    return 0;
}

/* entry.S writes the running vCPU to the top of these before C runs there. */
static const struct {
    enum ist ist;
    uint32_t offset;
} ist_stack[] = {{IST_NMI, PERCPU_IST_NMI},
                 {IST_DF, PERCPU_IST_DF},
                 {IST_MC, PERCPU_IST_MC},
                 {IST_DB, PERCPU_IST_DB}};

int cpu_area_init(unsigned cpu, uint32_t apic_id)
{
    uint64_t area = PERCPU_VIRT + cpu * PERCPU_STRIDE;
    if (hyp_map(area, maddr_to_mfn(image_phys(trampoline)), PTE_P | PTE_A) ||
        map_fresh(area + PERCPU_DATA, 1) || map_fresh(area + PERCPU_GDT, 1))
        return -XEN_ENOMEM;

    struct percpu *p = percpu_of(cpu);
    struct tss64 *tss = &p->tss;
    for (unsigned i = 0; i < ARRAY_SIZE(ist_stack); i++) {
        uint64_t stack = area + ist_stack[i].offset;
        if (map_fresh(stack, STACK_SIZE / PAGE_SIZE))
            return -XEN_ENOMEM;
        tss->ist[ist_stack[i].ist - 1] = stack + STACK_SIZE - STACK_TOP_RESERVE;
    }

    p->id = cpu;
    p->apic_id = apic_id;
    p->timer_deadline = ~0ull;
    p->gdt_mfn = *hyp_l1_entry(area + PERCPU_GDT) >> PAGE_SHIFT & (PTE_ADDR_MASK >> PAGE_SHIFT);
    tss->io_bitmap = sizeof(*tss); /* past the limit: no port is open */
    gdt_fill((uint64_t *)(area + PERCPU_GDT), tss);
    return 0;
}

void cpu_set_idle(unsigned cpu, struct vcpu *idle)
{
    struct percpu *p = percpu_of(cpu);
    p->current = p->idle = idle;
    p->stack_top = p->tss.rsp0 = idle->arch.area + VCPU_AREA_STACK + STACK_SIZE - STACK_TOP_RESERVE;
}

bool cpu_vendor_is_amd(void)
{
    uint32_t r[4];
    cpuid(0, 0, r);
    return r[1] == 0x68747541 || r[1] == 0x6f677948; /* "Auth", "Hygo" */
}

/* --- what it must have ----------------------------------------------------------------------- */

/* Of CPUID leaf 1 (@extended: 0x80000001), register edx.  Long mode, no-execute pages, PAE, MSRs and CMOV are asked for
 * by boot.S, which needs them first. */
static const struct {
    const char *name, *why;
    uint8_t bit;
    bool extended;
} needed[] = {
    {"fpu", "no floating-point unit", 0, false},
    {"tsc", "no time-stamp counter, from which guests compute the time", 4, false},
    {"cx8", "no CMPXCHG8B, which every 64-bit kernel expects", 8, false},
    {"apic", "no local APIC, from which timer interrupts come", 9, false},
    {"pat", "no page attribute table, which the ABI sets for guests", 16, false},
    {"fxsr", "no FXSAVE, with which a guest's FPU registers are kept", 24, false},
    {"sse", "no SSE, which every 64-bit program uses", 25, false},
    {"sse2", "no SSE2, which every 64-bit program uses", 26, false},
    {"syscall", "no SYSCALL, with which guests call the hypervisor", 11, true},
};

void cpu_check(void)
{
    uint32_t basic[4], extended[4];

    cpuid(1, 0, basic);
    cpuid(0x80000001, 0, extended);
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
        if (!((needed[i].extended ? extended : basic)[3] & BIT(needed[i].bit)))
            cannot_boot(VERDICT_BOOT, "this CPU has %s (feature %s)", needed[i].why,
                        needed[i].name);
}

/* --- loading it ------------------------------------------------------------------------------ */

static uint64_t cr4_for_this_cpu(void)
{
    uint32_t r1[4], r7[4] = {0};
    cpuid(0, 0, r7);
    uint32_t highest = r7[0];
    cpuid(1, 0, r1);
    memset(r7, 0, sizeof(r7));
    if (highest >= 7)
        cpuid(7, 0, r7);

    /* No PGE: the G bit is meaningless here.  No SMAP: guest_read() has no stac.
     */
    return CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | (r1[3] & BIT(7) ? CR4_MCE : 0) |
           (r1[2] & BIT(26) ? CR4_OSXSAVE : 0) | (r7[1] & BIT(0) ? CR4_FSGSBASE : 0) |
           (r7[1] & BIT(7) ? CR4_SMEP : 0) | (r7[2] & BIT(2) ? CR4_UMIP : 0);
}

static void load_tables(unsigned cpu)
{
    /* GDT pages 0..13 belong to a guest's view; none is loaded yet, and no selector used here
     * points there. */
    const struct table_register gdtr = {.limit = GDT_LIMIT,
                                        .base = PERCPU_VIRT + cpu * PERCPU_STRIDE + PERCPU_GDT -
                                                14 * PAGE_SIZE};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %2\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmov %3, %%ss\n\t"
                     "mov %4, %%ds\n\t"
                     "mov %4, %%es\n\t"
                     "ltr %w1\n\t"
                     "lldt %w4"
                     :
                     : "m"(gdtr), "r"(SEL_TSS), "i"(SEL_HYP_CS), "r"(SEL_HYP_DS), "r"(0)
                     : "rax", "memory");
}

/* Where CPU @cpu sees @label of the trampoline page. */
static uint64_t trampoline_of(unsigned cpu, const char *label)
{
    return PERCPU_VIRT + cpu * PERCPU_STRIDE + (uint64_t)(label - trampoline);
}

void cpu_load(unsigned cpu)
{
    struct percpu *p = percpu_of(cpu);

    load_tables(cpu);
    idt_load();
    p->cr4 = cr4_for_this_cpu();
    write_cr4(p->cr4);
    write_cr0(CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    wrmsr(MSR_PAT, PAT_ABI);

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NX);
    /* SYSCALL loads cs, ss from bits 47:32; SYSRET's cs is bits 63:48 plus 16, its ss plus 8. */
    wrmsr(MSR_STAR, (uint64_t)SEL_GUEST_CS32 << 48 | (uint64_t)SEL_HYP_CS << 32);
    wrmsr(MSR_LSTAR, trampoline_of(cpu, trampoline));
    wrmsr(MSR_CSTAR, trampoline_of(cpu, trampoline_syscall32));
    wrmsr(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF |
                         RFLAGS_VM | RFLAGS_AC);
    /* SEL_HYP_CS's ss is the next descriptor.  AMD's processors know SYSENTER in legacy mode only:
     * nothing there. */
    wrmsr(MSR_SYSENTER_CS, cpu_vendor_is_amd() ? 0 : SEL_HYP_CS);
    wrmsr(MSR_SYSENTER_ESP, p->tss.ist[IST_DB - 1]); /* replaced by the first instruction */
    wrmsr(MSR_SYSENTER_EIP, trampoline_of(cpu, trampoline_sysenter));
    arch_tlb_flush_local();
}

/* --- what the emulator gets wrong ------------------------------------------------- */

/* Does WRFSBASE accept an address that no real CPU would? */
static bool takes_noncanonical_base(void)
{
    if (!(read_cr4() & CR4_FSGSBASE))
        return false;
    uint64_t was = rdmsr(MSR_FS_BASE);
    __asm__ goto volatile("1: wrfsbase %0\n\t" FIXUP("1b", "%l[faults]")
                          :
                          : "r"(0x8000000000000000ull)
                          :
                          : faults);
    wrmsr(MSR_FS_BASE, was);
    return true;
faults:
    return false;
}

void cpu_probe_quirks(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    if (r[2] & BIT(31)) {
        cpuid(0x40000000, 0, r);
        cpu_is_tcg = !memcmp(&r[1], "TCGTCGTCGTCG", 12);
    }
    const bool bases = cpu_takes_any_base = takes_noncanonical_base();
    if (cpu_is_tcg || bases)
        printk("emulator: %s%s%s\n",
               cpu_is_tcg ? "TCG: SMAP stays off, `int n` is decoded from its bytes" : "",
               cpu_is_tcg && bases ? "; " : "",
               bases ? "WRFSBASE takes what is no address: guests do not have it" : "");
}
