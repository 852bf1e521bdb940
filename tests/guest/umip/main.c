/*
 * Question: what do SGDT, SIDT, SLDT, STR and SMSW say, and to whom?
 *
 * The five are as old as protection and were never privileged: in ring 3 they tell where the
 * descriptor tables are, which are the hypervisor's.  A processor with UMIP makes them fault there,
 * and the hypervisor answers in its stead; programs that execute them go on, on every processor.
 *
 * So each is executed by the kernel and by a program, in 64-bit and in 32-bit code, with every kind
 * of operand that a decoder can get wrong, and the answer has to arrive where the processor would
 * have put it.  Where there is no UMIP it is the processor that answers, and the addresses are not
 * asked for.
 */
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>

#define GDT_LIMIT 0xefff
#define IDT_LIMIT 0x0fff
#define TSS       0xe040
#define USER_CS32 0xe023
#define USER_DS32 0xe02b

struct __attribute__((packed)) table {
    uint16_t limit;
    uint64_t base;
};

static bool has_umip(void)
{
    uint32_t a = 0, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a < 7)
        return false;
    a = 7, c = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 2 & 1;
}

/* The address is the first of the hypervisor's part of the address space, which everybody knows. */
static void says_nothing(const struct table *t, const char *who)
{
    if (has_umip())
        tap_is_hex(t->base, 0xffff800000000000, "%s: the address says nothing", who);
    else
        tap_skip("no UMIP", "%s: the address says nothing", who);
}

static void test_kernel(void)
{
    struct table gdt = {0}, idt = {0};
    uint64_t r = ~0ul;
    uint16_t word = 0xffff;

    tap_is(TRAPS(__asm__ volatile("sgdt %0" : "=m"(gdt))), NO_TRAP, "kernel: SGDT");
    tap_is_hex(gdt.limit, GDT_LIMIT, "kernel: SGDT's limit");
    says_nothing(&gdt, "kernel: SGDT");
    tap_is(TRAPS(__asm__ volatile("sidt %0" : "=m"(idt))), NO_TRAP, "kernel: SIDT");
    tap_is_hex(idt.limit, IDT_LIMIT, "kernel: SIDT's limit");
    says_nothing(&idt, "kernel: SIDT");
    tap_is(TRAPS(__asm__ volatile("sldt %0" : "=m"(word))), NO_TRAP, "kernel: SLDT to memory");
    tap_is_hex(word, 0, "kernel: there is no LDT");
    tap_is(TRAPS(__asm__ volatile("str %q0" : "+r"(r))), NO_TRAP, "kernel: STR to a register");
    tap_is_hex(r, TSS, "kernel: STR fills the register");
    r = ~0ul;
    tap_is(TRAPS(__asm__ volatile("str %w0" : "+r"(r))), NO_TRAP, "kernel: STR to 16 bits");
    tap_is_hex(r, 0xffffffffffff0000 | TSS, "kernel: STR to 16 bits keeps the rest");
    r = ~0ul;
    tap_is(TRAPS(__asm__ volatile("smsw %q0" : "+r"(r))), NO_TRAP, "kernel: SMSW to a register");
    tap_is_hex(r & ~8ul, 0x80050033, "kernel: SMSW is CR0, but for TS");
    tap_is(TRAPS(__asm__ volatile("smsw %0" : "=m"(word))), NO_TRAP, "kernel: SMSW to memory");
    tap_is_hex(word & ~8u, 0x33, "kernel: SMSW to memory is 16 bits");
    tap_is(TRAPS(__asm__ volatile("sgdt 0x1000")), TRAP_PF, "kernel: SGDT to where nothing is");
    tap_is_hex(trap_last_cr2, 0x1000, "kernel: the fault's address");
    tap_is(TRAPS(__asm__ volatile("sgdt (%0)"
                                  :
                                  : "r"(0x1234567890abcdeful))),
           TRAP_GP, "kernel: SGDT to no address");
}

/* --- operands -------------------------------------------------------------------------------- */

/* Form k stores into the 16 bytes from k * 16 of the data page on; ud2 ends it. */
#define FORMS_64 13
USER_ASM(forms_64, "mov $0x401000, %ebx\n"
                   "sgdt (%rbx)\n"
                   "sgdt 0x10(%rbx)\n"
                   "sgdt 0x401020\n"
                   "mov $0x401000, %r13d\n sgdt 0x30(%r13)\n"
                   "mov $0x401040, %r12d\n sgdt (%r12)\n"
                   "mov $10, %ecx\n sgdt (%rbx,%rcx,8)\n"
                   "mov $0x30, %r9d\n sgdt (%rbx,%r9,2)\n"
                   "movabs $0xffffffff00401070, %rax\n sgdt (%eax)\n"
                   "mov $0x401000, %ebp\n sgdt 0x80(%rbp)\n"
                   "sgdt forms_64+0x1090(%rip)\n"
                   "mov $0x4010a0, %esp\n sgdt (%rsp)\n"
                   "sidt 0xb0(%rbx)\n"
                   "mov $0x401140, %eax\n sgdt -0x80(%rax)\n"
                   "str %eax\n mov %eax, 0x4010d0\n"
                   "smsw %eax\n mov %eax, 0x4010d4\n"
                   "mov $-1, %eax\n sldt %eax\n mov %eax, 0x4010d8\n"
                   "ud2");

/* The data page is at 0x5000 as well, for 16-bit addresses. */
#define FORMS_32 13
USER_ASM(forms_32, ".code32\n mov $0x401000, %ebx\n"
                   "sgdt (%ebx)\n"
                   "sgdt 0x401010\n"
                   "mov $4, %ecx\n sgdt (%ebx,%ecx,8)\n"
                   "mov $0x401030, %ebp\n sgdt (%ebp)\n"
                   "xor %edi, %edi\n sgdt 0x401040(,%edi,1)\n"
                   "mov $0xabcd5050, %ebx\n sgdt (%bx)\n"
                   "mov $0x5000, %ebx\n mov $0x60, %esi\n sgdt (%bx,%si)\n"
                   "mov $0x5070, %ebp\n sgdt (%bp)\n"
                   ".byte 0x67, 0x0f, 0x01, 0x06\n .word 0x5080\n"
                   "mov $0x90, %edi\n sgdt (%bx,%di)\n"
                   "mov $0x5000, %ebp\n sgdt 0x10(%bp,%di)\n"
                   "sidt 0x4010b0\n"
                   "mov $0xf0c0, %edi\n sgdt 0x6000(%di)\n"
                   "str %eax\n mov %eax, 0x4010d0\n"
                   "smsw %eax\n mov %eax, 0x4010d4\n"
                   "mov $-1, %eax\n sldt %eax\n mov %eax, 0x4010d8\n"
                   "ud2\n .code64");

static void check_forms(const char *who, unsigned forms, unsigned bytes)
{
    const unsigned char *data = user_data_page(), *idt = data + 0xb0;
    const uint32_t *words = (const uint32_t *)(data + 0xd0);
    unsigned wrong = 0;
    uint16_t limit;

    for (unsigned k = 0; k < forms; k++) {
        uint16_t wanted = data + 16 * k == idt ? IDT_LIMIT : GDT_LIMIT;
        bool bad = memcmp(data + 16 * k, &wanted, 2);
        for (unsigned n = 2; n < 16; n++)
            bad |= n >= bytes ? data[16 * k + n] != 0
                              : wanted == GDT_LIMIT && data[16 * k + n] != data[n];
        if (bad)
            tap_note("form %u: %lx %lx", k, *(uint64_t *)(data + 16 * k),
                     *(uint64_t *)(data + 16 * k + 8));
        wrong += bad;
    }
    memcpy(&limit, idt, 2);
    tap_is(wrong, 0, "%s: SGDT with every kind of operand", who);
    tap_is_hex(limit, IDT_LIMIT, "%s: SIDT", who);
    tap_is_hex(words[0], TSS, "%s: STR", who);
    tap_is_hex(words[1] & ~8u, 0x80050033, "%s: SMSW", who);
    tap_is_hex(words[2], 0, "%s: SLDT", who);
}

static void run(const char *who, struct trap_frame frame, const char *code, size_t length,
                unsigned forms, unsigned bytes)
{
    struct table first;

    memset(user_data_page(), 0, PAGE_SIZE);
    int vector = user_run(&frame, code, length);
    tap_is(vector, TRAP_UD, "%s: comes to its end", who);
    if (vector != TRAP_UD)
        tap_note("at %lx, error code %lx", trap_last.rip, trap_last.error);
    check_forms(who, forms, bytes);
    memcpy(&first, user_data_page(), sizeof(first));
    if (bytes == sizeof(first))
        says_nothing(&first, who);
}

static void test_programs(void)
{
    user_init();
    if (memory_map_at(0x5000, pte_of(page_mfn(user_data_page()), PTE_RW | PTE_NX)))
        tap_bail_out("cannot map the data page a second time");

    struct trap_frame frame = user_frame();
    run("64-bit program", frame, forms_64, (size_t)(forms_64_end - forms_64), FORMS_64, 10);
    frame.cs = USER_CS32;
    frame.ss = USER_DS32;
    /* ds and es are as the iret leaves them: null is good for 64-bit code only. */
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(USER_DS32));
    run("32-bit program", frame, forms_32, (size_t)(forms_32_end - forms_32), FORMS_32, 6);

    frame = user_frame();
    USER_ASM(nowhere, "sgdt 0x1000");
    tap_is(USER_RUN(&frame, nowhere), TRAP_PF, "64-bit program: SGDT to where nothing is");
    tap_is_hex(trap_last.error, PF_WRITE | PF_USER, "64-bit program: a write by a program");
}

void guest_main(void)
{
    test_kernel();
    test_programs();
}
