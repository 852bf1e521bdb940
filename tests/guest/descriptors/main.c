/*
 * Question: which descriptors may a guest have in its GDT and LDT, and do the
 * accepted ones work?
 *
 * The guest's descriptor pages are used by the processor itself, so a bad
 * descriptor is a way into ring 0.  Every page is checked as a whole when it
 * becomes a descriptor table, cannot be mapped writable while it is one, and
 * is then changed by update_descriptor only.  DPL is raised to 3: the guest's
 * "kernel" runs there.
 */
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

COVERS_CALL(set_gdt);
COVERS_CALL(update_descriptor);
COVERS(mmuext_op, MMUEXT_SET_LDT);

#define DPL(n)  ((uint64_t)(n) << 45)
#define DESC_P  (1ul << 47)
#define DESC_S  (1ul << 44) /* code or data, not a system descriptor */
#define TYPE(t) ((uint64_t)(t) << 40)
#define DATA_RW (TYPE(3) | DESC_S | DESC_P | 0x00cf00000000ffff)
#define CODE_32 (TYPE(11) | DESC_S | DESC_P | 0x00cf00000000ffff)
#define CODE_64 (TYPE(11) | DESC_S | DESC_P | 0x00af00000000ffff)

static const struct {
    const char *name;
    uint64_t descriptor;
    bool good;
    uint64_t stored; /* what reads back if good */
} cases[] = {
    {"null", 0, true, 0},
    {"data, DPL 3", DATA_RW | DPL(3), true, DATA_RW | DPL(3)},
    {"data, DPL 0", DATA_RW, true, DATA_RW | DPL(3)},
    {"data, DPL 1", DATA_RW | DPL(1), true, DATA_RW | DPL(3)},
    {"32-bit code, DPL 3", CODE_32 | DPL(3), true, CODE_32 | DPL(3)},
    {"64-bit code, DPL 0", CODE_64, true, CODE_64 | DPL(3)},
    {"code with L and D", CODE_64 | 1ul << 54 | DPL(3), true, CODE_64 | 1ul << 54 | DPL(3)},
    {"conforming code", (CODE_64 & ~TYPE(15)) | TYPE(14), true,
     (CODE_64 & ~TYPE(15)) | TYPE(14) | DPL(3)},
    {"not present data, DPL 0", DATA_RW & ~DESC_P, true, DATA_RW & ~DESC_P},
    {"not present system", TYPE(9), true, TYPE(9)},
    {"system type 0, present", DESC_P, true, DESC_P},
    {"16-bit TSS", DESC_P | TYPE(1), false, 0},
    {"LDT", DESC_P | TYPE(2), false, 0},
    {"busy TSS", DESC_P | TYPE(11), false, 0},
    {"TSS", DESC_P | TYPE(9), false, 0},
    {"task gate", DESC_P | TYPE(5), false, 0},
    {"interrupt gate", DESC_P | TYPE(14), false, 0},
    {"trap gate", DESC_P | TYPE(15), false, 0},
    {"reserved type 8", DESC_P | TYPE(8), false, 0},
};

static uint64_t *gdt;

static void test_set_gdt(void)
{
    unsigned long frames[16] = {page_mfn(gdt)};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        page_protect(gdt, PTE_RW);
        gdt[7] = cases[i].descriptor;
        page_protect(gdt, PTE_RO);
        tap_is(hypercall_set_gdt(frames, 512), cases[i].good ? 0 : -XEN_EINVAL, "set_gdt: %s",
               cases[i].name);
        if (cases[i].good)
            tap_is_hex(gdt[7], cases[i].stored, "set_gdt: %s, as stored", cases[i].name);
        hypercall_set_gdt(frames, 0);
    }
    page_protect(gdt, PTE_RW);
    gdt[7] = 0;
    tap_is(hypercall_set_gdt(frames, 512), -XEN_EINVAL, "set_gdt: a page mapped writable");
    page_protect(gdt, PTE_RO);
    tap_is(hypercall_set_gdt(frames, 14 * 512 + 1), -XEN_EINVAL, "set_gdt: 7169 entries");
    tap_is(hypercall_set_gdt(frames, ~0u), -XEN_EINVAL, "set_gdt: ~0 entries");
    tap_is(hypercall_set_gdt((void *)0x1000, 512), -XEN_EFAULT, "set_gdt: an unmapped list");
    for (unsigned i = 0; i < 16; i++)
        frames[i] = page_mfn(gdt);
    tap_is(hypercall_set_gdt(frames, 14 * 512), 0, "set_gdt: one frame fourteen times");
    frames[1] = memory_root_mfn();
    tap_is(hypercall_set_gdt(frames, 1024), -XEN_EINVAL,
           "set_gdt: the second frame is a page table");
    tap_is(page_protect(gdt, PTE_RW), -XEN_EBUSY, "set_gdt: the old one is still in use");
    frames[1] = 0xffffffffff;
    tap_is(hypercall_set_gdt(frames, 1024), -XEN_EINVAL, "set_gdt: a frame beyond memory");
    frames[1] = 0x100;
    tap_is(hypercall_set_gdt(frames, 1024), -XEN_EINVAL, "set_gdt: a frame of the hypervisor's");
    tap_is(hypercall_set_gdt(frames, 0), 0, "set_gdt: none");
    tap_is(page_protect(gdt, PTE_RW), 0, "set_gdt: the page is free");
    page_protect(gdt, PTE_RO);
}

static void test_update(void)
{
    unsigned long frames[1] = {page_mfn(gdt)};
    uint64_t ma = table_entry_ma(gdt, 7);

    tap_is(hypercall_set_gdt(frames, 512), 0, "update: set_gdt first");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hypercall_update_descriptor(ma, 0);
        tap_is(hypercall_update_descriptor(ma, cases[i].descriptor),
               cases[i].good ? 0 : -XEN_EINVAL, "update: %s", cases[i].name);
        tap_is_hex(gdt[7], cases[i].good ? cases[i].stored : 0, "update: %s, as stored",
                   cases[i].name);
    }
    tap_is(hypercall_update_descriptor(ma + 4, 0), -XEN_EINVAL, "update: not 8-aligned");
    tap_is(hypercall_update_descriptor((uint64_t)memory_root_mfn() << PAGE_SHIFT, 0), -XEN_EINVAL,
           "update: in a page table");
    tap_is(hypercall_update_descriptor(0xffffffffff000, 0), -XEN_EINVAL, "update: beyond memory");
    tap_is(hypercall_update_descriptor(0x100000, 0), -XEN_EINVAL, "update: in the hypervisor");
    uint64_t *page = page_alloc();
    tap_is(hypercall_update_descriptor(table_entry_ma(page, 3), DATA_RW | DPL(3)), 0,
           "update: in an ordinary page");
    tap_is_hex(page[3], DATA_RW | DPL(3), "update: it is stored there");
}

static unsigned try_segment(unsigned selector)
{
    unsigned read = ~0u;
    int v = TRAPS(__asm__ volatile("mov %1, %%es; mov %%es, %0; mov %2, %%es"
                                   : "=&r"(read)
                                   : "r"(selector), "r"(0)));
    return v == NO_TRAP ? read & 0xffff : 0x10000u + v;
}

static void test_use(void)
{
    hypercall_update_descriptor(table_entry_ma(gdt, 7), DATA_RW | DPL(3));
    tap_is_hex(try_segment(7 << 3 | 3), 7 << 3 | 3, "a data segment of the guest's loads");
    tap_is_hex(try_segment(8 << 3 | 3), 0x10000 + TRAP_GP, "a null descriptor does not");
    tap_is_hex(trap_last.error, 8 << 3, "its #GP names the selector");
    hypercall_update_descriptor(table_entry_ma(gdt, 7), (DATA_RW | DPL(3)) & ~DESC_P);
    tap_is_hex(try_segment(7 << 3 | 3), 0x10000 + TRAP_NP, "a segment that is not present: #NP");
    tap_is_hex(trap_last.error, 7 << 3, "its #NP names the selector");
    tap_is_hex(try_segment(FLAT_RING3_DS32), FLAT_RING3_DS32,
               "the hypervisor's flat segment loads");
    tap_is_hex(try_segment(0xe008), 0x10000 + TRAP_GP, "the hypervisor's own does not");

    /* A code segment of our own, entered by a far return. */
    hypercall_update_descriptor(table_entry_ma(gdt, 9), CODE_64 | DPL(3));
    uint64_t cs = 0;
    __asm__ volatile("push %1; lea 1f(%%rip), %%rax; push %%rax; lretq\n"
                     "1: mov %%cs, %0; push %2; lea 2f(%%rip), %%rax; push %%rax; lretq\n2:"
                     : "=&r"(cs)
                     : "i"(9 << 3 | 3), "r"((uint64_t)FLAT_KERNEL_CS)
                     : "rax", "memory");
    tap_is_hex(cs & 0xffff, 9 << 3 | 3, "a code segment of the guest's runs");
}

static long set_ldt(unsigned long base, unsigned entries)
{
    struct mmuext_op op = {
        .cmd = MMUEXT_SET_LDT, .arg1.linear_addr = base, .arg2.nr_ents = entries};
    return hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void test_ldt(void)
{
    uint64_t *ldt = page_alloc();
    unsigned long base = (unsigned long)ldt;

    ldt[2] = DATA_RW;
    ldt[3] = DESC_P | TYPE(9);
    tap_is(set_ldt(base + 8, 512), -XEN_EINVAL, "ldt: not page-aligned");
    tap_is(set_ldt(base, 8193), -XEN_EINVAL, "ldt: 8193 entries");
    tap_is(set_ldt(0xffff830000000000, 512), -XEN_EINVAL, "ldt: in the hypervisor");
    tap_is(set_ldt(base, 512), 0, "ldt: a page that is mapped writable is looked at later");
    tap_is_hex(try_segment(2 << 3 | 7) >> 16, 1, "ldt: its use faults");
    page_protect(ldt, PTE_RO);
    tap_is_hex(try_segment(2 << 3 | 7) >> 16, 1, "ldt: a page with a bad descriptor does, too");
    set_ldt(0, 0);
    page_protect(ldt, PTE_RW);
    ldt[3] = 0;
    page_protect(ldt, PTE_RO);
    tap_is(set_ldt(base, 512), 0, "ldt: a good page");
    tap_is_hex(try_segment(2 << 3 | 7), 2 << 3 | 7, "ldt: its segment loads");
    tap_is_hex(ldt[2], DATA_RW | DPL(3), "ldt: DPL was raised");
    tap_is(page_protect(ldt, PTE_RW), -XEN_EBUSY, "ldt: the page cannot be mapped writable");
    tap_is(hypercall_update_descriptor(table_entry_ma(ldt, 4), CODE_64), 0,
           "ldt: update_descriptor");
    tap_is_hex(try_segment(5 << 3 | 7) >> 16, 1, "ldt: a null descriptor faults");
    tap_is_hex(try_segment(600 << 3 | 7) >> 16, 1, "ldt: beyond the limit faults");
    tap_is(set_ldt(0, 0), 0, "ldt: none");
    tap_is_hex(try_segment(2 << 3 | 7), 0x10000 + TRAP_GP, "ldt: the segment is gone");
    tap_is(page_protect(ldt, PTE_RW), 0, "ldt: the page is free");
}

/* The LDT is at an address, and with other page tables something else may be there. */
#define OTHER_LDT (7ul << 39)

static unsigned long second_root(const void *ldt)
{
    uint64_t *table[4]; /* l1 .. l4 */

    for (unsigned i = 0; i < 4; i++)
        table[i] = page_alloc();
    memcpy(table[3], (void *)((unsigned long)memory_entry(0, 4) & ~(PAGE_SIZE - 1)), PAGE_SIZE);
    memset(table[3] + 256, 0, 16 * 8);
    table[0][0] = pte_of(page_mfn(ldt), PTE_RO);
    table[1][0] = pte_of(page_mfn(table[0]), PTE_TABLE);
    table[2][0] = pte_of(page_mfn(table[1]), PTE_TABLE);
    table[3][7] = pte_of(page_mfn(table[2]), PTE_TABLE);
    for (unsigned i = 0; i < 4; i++)
        page_protect(table[i], PTE_RO);
    tap_is(mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(table[3])), 0, "ldt, two roots: pin the second");
    return page_mfn(table[3]);
}

static unsigned access_rights(unsigned selector)
{
    uint32_t rights = 0;

    __asm__ volatile("lar %1, %0" : "+r"(rights) : "r"(selector));
    return rights & 0xff00;
}

static void test_ldt_of_two_roots(void)
{
    uint64_t *data = page_alloc(), *code = page_alloc();
    const unsigned long first = memory_root_mfn();

    for (unsigned i = 1; i < 512; i++) {
        data[i] = 0x00cff3000000fffful;
        code[i] = 0x00cffb000000fffful;
    }
    page_protect(data, PTE_RO);
    page_protect(code, PTE_RO);
    memory_map_at(OTHER_LDT, pte_of(page_mfn(data), PTE_RO));
    const unsigned long second = second_root(code);
    tap_is(set_ldt(OTHER_LDT, 512), 0, "ldt, two roots: set");
    tap_is_hex(access_rights(1 << 3 | 7), 0xf300, "ldt, two roots: the first one's");
    tap_is(mmuext(MMUEXT_NEW_BASEPTR, second), 0, "ldt, two roots: NEW_BASEPTR");
    tap_is_hex(access_rights(1 << 3 | 7), 0xfb00, "ldt, two roots: the second one's");
    __asm__ volatile("mov %0, %%cr3" : : "r"((uint64_t)xen_pfn_to_cr3(first)) : "memory");
    tap_is_hex(access_rights(1 << 3 | 7), 0xf300,
               "ldt, two roots: the first one's again, by MOV CR3");
    tap_is(set_ldt(0, 0), 0, "ldt, two roots: none");
}

void guest_main(void)
{
    gdt = page_alloc();
    page_protect(gdt, PTE_RO);
    test_set_gdt();
    test_update();
    test_use();
    test_ldt();
    test_ldt_of_two_roots();
    tap_is(hypercall_set_gdt(NULL, 0), 0, "set_gdt: none, and no list");
    tap_is(page_protect(gdt, PTE_RW), 0, "the GDT's page is free at the end");
}
