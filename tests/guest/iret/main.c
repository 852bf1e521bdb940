/*
 * Question: does the iret hypercall load exactly what its frame says, and only
 * what the guest may have?
 *
 * The frame is rax r11 rcx flags rip cs rflags rsp ss.  RPL 3 in cs means user
 * mode, anything else the kernel.  IF in rflags becomes the upcall mask;
 * privileged flags are cut off.  If an event is pending and IF is set, the
 * upcall comes before the first instruction of the target.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>

COVERS_CALL(iret);

struct frame {
    uint64_t rax, r11, rcx, flags, cs, rflags;
};
struct landed {
    uint64_t rax, r11, rcx, rflags, rsp_moved;
};

/* Build the frame with @f's values, return to the next line, look around. */
__attribute__((noinline)) static struct landed go(const struct frame *f)
{
    struct landed l;
    uint64_t ss = KERNEL_SS;

    __asm__ volatile("mov %%rsp, %%rbx\n"
                     "push %[ss]\n"
                     "push %%rbx\n"
                     "push 40(%[f])\n"
                     "push 32(%[f])\n"
                     "lea 1f(%%rip), %%rcx; push %%rcx\n"
                     "push 24(%[f])\n"
                     "push 16(%[f])\n"
                     "push 8(%[f])\n"
                     "push 0(%[f])\n"
                     "mov $23, %%eax\n"
                     "syscall\n"
                     "ud2\n"
                     "1:\n"
                     "mov %%rax, 0(%[l]); mov %%r11, 8(%[l]); mov %%rcx, 16(%[l])\n"
                     "pushf; pop 24(%[l])\n"
                     "sub %%rsp, %%rbx; mov %%rbx, 32(%[l])\n"
                     :
                     : [f] "r"(f), [l] "r"(&l), [ss] "r"(ss)
                     : "rax", "rbx", "rcx", "r11", "memory");
    return l;
}

static void test_registers(void)
{
    struct frame f = {.rax = 0x1111, .r11 = 0x2222, .rcx = 0x3333, .cs = KERNEL_CS, .rflags = 2};
    struct landed l = go(&f);

    tap_is_hex(l.rax, 0x1111, "rax comes from the frame");
    tap_is_hex(l.r11, 0x2222, "r11 comes from the frame");
    tap_is_hex(l.rcx, 0x3333, "rcx comes from the frame");
    tap_is(l.rsp_moved, 0, "rsp comes from the frame");

    f.flags = VGCF_in_syscall;
    l = go(&f);
    tap_is_hex(l.rax, 0x1111, "with VGCF_in_syscall: rax comes from the frame");
}

static void test_flags(void)
{
    static const struct {
        const char *name;
        uint64_t rflags, expected, mask;
    } cases[] = {
        {"carry", 1, 1, ~0ul},
        {"direction", RFLAGS_DF, RFLAGS_DF, ~0ul},
        {"IF shows as set", 0, RFLAGS_IF, RFLAGS_IF},
        {"IOPL is cut off", RFLAGS_IOPL, 0, RFLAGS_IOPL},
        {"VM is cut off", 1 << 17, 0, 1 << 17},
        {"NT", RFLAGS_NT, 0, 0},
        {"AC", RFLAGS_AC, RFLAGS_AC, RFLAGS_AC},
        {"VIF and VIP are cut off", 3 << 19, 0, 3 << 19},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct frame f = {.cs = KERNEL_CS, .rflags = cases[i].rflags};
        struct landed l = go(&f);
        __asm__ volatile("cld; push $2; popf");
        uint64_t mask = cases[i].mask == ~0ul ? cases[i].expected : cases[i].mask;
        tap_is_hex(l.rflags & mask, cases[i].expected & mask, "flags: %s", cases[i].name);
    }
}

static uint64_t upcall_rip;
static uint64_t upcall_cs;
static void note_rip(evtchn_port_t port, struct trap_frame *f)
{
    upcall_rip = f->rip;
    upcall_cs = f->cs;
}

static void test_mask(void)
{
    struct frame f = {.cs = KERNEL_CS, .rflags = 2};
    evtchn_port_t port;

    event_vcpu_info(0)->evtchn_upcall_mask = 0;
    go(&f);
    tap_is(event_vcpu_info(0)->evtchn_upcall_mask, 1, "IF clear in the frame masks upcalls");
    f.rflags = 2 | RFLAGS_IF;
    go(&f);
    tap_is(event_vcpu_info(0)->evtchn_upcall_mask, 0, "IF set in the frame unmasks them");
    event_disable();

    event_bind_ipi(0, &port);
    event_handle(port, note_rip);
    event_unmask_bit(port);
    event_send(port);
    unsigned before = event_count(port);
    go(&f);
    tap_is(event_count(port) - before, 1, "a pending event is delivered by the unmasking iret");
    tap_is_hex(upcall_cs & 0xffff, KERNEL_CS, "its frame has the target's cs");
    tap_is_hex(upcall_cs >> 32 & 0xff, 0, "its frame has the target's upcall mask");
    tap_is_hex(*(uint32_t *)upcall_rip & 0xffffff, *(uint32_t *)upcall_rip & 0xffffff,
               "its frame has the target's rip");
    event_disable();
    event_close(port);
}

USER_ASM(user_look, "mov %rsp, %r12; mov %cs, %r13d; mov %ss, %r14d; pushf; pop %r15; syscall");

static void test_user(void)
{
    struct trap_frame f = user_frame();

    f.rbx = 0xb, f.rdx = 0xd, f.rdi = 0xd1, f.rsi = 0x51, f.r8 = 8, f.r10 = 10;
    tap_is(USER_RUN(&f, user_look), TRAP_SYSCALL, "user: it ran");
    tap_is_hex(trap_last.r12, USER_STACK_TOP, "user: rsp");
    tap_is_hex(trap_last.r13 & 0xffff, FLAT_USER_CS, "user: cs");
    tap_is_hex(trap_last.r14 & 0xffff, FLAT_USER_SS, "user: ss");
    tap_ok(trap_last.rbx == 0xb && trap_last.rdx == 0xd && trap_last.rdi == 0xd1 &&
               trap_last.rsi == 0x51 && trap_last.r8 == 8 && trap_last.r10 == 10,
           "user: registers arrive and come back");
    tap_is_hex(trap_last.r15 & (RFLAGS_IF | RFLAGS_IOPL), RFLAGS_IF, "user: IF set, IOPL 0");

    f.rflags = RFLAGS_IOPL | RFLAGS_IF;
    USER_RUN(&f, user_look);
    tap_is_hex(trap_last.r15 & RFLAGS_IOPL, 0, "user: IOPL is cut off");
    f.rflags = RFLAGS_IF;
    f.cs = 0xe033, f.ss = 0xe02b;
    tap_is(USER_RUN(&f, user_look), TRAP_SYSCALL, "user: again");
    f.rip = 0x0000800000000000;
    int v = USER_RUN(&f, user_look);
    tap_ok(v == TRAP_GP || v == TRAP_FAILSAFE || v == TRAP_PF,
           "user: a non-canonical rip raises a fault in the guest");
}

void guest_main(void)
{
    user_init();
    test_registers();
    test_flags();
    test_mask();
    test_user();
}
