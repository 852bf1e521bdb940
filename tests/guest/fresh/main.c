/*
 * Question: what does memory hold that a domain is given?
 *
 * Nothing: not what another domain had, not what the machine held before it was reset, and no
 * addresses of the hypervisor, which keeps its lists in free memory.  The guest asks for frames
 * until there are no more (at most pages=N), looks at each word of them and of its own memory that
 * nobody has used, and leaves a secret there.  reboot=1: then it asks for a reboot, and the same
 * words are looked for by whoever is built next.
 */
#include "guest.h"
#include "console.h"
#include "memory.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define SECRET    0x5ec2e7005ec2e701ul
#define FIRST_PFN 0x100000ul /* a number behind all that the guest has */

static struct {
    unsigned long frames, not_zero, secrets, shown;
} seen;

static void look_and_leave(uint64_t *words)
{
    bool any = false;

    for (int i = 0; i < 512; i++) {
        any |= words[i] != 0;
        seen.secrets += words[i] == SECRET;
        if (words[i] && seen.shown++ < 4)
            console_printf("fresh: word %d of frame %lu is %lx\n", i, seen.frames, words[i]);
        words[i] = SECRET;
    }
    seen.not_zero += any;
    seen.frames++;
}

/* One more frame, at @window; false: there are no more. */
static bool next_frame(uint64_t *window)
{
    xen_pfn_t frame = FIRST_PFN + seen.frames;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    r.extent_start.p = &frame;
    return hypercall_memory_op(XENMEM_populate_physmap, &r) == 1 &&
           !hypercall_update_va_mapping((unsigned long)window, pte_of(frame, PTE_RW),
                                        UVMF_INVLPG | UVMF_LOCAL);
}

void guest_main(void)
{
    uint64_t *window = page_alloc();
    const unsigned long most = guest_option("pages", ~0ul);

    look_and_leave(page_alloc());
    while (seen.frames < most && next_frame(window))
        look_and_leave(window);
    console_printf("fresh: %lu frames, %lu not zero, %lu words of a secret\n", seen.frames,
                   seen.not_zero, seen.secrets);
    tap_ok(seen.frames > 100, "there was memory to look at");
    tap_ok(!seen.not_zero, "each frame was zero");
    if (guest_option("reboot", 0))
        guest_shutdown(SHUTDOWN_reboot);
}
