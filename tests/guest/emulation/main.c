/*
 * Question: which privileged instructions work in a guest kernel, with what
 * values, and which raise #GP?
 *
 * They all fault in ring 3; the hypervisor decodes them at the guest's rip.  It
 * emulates what PV kernels execute before and besides their hypercalls, and
 * turns the rest into the #GP that ring 3 would get.  CPUID does not fault: a
 * guest that wants the virtual processor's answers writes the forced-emulation
 * prefix (ud2 and "xen") before it.
 */
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>
#include <xen/arch-x86/cpuid.h>

struct cpuid {
    uint32_t a, b, c, d;
};

static struct cpuid forced_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile(XEN_CPUID
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "0"(leaf), "2"(subleaf));
    return r;
}

static struct cpuid plain_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid"
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "0"(leaf), "2"(subleaf));
    return r;
}

static void test_cpuid(void)
{
    struct cpuid r = forced_cpuid(0x40000000, 0);
    char signature[13] = {0};

    memcpy(signature, &r.b, 4), memcpy(signature + 4, &r.c, 4), memcpy(signature + 8, &r.d, 4);
    tap_ok(!strcmp(signature, "XenVMMXenVMM"), "forced cpuid 0x40000000: the signature");
    tap_ok(r.a >= 0x40000002 && r.a < 0x40000100, "forced cpuid 0x40000000: the last leaf");
    r = forced_cpuid(0x40000001, 0);
    tap_is(r.a >> 16, 4, "forced cpuid 0x40000001: version 4");
    r = forced_cpuid(0x40000002, 0);
    tap_is_hex(r.b, 0x40000000, "forced cpuid 0x40000002: hypercall page MSR");
    tap_is(r.c & 1, 1, "forced cpuid 0x40000002: MMU_PT_UPDATE_PRESERVE_AD");

    static const struct {
        const char *name;
        uint32_t leaf;
        char reg;
        unsigned bit;
        bool set;
    } bits[] = {
        {"PSE", 1, 'd', 3, false},
        {"PGE", 1, 'd', 13, false},
        {"VME", 1, 'd', 1, false},
        {"PSE36", 1, 'd', 17, false},

        {"APIC", 1, 'd', 9, true},
        {"FPU", 1, 'd', 0, true},
        {"TSC", 1, 'd', 4, true},
        {"MSR", 1, 'd', 5, true},
        {"PAE", 1, 'd', 6, true},
        {"CX8", 1, 'd', 8, true},
        {"SSE2", 1, 'd', 26, true},
        {"MONITOR", 1, 'c', 3, false},
        {"VMX", 1, 'c', 5, false},
        {"PCID", 1, 'c', 17, false},
        {"x2APIC", 1, 'c', 21, false},
        {"hypervisor", 1, 'c', 31, true},
        {"SMEP", 7, 'b', 7, false},
        {"SMAP", 7, 'b', 20, false},
        {"INVPCID", 7, 'b', 10, false},
        {"UMIP", 7, 'c', 2, false},
        {"LA57", 7, 'c', 16, false},
        {"long mode", 0x80000001, 'd', 29, true},
        {"NX", 0x80000001, 'd', 20, true},
        {"SYSCALL", 0x80000001, 'd', 11, true},
        {"1 GiB pages", 0x80000001, 'd', 26, false},
        {"SVM", 0x80000001, 'c', 2, false},
    };
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        r = forced_cpuid(bits[i].leaf, 0);
        uint32_t value = bits[i].reg == 'd' ? r.d : bits[i].reg == 'c' ? r.c : r.b;
        tap_is(value >> bits[i].bit & 1, bits[i].set, "forced cpuid: %s", bits[i].name);
    }
    tap_is(forced_cpuid(1, 0).d >> 12 & 1, guest_is_first(),
           "forced cpuid: MTRR, for domains with devices");
    tap_is(forced_cpuid(0x40000100, 0).b == 0x566e6558, 0,
           "the signature is not repeated at +0x100");
}

static void test_cpuid_prefix(void)
{
    struct cpuid r = plain_cpuid(0, 0), f = forced_cpuid(0, 0);
    tap_ok(r.b == f.b && r.c == f.c && r.d == f.d, "plain and forced cpuid 0 name the same vendor");

    tap_is(TRAPS(__asm__ volatile(".byte 0x0f,0x0b,0x78,0x65,0x6e; nop")), TRAP_UD,
           "the prefix before another instruction: #UD");
    tap_is_hex(*(uint16_t *)trap_last.rip, 0x0b0f, "its rip is at the ud2");
}

#define RDMSR(msr) __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr))
#define WRMSR(msr, v) \
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)(v)), "d"((uint32_t)((uint64_t)(v) >> 32)))

static void test_msrs(void)
{
    uint32_t low = 0, high = 0;

    tap_is(TRAPS(RDMSR(0x277)), NO_TRAP, "rdmsr PAT");
    tap_is_hex((uint64_t)high << 32 | low, 0x0000050100070406, "rdmsr PAT: Xen's");
    tap_is(TRAPS(RDMSR(0xc0000080)), NO_TRAP, "rdmsr EFER");
    tap_is_hex(low & 0x500, 0x500, "rdmsr EFER: LME and LMA");
    tap_is(TRAPS(RDMSR(0x1b)), NO_TRAP, "rdmsr APIC_BASE");
    tap_is_hex(low & 0xfffff000, 0xfee00000, "rdmsr APIC_BASE: address");
    tap_is(TRAPS(RDMSR(0xdeadbeef)), TRAP_GP, "rdmsr of no MSR: #GP");
    tap_is_hex(trap_last.error, 0, "rdmsr of no MSR: error code 0");
    tap_is_hex(*(uint16_t *)trap_last.rip, 0x320f, "rdmsr of no MSR: rip at it");
    tap_is(TRAPS(WRMSR(0xdeadbeef, 0)), TRAP_GP, "wrmsr of no MSR: #GP");
    tap_is(TRAPS(WRMSR(0x277, 0x0007040600070406)), TRAP_GP, "wrmsr PAT: #GP");
    tap_is(TRAPS(RDMSR(0x176)), TRAP_GP, "rdmsr SYSENTER_EIP: #GP");
    tap_is(TRAPS(RDMSR(0xc0000082)), TRAP_GP, "rdmsr LSTAR: #GP");
    tap_is(TRAPS(WRMSR(0xc0000082, 0)), TRAP_GP, "wrmsr LSTAR: #GP");
    tap_is(TRAPS(WRMSR(0x40000000, 1)), TRAP_GP, "wrmsr of the hypercall page's MSR, page 0: #GP");
}

static uint64_t read_cr(int n)
{
    uint64_t v = 0;
    switch (n) {
    case 0:
        __asm__ volatile("mov %%cr0, %0" : "=r"(v));
        break;
    case 2:
        __asm__ volatile("mov %%cr2, %0" : "=r"(v));
        break;
    case 3:
        __asm__ volatile("mov %%cr3, %0" : "=r"(v));
        break;
    case 4:
        __asm__ volatile("mov %%cr4, %0" : "=r"(v));
        break;
    case 8:
        __asm__ volatile("mov %%cr8, %0" : "=r"(v));
        break;
    }
    return v;
}

static void test_control_registers(void)
{
    uint64_t v;

    tap_is_hex(read_cr(0) & ~8ul, 0x80050033, "CR0");
    tap_is_hex(read_cr(4) & 0x660, 0x660, "CR4 has PAE, MCE, OSFXSR, OSXMMEXCPT");
    tap_is_hex(read_cr(4) & 0x300090, 0, "CR4 has no PSE, PGE, SMEP, SMAP");
    tap_is_hex(read_cr(3), xen_pfn_to_cr3(memory_root_mfn()), "CR3 is the root");
    TRAPS(peek(0x1238));
    tap_is_hex(read_cr(2), 0x1238, "CR2 is the last fault's address");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr2" : : "r"(0x4321ul))), NO_TRAP, "MOV to CR2");
    tap_is_hex(read_cr(2), 0x4321, "CR2 reads back");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr3"
                                  :
                                  : "r"(read_cr(3)))),
           NO_TRAP, "MOV to CR3, the same root");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr3"
                                  :
                                  : "r"(0xffffffffff000ul))),
           TRAP_GP, "MOV to CR3, beyond memory: #GP");
    tap_is_hex(read_cr(3), xen_pfn_to_cr3(memory_root_mfn()), "CR3 is still the root");

    v = read_cr(0);
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr0" : : "r"(v | 8))), NO_TRAP, "MOV to CR0: TS");
    tap_is_hex(read_cr(0), v | 8, "CR0 reads back with TS");
    tap_is(TRAPS(__asm__ volatile("clts")), NO_TRAP, "CLTS");
    tap_is_hex(read_cr(0), v & ~8ul, "CR0 reads back without");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr0"
                                  :
                                  : "r"(v & ~0x80000000ul))),
           TRAP_GP, "MOV to CR0 without PG: #GP");
    v = read_cr(4);
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr4" : : "r"(v))), NO_TRAP, "MOV to CR4, the same");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr4" : : "r"(v | 4))), NO_TRAP, "MOV to CR4: TSD");
    tap_is_hex(read_cr(4) & 4, 4, "CR4.TSD reads back");
    tap_is(TRAPS(__asm__ volatile("rdtsc"
                                  :
                                  :
                                  : "rax", "rdx")),
           NO_TRAP, "RDTSC by the kernel works with TSD");
    __asm__ volatile("mov %0, %%cr4" : : "r"(v));
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr4"
                                  :
                                  : "r"(v | 1ul << 20))),
           NO_TRAP, "MOV to CR4 with a bit that is the hypervisor's");
    tap_is_hex(read_cr(4), v, "CR4 does not show it");
    tap_is(TRAPS(read_cr(8)), TRAP_GP, "MOV from CR8: #GP");
}

static void simple_wbinvd(void)
{
    __asm__ volatile("wbinvd");
}

static void simple_invd(void)
{
    __asm__ volatile("invd");
}

static void simple_hlt(void)
{
    __asm__ volatile("hlt");
}

static void simple_rdtsc(void)
{
    __asm__ volatile("rdtsc" : : : "rax", "rdx");
}

static void simple_invlpg(void)
{
    __asm__ volatile("invlpg (%0)" : : "r"(0xffffffff80100000));
}

static void simple_lgdt(void)
{
    static char table[10];
    __asm__ volatile("lgdt (%0)" : : "r"(table));
}

static void simple_lidt(void)
{
    static char table[10];
    __asm__ volatile("lidt (%0)" : : "r"(table));
}

static void simple_ltr(void)
{
    __asm__ volatile("ltr %w0" : : "r"(0));
}

static void simple_lldt(void)
{
    __asm__ volatile("lldt %w0" : : "r"(0));
}

static void simple_lmsw(void)
{
    __asm__ volatile("lmsw %w0" : : "r"(0));
}

static void simple_swapgs(void)
{
    __asm__ volatile("swapgs");
}

static void simple_sysret(void)
{
    __asm__ volatile("sysretq");
}

static void simple_cli(void)
{
    __asm__ volatile("cli");
}

static void simple_sti(void)
{
    __asm__ volatile("sti");
}

static void simple_in(void)
{
    __asm__ volatile("inb $0x80, %%al" : : : "rax");
}

static void simple_out(void)
{
    __asm__ volatile("outb %%al, $0x80" : : : "rax");
}

static void simple_xsetbv(void)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
}

static void test_simple(void)
{
    static const struct {
        const char *name;
        void (*execute)(void);
        int expected;
    } cases[] = {
        {"WBINVD", simple_wbinvd, NO_TRAP},
        {"INVD", simple_invd, TRAP_GP},
        {"HLT", simple_hlt, TRAP_GP},
        {"RDTSC", simple_rdtsc, NO_TRAP},
        {"INVLPG", simple_invlpg, TRAP_GP},
        {"LGDT", simple_lgdt, TRAP_GP},
        {"LIDT", simple_lidt, TRAP_GP},
        {"LTR", simple_ltr, TRAP_GP},
        {"LLDT", simple_lldt, TRAP_GP},
        {"LMSW", simple_lmsw, TRAP_GP},
        {"SWAPGS", simple_swapgs, TRAP_GP},
        {"SYSRET", simple_sysret, TRAP_GP},
        {"CLI with IOPL 0", simple_cli, TRAP_GP},
        {"STI with IOPL 0", simple_sti, TRAP_GP},
        {"IN with IOPL 0", simple_in, TRAP_GP},
        {"OUT with IOPL 0", simple_out, TRAP_GP},
        {"XSETBV without OSXSAVE", simple_xsetbv, TRAP_UD},
    };
    struct physdev_set_iopl iopl = {.iopl = 0};

    hypercall_physdev_op(PHYSDEVOP_set_iopl, &iopl);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_is(TRAPS(cases[i].execute()), cases[i].expected, "%s", cases[i].name);
        if (cases[i].expected == TRAP_GP)
            tap_is_hex(trap_last.error, 0, "%s: error code 0", cases[i].name);
    }
}

void guest_main(void)
{
    test_cpuid();
    test_cpuid_prefix();
    test_msrs();
    test_control_registers();
    test_simple();
}
