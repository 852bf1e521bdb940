/*
 * Question: do the FS and GS bases of the guest's two modes stay apart?
 *
 * Each mode has its GS base; FS is shared.  The hypervisor exchanges them when
 * the mode changes.  A non-canonical base would fault in ring 0 (XSA-193), so
 * it is refused.  GS_USER_SEL loads a selector for the user's GS and must not
 * fault even if the selector is bad.
 */
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>

COVERS_CALL(set_segment_base);
COVERS(set_segment_base, SEGBASE_FS);
COVERS(set_segment_base, SEGBASE_GS_USER);
COVERS(set_segment_base, SEGBASE_GS_KERNEL);
COVERS(set_segment_base, SEGBASE_GS_USER_SEL);

static uint64_t words[4] = {0x10, 0x11, 0x12, 0x13};

#define READ(seg)                                               \
    __extension__({                                             \
        uint64_t value_;                                        \
        __asm__ volatile("mov %%" seg ":0, %0" : "=r"(value_)); \
        value_;                                                 \
    })

USER_ASM(user_read_fs, "mov %fs:0, %rdi; syscall");
USER_ASM(user_read_gs, "mov %gs:0, %rdi; syscall");
USER_ASM(user_read_gs_selector, "mov %gs, %edi; syscall");

static uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void test_kernel(void)
{
    tap_is(hypercall_set_segment_base(SEGBASE_FS, (unsigned long)&words[0]), 0, "FS");
    tap_is_hex(READ("fs"), 0x10, "FS works");
    tap_is(hypercall_set_segment_base(SEGBASE_GS_KERNEL, (unsigned long)&words[1]), 0, "GS_KERNEL");
    tap_is_hex(READ("gs"), 0x11, "GS_KERNEL works");
    tap_is(hypercall_set_segment_base(SEGBASE_GS_USER, USER_DATA), 0, "GS_USER");
    tap_is_hex(READ("gs"), 0x11, "GS_USER leaves the kernel's alone");
    tap_is_hex(read_msr(0xc0000100), (uint64_t)&words[0], "RDMSR FS_BASE");
    tap_is_hex(read_msr(0xc0000101), (uint64_t)&words[1], "RDMSR GS_BASE");
    tap_is_hex(read_msr(0xc0000102), USER_DATA, "RDMSR KERNEL_GS_BASE is the user's");
}

static void test_user(void)
{
    struct trap_frame f = user_frame();
    uint64_t *data = user_data_page();

    data[0] = 0x20, data[1] = 0x21, data[2] = 0x22;
    hypercall_set_segment_base(SEGBASE_FS, USER_DATA + 16);
    hypercall_set_segment_base(SEGBASE_GS_USER, USER_DATA + 8);
    tap_is(USER_RUN(&f, user_read_gs), TRAP_SYSCALL, "user: gs");
    tap_is_hex(trap_last.rdi, 0x21, "user: gs has the user's base");
    tap_is_hex(READ("gs"), 0x11, "kernel: gs has the kernel's base again");
    tap_is(USER_RUN(&f, user_read_fs), TRAP_SYSCALL, "user: fs");
    tap_is_hex(trap_last.rdi, 0x22, "user: fs has the common base");
}

static void test_refusals(void)
{
    static const unsigned which[] = {SEGBASE_FS, SEGBASE_GS_USER, SEGBASE_GS_KERNEL};

    for (unsigned i = 0; i < 3; i++) {
        tap_is(hypercall_set_segment_base(which[i], 1ul << 63), -XEN_EINVAL,
               "base %u: non-canonical", which[i]);
        tap_is(hypercall_set_segment_base(which[i], 0x0000800000000000), -XEN_EINVAL,
               "base %u: the first non-canonical", which[i]);
        tap_is(hypercall_set_segment_base(which[i], 0x00007fffffffffff), 0,
               "base %u: the last of the lower half", which[i]);
        tap_is(hypercall_set_segment_base(which[i], 0xffff830000000000), 0,
               "base %u: a hypervisor address is harmless", which[i]);
        hypercall_set_segment_base(which[i], 0);
    }
    tap_is(hypercall_set_segment_base(4, 0), -XEN_EINVAL, "no base 4");
    tap_is(hypercall_set_segment_base(~0u, 0), -XEN_EINVAL, "no base ~0");
}

static void test_selector(void)
{
    struct trap_frame f = user_frame();

    tap_is(hypercall_set_segment_base(SEGBASE_GS_USER_SEL, FLAT_USER_DS32), 0, "GS_USER_SEL: flat");
    tap_is(USER_RUN(&f, user_read_gs_selector), TRAP_SYSCALL, "GS_USER_SEL: user");
    tap_is_hex(trap_last.rdi, FLAT_USER_DS32, "GS_USER_SEL: the user sees it");
    tap_is(hypercall_set_segment_base(SEGBASE_GS_USER_SEL, 0x1230), 0,
           "GS_USER_SEL: a bad selector");
    USER_RUN(&f, user_read_gs_selector);
    tap_is_hex(trap_last.rdi, 0, "GS_USER_SEL: the user sees null");
    tap_is(hypercall_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0, "GS_USER_SEL: null");
}

static long write_msr(uint32_t msr, uint64_t value)
{
    return TRAPS(__asm__ volatile("wrmsr"
                                  :
                                  : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));
}

static void test_msrs(void)
{
    tap_is(write_msr(0xc0000101, (uint64_t)&words[3]), NO_TRAP, "WRMSR GS_BASE");
    tap_is_hex(READ("gs"), 0x13, "WRMSR GS_BASE works");
    tap_is(write_msr(0xc0000100, (uint64_t)&words[2]), NO_TRAP, "WRMSR FS_BASE");
    tap_is_hex(READ("fs"), 0x12, "WRMSR FS_BASE works");
    tap_is(write_msr(0xc0000102, USER_DATA), NO_TRAP, "WRMSR KERNEL_GS_BASE");
    tap_is_hex(read_msr(0xc0000102), USER_DATA, "WRMSR KERNEL_GS_BASE reads back");
    for (uint32_t msr = 0xc0000100; msr <= 0xc0000102; msr++)
        tap_is(write_msr(msr, 1ul << 63), TRAP_GP, "WRMSR 0x%x: non-canonical", msr);
}

void guest_main(void)
{
    user_init();
    test_kernel();
    test_user();
    test_refusals();
    test_selector();
    test_msrs();
}
