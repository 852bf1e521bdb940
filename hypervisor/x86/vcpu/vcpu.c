/*
 * The machine's side of a vCPU: its area (descriptor views, stack), and switching between vCPUs.
 *
 * A switch saves what the guest can change without telling us (selectors, segment bases, FPU, debug
 * registers), swaps stacks, and loads the same for the next one, on the next one's stack.
 */
#include "audit.h"
#include "guest.h"
#include "lib.h"
#include "machine.h"
#include "page-tables.h"
#include "sched.h"
#include "tlb.h"
#include "traps.h"

#define AREAS 8192

static uint64_t area_used[AREAS / 64];
static spinlock_t area_lock = SPINLOCK_INIT(SLABS);

/* --- creation ----------------------------------------------------------------------------------------------- */

static int area_take(struct vcpu *v)
{
    spin_lock(&area_lock);
    for (unsigned i = 0; i < AREAS; i++) {
        if (area_used[i / 64] >> i % 64 & 1)
            continue;
        area_used[i / 64] |= BIT(i % 64);
        spin_unlock(&area_lock);
        v->arch.area_index = i;
        v->arch.area = VCPU_AREA_VIRT + (uint64_t)i * VCPU_AREA_STRIDE;
        return 0;
    }
    spin_unlock(&area_lock);
    return -XEN_ENOMEM;
}

static void area_give(struct vcpu *v)
{
    spin_lock(&area_lock);
    area_used[v->arch.area_index / 64] &= ~BIT(v->arch.area_index % 64);
    spin_unlock(&area_lock);
    v->arch.area = 0;
}

#define STACK_PAGE0 (VCPU_AREA_STACK / 0x1000)
#define STACK_PAGES (STACK_SIZE / 0x1000)

static void stack_free(struct vcpu *v)
{
    for (unsigned i = 0; i < STACK_PAGES; i++) {
        uint64_t *e = &v->arch.area_pt[STACK_PAGE0 + i];
        if (!(*e & PTE_P))
            continue;
        struct page_info *pg = mfn_to_page(pte_mfn(pte(*e)));
        atomic_exchange(e, 0);
        tlb_stamp(pg);
        page_free(pg, 0);
    }
}

static int stack_create(struct vcpu *v)
{
    for (unsigned i = 0; i < STACK_PAGES; i++) {
        void *page = page_alloc_zeroed(0);
        if (!page)
            return -XEN_ENOMEM;
        v->arch.area_pt[STACK_PAGE0 + i] =
            pte_make(virt_to_mfn(page), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX).v;
    }
    uint64_t top = v->arch.area + VCPU_AREA_STACK + STACK_SIZE - STACK_TOP_RESERVE;
    *(struct vcpu **)top = v;
    v->arch.regs = (struct guest_regs *)top - 1;

    /* What switch_stacks() pops: six registers and where to return to. */
    uint64_t *sp = (uint64_t *)v->arch.regs;
    if (v->is_idle)
        *--sp = 0; /* idle_first_run calls C: keep rsp aligned */
    *--sp = (uint64_t)(v->is_idle ? idle_first_run : vcpu_first_run);
    sp -= 6;
    v->arch.hyp_sp = (uint64_t)sp;
    return 0;
}

int arch_vcpu_init(struct vcpu *v)
{
    int rc = area_take(v);

    if (rc)
        return rc;
    v->arch.area_pt = hyp_l1_entry(v->arch.area);
    v->arch.gdt_cpu = ~0u;
    rc = v->arch.area_pt ? stack_create(v) : -XEN_ENOMEM;
    if (!rc && !v->is_idle) {
        v->arch.traps = mem_alloc(256 * sizeof(struct trap_info));
        rc = v->arch.traps ? cpu_state_init(v) : -XEN_ENOMEM;
    }
    if (rc)
        arch_vcpu_destroy(v);
    return rc;
}

void arch_vcpu_destroy(struct vcpu *v)
{
    if (!v->arch.area)
        return;
    if (!v->is_idle) {
        fpu_free_vcpu(v);
        mem_free(v->arch.traps, 256 * sizeof(struct trap_info));
        v->arch.traps = NULL;
    }
    if (v->arch.area_pt) {
        stack_free(v);
        v->arch.area_pt[14] = 0;
    }
    /* The area's addresses will be another vCPU's: no CPU may remember this one's pages there. */
    arch_tlb_flush(arch_cpus_online(), true, 0);
    area_give(v);
}

void arch_vcpu_release(struct vcpu *v)
{
    descriptors_release(v);
}

void arch_vcpu_set_entry(struct vcpu *v, uint64_t rip, uint64_t rsp, uint64_t rsi)
{
    memset(v->arch.regs, 0, sizeof(*v->arch.regs));
    v->arch.regs->rip = rip;
    v->arch.regs->rsp = rsp;
    v->arch.regs->rsi = rsi;
    v->arch.regs->cs = SEL_GUEST_CS64;
    v->arch.regs->ss = SEL_GUEST_DS;
    v->arch.regs->rflags = RFLAGS_IF | 2;
    v->kernel_mode = 1;
}

/* --- roots in CR3 -------------------------------------------------------------------------------------------
 *
 * What CR3 names is held.  On the stack of a guest's vCPU it is a root of that vCPU, which holds a reference to it (I3 of
 * page.h); on the stack of an idle vCPU it is hypervisor_l4, which is never freed.  Between a switch of stacks and the
 * load of the next root it is still the previous vCPU's, which cannot change or lose its roots before sched_tail() says
 * that it is off this CPU.
 *
 * An idle CPU keeps nothing of the domain that ran last, neither page tables nor descriptor tables.  To keep them would save
 * nothing: a vCPU that only sleeps does so on its own stack (sched.c).
 */

static void leave_root_domain(struct percpu *pc)
{
    if (pc->root_domain)
        atomic_and(&pc->root_domain->tlb_cpus, ~BIT(pc->id));
    pc->root_domain = NULL;
}

/* Load @v's current root.  The domain's tlb_cpus names this CPU from before the load to after the next other one. */
static void load_root(struct vcpu *v, struct percpu *pc)
{
    uint64_t root = v->kernel_mode ? v->arch.kernel_cr3 : v->arch.user_cr3;
    uint32_t began;

    if (pc->root_domain != v->domain) {
        atomic_or(&v->domain->tlb_cpus, BIT(pc->id));
        began = tlb_flush_begin();
        write_cr3(root);
        leave_root_domain(pc);
        pc->root_domain = v->domain;
    } else if (read_cr3() == root) {
        /* another vCPU of the domain ran on it: nothing was forgotten, nothing needs to be */
        return;
    } else {
        began = tlb_flush_begin();
        write_cr3(root);
    }
    tlb_flush_end(pc->id, began);
}

/* arch_load_root() with an LDT in view. */
static noinline_ void load_root_without_ldt(struct vcpu *v)
{
    const uint32_t began = tlb_flush_begin();

    write_cr3(v->arch.kernel_cr3);
    tlb_flush_end(v->cpu, began);
    descriptors_ldt_forget(v);
}

/* Every call is the last thing done, so that the everyday case needs no stack. */
void arch_load_root(struct vcpu *v)
{
    if (unlikely(v->arch.ldt_mapped)) {
        load_root_without_ldt(v);
        return;
    }
    const uint32_t began = tlb_flush_begin();
    write_cr3(v->arch.kernel_cr3);
    tlb_flush_end(v->cpu, began);
}

/* This CPU idles: its own descriptor table instead of the view of the vCPU that ran last, no LDT, and the hypervisor's root. */
static void load_idle_state(struct percpu *pc)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdtr = {GDT_LIMIT,
              PERCPU_VIRT + (uint64_t)pc->id * PERCPU_STRIDE + PERCPU_GDT - 14 * PAGE_SIZE};

    __asm__ volatile("lgdt %0\n\t"
                     "lldt %w1"
                     :
                     : "m"(gdtr), "r"(0));
    const uint32_t began = tlb_flush_begin();
    write_cr3((uint64_t)hypervisor_l4 - DIRECT_VIRT);
    leave_root_domain(pc);
    tlb_flush_end(pc->id, began);
}

/* --- the audit of what a CPU uses (I10 of page.h) ------------------------------------------------------------ */

#define AUDIT_WRONG_CR3 BIT(0)
#define AUDIT_WRONG_GDT BIT(1)
#define AUDIT_WRONG_IDT BIT(2)

uint32_t vcpu_audit_wanted;

static bool root_is_held(const struct vcpu *v, uint64_t root)
{
    const mfn_t m = maddr_to_mfn(root);

    if (v->is_idle)
        return root == (uint64_t)hypervisor_l4 - DIRECT_VIRT;
    if ((root != v->arch.kernel_cr3 && root != v->arch.user_cr3) || !mfn_valid(m))
        return false;
    const struct page_info *pg = mfn_to_page(m);
    const uint64_t state = atomic_read(&pg->state);
    return pg->owner == v->domain->id && page_state_type(state) == PAGE_TYPE_L4 &&
           (state & PAGE_VALIDATED) && page_state_count(state) && page_state_refs(state);
}

void vcpu_audit_cpu(void)
{
    struct percpu *pc = this_percpu();
    const struct vcpu *v = current_vcpu();
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdtr;

    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    const uint64_t own =
        PERCPU_VIRT + (uint64_t)pc->id * PERCPU_STRIDE + PERCPU_GDT - 14 * PAGE_SIZE;
    const uint64_t gdt = v->is_idle ? own : v->arch.area + VCPU_AREA_GDT;

    pc->audit_cr3 = read_cr3();
    pc->audit_wrong =
        (uint32_t)((root_is_held(v, pc->audit_cr3) ? 0 : AUDIT_WRONG_CR3) |
                   (gdtr.base == gdt && gdtr.limit == GDT_LIMIT ? 0 : AUDIT_WRONG_GDT) |
                   (idt_is_loaded() ? 0 : AUDIT_WRONG_IDT));
}

unsigned arch_audit_cpus(void)
{
    const uint64_t all = arch_cpus_online();
    unsigned wrong = 0;

    vcpu_audit_cpu();
    atomic_exchange(&vcpu_audit_wanted, 1);
    arch_tlb_flush(all & ~BIT(this_cpu()), true, 0); /* each looks when it serves this */
    atomic_exchange(&vcpu_audit_wanted, 0);
    for (uint64_t cpus = all; cpus; cpus &= cpus - 1) {
        const struct percpu *pc = percpu_of((unsigned)__builtin_ctzll(cpus));
        if (!pc->audit_wrong)
            continue;
        wrong++;
        printk("audit: I10: CPU%u:%s%s%s is not what it should be; CR3 is %lx\n", pc->id,
               pc->audit_wrong & AUDIT_WRONG_CR3 ? " CR3" : "",
               pc->audit_wrong & AUDIT_WRONG_GDT ? " GDT" : "",
               pc->audit_wrong & AUDIT_WRONG_IDT ? " IDT" : "", (unsigned long)pc->audit_cr3);
    }
    return wrong;
}

/* --- switching ---------------------------------------------------------------------------------------------- */

#define SAVE_SELECTOR(v, name) __asm__ volatile("mov %%" #name ", %0" : "=r"((v)->arch.name))

static void vcpu_save_state(struct vcpu *v)
{
    if (likely(!v->arch.bad_selectors)) { /* else what it had is still to be tried, or told */
        SAVE_SELECTOR(v, ds);
        SAVE_SELECTOR(v, es);
        SAVE_SELECTOR(v, fs);
        SAVE_SELECTOR(v, gs);
    }
    v->arch.fs_base = rdmsr(MSR_FS_BASE);
    v->arch.gs_base = rdmsr(MSR_GS_BASE);
    v->arch.gs_base_other = rdmsr(MSR_KERNEL_GS_BASE);
    fpu_save(v);
    debugreg_save(v);
}

/* Load a selector of the guest's; one that its tables no longer allow becomes null and the guest is told. */
#define LOAD_SELECTOR(v, name)                                                     \
    ({                                                                             \
        __label__ bad_, done_;                                                     \
        __asm__ goto volatile("1: mov %0, %%" #name "\n\t" FIXUP("1b", "%l[bad_]") \
                              :                                                    \
                              : "r"((v)->arch.name)                                \
                              : "memory"                                           \
                              : bad_);                                             \
        goto done_;                                                                \
    bad_:                                                                          \
        __asm__ volatile("mov %0, %%" #name : : "r"((uint16_t)0));                 \
        (v)->arch.bad_selectors = 1;                                               \
    done_:;                                                                        \
    })

static void load_gdt_view(struct vcpu *v, struct percpu *pc)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdtr = {GDT_LIMIT, v->arch.area + VCPU_AREA_GDT};

    if (v->arch.gdt_cpu != pc->id) {
        v->arch.area_pt[14] = pte_make(mfn(pc->gdt_mfn), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX).v;
        v->arch.gdt_cpu = pc->id;
        arch_tlb_invlpg_local(gdtr.base + 14 * PAGE_SIZE);
    }
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
}

static void load_segments(struct vcpu *v)
{
    LOAD_SELECTOR(v, ds);
    LOAD_SELECTOR(v, es);
    LOAD_SELECTOR(v, fs);
    LOAD_SELECTOR(v, gs);
    wrmsr(MSR_FS_BASE, v->arch.fs_base);
    wrmsr(MSR_GS_BASE, v->arch.gs_base);
    wrmsr(MSR_KERNEL_GS_BASE, v->arch.gs_base_other);
}

/*
 * EXIT_FAILSAFE: a selector could not be loaded when @v was switched to.  A page of its LDT may just not have been shown
 * yet, which a switch must not wait for; here we can.  What then still fails is the guest's to hear of.
 */
void vcpu_retry_selectors(struct vcpu *v)
{
    const uint16_t selectors[] = {v->arch.ds, v->arch.es, v->arch.fs, v->arch.gs};

    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++)
        if (selectors[i] & 4) /* of the LDT */
            (void)descriptors_ldt_fault(v, selectors[i] & ~7u, true);
    v->arch.bad_selectors = 0;
    load_segments(v);
    if (v->arch.bad_selectors)
        guest_failsafe(v);
}

/* On @v's own stack, just switched to: put the rest of it into the CPU. */
void vcpu_load_state(struct vcpu *v)
{
    struct percpu *pc = percpu_of(v->cpu);

    if (v->is_idle) {
        load_idle_state(pc);
        return;
    }
    load_gdt_view(v, pc);
    load_root(v, pc);
    descriptors_load_ldt(v);
    load_segments(v);
    if (unlikely(v->arch.bad_selectors))
        atomic_or(&v->exit_work, EXIT_FAILSAFE);
    fpu_restore(v);
    debugreg_restore(v);
    control_restore(v);
}

void arch_switch(struct vcpu *prev, struct vcpu *next)
{
    struct percpu *pc = percpu_of(next->cpu);
    uint64_t top = next->arch.area + VCPU_AREA_STACK + STACK_SIZE - STACK_TOP_RESERVE;

    if (!prev->is_idle)
        vcpu_save_state(prev);
    pc->current = next;
    pc->stack_top = top;
    pc->tss.rsp0 = top;
    switch_stacks(&prev->arch.hyp_sp, next->arch.hyp_sp);
    /* @prev has been given a CPU again, perhaps another one. */
    vcpu_load_state(current_vcpu());
}

/* The descriptor-table frames that @v's views show. */
void arch_audit_vcpu(struct vcpu *v)
{
    if (!v->arch.area_pt)
        return;
    for (unsigned i = 0; i < v->arch.gdt_frames; i++)
        audit_count(mfn(v->arch.gdt_mfn[i]), true);
    for (unsigned i = 0; i < 16; i++)
        if (v->arch.ldt_mapped >> i & 1)
            audit_count(pte_mfn(pte(v->arch.area_pt[VCPU_AREA_LDT / 0x1000 + i])), true);
}
