/*
 * A guest that gets itself beyond help: way=N picks how (1 to the last of the
 * table; way=0 lists them).  Each must end this domain, say why, and leave
 * everybody else alone.  Nothing here may touch the hypervisor itself.
 */
#include "guest.h"
#include "clock.h"
#include "console.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"
#include "vcpu.h"

#include <paravane/hypercall.h>
#include <xen/callback.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define HYPERVISOR_ADDRESS 0xffff830000000000ul

static void no_handlers(void)
{
    hypercall_set_trap_table(NULL);
}

static void fault_on_stack(unsigned long rsp)
{
    __asm__ volatile("mov %0, %%rsp; ud2" : : "r"(rsp));
}

static void return_from_stack(unsigned long rsp)
{
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall; ud2" : : "r"(rsp));
}

static void callback(unsigned type, unsigned long address)
{
    struct callback_register r = {.type = type, .address = address};
    hypercall_callback_op(CALLBACKOP_register, &r);
}

static void send_event_to_self(void)
{
    evtchn_port_t port;
    event_bind_ipi(0, &port);
    event_unmask_bit(port);
    event_send(port);
}

/* Load a frame whose target cannot be loaded. */
static void return_to(uint64_t rip, uint64_t cs, uint64_t ss)
{
    struct trap_frame f = {
        .rip = rip, .cs = cs, .rsp = (uint64_t)page_alloc() + PAGE_SIZE, .ss = ss};
    trap_return(&f);
}

static void way_reason(void)
{
    guest_shutdown(SHUTDOWN_crash);
}

static void way_ud_no_handler(void)
{
    no_handlers();
    __asm__ volatile("ud2");
}

static void way_pf_no_handler(void)
{
    no_handlers();
    peek(0x10);
}

static void way_hypervisor_write(void)
{
    no_handlers();
    poke(HYPERVISOR_ADDRESS, 1);
}

static void way_stack_null(void)
{
    fault_on_stack(0);
}

static void way_stack_unmapped(void)
{
    fault_on_stack(0x12345000);
}

static void way_stack_hypervisor(void)
{
    fault_on_stack(HYPERVISOR_ADDRESS + 0x1000);
}

static void way_stack_noncanonical(void)
{
    fault_on_stack(0x0000800000001000);
}

static void way_stack_table(void)
{
    fault_on_stack(guest_info->pt_base + 2048);
}

static void way_user_no_base(void)
{
    struct trap_frame f = user_frame();
    trap_return(&f);
}

USER_ASM(user_fault, "ud2");
static void way_kernel_stack_unset(void)
{
    struct trap_frame f = user_frame();
    user_init();
    hypercall_stack_switch(FLAT_KERNEL_SS, 0);
    USER_RUN(&f, user_fault);
}

static void way_kernel_stack_hypervisor(void)
{
    struct trap_frame f = user_frame();
    user_init();
    hypercall_stack_switch(FLAT_KERNEL_SS, HYPERVISOR_ADDRESS);
    USER_RUN(&f, user_fault);
}

static void way_iret_unmapped_frame(void)
{
    return_from_stack(0x12345000);
}

static void way_iret_hypervisor_frame(void)
{
    return_from_stack(0xffff7ffffffffff8);
}

static void way_iret_stub(void)
{
    extern char hypercall_page[];
    __asm__ volatile("mov %1, %%rsp; jmp *%0"
                     :
                     : "r"(hypercall_page + 32 * __HYPERVISOR_iret), "r"(0x1000ul));
}

static void way_bad_target_no_failsafe(void)
{
    callback(CALLBACKTYPE_failsafe, 0);
    no_handlers();
    return_to(0x1000, FLAT_RING3_DS32 & ~3, KERNEL_SS);
}

static void way_bad_user_target(void)
{
    user_init();
    callback(CALLBACKTYPE_failsafe, 0);
    no_handlers();
    return_to(USER_CODE, FLAT_RING3_DS32, FLAT_USER_SS);
}

static void way_event_no_callback(void)
{
    callback(CALLBACKTYPE_event, 0);
    event_vcpu_info(0)->evtchn_upcall_mask = 0;
    send_event_to_self();
}

static void way_event_bad_stack(void)
{
    evtchn_port_t port;
    event_bind_ipi(0, &port);
    event_unmask_bit(port);
    event_send(port);
    event_vcpu_info(0)->evtchn_upcall_mask = 0;
    __asm__ volatile("mov $0x12345000, %rsp; mov $17, %eax; xor %edi, %edi; syscall; ud2");
}

static void way_handler_unmapped(void)
{
    trap_gate(TRAP_PF, 0, 0x7000);
    peek(0x10);
}

static void way_root_emptied(void)
{
    mmu_set(memory_entry_ma(VIRT_BASE, 4), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

static void way_last_vcpu_down(void)
{
    hypercall_vcpu_op(VCPUOP_down, 0, NULL);
}

static void way_watchdog(void)
{
    struct sched_watchdog dog = {.timeout = 1};
    hypercall_sched_op(SCHEDOP_watchdog, &dog);
    for (;;)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static void way_code_unmapped(void)
{
    hypercall_update_va_mapping((unsigned long)way_code_unmapped & ~(PAGE_SIZE - 1), 0,
                                UVMF_TLB_FLUSH | UVMF_ALL);
}

static void take_turns(void *nothing)
{
    for (;;)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

/* Needs a second vCPU: only a switch loads segments again. */
static void way_segment_gone(void)
{
    uint64_t *gdt = page_alloc();
    unsigned long frame = page_mfn(gdt);

    gdt[7] = 0x00cff3000000ffff;
    page_protect(gdt, PTE_RO);
    hypercall_set_gdt(&frame, 512);
    callback(CALLBACKTYPE_failsafe, 0);
    __asm__ volatile("mov %0, %%es" : : "r"(7 << 3 | 3));
    hypercall_update_descriptor(table_entry_ma(gdt, 7), 0);
    if (vcpu_start(1, take_turns, NULL))
        return;
    for (unsigned i = 0; i < 1000; i++)
        hypercall_sched_op(SCHEDOP_yield, NULL);
}

static const struct {
    const char *name;
    void (*go)(void);
} ways[] = {
    {"shutdown with reason crash", way_reason},
    {"#UD and no handler", way_ud_no_handler},
    {"#PF and no handler", way_pf_no_handler},
    {"a store to the hypervisor and no handler", way_hypervisor_write},
    {"a trap with a null stack", way_stack_null},
    {"a trap with an unmapped stack", way_stack_unmapped},
    {"a trap with the stack in the hypervisor", way_stack_hypervisor},
    {"a trap with a non-canonical stack", way_stack_noncanonical},
    {"a trap with the stack in a page table", way_stack_table},
    {"user mode without a user base", way_user_no_base},
    {"a trap from user mode and no kernel stack", way_kernel_stack_unset},
    {"a trap from user mode and the kernel stack in the hypervisor", way_kernel_stack_hypervisor},
    {"iret with an unmapped frame", way_iret_unmapped_frame},
    {"iret with a frame that runs into the hypervisor", way_iret_hypervisor_frame},
    {"a jump to the iret stub with no frame", way_iret_stub},
    {"a target that cannot be loaded and no failsafe callback", way_bad_target_no_failsafe},
    {"a user target that cannot be loaded and no failsafe callback", way_bad_user_target},
    {"an event and no callback", way_event_no_callback},
    {"an event with an unmapped stack", way_event_bad_stack},
    {"a #PF handler that is not mapped", way_handler_unmapped},
    {"a root without the kernel", way_root_emptied},
    {"the last vCPU goes down", way_last_vcpu_down},
    {"the watchdog is not fed", way_watchdog},
    {"the running code unmapped", way_code_unmapped},
    {"a segment that cannot be loaded again and no failsafe callback", way_segment_gone},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

void guest_main(void)
{
    unsigned long way = guest_option("way", 0);

    if (way < 1 || way > WAYS) {
        for (unsigned i = 0; i < WAYS; i++)
            console_printf("crash: way=%u %s\n", i + 1, ways[i].name);
        return;
    }
    console_printf("crash: %s\n", ways[way - 1].name);
    ways[way - 1].go();
    console_printf("crash: still here\n");
}
