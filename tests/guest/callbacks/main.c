/*
 * Question: are the guest's entry points registered, refused and reached as
 * they should be?
 *
 * Events, failed returns and system calls enter the guest at addresses that
 * callback_op or the older set_callbacks fixed.  A non-canonical address must be
 * refused: it would fault inside the hypervisor's own return to the guest.
 * The failsafe callback is the one that runs when the guest asked to be
 * resumed with a segment selector that cannot be loaded.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/callback.h>

COVERS_CALL(callback_op);
COVERS(callback_op, CALLBACKOP_register);
COVERS(callback_op, CALLBACKOP_unregister);
COVERS_CALL(set_callbacks);
COVERS_CALL(stack_switch);

static long reg(unsigned type, unsigned flags, unsigned long address)
{
    struct callback_register r = {.type = type, .flags = flags, .address = address};
    return hypercall_callback_op(CALLBACKOP_register, &r);
}

static long unreg(unsigned type)
{
    struct callback_unregister r = {.type = type};
    return hypercall_callback_op(CALLBACKOP_unregister, &r);
}

static const struct {
    const char *name;
    unsigned type;
    char *address;
    bool known;
    long unregister;
} types[] = {
    {"event", CALLBACKTYPE_event, trap_event_callback, true, -XEN_EINVAL},
    {"failsafe", CALLBACKTYPE_failsafe, trap_failsafe_callback, true, -XEN_EINVAL},
    {"syscall", CALLBACKTYPE_syscall, trap_syscall_callback, true, -XEN_EINVAL},
    {"sysenter, deprecated", CALLBACKTYPE_sysenter_deprecated, trap_sysenter_callback, false,
     -XEN_ENOSYS},
    {"nmi", CALLBACKTYPE_nmi, trap_nmi_callback, true, 0},
    {"sysenter", CALLBACKTYPE_sysenter, trap_sysenter_callback, true, -XEN_EINVAL},
    {"type 6", 6, trap_event_callback, false, -XEN_ENOSYS},
    {"syscall32", CALLBACKTYPE_syscall32, trap_syscall32_callback, true, -XEN_EINVAL},
    {"type 8", 8, trap_event_callback, false, -XEN_ENOSYS},
    {"type 65535", 65535, trap_event_callback, false, -XEN_ENOSYS},
};

static void test_register(void)
{
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        tap_is(reg(types[i].type, 0, 1ul << 63), -XEN_EINVAL,
               "register %s: a non-canonical address", types[i].name);
        tap_is(reg(types[i].type, 0, (unsigned long)types[i].address),
               types[i].known ? 0 : -XEN_ENOSYS, "register %s", types[i].name);
        tap_is(unreg(types[i].type), types[i].unregister, "unregister %s", types[i].name);
    }
    tap_is(hypercall_callback_op(2, NULL), -XEN_ENOSYS, "no operation 2");
    tap_is(hypercall_callback_op(CALLBACKOP_register, (void *)0x1000), -XEN_EFAULT,
           "register: an unmapped argument");
    tap_is(hypercall_callback_op(CALLBACKOP_unregister, (void *)0x1000), -XEN_EFAULT,
           "unregister: an unmapped argument");
    tap_is(reg(CALLBACKTYPE_syscall, CALLBACKF_mask_events, (unsigned long)trap_syscall_callback),
           0, "register with mask_events");
    reg(CALLBACKTYPE_syscall, 0, (unsigned long)trap_syscall_callback);
}

USER_ASM(user_syscall, "mov $1, %eax; syscall; ud2");

static void test_set_callbacks(void)
{
    unsigned long event = (unsigned long)trap_event_callback;
    unsigned long failsafe = (unsigned long)trap_failsafe_callback;
    unsigned long syscall = (unsigned long)trap_syscall_callback;

    tap_is(hypercall_set_callbacks(event, failsafe, syscall), 0, "set_callbacks");
    /* Xen keeps the old entry point and does not say so; what matters is that none is used. */
    hypercall_set_callbacks(1ul << 63, 1ul << 63, 1ul << 63);
    struct trap_frame f = user_frame();
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL,
           "set_callbacks: non-canonical ones are not used");
    tap_is(hypercall_set_callbacks(event, failsafe, syscall), 0, "set_callbacks again");
}

static uint8_t mask_seen;
static bool note_mask(struct trap_frame *f)
{
    mask_seen = event_vcpu_info(0)->evtchn_upcall_mask;
    return false;
}

static void test_syscall(void)
{
    struct trap_frame f = user_frame();

    trap_handle(TRAP_SYSCALL, note_mask);
    reg(CALLBACKTYPE_syscall, 0, (unsigned long)trap_syscall_callback);
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "syscall: reached");
    tap_is(mask_seen, 0, "syscall: upcalls stay on");
    reg(CALLBACKTYPE_syscall, CALLBACKF_mask_events, (unsigned long)trap_syscall_callback);
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "syscall with mask_events: reached");
    tap_is(mask_seen, 1, "syscall with mask_events: upcalls are off");
    tap_is(trap_last.rflags & RFLAGS_IF, RFLAGS_IF, "syscall with mask_events: the frame says on");
    reg(CALLBACKTYPE_syscall, 0, 0);
    tap_is(USER_RUN(&f, user_syscall), TRAP_UD, "syscall with no callback: #UD");
    tap_is_hex(trap_last.rip, USER_CODE + 5, "syscall with no callback: rip at the instruction");
    reg(CALLBACKTYPE_syscall, 0, (unsigned long)trap_syscall_callback);
    trap_handle(TRAP_SYSCALL, NULL);
}

static void test_failsafe(void)
{
    struct trap_frame f = user_frame();

    /* The target cannot be loaded: its cs is a data segment. */
    f.cs = FLAT_USER_DS32;
    int v = USER_RUN(&f, user_syscall);
    tap_ok(v == TRAP_FAILSAFE || v == TRAP_GP, "iret to a data segment as cs: failsafe or #GP");
    tap_note("it was vector %d", v);

    f = user_frame();
    f.ss = 0x1230 | 3;
    v = USER_RUN(&f, user_syscall);
    tap_ok(v == TRAP_FAILSAFE || v == TRAP_GP, "iret to a bad ss: failsafe or #GP");
    tap_note("it was vector %d", v);
}

static void test_stack_switch(void)
{
    struct trap_frame f = user_frame();

    tap_is(hypercall_stack_switch(FLAT_KERNEL_SS, user_kernel_stack_top() - 64), 0,
           "stack_switch: result");
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "stack_switch: a system call");
    tap_is(hypercall_stack_switch(0, user_kernel_stack_top()), 0, "stack_switch: a null ss");
    tap_is(USER_RUN(&f, user_syscall), TRAP_SYSCALL, "stack_switch: a system call again");
    tap_is(hypercall_stack_switch(FLAT_KERNEL_SS, user_kernel_stack_top()), 0,
           "stack_switch: back");
}

static uint64_t frame_rsp;
static bool note_rsp(struct trap_frame *f)
{
    frame_rsp = (uint64_t)(f + 1);
    return false;
}

/* Where the frame lies: at the given stack, aligned down to 16. */
static void test_alignment(void)
{
    struct trap_frame f = user_frame();
    static const unsigned offsets[] = {0, 8, 15, 16, 24};

    trap_handle(TRAP_SYSCALL, note_rsp);
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        unsigned long top = user_kernel_stack_top() - offsets[i];
        hypercall_stack_switch(FLAT_KERNEL_SS, top);
        USER_RUN(&f, user_syscall);
        tap_is_hex(frame_rsp, top & ~15ul, "kernel_sp %u below the top: the frame is 16-aligned",
                   offsets[i]);
    }
    trap_handle(TRAP_SYSCALL, NULL);
    hypercall_stack_switch(FLAT_KERNEL_SS, user_kernel_stack_top());
}

void guest_main(void)
{
    user_init();
    test_register();
    test_set_callbacks();
    test_syscall();
    test_failsafe();
    test_stack_switch();
    test_alignment();
}
