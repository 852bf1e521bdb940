#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/vcpu.h>
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define NO_SUCH_PORT (1u << 20) /* beyond every port of either kind of event channels */

struct chance chance_of(unsigned vcpu)
{
    struct chance c = {guest_option("seed", 1) * 0x9e3779b97f4a7c15 ^ clock_tsc() ^
                       (uint64_t)vcpu << 48};

    for (unsigned i = 0; i < 4; i++)
        chance_next(&c);
    return c;
}

uint64_t chance_next(struct chance *c)
{
    uint64_t z = c->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void attack_begin(const char *name)
{
    tap_note("%s: seed %lu", name, guest_option("seed", 1));
}

bool attack_goes_on(void)
{
    struct evtchn_bind_interdomain b = {.remote_dom = DOMAIN_VICTIM, .remote_port = NO_SUCH_PORT};

    return hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &b) != -XEN_ESRCH;
}

void attack_vcpu_infos(unsigned count)
{
    static struct vcpu_info infos[64] __attribute__((aligned(4096)));

    for (unsigned i = ATTACK_LEGACY; i < count; i++) {
        const unsigned long at = (unsigned long)&infos[i];
        struct vcpu_register_vcpu_info r = {.mfn = page_mfn((void *)(at & ~4095ul)),
                                            .offset = at & 4095};
        if (hypercall_vcpu_op(VCPUOP_register_vcpu_info, i, &r))
            tap_bail_out("vCPU %u has no vcpu_info", i);
    }
}

static void (*start)(unsigned vcpu);

static void run(void *argument)
{
    start((unsigned)(unsigned long)argument);
    attack_rest();
}

void attack_vcpus(unsigned count, void (*function)(unsigned vcpu))
{
    start = function;
    for (unsigned i = 1; i < count; i++) {
        long rc = vcpu_start(i, run, (void *)(unsigned long)i);
        if (rc)
            tap_bail_out("vCPU %u does not start: %ld", i, rc);
    }
}

void attack_rest(void)
{
    for (;;)
        attack_nap(100000000);
}

void attack_spin(uint64_t ns)
{
    for (const uint64_t end = clock_ns() + ns; clock_ns() < end;)
        __asm__ volatile("pause");
}

void attack_nap(uint64_t ns)
{
    struct sched_poll poll = {.timeout = clock_ns() + ns};

    hypercall_sched_op(SCHEDOP_poll, &poll);
}

void attack_again(void)
{
    guest_shutdown(attack_goes_on() ? SHUTDOWN_reboot : SHUTDOWN_poweroff);
}

static long reservation(unsigned op, unsigned long *list, unsigned count, unsigned order)
{
    struct xen_memory_reservation r = {
        .nr_extents = count, .extent_order = order, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, list);
    return hypercall_memory_op(op, &r);
}

long frames_populate(unsigned long *list, unsigned count, unsigned order)
{
    return reservation(XENMEM_populate_physmap, list, count, order);
}

long frames_release(unsigned long *list, unsigned count, unsigned order)
{
    return reservation(XENMEM_decrease_reservation, list, count, order);
}

long frame_show(void *page, unsigned long mfn, uint64_t flags)
{
    return hypercall_update_va_mapping((unsigned long)page, pte_of(mfn, flags),
                                       UVMF_INVLPG | UVMF_LOCAL);
}
