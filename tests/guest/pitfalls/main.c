/*
 * Question: do the mistakes that other hypervisors made, and published, stay
 * out?
 *
 * Each test below is one advisory's trap that fits no other image: a stale
 * translation that outlives a change of type, a return address that SYSRET
 * would fault on in ring 0, flags that a guest leaves set for the hypervisor's
 * entry path, counts that wrap, copies through a pointer that changes sides.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/version.h>

/* XSA-401: a page was writable, was touched, and becomes a page table: no
 * translation may be left through which it can still be written. */
static void test_stale_writable(void)
{
    uint64_t *table = page_alloc();
    multicall_entry_t calls[2];
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = page_mfn(table)};

    *(volatile uint64_t *)table = 0; /* the TLB has a writable entry now */
    calls[0] = (multicall_entry_t){
        .op = __HYPERVISOR_update_va_mapping,
        .args = {(unsigned long)table, pte_of(page_mfn(table), PTE_RO), UVMF_NONE}};
    calls[1] = (multicall_entry_t){.op = __HYPERVISOR_mmuext_op,
                                   .args = {(unsigned long)&pin, 1, 0, DOMID_SELF}};
    hypercall_multicall(calls, 2);
    tap_ok(calls[0].result == 0 && calls[1].result == 0,
           "stale: read-only without a flush, then pinned");
    uint64_t forged = pte_of(memory_root_mfn(), PTE_RW);
    int v = TRAPS(poke((unsigned long)table, forged));
    tap_ok(v == TRAP_PF && table[0] == 0, "stale: the store faults, or is checked and refused");
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(table));
    page_protect(table, PTE_RW);
    page_free(table);
}

/* XSA-286: an L2 entry is removed without any flush asked for; what lay below
 * it must not be reachable through cached upper levels. */
static void test_stale_tables(void)
{
    unsigned long va = 0x10000000000;
    char *page = page_alloc();

    *page = 's';
    tap_is(memory_map_at(va, pte_of(page_mfn(page), PTE_RW)), 0,
           "stale tables: map a page at a place of its own");
    tap_is(*(volatile char *)va, 's', "stale tables: it shows");
    unsigned long l1_mfn = pte_mfn(*memory_entry(va, 2));
    uint64_t l2_entry = *memory_entry(va, 2);
    tap_is(mmu_set(memory_entry_ma(va, 2), 0), 0, "stale tables: remove the L1");
    mmuext(MMUEXT_INVLPG_LOCAL, 0);
    tap_is(TRAPS(peek(va)), TRAP_PF, "stale tables: the page is gone with it");
    void *l1 = memory_of_mfn(l1_mfn);
    tap_is(page_protect(l1, PTE_RW), 0, "stale tables: the L1 is an ordinary page");
    page_protect(l1, PTE_RO);
    tap_is(mmu_set(memory_entry_ma(va, 2), l2_entry), 0, "stale tables: put it back");
    tap_is(*(volatile char *)va, 's', "stale tables: the page is back");
}

/* XSA-7: SYSRET to a non-canonical address faults in ring 0 on Intel. */
USER_ASM(user_last_syscall, "mov $0x7ffffffff000, %rax; jmp *%rax");
static void test_sysret_edge(void)
{
    unsigned long last = 0x7ffffffff000;
    unsigned char *code = page_alloc();
    struct trap_frame f = user_frame();

    memset(code, 0x90, PAGE_SIZE);
    code[4094] = 0x0f, code[4095] = 0x05; /* syscall, at the very end of the lower half */
    long rc = memory_map_at(last, pte_of(page_mfn(code), PTE_RO));
    if (rc) {
        tap_skip("the last page of the lower half cannot be mapped", "sysret: the last page");
        return;
    }
    mmuext(MMUEXT_NEW_USER_BASEPTR, memory_root_mfn());
    tap_is(USER_RUN(&f, user_last_syscall), TRAP_SYSCALL,
           "sysret: a syscall at the end of the lower half");
    tap_is_hex(trap_last.rip, 0x800000000000, "sysret: it would return to a non-canonical address");
    struct trap_frame back = trap_last;
    int v = TRAPS(trap_return(&back));
    tap_ok(v == TRAP_GP || v == TRAP_PF || v == TRAP_FAILSAFE,
           "sysret: going there is the guest's fault, not the hypervisor's");
    tap_is(hypercall_xen_version(XENVER_pagesize, NULL), PAGE_SIZE,
           "sysret: all is well after that");

    /* The same for a hypercall of the kernel's. */
    v = TRAPS(((void (*)(void))(last + 4080))());
    tap_ok(v == TRAP_GP || v == TRAP_PF || v == TRAP_FAILSAFE,
           "sysret: a hypercall at the end of the lower half ends in a fault");
}

/* XSA-44/204/339: flags that the guest leaves behind when it enters. */
USER_ASM(user_nt, "pushf; orl $0x4000, (%rsp); popf; syscall");
USER_ASM(user_ac, "pushf; orl $0x40000, (%rsp); popf; syscall");
USER_ASM(user_df, "std; syscall");
USER_ASM(user_tf, "pushf; orl $0x100, (%rsp); popf; syscall");

static uint64_t kernel_flags;
static bool note_flags(struct trap_frame *f)
{
    __asm__ volatile("pushf; pop %0" : "=r"(kernel_flags));
    return false;
}

static void test_flags(void)
{
    static const struct {
        const char *name;
        uint64_t flag;
    } flags[] = {{"NT", RFLAGS_NT}, {"AC", RFLAGS_AC}, {"DF", RFLAGS_DF}};
    const char *codes[] = {user_nt, user_ac, user_df};
    struct trap_frame f = user_frame();

    trap_handle(TRAP_SYSCALL, note_flags);
    for (unsigned i = 0; i < 3; i++) {
        tap_is(user_run(&f, codes[i], 16), TRAP_SYSCALL, "%s set by the user: its syscall arrives",
               flags[i].name);
        if (flags[i].flag != RFLAGS_DF)
            tap_is_hex(kernel_flags & flags[i].flag, 0, "%s set by the user: not for the kernel",
                       flags[i].name);
    }
    trap_handle(TRAP_SYSCALL, NULL);
    int v = user_run(&f, user_tf, 16);
    tap_ok(v == TRAP_DB || v == TRAP_SYSCALL, "TF set by the user: a step or the syscall");
    hypercall_set_debugreg(6, 0);

    for (unsigned i = 0; i < 3; i++) {
        uint64_t flag = flags[i].flag;
        long rc;
        __asm__ volatile("pushf; or %1, (%%rsp); popf; syscall; cld; push $2; popf"
                         : "=a"(rc)
                         : "r"(flag), "0"((long)__HYPERVISOR_xen_version), "D"(XENVER_pagesize),
                           "S"(0)
                         : "rcx", "r11", "memory", "cc");
        tap_is(rc, PAGE_SIZE, "%s set by the kernel: its hypercall works", flags[i].name);
    }
}

/* XSA-260: a stack load, then the entry; the debug trap it delays must not hit ring 0's entry code.
 */
static void test_mov_ss(void)
{
    static uint64_t selector = FLAT_RING3_SS32;

    hypercall_set_debugreg(0, (uint64_t)&selector);
    hypercall_set_debugreg(7, 0x000f0001); /* watch loads and stores of 4 bytes */
    int v = TRAPS(__asm__ volatile("mov %0, %%ss; int3" : : "m"(*(uint16_t *)&selector)));
    tap_ok(v == TRAP_BP || v == TRAP_DB, "mov ss from a watched word, then int3: the guest's trap");
    v = TRAPS(__asm__ volatile("mov %0, %%ss; syscall"
                               :
                               : "m"(*(uint16_t *)&selector), "a"(__HYPERVISOR_xen_version), "D"(0),
                                 "S"(0)
                               : "rcx", "r11", "memory"));
    tap_ok(v == NO_TRAP || v == TRAP_DB, "mov ss from a watched word, then syscall: at most a #DB");
    hypercall_set_debugreg(7, 0);
    hypercall_set_debugreg(6, 0);
}

/* XSA-212, XSA-29: output through pointers into the hypervisor. */
static void test_output_pointers(void)
{
    unsigned *bad = (unsigned *)0xffff830000000000;
    mmu_update_t nothing = {table_entry_ma(page_alloc(), 0), 0};
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    static const unsigned commands[] = {
        XENVER_extraversion,        XENVER_compile_info, XENVER_capabilities, XENVER_changeset,
        XENVER_platform_parameters, XENVER_get_features, XENVER_guest_handle};

    tap_is(hypercall_mmu_update(&nothing, 1, bad, DOMID_SELF), 0,
           "a done count in the hypervisor is not written");
    tap_is(hypercall_mmuext_op(&flush, 1, bad, DOMID_SELF), 0, "nor mmuext_op's");
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        tap_is(hypercall_xen_version(commands[i], bad), -XEN_EFAULT,
               "xen_version %u into the hypervisor", commands[i]);
    /* Across the border, from the guest's side and by wrapping around. */
    tap_is(hypercall_xen_version(XENVER_capabilities, (void *)0xffff7ffffffffff8), -XEN_EFAULT,
           "a buffer that runs into the hypervisor");
    tap_is(hypercall_xen_version(XENVER_capabilities, (void *)0xfffffffffffffff8), -XEN_EFAULT,
           "a buffer that wraps around");
    tap_is(hypercall_xen_version(XENVER_capabilities, (void *)guest_info->pt_base), -XEN_EFAULT,
           "a buffer in a page table");
}

/* Counts with the bit by which an interrupted batch knows itself. */
static void test_counts(void)
{
    mmu_update_t nothing = {table_entry_ma(page_alloc(), 0), 0};
    unsigned done = 77;

    tap_ok(hypercall_mmu_update(&nothing, 0x80000001, NULL, DOMID_SELF) <= 0,
           "mmu_update: a count that claims to continue, without a done count");
    tap_is(hypercall_mmu_update((void *)0x1000, 0x7fffffff, &done, DOMID_SELF), -XEN_EFAULT,
           "mmu_update: 2^31 - 1 requests");
    tap_is(hypercall_mmuext_op((void *)0x1000, 0x7fffffff, &done, DOMID_SELF), -XEN_EFAULT,
           "mmuext_op: 2^31 - 1 operations");
    tap_is(hypercall_multicall((void *)0x1000, ~0u), -XEN_EFAULT, "multicall: 2^32 - 1 calls");
}

/* XSA-182, XSA-148: a change of flags alone must be looked at. */
static void test_fast_path(void)
{
    uint64_t *l2 = table_alloc(), *l1 = table_alloc();
    uint64_t ma = table_entry_ma(l2, 0);

    mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(l2));
    tap_is(mmu_set(ma, pte_of(page_mfn(l1), PTE_TABLE)), 0, "fast path: an L2 entry");
    tap_is(mmu_set(ma, pte_of(page_mfn(l1), PTE_TABLE | PTE_PSE)), -XEN_EINVAL,
           "fast path: PSE added");
    tap_is(mmu_set(ma, pte_of(page_mfn(l1), PTE_TABLE | PTE_PCD)), -XEN_EINVAL,
           "fast path: PCD added");
    tap_is(mmu_set(ma, pte_of(page_mfn(l1), PTE_TABLE & ~PTE_P)), 0, "fast path: P removed");
    tap_is(page_protect(l1, PTE_RW), 0, "fast path: the reference went with it");
    page_protect(l1, PTE_RO);
    tap_is(mmu_set(ma, pte_of(page_mfn(l1), PTE_TABLE)), 0, "fast path: P added");
    tap_is(page_protect(l1, PTE_RW), -XEN_EBUSY, "fast path: the reference came with it");
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(l2));
    table_free(l1), table_free(l2);

    /* An L1 entry from read-only to writable takes the writable type. */
    char *page = page_alloc();
    page_protect(page, PTE_RO);
    mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(page));
    tap_is(mmu_set(memory_entry_ma((unsigned long)page, 1), pte_of(page_mfn(page), PTE_RW)),
           -XEN_EBUSY, "fast path: W added to the mapping of a page table");
    mmuext(MMUEXT_UNPIN_TABLE, page_mfn(page));
    page_protect(page, PTE_RW);
}

/* A frame of descriptors must not become writable by any door. */
static void test_descriptor_frame(void)
{
    uint64_t *gdt = page_alloc();
    unsigned long frame = page_mfn(gdt);
    struct mmuext_op op = {.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = frame};
    xen_pfn_t list[1] = {frame}, out[1] = {page_pfn(gdt)};
    struct xen_memory_exchange e = {
        .in = {.extent_start = {list}, .nr_extents = 1, .domid = DOMID_SELF},
        .out = {.extent_start = {out}, .nr_extents = 1, .domid = DOMID_SELF},
    };

    page_protect(gdt, PTE_RO);
    hypercall_set_gdt(&frame, 512);
    tap_is(page_protect(gdt, PTE_RW), -XEN_EBUSY, "GDT frame: not by a mapping");
    tap_is(hypercall_mmuext_op(&op, 1, NULL, DOMID_SELF), -XEN_EINVAL,
           "GDT frame: not by clear_page");
    tap_is(mmu_set((uint64_t)frame << PAGE_SHIFT, 0), -XEN_EINVAL, "GDT frame: not by mmu_update");
    tap_is(hypercall_memory_op(XENMEM_exchange, &e), -XEN_EINVAL, "GDT frame: not by exchange");
    tap_is(mmuext(MMUEXT_PIN_L1_TABLE, frame), -XEN_EINVAL,
           "GDT frame: nor does it become a page table");
    tap_is(TRAPS(poke((unsigned long)gdt, ~0ul)), TRAP_PF, "GDT frame: a store faults");
    hypercall_set_gdt(NULL, 0);
    tap_is(page_protect(gdt, PTE_RW), 0, "GDT frame: free when it is no GDT");
}

/* XSA-252: a page table that is given back while it is in use. */
static void test_given_back(void)
{
    uint64_t *l2 = table_alloc(), *l1 = table_alloc();
    xen_pfn_t list[1];
    struct xen_memory_reservation r = {
        .extent_start = {list}, .nr_extents = 1, .domid = DOMID_SELF};

    mmuext(MMUEXT_PIN_L2_TABLE, page_mfn(l2));
    mmu_set(table_entry_ma(l2, 0), pte_of(page_mfn(l1), PTE_TABLE));
    page_protect(l1, 0);
    list[0] = page_mfn(l1);
    tap_is(hypercall_memory_op(XENMEM_decrease_reservation, &r), 1,
           "given back: an L1 under an L2");
    tap_is_hex(pte_mfn(*memory_entry((unsigned long)l1, 1)), 0, "given back: no mapping is left");
    tap_is_hex(pte_mfn(l2[0]), list[0], "given back: the L2 still holds it");
    tap_is(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(l2)), 0, "given back: unpinning frees both");
    tap_is(page_protect(l2, PTE_RW), 0, "given back: the L2 is ours");
    tap_is(hypercall_update_va_mapping((unsigned long)l1, pte_of(list[0], PTE_RO), UVMF_INVLPG),
           -XEN_EBUSY, "given back: the L1 is not");
}

void guest_main(void)
{
    user_init();
    test_stale_writable();
    test_stale_tables();
    test_sysret_edge();
    mmuext(MMUEXT_NEW_USER_BASEPTR, user_root_mfn());
    test_flags();
    test_mov_ss();
    test_output_pointers();
    test_counts();
    test_fast_path();
    test_descriptor_frame();
    test_given_back();
}
