/*
 * Wants: two operations that nobody has thought of together.
 *
 * Three domains of four vCPUs each do, by chance, everything that touches what others may touch as
 * well: frames are taken, given back, exchanged, mapped, made tables; ports of their own and
 * between the domains are bound, sent to, moved, closed, and made queues of in any frame; vCPUs go
 * down and come up, have their areas and timers moved; all on the same few frames, ports and vCPUs.
 * Each domain ends in the middle of it and is built again.
 *
 * Fails: as the parts do.  What this would find is a pair that has no test of its own.
 */
#include "attack.h"
#include "clock.h"
#include "event.h"
#include "guest.h"
#include "memory.h"

#include <stddef.h>
#include <paravane/hypercall.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define VCPUS 4
#define POOL  24
#define PORTS 40

static volatile unsigned long pool[POOL];
static uint64_t *windows[VCPUS];
static domid_t other;

static unsigned long pick_frame(struct chance *c)
{
    return pool[chance_below(c, POOL)];
}

static domid_t pick_domain(struct chance *c)
{
    return chance_below(c, 3) ? other : DOMID_SELF;
}

static evtchn_port_t pick_port(struct chance *c)
{
    return 3 + chance_below(c, PORTS);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void take(struct chance *c, unsigned vcpu)
{
    unsigned long list[4];

    for (unsigned i = 0; i < 4; i++)
        list[i] = 0x100000 + chance_below(c, 64);
    long got = frames_populate(list, 1 + chance_below(c, 4), 0);
    for (long i = 0; i < got; i++)
        pool[chance_below(c, POOL)] = list[i];
}

static void give(struct chance *c, unsigned vcpu)
{
    unsigned long list[4];

    for (unsigned i = 0; i < 4; i++)
        list[i] = pick_frame(c);
    frames_release(list, 1 + chance_below(c, 4), 0);
}

static void exchange(struct chance *c, unsigned vcpu)
{
    unsigned long in[4], out[4];
    unsigned n = 1 + chance_below(c, 4);
    struct xen_memory_exchange e = {
        .in = {.nr_extents = n, .domid = DOMID_SELF},
        .out = {.nr_extents = n, .domid = DOMID_SELF},
    };

    for (unsigned i = 0; i < 4; i++) {
        in[i] = pick_frame(c);
        out[i] = 0x100000 + i;
    }
    set_xen_guest_handle(e.in.extent_start, in);
    set_xen_guest_handle(e.out.extent_start, chance_below(c, 4) ? out : in);
    if (!hypercall_memory_op(XENMEM_exchange, &e))
        for (unsigned i = 0; i < n; i++)
            pool[chance_below(c, POOL)] = out[i];
}

static void show(struct chance *c, unsigned vcpu)
{
    static const uint64_t flags[] = {0, PTE_RO, PTE_RW};

    hypercall_update_va_mapping((unsigned long)windows[vcpu],
                                pte_of(pick_frame(c), flags[chance_below(c, 3)]),
                                UVMF_INVLPG | (chance_below(c, 2) ? UVMF_ALL : UVMF_LOCAL));
}

static void change_role(struct chance *c, unsigned vcpu)
{
    static const unsigned commands[] = {
        MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE,
        MMUEXT_UNPIN_TABLE,  MMUEXT_UNPIN_TABLE,  MMUEXT_CLEAR_PAGE,   MMUEXT_TLB_FLUSH_ALL};

    mmuext(commands[chance_below(c, 8)], pick_frame(c));
}

static void set_entry(struct chance *c, unsigned vcpu)
{
    /* Not the last, below which it lives itself: an L4 entry there that names an L4 table would make every argument of its
     * hypercalls unreadable (guest_readable()), and it could not even end. */
    mmu_set((uint64_t)pick_frame(c) << PAGE_SHIFT | chance_below(c, 511) * 8,
            pte_of(pick_frame(c), chance_below(c, 2) ? PTE_RW : PTE_RO));
}

/* --- events ---------------------------------------------------------------------------------- */

static void bind(struct chance *c, unsigned vcpu)
{
    evtchn_port_t port;

    switch (chance_below(c, 4)) {
    case 0:
        event_alloc_unbound(pick_domain(c), &port);
        break;
    case 1:
        event_bind_ipi(chance_below(c, VCPUS), &port);
        break;
    case 2:
        event_bind_virq(chance_below(c, 3), chance_below(c, VCPUS), &port);
        break;
    default:
        event_bind_interdomain(pick_domain(c), pick_port(c), &port);
    }
}

static void use_port(struct chance *c, unsigned vcpu)
{
    struct evtchn_bind_vcpu to = {.port = pick_port(c), .vcpu = chance_below(c, VCPUS)};
    struct evtchn_set_priority p = {.port = pick_port(c), .priority = chance_below(c, 16)};

    switch (chance_below(c, 6)) {
    case 0:
        event_close(pick_port(c));
        break;
    case 1:
        event_unmask(pick_port(c));
        break;
    case 2:
        hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &to);
        break;
    case 3:
        hypercall_event_channel_op(EVTCHNOP_set_priority, &p);
        break;
    default:
        event_send(pick_port(c));
    }
}

static void change_queues(struct chance *c, unsigned vcpu)
{
    struct evtchn_init_control control = {.control_gfn = pick_frame(c),
                                          .offset = chance_below(c, 60) * 8,
                                          .vcpu = chance_below(c, VCPUS)};
    struct evtchn_expand_array array = {.array_gfn = pick_frame(c)};
    struct evtchn_reset all = {.dom = DOMID_SELF};

    switch (chance_below(c, 8)) {
    case 0:
        hypercall_event_channel_op(EVTCHNOP_reset, &all);
        break;
    case 1:
    case 2:
    case 3:
        hypercall_event_channel_op(EVTCHNOP_expand_array, &array);
        break;
    default:
        hypercall_event_channel_op(EVTCHNOP_init_control, &control);
    }
}

/* --- vCPUs and time -------------------------------------------------------------------------- */

static void move_areas(struct chance *c, unsigned vcpu)
{
    static struct vcpu_runstate_info runstates[8];
    static struct vcpu_time_info times[8];
    struct vcpu_register_runstate_memory_area r = {.addr.v = &runstates[chance_below(c, 8)]};
    struct vcpu_register_time_memory_area t = {.addr.v = &times[chance_below(c, 8)]};
    struct vcpu_register_vcpu_info info = {.mfn = pick_frame(c),
                                           .offset = chance_below(c, 60) * 64};
    unsigned which = chance_below(c, VCPUS);

    hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, which, &r);
    hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, which, &t);
    if (chance_below(c, 64) == 0)
        hypercall_vcpu_op(VCPUOP_register_vcpu_info, 1 + chance_below(c, VCPUS - 1), &info);
}

static void up_and_down(struct chance *c, unsigned vcpu)
{
    struct vcpu_set_periodic_timer p = {.period_ns = 1000000 + chance_below(c, 1000000)};
    unsigned which = chance_below(c, VCPUS);

    hypercall_vcpu_op(chance_below(c, 2) ? VCPUOP_set_periodic_timer : VCPUOP_stop_periodic_timer,
                      which, &p);
    /* The first one stays up: it ends this life. */
    hypercall_vcpu_op(which && chance_below(c, 8) == 0 ? VCPUOP_down : VCPUOP_up, which, NULL);
}

static void wait(struct chance *c, unsigned vcpu)
{
    hypercall_set_timer_op(clock_ns() + chance_below(c, 300000));
    if (chance_below(c, 2))
        attack_nap(chance_below(c, 100000));
    else
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static void one(struct chance *c, unsigned vcpu)
{
    static void (*const operations[])(struct chance * c, unsigned vcpu) = {
        take, give,     exchange, show,          show,       change_role, set_entry, bind,
        bind, use_port, use_port, change_queues, move_areas, up_and_down, wait,
    };

    operations[chance_below(c, sizeof(operations) / sizeof(operations[0]))](c, vcpu);
}

static void all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    for (;;)
        one(&c, vcpu);
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    if (!attack_goes_on())
        guest_shutdown(SHUTDOWN_poweroff);
    other = guest_option("other", DOMID_SELF);
    for (unsigned i = 0; i < VCPUS; i++)
        windows[i] = page_alloc();
    attack_vcpus(VCPUS, all);
    for (unsigned i = 0; i < 2000 && (i % 64 || attack_goes_on()); i++)
        one(&c, 0);
    attack_again();
}
