/*
 * Where the hypervisor enters the kernel: exceptions, system calls, events, and
 * the kernel's own descriptor table.
 */
#include <paravane/hypercall.h>
#include <xen/callback.h>

#include "kernel/lib/layout.h"
#include "kernel/lib/print.h"
#include "platform/platform.h"
#include "platform/xen/machine.h"

const uint16_t platform_user_code = FLAT_USER_CS, platform_user_data = FLAT_USER_SS;

/* Exceptions as (vector, privilege from which INT n may raise it). */
#define TRAP_LIST(TRAP) \
    TRAP(0, 0)          \
    TRAP(1, 0)          \
    TRAP(2, 0)          \
    TRAP(3, 3)          \
    TRAP(4, 3)          \
    TRAP(5, 0)          \
    TRAP(6, 0)          \
    TRAP(7, 0)          \
    TRAP(8, 0)          \
    TRAP(10, 0)         \
    TRAP(11, 0) TRAP(12, 0) TRAP(13, 0) TRAP(14, 0) TRAP(16, 0) TRAP(17, 0) TRAP(18, 0) TRAP(19, 0)

#define TRAP_DECLARE(vector, dpl) extern const char trap_##vector[];
TRAP_LIST(TRAP_DECLARE)
extern const char trap_257[], trap_syscall[], trap_failsafe[];

#define GATE_MASKS_EVENTS 4 /* the flag that makes it an interrupt gate */
#define TRAP_ENTRY(vector, dpl) \
    {(vector), (dpl) | GATE_MASKS_EVENTS, FLAT_KERNEL_CS, (unsigned long)trap_##vector},

static void callback_register(unsigned type, unsigned flags, const char *handler)
{
    const struct callback_register r = {
        .type = type, .flags = flags, .address = (unsigned long)handler};
    const long rc = hypercall_callback_op(CALLBACKOP_register, &r);
    if (rc)
        panic("callback %u refused: %ld", type, rc);
}

void trap_init(void)
{
    const struct trap_info table[] = {TRAP_LIST(TRAP_ENTRY){0}};
    const long rc = hypercall_set_trap_table(table);
    if (rc)
        panic("trap table refused: %ld", rc);
    callback_register(CALLBACKTYPE_event, 0, trap_257);
    callback_register(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, trap_failsafe);
    callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, trap_syscall);
}

/* The same for a virtual CPU to come. */
void trap_context(struct vcpu_guest_context *context)
{
    const struct trap_info table[] = {TRAP_LIST(TRAP_ENTRY){0}};
    for (const struct trap_info *t = table; t->address; t++)
        context->trap_ctxt[t->vector] = *t;
    context->event_callback_eip = (unsigned long)trap_257;
    context->failsafe_callback_eip = (unsigned long)trap_failsafe;
    context->syscall_callback_eip = (unsigned long)trap_syscall;
    context->flags |= VGCF_failsafe_disables_events | VGCF_syscall_disables_events;
}

/*
 * The kernel runs on the hypervisor's flat selectors, and so do processes.  The
 * table below adds those that Linux programs may name themselves (0x23, 0x2b,
 * 0x33), so that loading one works as it does there.
 */
static uint64_t gdt[TABLE_ENTRIES] __attribute__((aligned(4096))) = {
    [4] = 0x00cffb000000ffff, /* 0x23: 32-bit code */
    [5] = 0x00cff3000000ffff, /* 0x2b: data */
    [6] = 0x00affb000000ffff, /* 0x33: 64-bit code */
};
#define GDT_ENTRIES 16

static pfn_t gdt_page(void)
{
    return pfn(((uintptr_t)gdt - KERNEL_BASE) >> PAGE_SHIFT);
}

/* No writable mapping of a descriptor table may exist, in the image or the direct map. */
void gdt_init(void)
{
    const uintptr_t address = (uintptr_t)gdt;
    const pfn_t page = gdt_page();
    const unsigned long frame = mfn_of(page).n;
    const uint64_t entry = frame << PAGE_SHIFT | PTE_P | PTE_A | pte_nx;

    queue_pte(direct_map_entry(page), entry);
    platform_tlb_flush_page(CPUS_ALL, (uintptr_t)DIRECT_MAP_BASE + (page.n << PAGE_SHIFT));
    platform_commit();
    long rc = hypercall_update_va_mapping(address, entry, UVMF_INVLPG | UVMF_LOCAL);
    if (!rc)
        rc = hypercall_set_gdt(&frame, GDT_ENTRIES);
    if (rc)
        panic("descriptor table refused: %ld", rc);
}

void gdt_context(struct vcpu_guest_context *context)
{
    context->gdt_frames[0] = mfn_of(gdt_page()).n;
    context->gdt_ents = GDT_ENTRIES;
}
