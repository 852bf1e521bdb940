/*
 * Wants: what somebody else left in memory.
 *
 * A frame that a domain gets was somebody's: the victim's, who keeps its secret in frames that come
 * and go; a domain's that has ended; the loader's or the firmware's; the hypervisor's own, with its
 * addresses in it.  Here all that can be had is taken, read, filled and given back, for ever.
 *
 * Fails: no frame is handed out before it is clean.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>

#define BATCH 128
#define MINE  0xa77ac4e7a77ac4e7ul /* what we leave in frames, and may find again: it is ours */

static unsigned long list[BATCH], dirty, seen;
static uint64_t *window;

static void look(unsigned long mfn)
{
    if (frame_show(window, mfn, PTE_RW))
        return;
    seen++;
    for (unsigned i = 0; i < 512; i++) {
        uint64_t word = *(volatile uint64_t *)&window[i];
        if (word && word != MINE && !dirty++)
            tap_note("word %u of frame %lx: %lx%s", i, mfn, word,
                     is_secret(word) ? ", the victim's secret" : "");
        window[i] = MINE;
    }
}

void guest_main(void)
{
    attack_begin("fresh-frames");
    window = page_alloc();
    const unsigned long own = page_mfn(window);
    while (attack_goes_on()) {
        for (unsigned i = 0; i < BATCH; i++)
            list[i] = 0x200000 + i;
        long got = frames_populate(list, BATCH, 0);
        for (long i = 0; i < got; i++)
            look(list[i]);
        frame_show(window, own, PTE_RW);
        if (got > 0)
            frames_release(list, got, 0);
    }
    tap_note("%lu frames seen", seen);
    tap_is(dirty, 0, "no word of anybody's in fresh frames");
}
