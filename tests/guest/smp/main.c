/*
 * Question: can a guest start, stop and reach another vCPU of its own?
 *
 * Needs a domain of two vCPUs (dom0_max_vcpus=2); they may share one processor.
 * A vCPU starts from a register context that the guest writes, so everything in it is
 * suspect: selectors, page-table root, entry points.
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

COVERS(vcpu_op, VCPUOP_initialise);
COVERS(vcpu_op, VCPUOP_up);
COVERS(vcpu_op, VCPUOP_down);
COVERS(vcpu_op, VCPUOP_send_nmi);

#define SECOND 1000000000ul

static volatile unsigned stage, go_on, woken, turns;

/* Let the other vCPU run until *@flag is at least @value; false after ten seconds. */
static bool wait_for(volatile unsigned *flag, unsigned value)
{
    uint64_t deadline = clock_ns() + 10 * SECOND;
    while (*flag < value && clock_ns() < deadline)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    return *flag >= value;
}

static evtchn_port_t ipi1;

static void second(void *argument)
{
    stage = (unsigned)(unsigned long)argument;
    while (!go_on) {
        turns++;
        hypercall_sched_op(SCHEDOP_yield, NULL);
    }
    stage = 8;
    struct sched_poll poll = {.ports = {&ipi1}, .nr_ports = 1};
    woken = hypercall_sched_op(SCHEDOP_poll, &poll) == 0 && event_pending(ipi1) ? 1 : 2;
    stage = 9;
    hypercall_vcpu_op(VCPUOP_down, 1, NULL);
    stage = 10; /* brought up again */
    for (;;)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static struct vcpu_guest_context *context;

static void reset_context(void)
{
    memset(context, 0, sizeof(*context));
    context->flags = VGCF_in_kernel;
    context->user_regs.cs = FLAT_KERNEL_CS;
    context->user_regs.ss = FLAT_KERNEL_SS;
    context->user_regs.rip = (unsigned long)second;
    context->kernel_ss = FLAT_KERNEL_SS;
    context->ctrlreg[3] = xen_pfn_to_cr3(memory_root_mfn());
}

/* Values that are no "none" and name frame 0 all the same, which is no guest's. */
static const struct {
    unsigned long cr3;
    const char *user, *kernel, *root;
} roots_of_frame_0[] = {
    {1, "initialise: user mode, user root 1", "initialise: kernel mode, user root 1",
     "initialise: root 1"},
    {0x18, "initialise: user mode, user root 0x18", "initialise: kernel mode, user root 0x18",
     "initialise: root 0x18"},
    {0xfff, "initialise: user mode, user root 0xfff", "initialise: kernel mode, user root 0xfff",
     "initialise: root 0xfff"},
};

static long initialise(void)
{
    return hypercall_vcpu_op(VCPUOP_initialise, 1, context);
}

static void test_bad_contexts(void)
{
    static struct vcpu_guest_context storage;
    context = &storage;

    tap_is(hypercall_vcpu_op(VCPUOP_up, 1, NULL), -XEN_EINVAL, "up before initialise");
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "is_up: down");
    tap_is(hypercall_vcpu_op(VCPUOP_initialise, 1, (void *)0x1000), -XEN_EFAULT,
           "initialise: an unmapped context");
    tap_is(hypercall_vcpu_op(VCPUOP_initialise, 1000, context), -XEN_ENOENT,
           "initialise: no such vCPU");
    reset_context();
    context->ctrlreg[3] = 0xffffffffff000;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a root beyond memory");
    reset_context();
    context->ctrlreg[3] = xen_pfn_to_cr3(page_mfn(page_alloc()));
    tap_is(initialise(), -XEN_EINVAL, "initialise: a root that is mapped writable");
    reset_context();
    context->gdt_ents = 14 * 512 + 1;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a GDT of 7169 entries");
    reset_context();
    context->gdt_ents = 512;
    context->gdt_frames[0] = memory_root_mfn();
    tap_is(initialise(), -XEN_EINVAL, "initialise: a page table as GDT");
    reset_context();
    context->user_regs.rip = 1ul << 63;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a non-canonical rip");
    reset_context();
    context->event_callback_eip = 1ul << 63;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a non-canonical event callback");
    reset_context();
    context->failsafe_callback_eip = 1ul << 63;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a non-canonical failsafe callback");
    reset_context();
    context->flags = 0;
    tap_is(initialise(), -XEN_EINVAL, "initialise: user mode without a user root");
    for (unsigned i = 0; i < sizeof(roots_of_frame_0) / sizeof(*roots_of_frame_0); i++) {
        reset_context();
        context->flags = 0;
        context->ctrlreg[1] = roots_of_frame_0[i].cr3;
        tap_is(initialise(), -XEN_EINVAL, roots_of_frame_0[i].user);
        context->flags = VGCF_in_kernel;
        tap_is(initialise(), -XEN_EINVAL, roots_of_frame_0[i].kernel);
        context->ctrlreg[1] = 0;
        context->ctrlreg[3] = roots_of_frame_0[i].cr3;
        tap_is(initialise(), -XEN_EINVAL, roots_of_frame_0[i].root);
    }
}

static void test_bad_tables(void)
{
    reset_context();
    context->ctrlreg[1] = 0xffffffffff000;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a user root beyond memory");
    reset_context();
    context->ctrlreg[1] = xen_pfn_to_cr3(page_mfn(page_alloc()));
    tap_is(initialise(), -XEN_EINVAL, "initialise: a user root that is mapped writable");
    reset_context();
    context->gdt_ents = 1ul << 32;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a GDT of 2^32 entries");
    reset_context();
    context->gdt_ents = 1;
    context->gdt_frames[0] = 1ul << 52 | page_mfn(page_alloc());
    tap_is(initialise(), -XEN_EINVAL, "initialise: a GDT in a frame beyond 2^52");
    reset_context();
    context->ldt_ents = 1ul << 32 | 1;
    tap_is(initialise(), -XEN_EINVAL, "initialise: an LDT of 2^32 + 1 entries");
    reset_context();
    context->ldt_ents = 8193;
    tap_is(initialise(), -XEN_EINVAL, "initialise: an LDT of 8193 entries");
    reset_context();
    context->fs_base = 1ul << 63;
    tap_is(initialise(), -XEN_EINVAL, "initialise: a non-canonical fs base");
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "is_up: still down");
}

static void test_start(void)
{
    tap_is(vcpu_start(1, second, (void *)7), 0, "initialise and up");
    tap_ok(wait_for(&stage, 7), "it runs, with its argument");
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 1, NULL), 1, "is_up: up");
    tap_is(hypercall_vcpu_op(VCPUOP_initialise, 1, context), -XEN_EEXIST, "initialise: not twice");
    tap_is(hypercall_vcpu_op(VCPUOP_up, 1, NULL), 0, "up: twice is harmless");
    struct vcpu_register_vcpu_info info = {.mfn = page_mfn(page_alloc())};
    tap_is(hypercall_vcpu_op(VCPUOP_register_vcpu_info, 1, &info), -XEN_EINVAL,
           "register_vcpu_info: not for a vCPU that runs");
}

static void test_events(void)
{
    evtchn_port_t p;
    struct evtchn_bind_vcpu bind = {.vcpu = 1};
    struct evtchn_status st;

    tap_is(event_bind_ipi(1, &ipi1), 0, "bind_ipi on vCPU 1");
    event_status(ipi1, &st);
    tap_is(st.vcpu, 1, "status: vCPU 1");
    event_alloc_unbound(DOMID_SELF, &p);
    bind.port = p;
    tap_is(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind), 0, "bind_vcpu to vCPU 1");
    event_status(p, &st);
    tap_is(st.vcpu, 1, "status: it moved");
    event_close(p);

    go_on = 1;
    tap_ok(wait_for(&stage, 8), "vCPU 1 goes to poll its port");
    for (unsigned i = 0; i < 100 && stage == 8; i++)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is(stage, 8, "it waits");
    event_send(ipi1);
    tap_ok(wait_for(&woken, 1) && woken == 1, "an IPI wakes it");
}

static volatile unsigned failsafes;
static bool note_failsafe(struct trap_frame *f)
{
    failsafes++;
    return true;
}

/* How long this vCPU has been waiting for a processor. */
static uint64_t time_runnable(void)
{
    struct vcpu_runstate_info r = {0};
    hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &r);
    return r.time[RUNSTATE_runnable];
}

/*
 * A selector that was good when it was loaded cannot be loaded again when the
 * vCPU comes back after its descriptor went away: the failsafe callback is how
 * the guest learns.  A vCPU that has a processor to itself need not come back.
 */
static void test_failsafe(void)
{
    uint64_t *gdt = page_alloc();
    unsigned long frame = page_mfn(gdt);
    uint64_t ma = table_entry_ma(gdt, 7);
    uint32_t selector = 7 << 3 | 3;

    gdt[7] = 0x00cff3000000ffff;
    page_protect(gdt, PTE_RO);
    tap_is(hypercall_set_gdt(&frame, 512), 0, "failsafe: a GDT with a data segment");
    trap_handle(TRAP_FAILSAFE, note_failsafe);
    __asm__ volatile("mov %0, %%es" : : "r"(selector));
    hypercall_update_descriptor(ma, 0);
    const unsigned before = turns;
    const uint64_t runnable = time_runnable();
    tap_ok(wait_for(&turns, before + 3), "failsafe: the other vCPU has had its turns");
    if (time_runnable() == runnable && !failsafes) {
        tap_skip("this vCPU has a processor to itself", "failsafe: the callback was entered");
        tap_skip("this vCPU has a processor to itself",
                 "failsafe: its frame holds the selector of es");
    } else {
        tap_ok(failsafes > 0, "failsafe: the callback was entered");
        tap_is_hex(failsafe_selectors[1] & 0xffff, selector,
                   "failsafe: its frame holds the selector of es");
    }
    __asm__ volatile("mov %0, %%es" : : "r"(0));
    trap_handle(TRAP_FAILSAFE, NULL);
    hypercall_set_gdt(NULL, 0);
}

static void test_down_up(void)
{
    tap_ok(wait_for(&stage, 9), "vCPU 1 brings itself down");
    uint64_t deadline = clock_ns() + 10 * SECOND;
    while (hypercall_vcpu_op(VCPUOP_is_up, 1, NULL) && clock_ns() < deadline)
        hypercall_sched_op(SCHEDOP_yield, NULL);
    tap_is(hypercall_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "is_up: down");
    tap_is(stage, 9, "it does not run");
    struct vcpu_runstate_info r;
    tap_is(hypercall_vcpu_op(VCPUOP_get_runstate_info, 1, &r), 0,
           "get_runstate_info of a down vCPU");
    /* On another processor it may still be on its way out. */
    deadline = clock_ns() + 10 * SECOND;
    while (r.state != RUNSTATE_offline && clock_ns() < deadline) {
        hypercall_sched_op(SCHEDOP_yield, NULL);
        hypercall_vcpu_op(VCPUOP_get_runstate_info, 1, &r);
    }
    tap_is(r.state, RUNSTATE_offline, "its state is offline");
    tap_is(hypercall_vcpu_op(VCPUOP_up, 1, NULL), 0, "up again");
    tap_ok(wait_for(&stage, 10), "it goes on behind its down");
    tap_is(hypercall_vcpu_op(VCPUOP_down, 1, NULL), 0, "down by vCPU 0");
    tap_is(hypercall_vcpu_op(VCPUOP_down, 1, NULL), 0, "down: twice is harmless");
    tap_is(hypercall_vcpu_op(VCPUOP_send_nmi, 1, NULL), 0, "send_nmi to a down vCPU");
    tap_is(hypercall_vcpu_op(VCPUOP_send_nmi, 1000, NULL), -XEN_ENOENT, "send_nmi: no such vCPU");
    tap_is(hypercall_vcpu_op(VCPUOP_send_nmi, 1, &r), -XEN_EINVAL,
           "send_nmi: it takes no argument");
}

void guest_main(void)
{
    if (!vcpu_have(2, "a second vCPU"))
        return;
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = ~0ul};
    tap_is(hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 1, &t), -XEN_EINVAL,
           "a timer is set by its own vCPU only");
    test_bad_contexts();
    test_bad_tables();
    test_start();
    test_failsafe();
    test_events();
    test_down_up();
}
