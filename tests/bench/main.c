/*
 * How dear is each operation of a paravirtual kernel?
 *
 * Every row runs an operation n times between two RDTSCs, five times over, and
 * takes the median; the empty loop's cost is subtracted.  Under QEMU's
 * "-icount shift=0,sleep=off" the TSC counts executed instructions, guest and
 * hypervisor together, and the result is the same on any machine.  Without
 * -icount it is time, which is only good for ratios.
 *
 * Each row prints "bench: NAME = VALUE" (ticks of the TSC; unit=ns converts).
 * Names are the rows of the table that tests/bench/run makes.
 */
#include "bench.h"
#include "guest.h"
#include "card.h"
#include "clock.h"
#include "console.h"
#include "event.h"
#include "grant.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/callback.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define REPEATS 5

/* handlers.S */
extern char bench_skip_2[], bench_return[], bench_skip_3_error[], bench_map_error[], bench_fpu[],
    bench_syscall[], bench_event[];
extern volatile uint64_t bench_events, bench_event_tsc;
extern volatile void *bench_vcpu_info;
extern unsigned long *bench_pending_word;
void bench_user_enter(struct trap_frame *frame);
void bench_iret(unsigned long n);

static bool unit_ns;

static uint64_t median(uint64_t *v, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        for (unsigned j = i; j > 0 && v[j] < v[j - 1]; j--) {
            uint64_t t = v[j];
            v[j] = v[j - 1], v[j - 1] = t;
        }
    return v[n / 2];
}

void report(const char *name, uint64_t ticks)
{
    if (unit_ns) {
        const volatile struct vcpu_time_info *t = &event_vcpu_info(0)->time;
        uint64_t shifted = t->tsc_shift >= 0 ? ticks << t->tsc_shift : ticks >> -t->tsc_shift;
        ticks = (uint64_t)((unsigned __int128)shifted * t->tsc_to_system_mul >> 32);
    }
    console_printf("bench: %s = %lu\n", name, ticks);
}

static void run_empty(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        __asm__ volatile("");
}

static uint64_t time_once(run_t *run, unsigned long n)
{
    uint64_t start = clock_tsc();
    run(n);
    return clock_tsc() - start;
}

uint64_t measure(void (*before)(void), run_t *run, unsigned long n, unsigned per)
{
    uint64_t cost[REPEATS];

    for (unsigned i = 0; i < REPEATS; i++) {
        if (before)
            before();
        uint64_t full = time_once(run, n), empty = time_once(run_empty, n);
        cost[i] = (full > empty ? full - empty : 0) / (n * per);
    }
    return median(cost, REPEATS);
}

/* --- hypercalls of a register's worth ------------------------------------ */

static multicall_entry_t calls[64];
static mmu_update_t updates[512];
static uint64_t *gdt;
static uint64_t gdt_ma;
static struct trap_info gate[2];
static xen_extraversion_t extraversion;

LOOP(run_null, hypercall_xen_version(0, NULL))
LOOP(run_extraversion, hypercall_xen_version(XENVER_extraversion, extraversion))
LOOP(run_unknown, HYPERCALL0(63))
LOOP(run_multicall, hypercall_multicall(calls, 64))
LOOP(run_stack_switch, hypercall_stack_switch(FLAT_KERNEL_SS, guest_entry_rsp))
LOOP(run_segment_base, hypercall_set_segment_base(SEGBASE_FS, 0x1000))
LOOP(run_taskswitch, hypercall_fpu_taskswitch(0))
LOOP(run_update_descriptor, hypercall_update_descriptor(gdt_ma, 0x00cff3000000ffff))
LOOP(run_trap_table, hypercall_set_trap_table(gate))

static void bench_simple(void)
{
    report("null hypercall", measure(NULL, run_null, 400, 1));
    report("xen_version, extraversion", measure(NULL, run_extraversion, 400, 1));
    report("unknown hypercall", measure(NULL, run_unknown, 400, 1));
    for (unsigned i = 0; i < 64; i++)
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_xen_version};
    report("multicall, per entry", measure(NULL, run_multicall, 20, 64));
    report("iret, kernel to kernel", measure(NULL, bench_iret, 400, 1));
    report("stack_switch", measure(NULL, run_stack_switch, 400, 1));
    report("set_segment_base", measure(NULL, run_segment_base, 400, 1));
    report("fpu_taskswitch", measure(NULL, run_taskswitch, 400, 1));

    gdt = page_alloc();
    unsigned long frame = page_mfn(gdt);
    page_protect(gdt, PTE_RO);
    hypercall_set_gdt(&frame, 512);
    gdt_ma = table_entry_ma(gdt, 12);
    report("update_descriptor", measure(NULL, run_update_descriptor, 400, 1));
    gate[0] = (struct trap_info){TRAP_UD, 0, FLAT_KERNEL_CS, trap_stub(TRAP_UD)};
    report("set_trap_table, 1 entry", measure(NULL, run_trap_table, 400, 1));
}

/* --- page-table entries --------------------------------------------------- */

static char *page;
static uint64_t *l1; /* a pinned table of 512 entries for pages of ours */
static unsigned long frame_a, frame_b;
static uint64_t page_ma;

static void unmap_page(void)
{
    hypercall_update_va_mapping((unsigned long)page, 0, UVMF_INVLPG);
}

static void map_page(void)
{
    hypercall_update_va_mapping((unsigned long)page, pte_of(frame_a, PTE_RW), UVMF_INVLPG);
}

/* One operation a run: the state before it is what is measured. */
static void run_uvm_map(unsigned long n)
{
    hypercall_update_va_mapping((unsigned long)page, pte_of(frame_a, PTE_RW), UVMF_NONE);
}

static void run_uvm_unmap(unsigned long n)
{
    hypercall_update_va_mapping((unsigned long)page, 0, UVMF_NONE);
}

static void run_uvm_other(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        hypercall_update_va_mapping((unsigned long)page, pte_of(i & 1 ? frame_a : frame_b, PTE_RW),
                                    UVMF_INVLPG);
}

static void run_mmu_map(unsigned long n)
{
    updates[0] = (mmu_update_t){page_ma, pte_of(frame_a, PTE_RW)};
    hypercall_mmu_update(updates, 1, NULL, DOMID_SELF);
}

static void run_mmu_unmap(unsigned long n)
{
    updates[0] = (mmu_update_t){page_ma, 0};
    hypercall_mmu_update(updates, 1, NULL, DOMID_SELF);
}

static void run_mmu_other(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        updates[0] = (mmu_update_t){page_ma, pte_of(i & 1 ? frame_a : frame_b, PTE_RW)};
        hypercall_mmu_update(updates, 1, NULL, DOMID_SELF);
    }
}

static void run_machphys(unsigned long n)
{
    updates[0] = (mmu_update_t){(uint64_t)page_mfn(page) << PAGE_SHIFT | MMU_MACHPHYS_UPDATE,
                                page_pfn(page)};
    for (unsigned long i = 0; i < n; i++)
        hypercall_mmu_update(updates, 1, NULL, DOMID_SELF);
}

static void fill(unsigned long mfn, uint64_t flags)
{
    for (unsigned i = 0; i < 512; i++)
        updates[i] = (mmu_update_t){table_entry_ma(l1, i), mfn ? pte_of(mfn, flags) : 0};
}

static void all_absent(void)
{
    fill(0, 0);
    hypercall_mmu_update(updates, 512, NULL, DOMID_SELF);
    fill(frame_a, PTE_RW);
}

static void all_present(void)
{
    fill(frame_a, PTE_RW);
    hypercall_mmu_update(updates, 512, NULL, DOMID_SELF);
    fill(0, 0);
}

static void all_other(void)
{
    all_present();
    fill(frame_b, PTE_RW);
}

static void all_flags(void)
{
    all_present();
    fill(frame_a, PTE_RW & ~PTE_A);
}

static void run_batch(unsigned long n)
{
    hypercall_mmu_update(updates, 512, NULL, DOMID_SELF);
}

static void run_direct(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        *(volatile uint64_t *)&l1[5] = pte_of(i & 1 ? frame_a : frame_b, PTE_RW);
}

static void bench_entries(void)
{
    page = page_alloc();
    page_ma = memory_entry_ma((unsigned long)page, 1);
    frame_a = frame_alloc(), frame_b = frame_alloc();
    l1 = table_alloc();
    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(l1));

    /* A single shot has no loop: measure() subtracts an empty one of one turn. */
    report("update_va_mapping, not present to present", measure(unmap_page, run_uvm_map, 1, 1));
    report("update_va_mapping, present to not present", measure(map_page, run_uvm_unmap, 1, 1));
    report("update_va_mapping, another frame, INVLPG", measure(map_page, run_uvm_other, 400, 1));
    report("mmu_update, 1 entry, not present to present", measure(unmap_page, run_mmu_map, 1, 1));
    report("mmu_update, 1 entry, present to not present", measure(map_page, run_mmu_unmap, 1, 1));
    report("mmu_update, 1 entry, another frame", measure(map_page, run_mmu_other, 400, 1));
    report("mmu_update, per entry of 512, not present to present",
           measure(all_absent, run_batch, 1, 512));
    report("mmu_update, per entry of 512, present to not present",
           measure(all_present, run_batch, 1, 512));
    report("mmu_update, per entry of 512, another frame", measure(all_other, run_batch, 1, 512));
    report("mmu_update, per entry of 512, flags only", measure(all_flags, run_batch, 1, 512));
    report("mmu_update MACHPHYS", measure(NULL, run_machphys, 400, 1));
    all_absent();
    hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    report("direct page-table write", measure(NULL, run_direct, 200, 1));
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(l1));
    page_protect(page, PTE_RW);
}

/* --- page tables ---------------------------------------------------------- */

static struct mmuext_op ops[2];
static uint64_t *tree[5];
static unsigned long roots[2], user_roots[2];
static unsigned pin_level;
static void *pinned;

static void pin(void)
{
    mmuext(MMUEXT_PIN_L1_TABLE + pin_level - 1, page_mfn(pinned));
}

static void unpin(void)
{
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(pinned));
}

static void run_pin(unsigned long n)
{
    pin();
}

static void run_unpin(unsigned long n)
{
    unpin();
}

static void bench_pin(const char *what, unsigned level, void *table)
{
    char name[64];

    pin_level = level, pinned = table;
    pin();
    text_format(name, sizeof(name), "pin %s", what);
    report(name, measure(unpin, run_pin, 1, 1));
    unpin();
    text_format(name, sizeof(name), "unpin %s", what);
    report(name, measure(pin, run_unpin, 1, 1));
}

static void one_op(unsigned cmd, unsigned long arg1, unsigned long arg2)
{
    ops[0] = (struct mmuext_op){.cmd = cmd, .arg1.linear_addr = arg1, .arg2.src_mfn = arg2};
}

static void run_op(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        hypercall_mmuext_op(ops, 1, NULL, DOMID_SELF);
}

static void run_baseptr(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        ops[0].arg1.mfn = roots[i & 1];
        hypercall_mmuext_op(ops, 1, NULL, DOMID_SELF);
    }
}

static void run_user_baseptr(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        ops[0].arg1.mfn = user_roots[i & 1];
        hypercall_mmuext_op(ops, 1, NULL, DOMID_SELF);
    }
}

/* What Linux's xen_start_context_switch() .. end does, as one multicall. */
static void run_context_switch(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        ops[0] = (struct mmuext_op){.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = roots[i & 1]};
        ops[1] = (struct mmuext_op){.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = user_roots[i & 1]};
        calls[0] = (multicall_entry_t){.op = __HYPERVISOR_mmuext_op,
                                       .args = {(unsigned long)ops, 2, 0, DOMID_SELF}};
        calls[1] = (multicall_entry_t){.op = __HYPERVISOR_stack_switch,
                                       .args = {FLAT_KERNEL_SS, guest_entry_rsp}};
        for (unsigned d = 0; d < 3; d++)
            calls[2 + d] = (multicall_entry_t){.op = __HYPERVISOR_update_descriptor,
                                               .args = {gdt_ma + 8 * d, 0x00cff3000000ffff}};
        hypercall_multicall(calls, 5);
    }
}

static xen_pfn_t extent;
static unsigned long extent_pfn;

static void run_decrease(unsigned long n)
{
    struct xen_memory_reservation r = {
        .extent_start = {&extent}, .nr_extents = 1, .domid = DOMID_SELF};
    hypercall_memory_op(XENMEM_decrease_reservation, &r);
}

static void run_populate(unsigned long n)
{
    struct xen_memory_reservation r = {
        .extent_start = {&extent}, .nr_extents = 1, .domid = DOMID_SELF};
    extent = extent_pfn;
    hypercall_memory_op(XENMEM_populate_physmap, &r);
}

static void do_decrease(void)
{
    run_decrease(1);
}

static void do_populate(void)
{
    run_populate(1);
}

static void *copy_of_root(void)
{
    void *copy = page_alloc();
    memcpy(copy, (void *)guest_info->pt_base, PAGE_SIZE);
    page_protect(copy, PTE_RO);
    mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(copy));
    return copy;
}

static void bench_tables(void)
{
    uint64_t *empty = table_alloc(), *full = page_alloc();

    bench_pin("an empty L1", 1, empty);
    for (unsigned i = 0; i < 512; i++)
        full[i] = pte_of(frame_a, PTE_RW);
    page_protect(full, PTE_RO);
    bench_pin("an L1 of 512 writable entries", 1, full);

    for (unsigned level = 1; level <= 4; level++) {
        tree[level] = page_alloc();
        for (unsigned i = 0; i < (level == 1 ? 16 : 1); i++)
            tree[level][i] =
                level == 1 ? pte_of(frame_a, PTE_RW) : pte_of(page_mfn(tree[level - 1]), PTE_TABLE);
        page_protect(tree[level], PTE_RO);
    }
    bench_pin("an L4 tree with 16 entries", 4, tree[4]);

    roots[0] = memory_root_mfn(), roots[1] = page_mfn(copy_of_root());
    user_roots[0] = page_mfn(copy_of_root()), user_roots[1] = page_mfn(copy_of_root());
    one_op(MMUEXT_NEW_BASEPTR, 0, 0);
    report("NEW_BASEPTR switch", measure(NULL, run_baseptr, 200, 1));
    one_op(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    report("NEW_USER_BASEPTR", measure(NULL, run_user_baseptr, 200, 1));
    report("Linux-like context switch", measure(NULL, run_context_switch, 200, 1));
    mmuext(MMUEXT_NEW_BASEPTR, roots[0]);
    mmuext(MMUEXT_NEW_USER_BASEPTR, 0);

    one_op(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    report("TLB_FLUSH_LOCAL", measure(NULL, run_op, 200, 1));
    one_op(MMUEXT_INVLPG_LOCAL, (unsigned long)page, 0);
    report("INVLPG_LOCAL", measure(NULL, run_op, 200, 1));
    one_op(MMUEXT_CLEAR_PAGE, frame_a, 0);
    report("CLEAR_PAGE", measure(NULL, run_op, 50, 1));
    one_op(MMUEXT_COPY_PAGE, frame_a, frame_b);
    report("COPY_PAGE", measure(NULL, run_op, 50, 1));

    void *given = page_alloc();
    extent_pfn = page_pfn(given);
    extent = page_mfn(given);
    page_protect(given, 0);
    do_decrease();
    report("decrease_reservation, 1", measure(do_populate, run_decrease, 1, 1));
    report("populate_physmap, 1", measure(do_decrease, run_populate, 1, 1));
}

/* --- traps ---------------------------------------------------------------- */

LOOP(run_ud, __asm__ volatile("ud2"))
LOOP(run_bp, __asm__ volatile("int3"))
LOOP(run_int80, __asm__ volatile("int $0x80"))

static void run_pf(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        __asm__ volatile("mov (%0), %%rax" : : "D"(0x10ul) : "rax");
}

#define FIX_PAGES 64
static char *fix_pages;
static uint64_t fix_entries[FIX_PAGES];

static void unmap_fix_pages(void)
{
    for (unsigned i = 0; i < FIX_PAGES; i++)
        page_protect(fix_pages + i * PAGE_SIZE, 0);
}

static void run_pf_fix(unsigned long n)
{
    char *at = fix_pages;
    for (unsigned long i = 0; i < n; i++, at += PAGE_SIZE)
        __asm__ volatile("mov (%%rdi), %%r8"
                         :
                         : "D"(at), "S"(fix_entries[i])
                         : "r8", "rdx", "memory");
}

static void run_nm(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        hypercall_fpu_taskswitch(1);
        __asm__ volatile("fnop");
    }
}

USER_ASM(user_syscalls, "1: syscall; dec %rdi; jnz 1b; syscall");
USER_ASM(user_int80, "1: int $0x80; dec %rdi; jnz 1b; syscall");
USER_ASM(user_faults, "1: mov (%rsi), %rax; dec %rdi; jnz 1b; syscall");
static const char *user_text;
static size_t user_length;
static uint64_t user_rflags = RFLAGS_IF;

static void run_user(unsigned long n)
{
    struct trap_frame f = user_frame();
    memcpy(user_code_page(), user_text, user_length);
    f.rdi = n;
    f.rsi = 0x10;
    f.r15 = 0;
    f.rflags = user_rflags;
    bench_user_enter(&f);
}

/* The way in and out of user mode once is the difference of 1 and n turns. */
static uint64_t measure_user(const char *text, size_t length)
{
    uint64_t cost[REPEATS];

    user_text = text, user_length = length;
    run_user(1);
    for (unsigned i = 0; i < REPEATS; i++)
        cost[i] = (time_once(run_user, 201) - time_once(run_user, 1)) / 200 - 2;
    return median(cost, REPEATS);
}

static void set_syscall_callback(char *address)
{
    struct callback_register r = {.type = CALLBACKTYPE_syscall, .address = (unsigned long)address};
    hypercall_callback_op(CALLBACKOP_register, &r);
}

static void bench_traps(void)
{
    trap_gate(TRAP_UD, 0, (unsigned long)bench_skip_2);
    report("#UD to the guest's handler and iret", measure(NULL, run_ud, 200, 1));
    trap_gate(TRAP_BP, 3, (unsigned long)bench_return);
    report("#BP to the guest's handler and iret", measure(NULL, run_bp, 200, 1));
    trap_gate(TRAP_PF, 0, (unsigned long)bench_skip_3_error);
    report("#PF to the guest's handler and iret", measure(NULL, run_pf, 200, 1));

    user_init();
    set_syscall_callback(bench_syscall);
    report("user SYSCALL to the guest kernel and iret",
           measure_user(user_syscalls, (size_t)(user_syscalls_end - user_syscalls)));
    report("user #PF to the guest kernel and iret",
           measure_user(user_faults, (size_t)(user_faults_end - user_faults)));
    user_rflags = 0; /* upcalls are masked in user mode, too */
    report("user SYSCALL to the guest kernel and iret, events masked",
           measure_user(user_syscalls, (size_t)(user_syscalls_end - user_syscalls)));
    user_rflags = RFLAGS_IF;
    trap_gate(0x80, 3, (unsigned long)bench_return);
    report("INT 0x80 of a user to the guest kernel and iret",
           measure_user(user_int80, (size_t)(user_int80_end - user_int80)));
    report("INT 0x80 of the guest kernel and iret", measure(NULL, run_int80, 200, 1));
    set_syscall_callback(trap_syscall_callback);

    fix_pages = page_alloc();
    for (unsigned i = 1; i < FIX_PAGES; i++)
        if (page_alloc() != fix_pages + i * PAGE_SIZE)
            tap_bail_out("pages are not in a row");
    for (unsigned i = 0; i < FIX_PAGES; i++)
        fix_entries[i] = pte_of(page_mfn(fix_pages + i * PAGE_SIZE), PTE_RW);
    trap_gate(TRAP_PF, 0, (unsigned long)bench_map_error);
    report("#PF, handler fixes with update_va_mapping, iret",
           measure(unmap_fix_pages, run_pf_fix, FIX_PAGES, 1));

    trap_gate(TRAP_NM, 0, (unsigned long)bench_fpu);
    report("FPU: lazy #NM, handler fpu_taskswitch, iret",
           measure(NULL, run_nm, 200, 1) - measure(NULL, run_taskswitch, 200, 1));
    trap_restore_gates();
}

/* --- emulated instructions ------------------------------------------------ */

LOOP(run_cpuid, __asm__ volatile(XEN_CPUID : : "a"(0), "c"(0) : "rbx", "rdx"))
LOOP(run_rdmsr, __asm__ volatile("rdmsr" : : "c"(0xc0000101) : "rax", "rdx"))
LOOP(run_mov_cr, __asm__ volatile("mov %%cr0, %%rax" : : : "rax"))
LOOP(run_clts, __asm__ volatile("clts"))
LOOP(run_in, __asm__ volatile("inb $0x21, %%al" : : : "rax"))
LOOP(run_cli, __asm__ volatile("cli"))

static void bench_emulation(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};

    report("CPUID by forced emulation", measure(NULL, run_cpuid, 100, 1));
    report("RDMSR emulated", measure(NULL, run_rdmsr, 100, 1));
    report("MOV from CR emulated", measure(NULL, run_mov_cr, 100, 1));
    report("CLTS emulated", measure(NULL, run_clts, 100, 1));
    hypercall_physdev_op(PHYSDEVOP_set_iopl, &iopl);
    report("IN emulated", measure(NULL, run_in, 100, 1));
    report("CLI emulated", measure(NULL, run_cli, 100, 1));
}

/* --- events and time ------------------------------------------------------ */

static evtchn_port_t send_port, many[8];
static struct evtchn_send send_arg;
static unsigned many_used;

static void run_send_masked(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        *bench_pending_word = 0; /* a port that is pending already is no event */
        hypercall_event_channel_op(EVTCHNOP_send, &send_arg);
    }
}

LOOP(run_send, hypercall_event_channel_op(EVTCHNOP_send, &send_arg))
LOOP(run_yield, hypercall_sched_op(SCHEDOP_yield, NULL))
LOOP(run_timer_far, hypercall_set_timer_op((1ul << 50) + (i << 20)))

static void run_alloc(unsigned long n)
{
    struct evtchn_alloc_unbound arg = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    for (unsigned long i = 0; i < n; i++) {
        hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &arg);
        many[many_used++] = arg.port;
    }
}

static void run_close(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        struct evtchn_close arg = {.port = many[--many_used]};
        hypercall_event_channel_op(EVTCHNOP_close, &arg);
    }
}

static void alloc_all(void)
{
    while (many_used < 8)
        run_alloc(1);
}

static void close_all(void)
{
    while (many_used > 0)
        run_close(1);
}

static void run_status(unsigned long n)
{
    struct evtchn_status arg = {.dom = DOMID_SELF, .port = send_port};
    for (unsigned long i = 0; i < n; i++)
        hypercall_event_channel_op(EVTCHNOP_status, &arg);
}

static void run_timer_near(unsigned long n)
{
    uint64_t now = clock_ns();
    for (unsigned long i = 0; i < n; i++)
        hypercall_set_timer_op(now + 1000000 + i);
}

static void run_past(unsigned long n)
{
    struct vcpu_set_singleshot_timer arg = {.timeout_abs_ns = 1};
    for (unsigned long i = 0; i < n; i++)
        hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &arg);
}

static uint64_t tsc_of_ns(uint64_t ns)
{
    const volatile struct vcpu_time_info *t = &event_vcpu_info(0)->time;
    uint64_t delta = ((ns - t->system_time) << 32) / t->tsc_to_system_mul; /* less than 4 s apart */
    delta = t->tsc_shift >= 0 ? delta >> t->tsc_shift : delta << -t->tsc_shift;
    return t->tsc_timestamp + delta;
}

/* From the deadline to the handler's first instructions. */
static uint64_t latency(bool blocked)
{
    uint64_t cost[15];

    for (unsigned i = 0; i < 15; i++) {
        uint64_t due = clock_ns() + 1000000, before = bench_events;
        uint64_t due_tsc = tsc_of_ns(due);
        hypercall_set_timer_op(due);
        while (bench_events == before)
            if (blocked)
                hypercall_sched_op(SCHEDOP_block, NULL);
        cost[i] = bench_event_tsc - due_tsc;
    }
    return median(cost, 15);
}

static void handle_port(evtchn_port_t port)
{
    bench_vcpu_info = event_vcpu_info(0);
    bench_pending_word = &guest_shared->evtchn_pending[port / 64];
    event_clear(port);
    event_unmask_bit(port);
    send_arg.port = port;
}

static void bench_event_channels(void)
{
    struct callback_register r = {.type = CALLBACKTYPE_event,
                                  .address = (unsigned long)bench_event};
    evtchn_port_t listen, bound, timer;

    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    hypercall_callback_op(CALLBACKOP_register, &r);
    event_bind_ipi(0, &send_port);
    send_arg.port = send_port;
    bench_pending_word = &guest_shared->evtchn_pending[send_port / 64];
    report("evtchn_send, port masked", measure(NULL, run_send_masked, 200, 1));
    handle_port(send_port);
    event_enable();
    report("evtchn_send to self, upcall, iret", measure(NULL, run_send, 200, 1));
    event_alloc_unbound(DOMID_SELF, &listen);
    event_bind_interdomain(DOMID_SELF, listen, &bound);
    handle_port(listen);
    send_arg.port = bound;
    report("evtchn interdomain loopback, upcall, iret", measure(NULL, run_send, 200, 1));
    event_disable();

    report("evtchn alloc_unbound", measure(close_all, run_alloc, 8, 1));
    report("evtchn close", measure(alloc_all, run_close, 8, 1));
    report("evtchn status", measure(NULL, run_status, 200, 1));

    event_bind_virq(VIRQ_TIMER, 0, &timer);
    report("set_timer_op, far", measure(NULL, run_timer_far, 200, 1));
    report("set_timer_op, soon", measure(NULL, run_timer_near, 200, 1));
    hypercall_set_timer_op(0);
    handle_port(timer);
    event_enable();
    report("set_singleshot in the past: VIRQ, upcall, iret", measure(NULL, run_past, 200, 1));
    report("sched_op yield", measure(NULL, run_yield, 200, 1));
    report("timer deadline to handler, spinning", latency(false));
    report("timer deadline to handler, blocked", latency(true));
    hypercall_set_timer_op(0);
    event_disable();
}

/* --- interrupts of a device: the network card of card.h, told to by a store that does not trap --- */

/* From that store to the handler's first instructions. */
static uint64_t interrupt_latency(evtchn_port_t port, int pirq)
{
    uint64_t cost[15];

    handle_port(port);
    registers[CARD_AUTO_CLEAR] = CARD_CAUSE_OTHER;
    event_enable();
    for (unsigned i = 0; i < 15; i++) {
        registers[CARD_MASK_SET] = CARD_CAUSE_OTHER; /* a cause that has been read is masked */
        const uint64_t before = bench_events, start = clock_tsc();
        registers[CARD_CAUSE_SET] = CARD_CAUSE_OTHER;
        while (bench_events == before)
            ;
        cost[i] = bench_event_tsc - start;
        (void)registers[CARD_CAUSE];
        eoi(pirq);
        /* The card lets some time pass between two, and the emulator dies if it may send none after that. */
        for (const uint64_t end = clock_ns() + 1000000; clock_ns() < end;)
            ;
    }
    event_disable();
    return median(cost, 15);
}

static void bench_line(void)
{
    const int line = (int)config_read((unsigned)card, 0x3c, 1);
    evtchn_port_t port;
    int pirq;

    if (map_as(DOMID_SELF, MAP_PIRQ_TYPE_GSI, line, line, 0, 0, 0, 0, &pirq) || bind(line, &port))
        return;
    report("interrupt of a line to handler", interrupt_latency(port, line));
    event_close(port);
}

static void bench_message(void)
{
    evtchn_port_t port;
    int pirq;

    device_op(PHYSDEVOP_pci_device_add, 0, card);
    if (map_entry(2, &pirq) || bind(pirq, &port))
        return;
    registers[CARD_VECTORS] = (8u | 2) << CARD_VECTORS_OTHER;
    enable_msix(0x8000);
    report("message (MSI-X) to handler", interrupt_latency(port, pirq));
    enable_msix(0);
    event_close(port);
}

static void bench_interrupts(void)
{
    card_begin();
    bench_line();
    card_use(
        CARD_SECOND); /* one that has sent by its line does not send messages any more, on Xen */
    bench_message();
}

/* --- grants, of this domain to itself --------------------------------------- */

#define GRANT_FIRST 20u
static struct gnttab_map_grant_ref grant_maps[8];
static struct gnttab_unmap_grant_ref grant_unmaps[8];
static struct gnttab_copy grant_copies[8];
static unsigned grant_count;
static uint32_t grant_flags;
static char *granted, *grant_window;

static void run_grant_map(unsigned long n)
{
    hypercall_grant_table_op(GNTTABOP_map_grant_ref, grant_maps, grant_count);
}

static void run_grant_unmap(unsigned long n)
{
    hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, grant_unmaps, grant_count);
}

static void grants_prepare_unmap(void)
{
    for (unsigned i = 0; i < grant_count; i++)
        grant_unmaps[i] = (struct gnttab_unmap_grant_ref){
            .host_addr = grant_flags & GNTMAP_host_map ? grant_maps[i].host_addr : 0,
            .dev_bus_addr = grant_flags & GNTMAP_device_map ? grant_maps[i].dev_bus_addr : 0,
            .handle = grant_maps[i].handle};
}

static void grants_map(void)
{
    for (unsigned i = 0; i < grant_count; i++)
        grant_maps[i] =
            (struct gnttab_map_grant_ref){.host_addr = (unsigned long)grant_window + i * PAGE_SIZE,
                                          .flags = grant_flags,
                                          .ref = GRANT_FIRST + i,
                                          .dom = grant_self()};
    run_grant_map(1);
    grants_prepare_unmap();
}

static void grants_unmap(void)
{
    if (grant_unmaps[0].host_addr || grant_unmaps[0].dev_bus_addr)
        run_grant_unmap(1);
}

/* Mapped in run_grant_map(): to be unmapped before the next time. */
static void grants_unmap_last(void)
{
    grants_prepare_unmap();
    grants_unmap();
}

static void bench_mapping(const char *what, unsigned count, uint32_t flags)
{
    char map_row[80] = "grant map, ", unmap_row[80] = "grant unmap, ";

    memcpy(map_row + strlen(map_row), what, strlen(what));
    memcpy(unmap_row + strlen(unmap_row), what, strlen(what));
    grant_count = count;
    grant_flags = flags;
    grants_map(); /* pages of counts and handles are there then; the entries not present */
    report(map_row, measure(grants_unmap_last, run_grant_map, 1, count));
    grants_unmap_last();
    report(unmap_row, measure(grants_map, run_grant_unmap, 1, count));
}

LOOP(run_copy, hypercall_grant_table_op(GNTTABOP_copy, grant_copies, 1))

static void bench_copy(const char *name, unsigned length)
{
    grant_copies[0] =
        (struct gnttab_copy){.source = {.u.ref = GRANT_FIRST, .domid = grant_self()},
                             .dest = {.u.gmfn = page_mfn(granted + PAGE_SIZE), .domid = DOMID_SELF},
                             .len = (uint16_t)length,
                             .flags = GNTCOPY_source_gref};
    report(name, measure(NULL, run_copy, 100, 1));
}

static void bench_grants(void)
{
    granted = page_alloc();
    for (unsigned i = 1; i < 8; i++)
        page_alloc(); /* one behind the other */
    grant_window = page_alloc();
    for (unsigned i = 1; i < 8; i++)
        page_alloc();
    for (unsigned i = 0; i < 8; i++)
        grant_allow(GRANT_FIRST + i, grant_self(), page_mfn(granted + i * PAGE_SIZE), 0);
    bench_mapping("1", 1, GNTMAP_host_map);
    bench_mapping("per entry of 8", 8, GNTMAP_host_map);
    bench_mapping("per entry of 8, devices only", 8, GNTMAP_device_map);
    bench_copy("grant copy, 64 bytes", 64);
    bench_copy("grant copy, 4096 bytes", 4096);
}

/* --- the console ----------------------------------------------------------- */

static char blank[65];
static unsigned console_bytes;
LOOP(run_console, hypercall_console_io(CONSOLEIO_write, console_bytes, blank))

static void bench_console(void)
{
    memset(blank, '.', 64);
    console_bytes = 1;
    uint64_t one = measure(NULL, run_console, 10, 1);
    console_bytes = 65;
    blank[64] = '\n';
    uint64_t many_bytes = measure(NULL, run_console, 10, 1);
    console_write("\n", 1);
    report("console_io write, 1 byte", one);
    report("console_io write, per further byte", (many_bytes - one) / 64);
}

void guest_main(void)
{
    unit_ns = strstr(guest_arguments(), "unit=ns");
    hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_disable();
    if (strstr(guest_arguments(), "cpus=2")) {
        bench_cpus();
        console_printf("bench: done\n");
        return;
    }
    console_printf("bench: tsc at the guest's first instruction = %lu\n", guest_entry_tsc);
    bench_simple();
    bench_entries();
    bench_tables();
    bench_fork();
    bench_traps();
    bench_emulation();
    bench_event_channels();
    bench_interrupts();
    bench_grants();
    bench_console();
    console_printf("bench: done\n");
}
