/* The texts of /proc about the system as a whole. */
#include "fork.h"
#include "ipc.h"
#include "inode.h"
#include "kernel.h"
#include "page.h"
#include "platform/platform.h"
#include "print.h"
#include "proc-node.h"
#include "random.h"

#define TEXT(name) \
    void proc_##name(struct text_buffer *out, const struct process *p, const struct task *task)

TEXT(version)
{
    text_add(out, "Linux version %s (pv-guest %s on %s)\n", KERNEL_RELEASE, KERNEL_VERSION,
             kernel_platform());
}

TEXT(ostype)
{
    text_add(out, "Linux\n");
}

TEXT(osrelease)
{
    text_add(out, "%s\n", KERNEL_RELEASE);
}

TEXT(hostname)
{
    text_add(out, "%s\n", kernel_node_name());
}

TEXT(domainname)
{
    text_add(out, "%s\n", kernel_domain_name());
}

TEXT(kernel_version)
{
    text_add(out, "pv-guest %s on %s\n", KERNEL_VERSION, kernel_platform());
}

static void add_uuid(struct text_buffer *out, const uint8_t b[16])
{
    for (unsigned i = 0; i < 16; i++)
        text_add(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                 i == 6   ? (b[i] & 15) | 0x40
                 : i == 8 ? (b[i] & 63) | 0x80
                          : b[i]);
    text_add(out, "\n");
}

TEXT(uuid)
{
    uint8_t bytes[16];
    random_bytes(bytes, sizeof(bytes));
    add_uuid(out, bytes);
}

/* The same until the machine ends. */
TEXT(boot_id)
{
    static uint8_t bytes[16];
    static bool drawn;
    if (!drawn)
        random_bytes(bytes, sizeof(bytes));
    drawn = true;
    add_uuid(out, bytes);
}

TEXT(threads_max)
{
    text_add(out, "%u\n", fork_tasks_most());
}

TEXT(pid_max)
{
    text_add(out, "%d\n", PID_MAX);
}

/* Memory is promised freely: 1, "always". */
TEXT(overcommit)
{
    text_add(out, "1\n");
}

/* Limits of System V IPC, as their calls' IPC_INFO tells them. */
TEXT(msgmax)
{
    text_add(out, "%u\n", IPC_MESSAGE_MOST);
}

TEXT(msgmnb)
{
    text_add(out, "%u\n", IPC_QUEUE_MOST);
}

TEXT(msgmni)
{
    text_add(out, "%u\n", IPC_QUEUES_MOST);
}

TEXT(semaphore_limits)
{
    text_add(out, "%u\t%u\t%u\t%u\n", IPC_SET_MOST, IPC_SET_MOST * IPC_SETS_MOST,
             IPC_OPERATIONS_MOST, IPC_SETS_MOST);
}

TEXT(shmall)
{
    text_add(out, "%lu\n", IPC_SEGMENT_MOST);
}

TEXT(shmmni)
{
    text_add(out, "%u\n", IPC_SEGMENTS_MOST);
}

TEXT(cmdline_of_kernel)
{
    text_add(out, "%s\n", kernel_command_line());
}

TEXT(meminfo)
{
    const struct page_counts pages = page_count();
    const unsigned long kib = PAGE_SIZE / 1024, free = pages.free + space_spare_pages();
    text_add(out, "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n",
             pages.total * kib, free * kib, free * kib);
    text_add(out, "Buffers:        %8u kB\nCached:         %8lu kB\nSwapCached:     %8u kB\n", 0,
             inode_page_count() * kib, 0);
    text_add(out, "SwapTotal:      %8u kB\nSwapFree:       %8u kB\nShmem:          %8lu kB\n", 0, 0,
             inode_page_count() * kib);
}

TEXT(uptime)
{
    const uint64_t up = proc_ticks(platform_time()), idle = proc_ticks(sched_idle_time());
    text_add(out, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
}

static void count_tasks(unsigned *running, unsigned *all, int *last)
{
    const struct task *t;
    *running = *all = 0;
    *last = 0;
    for_each_task(t)
    {
        *running += t->state == TASK_READY;
        *all += 1;
        *last = MAX(*last, t->tid);
    }
}

/* There is no tick that could sample the load: tell what runs now. */
TEXT(loadavg)
{
    unsigned running, all;
    int last;
    count_tasks(&running, &all, &last);
    const unsigned others = running - (running > 0);
    text_add(out, "%u.00 %u.00 %u.00 %u/%u %d\n", others, others, others, running, all, last);
}

TEXT(system_stat)
{
    unsigned running, all;
    int last;
    const uint64_t idle = sched_idle_time(), now = platform_time();
    const uint64_t used = now * cpu_count > idle ? now * cpu_count - idle : 0;
    count_tasks(&running, &all, &last);
    text_add(out, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", proc_ticks(used), proc_ticks(idle));
    for (unsigned i = 0; i < cpu_count; i++)
        text_add(out, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, proc_ticks(used) / cpu_count,
                 proc_ticks(idle) / cpu_count);
    text_add(out, "intr 0\nctxt %lu\nbtime %lu\nprocesses %d\nprocs_running %u\nprocs_blocked 0\n",
             sched_switch_count(), (clock_now() - now) / NS, last, running);
}

static void cpuid(uint32_t leaf, uint32_t regs[4])
{
    regs[0] = leaf;
    regs[1] = regs[2] = regs[3] = 0;
    platform_cpuid(regs);
}

/* The processor's name for itself, from three leaves of CPUID. */
static void add_model(struct text_buffer *out)
{
    uint32_t name[13] = {0};
    cpuid(0x80000000, name);
    const bool named = name[0] >= 0x80000004;
    for (unsigned i = 0; named && i < 3; i++)
        cpuid(0x80000002 + i, name + 4 * i);
    text_add(out, "model name\t: %s\n", named ? (const char *)name : "unknown");
}

TEXT(cpuinfo)
{
    uint32_t vendor[4], signature[4];
    cpuid(0, vendor);
    cpuid(1, signature);
    const uint32_t name[4] = {vendor[1], vendor[3], vendor[2], 0};
    for (unsigned i = 0; i < cpu_count; i++) {
        text_add(out, "processor\t: %u\nvendor_id\t: %s\n", i, (const char *)name);
        text_add(out, "cpu family\t: %u\nmodel\t\t: %u\nstepping\t: %u\n", signature[0] >> 8 & 15,
                 signature[0] >> 4 & 15, signature[0] & 15);
        add_model(out);
        text_add(out, "\n");
    }
}
