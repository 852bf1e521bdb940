/*
 * Several virtual CPUs.
 *
 * The first one is running when the kernel begins; the others do not exist for
 * the hypervisor until it is told all their registers, and then begin in the
 * kernel's own code, on the kernel's own tables.
 */
#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#include "kernel/lib/layout.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

#define SPIN_TURNS 64    /* of a waiting loop, before it sleeps */
#define NAP_NS     20000 /* at first: as long as many stays in the kernel */
#define NAP_GROWS  6     /* how often it doubles, where machines are slow or processors few */

static struct vcpu vcpus[CPU_MAX];
cpus_t vcpus_started = 1;

/* vcpu_info of the CPUs for which shared_info has no room; none crosses a page. */
static struct vcpu_info infos[CPU_MAX] __attribute__((aligned(4096)));

static void vcpu_setup(struct vcpu *v)
{
    v->self = v;
    v->number = v - vcpus;
    v->info = v->number < XEN_LEGACY_MAX_VCPUS ? &shared->vcpu_info[v->number] : &infos[v->number];
}

void vcpu_init(void)
{
    vcpu_setup(&vcpus[0]);
    (void)hypercall_set_segment_base(SEGBASE_GS_KERNEL, (unsigned long)&vcpus[0]);
}

struct vcpu *vcpu_first(void)
{
    return &vcpus[0];
}

static void events_init(struct vcpu *v)
{
    time_events_init(v);
    v->kick_port = event_bind_ipi(v, cpu_interrupt);
}

void vcpu_events_init(void)
{
    events_init(&vcpus[0]);
}

unsigned platform_cpu_count(void)
{
    unsigned count = 1;
    while (count < CPU_MAX && hypercall_vcpu_op(VCPUOP_is_up, count, NULL) >= 0)
        count++;
    return count;
}

static long info_register(const struct vcpu *v)
{
    const uintptr_t offset = (uintptr_t)v->info - KERNEL_BASE;
    struct vcpu_register_vcpu_info r = {
        .mfn = mfn_of(pfn(offset >> PAGE_SHIFT)).n,
        .offset = offset & ~PAGE_MASK,
    };
    return v->number < XEN_LEGACY_MAX_VCPUS
               ? 0
               : hypercall_vcpu_op(VCPUOP_register_vcpu_info, v->number, &r);
}

/* The registers of a call of kernel_start_cpu(@v->number) on @stack. */
static void context_fill(struct vcpu_guest_context *c, const struct vcpu *v, void *stack)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->user_regs.rip = (unsigned long)kernel_start_cpu;
    c->user_regs.rsp = (unsigned long)stack - 8; /* as behind a return address */
    c->user_regs.rdi = v->number;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = (unsigned long)stack;
    c->gs_base_kernel = (unsigned long)v;
    c->ctrlreg[3] = xen_pfn_to_cr3(kernel_root.n);
    trap_context(c);
    gdt_context(c);
}

int platform_cpu_start(unsigned cpu, void *stack)
{
    static struct vcpu_guest_context context;
    struct vcpu *v = &vcpus[cpu];

    vcpu_setup(v);
    long rc = info_register(v);
    if (rc)
        return rc;
    v->info->evtchn_upcall_mask = 1;
    events_init(v);
    context_fill(&context, v, stack);
    rc = hypercall_vcpu_op(VCPUOP_initialise, cpu, &context);
    if (rc)
        return rc;
    vcpus_started |= (cpus_t)1 << cpu;
    return hypercall_vcpu_op(VCPUOP_up, cpu, NULL);
}

void platform_cpu_kick(unsigned cpu)
{
    struct evtchn_send send = {.port = vcpus[cpu].kick_port};
    (void)hypercall_event_channel_op(EVTCHNOP_send, &send);
}

void platform_cpu_stop_others(void)
{
    const unsigned self = vcpu_this()->number;
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
        if (cpu != self && (vcpus_started >> cpu & 1))
            (void)hypercall_vcpu_op(VCPUOP_down, cpu, NULL);
}

/* Sleep, without regard to events, for as long as it takes; so whoever is waited for has a
 * processor. */
static void nap(uint64_t ns)
{
    struct sched_poll poll = {.nr_ports = 0, .timeout = platform_time() + ns};
    (void)hypercall_sched_op(SCHEDOP_poll, &poll);
}

void platform_relax(unsigned turns)
{
    __builtin_ia32_pause();
    if (turns % SPIN_TURNS == SPIN_TURNS - 1)
        nap((uint64_t)NAP_NS << MIN(turns / SPIN_TURNS, (unsigned)NAP_GROWS));
}
