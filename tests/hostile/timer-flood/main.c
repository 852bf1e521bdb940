/*
 * Wants: the neighbours' time, by timers.
 *
 * Each vCPU has a one-shot and a periodic timer, a poll has one, and each can be set to the past,
 * to the end of time, to now, as often as one can call.  What is due is served in an interrupt;
 * what is due again at once could keep it there.
 *
 * Fails: a timer in the past is one event and no interrupt; a period has a least length, and what
 * it missed it does not make up for.
 */
#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define VCPUS 4

static volatile bool done;

static uint64_t pick_time(struct chance *c)
{
    switch (chance_below(c, 6)) {
    case 0:
        return 0;
    case 1:
        return chance_next(c);
    case 2:
        return ~0ul - chance_below(c, 1000);
    case 3:
        return clock_ns() - chance_below(c, 1000000);
    default:
        return clock_ns() + chance_below(c, 100000);
    }
}

static void set(struct chance *c, unsigned vcpu)
{
    struct vcpu_set_singleshot_timer one = {.timeout_abs_ns = pick_time(c),
                                            .flags = chance_below(c, 2)};
    struct vcpu_set_periodic_timer every = {
        .period_ns = chance_below(c, 3) ? 1000000 + chance_below(c, 100) : pick_time(c)};

    switch (chance_below(c, 5)) {
    case 0:
        hypercall_set_timer_op(pick_time(c));
        break;
    case 1:
        hypercall_vcpu_op(VCPUOP_set_singleshot_timer, vcpu, &one);
        break;
    case 2:
        hypercall_vcpu_op(VCPUOP_set_periodic_timer, chance_below(c, VCPUS), &every);
        break;
    case 3:
        hypercall_vcpu_op(VCPUOP_stop_periodic_timer, chance_below(c, VCPUS), NULL);
        break;
    default:
        attack_nap(chance_below(c, 50000));
    }
}

static void set_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done)
        set(&c, vcpu);
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    attack_begin("timer-flood");
    attack_vcpus(VCPUS, set_all);
    while (attack_goes_on())
        for (unsigned i = 0; i < 50; i++)
            set(&c, 0);
    done = true;
}
