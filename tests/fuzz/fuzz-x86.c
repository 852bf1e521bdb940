/*
 * The decisions of x86/ about what a guest may have: contexts of new vCPUs, descriptors, debug registers, MSRs, CPUID, and the
 * instructions that are emulated for it.
 *
 * What core does for these files (frames, page tables) is a few functions below that give any answer; the rest is x86/world.h.
 *
 * Always: a port, an MSR or a control register is touched only for a guest that may; the door reaches no address of the
 * hypervisor's; who is refused has changed nothing; an instruction ends in one way, and where it should; what was accepted is
 * harmless (each check says how).
 */
#include "x86/world.h"

#include "hypercall.h"
#include "sched.h"
#include "tlb.h"

#include <xen/arch-x86/cpufeatureset.h>

const unsigned fuzz_mutations = 300;
unsigned fuzz_accepted;
unsigned long fuzz_steps;

/* --- what core and the rest of x86/ do for these files --- */

int page_get_and_type_slow(struct page_info *pg, struct domain *d, enum page_type type)
{
    if (pg->owner != d->id || (page_state_count(pg->state) && page_state_type(pg->state) != type))
        return -XEN_EINVAL;
    if (type == PAGE_TYPE_SEG &&
        arch_segment_page_validate((uint64_t *)fuzz_memory[pg - frame_info]))
        return -XEN_EINVAL;
    pg->state = (pg->state & ~(uint64_t)(PAGE_TYPE_MASK | PAGE_VALIDATED)) |
                (uint64_t)type << PAGE_TYPE_SHIFT | (type == PAGE_TYPE_SEG ? PAGE_VALIDATED : 0);
    pg->state += PAGE_REF_ONE + 1;
    return 0;
}

void page_put_and_type_slow(struct page_info *pg)
{
    if (!page_state_count(pg->state) || !page_state_refs(pg->state))
        wrong("frame %ld is given back more often than it was taken", (long)(pg - frame_info));
    pg->state -= PAGE_REF_ONE + 1;
}

void page_reclaim(struct page_info *pg)
{
}

/* Entry of @va in the guest's page tables: the pages above. */
uint64_t *l1_slot(const struct vcpu *v, uint64_t va)
{
    static uint64_t entry;

    entry = 0;
    for (unsigned i = 0; i < FUZZ_PAGES; i++)
        if ((va & PAGE_MASK) == fuzz_pages[i].va)
            entry = pte_make(mfn(GUEST_FRAME + i), PTE_P | PTE_US).v;
    return &entry;
}

static int some_root(struct vcpu *v, mfn_t l4, uint64_t *root)
{
    if (l4.n >= FUZZ_FRAMES / 2)
        return -XEN_EINVAL;
    *root = mfn_to_maddr(l4);
    return 0;
}

int vcpu_load_root(struct vcpu *v, mfn_t l4)
{
    return some_root(v, l4, &v->arch.kernel_cr3);
}

int vcpu_new_root(struct vcpu *v, mfn_t l4)
{
    return some_root(v, l4, &v->arch.kernel_cr3);
}

int vcpu_new_user_root(struct vcpu *v, mfn_t l4)
{
    return some_root(v, l4, &v->arch.user_cr3);
}

void vcpu_drop_roots(struct vcpu *v)
{
    v->arch.kernel_cr3 = v->arch.user_cr3 = 0;
}

void guest_exception(struct vcpu *v, unsigned vector, uint32_t error)
{
    seen.exceptions++;
    if (vector != VECTOR_GP && vector != VECTOR_UD && vector != VECTOR_DB)
        wrong("exception %u", vector);
}

void guest_page_fault(struct vcpu *v, uint64_t address, uint32_t error)
{
    seen.exceptions++;
    if (!canonical(address))
        wrong("a page fault at %lx", (unsigned long)address);
    if (!(error & PF_USER) == !v->kernel_mode)
        wrong("a page fault with error %x, kernel mode %u", error, v->kernel_mode);
}

void guest_software_interrupt(struct vcpu *v, unsigned vector)
{
    const unsigned dpl = traps[vector].flags & 3;

    seen.interrupts++;
    if (!traps[vector].address || (vector != 0x80 && dpl < (v->kernel_mode ? 1 : 3)))
        wrong("int %u through a gate of level %u", vector, dpl);
}

void fpu_set_context(struct vcpu *v, const void *fxsave)
{
}

bool fpu_set_xcr0(struct vcpu *v, uint64_t value)
{
    v->arch.xcr0 = value;
    return true;
}

int fpu_init_vcpu(struct vcpu *v)
{
    return 0;
}

bool cpu_vendor_is_amd(void)
{
    return false;
}

void hypercall_page_fill(void *page)
{
    memset(page, 0xcc, 4096);
}

void tlb_flush_cpus(uint64_t cpus)
{
}

static uint64_t some_descriptor(void)
{
    uint64_t d = take(8);

    if (take(1) % 2)
        d |= BIT(47);
    if (take(1) % 2)
        d |= BIT(44);
    return d;
}

static void bytes_for(void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)take(1);
}

/* --- descriptors -------------------------------------------------------------------------------------------- */

/* What the CPU could do with @d in ring 3 (Intel SDM volume 3, 3.4.5, 3.5, 5.8.3). */
static void check_descriptor(uint64_t d)
{
    const unsigned type = d >> 40 & 15, dpl = d >> 45 & 3;

    if (!(d & BIT(47)))
        return;
    if (d & BIT(44)) {
        if (dpl != 3)
            wrong("descriptor %lx: code or data of level %u", (unsigned long)d, dpl);
    } else if (type == 0xc) {
        const uint16_t target = (uint16_t)(d >> 16);
        if (dpl != 0)
            wrong("descriptor %lx: a call gate that ring 3 may use", (unsigned long)d);
        if (!(target & 4) && target >= 0xe000 && (target | 3) != 0xe033)
            wrong("descriptor %lx: a gate to a segment of the hypervisor's", (unsigned long)d);
    } else if (type != 0) {
        wrong("descriptor %lx: system type %x", (unsigned long)d, type);
    }
}

static void step_descriptor(void)
{
    const uint64_t was = some_descriptor();
    uint64_t d = was, again;

    if (!descriptor_sanitize(&d)) {
        if (d != was)
            wrong("descriptor %lx is refused, and changed", (unsigned long)was);
        return;
    }
    fuzz_accepted++;
    check_descriptor(d);
    if ((d ^ was) & ~(3ull << 45 | 3ull << 16))
        wrong("descriptor %lx becomes %lx", (unsigned long)was, (unsigned long)d);
    if ((was & BIT(44)) && ((d ^ was) & 3ull << 16))
        wrong("descriptor %lx: the base becomes another", (unsigned long)was);
    again = d;
    if (!descriptor_sanitize(&again) || ((again ^ d) & ~(3ull << 16)))
        wrong("descriptor %lx is not accepted a second time", (unsigned long)d);
}

static void step_page(void)
{
    uint64_t *page = (uint64_t *)fuzz_memory[8];

    memset(page, 0, 4096);
    for (unsigned n = take(1) % 16; n; n--)
        page[take(2) % 512] = some_descriptor();
    if (arch_segment_page_validate(page) == 0)
        for (unsigned i = 0; i < 512; i++)
            check_descriptor(page[i]);
}

/* update_descriptor() anywhere: in the end it is a plain store of a harmless descriptor to the guest's own frame. */
static void step_update_descriptor(void)
{
    static uint8_t before[FUZZ_FRAMES][4096];
    struct hypercall_args a = {{take(2) % (FUZZ_FRAMES * 4096u + 64), some_descriptor()}};

    if (take(1) % 8 == 0)
        a.arg[0] = some_value();
    memcpy(before, fuzz_memory, sizeof(before));
    long rc = hypercall_update_descriptor(&vcpu, &a);
    const uint64_t at = a.arg[0];
    if (rc) {
        if (memcmp(before, fuzz_memory, sizeof(before)))
            wrong("update_descriptor is refused, and has written");
        return;
    }
    if (at % 8 || at / 4096 >= FUZZ_FRAMES || frame_info[at / 4096].owner != domain.id)
        wrong("update_descriptor at %lx", (unsigned long)at);
    check_descriptor(*(uint64_t *)(&fuzz_memory[0][0] + at));
    memcpy(&before[0][0] + at, &fuzz_memory[0][0] + at, 8);
    if (memcmp(before, fuzz_memory, sizeof(before)))
        wrong("update_descriptor has written elsewhere");
}

/* --- contexts ------------------------------------------------------------------------------------------------- */

static void some_context(struct vcpu_guest_context *c)
{
    /* clang-format off */
    uint64_t *const words[] = {&c->user_regs.rip, &c->user_regs.rsp, &c->kernel_sp, &c->fs_base, &c->gs_base_kernel, &c->gs_base_user,
                               &c->event_callback_eip, &c->failsafe_callback_eip, &c->syscall_callback_eip, &c->ldt_base, &c->ldt_ents,
                               &c->gdt_ents, &c->ctrlreg[0], &c->ctrlreg[1], &c->ctrlreg[3], &c->ctrlreg[4], &c->debugreg[0],
                               &c->debugreg[3], &c->debugreg[6], &c->debugreg[7], &c->user_regs.rflags};
    /* clang-format on */

    memset(c, 0, sizeof(*c));
    c->ctrlreg[3] = xen_pfn_to_cr3(take(1) % 40);
    c->flags = take(1) % 2 ? VGCF_in_kernel : (uint32_t)take(2);
    bytes_for(&c->user_regs, sizeof(c->user_regs));
    c->user_regs.rip = c->user_regs.rsp = 0;
    for (unsigned n = take(1) % 8; n; n--)
        *words[take(1) % ARRAY_SIZE(words)] = some_value();
    for (unsigned n = take(1) % 4; n; n--)
        c->trap_ctxt[take(1)] = (struct trap_info){
            .vector = 1, .flags = 3, .cs = (uint16_t)take(2), .address = some_value()};
    for (unsigned i = 0; i < 16; i++)
        c->gdt_frames[i] = take(1) % 70;
    c->kernel_ss = take(2);
}

static void check_context(void)
{
    const struct arch_vcpu *a = &vcpu.arch;
    const uint64_t address[] = {
        regs.rip,         regs.rsp,          a->kernel_sp,         a->fs_base,         a->gs_base,
        a->gs_base_other, a->event_callback, a->failsafe_callback, a->syscall_callback};

    if ((regs.cs & 3) != 3 || (regs.ss & 3) != 3 || regs.cs >> 16 || regs.ss >> 16 ||
        (a->kernel_ss & 3) != 3)
        wrong("context: cs %lx ss %lx kernel_ss %lx", (unsigned long)regs.cs,
              (unsigned long)regs.ss, (unsigned long)a->kernel_ss);
    if (!(regs.rflags & BIT(9)) || !(regs.rflags & 2) ||
        (regs.rflags & (3ull << 12 | BIT(17) | 0x8028)) || regs.rflags >> 32)
        wrong("context: rflags %lx", (unsigned long)regs.rflags);
    for (unsigned i = 0; i < ARRAY_SIZE(address); i++)
        if (!canonical(address[i]))
            wrong("context: address %u is %lx", i, (unsigned long)address[i]);
    for (unsigned i = 0; i < 256; i++)
        if (!canonical(traps[i].address) || (traps[i].cs & 3) != 3)
            wrong("context: trap %u is %x:%lx", i, traps[i].cs, (unsigned long)traps[i].address);
    if (a->ldt_entries > 8192 || a->ldt_base % 4096 || hypervisors(a->ldt_base) ||
        !canonical(a->ldt_base) || a->gdt_entries > 14 * 512)
        wrong("context: LDT %u at %lx, GDT %u", a->ldt_entries, (unsigned long)a->ldt_base,
              a->gdt_entries);
    for (unsigned i = 0; i < 4; i++)
        if (hypervisors(a->dr[i]) || !canonical(a->dr[i]))
            wrong("context: DR%u is %lx", i, (unsigned long)a->dr[i]);
    if (a->dr7 & BIT(13) || a->dr7 >> 32)
        wrong("context: DR7 is %lx", (unsigned long)a->dr7);
    if (a->cr4 & ~(uint64_t)(CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE | CR4_PAE | CR4_MCE |
                             CR4_OSFXSR | CR4_OSXMMEXCPT))
        wrong("context: CR4 is %lx", (unsigned long)a->cr4);
    if (!vcpu.kernel_mode && !a->user_cr3)
        wrong("context: user mode without page tables");
    for (unsigned i = 0; i < a->gdt_frames; i++) {
        if (frame_info[a->gdt_mfn[i]].owner != domain.id || !frame_info[a->gdt_mfn[i]].state)
            wrong("context: GDT frame %lx is not held", (unsigned long)a->gdt_mfn[i]);
        for (unsigned k = 0; k < 512; k++)
            check_descriptor(((uint64_t *)fuzz_memory[a->gdt_mfn[i]])[k]);
    }
}

static void step_context(void)
{
    static struct vcpu_guest_context c;
    struct arch_vcpu before;
    struct guest_regs regs_before = regs;
    uint64_t held = 0, held_after = 0;

    some_context(&c);
    descriptors_release(&vcpu); /* as one that was never initialised */
    for (unsigned i = 0; i < FUZZ_FRAMES; i++)
        held += page_state_refs(frame_info[i].state);
    fuzz_vcpu = NULL; /* it does not run */
    before = vcpu.arch;
    int rc = arch_vcpu_set_context(&vcpu, &c);
    fuzz_vcpu = &vcpu;
    if (rc == 0) {
        fuzz_accepted++;
        check_context();
        return;
    }
    for (unsigned i = 0; i < FUZZ_FRAMES; i++)
        held_after += page_state_refs(frame_info[i].state);
    if (rc != -XEN_EINVAL && rc != -XEN_EFAULT && rc != -XEN_EPERM)
        wrong("context: %d", rc);
    if (memcmp(&regs, &regs_before, sizeof(regs)) || held != held_after ||
        vcpu.arch.kernel_sp != before.kernel_sp || vcpu.arch.ldt_entries > before.ldt_entries ||
        vcpu.arch.gdt_frames > before.gdt_frames)
        wrong("context: refused, and has left something");
}

/* --- MSRs, debug registers, CPUID ----------------------------------------------------------------------------- */

static uint32_t some_msr(void)
{
    static const uint32_t known[] = {
        0x10,       0x1b,       0x8b,       0x17a,      0x179,      0x186,      0x174,
        0x175,      0x176,      0x277,      0x280,      0x281,      0x6e0,      0x48,
        0x49,       0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
        0xc0000101, 0xc0000102, 0xc0000103, 0x40000000, 0xc0010015, 0xc001001f, 0xc0010117};
    return take(1) % 4 ? known[take(1) % ARRAY_SIZE(known)] + (uint32_t)(take(1) % 8 == 0)
                       : (uint32_t)take(4);
}

static void step_msr(void)
{
    const uint32_t msr = some_msr();
    uint64_t value = some_value(), got = 0, back = 0;
    const struct arch_vcpu before = vcpu.arch;

    seen.emulating = true;
    vcpu.kernel_mode = 1; /* only kernels get as far as this */
    if (msr_guest_read(&vcpu, msr, &got) && msr_guest_read(&vcpu, msr, &back) && got != back &&
        msr != 0x10)
        wrong("MSR %x gives %lx, then %lx", msr, (unsigned long)got, (unsigned long)back);
    if (memcmp(&before, &vcpu.arch, sizeof(before)))
        wrong("reading MSR %x changes the vCPU", msr);
    const bool done = msr_guest_write(&vcpu, msr, value);
    struct arch_vcpu after = vcpu.arch;
    if (done) {
        memcpy(after.msr_kept, before.msr_kept, sizeof(after.msr_kept));
        after.tsc_aux = before.tsc_aux;
    }
    if (memcmp(&before, &after, sizeof(before)))
        wrong("writing MSR %x changes what it should not", msr);
    if (done && msr == 0x40000000 &&
        (value / 4096 >= FUZZ_FRAMES || frame_info[value / 4096].owner != domain.id))
        wrong("a hypercall page at %lx", (unsigned long)value);
    static const uint32_t never[] = {0x174,      0x175,      0x176,      0xc0000081,
                                     0xc0000082, 0xc0000083, 0xc0000084, 0x6e0};
    for (unsigned i = 0; i < ARRAY_SIZE(never); i++)
        if (msr == never[i] && done)
            wrong("MSR %x can be written", msr);
}

static void step_debug(void)
{
    const unsigned reg = (unsigned)(take(1) % 10);
    const uint64_t value = take(1) % 2 ? some_value() : take(4) & ~BIT(13);

    if (take(1) % 2)
        vcpu.arch.cr4 |= CR4_DE;
    const struct arch_vcpu before = vcpu.arch;

    seen.emulating = true;
    vcpu.kernel_mode = 1;
    if (debugreg_set(&vcpu, reg, value) && memcmp(&before, &vcpu.arch, sizeof(before)))
        wrong("DR%u is refused, and something has changed", reg);
    for (unsigned i = 0; i < 4; i++)
        if (hypervisors(vcpu.arch.dr[i]) || !canonical(vcpu.arch.dr[i]))
            wrong("DR%u is %lx", i, (unsigned long)vcpu.arch.dr[i]);
}

/* Features that no guest of ours has, by register (Intel SDM volume 2, CPUID; AMD volume 3, appendix E). */
static void step_cpuid(void)
{
    const uint32_t leaf = take(1) % 2 ? (uint32_t)take(1) % 40 | (uint32_t)(take(1) % 2) << 31
                                      : (uint32_t)take(4),
                   subleaf = take(1) % 12;
    struct cpuid_leaf l;

    cpuid_guest(&vcpu, leaf, subleaf, &l);
    if (leaf == 1) {
        if (l.c & (BIT(2) | BIT(3) | BIT(5) | BIT(6) | BIT(15) | BIT(17) | BIT(18) | BIT(24)))
            wrong("leaf 1: ecx %x", l.c); /* DTES64 MONITOR VMX SMX PDCM PCID DCA TSC_DEADLINE */
        if (l.d & (BIT(1) | BIT(3) | BIT(13) | BIT(17) | BIT(21)))
            wrong("leaf 1: edx %x", l.d); /* VME PSE PGE PSE36 DS */
        if ((l.d & BIT(12)) && !(vcpu.kernel_mode && (domain.roles & ROLE_HARDWARE)))
            wrong("leaf 1: MTRR for a guest without devices");
        if (!(l.c & BIT(31)))
            wrong("leaf 1 hides the hypervisor");
        if (l.b >> 24)
            wrong("leaf 1 tells the APIC's number");
    } else if (leaf == 7 && subleaf == 0) {
        if (l.b & (BIT(2) | BIT(4) | BIT(7) | BIT(10) | BIT(11) | BIT(14) | BIT(20) | BIT(25)))
            wrong("leaf 7: ebx %x", l.b); /* SGX HLE SMEP INVPCID RTM MPX SMAP PT */
        if (l.c & (BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(16)))
            wrong("leaf 7: ecx %x", l.c); /* UMIP PKU OSPKE WAITPKG SHSTK LA57 */
        if (l.d & (BIT(20) | BIT(26) | BIT(27) | BIT(29) | BIT(31)))
            wrong("leaf 7: edx %x", l.d); /* IBT IBRSB STIBP ARCH_CAPS SSBD */
    } else if (leaf == 0x80000001u) {
        if (l.c & (BIT(2) | BIT(9) | BIT(10) | BIT(12) | BIT(15)) || l.d & BIT(26))
            /* SVM OSVW IBS SKINIT LWP; 1 GiB pages */
            wrong("leaf 80000001: ecx %x edx %x", l.c, l.d);
    } else if (leaf == 0xd && subleaf == 0) {
        if (((uint64_t)l.d << 32 | l.a) & ~xcr0_allowed)
            wrong("leaf d: components %x %x", l.a, l.d);
    }
}

/* --- instructions ------------------------------------------------------------------------------------------------ */

static void put_code(uint64_t at)
{
    static const uint8_t prefix[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36,
                                     0x3e, 0x64, 0x65, 0x40, 0x41, 0x44, 0x48, 0x4f};
    static const uint8_t one[] = {0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7,
                                  0xec, 0xed, 0xee, 0xef, 0xfa, 0xfb, 0xcd, 0xf4};
    static const uint8_t two[] = {0x00, 0x01, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22,
                                  0x23, 0x30, 0x31, 0x32, 0x33, 0xa2, 0x78, 0x0b};
    uint8_t code[24];
    unsigned n = 0;

    for (unsigned k = take(1) % 4 ? take(1) % 3 : take(1) % 16; k; k--)
        code[n++] = prefix[take(1) % sizeof(prefix)];
    if (take(1) % 3) {
        code[n++] = 0x0f;
        code[n++] = two[take(1) % sizeof(two)];
    } else {
        code[n++] = take(1) % 8 ? one[take(1) % sizeof(one)] : (uint8_t)take(1);
    }
    while (n < sizeof(code))
        code[n++] = (uint8_t)take(1);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *byte = guest_byte(at + i, true);
        if (byte)
            *byte = code[i];
    }
}

static void some_registers(void)
{
    uint64_t *r = (uint64_t *)&regs;

    for (unsigned i = 0; i < offsetof(struct guest_regs, vector) / 8; i++)
        r[i] = some_value();
    regs.rdx = take(1) % 2 ? some_value() : (uint64_t)(0x3f0 + take(1) % 16);
    regs.rcx = take(1) % 2 ? some_msr() : take(1) % 5;
    regs.rsp = some_value();
    regs.rflags = 2 | BIT(9) | (take(1) % 8 ? 0 : BIT(8)) | (take(1) % 2 ? BIT(10) : 0) |
                  (take(1) % 4 ? 0 : BIT(16));
    regs.cs = take(1) % 4 ? 0xe033 : (take(1) % 16) * 8 | 3 | (take(1) % 4 ? 0 : 4);
    regs.ss = take(1) % 2 ? 0xe02b : (take(1) % 16) * 8 | 3;
    static const uint64_t start[] = {CODE_LOW,          CODE_LOW + 0xffa,  CODE_LOW + 0x1ffa,
                                     CODE_HIGH + 0xff8, CODE_HIGH + 0x100, DATA + 0x100};
    regs.rip = start[take(1) % ARRAY_SIZE(start)] + take(1) % 4;
}

static void check_user_state(const struct arch_vcpu *b)
{
    const struct arch_vcpu *a = &vcpu.arch;

    if (a->cr4 != b->cr4 || a->ts != b->ts || a->xcr0 != b->xcr0 ||
        memcmp(a->dr, b->dr, sizeof(a->dr)) || a->dr7 != b->dr7 || a->dr7_io != b->dr7_io ||
        a->tsc_aux != b->tsc_aux || memcmp(a->msr_kept, b->msr_kept, sizeof(a->msr_kept)) ||
        a->kernel_cr3 != b->kernel_cr3 || a->user_cr3 != b->user_cr3)
        wrong("user mode has changed its kernel's state");
}

static void check_always(const struct arch_vcpu *b)
{
    const struct arch_vcpu *a = &vcpu.arch;

    if (a->iopl != b->iopl || a->iobitmap.va != b->iobitmap.va ||
        a->iobitmap_ports != b->iobitmap_ports || a->regs != b->regs ||
        a->kernel_sp != b->kernel_sp || a->ldt_base != b->ldt_base ||
        a->gdt_frames != b->gdt_frames)
        wrong("an instruction has changed what only hypercalls do");
    if (cpu.cr3 != (vcpu.kernel_mode ? b->kernel_cr3 : b->user_cr3))
        wrong("CR3 is left as %lx", (unsigned long)cpu.cr3);
    if (a->cr4 & ~(uint64_t)(CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE | CR4_PAE | CR4_MCE |
                             CR4_OSFXSR | CR4_OSXMMEXCPT))
        wrong("CR4 is %lx", (unsigned long)a->cr4);
}

static void step_instruction(void)
{
    some_registers();
    put_code(regs.rip);
    vcpu.kernel_mode = take(1) % 2;
    cpu.cr3 = vcpu.kernel_mode ? vcpu.arch.kernel_cr3 : vcpu.arch.user_cr3;
    for (unsigned i = 0; i < 16; i++) {
        uint64_t d = some_descriptor();
        area[VCPU_AREA_GDT / 8 + i] = descriptor_sanitize(&d) ? d : 0;
    }
    const uint32_t error = take(1) % 6 ? 0 : (uint32_t)take(2);
    const struct guest_regs was = regs;
    const struct arch_vcpu before = vcpu.arch;
    const uint64_t emulated = vcpu.emulated;
    const bool undefined = take(1) % 8 == 0;

    if (undefined && take(1) % 2)
        for (unsigned i = 0; i < 7; i++)
            if (guest_byte(regs.rip + i, true))
                *guest_byte(regs.rip + i, true) = (uint8_t) "\x0f\x0bxen\x0f\xa2"[i];
    memset(&seen, 0, sizeof(seen));
    seen.emulating = true;
    if (undefined)
        emulate_undefined(&vcpu);
    else
        emulate_privileged(&vcpu, error);

    const bool retired = vcpu.emulated != emulated;
    const unsigned traps_due = retired && (was.rflags & BIT(8)) ? 1 : 0;
    const uint64_t length =
        retired || seen.interrupts
            ? (regs.cs == 0xe033 ? regs.rip - was.rip : (uint32_t)(regs.rip - was.rip))
            : 0;
    if (seen.interrupts + (retired ? 1 : 0) > 1 || (retired && seen.exceptions != traps_due) ||
        (seen.interrupts && seen.exceptions) || (!retired && seen.exceptions > 1))
        wrong("it ends in more than one way: done %u, exceptions %u, interrupts %u", retired,
              seen.exceptions, seen.interrupts);
    if (retired || seen.interrupts ? length < 1 || length > 15 : regs.rip != was.rip)
        wrong("it begins at %lx and ends at %lx", (unsigned long)was.rip, (unsigned long)regs.rip);
    if (!retired && !seen.interrupts && !seen.exceptions && seen.ports + seen.written == 0 &&
        regs.rcx == was.rcx)
        wrong("it has done nothing, and is to be tried again");
    if ((regs.rflags ^ was.rflags) & ~BIT(16) || regs.cs != was.cs || regs.ss != was.ss)
        wrong("flags or segments have changed");
    check_always(&before);
    if (!vcpu.kernel_mode)
        check_user_state(&before);
    fuzz_accepted += retired;
}

/* --- an input ----------------------------------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const step[])(void) = {
        step_instruction, step_instruction, step_instruction, step_instruction,
        step_context,     step_descriptor,  step_page,        step_update_descriptor,
        step_msr,         step_msr,         step_debug,       step_cpuid};
    static bool on;

    if (!on) {
        world_power_on();
        io_claim(0x3f8, 8);
        cpuid_probe();
    }
    on = true;
    in = (struct fuzz_input){data, data + size};
    world_begin();
    vcpu.arch.cr4 = cr4_guest_view(0);
    while (in.at < in.end) {
        memset(&seen, 0, sizeof(seen));
        step[take(1) % ARRAY_SIZE(step)]();
        fuzz_steps++;
    }
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to, size_t room)
{
    uint64_t z = i + 1;

    if (i >= 8)
        return 0;
    for (unsigned k = 0; k < 2500; k++) {
        z = z * 6364136223846793005ull + 1442695040888963407ull;
        to[k] = (uint8_t)(z >> 33);
    }
    return 2500;
}
