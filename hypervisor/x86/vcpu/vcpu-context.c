/*
 * The CPU state a vCPU starts with: at creation, and as VCPUOP_initialise says.
 *
 * A struct vcpu_guest_context (5 KiB, copied in by the caller) is checked whole before anything
 * changes; then the steps that can fail (GDT frames, page-table roots) come first and are undone if
 * a later one fails; what remains is plain stores.
 */
#include "cpu-state.h"
#include "page-tables.h"

int cpu_state_init(struct vcpu *v)
{
    v->arch.cr4 = cr4_guest_view(0);
    v->arch.dr6 = DR6_DEFAULT;
    v->arch.dr7 = DR7_DEFAULT;
    int rc = descriptors_init_vcpu(v);
    return rc ? rc : fpu_init_vcpu(v);
}

/* --- check ----------------------------------------------------------------------- */

static int addresses_check(const struct vcpu_guest_context *c)
{
    const uint64_t address[] = {
        c->user_regs.rip,        c->user_regs.rsp, c->kernel_sp,          c->fs_base,
        c->gs_base_kernel,       c->gs_base_user,  c->event_callback_eip, c->failsafe_callback_eip,
        c->syscall_callback_eip,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(address); i++)
        if (!va_canonical(address[i]))
            return refuse(CONTEXT_NOT_CANONICAL, address[i]);
    for (unsigned i = 0; i < 256; i++)
        if (!va_canonical(c->trap_ctxt[i].address))
            return refuse(HANDLER_NOT_CANONICAL, i, c->trap_ctxt[i].address);
    return 0;
}

static int context_check(const struct vcpu_guest_context *c)
{
    int rc = addresses_check(c);
    if (rc)
        return rc;
    if (c->ldt_ents > 8192 || (c->ldt_base & ~PAGE_MASK) || !guest_range_ok(c->ldt_base, 1))
        return refuse(LDT_ADDRESS, c->ldt_base, c->ldt_ents);
    if (!(c->flags & VGCF_in_kernel) && !c->ctrlreg[1])
        return refuse(CONTEXT_WITHOUT_USER_ROOT);
    if (c->gdt_ents > FIRST_RESERVED_GDT_ENTRY)
        return refuse(GDT_TOO_LONG, c->gdt_ents, FIRST_RESERVED_GDT_ENTRY);
    return 0;
}

/* --- what can still fail --------------------------------------------------------- */

static int user_root_set(struct vcpu *v, uint64_t cr3)
{
    const mfn_t l4 = mfn(xen_cr3_to_pfn(cr3));

    if (!cr3)
        return 0;
    if (!l4.n) /* a frame like any other here; vcpu_new_user_root() takes it for "none" */
        return refuse(PIN_FRAME_NOT_OWNED, l4.n);
    mutex_lock(&v->domain->mmu);
    int rc = vcpu_new_user_root(v, l4);
    mutex_unlock(&v->domain->mmu);
    return rc;
}

static void roots_drop(struct vcpu *v)
{
    mutex_lock(&v->domain->mmu);
    vcpu_drop_roots(v);
    mutex_unlock(&v->domain->mmu);
}

static int tables_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc = descriptors_set_gdt(v, c->gdt_frames, (unsigned)c->gdt_ents);
    if (rc)
        return rc;
    rc = vcpu_load_root(v, mfn(xen_cr3_to_pfn(c->ctrlreg[3])));
    if (!rc)
        rc = user_root_set(v, c->ctrlreg[1]);
    if (!rc)
        rc = arch_vcpu_set_ldt(v, c->ldt_ents ? c->ldt_base : 0, (unsigned)c->ldt_ents);
    if (rc) {
        roots_drop(v);
        descriptors_release(v);
    }
    return rc;
}

/* --- commit ---------------------------------------------------------------------- */

static void registers_set(struct vcpu *v, const struct cpu_user_regs *u)
{
    struct guest_regs *r = v->arch.regs;

    *r = (struct guest_regs){
        .rdi = u->rdi,
        .rsi = u->rsi,
        .rdx = u->rdx,
        .r10 = u->r10,
        .r8 = u->r8,
        .r9 = u->r9,
        .rax = u->rax,
        .rbx = u->rbx,
        .rbp = u->rbp,
        .r12 = u->r12,
        .r13 = u->r13,
        .r14 = u->r14,
        .r15 = u->r15,
        .rcx = u->rcx,
        .r11 = u->r11,
        .rip = u->rip,
        .cs = u->cs | 3u,
        .rsp = u->rsp,
        .ss = u->ss | 3u,
        .rflags = ((uint32_t)u->rflags & ~IRET_CLEARS) | RFLAGS_IF | 2,
    };
    v->arch.iopl = u->rflags >> 12 & 3;
    v->arch.ds = u->ds;
    v->arch.es = u->es;
    v->arch.fs = u->fs;
    v->arch.gs = u->gs;
}

/* A selector that is not null brings its own base; @base counts for null ones. */
static uint64_t segment_base(struct vcpu *v, uint16_t selector, uint64_t base)
{
    uint64_t d;

    if (!(selector & ~3))
        return base;
    if (!(selector & 4) && selector >= FIRST_RESERVED_GDT_BYTE)
        return 0; /* ours, and flat; the view shows them only while @v runs */
    return descriptor_read(v, selector, &d) ? descriptor_base(d) : 0;
}

static void segment_bases_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    uint64_t user = segment_base(v, c->user_regs.gs, c->gs_base_user);

    v->arch.fs_base = segment_base(v, c->user_regs.fs, c->fs_base);
    v->arch.gs_base = v->kernel_mode ? c->gs_base_kernel : user;
    v->arch.gs_base_other = v->kernel_mode ? user : c->gs_base_kernel;
}

static void entry_points_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    for (unsigned i = 0; i < 256; i++) {
        v->arch.traps[i] = c->trap_ctxt[i];
        v->arch.traps[i].cs |= 3;
    }
    v->arch.kernel_ss = c->kernel_ss | 3;
    v->arch.kernel_sp = c->kernel_sp;
    v->arch.event_callback = c->event_callback_eip;
    v->arch.failsafe_callback = c->failsafe_callback_eip;
    v->arch.syscall_callback = c->syscall_callback_eip;
    v->arch.failsafe_masks = (c->flags & VGCF_failsafe_disables_events) != 0;
    v->arch.syscall_masks = (c->flags & VGCF_syscall_disables_events) != 0;
}

/* Bad values are left out, as Xen does: whoever wants to know asks set_debugreg. */
static void debug_registers_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    for (unsigned i = 0; i < 4; i++)
        if (debugreg_set(v, i, c->debugreg[i]))
            v->arch.dr[i] = 0;
    if (debugreg_set(v, 6, c->debugreg[6]) || debugreg_set(v, 7, c->debugreg[7]))
        v->arch.dr7 = DR7_DEFAULT;
}

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc = context_check(c);
    if (!rc)
        rc = tables_set(v, c);
    if (rc)
        return rc;

    v->kernel_mode = (c->flags & VGCF_in_kernel) != 0;
    registers_set(v, &c->user_regs);
    segment_bases_set(v, c);
    entry_points_set(v, c);
    v->arch.ts = (c->ctrlreg[0] & CR0_TS) != 0;
    v->arch.cr4 = cr4_guest_view(c->ctrlreg[4]);
    debug_registers_set(v, c);
    if (c->flags & VGCF_i387_valid)
        fpu_set_context(v, &c->fpu_ctxt);
    return 0;
}
