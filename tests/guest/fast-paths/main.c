/*
 * Question: does a guest kernel get the same frame whichever way the hypervisor goes?
 *
 * System calls, page faults and their iret are what a kernel and its programs do to
 * each other all the time, so a hypervisor has a short way for them, taken when
 * nothing is out of the ordinary, and a long way for the rest: upcalls masked, an
 * event waiting, a virtual IOPL to show, an awkward stack.  Each of these is made
 * here on purpose, around each kind of entry, and the frame and what the handler finds
 * (all flags, all selectors, both bases) are compared with what the ABI says.  A short way that forgets one of the conditions shows here as a frame
 * with the wrong mask, flags or place; a long way that nobody takes any more, as rot.
 */
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/callback.h>
#include <xen/physdev.h>

#define IOPL_1 (1ul << 12)
#define MASKS  4 /* struct trap_info's flags: the gate masks upcalls */

enum { MASKED = 1, PENDING = 2, GATE = 4, IOPL = 8, STACK_8 = 16, STACK_EDGE = 32, CARRY = 64 };

static const struct {
    const char *name;
    unsigned what;
} circumstances[] = {
    {"nothing special", 0},
    {"upcalls masked", MASKED},
    {"upcalls masked, an event waits", MASKED | PENDING},
    {"the gate masks upcalls", GATE},
    {"masked, and the gate masks", MASKED | GATE},
    {"an IOPL is shown", IOPL},
    {"an IOPL is shown, masked", IOPL | MASKED},
    {"a stack 8 off", STACK_8},
    {"the frame crosses pages", STACK_EDGE},
    {"the frame crosses pages, an IOPL", STACK_EDGE | IOPL},
    {"other flags are set", CARRY},
    {"other flags are set, masked", CARRY | MASKED},
};

#define ID          (1ul << 21)
#define RF          (1ul << 16) /* the CPU sets it in what it saves of a fault, emulators do not */
#define ONE         (1ul << 1)  /* always set */
#define CARRY_FLAGS (RFLAGS_DF | RFLAGS_AC | RFLAGS_NT | ID | 0x8d5) /* CF PF AF ZF SF OF */

/* What a handler does not start with of them. */
#define HANDLER_LOSES (RFLAGS_TF | RFLAGS_NT | RFLAGS_AC)
#define SYSCALL_LOSES (HANDLER_LOSES | RFLAGS_DF)

USER_ASM(user_syscall, "syscall");
USER_ASM(user_load, "mov 0x10, %rax");
USER_ASM(user_store, "mov %rax, 0x400100");
USER_ASM(user_ud2, "ud2");

static const struct {
    const char *name, *code, *end;
    unsigned vector;
    uint64_t error, address, length; /* length: by which rip has moved on */
} entries[] = {
#define ENTRY(name, code, ...)              \
    {                                       \
        name, code, code##_end, __VA_ARGS__ \
    }
    ENTRY("syscall", user_syscall, TRAP_SYSCALL, 0, 0, 2),
    ENTRY("load from nowhere", user_load, TRAP_PF, PF_USER, 0x10, 0),
    ENTRY("store to what is read-only", user_store, TRAP_PF, PF_USER | PF_WRITE | PF_PRESENT,
          USER_CODE + 0x100, 0),
    ENTRY("ud2", user_ud2, TRAP_UD, 0, 0, 0),
#undef ENTRY
};

static char *stacks; /* two pages for the kernel's stack */
static evtchn_port_t port;
static uint64_t entry_mask, entry_stack;

/* In front of the library's stub: what the hypervisor starts the handler with. */
struct found {
    uint64_t rflags, fs_word, gs_word;
    uint16_t cs, ss, ds, es, fs, gs;
};
extern struct found found;
struct found found;
extern uint64_t go_on;
uint64_t go_on;
extern char look_first[];
__asm__(".pushsection .text\n"
        "look_first:\n\t"
        "pushfq; pop found(%rip)\n\t"
        "push %fs:0; pop found+8(%rip)\n\t"
        "push %gs:0; pop found+16(%rip)\n\t"
        "mov %cs, found+24(%rip); mov %ss, found+26(%rip); mov %ds, found+28(%rip)\n\t"
        "mov %es, found+30(%rip); mov %fs, found+32(%rip); mov %gs, found+34(%rip)\n\t"
        "jmp *go_on(%rip)\n"
        ".popsection");
_Static_assert(offsetof(struct found, cs) == 24, "look_first");

#define FS_WORD        0xf5f5f5f5ul
#define GS_KERNEL_WORD 0x65650000ul
static uint64_t fs_word = FS_WORD, gs_kernel_word = GS_KERNEL_WORD;

/* The handlers enter at look_first; that of @vector goes on as usual. */
static void enter_at(unsigned vector)
{
    go_on = vector == TRAP_SYSCALL ? (uint64_t)trap_syscall_callback : trap_stub(vector);
}

static bool look(struct trap_frame *f)
{
    entry_mask = event_vcpu_info(0)->evtchn_upcall_mask;
    entry_stack = (uint64_t)(f + 1);
    return false;
}

static uint64_t stack_of(unsigned what)
{
    uint64_t top = (uint64_t)stacks + 2 * PAGE_SIZE;

    return what & STACK_8 ? top - 8 : what & STACK_EDGE ? top - PAGE_SIZE + 16 : top;
}

static void arrange(unsigned what)
{
    struct callback_register r = {.type = CALLBACKTYPE_syscall,
                                  .flags = what & GATE ? CALLBACKF_mask_events : 0,
                                  .address = (unsigned long)look_first};

    event_disable();
    hypercall_stack_switch(FLAT_KERNEL_SS, stack_of(what));
    hypercall_callback_op(CALLBACKOP_register, &r);
    trap_gate(TRAP_PF, what & GATE ? MASKS : 0, (unsigned long)look_first);
    trap_gate(TRAP_UD, what & GATE ? MASKS : 0, (unsigned long)look_first);
    hypercall_vm_assist(what & IOPL ? VMASST_CMD_enable : VMASST_CMD_disable,
                        VMASST_TYPE_architectural_iopl);
    if (what & PENDING)
        event_send(port);
}

static void tidy(void)
{
    struct physdev_set_iopl iopl = {.iopl = 0};

    hypercall_physdev_op(PHYSDEVOP_set_iopl, &iopl);
    event_clear(port);
    event_vcpu_info(0)->evtchn_pending_sel = 0;
    event_vcpu_info(0)->evtchn_upcall_pending = 0;
}

/* What every handler finds, whoever was interrupted. */
static void check_handler(const char *entry, const char *circumstance, uint64_t rflags)
{
    tap_is_hex(found.rflags, rflags | RFLAGS_IF | ONE, "%s, %s: the handler's rflags", entry,
               circumstance);
    tap_ok(found.cs == FLAT_USER_CS64 && found.ss == FLAT_USER_SS64,
           "%s, %s: the handler's cs and ss", entry, circumstance);
    tap_ok(found.ds == FLAT_USER_DS32 && found.es == FLAT_USER_DS32 && !found.fs && !found.gs,
           "%s, %s: the handler's data selectors", entry, circumstance);
    tap_ok(found.fs_word == FS_WORD && found.gs_word == GS_KERNEL_WORD,
           "%s, %s: the handler's FS and GS base", entry, circumstance);
}

/* What every frame from the user must say. */
static void check_user_frame(const char *entry, const char *circumstance, unsigned what,
                             uint64_t rflags)
{
    tap_is_hex(trap_last.cs & 0xffff, FLAT_USER_CS, "%s, %s: cs", entry, circumstance);
    tap_is(trap_last.cs >> 32 & 0xff, !!(what & MASKED), "%s, %s: the mask beside cs", entry,
           circumstance);
    tap_is_hex(trap_last.rflags & ~RF, rflags | ONE, "%s, %s: rflags", entry, circumstance);
    tap_is_hex(trap_last.rsp, USER_STACK_TOP, "%s, %s: rsp", entry, circumstance);
    tap_is_hex(trap_last.ss, FLAT_USER_SS, "%s, %s: ss", entry, circumstance);
    tap_is(entry_mask, !!(what & (MASKED | GATE)), "%s, %s: the mask in the handler", entry,
           circumstance);
    tap_is_hex(entry_stack, stack_of(what) & ~15ul, "%s, %s: where the frame is", entry,
               circumstance);
}

static void from_user(unsigned e, unsigned c)
{
    const char *entry = entries[e].name, *circumstance = circumstances[c].name;
    unsigned what = circumstances[c].what;
    struct trap_frame f = user_frame();

    arrange(what);
    f.rcx = 0x1111, f.r11 = 0x2222, f.rbx = 0x3333, f.rdx = 0x4444;
    f.rflags = (what & CARRY ? CARRY_FLAGS : 0) | (what & MASKED ? 0 : RFLAGS_IF) |
               (what & IOPL ? IOPL_1 : 0);
    trap_handle(entries[e].vector, look);
    enter_at(entries[e].vector);
    tap_is(user_run(&f, entries[e].code, (size_t)(entries[e].end - entries[e].code)),
           entries[e].vector, "%s, %s: the vector", entry, circumstance);
    trap_handle(entries[e].vector, NULL);
    check_user_frame(entry, circumstance, what, f.rflags);
    const uint64_t loses = entries[e].vector == TRAP_SYSCALL ? SYSCALL_LOSES : HANDLER_LOSES;
    check_handler(entry, circumstance, what & CARRY ? CARRY_FLAGS & ~loses : 0);
    tap_is_hex(trap_last.rip, USER_CODE + entries[e].length, "%s, %s: rip", entry, circumstance);
    if (entries[e].vector == TRAP_SYSCALL) {
        tap_is_hex(trap_last.rcx, trap_last.rip, "%s, %s: rcx is rip", entry, circumstance);
        tap_is_hex(trap_last.r11 & CARRY_FLAGS, what & CARRY ? CARRY_FLAGS : 0,
                   "%s, %s: r11 is rflags", entry, circumstance);
    } else {
        tap_is_hex(trap_last.error, entries[e].error, "%s, %s: the error code", entry,
                   circumstance);
        tap_is_hex(trap_last.rcx, 0x1111, "%s, %s: rcx", entry, circumstance);
        tap_is_hex(trap_last.r11, 0x2222, "%s, %s: r11", entry, circumstance);
    }
    if (entries[e].address)
        tap_is_hex(trap_last_cr2, entries[e].address, "%s, %s: the address", entry, circumstance);
    tap_ok(trap_last.rbx == 0x3333 && trap_last.rdx == 0x4444, "%s, %s: other registers", entry,
           circumstance);
    tidy();
}

/* A page fault of the kernel's own: the mask it runs with is shown and, unless the gate says otherwise, kept. */
static void from_kernel(unsigned c, bool store)
{
    const char *circumstance = circumstances[c].name,
               *entry = store ? "kernel's store" : "kernel's load";
    unsigned what = circumstances[c].what;
    volatile uint64_t *nowhere = (volatile uint64_t *)0x10;
    int v;

    __asm__("" : "+r"(nowhere)); /* no compiler need know what it is */

    if (what & (STACK_8 | STACK_EDGE | CARRY))
        return;
    arrange(what);
    trap_handle(TRAP_PF, look);
    enter_at(TRAP_PF);
    event_vcpu_info(0)->evtchn_upcall_mask = !!(what & MASKED);
    if (store)
        v = TRAPS(*(volatile uint64_t *)(USER_CODE + 0x100) = 1);
    else
        v = TRAPS((void)*nowhere);
    event_disable();
    trap_handle(TRAP_PF, NULL);
    tap_is(v, TRAP_PF, "%s, %s: the vector", entry, circumstance);
    tap_is_hex(trap_last.error, store ? PF_WRITE | PF_PRESENT : 0, "%s, %s: the error code", entry,
               circumstance);
    tap_is_hex(trap_last.cs & 0xffff, KERNEL_CS, "%s, %s: cs", entry, circumstance);
    tap_is(trap_last.cs >> 32 & 0xff, !!(what & MASKED), "%s, %s: the mask beside cs", entry,
           circumstance);
    check_handler(entry, circumstance, found.rflags & 0x8d5);
    tap_is_hex(trap_last.rflags & ~(RF | 0x8d5), ONE | (what & MASKED ? 0 : RFLAGS_IF),
               "%s, %s: rflags", entry, circumstance);
    tap_is(entry_mask, !!(what & (MASKED | GATE)), "%s, %s: the mask in the handler", entry,
           circumstance);
    tap_ok(entry_stack <= (trap_last.rsp & ~15ul) && trap_last.rsp - entry_stack < 32,
           "%s, %s: where the frame is", entry, circumstance);
    tap_is_hex(trap_last_cr2, store ? USER_CODE + 0x100 : 0x10, "%s, %s: the address", entry,
               circumstance);
    tidy();
}

/* There and back a few times: iret takes the same program on, with every register. */
USER_ASM(user_rounds, "1: syscall; add %rax, %rbx; dec %r12; jnz 1b; mov 0x10, %rcx");

static unsigned rounds;
static bool answer(struct trap_frame *f)
{
    rounds++;
    f->rax = 5;
    return true;
}

static void back_to_user(unsigned c)
{
    struct trap_frame f = user_frame();

    arrange(circumstances[c].what);
    enter_at(TRAP_SYSCALL);
    trap_gate(TRAP_PF, 0, trap_stub(TRAP_PF)); /* look_first goes on to one only */
    f.r12 = 10, f.rbx = 0, f.rdi = 0x77, f.r15 = 0x88;
    f.rflags = circumstances[c].what & MASKED ? 0 : RFLAGS_IF;
    rounds = 0;
    trap_handle(TRAP_SYSCALL, answer);
    tap_is(USER_RUN(&f, user_rounds), TRAP_PF, "rounds, %s: end in a page fault",
           circumstances[c].name);
    trap_handle(TRAP_SYSCALL, NULL);
    tap_is(rounds, 10, "rounds, %s: ten", circumstances[c].name);
    tap_is(trap_last.rbx, 50, "rounds, %s: each with its answer", circumstances[c].name);
    tap_ok(trap_last.rdi == 0x77 && trap_last.r15 == 0x88 && trap_last.rsp == USER_STACK_TOP,
           "rounds, %s: the rest as it was", circumstances[c].name);
    tidy();
}

void guest_main(void)
{
    user_init();
    stacks = page_alloc();
    if (page_alloc() != stacks + PAGE_SIZE)
        tap_bail_out("pages are not in a row");
    event_bind_ipi(0, &port);
    event_unmask_bit(port);
    hypercall_set_segment_base(SEGBASE_GS_USER, USER_DATA);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs; mov %1, %%gs"
                     :
                     : "r"(FLAT_USER_DS32), "r"(0));
    hypercall_set_segment_base(SEGBASE_FS, (uint64_t)&fs_word);
    hypercall_set_segment_base(SEGBASE_GS_KERNEL, (uint64_t)&gs_kernel_word);

    for (unsigned c = 0; c < sizeof(circumstances) / sizeof(circumstances[0]); c++) {
        for (unsigned e = 0; e < sizeof(entries) / sizeof(entries[0]); e++)
            from_user(e, c);
        from_kernel(c, false);
        from_kernel(c, true);
        back_to_user(c);
    }
    arrange(0);
    tap_done();
}
