/*
 * The word `calls`: hypercalls of every shape, each with arguments and a result that are the same
 * every time, so that test-strace.sh can expect lines of `paravane strace` to the letter.
 */
#include "calls.h"

#include <paravane/hypercall.h>
#include <stddef.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/xen.h>

#define NOWHERE 0xffffc00000000000ul /* nothing is mapped there */

/* Structures that are read, written, and both. */
static void structures(void)
{
    struct evtchn_alloc_unbound unbound = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &unbound);
    struct evtchn_close close = {.port = unbound.port};
    hypercall_event_channel_op(EVTCHNOP_close, &close);
    hypercall_event_channel_op(EVTCHNOP_close, &close); /* it is closed already */
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    hypercall_grant_table_op(GNTTABOP_query_size, &size, 1);
    char version[16];
    hypercall_xen_version(XENVER_extraversion, version);
    struct physdev_set_iopl iopl = {.iopl = 4};
    hypercall_physdev_op(PHYSDEVOP_set_iopl, &iopl);
    hypercall_event_channel_op(EVTCHNOP_send, (void *)NOWHERE);
}

/* Numbers, names and addresses in registers. */
static void registers(void)
{
    hypercall_xen_version(XENVER_version, NULL);
    hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    hypercall_vm_assist(VMASST_CMD_disable, 77);
    hypercall_vcpu_op(VCPUOP_is_up, 0, NULL);
    hypercall_vcpu_op(VCPUOP_is_up, 63, NULL);
    hypercall_set_timer_op(0);
    hypercall_update_va_mapping(NOWHERE, 0x8000000000000067, UVMF_INVLPG);
    hypercall_raw(62, 0x11, 0x22, 0x33, 0, 0);
}

/* Arrays, of one and of more than are shown. */
static void arrays(void)
{
    mmu_update_t update[8];
    unsigned done = 0;
    for (unsigned i = 0; i < 8; i++)
        update[i] = (mmu_update_t){.ptr = 0xffffffff000ul + i, .val = 0x10 * i}; /* no such frame */
    hypercall_mmu_update(update, 8, &done, DOMID_SELF);
    const struct mmuext_op flush[2] = {
        {.cmd = MMUEXT_TLB_FLUSH_LOCAL},
        {.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = 0xffffffff80000000}};
    hypercall_mmuext_op(flush, 2, NULL, DOMID_SELF);
    struct mmuext_op pin = {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = 0xffffffffff};
    hypercall_mmuext_op(&pin, 1, NULL, DOMID_SELF);
    hypercall_set_trap_table(NULL);
}

/* Entries are traced before the call that they belong to. */
static void batch(void)
{
    multicall_entry_t entry[] = {
        {.op = __HYPERVISOR_fpu_taskswitch, .args = {0}},
        {.op = 61},
        {.op = __HYPERVISOR_set_segment_base, .args = {SEGBASE_FS, NOWHERE}},
        {.op = __HYPERVISOR_set_segment_base, .args = {SEGBASE_FS, 1ul << 63}},
        {.op = __HYPERVISOR_multicall},
    };
    hypercall_multicall(entry, sizeof(entry) / sizeof(entry[0]));
}

/* Instructions that the hypervisor executes in our stead. */
void emulations(void)
{
    unsigned long cr0;
    unsigned a = 0x40000000, b, c = 0, d;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080)); /* EFER */
}

void calls(void)
{
    structures();
    registers();
    arrays();
    batch();
}
