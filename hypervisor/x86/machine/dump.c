/*
 * What a crash says: registers, the guest's stack, the page-table walk of the addresses that matter, and the last things that
 * happened.  Addresses stand in angle brackets so that the paravane tool can add symbols.
 *
 * Guest memory is read through the domain's page tables by hand: the vCPU need not be running, and nothing can fault.
 */
#include "guest.h"
#include "lib.h"
#include "line.h"
#include "page-tables.h"
#include "sched.h"
#include "trace.h"
#include "traps.h"

#define STACK_WORDS 32

/* The entry of each level for @va; the number of levels found present. *entries[0] is L4's. */
static int walk(uint64_t root, uint64_t va, uint64_t entries[4])
{
    uint64_t table = root;

    for (int level = 4; level >= 1; level--) {
        if (!mfn_valid(maddr_to_mfn(table)) || mfn_to_page(maddr_to_mfn(table))->owner == OWNER_IO)
            return 4 - level;
        uint64_t e = ((uint64_t *)maddr_to_virt(table))[pt_index(va, level)];
        entries[4 - level] = e;
        if (!(e & PTE_P))
            return 4 - level;
        if (level > 1 && (e & PTE_PSE))
            return 4 - level + 1;
        table = e & PTE_ADDR_MASK;
    }
    return 4;
}

static bool read_guest_word(uint64_t root, uint64_t va, uint64_t *value)
{
    uint64_t e[4];

    if ((va & 7) || !guest_readable(va, 8) || walk(root, va, e) != 4)
        return false;
    mfn_t m = pte_mfn(pte(e[3]));
    if (!mfn_valid(m) || mfn_to_page(m)->owner == OWNER_IO)
        return false;
    *value = *(uint64_t *)((char *)mfn_to_virt(m) + (va & ~PAGE_MASK));
    return true;
}

static void dump_walk(uint64_t root, const char *what, uint64_t va)
{
    uint64_t e[4] = {0};

    if (!root)
        return;
    int levels = walk(root, va, e);
    printk("walk of %s <%016lx>, root %lx:\n", what, (unsigned long)va, (unsigned long)root);
    for (int i = 0; i <= levels && i < 4; i++) {
        uint64_t frame = (e[i] & PTE_ADDR_MASK) >> PAGE_SHIFT;
        unsigned long as_pfn =
            mfn_valid(mfn(frame)) && mfn_to_page(mfn(frame))->owner != OWNER_IO && (e[i] & PTE_P)
                ? (unsigned long)machine_to_phys[frame]
                : ~0ul;
        printk("  L%d[%3x] = %016lx  pfn %lx%s\n", 4 - i, pt_index(va, 4 - i), (unsigned long)e[i],
               as_pfn, e[i] & PTE_P ? "" : "  not present");
    }
}

static void dump_regs(const struct guest_regs *r)
{
    printk("rip %04lx:<%016lx> rflags %08lx rsp %04lx:%016lx\n", (unsigned long)r->cs & 0xffff,
           (unsigned long)r->rip, (unsigned long)r->rflags, (unsigned long)r->ss & 0xffff,
           (unsigned long)r->rsp);
    printk("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", (unsigned long)r->rax,
           (unsigned long)r->rbx, (unsigned long)r->rcx, (unsigned long)r->rdx);
    printk("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", (unsigned long)r->rsi,
           (unsigned long)r->rdi, (unsigned long)r->rbp, (unsigned long)r->r8);
    printk("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", (unsigned long)r->r9,
           (unsigned long)r->r10, (unsigned long)r->r11, (unsigned long)r->r12);
    printk("r13 %016lx r14 %016lx r15 %016lx\n", (unsigned long)r->r13, (unsigned long)r->r14,
           (unsigned long)r->r15);
}

static void dump_guest_stack(uint64_t root, uint64_t sp, void (*between)(void))
{
    uint64_t word;

    printk("stack at %016lx:\n", (unsigned long)sp);
    sp &= ~7ull;
    for (unsigned i = 0; i < STACK_WORDS; i++, sp += 8) {
        if (!root || !read_guest_word(root, sp, &word)) {
            printk("  %016lx not mapped\n", (unsigned long)sp);
            return;
        }
        printk("  %016lx: <%016lx>\n", (unsigned long)sp, (unsigned long)word);
        between();
    }
}

void arch_dump_begin(struct vcpu *v, struct arch_dump *rest)
{
    const struct guest_regs *r = v->arch.regs;

    *rest = (struct arch_dump){.root = v->kernel_mode ? v->arch.kernel_cr3 : v->arch.user_cr3};
    printk("d%uv%u (%s) on cpu %u, %s mode, upcall mask %u pending %u, kernel root %lx user root "
           "%lx\n",
           v->domain->id, v->id, v->domain->name, v->cpu, v->kernel_mode ? "kernel" : "user",
           v->info ? v->info->evtchn_upcall_mask : 0, v->info ? v->info->evtchn_upcall_pending : 0,
           (unsigned long)v->arch.kernel_cr3, (unsigned long)v->arch.user_cr3);
    if (v->is_idle || !r)
        return;
    dump_regs(r);
    printk("fs base %016lx gs base %016lx, kernel stack %04lx:%016lx\n",
           (unsigned long)v->arch.fs_base, (unsigned long)v->arch.gs_base,
           (unsigned long)v->arch.kernel_ss, (unsigned long)v->arch.kernel_sp);
    rest->rip = r->rip;
    rest->rsp = r->rsp;
    rest->cr2 = v->info ? v->info->arch.cr2 : 0;
}

static void dump_rest(const struct vcpu *v, const struct arch_dump *rest, void (*between)(void))
{
    if (v->is_idle || !v->arch.regs)
        return;
    dump_guest_stack(rest->root, rest->rsp, between);
    dump_walk(rest->root, "rip", rest->rip);
    between();
    if (rest->cr2)
        dump_walk(rest->root, "cr2", rest->cr2);
    trace_dump(v, between);
}

static void let_others(void)
{
    (void)preempt_point();
}

static void go_on(void)
{
}

void arch_dump_rest(const struct vcpu *v, const struct arch_dump *rest)
{
    dump_rest(v, rest, let_others);
}

void arch_dump_vcpu(struct vcpu *v)
{
    struct arch_dump rest;

    arch_dump_begin(v, &rest);
    dump_rest(v, &rest, go_on);
}

void arch_dump_all(void)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        for_each_vcpu(d, v)
            arch_dump_vcpu(v);
}

/* The hypervisor's stack, as words that may be return addresses. */
static void dump_own_stack(uint64_t sp)
{
    uint64_t end = (sp & -(uint64_t)STACK_SIZE) + STACK_SIZE;

    printk("hypervisor stack at %016lx, words that point into its code:\n", (unsigned long)sp);
    for (sp &= ~7ull; sp < end; sp += 8) {
        uint64_t word = *(uint64_t *)sp;
        if (word >= (uint64_t)image_text_start && word < (uint64_t)image_text_end)
            printk("  %016lx: <%016lx>\n", (unsigned long)sp, (unsigned long)word);
    }
}

void hypervisor_fault(const struct guest_regs *regs, uint64_t cr2)
{
    struct vcpu *v = current_vcpu();
    uint64_t e[4] = {0};

    line_be_urgent();
    printk("hypervisor fault: vector %lu error %lx cr2 %016lx on cpu %u, running d%uv%u\n",
           (unsigned long)regs->vector, (unsigned long)regs->error, (unsigned long)cr2, v->cpu,
           v->domain->id, v->id);
    dump_regs(regs);
    if (regs->vector == VECTOR_PF)
        printk("walk depth %d: %lx %lx %lx %lx\n",
               walk((uint64_t)hypervisor_l4 - DIRECT_VIRT, cr2, e), (unsigned long)e[0],
               (unsigned long)e[1], (unsigned long)e[2], (unsigned long)e[3]);
    if (!(regs->cs & 3))
        dump_own_stack(regs->rsp);
    bug("hypervisor/x86/entry/traps.c", 0, "a fault in the hypervisor");
}
