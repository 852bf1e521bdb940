/*
 * Wants: the hypervisor on memory that it has freed.
 *
 * Any domain may name any other, and a port of it, in a bind; the other may be ending, or being
 * built, at that moment.  If its ports are freed, or set up, outside the lock that a bind takes,
 * the bind walks what is gone.  All vCPUs bind and close, to the domain that reboots for ever and
 * to each number around it.
 *
 * Fails: a domain is found by its number only when it is whole, and its ports are freed when nobody
 * has a reference to it.
 */
#include "attack.h"
#include "event.h"
#include "guest.h"
#include "tap.h"

static volatile bool done;
static volatile unsigned long tries[4], bound[4];

static void bind(struct chance *c, unsigned vcpu)
{
    evtchn_port_t port;
    domid_t other = chance_below(c, 4) ? DOMAIN_REBOOTS : chance_below(c, 8);

    tries[vcpu]++;
    if (event_bind_interdomain(other, chance_below(c, 8), &port))
        return;
    bound[vcpu]++;
    event_send(port);
    event_close(port);
}

static void bind_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    while (!done)
        bind(&c, vcpu);
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    attack_begin("bind-dying");
    attack_vcpus(4, bind_all);
    while (attack_goes_on())
        for (unsigned i = 0; i < 100; i++)
            bind(&c, 0);
    done = true;
    tap_note("%lu binds tried, %lu done", tries[0] + tries[1] + tries[2] + tries[3],
             bound[0] + bound[1] + bound[2] + bound[3]);
}
