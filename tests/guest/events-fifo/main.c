/*
 * Question: do FIFO event channels carry events in order, and survive a guest
 * that ruins its queues?
 *
 * Each port has a word in an array of pages that the guest gave, each vCPU a
 * control block with the heads of 16 queues.  The hypervisor links the words
 * of pending, unmasked ports; the guest takes them off.  Both write the same
 * words at the same time, and the guest may write nonsense: the hypervisor of
 * XSA-107 followed it.  So first everything is looked at bit by bit, with
 * upcalls off; then queues are ruined, and the domain must live on.
 *
 * Needs a domain of two vCPUs (dom0_max_vcpus=2); the second one never runs.
 */
#include "guest.h"
#include "clock.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

COVERS(event_channel_op, EVTCHNOP_init_control);
COVERS(event_channel_op, EVTCHNOP_expand_array);
COVERS(event_channel_op, EVTCHNOP_set_priority);

#define BIT(n)  (1u << (n))
#define PENDING BIT(EVTCHN_FIFO_PENDING)
#define MASKED  BIT(EVTCHN_FIFO_MASKED)
#define LINKED  BIT(EVTCHN_FIFO_LINKED)
#define BUSY    BIT(EVTCHN_FIFO_BUSY)
#define LINK    (BIT(EVTCHN_FIFO_LINK_BITS) - 1)
#define DEFAULT EVTCHN_FIFO_PRIORITY_DEFAULT

static volatile event_word_t *words;                        /* the first page of the array */
static volatile struct evtchn_fifo_control_block *block[2]; /* a vCPU's each */

/* --- hypercalls --- */

static long init_control(uint64_t gfn, uint32_t offset, uint32_t vcpu)
{
    struct evtchn_init_control arg = {.control_gfn = gfn, .offset = offset, .vcpu = vcpu};
    long rc = hypercall_event_channel_op(EVTCHNOP_init_control, &arg);
    if (!rc)
        tap_is(arg.link_bits, EVTCHN_FIFO_LINK_BITS, "init_control: link_bits, vCPU %u", vcpu);
    return rc;
}

static long expand(uint64_t gfn)
{
    struct evtchn_expand_array arg = {.array_gfn = gfn};
    return hypercall_event_channel_op(EVTCHNOP_expand_array, &arg);
}

static long set_priority(evtchn_port_t port, uint32_t priority)
{
    struct evtchn_set_priority arg = {.port = port, .priority = priority};
    return hypercall_event_channel_op(EVTCHNOP_set_priority, &arg);
}

static long bind_vcpu(evtchn_port_t port, unsigned vcpu)
{
    struct evtchn_bind_vcpu arg = {.port = port, .vcpu = vcpu};
    return hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &arg);
}

static long reset(void)
{
    struct evtchn_reset arg = {.dom = DOMID_SELF};
    return hypercall_event_channel_op(EVTCHNOP_reset, &arg);
}

static evtchn_port_t ipi(unsigned vcpu)
{
    evtchn_port_t port = 0;
    event_bind_ipi(vcpu, &port);
    return port;
}

/* Events sent through *@sender come to the result. */
static evtchn_port_t loopback(evtchn_port_t *sender)
{
    evtchn_port_t port;
    event_alloc_unbound(DOMID_SELF, &port);
    event_bind_interdomain(DOMID_SELF, port, sender);
    return port;
}

/* --- taking events, as Linux does --- */

static uint32_t heads[2][EVTCHN_FIFO_MAX_QUEUES], ready[2];

/* The next port to handle, its PENDING cleared; 0: none. */
static evtchn_port_t take(unsigned vcpu)
{
    for (unsigned limit = 0; limit < 10000; limit++) {
        ready[vcpu] |= __atomic_exchange_n(&block[vcpu]->ready, 0, __ATOMIC_SEQ_CST);
        if (!ready[vcpu])
            return 0;
        const unsigned q = __builtin_ctz(ready[vcpu]);
        const uint32_t port = (heads[vcpu][q] ?: block[vcpu]->head[q]) % 1024;
        heads[vcpu][q] =
            __atomic_fetch_and(&words[port], ~(LINKED | LINK), __ATOMIC_SEQ_CST) & LINK;
        if (!heads[vcpu][q])
            ready[vcpu] &= ~BIT(q);
        if ((words[port] & (PENDING | MASKED)) == PENDING) {
            __atomic_fetch_and(&words[port], ~PENDING, __ATOMIC_SEQ_CST);
            return port;
        }
    }
    return ~0u;
}

static void forget(void)
{
    for (unsigned v = 0; v < 2; v++) {
        memset((void *)block[v], 0, sizeof(*block[v]));
        ready[v] = 0;
        memset(heads[v], 0, sizeof(heads[v]));
    }
    for (unsigned i = 0; i < 1024; i++)
        words[i] = MASKED;
}

/* --- the questions --- */

static void test_refused(void)
{
    void *page = page_alloc();
    const uint64_t good = page_mfn(page);
    const unsigned last = PAGE_SIZE - sizeof(struct evtchn_fifo_control_block);
    evtchn_port_t p = ipi(0);

    tap_is(expand(good), -XEN_EOPNOTSUPP, "expand_array before init_control");
    tap_is(set_priority(p, 1), -XEN_ENOSYS, "set_priority of a 2-level port");
    tap_is(set_priority(~0u, 1), -XEN_EINVAL, "set_priority of port ~0");
    tap_is(init_control(good, 0, 1000), -XEN_ENOENT, "init_control: no such vCPU");
    tap_is(init_control(good, last + 8, 0), -XEN_EINVAL, "init_control: crosses the page");
    tap_is(init_control(good, ~7u, 0), -XEN_EINVAL, "init_control: offset ~7");
    tap_is(init_control(good, 4, 0), -XEN_EINVAL, "init_control: misaligned");
    tap_is(init_control(0xffffffffff, 0, 0), -XEN_EINVAL, "init_control: a frame beyond memory");
    tap_is(init_control(~0ul, 0, 0), -XEN_EINVAL, "init_control: frame ~0");
    tap_is(init_control(0x100, 0, 0), -XEN_EINVAL, "init_control: a frame of the hypervisor's");
    tap_is(init_control(memory_root_mfn(), 0, 0), -XEN_EINVAL, "init_control: a page table");
    tap_is(hypercall_event_channel_op(EVTCHNOP_init_control, (void *)0x1000), -XEN_EFAULT,
           "init_control: an unmapped argument");
    tap_is(hypercall_event_channel_op(EVTCHNOP_expand_array, (void *)0x1000), -XEN_EFAULT,
           "expand_array: an unmapped argument");
    tap_is(hypercall_event_channel_op(EVTCHNOP_set_priority, (void *)0x1000), -XEN_EFAULT,
           "set_priority: an unmapped argument");
    event_send(p);
    tap_ok(event_pending(p), "all that left the 2-level channels alone");
    event_close(p);
    page_free(page);
}

static void test_switch(void)
{
    void *control = page_alloc();
    evtchn_port_t early = ipi(0), quiet = ipi(0);

    event_send(early);
    words = page_alloc();
    block[0] = control;
    block[1] = (void *)((char *)control + 2048);
    tap_is(init_control(page_mfn(control), 0, 0), 0, "init_control");
    tap_is(init_control(page_mfn(control), 0, 0), -XEN_EINVAL, "init_control: again");
    event_send(quiet);
    tap_is(block[0]->ready, 0, "no event without a word");
    tap_is(expand(0xffffffffff), -XEN_EINVAL, "expand_array: a frame beyond memory");
    tap_is(expand(memory_root_mfn()), -XEN_EINVAL, "expand_array: a page table");
    for (unsigned i = 0; i < 1024; i++) /* the console's port may be pending, too */
        words[i] = i == early ? 0 : MASKED;
    tap_is(expand(page_mfn((void *)words)), 0, "expand_array");
    tap_is_hex(words[early], PENDING | LINKED, "what was pending on two levels is queued now");
    tap_is_hex(words[quiet], PENDING | MASKED, "what was sent in between is pending");
    tap_is_hex(block[0]->ready, BIT(DEFAULT), "the queue of priority 7 is ready");
    tap_is(block[0]->head[DEFAULT], early, "its head is the port");
    tap_is(event_vcpu_info(0)->evtchn_upcall_pending, 1, "the vCPU has an upcall");
    tap_is(take(0), early, "it is taken");
    tap_is(take(0), 0, "and was the only one");
    event_close(early), event_close(quiet);
    forget();

    evtchn_port_t other = ipi(1);
    words[other] = 0;
    event_send(other);
    tap_is_hex(words[other] & LINKED, 0, "a vCPU without a control block: nothing is queued");
    words[other] = 0;
    tap_is(init_control(page_mfn(control), 2048, 1), 0, "init_control: another vCPU, same page");
    event_send(other);
    tap_is(take(1), other, "now it is");
    event_close(other);
    forget();

    tap_is(page_protect((void *)words, PTE_RO), 0, "the array's page may be made read-only by us");
    tap_is(mmuext(MMUEXT_PIN_L1_TABLE, page_mfn((void *)words)), -XEN_EINVAL,
           "but never becomes a page table");
    page_protect((void *)words, PTE_RW);
}

static void test_words(void)
{
    volatile vcpu_info_t *info = event_vcpu_info(0);
    evtchn_port_t p = ipi(0), q = ipi(0);

    forget();
    info->evtchn_upcall_pending = 0;
    event_send(p);
    tap_is_hex(words[p], PENDING | MASKED, "masked: pending only");
    tap_is(info->evtchn_upcall_pending, 0, "masked: no upcall");
    event_unmask(p);
    tap_is_hex(words[p], PENDING | LINKED, "EVTCHNOP_unmask queues it");
    tap_is(info->evtchn_upcall_pending, 1, "EVTCHNOP_unmask: upcall");
    info->evtchn_upcall_pending = 0;
    event_send(p);
    tap_is_hex(words[p], PENDING | LINKED, "sent again: nothing changes");
    tap_is(info->evtchn_upcall_pending, 0, "sent again: no upcall");
    words[q] = 0;
    event_send(q);
    tap_is_hex(words[p], PENDING | LINKED | q, "the second event hangs behind the first");
    tap_is_hex(words[q], PENDING | LINKED, "and is the last");
    tap_is(info->evtchn_upcall_pending, 0, "no upcall: the queue was ready");
    tap_is(take(0), p, "taken: the first");
    event_send(p);
    tap_is_hex(words[q], PENDING | LINKED | p, "sent again while the second is queued: behind it");
    tap_is(take(0), q, "taken: the second");
    tap_is(take(0), p, "taken: the first again");
    tap_is(take(0), 0, "no more");

    event_send(p);
    words[p] |= MASKED;
    tap_is(take(0), 0, "masked while queued: not taken");
    tap_is_hex(words[p], PENDING | MASKED, "masked while queued: pending, off the queue");
    event_unmask(p);
    tap_is(take(0), p, "unmasked: taken");
    words[p] = MASKED;
    event_unmask(p);
    tap_is_hex(words[p], 0, "unmask without an event: not queued");

    event_close(q);
    tap_is_hex(words[q] & PENDING, 0, "close clears PENDING");
    event_send(p);
    event_close(p);
    tap_is_hex(words[p], LINKED, "close leaves LINKED");
    tap_is(ipi(0), q, "a closed port that is linked is not given out");
    tap_is(take(0), 0, "it is taken off");
    tap_is(ipi(0), p, "and given out");
    event_close(p), event_close(q);
}

static void test_priorities(void)
{
    static const uint8_t priority[] = {7, 3, 7, 15, 3, 0}, order[] = {5, 1, 4, 0, 2, 3};
    evtchn_port_t p[6];

    forget();
    for (unsigned i = 0; i < 6; i++) {
        p[i] = ipi(0);
        words[p[i]] = 0;
        tap_is(set_priority(p[i], priority[i]), 0, "set_priority %u of port %u", priority[i], i);
    }
    tap_is(set_priority(p[0], 16), -XEN_EINVAL, "set_priority 16");
    tap_is(set_priority(p[0], ~0u), -XEN_EINVAL, "set_priority ~0");
    tap_is(set_priority(p[5] + 1, 1), -XEN_EACCES, "set_priority of a closed port");
    for (unsigned i = 0; i < 6; i++)
        event_send(p[i]);
    tap_is_hex(block[0]->ready, BIT(0) | BIT(3) | BIT(7) | BIT(15), "four queues are ready");
    for (unsigned i = 0; i < 6; i++)
        tap_is(take(0), p[order[i]], "by priority, then by time: event %u", i);
    event_close(p[1]);
    tap_is(ipi(0), p[1], "the port, opened again");
    event_send(p[1]);
    tap_is_hex(block[0]->ready, BIT(DEFAULT), "has the default priority");
    take(0);

    set_priority(p[0], 1);
    event_send(p[0]);
    set_priority(p[0], 2);
    event_send(p[0]);
    tap_is_hex(block[0]->ready, BIT(1), "priority changed while queued: it stays in its queue");
    tap_is(take(0), p[0], "and is taken from there");
    event_send(p[0]);
    tap_is_hex(block[0]->ready, BIT(2), "the next time it is in the new one");
    take(0);
    for (unsigned i = 0; i < 6; i++)
        event_close(p[i]);
}

/* A port that was the tail of one queue becomes the tail of another: the first must forget it. */
static void test_moving(void)
{
    evtchn_port_t through_p, through_q, p = loopback(&through_p), q = loopback(&through_q);

    forget();
    words[p] = words[q] = 0;
    event_send(through_p);
    tap_is(take(0), p, "move: first on vCPU 0");
    tap_is(bind_vcpu(p, 1), 0, "move: bind_vcpu");
    event_vcpu_info(1)->evtchn_upcall_pending = 0;
    event_send(through_p);
    tap_is(event_vcpu_info(1)->evtchn_upcall_pending, 1, "move: the other vCPU has an upcall");
    event_send(through_q);
    tap_is_hex(words[p], PENDING | LINKED, "move: the old queue does not link to it");
    tap_is(block[0]->head[DEFAULT], q, "move: the old queue begins anew");
    tap_is(take(1), p, "move: taken by the new vCPU");
    tap_is(take(0), q, "move: the old vCPU takes the other");
    event_send(through_p);
    bind_vcpu(p, 0);
    event_send(through_p);
    tap_is(take(0), 0, "moved while queued: not in the new queue");
    tap_is(take(1), p, "moved while queued: still in the old one");
    event_close(p), event_close(q), event_close(through_p), event_close(through_q);
}

static void test_poll(void)
{
    evtchn_port_t p = ipi(0);
    struct sched_poll poll = {.ports = {&p}, .nr_ports = 1};

    forget();
    event_vcpu_info(0)->evtchn_upcall_pending = 0;
    event_send(p); /* masked */
    tap_is(hypercall_sched_op(SCHEDOP_poll, &poll), 0, "poll: a masked pending port ends it");
    words[p] = MASKED;
    uint64_t until = clock_ns() + 2000000;
    poll.timeout = until;
    tap_is(hypercall_sched_op(SCHEDOP_poll, &poll), 0,
           "poll: nothing pending: the timeout ends it");
    tap_ok(clock_ns() >= until, "poll: not before");
    struct evtchn_status status;
    tap_is(event_status(p, &status), 0, "status");
    tap_is(status.status, EVTCHNSTAT_ipi, "status: ipi");
    event_close(p);
}

static volatile unsigned upcalls;
static volatile evtchn_port_t seen;

static bool upcall(struct trap_frame *frame)
{
    event_vcpu_info(0)->evtchn_upcall_pending = 0;
    upcalls++;
    for (evtchn_port_t port; (port = take(0)) && port != ~0u;)
        seen = port;
    return true;
}

static void test_upcalls(void)
{
    evtchn_port_t p = ipi(0), timer;

    forget();
    trap_handle(TRAP_EVENT, upcall);
    event_enable();
    words[p] = 0;
    upcalls = seen = 0;
    event_send(p);
    tap_is(upcalls, 1, "upcall: at once");
    tap_is(seen, p, "upcall: the port");
    event_send(p);
    tap_is(upcalls, 2, "upcall: every time");

    event_bind_virq(VIRQ_TIMER, 0, &timer);
    seen = 0;
    event_unmask(timer);
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    uint64_t give_up = clock_ns() + 10000000000ul;
    struct vcpu_set_singleshot_timer once = {.timeout_abs_ns = clock_ns() + 1000000};
    seen = 0;
    hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &once);
    while (seen != timer && clock_ns() < give_up)
        ;
    tap_is(seen, timer, "upcall: a timer");
    once.timeout_abs_ns = clock_ns() + 1000000;
    seen = 0;
    hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &once);
    while (seen != timer && clock_ns() < give_up)
        hypercall_sched_op(SCHEDOP_block, NULL);
    tap_is(seen, timer, "upcall: wakes a blocked vCPU");
    event_disable();
    event_close(p), event_close(timer);
}

static uint64_t random_state = 1;
static uint32_t random(void)
{
    random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
    return random_state >> 32;
}

/* Words and control blocks full of nonsense: the hypervisor writes where it may, and answers. */
static void test_ruined(void)
{
    evtchn_port_t p[8], through[8];
    long bad = 0;

    forget();
    for (unsigned i = 0; i < 8; i++)
        p[i] = loopback(&through[i]);
    for (unsigned i = 0; i < 20000; i++) {
        const unsigned n = random() % 8;
        words[random() % 32] = random();
        words[p[n]] &= ~(LINKED | MASKED);
        if (random() % 4 == 0)
            block[random() % 2]->head[random() % 16] = random();
        if (random() % 4 == 0)
            block[random() % 2]->ready = random();
        if (random() % 8 == 0)
            bad |= bind_vcpu(p[n], random() % 2) | set_priority(p[n], random() % 16);
        if (random() % 8 == 0)
            event_unmask(p[n]);
        bad |= event_send(through[n]);
    }
    tap_is(bad, 0, "20000 events through ruined queues");
    for (unsigned i = 0; i < 8; i++)
        bad |= event_close(p[i]) | event_close(through[i]);
    tap_is(bad, 0, "and all ports can be closed");
    forget();
    evtchn_port_t q = ipi(0);
    words[q] = 0;
    event_send(q);
    tap_ok(words[q] & PENDING, "events still come");
    event_close(q);
}

static void test_limits(void)
{
    unsigned n = 1;
    long bad = 0, rc;

    while (n < 128 && !(rc = expand(page_mfn((void *)words))))
        n++;
    tap_is(rc, 0, "expand_array: 128 pages");
    tap_is(expand(page_mfn((void *)words)), -XEN_ENOSPC, "expand_array: no more");
    forget();
    evtchn_port_t port = 0, first = ipi(0), last = first;
    for (n = 1; n < 5000 && !(rc = event_bind_ipi(0, &port)); n++)
        last = port;
    if (guest_is_first())
        tap_is(rc, 0, "5000 ports in a domain with all roles");
    else
        tap_is(rc, -XEN_ENOSPC, "5000 ports in a domain with all roles");
    tap_is(event_send(last), 0, "send on the last");
    for (evtchn_port_t i = first; i <= last; i++)
        bad |= event_close(i);
    tap_is(bad, 0, "all can be closed");
}

static void test_reset(void)
{
    tap_is(reset(), 0, "reset");
    evtchn_port_t p = ipi(0);
    tap_is(expand(page_mfn((void *)words)), -XEN_EOPNOTSUPP, "reset: no event array any more");
    event_send(p);
    tap_ok(event_pending(p), "reset: 2-level again");
    page_protect((void *)words, PTE_RO);
    memset((void *)block[0], 0, PAGE_SIZE);
    tap_is(page_protect((void *)block[0], PTE_RO), 0, "reset: the control block's page is ours");
    tap_is(mmuext(MMUEXT_PIN_L1_TABLE, page_mfn((void *)block[0])), 0,
           "reset: and may be a page table");
    tap_is(init_control(page_mfn((void *)block[0]), 0, 0), -XEN_EINVAL,
           "init_control: now it may not be a control block");
    page_protect((void *)words, PTE_RW);
    block[0] = page_alloc();
    tap_is(init_control(page_mfn((void *)block[0]), 8, 0), 0, "init_control: FIFO again");
    block[0] = (void *)((char *)block[0] + 8);
    forget();
    tap_is(expand(page_mfn((void *)words)), 0, "expand_array again");
    words[p] = 0;
    event_send(p);
    tap_is_hex(words[p], PENDING | LINKED, "events come");
}

void guest_main(void)
{
    if (!vcpu_have(2, "channels of two vCPUs"))
        return;
    event_disable();
    test_refused();
    test_switch();
    test_words();
    test_priorities();
    test_moving();
    test_poll();
    test_upcalls();
    test_ruined();
    test_limits();
    test_reset();
}
