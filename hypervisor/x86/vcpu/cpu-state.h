/*
 * What the files about a guest's CPU state share: emulate.c, cpuid.c, msr.c, io.c, fpu.c,
 * debugreg.c, descriptors.c, callbacks.c, vcpu-context.c, physdev.c.
 */
#pragma once

#include "guest.h"
#include "machine.h"

#define CR4_TSD     BIT(2)
#define CR4_DE      BIT(3)
#define MSR_TSC_AUX 0xc0000103

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))

/* CR0 as every guest sees it, TS apart: protected mode with everything a 64-bit kernel expects. */
#define CR0_GUEST (CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)

/* --- control registers (control-registers.c) ----------------------------------------------- */

/* What a guest reads back after asking for CR4 = @want: its own choice among a few bits, the
 * machine's among others. */
uint64_t cr4_guest_view(uint64_t want);

/* --- segment bases ------------------------------------------------------------------------
 * While the guest kernel runs, the active GS base is the kernel's, the other one its user's. */

static inline void fs_base_write(uint64_t base)
{
    wrmsr(MSR_FS_BASE, base);
}

static inline void gs_base_write(uint64_t base)
{
    wrmsr(MSR_GS_BASE, base);
}

static inline void gs_base_other_write(uint64_t base)
{
    wrmsr(MSR_KERNEL_GS_BASE, base);
}

/* --- FPU (fpu.c) ----------------------------------------------------------------- */

/* The guest sets or clears its CR0.TS. */
static inline void fpu_set_ts(struct vcpu *v, bool ts)
{
    v->arch.ts = ts;
    if (ts) {
        write_cr0(CR0_GUEST | CR0_TS);
    } else {
        v->arch.fpu_dirty = 1;
        __asm__ volatile("clts");
    }
}

/* XSETBV by the guest: false if the processor or the rules about combinations forbid @value. */
bool fpu_set_xcr0(struct vcpu *v, uint64_t value) must_check;
/* Start with the FXSAVE image @fxsave (512 bytes, untrusted); before @v first runs. */
void fpu_set_context(struct vcpu *v, const void *fxsave);
/* Does the processor have these components, and each with those that it needs? */
bool fpu_xcr0_valid(uint64_t xcr0);
/* Go on with the XSAVE image @image of @size bytes, whose header has been looked at; while @v does not run. */
void fpu_set_image(struct vcpu *v, const void *image, size_t size);
extern uint64_t xcr0_allowed; /* what guests may enable; 0: no XSAVE */
extern uint32_t fpu_image_size;

/* --- debug registers (debugreg.c) ------------------------------------------------ */

#define DR6_DEFAULT 0xffff0ff0ull
#define DR6_BS      BIT(14)
#define DR7_DEFAULT 0x400ull

/* 0, -XEN_ENODEV (no such register) or -XEN_EPERM. */
long debugreg_set(struct vcpu *v, unsigned reg, uint64_t value) must_check;
/* 0 or -XEN_ENODEV. */
long debugreg_get(const struct vcpu *v, unsigned reg, uint64_t *value) must_check;

/* --- descriptor tables (descriptors.c) ------------------------------------------- */

/* The descriptor that @selector names in @v's tables as the CPU sees them; false: none, or not
 * shown. */
bool descriptor_read(struct vcpu *v, uint16_t selector, uint64_t *d) must_check;
#define DESCRIPTOR_PRESENT BIT(47)
#define DESCRIPTOR_USER    BIT(44) /* code or data; else a system descriptor */
#define DESCRIPTOR_CODE    BIT(43)
#define DESCRIPTOR_DOWN    BIT(42) /* data: expand-down */
#define DESCRIPTOR_RW      BIT(41) /* data: writable; code: readable */
#define DESCRIPTOR_LONG    BIT(53)
#define DESCRIPTOR_BIG     BIT(54)
#define DESCRIPTOR_PAGES   BIT(55) /* the limit counts pages */
uint64_t descriptor_base(uint64_t d);

/* --- ports (io.c) ---------------------------------------------------------------- */

/* May the guest, in its present mode, touch @bytes ports from @port (vIOPL, then the I/O bitmap)?
 */
bool io_allowed(struct vcpu *v, uint32_t port, unsigned bytes);
/* vIOPL alone: what CLI and STI need. */
static inline bool io_privileged(const struct vcpu *v)
{
    unsigned level = !v->kernel_mode                                              ? 3
                     : v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl) ? 0
                                                                                  : 1;
    return v->arch.iopl >= level;
}
uint32_t io_read(struct vcpu *v, uint16_t port, unsigned bytes);
void io_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t value);
