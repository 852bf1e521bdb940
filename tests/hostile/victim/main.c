/*
 * The victim: a domain that minds its own business and notices when it is disturbed.  Its word is
 * the verdict of every scenario here.
 *
 * rounds=N times it looks at all that is its own:
 *
 *   memory     pages that hold its secret: nobody else's word may appear in them
 *   frames     it takes frames, which must come clean (or hold what it left there itself), keeps
 *              its secret in them for a while, and gives them back: whoever still maps them, or
 *              gets them unscrubbed, sees the secret
 *   tables     its page-table entries are the ones that it asked for
 *   registers  segment bases, vector registers, debug registers stay as they were
 *   events     as many arrive as it sends to itself, and at no port that it has not bound
 *   clock      never runs backwards, and no timer comes early
 *   share      of the time in which it wanted a CPU it had at least share= in a thousand
 *
 * "victim: unhurt" is the last line; each "victim: HURT" says what went wrong.
 */
#include "attack.h"
#include "clock.h"
#include "console.h"
#include "event.h"
#include "guest.h"
#include "memory.h"

#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define PAGES    48
#define FRAMES   32
#define HURT_SAY 8

static unsigned hurts;
static uint64_t *pages[PAGES];
static evtchn_port_t timer, loop_out, loop_in;

#define HURT(...)                             \
    do {                                      \
        if (hurts++ < HURT_SAY) {             \
            console_printf("victim: HURT: "); \
            console_printf(__VA_ARGS__);      \
            console_printf("\n");             \
        }                                     \
    } while (0)

/* --- memory ---------------------------------------------------------------------------------- */

static uint64_t secret(unsigned which, unsigned index)
{
    return SECRET_WORD | (which << 12 | index);
}

static void fill(uint64_t *page, unsigned which)
{
    for (unsigned i = 0; i < 512; i++)
        page[i] = secret(which, i);
}

static bool holds(const volatile uint64_t *page, unsigned which)
{
    for (unsigned i = 0; i < 512; i++)
        if (page[i] != secret(which, i)) {
            HURT("word %u of secret %u is %lx", i, which, page[i]);
            return false;
        }
    return true;
}

static void memory_check(unsigned round)
{
    for (unsigned p = 0; p < PAGES; p++)
        if (!holds(pages[p], p))
            fill(pages[p], p);
    fill(pages[round % PAGES], round % PAGES);
}

/* --- frames that come and go ----------------------------------------------------------------- */

static unsigned long dirty_frames;

static void frame_is_clean(const volatile uint64_t *page, unsigned long mfn)
{
    for (unsigned i = 0; i < 512; i++)
        if (page[i] && !is_secret(page[i])) {
            HURT("frame %lx, just populated, holds %lx in word %u", mfn, page[i], i);
            dirty_frames++;
            return;
        }
}

static void frames_check(void)
{
    static uint64_t *window;
    static unsigned long own;
    unsigned long list[FRAMES];

    if (!window) {
        window = page_alloc();
        own = page_mfn(window);
    }
    for (unsigned i = 0; i < FRAMES; i++)
        list[i] = 0x200000 + i;
    const long got = frames_populate(list, FRAMES, 0);
    if (got < 0) {
        HURT("populate_physmap: %ld", got);
        return;
    }
    for (long i = 0; i < got; i++) {
        long rc = frame_show(window, list[i], PTE_RW);
        if (rc) {
            HURT("frame %lx, just populated, cannot be mapped: %ld", list[i], rc);
            continue;
        }
        frame_is_clean(window, list[i]);
        fill(window, 100 + i);
    }
    attack_nap(300000);
    for (long i = 0; i < got; i++)
        if (!frame_show(window, list[i], PTE_RW))
            holds(window, 100 + i);
    if (frame_show(window, own, PTE_RW))
        HURT("its own page cannot be mapped again");
    if (got && frames_release(list, got, 0) != got)
        HURT("frames of its own cannot be given back");
}

/* --- tables and registers -------------------------------------------------------------------- */

static void tables_check(void)
{
    const uint64_t flags = PTE_P | PTE_W | PTE_U;

    for (unsigned p = 0; p < PAGES; p++) {
        uint64_t e = *memory_entry((unsigned long)pages[p], 1);
        if (pte_mfn(e) != page_mfn(pages[p]) || (e & flags) != flags || e & PTE_NX)
            HURT("the entry that maps page %u is %lx", p, e);
    }
}

/* By instructions, since this is about what is loaded, not what the hypervisor noted. */
static void registers_check(void)
{
    uint64_t fs, gs, low, high;

    __asm__ volatile("movq %%fs:8, %0; movq %%gs:8, %1" : "=r"(fs), "=r"(gs));
    if (fs != secret(1, 1) || gs != secret(2, 1))
        HURT("FS base shows %lx, GS base %lx", fs, gs);
    __asm__ volatile("movq %%xmm3, %0; movq %%xmm15, %1" : "=r"(low), "=r"(high));
    if (low != secret(3, 3) || high != secret(3, 15))
        HURT("xmm3 is %lx, xmm15 %lx", low, high);
    if (hypercall_get_debugreg(0) != (unsigned long)pages[4])
        HURT("DR0 is %lx", hypercall_get_debugreg(0));
}

static void registers_load(void)
{
    hypercall_set_segment_base(SEGBASE_FS, (unsigned long)pages[1]);
    hypercall_set_segment_base(SEGBASE_GS_KERNEL, (unsigned long)pages[2]);
    __asm__ volatile("movq %0, %%xmm3; movq %1, %%xmm15" : : "r"(secret(3, 3)), "r"(secret(3, 15)));
    hypercall_set_debugreg(0, (unsigned long)pages[4]);
}

/* --- events and time ------------------------------------------------------------------------- */

static bool is_bound(evtchn_port_t port)
{
    return port == timer || port == loop_in || port == loop_out ||
           port == guest_info->console.domU.evtchn || port == guest_info->store_evtchn;
}

static void events_check(void)
{
    const unsigned before = event_count(loop_in);

    for (unsigned i = 1; i <= 4; i++) {
        if (event_send(loop_out))
            HURT("its own port is gone");
        if (event_count(loop_in) != before + i)
            HURT("%u events sent, %u arrived", i, event_count(loop_in) - before);
    }
    for (evtchn_port_t port = 0; port < 1024; port++)
        if (event_pending(port) && !is_bound(port))
            HURT("an event at port %u, which is not bound", port);
}

static void clock_check(void)
{
    static uint64_t last;
    const uint64_t now = clock_ns(), due = now + 200000;
    const unsigned before = event_count(timer);

    if (now < last)
        HURT("the clock went back from %lu to %lu", last, now);
    /* Masked until block unmasks and sleeps in one step: an upcall between look and block would be slept through. */
    event_disable();
    hypercall_set_timer_op(due);
    while (event_count(timer) == before) {
        hypercall_sched_op(SCHEDOP_block, NULL);
        event_disable();
    }
    event_enable();
    last = clock_ns();
    if (last < due)
        HURT("a timer came %lu ns early", due - last);
}

/* How long it ran, and waited for a CPU, by the hypervisor's own account. */
static struct vcpu_runstate_info runstate(void)
{
    struct vcpu_runstate_info info = {0};

    if (hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &info))
        HURT("no runstate");
    return info;
}

/* Busy for a while, so that a share means something. */
static void compute(void)
{
    for (volatile unsigned i = 0; i < 100000; i++)
        ;
}

void guest_main(void)
{
    const unsigned long rounds = guest_option("rounds", 100), least = guest_option("share", 0);

    for (unsigned p = 0; p < PAGES; p++) {
        pages[p] = page_alloc();
        fill(pages[p], p);
    }
    registers_load();
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    if (event_bind_virq(VIRQ_TIMER, 0, &timer) || event_alloc_unbound(DOMID_SELF, &loop_in) ||
        event_bind_interdomain(DOMID_SELF, loop_in, &loop_out))
        HURT("it gets no ports");
    event_unmask_bit(timer);
    event_unmask_bit(loop_in);
    event_enable();
    const struct vcpu_runstate_info start = runstate();
    for (unsigned long round = 0; round < rounds; round++) {
        memory_check(round);
        registers_check();
        events_check();
        compute();
        if (round % 8 == 0) {
            frames_check();
            tables_check();
            clock_check();
        }
    }
    event_disable();
    const struct vcpu_runstate_info end = runstate();
    const uint64_t ran = end.time[RUNSTATE_running] - start.time[RUNSTATE_running],
                   waited = end.time[RUNSTATE_runnable] - start.time[RUNSTATE_runnable],
                   share = ran * 1000 / (ran + waited + 1);
    if (share < least)
        HURT("it had a CPU for %lu in a thousand of the time in which it wanted one, not for %lu",
             share, least);
    console_printf("victim: %s after %lu rounds, %lu in a thousand, %lu dirty frames\n",
                   hurts ? "HURT" : "unhurt", rounds, share, dirty_frames);
    guest_shutdown(SHUTDOWN_poweroff);
}
