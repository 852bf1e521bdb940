/*
 * Several CPUs.
 *
 * All but the first wait for two messages from it, INIT and STARTUP, and then
 * begin in 16-bit mode at a page below 1 MiB: start.S's ap_start, copied there,
 * climbs to 64-bit mode on the boot's page tables and calls smp_start_cpu.
 *
 * A CPU that must forget translations is asked by interrupt.  Who asks holds the
 * kernel's lock and waits for the answer; a CPU that waits for that lock has its
 * interrupts masked, so platform_relax, which it calls meanwhile, answers, too.
 * An idle CPU is not woken up for that: it does not look at a process's memory,
 * and answers before it does anything else.
 */
#include "kernel/lib/errno.h"
#include "kernel/memory/page.h"
#include "kernel/lib/text.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

#define ANSWER_NS 200000000ul /* what a CPU may take to start */

/* For the one that is being started; start.S reads the first two. */
extern uint64_t ap_root;
extern void *ap_stack;
uint64_t ap_root;
void *ap_stack;
static unsigned ap_number;
static cpus_t online = 1, idle, flush_wanted, stopped;

NORETURN void smp_start_cpu(void);
void smp_flush_interrupt(void);

static cpus_t bit(unsigned cpu)
{
    return (cpus_t)1 << cpu;
}

/* ---- Starting ----------------------------------------------------------------------- */

unsigned platform_cpu_count(void)
{
    return acpi.cpus;
}

/* The first C of another CPU, on the stack that it was given. */
void smp_start_cpu(void)
{
    const unsigned number = ap_number;
    cpu_init(number);
    apic_init_cpu();
    __atomic_fetch_or(&online, bit(number), __ATOMIC_SEQ_CST);
    kernel_start_cpu(number);
}

static bool wait_online(unsigned cpu)
{
    const uint64_t end = platform_time() + ANSWER_NS;
    while (!(__atomic_load_n(&online, __ATOMIC_SEQ_CST) & bit(cpu)))
        if (platform_time() > end)
            return false;
    return true;
}

int platform_cpu_start(unsigned cpu, void *stack)
{
    extern const char ap_start[], ap_start_end[];
    const int rc = cpu_create(cpu);
    if (rc)
        return rc;
    memcpy(page_at(pfn(AP_START >> PAGE_SHIFT)), ap_start, ap_start_end - ap_start);
    ap_root = mmu_root();
    ap_stack = stack;
    ap_number = cpu;

    /* The second STARTUP is for those that have not heard the first. */
    apic_start(cpu, false);
    if (wait_online(cpu))
        return 0;
    apic_start(cpu, true);
    return wait_online(cpu) ? 0 : -EIO;
}

/* ---- Stopping, kicking -------------------------------------------------------------- */

bool smp_stopped(void)
{
    return __atomic_load_n(&stopped, __ATOMIC_SEQ_CST) & bit(cpu_number());
}

void platform_cpu_stop_others(void)
{
    __atomic_store_n(&stopped, ~bit(cpu_number()), __ATOMIC_SEQ_CST);
    if (online != bit(cpu_number()))
        apic_stop_others();
}

void platform_cpu_kick(unsigned cpu)
{
    apic_interrupt(cpu, INTERRUPT_KICK);
}

/* ---- Waiting, idling, translations ----------------------------------------------------- */

static void flush_answer(void)
{
    const cpus_t self = bit(cpu_number());
    if (!(__atomic_load_n(&flush_wanted, __ATOMIC_SEQ_CST) & self))
        return;
    tlb_flush_here();
    __atomic_fetch_and(&flush_wanted, ~self, __ATOMIC_RELEASE);
}

void smp_flush_interrupt(void)
{
    apic_end();
    flush_answer();
}

void platform_relax(unsigned turns)
{
    __builtin_ia32_pause();
    flush_answer();
}

/* No longer idle first, then look: who asks does it the other way round. */
void platform_idle(void)
{
    const cpus_t self = bit(cpu_number());
    __atomic_fetch_or(&idle, self, __ATOMIC_SEQ_CST);
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    __atomic_fetch_and(&idle, ~self, __ATOMIC_SEQ_CST);
    flush_answer();
}

void tlb_flush_others(cpus_t cpus)
{
    const cpus_t others = cpus & online & ~bit(cpu_number());
    if (!others)
        return;
    __atomic_fetch_or(&flush_wanted, others, __ATOMIC_SEQ_CST);
    const cpus_t awake = others & ~__atomic_load_n(&idle, __ATOMIC_SEQ_CST);
    for (cpus_t left = awake; left; left &= left - 1)
        apic_interrupt(__builtin_ctzl(left), INTERRUPT_FLUSH);
    while (__atomic_load_n(&flush_wanted, __ATOMIC_ACQUIRE) & awake)
        __builtin_ia32_pause();
}
