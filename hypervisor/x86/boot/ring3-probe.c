/*
 * Does this machine keep ring 3 from what is not its own?
 *
 * Everything that the hypervisor promises about hostile programs rests on that.  A processor keeps
 * it. An emulator may not: QEMU's TCG up to 7.2 at least reads the stack of a far return or IRET,
 * and writes that of a far call, with ring 0's rights in whatever ring they are executed; and its
 * IRETD takes VM from the popped flags in ring 3, and IOPL and IF with it.  We cannot close such a
 * hole (README, "What isolates"), so boot tries, and says what it found.
 *
 * Each try is one instruction on a page that ring 3 may use, which exists only here.  It ends in an
 * exception; an interrupt table of our own, in force meanwhile, brings that back to ring3_run().
 *
 *   PROBE_CODE   the instruction; a UD2 in the middle of the page and nothing else
 *   PROBE_STACK  the stack of tries that need one, and far pointers
 *   bait         the hypervisor's: selectors that no table has, and what a call would overwrite
 */
#include "guest.h"
#include "machine.h"

#define PROBE_PAGE    0x400000ull
#define PROBE_CODE    PROBE_PAGE
#define PROBE_LANDING (PROBE_PAGE + 0x800)
#define PROBE_STACK   (PROBE_PAGE + 0xc00)

#define BAIT_SELECTOR \
    0xf120ull /* beyond the GDT's limit: to load it is #GP with this error code \
                                 */

/* --- into ring 3 and back -------------------------------------------------------------------- */

struct ring3_end {
    uint64_t error, rip, cs, rflags, rsp, ss;
};
extern const char ring3_back_ud[], ring3_back_ss[], ring3_back_gp[], ring3_back_pf[];
extern uint64_t ring3_stack;
uint64_t ring3_stack;

/*
 * Run ring 3 at @rip with @rsp and rdi = @rdi, interrupts off, until it raises #UD, #SS, #GP or
 * #PF; the vector. Stack on the way back: the exception's IST, error rip cs rflags rsp ss
 */
uint64_t ring3_run(uint64_t rip, uint64_t rsp, uint64_t rdi, struct ring3_end *end);
__asm__(".pushsection .text\n"
        "ring3_run:\n\t"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rcx\n\t"
        "mov %rsp, ring3_stack(%rip)\n\t"
        "push $0xe02b; push %rsi; push $2; push $0xe033; push %rdi\n\t"
        "mov %rdx, %rdi\n\t"
        "iretq\n"
        "ring3_back_ud: push $0; mov $6, %eax; jmp 1f\n"
        "ring3_back_ss: mov $12, %eax; jmp 1f\n"
        "ring3_back_gp: mov $13, %eax; jmp 1f\n"
        "ring3_back_pf: mov $14, %eax\n"
        "1:\tmov %rsp, %rsi\n\t"
        "mov ring3_stack(%rip), %rsp\n\t"
        "mov $0xe010, %ecx; mov %ecx, %ss; mov %ecx, %ds; mov %ecx, %es\n\t"
        "pop %rdi\n\t"
        "mov $6, %ecx; cld; rep movsq\n\t"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n\t"
        "ret\n"
        ".popsection");
_Static_assert(SEL_GUEST_DS == 0xe02b && SEL_GUEST_CS64 == 0xe033 && SEL_HYP_DS == 0xe010,
               "ring3_run");
_Static_assert(sizeof(struct ring3_end) == 6 * 8 && VECTOR_UD == 6 && VECTOR_SS == 12, "ring3_run");

/* --- the tries ------------------------------------------------------------------------------- */

static volatile uint64_t bait[4];

static bool took_bait(uint64_t vector, const struct ring3_end *end)
{
    return vector == VECTOR_GP && end->error == BAIT_SELECTOR;
}

/* Far return: rip and cs from the stack. */
static bool far_return_reads(uint8_t *code)
{
    struct ring3_end end;
    memcpy(code, "\x48\xcb", 2);
    return took_bait(ring3_run(PROBE_CODE, (uint64_t)bait, 0, &end), &end);
}

/* IRETQ: the same two words, and three more. */
static bool iret_reads(uint8_t *code)
{
    struct ring3_end end;
    memcpy(code, "\x48\xcf", 2);
    return took_bait(ring3_run(PROBE_CODE, (uint64_t)bait, 0, &end), &end);
}

/* A far call by way of rdi: cs and rip to the stack. */
static bool far_call_writes(uint8_t *code)
{
    struct ring3_end end;
    memcpy(code, "\x48\xff\x1f", 3);
    uint64_t *pointer = (uint64_t *)(code + (PROBE_STACK - PROBE_PAGE));
    pointer[0] = PROBE_LANDING;
    pointer[1] = SEL_GUEST_CS64;
    (void)ring3_run(PROBE_CODE, (uint64_t)&bait[4], PROBE_STACK, &end);
    return bait[2] || bait[3];
}

/* IRETD with VM in the popped flags. */
static bool iretd_enters_vm86(uint8_t *code)
{
    const uint32_t frame[9] = {(uint32_t)PROBE_LANDING, SEL_GUEST_CS64, RFLAGS_VM | 2,
                               (uint32_t)PROBE_STACK, SEL_GUEST_DS};
    struct ring3_end end;
    code[0] = 0xcf;
    memcpy(code + (PROBE_STACK - PROBE_PAGE), frame, sizeof(frame));
    (void)ring3_run(PROBE_CODE, PROBE_STACK, 0, &end);
    return end.rflags & RFLAGS_VM;
}

/* --- around them ----------------------------------------------------------------------------- */

enum { TABLES = 3, PAGES = TABLES + 2 };

/* What the tries need: three tables, ring 3's page, an interrupt table.  False: no memory. */
static bool pages_take(uint8_t *page[PAGES])
{
    for (unsigned i = 0; i < PAGES; i++)
        page[i] = page_alloc_zeroed(0);
    return page[PAGES - 1];
}

static void pages_give(uint8_t *page[PAGES])
{
    for (unsigned i = 0; i < PAGES; i++)
        if (page[i])
            page_free_virt(page[i], 0);
}

static void ring3_map(uint8_t *page[PAGES])
{
    const uint64_t flags = PTE_P | PTE_RW | PTE_US | PTE_A;
    uint64_t *entry = &hypervisor_l4[pt_index(PROBE_PAGE, 4)];

    for (unsigned i = 0; i <= TABLES; i++) {
        *entry = mfn_to_maddr(virt_to_mfn(page[i])) | flags | (i == TABLES ? PTE_D : 0);
        entry = i < TABLES ? (uint64_t *)page[i] + pt_index(PROBE_PAGE, 3 - (int)i) : NULL;
    }
}

static void say(bool reads, bool writes, bool vm86)
{
    if (reads || writes || vm86)
        printk("emulator: programs are NOT isolated: ring 3%s%s%s%s%s%s\n", reads ? " reads" : "",
               reads && writes ? " and" : "", writes ? " writes" : "",
               reads || writes ? " any memory (far RET, IRET, CALL)" : "",
               (reads || writes) && vm86 ? " and" : "",
               vm86 ? " enters virtual-8086 mode (IRETD)" : "");
}

void ring3_probe(void)
{
    uint8_t *page[PAGES];

    if (!pages_take(page)) {
        pages_give(page);
        return;
    }
    const uint64_t was = hypervisor_l4[pt_index(PROBE_PAGE, 4)], fs_base = rdmsr(MSR_FS_BASE);
    uint8_t *code = page[TABLES];
    ring3_map(page);
    idt_divert(page[TABLES + 1], (const struct idt_diversion[]){{VECTOR_UD, ring3_back_ud},
                                                                {VECTOR_SS, ring3_back_ss},
                                                                {VECTOR_GP, ring3_back_gp},
                                                                {VECTOR_PF, ring3_back_pf},
                                                                {0, NULL}});
    arch_tlb_flush_local();

    memcpy(code + (PROBE_LANDING - PROBE_PAGE), "\x0f\x0b", 2);
    bait[1] = BAIT_SELECTOR;
    bool reads = far_return_reads(code);
    reads |= iret_reads(code);
    const bool writes = far_call_writes(code), vm86 = iretd_enters_vm86(code);

    idt_load();
    hypervisor_l4[pt_index(PROBE_PAGE, 4)] = was;
    wrmsr(MSR_FS_BASE, fs_base);
    arch_tlb_flush_local();
    pages_give(page);
    say(reads, writes, vm86);
}
