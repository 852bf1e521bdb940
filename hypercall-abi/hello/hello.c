/*
 * A guest to begin with, without libraries: it says hello, raises an exception and handles it,
 * sleeps until a timer event, runs a program in user mode until its first system call, and powers
 * off.  ../abi.md walks through it and says how it is built and started; tests/boot/test-hello.sh
 * builds and starts it as that page says.
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

/* start.S */
extern char breakpoint_entry[], event_entry[], syscall_entry[], program[];
_Noreturn void enter_program(unsigned long rip, unsigned long rsp);

/* --- the console ----------------------------------------------------------------------------- */

static const struct start_info *info;
static struct shared_info *shared;
static struct xencons_interface *console;

/* The builder has mapped page n at VIRT_BASE + n * 4096; the table says which page a frame is. */
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

/* Or give up, if a call that must not fail does. */
static void must(long result)
{
    if (result < 0)
        shut_down(SHUTDOWN_crash);
}

/* --- a program ------------------------------------------------------------------------------- */

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define PROGRAM      0x400000ul /* its page of code, then one of stack */
#define PROGRAM_END  (PROGRAM + 2 * PAGE_SIZE)
#define PTE_PROGRAM  0x7ul  /* present, writable, user */
#define PTE_KERNEL   0x63ul /* present, writable, accessed, dirty */
#define PTE_TABLE    0x61ul /* the same, read-only: what a page table may be to us */

static unsigned long l4[512] PAGE_ALIGNED, l3[512] PAGE_ALIGNED, l2[512] PAGE_ALIGNED,
    l1[512] PAGE_ALIGNED;
static char code[PAGE_SIZE] PAGE_ALIGNED, stack[PAGE_SIZE] PAGE_ALIGNED,
    kernel_stack[PAGE_SIZE] PAGE_ALIGNED;

static unsigned long frame_of(const void *page)
{
    const unsigned long *p2m = (const unsigned long *)info->mfn_list;

    return p2m[((unsigned long)page - VIRT_BASE) / PAGE_SIZE];
}

static unsigned long entry(const void *page, unsigned long flags)
{
    return frame_of(page) * PAGE_SIZE | flags;
}

/* Tables are filled while they are plain memory, made read-only, and pinned: from then on only the
 * hypervisor changes them.  The kernel is not in them: nothing else protects it from a program. */
static void address_space(void)
{
    unsigned long *const table[] = {l4, l3, l2, l1};

    l4[0] = entry(l3, PTE_PROGRAM);
    l3[0] = entry(l2, PTE_PROGRAM);
    l2[PROGRAM >> 21] = entry(l1, PTE_PROGRAM);
    l1[0] = entry(code, PTE_PROGRAM);
    l1[1] = entry(stack, PTE_PROGRAM);
    for (unsigned i = 0; i < 4; i++)
        must(hypercall_update_va_mapping((unsigned long)table[i], entry(table[i], PTE_TABLE),
                                         UVMF_INVLPG));
    const struct mmuext_op root[] = {
        {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = frame_of(l4)},
        {.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = frame_of(l4)},
    };
    must(hypercall_mmuext_op(root, 2, NULL, DOMID_SELF));
}

/* rax, and cs as the frame has it. */
void system_call(unsigned long number, unsigned long cs)
{
    print(number == 42 && (cs & 3) == 3 ? "hello: a program has called\n"
                                        : "hello: who was that?\n");
    shut_down(SHUTDOWN_poweroff);
}

static void run_program(void)
{
    struct callback_register callback = {.type = CALLBACKTYPE_syscall,
                                         .flags = CALLBACKF_mask_events,
                                         .address = (unsigned long)syscall_entry};

    __builtin_memcpy(code, program, 64);
    address_space();
    must(hypercall_callback_op(CALLBACKOP_register, &callback));
    must(hypercall_stack_switch(FLAT_KERNEL_SS, (unsigned long)(kernel_stack + PAGE_SIZE)));
    enter_program(PROGRAM, PROGRAM_END);
}

/* --- from the first line of C ---------------------------------------------------------------- */

static char shared_page[PAGE_SIZE] PAGE_ALIGNED; /* whose place shared_info takes */

void hello_main(const struct start_info *start)
{
    info = start;
    if (!(info->flags & SIF_INITDOMAIN))
        console = of_frame(info->console.domU.mfn);
    print("hello, hypervisor\n");

    /* A frame of the hypervisor's: map it over a page of ours. */
    must(hypercall_update_va_mapping((unsigned long)shared_page, info->shared_info | PTE_KERNEL,
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
    run_program();
}
