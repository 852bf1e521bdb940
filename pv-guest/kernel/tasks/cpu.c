/* Processors: starting them, waiting for the lock. */
#include "cpu.h"
#include "fpu.h"
#include "print.h"
#include "task.h"
#include "platform/platform.h"

struct cpu cpus[CPU_MAX];
unsigned cpu_count;

uint32_t kernel_lock_word;

/* Looking is cheap for the holder, trying to take it is not. */
void kernel_lock_wait(void)
{
    unsigned turns = 0;
    do {
        while (__atomic_load_n(&kernel_lock_word, __ATOMIC_RELAXED))
            platform_relax(turns++);
    } while (__atomic_exchange_n(&kernel_lock_word, 1, __ATOMIC_ACQUIRE));
}

static void cpu_setup(struct cpu *cpu, struct task *idle)
{
    cpu->number = cpu - cpus;
    cpu->idle = cpu->current = idle;
    cpu->programmed = cpu->slice_deadline = ~0ul;
    list_init(&cpu->timers);
    idle->cpu = cpu;
}

void cpu_boot(struct task *idle)
{
    cpu_setup(&cpus[0], idle);
    cpu_count = 1;
    fpu_init();
    kernel_lock();
}

static bool cpu_start(struct cpu *cpu)
{
    struct task *idle = task_create_kernel("idle", NULL);
    if (!idle)
        return false;
    cpu_setup(cpu, idle);
    const int rc = platform_cpu_start(cpu->number, (char *)idle->stack + KERNEL_STACK_SIZE);
    if (rc)
        print("CPU %u does not start: error %d\n", cpu->number, -rc);
    return !rc;
}

void cpus_start(void)
{
    const unsigned there = platform_cpu_count();
    while (cpu_count < there && cpu_start(&cpus[cpu_count]))
        cpu_count++;
}

/* The first code of every CPU but the first, as its idle task. */
void kernel_start_cpu(unsigned cpu)
{
    fpu_init();
    kernel_lock();
    sched_idle();
}

/* Whatever it is about, a look around on the way back will find it. */
void cpu_interrupt(void)
{
}
