/*
 * A guest to begin with, without libraries: it says hello, raises an exception and handles it,
 * sleeps until a timer event, and powers off.  ../abi.md walks through it and says how it is built
 * and started; tests/boot/test-hello.sh builds and starts it as that page says.
 */
#include <stddef.h>
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <paravane/hypercall.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define VIRT_BASE 0xffffffff80000000ul /* hello.lds and start.S say the same */
#define PAGE_SIZE 4096ul

extern char breakpoint_entry[], event_entry[]; /* start.S */

/* --- the console ----------------------------------------------------------------------------- */

static const struct start_info *info;
static struct shared_info *shared;
static struct xencons_interface *console;

/* The builder has mapped our page n at VIRT_BASE + n * 4096; the table says which page a frame is. */
static void *of_frame(unsigned long mfn)
{
    return (void *)(VIRT_BASE + machine_to_phys_mapping[mfn] * PAGE_SIZE);
}

static void print(const char *text)
{
    unsigned length = 0;

    while (text[length])
        length++;
    if (!console) { /* domain 0: by hypercall */
        hypercall_console_io(CONSOLEIO_write, length, (char *)text);
        return;
    }
    struct evtchn_send send = {.port = info->console.domU.evtchn};
    for (unsigned i = 0; i < length; i++) {
        while (console->out_prod - *(volatile XENCONS_RING_IDX *)&console->out_cons ==
               sizeof(console->out)) {
            hypercall_event_channel_op(EVTCHNOP_send, &send); /* full: somebody has to read */
            hypercall_sched_op(SCHEDOP_yield, NULL);
        }
        console->out[MASK_XENCONS_IDX(console->out_prod, console->out)] = text[i];
        __atomic_store_n(&console->out_prod, console->out_prod + 1, __ATOMIC_RELEASE);
    }
    hypercall_event_channel_op(EVTCHNOP_send, &send);
}

/* --- exceptions and events ------------------------------------------------------------------- */

static volatile int timer_fired;
static evtchn_port_t timer_port;

void breakpoint(void)
{
    print("hello: a breakpoint\n");
}

/* Upcalls are masked here; the return unmasks them, as bits 32-39 of cs and IF in the frame say. */
void event(void)
{
    struct vcpu_info *me = &shared->vcpu_info[0];

    me->evtchn_upcall_pending = 0;
    unsigned long words = __atomic_exchange_n(&me->evtchn_pending_sel, 0, __ATOMIC_ACQ_REL);
    unsigned word = timer_port / 64;
    unsigned long bit = 1ul << timer_port % 64;

    if (words >> word & 1 &&
        __atomic_fetch_and(&shared->evtchn_pending[word], ~bit, __ATOMIC_ACQ_REL) & bit)
        timer_fired = 1;
}

/* Nanoseconds since the hypervisor started. */
static unsigned long now(void)
{
    const volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
    unsigned version;
    unsigned long ns;

    do {
        version = t->version & ~1u; /* odd: it is being written */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        unsigned long ticks = __builtin_ia32_rdtsc() - t->tsc_timestamp;
        ticks = t->tsc_shift < 0 ? ticks >> -t->tsc_shift : ticks << t->tsc_shift;
        ns =
            t->system_time + (unsigned long)((unsigned __int128)ticks * t->tsc_to_system_mul >> 32);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (t->version != version);
    return ns;
}

static void sleep_until(unsigned long deadline)
{
    struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = deadline};

    hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer);
    while (!timer_fired)
        hypercall_sched_op(SCHEDOP_block, NULL); /* unmasks upcalls and sleeps, in one step */
}

static void shut_down(unsigned reason)
{
    struct sched_shutdown how = {.reason = reason};

    hypercall_sched_op(SCHEDOP_shutdown, &how);
    __builtin_unreachable();
}

static char shared_page[PAGE_SIZE]
    __attribute__((aligned(4096))); /* whose place shared_info takes */

/* Or give up, if a call that must not fail does. */
static void must(long result)
{
    if (result < 0)
        shut_down(SHUTDOWN_crash);
}

void hello_main(const struct start_info *start)
{
    info = start;
    if (!(info->flags & SIF_INITDOMAIN))
        console = of_frame(info->console.domU.mfn);
    print("hello, hypervisor\n");

    /* A frame of the hypervisor's: map it over a page of ours, writable, accessed and dirty. */
    must(hypercall_update_va_mapping((unsigned long)shared_page, info->shared_info | 0x63,
                                     UVMF_INVLPG));
    shared = (struct shared_info *)shared_page;

    struct trap_info traps[] = {
        {.vector = 3, .flags = 3, .cs = FLAT_KERNEL_CS, .address = (unsigned long)breakpoint_entry},
        {.address = 0},
    };
    must(hypercall_set_trap_table(traps));
    __asm__ volatile("int3");

    struct callback_register callback = {.type = CALLBACKTYPE_event,
                                         .address = (unsigned long)event_entry};
    must(hypercall_callback_op(CALLBACKOP_register, &callback));
    struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 0};
    must(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind));
    timer_port = bind.port;
    must(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL)); /* it ticks from the start */
    sleep_until(now() + 20 * 1000 * 1000);
    print("hello: 20 ms later\n");
    shut_down(SHUTDOWN_poweroff);
}
