/*
 * The FPU and its extensions (x87, SSE, AVX...): each vCPU's own, switched eagerly.
 *
 * A vCPU's registers are written to its image when it leaves a CPU and read back when it comes to
 * one, so that no guest ever finds another's values.  Two short cuts, both invisible:
 *   - fpu_dirty is clear while the registers are known to equal the image: the guest has had TS set
 * since they were loaded.  Then there is nothing to save.
 *   - percpu.fpu_owner and arch.fpu_cpu agree when a vCPU returns to the CPU it left and nobody but
 * the idle vCPU was there in between.  Then there is nothing to load.
 *
 * CR0.TS is the guest's (fpu_taskswitch, CLTS, MOV to CR0): set exactly when the guest set it.  #NM
 * is therefore always the guest's, and TS is cleared on its way to the handler, as Xen does.
 *
 * XCR0 in the CPU is the guest's while it runs and xcr0_allowed while its image is written or read:
 * a guest that switched a component off still owns what the registers hold.
 */
#include "cpu-state.h"
#include "hypercall.h"

uint64_t xcr0_allowed;
uint32_t fpu_image_size = 512;

static uint32_t mxcsr_mask = 0xffbf; /* bits of MXCSR that may be set */
/* FXSAVE and XSAVE handle the last-instruction pointers always; older AMD: only with an error
 * pending. */
static bool pointers_switched;

/* Offsets in the FXSAVE and XSAVE images (Intel SDM volume 1, 10.5.1 and 13.4). */
#define IMAGE_FCW        0
#define IMAGE_FSW        2
#define IMAGE_MXCSR      24
#define IMAGE_MXCSR_MASK 28
#define IMAGE_XSTATE_BV  512
#define FCW_DEFAULT      0x037f
#define MXCSR_DEFAULT    0x1f80

static uint16_t *image_u16(void *image, unsigned offset)
{
    return (uint16_t *)((char *)image + offset);
}

static uint32_t *image_u32(void *image, unsigned offset)
{
    return (uint32_t *)((char *)image + offset);
}

static void xcr0_load(uint64_t value)
{
    struct percpu *p = this_percpu();

    if (likely(p->xcr0 == value))
        return;
    p->xcr0 = value;
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void clear_ts(void)
{
    __asm__ volatile("clts");
}

void fpu_probe(void)
{
    static char image[512] __attribute__((aligned(64)));
    uint32_t r[4];

    clear_ts();
    __asm__ volatile("fninit; fxsave64 %0" : "=m"(image));
    if (*image_u32(image, IMAGE_MXCSR_MASK))
        mxcsr_mask = *image_u32(image, IMAGE_MXCSR_MASK);

    cpuid(0x80000000, 0, r);
    if (r[0] >= 0x80000008) {
        cpuid(0x80000008, 0, r);
        pointers_switched = r[1] & BIT(2);
    }

    if (!(read_cr4() & CR4_OSXSAVE))
        return;
    cpuid(0xd, 0, r);
    uint64_t has = (uint64_t)r[3] << 32 | r[0];
    xcr0_allowed = has & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
    if ((has & XCR0_AVX512) == XCR0_AVX512 && (has & XCR0_AVX))
        xcr0_allowed |= XCR0_AVX512;
    xcr0_load(xcr0_allowed);
    cpuid(0xd, 0, r);
    fpu_image_size = r[1];
}

int fpu_init_vcpu(struct vcpu *v)
{
    v->arch.fpu = mem_alloc(
        fpu_image_size); /* 64-byte aligned, as XSAVE wants: slabs are naturally aligned */
    if (!v->arch.fpu)
        return -XEN_ENOMEM;
    *image_u16(v->arch.fpu, IMAGE_FCW) = FCW_DEFAULT;
    *image_u32(v->arch.fpu, IMAGE_MXCSR) = MXCSR_DEFAULT;
    v->arch.fpu_cpu = ~0u;
    v->arch.xcr0 = xcr0_allowed & (XCR0_X87 | XCR0_SSE);
    return 0;
}

void fpu_free_vcpu(struct vcpu *v)
{
    if (!v->arch.fpu)
        return;
    /* A later vCPU may get the same address: no CPU may believe that it still holds our registers.
     */
    for (uint64_t cpus = arch_cpus_online(); cpus; cpus &= cpus - 1) {
        struct percpu *p = percpu_of((unsigned)__builtin_ctzll(cpus));
        struct vcpu *mine = v;
        atomic_compare_exchange(&p->fpu_owner, &mine, (struct vcpu *)NULL);
    }
    mem_free(v->arch.fpu, fpu_image_size);
    v->arch.fpu = NULL;
}

void fpu_set_context(struct vcpu *v, const void *fxsave)
{
    memset(v->arch.fpu, 0, fpu_image_size);
    memcpy(v->arch.fpu, fxsave, 512);
    *image_u32(v->arch.fpu, IMAGE_MXCSR) &= mxcsr_mask;
    /* Bytes 464..511 are software's, and must not reach XRSTOR as anything else. */
    memset((char *)v->arch.fpu + 464, 0, 48);
    if (xcr0_allowed)
        *(uint64_t *)((char *)v->arch.fpu + IMAGE_XSTATE_BV) = XCR0_X87 | XCR0_SSE;
    v->arch.fpu_cpu = ~0u;
}

void fpu_set_image(struct vcpu *v, const void *image, size_t size)
{
    memset(v->arch.fpu, 0, fpu_image_size);
    memcpy(v->arch.fpu, image, size);
    *image_u32(v->arch.fpu, IMAGE_MXCSR) &= mxcsr_mask;
    v->arch.fpu_cpu = ~0u;
}

void fpu_save(struct vcpu *v)
{
    if (!v->arch.fpu_dirty || !v->arch.fpu)
        return;
    clear_ts();
    if (xcr0_allowed) {
        xcr0_load(xcr0_allowed);
        __asm__ volatile("xsave64 (%0)" ::"r"(v->arch.fpu), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" ::"r"(v->arch.fpu) : "memory");
    }
    v->arch.fpu_dirty = 0;
}

static void fpu_load(struct vcpu *v)
{
    void *image = v->arch.fpu;

    /* Overwrite the pointers of whoever was here before: loading one integer sets all of them. */
    if (cpuid_vendor_is_amd && !pointers_switched && !(*image_u16(image, IMAGE_FSW) & 0x80))
        __asm__ volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(*(const uint32_t *)image));
    if (xcr0_allowed) {
        xcr0_load(xcr0_allowed);
        __asm__ volatile("xrstor64 (%0)" ::"r"(image), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(image) : "memory");
    }
}

void fpu_restore(struct vcpu *v)
{
    struct percpu *p = this_percpu();

    if (!v->arch.fpu)
        return; /* idle: it never touches the FPU, so whose registers are loaded does not matter */
    clear_ts();
    if (atomic_read(&p->fpu_owner) != v || v->arch.fpu_cpu != p->id) {
        fpu_load(v);
        atomic_set(&p->fpu_owner, v);
        v->arch.fpu_cpu = p->id;
    }
    if (xcr0_allowed)
        xcr0_load(v->arch.xcr0);
    fpu_set_ts(v, v->arch.ts);
}

/* #NM: the guest set TS, and used the FPU. */
void fpu_device_not_available(struct vcpu *v)
{
    bool guests = v->arch.ts;

    fpu_set_ts(v, false);
    if (guests)
        guest_exception(v, VECTOR_NM, 0);
}

/* Intel SDM volume 1, 13.3: each component needs the ones it extends. */
bool fpu_xcr0_valid(uint64_t x)
{
    if (!(x & XCR0_X87) || (x & ~xcr0_allowed))
        return false;
    if ((x & XCR0_AVX) && !(x & XCR0_SSE))
        return false;
    uint64_t wide = x & XCR0_AVX512;
    return !wide || (wide == XCR0_AVX512 && (x & XCR0_AVX));
}

bool fpu_set_xcr0(struct vcpu *v, uint64_t value)
{
    if (!fpu_xcr0_valid(value))
        return false;
    v->arch.xcr0 = value;
    xcr0_load(value);
    return true;
}

/* fpu_taskswitch(set): set or clear CR0.TS. */
long hypercall_fpu_taskswitch(struct vcpu *v, const struct hypercall_args *a)
{
    fpu_set_ts(v, a->arg[0] != 0);
    return 0;
}
