/*
 * The one list of model-specific registers: what RDMSR and WRMSR do in a guest's kernel.  A number
 * that is not here, and a register of another vendor's, is #GP(0) for both, which kernels expect.
 *
 *   MSR(first, last, name, who, read, value, write, what)
 *
 * @first, @last  numbers; banks of registers of one meaning share a row
 * @who    ANY    on every processor
 *         INTEL  not on AMD's and Hygon's         AMD  only on those
 *         DEVICES_INTEL  as INTEL, and only for the domain with the devices
 * @read   VALUE  gives @value            OWN  the register is the vCPU's or the machine's: see @what
 *         NEVER  #GP(0)                  KEPT the vCPU's: what was written last, 0 at the start
 * @write  REFUSED  #GP(0)                IGNORED  any value is taken and forgotten
 *         SAME   only what is read       KEPT     any value is taken
 *         OWN    see @what
 *
 * The values are those of Xen 4.17, but where @what says otherwise; tests/guest/msr asks both.
 */
#pragma once

/* clang-format off */
#define MSR_LIST(MSR)                                                                              \
    MSR(0x00000000, 0x00000001, "P5_MC_ADDR, P5_MC_TYPE", ANY, VALUE, 0, REFUSED, "machine check of the Pentium") \
    MSR(0x00000010, 0x00000010, "TSC", ANY, OWN, 0, REFUSED, "the machine's time stamp counter") \
    MSR(0x00000017, 0x00000017, "PLATFORM_ID", INTEL, VALUE, 0, REFUSED, "") \
    MSR(0x0000001b, 0x0000001b, "APIC_BASE", ANY, OWN, 0, REFUSED, "0xfee00800, bit 8 on vCPU 0") \
    MSR(0x0000003a, 0x0000003a, "FEATURE_CONTROL", INTEL, VALUE, 1, REFUSED, "locked, nothing enabled") \
    MSR(0x0000008b, 0x0000008b, "PATCH_LEVEL", ANY, OWN, 0, OWN, "AMD: 0x01000065, not written; Intel: 1 in the upper half, 0 may be written") \
    MSR(0x000000c1, 0x000000c8, "PMC0 to PMC7", INTEL, VALUE, 0, IGNORED, "counters do not count") \
    MSR(0x000000ce, 0x000000ce, "PLATFORM_INFO", ANY, VALUE, 0, REFUSED, "no CPUID faulting") \
    MSR(0x000000e7, 0x000000e8, "MPERF, APERF", ANY, NEVER, 0, IGNORED, "") \
    MSR(0x00000140, 0x00000140, "MISC_FEATURES_ENABLES", ANY, VALUE, 0, SAME, "") \
    MSR(0x00000179, 0x00000179, "MCG_CAP", AMD, VALUE, 2, IGNORED, "two banks") \
    MSR(0x00000179, 0x00000179, "MCG_CAP", INTEL, VALUE, 0x1000c02, IGNORED, "two banks, CMCI, threshold status, recovery") \
    MSR(0x0000017a, 0x0000017a, "MCG_STATUS", ANY, KEPT, 0, KEPT, "") \
    MSR(0x0000017b, 0x0000017b, "MCG_CTL", ANY, VALUE, 0, IGNORED, "") \
    MSR(0x00000186, 0x00000189, "PERFEVTSEL0 to 3", INTEL, VALUE, 0, IGNORED, "") \
    MSR(0x00000198, 0x00000198, "PERF_STATUS", INTEL, VALUE, 0, REFUSED, "") \
    MSR(0x00000199, 0x00000199, "PERF_CTL", INTEL, VALUE, 0, IGNORED, "") \
    MSR(0x0000019a, 0x0000019a, "CLOCK_MODULATION", INTEL, NEVER, 0, IGNORED, "") \
    MSR(0x0000019c, 0x0000019c, "THERM_STATUS", DEVICES_INTEL, VALUE, 0, REFUSED, "") \
    MSR(0x000001a0, 0x000001a0, "MISC_ENABLE", ANY, VALUE, 0x801801, IGNORED, "no BTS, no PEBS, no xTPR messages") \
    MSR(0x000001b0, 0x000001b0, "ENERGY_PERF_BIAS", INTEL, NEVER, 0, IGNORED, "") \
    MSR(0x000001d9, 0x000001d9, "DEBUGCTL", ANY, VALUE, 0, SAME, "no branch tracing; #GP on Xen, but kernels read it without a net where they look at debug registers") \
    MSR(0x00000277, 0x00000277, "PAT", ANY, VALUE, 0x50100070406, REFUSED, "") \
    MSR(0x00000280, 0x00000281, "MC0_CTL2, MC1_CTL2", INTEL, KEPT, 0, KEPT, "") \
    MSR(0x00000280, 0x00000281, "MC0_CTL2, MC1_CTL2", AMD, VALUE, 0, IGNORED, "") \
    MSR(0x00000282, 0x0000029f, "MC2_CTL2 to MC31_CTL2", ANY, VALUE, 0, IGNORED, "banks that MCG_CAP does not have") \
    MSR(0x00000309, 0x0000030b, "FIXED_CTR0 to 2", INTEL, VALUE, 0, IGNORED, "") \
    MSR(0x00000345, 0x00000345, "PERF_CAPABILITIES", ANY, VALUE, 0, REFUSED, "") \
    MSR(0x0000038d, 0x00000390, "FIXED_CTR_CTRL, PERF_GLOBAL", INTEL, VALUE, 0, IGNORED, "status, control, overflow control") \
    MSR(0x00000400, 0x00000400, "MC0_CTL", ANY, VALUE, 0xffffffffffffffff, IGNORED, "") \
    MSR(0x00000401, 0x00000403, "MC0_STATUS, ADDR, MISC", ANY, VALUE, 0, SAME, "") \
    MSR(0x00000404, 0x00000404, "MC1_CTL", ANY, VALUE, 0xffffffffffffffff, IGNORED, "") \
    MSR(0x00000405, 0x00000407, "MC1_STATUS, ADDR, MISC", ANY, VALUE, 0, SAME, "") \
    MSR(0x00000408, 0x0000047f, "MC2 to MC31", ANY, VALUE, 0, IGNORED, "banks that MCG_CAP does not have") \
    MSR(0x40000000, 0x40000000, "hypercall page", ANY, VALUE, 0, OWN, "fills the frame whose address is written; CPUID leaf 0x40000002 names the number") \
    MSR(0xc0000080, 0xc0000080, "EFER", ANY, OWN, 0, SAME, "the machine's: SCE, LME, LMA, NX") \
    MSR(0xc0000100, 0xc0000102, "FS_BASE, GS_BASE, KERNEL_GS_BASE", ANY, OWN, 0, OWN, "the vCPU's; canonical addresses are taken") \
    MSR(0xc0000103, 0xc0000103, "TSC_AUX", ANY, OWN, 0, OWN, "the vCPU's, where CPUID has RDTSCP; 32 bits") \
    MSR(0xc0010000, 0xc0010007, "PERFEVTSEL0 to 3, PERFCTR0 to 3", AMD, VALUE, 0, IGNORED, "counters do not count") \
    MSR(0xc0010010, 0xc0010010, "SYSCFG", AMD, VALUE, 0, REFUSED, "") \
    MSR(0xc0010015, 0xc0010015, "HWCR", AMD, VALUE, 0, IGNORED, "") \
    MSR(0xc0010016, 0xc001001a, "IORRs, TOP_MEM", AMD, VALUE, 0, REFUSED, "") \
    MSR(0xc001001d, 0xc001001d, "TOP_MEM2", AMD, VALUE, 0, REFUSED, "") \
    MSR(0xc001001f, 0xc001001f, "NB_CFG", ANY, VALUE, 0, IGNORED, "") \
    MSR(0xc0010041, 0xc0010042, "FIDVID_CTL, FIDVID_STATUS", AMD, VALUE, 0, IGNORED, "") \
    MSR(0xc0010061, 0xc001006b, "P-states", AMD, VALUE, 0, IGNORED, "limit, control, status, definitions") \
    MSR(0xc0010112, 0xc0010113, "SMM_ADDR, SMM_MASK", AMD, VALUE, 0, REFUSED, "") \
    MSR(0xc0010200, 0xc001020b, "PERF_CTL0 to 5, PERF_CTR0 to 5", AMD, VALUE, 0, IGNORED, "") \
    MSR(0xc0011029, 0xc0011029, "DE_CFG", AMD, VALUE, 2, IGNORED, "LFENCE waits for all before it")
/* clang-format on */
