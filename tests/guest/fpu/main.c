/*
 * Question: does CR0.TS belong to the guest?
 *
 * A PV kernel switches the FPU lazily: it sets TS by fpu_taskswitch(1), the
 * next FPU instruction raises #NM, the handler clears TS and goes on.  The
 * hypervisor may itself be lazy about the FPU, but that must not show: #NM
 * comes exactly when the guest set TS, and the registers survive everything in
 * between.  Xen clears TS when it delivers #NM, so a handler that forgets to is
 * not entered twice.
 */
#include "guest.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

COVERS_CALL(fpu_taskswitch);

#define CR0_TS 8

static uint64_t read_cr0(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}

static void use_sse(void)
{
    __asm__ volatile("movq %%rax, %%xmm3" : : "a"(0x1122334455667788));
}

static void use_x87(void)
{
    __asm__ volatile("fld1; fstp %st(0)");
}

static unsigned faults;
static bool fix_nm(struct trap_frame *f)
{
    faults++;
    hypercall_fpu_taskswitch(0);
    return true;
}

static bool fix_nm_clts(struct trap_frame *f)
{
    faults++;
    __asm__ volatile("clts");
    return true;
}

static uint64_t read_xmm3(void)
{
    uint64_t v;
    __asm__ volatile("movq %%xmm3, %0" : "=r"(v));
    return v;
}

void guest_main(void)
{
    tap_is(TRAPS(use_sse()), NO_TRAP, "at start the FPU is usable");
    tap_is_hex(read_cr0() & CR0_TS, 0, "at start TS is clear");
    tap_is(hypercall_fpu_taskswitch(1), 0, "set TS");
    tap_is_hex(read_cr0() & CR0_TS, CR0_TS, "CR0 shows TS");
    tap_is(TRAPS(use_sse()), TRAP_NM, "SSE raises #NM");
    tap_is_hex(read_cr0() & CR0_TS, 0, "delivering #NM clears TS");
    tap_is(TRAPS(use_x87()), NO_TRAP, "the next instruction does not fault");
    hypercall_fpu_taskswitch(1);
    tap_is(TRAPS(use_x87()), TRAP_NM, "x87 raises #NM, too");
    hypercall_fpu_taskswitch(1);
    tap_is(hypercall_fpu_taskswitch(0), 0, "clear TS");
    tap_is_hex(read_cr0() & CR0_TS, 0, "CR0 shows it");
    tap_is(TRAPS(use_sse()), NO_TRAP, "the FPU is usable again");
    tap_is(hypercall_fpu_taskswitch(0), 0, "clear TS twice");
    tap_is(hypercall_fpu_taskswitch(2), 0, "any other number sets TS");
    tap_is_hex(read_cr0() & CR0_TS, CR0_TS, "CR0 shows that");

    trap_handle(TRAP_NM, fix_nm);
    tap_is(TRAPS(use_sse()), NO_TRAP, "a handler clears TS by hypercall and resumes");
    tap_is(faults, 1, "it ran once");
    trap_handle(TRAP_NM, fix_nm_clts);
    hypercall_fpu_taskswitch(1);
    tap_is(TRAPS(use_x87()), NO_TRAP, "a handler clears TS by CLTS and resumes");
    tap_is(faults, 2, "it ran once more");
    trap_handle(TRAP_NM, NULL);

    use_sse();
    hypercall_fpu_taskswitch(1);
    hypercall_sched_op(SCHEDOP_yield, NULL);
    hypercall_fpu_taskswitch(0);
    tap_is_hex(read_xmm3(), 0x1122334455667788, "a register survives TS and a yield");

    uint64_t cr0 = read_cr0();
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr0"
                                  :
                                  : "r"(cr0 | CR0_TS))),
           NO_TRAP, "TS is set by MOV to CR0");
    tap_is(TRAPS(use_sse()), TRAP_NM, "which works");
    tap_is(TRAPS(__asm__ volatile("mov %0, %%cr0" : : "r"(cr0))), NO_TRAP, "and is cleared by it");
    tap_is(TRAPS(use_sse()), NO_TRAP, "which works, too");
}
