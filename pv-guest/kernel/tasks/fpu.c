/*
 * Saving and loading the registers of floating-point and vector instructions.
 *
 * Where the CPU has XSAVE, processes get AVX as well; what comes after it is not
 * enabled, so a C library will not choose it.  Without XSAVE there is FXSAVE.
 */
#include "fpu.h"
#include "task.h"
#include "text.h"
#include "platform/platform.h"

#define XCR0_X87_SSE 3
#define XCR0_AVX     4

#define FPU_CONTROL    0 /* offsets in the saved image */
#define FPU_MXCSR      24
#define FPU_HEADER     512
#define FPU_HEADER_END 576
#define MXCSR_VALID    0xffff

static uint64_t features; /* XCR0; 0 without XSAVE */

void fpu_init(void)
{
    features = platform_fpu_enable(XCR0_X87_SSE | XCR0_AVX);
}

size_t fpu_size(void)
{
    return !features ? FPU_HEADER : features & XCR0_AVX ? FPU_SIZE : FPU_HEADER_END;
}

void fpu_save(struct task *task)
{
    if (features)
        __asm__ volatile("xsave64 %0" : "+m"(task->fpu) : "a"(~0), "d"(~0));
    else
        __asm__ volatile("fxsave64 %0" : "=m"(task->fpu));
}

void fpu_load(const struct task *task)
{
    if (features)
        __asm__ volatile("xrstor64 %0" : : "m"(task->fpu), "a"(~0), "d"(~0));
    else
        __asm__ volatile("fxrstor64 %0" : : "m"(task->fpu));
}

void fpu_reset(struct task *task)
{
    static const uint16_t control = 0x37f;
    static const uint32_t mxcsr = 0x1f80;
    memset(task->fpu, 0, sizeof(task->fpu));
    memcpy(task->fpu + FPU_CONTROL, &control, sizeof(control));
    memcpy(task->fpu + FPU_MXCSR, &mxcsr, sizeof(mxcsr));
}

/* Loading faults on reserved bits of MXCSR and on a header that names what is not enabled. */
void fpu_mend(struct task *task)
{
    uint64_t header[(FPU_HEADER_END - FPU_HEADER) / 8];
    uint32_t mxcsr;

    memcpy(&mxcsr, task->fpu + FPU_MXCSR, sizeof(mxcsr));
    mxcsr &= MXCSR_VALID;
    memcpy(task->fpu + FPU_MXCSR, &mxcsr, sizeof(mxcsr));
    memcpy(header, task->fpu + FPU_HEADER, sizeof(header));
    memset(task->fpu + FPU_HEADER, 0, sizeof(header));
    header[0] &= features;
    memcpy(task->fpu + FPU_HEADER, header, sizeof(header[0]));
}
