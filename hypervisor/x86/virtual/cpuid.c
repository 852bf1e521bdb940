/*
 * CPUID as guests are meant to see it.
 *
 * A plain CPUID does not fault in ring 3, so a guest can always see the machine's own leaves.
 * Kernels that know where they are use the forced-emulation prefix and get the policy made here at
 * boot: the machine's leaves, without what a PV guest cannot use (FEATURES lists what it can), and
 * the hypervisor's own leaves from 0x40000000 on.
 *
 * Computed once; a query copies 16 bytes.  What depends on the vCPU is patched in: OSXSAVE and the
 * size of its XSAVE image.
 */
/* Before anything includes <xen/...>: the form of a leaf that toolstacks exchange. */
#define __XEN_TOOLS__ 1

#include "cpu-state.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/version.h>

/* Features of a PV guest, by the names of Xen's public header; not here: what needs ring 0, what a
 * guest could not switch, and speculation controls, whose MSR is not virtualized. */
/* clang-format off */
#define FEATURES(F)                                                                                \
    F(FPU) F(DE) F(TSC) F(MSR) F(PAE) F(MCE) F(CX8) F(APIC) F(SEP) F(MCA) F(CMOV) F(PAT)           \
    F(CLFLUSH) F(ACPI) F(MMX) F(FXSR) F(SSE) F(SSE2) F(SS) F(HTT)                                  \
    F(SSE3) F(PCLMULQDQ) F(SSSE3) F(FMA) F(CX16) F(SSE4_1) F(SSE4_2) F(MOVBE) F(POPCNT)            \
    F(AESNI) F(XSAVE) F(AVX) F(F16C) F(RDRAND) F(HYPERVISOR)                                       \
    F(SYSCALL) F(NX) F(MMXEXT) F(FFXSR) F(RDTSCP) F(LM) F(3DNOWEXT) F(3DNOW)                       \
    F(LAHF_LM) F(CMP_LEGACY) F(ABM) F(SSE4A) F(MISALIGNSSE) F(3DNOWPREFETCH) F(XOP) F(FMA4)        \
    F(TBM) F(XSAVEOPT) F(XSAVEC) F(XGETBV1)                                                        \
    F(FSGSBASE) F(BMI1) F(AVX2) F(BMI2) F(ERMS) F(AVX512F) F(AVX512DQ) F(RDSEED) F(ADX)            \
    F(AVX512_IFMA) F(CLFLUSHOPT) F(CLWB) F(AVX512PF) F(AVX512ER) F(AVX512CD) F(SHA) F(AVX512BW)    \
    F(AVX512VL) F(PREFETCHWT1) F(AVX512_VBMI) F(AVX512_VBMI2) F(GFNI) F(VAES) F(VPCLMULQDQ)        \
    F(AVX512_VNNI) F(AVX512_BITALG) F(AVX512_VPOPCNTDQ) F(RDPID) F(CLDEMOTE)                       \
    F(CLZERO) F(RSTR_FP_ERR_PTRS) F(SSB_NO) F(BTC_NO)                                              \
    F(AVX512_4VNNIW) F(AVX512_4FMAPS) F(FSRM) F(MD_CLEAR) F(SERIALIZE)                             \
    F(AVX_VNNI) F(AVX512_BF16) F(FZRM) F(FSRS) F(FSRCS)                                            \
    F(LFENCE_DISPATCH) F(VERW_CLEAR) F(NSCB) F(IBPB_BRTYPE) F(SRSO_NO) F(SRSO_US_NO)
/* clang-format on */

#define BASIC_LEAVES     0xeu
#define EXTENDED_LEAVES  0x22u
#define CACHE_SUBLEAVES  6u
#define XSTATE_SUBLEAVES 10u

bool cpuid_has_fsgsbase, cpuid_has_rdtscp, cpuid_vendor_is_amd;

static struct {
    uint32_t basic_last, extended_last;
    struct cpuid_leaf basic[BASIC_LEAVES], extended[EXTENDED_LEAVES];
    struct cpuid_leaf cache[CACHE_SUBLEAVES], xstate[XSTATE_SUBLEAVES];
    struct cpuid_leaf features1; /* leaf 7, subleaf 1 */
    uint32_t leak_c, leak_d;     /* of leaf 1, for the hardware domain's kernel */
} policy;

static struct cpuid_leaf host_leaf(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_leaf l;

    __asm__ volatile("cpuid"
                     : "=a"(l.a), "=b"(l.b), "=c"(l.c), "=d"(l.d)
                     : "a"(leaf), "c"(subleaf));
    return l;
}

/* --- feature words: Xen's numbering of the registers that hold feature bits ------ */

static uint32_t *feature_word(unsigned word)
{
    switch (word) {
    case 0:
        return &policy.basic[1].d;
    case 1:
        return &policy.basic[1].c;
    case 2:
        return &policy.extended[1].d;
    case 3:
        return &policy.extended[1].c;
    case 4:
        return &policy.xstate[1].a;
    case 5:
        return &policy.basic[7].b;
    case 6:
        return &policy.basic[7].c;
    case 7:
        return &policy.extended[7].d;
    case 8:
        return &policy.extended[8].b;
    case 9:
        return &policy.basic[7].d;
    case 10:
        return &policy.features1.a;
    case 11:
        return &policy.extended[0x21].a;
    default:
        return NULL;
    }
}

static bool has(unsigned feature)
{
    return *feature_word(feature / 32) & BIT(feature % 32);
}

#define HAS(name) has(XEN_X86_FEATURE_##name)

static void features_mask(void)
{
#define F(name) XEN_X86_FEATURE_##name,
    static const uint16_t may_have[] = {FEATURES(F)};
#undef F
    uint32_t mask[12] = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(may_have); i++)
        mask[may_have[i] / 32] |= 1u << may_have[i] % 32;
    for (unsigned w = 0; w < ARRAY_SIZE(mask); w++)
        *feature_word(w) &= mask[w];
}

/* What is useless without another feature: its registers would not be switched. */
/* clang-format off */
#define NEEDS_XSAVE(F) F(XSAVEOPT) F(XSAVEC) F(XGETBV1) F(AVX)
#define NEEDS_AVX(F)   F(FMA) F(F16C) F(XOP) F(FMA4) F(AVX2) F(VAES) F(VPCLMULQDQ) F(AVX_VNNI) F(AVX512F)
#define NEEDS_AVX512F(F)                                                                           \
    F(AVX512DQ) F(AVX512_IFMA) F(AVX512PF) F(AVX512ER) F(AVX512CD) F(AVX512BW) F(AVX512VL)         \
    F(AVX512_VBMI) F(AVX512_VBMI2) F(AVX512_VNNI) F(AVX512_BITALG) F(AVX512_VPOPCNTDQ)             \
    F(AVX512_4VNNIW) F(AVX512_4FMAPS) F(AVX512_BF16)
/* clang-format on */

static void features_clear(const uint16_t *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        *feature_word(list[i] / 32) &= ~(1u << list[i] % 32);
}

/* In this order: what goes takes with it what needs it. */
static void features_without(void)
{
#define F(name) XEN_X86_FEATURE_##name,
    static const uint16_t xsave[] = {NEEDS_XSAVE(F)}, avx[] = {NEEDS_AVX(F)},
                          avx512f[] = {NEEDS_AVX512F(F)};
#undef F
    static const uint16_t has_xsave = XEN_X86_FEATURE_XSAVE, has_avx = XEN_X86_FEATURE_AVX,
                          has_avx512f = XEN_X86_FEATURE_AVX512F;

    if (!xcr0_allowed)
        features_clear(&has_xsave, 1);
    if (!HAS(XSAVE))
        features_clear(xsave, ARRAY_SIZE(xsave));
    if (!(xcr0_allowed & XCR0_AVX))
        features_clear(&has_avx, 1);
    if (!HAS(AVX))
        features_clear(avx, ARRAY_SIZE(avx));
    if (!(xcr0_allowed & XCR0_AVX512))
        features_clear(&has_avx512f, 1);
    if (!HAS(AVX512F))
        features_clear(avx512f, ARRAY_SIZE(avx512f));
}

/* Where each word stands: leaf, subleaf, and which of EAX, EBX, ECX, EDX. */
#define WORDS 12u
static const struct {
    uint32_t leaf, subleaf;
    uint8_t at;
} place[WORDS] = {{1, 0, 3},          {1, 0, 2}, {0x80000001, 0, 3}, {0x80000001, 0, 2},
                  {0xd, 1, 0},        {7, 0, 1}, {7, 0, 2},          {0x80000007, 0, 3},
                  {0x80000008, 0, 1}, {7, 0, 3}, {7, 1, 0},          {0x80000021, 0, 0}};

static bool has_subleaves(uint32_t leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

static bool word_is_in(unsigned word, uint32_t leaf, uint32_t subleaf)
{
    return place[word].leaf == leaf && (!has_subleaves(leaf) || place[word].subleaf == subleaf);
}

static uint32_t host_word(unsigned word)
{
    if (word >= WORDS || host_leaf(place[word].leaf & 0x80000000, 0).a < place[word].leaf)
        return 0;
    const struct cpuid_leaf l = host_leaf(place[word].leaf, place[word].subleaf);
    return (const uint32_t[]){l.a, l.b, l.c, l.d}[place[word].at];
}

void arch_cpu_features(uint32_t *words, unsigned n, bool guests)
{
    for (unsigned w = 0; w < n; w++) {
        const uint32_t *shown = feature_word(w);
        words[w] = !guests ? host_word(w) : shown ? *shown : 0;
    }
}

uint8_t arch_address_bits(void)
{
    return (uint8_t)policy.extended[8].a;
}

/* --- making the policy ----------------------------------------------------------- */

static void host_read(void)
{
    policy.basic_last = MIN(host_leaf(0, 0).a, BASIC_LEAVES - 1);
    for (unsigned i = 0; i <= policy.basic_last; i++)
        policy.basic[i] = host_leaf(i, 0);
    policy.extended_last = MIN(host_leaf(0x80000000, 0).a & 0xffff, EXTENDED_LEAVES - 1);
    for (unsigned i = 0; i <= policy.extended_last; i++)
        policy.extended[i] = host_leaf(0x80000000 + i, 0);
    for (unsigned i = 0; i < CACHE_SUBLEAVES && policy.basic_last >= 4; i++)
        policy.cache[i] = host_leaf(4, i);
    if (policy.basic_last >= 7 && policy.basic[7].a >= 1)
        policy.features1 = host_leaf(7, 1);
    for (unsigned i = 0; i < XSTATE_SUBLEAVES && policy.basic_last >= 0xd; i++)
        policy.xstate[i] = host_leaf(0xd, i);
}

/* Leaf 0xd: only the components that fpu.c switches. */
static void xstate_make(void)
{
    if (!xcr0_allowed || !HAS(XSAVE)) {
        memset(policy.xstate, 0, sizeof(policy.xstate));
        return;
    }
    uint32_t size = 576; /* legacy area and header */
    for (unsigned i = 2; i < XSTATE_SUBLEAVES; i++) {
        struct cpuid_leaf *l = &policy.xstate[i];
        if (xcr0_allowed & BIT(i))
            size = MAX(size, l->a + l->b);
        else
            *l = (struct cpuid_leaf){0};
    }
    policy.xstate[0] =
        (struct cpuid_leaf){(uint32_t)xcr0_allowed, size, size, (uint32_t)(xcr0_allowed >> 32)};
    policy.xstate[1] = (struct cpuid_leaf){.a = policy.xstate[1].a};
}

/* AMD repeats leaf 1's features in the extended leaf; Intel keeps those bits 0. */
#define COMMON_FEATURES 0x0183f3ffu

/* Leaves that describe what guests have no part in, or what the vendor reserves. */
static void leaves_blank(void)
{
    static const uint8_t basic[] = {5, 6, 9, 0xa, 0xb, 0xc};

    for (unsigned i = 0; i < ARRAY_SIZE(basic); i++)
        policy.basic[basic[i]] = (struct cpuid_leaf){0};
    policy.basic[0].a = policy.basic_last;
    policy.basic[1].b &= 0x00ffffff; /* no APIC id */

    for (unsigned i = 9; i < EXTENDED_LEAVES - 1; i++)
        policy.extended[i] = (struct cpuid_leaf){0};
    struct cpuid_leaf *e = policy.extended;
    e[0].a = 0x80000000 + policy.extended_last;
    e[8].a = (e[8].a & 0xff) | MIN(e[8].a >> 8 & 0xff, 48u) << 8; /* four levels of page tables */
    e[1].d &= ~COMMON_FEATURES;
    if (cpuid_vendor_is_amd) {
        policy.basic[1].d &= ~(uint32_t)BIT(XEN_X86_FEATURE_SEP); /* not in long mode */
        e[1].d |= policy.basic[1].d & COMMON_FEATURES;
    } else {
        e[0].b = e[0].c = e[0].d = e[1].a = e[1].b = 0;
        e[5] = (struct cpuid_leaf){0};
        e[6] = (struct cpuid_leaf){.c = e[6].c};
    }
    e[1].d |= BIT(XEN_X86_FEATURE_SYSCALL % 32);
}

/*
 * Before anything is read: who made the processor, and what Xen shows to the hardware domain's
 * kernel beyond the policy, because old kernels take it as a sign that they may ask the hypervisor
 * about memory types and P-states.
 */
static void host_probe(void)
{
    struct cpuid_leaf one = host_leaf(1, 0);

    cpuid_vendor_is_amd = cpu_vendor_is_amd();
    policy.leak_d = one.d & (uint32_t)BIT(XEN_X86_FEATURE_MTRR);
    policy.leak_c = one.c & (uint32_t)BIT(XEN_X86_FEATURE_EIST % 32);
}

void cpuid_probe(void)
{
    host_probe();
    host_read();
    features_mask();
    *feature_word(XEN_X86_FEATURE_HYPERVISOR / 32) |= BIT(XEN_X86_FEATURE_HYPERVISOR % 32);
    /* A base that no processor has would reach the places where we load it again. */
    if (cpu_takes_any_base)
        *feature_word(XEN_X86_FEATURE_FSGSBASE / 32) &=
            ~(uint32_t)BIT(XEN_X86_FEATURE_FSGSBASE % 32);
    features_without();
    xstate_make();
    leaves_blank();
    cpuid_has_fsgsbase = HAS(FSGSBASE);
    cpuid_has_rdtscp = HAS(RDTSCP);
}

/* --- the hypervisor's own leaves ------------------------------------------------- */

/* ns = (tsc << shift) * mul >> 32, so kHz = (10^6 << 32) / mul >> shift. */
uint32_t arch_tsc_khz(void)
{
    uint64_t khz = tsc_scale.mul ? (1000000ull << 32) / tsc_scale.mul : 0;
    return (uint32_t)(tsc_scale.shift < 0 ? khz << -tsc_scale.shift : khz >> tsc_scale.shift);
}

/* The TSC is never emulated, so there is no scale or offset to tell: subleaf 1 is empty. */
static struct cpuid_leaf time_leaf(uint32_t subleaf)
{
    switch (subleaf) {
    case 0:
        return (struct cpuid_leaf){.a = cpuid_has_rdtscp ? BIT(2) : 0};
    case 2:
        return (struct cpuid_leaf){.a = arch_tsc_khz()};
    default:
        return (struct cpuid_leaf){0};
    }
}

static struct cpuid_leaf hypervisor_leaf(uint32_t index, uint32_t subleaf)
{
    switch (index) {
    case 0:
        return (struct cpuid_leaf){XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES,
                                   XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX,
                                   XEN_CPUID_SIGNATURE_EDX};
    case 1:
        return (struct cpuid_leaf){.a = 4 << 16 | 17};
    case 2: /* hypercall pages, the MSR that writes them */
        return (struct cpuid_leaf){
            .a = 1, .b = 0x40000000, .c = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD};
    case 3:
        return time_leaf(subleaf);
    case 5:
        if (subleaf)
            return (struct cpuid_leaf){0};
        return (struct cpuid_leaf){.b = PAGE_SHIFT + 64 -
                                        (uint32_t)__builtin_clzll((max_mfn - 1) | 1)};
    default:
        return (struct cpuid_leaf){0};
    }
}

/* --- queries --------------------------------------------------------------------- */

/* Components lie in the order of their bits: the last one enabled ends the image. */
static uint32_t xstate_size_of(uint64_t xcr0)
{
    const struct cpuid_leaf *last = &policy.xstate[63 - __builtin_clzll(xcr0 | XCR0_X87)];

    return xcr0 <= (XCR0_X87 | XCR0_SSE) ? 576 : last->a + last->b;
}

static bool sees_leaks(const struct vcpu *v)
{
    return v->kernel_mode && domain_has(v->domain, ROLE_HARDWARE);
}

static struct cpuid_leaf basic_leaf(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_leaf l = {0};

    switch (leaf) {
    case 1:
        l = policy.basic[1];
        /* Xen shows kernels its own OSXSAVE in this way of asking, whatever their CR4 says, and
         * Linux relies on it. */
        if ((v->arch.cr4 & CR4_OSXSAVE) || (v->kernel_mode && HAS(XSAVE)))
            l.c |= BIT(XEN_X86_FEATURE_OSXSAVE % 32);
        if (sees_leaks(v)) {
            l.c |= policy.leak_c;
            l.d |= policy.leak_d;
        }
        return l;
    case 4:
        return subleaf < CACHE_SUBLEAVES ? policy.cache[subleaf] : l;
    case 7:
        return subleaf == 0 ? policy.basic[7] : subleaf == 1 ? policy.features1 : l;
    case 0xd:
        if (subleaf < XSTATE_SUBLEAVES)
            l = policy.xstate[subleaf];
        if (subleaf == 0 && l.a)
            l.b = xstate_size_of(v->arch.xcr0);
        return l;
    default:
        return policy.basic[leaf];
    }
}

/* Without the features that @words lack.  OSXSAVE goes with XSAVE: it is no feature, but says that XSAVE is used. */
static cold_ void features_limit(const uint32_t *words, uint32_t leaf, uint32_t subleaf,
                                 struct cpuid_leaf *out)
{
    uint32_t *const in[] = {&out->a, &out->b, &out->c, &out->d};

    for (unsigned w = 0; w < WORDS; w++) {
        if (!word_is_in(w, leaf, subleaf))
            continue;
        const bool xsave =
            w == XEN_X86_FEATURE_XSAVE / 32 && (words[w] & BIT(XEN_X86_FEATURE_XSAVE % 32));
        *in[place[w].at] &= words[w] | (xsave ? (uint32_t)BIT(XEN_X86_FEATURE_OSXSAVE % 32) : 0);
    }
}

void cpuid_guest(struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out)
{
    if (leaf <= policy.basic_last) {
        *out = basic_leaf(v, leaf, subleaf);
    } else if (leaf - 0x80000000u <= policy.extended_last) {
        *out = policy.extended[leaf - 0x80000000u];
        if (leaf == 0x80000001u && sees_leaks(v))
            out->d |= policy.leak_d;
    } else if (leaf - XEN_CPUID_FIRST_LEAF < 0x100) {
        *out = hypervisor_leaf(leaf - XEN_CPUID_FIRST_LEAF, subleaf);
    } else {
        *out = (struct cpuid_leaf){0};
    }
}

void cpuid_limit(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out)
{
    features_limit(v->domain->arch.features, leaf, subleaf, out);
}

/* --- as toolstacks exchange it --------------------------------------------------- */

static unsigned subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 4:
        return CACHE_SUBLEAVES;
    case 7:
    case 0xb:
        return 2;
    case 0xd:
        return XSTATE_SUBLEAVES;
    default:
        return 1;
    }
}

/* Number and subleaf of the @i-th leaf. */
static bool leaf_number(unsigned i, struct xen_cpuid_leaf *to)
{
    for (to->leaf = 0; to->leaf <= policy.basic_last; to->leaf++) {
        const unsigned n = subleaves(to->leaf);
        if (i < n) {
            to->subleaf = has_subleaves(to->leaf) ? i : XEN_CPUID_NO_SUBLEAF;
            return true;
        }
        i -= n;
    }
    to->leaf = 0x80000000u + i;
    to->subleaf = XEN_CPUID_NO_SUBLEAF;
    return i <= policy.extended_last;
}

static struct cpuid_leaf shown_leaf(uint32_t leaf, uint32_t subleaf)
{
    if (leaf & 0x80000000u)
        return policy.extended[leaf & 0xff];
    switch (leaf) {
    case 4:
        return policy.cache[subleaf];
    case 7:
        return subleaf ? policy.features1 : policy.basic[7];
    case 0xd:
        return policy.xstate[subleaf];
    default:
        return policy.basic[leaf];
    }
}

bool arch_cpuid_leaf(const struct domain *d, bool guests, unsigned i, struct xen_cpuid_leaf *leaf)
{
    if (!leaf_number(i, leaf))
        return false;
    struct cpuid_leaf l =
        guests ? shown_leaf(leaf->leaf, leaf->subleaf)
               : host_leaf(leaf->leaf, has_subleaves(leaf->leaf) ? leaf->subleaf : 0);
    if (d && d->arch.features)
        features_limit(d->arch.features, leaf->leaf, leaf->subleaf, &l);
    leaf->a = l.a;
    leaf->b = l.b;
    leaf->c = l.c;
    leaf->d = l.d;
    return true;
}

/* Is there such a leaf in any policy?  More subleaves of 0xd than there are here are nobody's mistake. */
static bool leaf_exists(const struct xen_cpuid_leaf *l)
{
    const uint32_t most = l->leaf == 0xd ? 63 : subleaves(l->leaf);

    if (l->leaf == XEN_CPUID_FIRST_LEAF || l->leaf == XEN_CPUID_FIRST_LEAF + 0x100)
        return true;
    if (l->leaf >= BASIC_LEAVES && l->leaf - 0x80000000u >= EXTENDED_LEAVES)
        return false;
    return has_subleaves(l->leaf) ? l->subleaf < most : l->subleaf == XEN_CPUID_NO_SUBLEAF;
}

int arch_cpuid_limit(struct domain *d, const struct xen_cpuid_leaf *leaf)
{
    const uint32_t in[] = {leaf->a, leaf->b, leaf->c, leaf->d};

    if (!leaf_exists(leaf))
        return -XEN_ERANGE;
    for (unsigned w = 0; w < WORDS; w++) {
        if (!word_is_in(w, leaf->leaf, leaf->subleaf))
            continue;
        if (!d->arch.features) {
            d->arch.features = mem_alloc(WORDS * sizeof(uint32_t));
            if (!d->arch.features)
                return -XEN_ENOMEM;
            memset(d->arch.features, 0xff, WORDS * sizeof(uint32_t));
        }
        d->arch.features[w] = in[place[w].at];
    }
    return 0;
}

void arch_domain_destroy(struct domain *d)
{
    if (d->arch.features)
        mem_free(d->arch.features, WORDS * sizeof(uint32_t));
}
