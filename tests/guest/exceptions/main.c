/*
 * Question: does each exception of the guest kernel reach its handler with the
 * right vector, error code, address and frame?
 *
 * The hardware reports what ring 3 did; the guest must see what *its* modes
 * did.  So the U bit of a page fault's error code reflects the guest's mode,
 * cs loses its RPL in kernel mode, and IF mirrors the upcall mask.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>

static void *unmapped, *read_only, *no_exec;

static void raise_ud(void)
{
    __asm__ volatile("ud2");
}

static void raise_bp(void)
{
    __asm__ volatile("int3");
}

static void raise_de(void)
{
    __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx"
                     :
                     :
                     : "rax", "rcx", "rdx");
}

static void raise_gp_noncanonical(void)
{
    peek(0x0000800000000000);
}

static void raise_gp_selector(void)
{
    __asm__ volatile("mov %0, %%es" : : "r"(0x1234));
}

static void raise_np_or_gp(void)
{
    __asm__ volatile("mov %0, %%fs" : : "r"(0xfff8));
}

static void raise_gp_hlt(void)
{
    __asm__ volatile("hlt");
}

static void raise_read(void)
{
    peek((unsigned long)unmapped);
}

static void raise_write(void)
{
    poke((unsigned long)unmapped + 8, 1);
}

static void raise_write_protected(void)
{
    poke((unsigned long)read_only + 16, 1);
}

static void raise_fetch(void)
{
    ((void (*)(void))unmapped)();
}

static void raise_hypervisor_read(void)
{
    peek(0xffff830000000000);
}

static void raise_hypervisor_write(void)
{
    poke(0xffff830000000000, 1);
}

static void raise_null(void)
{
    peek(0x18);
}

static void raise_fpu_invalid(void)
{
    __asm__ volatile("ud1 %%eax, %%eax" : : : "rax");
}

static void raise_nx(void)
{
    ((void (*)(void))no_exec)();
}

static const struct {
    const char *name;
    void (*raise)(void);
    int vector;
    long error; /* -1: none to look at */
    long address_offset;
    void **page;
} cases[] = {
    {"ud2", raise_ud, TRAP_UD, 0, 0, NULL},
    {"ud1", raise_fpu_invalid, TRAP_UD, 0, 0, NULL},
    {"int3", raise_bp, TRAP_BP, 0, 0, NULL},
    {"divide by zero", raise_de, TRAP_DE, 0, 0, NULL},
    {"load from a non-canonical address", raise_gp_noncanonical, TRAP_GP, 0, 0, NULL},
    {"load es with a selector outside the GDT", raise_gp_selector, TRAP_GP, 0x1234, 0, NULL},
    {"load fs with a selector outside the GDT", raise_np_or_gp, TRAP_GP, 0xfff8, 0, NULL},
    {"hlt", raise_gp_hlt, TRAP_GP, 0, 0, NULL},
    {"load, not present", raise_read, TRAP_PF, 0, 0, &unmapped},
    {"store, not present", raise_write, TRAP_PF, PF_WRITE, 8, &unmapped},
    {"store, read-only", raise_write_protected, TRAP_PF, PF_WRITE | PF_PRESENT, 16, &read_only},
    {"fetch, not present", raise_fetch, TRAP_PF, PF_FETCH, 0, &unmapped},
    {"fetch, no execute", raise_nx, TRAP_PF, PF_FETCH | PF_PRESENT, 0, &no_exec},
    {"load from the hypervisor", raise_hypervisor_read, TRAP_PF, -1, 0, NULL},
    {"store to the hypervisor", raise_hypervisor_write, TRAP_PF, -1, 0, NULL},
    {"load near NULL", raise_null, TRAP_PF, 0, 0x18, NULL},
};

static uint64_t resume_count;

static bool skip_ud2(struct trap_frame *f)
{
    f->rip += 2;
    resume_count++;
    return true;
}

static bool map_page(struct trap_frame *f)
{
    resume_count++;
    return hypercall_update_va_mapping(event_vcpu_info(0)->arch.cr2 & ~(PAGE_SIZE - 1),
                                       pte_of(page_mfn(unmapped), PTE_RW), UVMF_INVLPG) == 0;
}

static void test_resume(void)
{
    uint64_t rax = 1, rbx = 2, rcx = 3, rdx = 4, r11 = 5;

    trap_handle(TRAP_UD, skip_ud2);
    __asm__ volatile("mov %4, %%r11; ud2; mov %%r11, %4"
                     : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx), "+r"(r11)
                     :
                     : "r11");
    trap_handle(TRAP_UD, NULL);
    tap_is(resume_count, 1, "a handler ran once");
    tap_ok(rax == 1 && rbx == 2 && rcx == 3 && rdx == 4 && r11 == 5,
           "a return from a handler restores every register");

    resume_count = 0;
    trap_handle(TRAP_PF, map_page);
    tap_is(peek((unsigned long)unmapped), 0, "a page fault handler maps the page and resumes");
    trap_handle(TRAP_PF, NULL);
    tap_is(resume_count, 1, "one fault was enough");
    page_protect(unmapped, 0);
}

static bool flags_seen(struct trap_frame *f)
{
    uint64_t flags;
    __asm__ volatile("pushf; pop %0" : "=r"(flags));
    resume_count = flags;
    f->rip += 2;
    return true;
}

static void test_handler_flags(void)
{
    trap_handle(TRAP_UD, flags_seen);
    __asm__ volatile("pushf; orl $0x44000, (%rsp); popf; ud2; pushf; andl $~0x44000, (%rsp); popf");
    tap_is_hex(resume_count & (RFLAGS_NT | RFLAGS_AC | RFLAGS_TF), 0,
               "a handler starts with NT, AC and TF clear");
    tap_is_hex(resume_count & RFLAGS_IF, RFLAGS_IF, "a handler sees IF set in its own flags");
    trap_handle(TRAP_UD, NULL);
}

static uint64_t frame_end, frame_rsp;
static bool note_frame(struct trap_frame *f)
{
    frame_end = (uint64_t)(f + 1);
    frame_rsp = f->rsp;
    f->rip += 2;
    return true;
}

/* The frame begins below rsp rounded down to 16, whatever rsp is. */
static void test_alignment(void)
{
    trap_handle(TRAP_UD, note_frame);
    for (unsigned offset = 0; offset < 24; offset += 4) {
        uint64_t rsp;
        __asm__ volatile("mov %%rsp, %%rbx; and $~15, %%rsp; sub $256, %%rsp; sub %1, %%rsp\n"
                         "mov %%rsp, %0; ud2; mov %%rbx, %%rsp"
                         : "=&r"(rsp)
                         : "r"((uint64_t)offset)
                         : "rbx", "memory");
        tap_is_hex(frame_rsp, rsp, "rsp %u off: the frame has the interrupted rsp", offset);
        tap_is_hex(frame_end, rsp & ~15ul, "rsp %u off: the frame ends at a multiple of 16",
                   offset);
    }
    trap_handle(TRAP_UD, NULL);
}

static void test_single_step(void)
{
    int v = TRAPS(__asm__ volatile("pushf; orl $0x100, (%rsp); popf; nop; nop"));
    tap_is(v, TRAP_DB, "TF: #DB");
    tap_is_hex(*(uint8_t *)(trap_last.rip - 1), 0x90, "TF: one instruction behind popf");
    tap_is_hex(hypercall_get_debugreg(6) & 0x4000, 0x4000, "TF: DR6.BS");
    hypercall_set_debugreg(6, 0);
}

void guest_main(void)
{
    unmapped = page_alloc();
    read_only = page_alloc();
    no_exec = page_alloc();
    page_protect(unmapped, 0);
    page_protect(read_only, PTE_RO);
    page_protect(no_exec, PTE_RW | PTE_NX);

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        trap_last_cr2 = 0;
        tap_is(TRAPS(cases[i].raise()), cases[i].vector, "%s: vector", cases[i].name);
        if (cases[i].error >= 0)
            tap_is_hex(trap_last.error, cases[i].error, "%s: error code", cases[i].name);
        if (cases[i].vector == TRAP_PF && (cases[i].page || cases[i].address_offset))
            tap_is_hex(trap_last_cr2,
                       (cases[i].page ? (unsigned long)*cases[i].page : 0) +
                           cases[i].address_offset,
                       "%s: address", cases[i].name);
        tap_is_hex(trap_last.cs & 0xffff, KERNEL_CS, "%s: cs", cases[i].name);
    }
    test_resume();
    test_handler_flags();
    test_alignment();
    test_single_step();
}
