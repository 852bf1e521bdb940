/*
 * The CPU state of a vCPU that has stopped, as a toolstack reads it (a dump, a saved domain) and gives it to another one
 * (vcpu-context.c sets what a vCPU starts with).
 *
 * Nobody touches the vCPU meanwhile: it is on no CPU, so all its registers are in its structures.
 */
/* Before anything includes <xen/...>: the toolstack's structures. */
#define __XEN_TOOLS__ 1

#include "cpu-state.h"
#include "instruction.h"
#include "lib.h"
#include "refuse.h"

#include <xen/domctl.h>

/* The XSAVE header and what must be zero in it: Intel SDM volume 1, 13.4.2. */
#define XSAVE_HEADER      512u
#define XSAVE_HEADER_SIZE 64u
#define XSAVE_AREAS       (XSAVE_HEADER + XSAVE_HEADER_SIZE)

static void user_regs_get(const struct vcpu *v, struct cpu_user_regs *u)
{
    const struct guest_regs *r = v->arch.regs;

    *u = (struct cpu_user_regs){
        .r15 = r->r15,
        .r14 = r->r14,
        .r13 = r->r13,
        .r12 = r->r12,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .r11 = r->r11,
        .r10 = r->r10,
        .r9 = r->r9,
        .r8 = r->r8,
        .rax = r->rax,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .rsi = r->rsi,
        .rdi = r->rdi,
        .rip = r->rip,
        .cs = (uint16_t)r->cs,
        .rflags = r->rflags | (uint64_t)v->arch.iopl << 12,
        .rsp = r->rsp,
        .ss = (uint16_t)r->ss,
        .es = v->arch.es,
        .ds = v->arch.ds,
        .fs = v->arch.fs,
        .gs = v->arch.gs,
    };
}

static uint64_t cr3_of(uint64_t root)
{
    return root ? xen_pfn_to_cr3(root >> PAGE_SHIFT) : 0;
}

static void tables_get(const struct vcpu *v, struct vcpu_guest_context *c)
{
    c->ldt_base = v->arch.ldt_base;
    c->ldt_ents = v->arch.ldt_entries;
    for (unsigned i = 0; i < v->arch.gdt_frames; i++)
        c->gdt_frames[i] = v->arch.gdt_mfn[i];
    c->gdt_ents = v->arch.gdt_entries;
    c->ctrlreg[0] = cr0_guest_view(v);
    c->ctrlreg[1] = cr3_of(v->arch.user_cr3);
    c->ctrlreg[3] = cr3_of(v->arch.kernel_cr3);
    c->ctrlreg[4] = v->arch.cr4;
}

static void entry_points_get(const struct vcpu *v, struct vcpu_guest_context *c)
{
    memcpy(c->trap_ctxt, v->arch.traps, sizeof(c->trap_ctxt));
    c->kernel_ss = v->arch.kernel_ss;
    c->kernel_sp = v->arch.kernel_sp;
    c->event_callback_eip = v->arch.event_callback;
    c->failsafe_callback_eip = v->arch.failsafe_callback;
    c->syscall_callback_eip = v->arch.syscall_callback;
    if (v->arch.failsafe_masks)
        c->flags |= VGCF_failsafe_disables_events;
    if (v->arch.syscall_masks)
        c->flags |= VGCF_syscall_disables_events;
}

void arch_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c)
{
    memset(c, 0, sizeof(*c));
    memcpy(&c->fpu_ctxt, v->arch.fpu, sizeof(c->fpu_ctxt));
    c->flags = VGCF_i387_valid | (v->kernel_mode ? VGCF_in_kernel : 0);
    user_regs_get(v, &c->user_regs);
    tables_get(v, c);
    entry_points_get(v, c);
    c->fs_base = v->arch.fs_base;
    c->gs_base_kernel = v->kernel_mode ? v->arch.gs_base : v->arch.gs_base_other;
    c->gs_base_user = v->kernel_mode ? v->arch.gs_base_other : v->arch.gs_base;
    memcpy(c->debugreg, v->arch.dr, sizeof(v->arch.dr));
    c->debugreg[6] = v->arch.dr6;
    c->debugreg[7] = v->arch.dr7 | v->arch.dr7_io;
}

/* --- what struct vcpu_guest_context has no room for ----------------------------------------------- */

void arch_vcpu_get_extended(const struct vcpu *v, struct xen_domctl_ext_vcpucontext *x)
{
    x->size = sizeof(*x);
    x->syscall32_callback_eip = v->arch.syscall32_callback;
    x->sysenter_callback_eip = v->arch.sysenter_callback;
    /* Handlers are entered in the flat segment of 64-bit kernels, whatever was set. */
    x->syscall32_callback_cs = v->arch.syscall32_callback ? FLAT_KERNEL_CS : 0;
    x->sysenter_callback_cs = v->arch.sysenter_callback ? FLAT_KERNEL_CS : 0;
    x->syscall32_disables_events = v->arch.syscall32_masks;
    x->sysenter_disables_events = v->arch.sysenter_masks;
    memset(&x->vmce, 0, sizeof(x->vmce)); /* no machine checks reach guests */
}

int arch_vcpu_set_extended(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *x)
{
    if (x->size < offsetof(struct xen_domctl_ext_vcpucontext, vmce))
        return refuse(STATE_SIZE, x->size, sizeof(*x));
    if (!va_canonical(x->syscall32_callback_eip))
        return refuse(CONTEXT_NOT_CANONICAL, x->syscall32_callback_eip);
    if (!va_canonical(x->sysenter_callback_eip))
        return refuse(CONTEXT_NOT_CANONICAL, x->sysenter_callback_eip);
    v->arch.syscall32_callback = x->syscall32_callback_eip;
    v->arch.sysenter_callback = x->sysenter_callback_eip;
    v->arch.syscall32_masks = x->syscall32_disables_events != 0;
    v->arch.sysenter_masks = x->sysenter_disables_events != 0;
    return 0;
}

/* --- the FPU's extensions: XCR0, what XCR0 may have been, the image -------------------------------- */

uint64_t arch_xstate_mask(void)
{
    return xcr0_allowed;
}

unsigned arch_xstate_size(void)
{
    return xcr0_allowed ? fpu_image_size : 0;
}

uint64_t arch_vcpu_get_xstate(const struct vcpu *v, const void **image)
{
    *image = v->arch.fpu;
    return v->arch.xcr0;
}

int arch_vcpu_set_xstate(struct vcpu *v, uint64_t xcr0, void *image, size_t size)
{
    const uint64_t *header = (const uint64_t *)((const char *)image + XSAVE_HEADER);

    if (size < XSAVE_AREAS || size > fpu_image_size)
        return refuse(STATE_SIZE, size, fpu_image_size);
    if (!fpu_xcr0_valid(xcr0))
        return refuse(STATE_XCR0, xcr0, xcr0_allowed);
    /* XRSTOR of anything else faults: components that there are not, the compacted form, bits of the future. */
    if (header[0] & ~xcr0_allowed)
        return refuse(STATE_XCR0, header[0], xcr0_allowed);
    for (unsigned i = 1; i < XSAVE_HEADER_SIZE / sizeof(*header); i++)
        if (header[i])
            return refuse(STATE_XCR0, header[i], xcr0_allowed);
    fpu_set_image(v, image, size);
    v->arch.xcr0 = xcr0;
    return 0;
}

/* --- model-specific registers that a guest may have changed ----------------------------------------- */

unsigned arch_saved_msr_count(void)
{
    return 1;
}

unsigned arch_vcpu_get_msrs(const struct vcpu *v, struct xen_domctl_vcpu_msr *msrs)
{
    *msrs = (struct xen_domctl_vcpu_msr){.index = MSR_TSC_AUX, .value = v->arch.tsc_aux};
    return v->arch.tsc_aux != 0;
}

int arch_vcpu_set_msr(struct vcpu *v, const struct xen_domctl_vcpu_msr *msr)
{
    if (msr->reserved || msr->index != MSR_TSC_AUX || msr->value >> 32)
        return refuse(STATE_MSR, msr->index, msr->value);
    v->arch.tsc_aux = (uint32_t)msr->value;
    return 0;
}
