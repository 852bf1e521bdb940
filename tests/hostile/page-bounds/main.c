/*
 * Wants: frames that nobody finds any more.
 *
 * The hypervisor remembers the lowest and the highest frame of a domain, so that its end need not
 * search all memory.  Two vCPUs that get frames at once may each store a bound that forgets the
 * other's: at the end a frame is missed, the domain stays for ever as a zombie, and with it its
 * number and its memory.  All vCPUs take and give frames, and one of them ends the domain in the
 * middle of that: calls that are under way on the other CPUs must not add frames to a domain that
 * is being taken down.
 *
 * Fails: bounds are widened under the domain's mmu lock (page_assign()); and a frame is counted
 * before `dying` is looked at (page_prepare()), so teardown waits for it.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"

#define FRAMES 24
#define VCPUS  4

static void churn(struct chance *c)
{
    unsigned long list[FRAMES];
    unsigned n = 1 + chance_below(c, FRAMES);

    for (unsigned i = 0; i < n; i++)
        list[i] = 0x100000 + i;
    long got = frames_populate(list, n, 0);
    if (got > 0)
        frames_release(list, got - chance_below(c, 2), 0);
}

static void churn_all(unsigned vcpu)
{
    struct chance c = chance_of(vcpu);

    for (;;)
        churn(&c);
}

void guest_main(void)
{
    struct chance c = chance_of(0);

    attack_vcpus(VCPUS, churn_all);
    for (unsigned i = 10 + chance_below(&c, 200); i; i--)
        churn(&c);
    attack_again();
}
