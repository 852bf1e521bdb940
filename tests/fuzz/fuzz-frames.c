/*
 * The ways into a guest's kernel and out of it: bounce.c, iret.c and callbacks.c of x86/, on a CPU that is a structure.
 *
 * Always: a handler's address is canonical; a frame lies below the stack pointer, says what was interrupted, and nothing else of the
 * guest's memory changes; what runs next runs in ring 3 with interrupts on and with no flag that it must not have, on the page
 * tables of its mode; and who returns from a frame as it was built is where it was.
 *
 * The rules are from hypercall-abi/manual.md and the Intel SDM, volume 1, 3.4.3 (flags).  Not here: entry.S, and the selector of GS
 * for user mode, which a program cannot load.
 */
#include "x86/world.h"

#include "evtchn.h"
#include "hypercall.h"
#include "refuse.h"
#include "traps.h"

#include <xen/callback.h>
#include <xen/nmi.h>

const unsigned fuzz_mutations = 300;
unsigned fuzz_accepted;
unsigned long fuzz_steps;

/* Flags that ring 3 may have set: CF PF AF ZF SF TF DF OF NT RF AC VIF VIP ID; IF and bit 1 it always has. */
#define FLAGS_OF_RING3 (0x000dd5ull | BIT(14) | BIT(16) | BIT(18) | BIT(19) | BIT(20) | BIT(21))
#define FLAGS_ALWAYS   (BIT(9) | BIT(1))
/* Reserved; IRET and SYSRET do not load them. */
#define FLAGS_IGNORED 0xffc00000ull
/* What a handler starts without (Intel SDM volume 3, 6.12.1.3; AC as a kernel with SMAP would have it). */
#define FLAGS_OF_TRAP (BIT(8) | BIT(14) | BIT(16) | BIT(17) | BIT(18))

/* --- what the rest of the hypervisor does for these files --- */

static struct {
    bool happened;
    enum rule_id rule;
} crash;

void domain_crash_(struct domain *d, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c)
{
    if (crash.happened)
        wrong("the domain is ended twice");
    crash.happened = true;
    crash.rule = rule;
}

void guest_nmi_returned(struct vcpu *v)
{
    v->arch.nmi_masked = 0;
}

bool descriptors_ldt_fault(struct vcpu *v, uint64_t offset, bool may_wait)
{
    return false;
}

/* --- the world --- */

static uint8_t memory_before[FUZZ_PAGES][4096];

static void keep_memory(void)
{
    memcpy(memory_before, fuzz_memory[GUEST_FRAME], sizeof(memory_before));
}

/* Nothing outside [@first, @end) has changed. */
static void check_memory(uint64_t first, uint64_t end)
{
    for (unsigned i = 0; i < FUZZ_PAGES; i++) {
        if (!memcmp(memory_before[i], fuzz_memory[GUEST_FRAME + i], 4096))
            continue;
        for (unsigned k = 0; k < 4096; k++)
            if (memory_before[i][k] != fuzz_memory[GUEST_FRAME + i][k] &&
                !(fuzz_pages[i].va + k >= first && fuzz_pages[i].va + k < end))
                wrong("byte %lx has changed", (unsigned long)(fuzz_pages[i].va + k));
    }
}

/* False: not all of it is there. */
static bool try_word(uint64_t va, uint64_t *word)
{
    *word = 0;
    for (unsigned i = 8; i--;) {
        const uint8_t *byte = guest_byte(va + i, false);
        if (!byte)
            return false;
        *word = *word << 8 | *byte;
    }
    return true;
}

static uint64_t guest_word(uint64_t va)
{
    uint64_t word;

    if (!try_word(va, &word))
        wrong("there is nothing at %lx", (unsigned long)va);
    return word;
}

/* What of it can be written. */
static void put_words(uint64_t va, const uint64_t *words, unsigned n)
{
    for (unsigned i = 0; i < 8 * n; i++) {
        uint8_t *byte = guest_byte(va + i, true);
        if (byte)
            *byte = (uint8_t)(words[i / 8] >> i % 8 * 8);
    }
}

/* A place for a stack or a frame, where the guest's memory is more often than not; never where this program's own is, since its
 * accesses would not fault: AddressSanitizer's lies below this. */
#define SANITIZER_END 0x100080000000ull
static uint64_t some_place(void)
{
    const uint64_t any = some_value();

    if (take(1) % 4 == 0)
        return any >= 0x70000000 && any < SANITIZER_END + 0x1000 ? any + 2 * SANITIZER_END : any;
    return fuzz_pages[take(1) % FUZZ_PAGES].va + take(2) % 0x1000 + (take(1) % 8 ? 0 : 0xfb0);
}

/* As a processor leaves it in ring 3. */
static void some_registers(void)
{
    uint64_t *r = (uint64_t *)&regs;

    for (unsigned i = 0; i < offsetof(struct guest_regs, vector) / 8; i++)
        r[i] = some_value();
    regs.rip = some_value();
    regs.cs = (uint16_t)take(2) | 3;
    regs.ss = (uint16_t)take(2) | 3;
    regs.rflags = (some_value() & FLAGS_OF_RING3) | FLAGS_ALWAYS;
    regs.rsp = some_place();
    regs.vector = take(1) % 32;
}

static void some_mode(void)
{
    vcpu.kernel_mode = take(1) % 2;
    vcpu.arch.kernel_sp = some_place();
    vcpu.arch.user_cr3 = !vcpu.kernel_mode || take(1) % 8 ? 0x2000 : 0;
    cpu.cr3 = vcpu.kernel_mode ? vcpu.arch.kernel_cr3 : vcpu.arch.user_cr3;
    cpu.gs_base = vcpu.kernel_mode ? 0x1111 : 0x2222;
    cpu.gs_base_other = vcpu.kernel_mode ? 0x2222 : 0x1111;
    info.evtchn_upcall_mask = take(1) % 4 ? (uint8_t)(take(1) % 2) : (uint8_t)take(1);
    vcpu.arch.nmi_masked = take(1) % 4 == 0;
}

/* Who runs next. */
static void check_runner(void)
{
    if ((regs.cs & 3) != 3 || (regs.ss & 3) != 3 || regs.cs >> 16 || regs.ss >> 16)
        wrong("selectors %lx and %lx", (unsigned long)regs.cs, (unsigned long)regs.ss);
    if ((regs.rflags & FLAGS_ALWAYS) != FLAGS_ALWAYS ||
        regs.rflags & ~(FLAGS_OF_RING3 | FLAGS_ALWAYS | FLAGS_IGNORED))
        wrong("flags %lx", (unsigned long)regs.rflags);
    if (cpu.cr3 != (vcpu.kernel_mode ? vcpu.arch.kernel_cr3 : vcpu.arch.user_cr3) || !cpu.cr3)
        wrong("CR3 %lx, kernel mode %u", (unsigned long)cpu.cr3, vcpu.kernel_mode);
    if (cpu.gs_base != (vcpu.kernel_mode ? 0x1111 : 0x2222))
        wrong("the GS base is the other mode's");
}

/* --- handlers --- */

static void check_handlers(void)
{
    const struct arch_vcpu *a = &vcpu.arch;
    const uint64_t all[] = {a->event_callback,     a->failsafe_callback, a->syscall_callback,
                            a->syscall32_callback, a->sysenter_callback, cpu.fs_base,
                            cpu.gs_base,           cpu.gs_base_other};

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (!canonical(all[i]))
            wrong("address %u becomes %lx", i, (unsigned long)all[i]);
    for (unsigned i = 0; i < 256; i++)
        if (!canonical(traps[i].address) || (traps[i].address && (traps[i].cs & 3) != 3))
            wrong("gate %u: %lx, selector %x", i, (unsigned long)traps[i].address, traps[i].cs);
}

static void step_handlers(void)
{
    const uint64_t place = some_place();
    uint64_t words[8];

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = take(1) % 3 ? some_value() : take(1) % 8 | take(1) << 16;
    put_words(place, words, take(1) % 9);
    keep_memory();

    struct hypercall_args a = {.arg = {take(1) % 3 ? take(1) % 9 : some_value(),
                                       take(1) % 4 ? place : some_value(), some_value()}};
    switch (take(1) % 6) {
    case 0:
        a.arg[0] = take(1) % 8 ? place : 0;
        (void)hypercall_set_trap_table(&vcpu, &a);
        break;
    case 1:
        (void)hypercall_callback_op(&vcpu, &a);
        break;
    case 2:
        (void)hypercall_nmi_op(&vcpu, &a);
        break;
    case 3:
        a.arg[0] = some_value();
        a.arg[1] = some_value();
        (void)hypercall_set_callbacks(&vcpu, &a);
        break;
    case 4:
        a.arg[1] = some_value();
        (void)hypercall_stack_switch(&vcpu, &a);
        break;
    default:
        a.arg[1] = some_value();
        if ((unsigned)a.arg[0] != SEGBASE_GS_USER_SEL)
            (void)hypercall_set_segment_base(&vcpu, &a);
    }
    check_handlers();
    check_memory(0, 0);
}

/* --- into the kernel --- */

/* A way in, and what must be there when it has been gone: @handler 0: the domain ends, or nothing happens (@may_pass). */
struct way {
    void (*go)(unsigned vector);
    uint64_t handler;
    unsigned words; /* of the frame */
    bool masks, has_error, clears_df, may_pass;
};

static void go_exception(unsigned vector)
{
    guest_exception(&vcpu, vector, 0x1234);
}

static void go_interrupt(unsigned vector)
{
    guest_software_interrupt(&vcpu, vector);
}

static void go_page_fault(unsigned vector)
{
    guest_page_fault(&vcpu, 0x5555, 0x1234);
}

static void go_event(unsigned vector)
{
    guest_event_upcall(&vcpu);
}

static void go_syscall(unsigned vector)
{
    guest_syscall(&vcpu);
}

static void go_syscall32(unsigned vector)
{
    guest_syscall32(&vcpu);
}

static void go_sysenter(unsigned vector)
{
    guest_sysenter(&vcpu);
}

static void go_nmi(unsigned vector)
{
    guest_nmi(&vcpu);
}

static void go_failsafe(unsigned vector)
{
    guest_failsafe(&vcpu);
}

static struct way gate(void (*go)(unsigned), unsigned vector, bool has_error)
{
    return (struct way){.go = go,
                        .handler = traps[vector].address,
                        .masks = traps[vector].flags & 4,
                        .has_error = has_error,
                        .words = has_error ? 8 : 7};
}

/* Vectors that push an error code: Intel SDM volume 3, table 6-1. */
static bool pushes_error(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

static struct way some_way(unsigned vector)
{
    const struct arch_vcpu *a = &vcpu.arch;

    switch (take(1) % 9) {
    case 0:
        return gate(go_exception, vector % 32, pushes_error(vector % 32));
    case 1:
        return gate(go_interrupt, vector, false);
    case 2:
        return gate(go_page_fault, 14, true);
    case 3:
        return (struct way){
            .go = go_event, .handler = a->event_callback, .masks = true, .words = 7};
    case 4:
        return a->syscall_callback ? (struct way){.go = go_syscall,
                                                  .handler = a->syscall_callback,
                                                  .masks = a->syscall_masks,
                                                  .clears_df = true,
                                                  .words = 7}
                                   : gate(go_syscall, 6, false);
    case 5:
        return a->syscall32_callback ? (struct way){.go = go_syscall32,
                                                    .handler = a->syscall32_callback,
                                                    .masks = a->syscall32_masks,
                                                    .clears_df = true,
                                                    .words = 7}
                                     : gate(go_syscall32, 6, false);
    case 6:
        return a->sysenter_callback ? (struct way){.go = go_sysenter,
                                                   .handler = a->sysenter_callback,
                                                   .masks = a->sysenter_masks,
                                                   .clears_df = true,
                                                   .words = 7}
                                    : gate(go_sysenter, 13, true);
    case 7: {
        struct way w = gate(go_nmi, 2, false);
        if (a->nmi_masked)
            w.handler = 0;
        w.may_pass = true;
        return w;
    }
    default:
        return (struct way){.go = go_failsafe,
                            .handler = a->failsafe_callback,
                            .masks = a->failsafe_masks,
                            .words = 11};
    }
}

/* The frame's five last words, from @at. */
static void check_frame(uint64_t at, const struct guest_regs *was, bool kernel, uint8_t mask)
{
    const uint64_t flags = guest_word(at + 16), cs = guest_word(at + 8);
    const uint64_t iopl =
        domain.vm_assist & BIT(VMASST_TYPE_architectural_iopl) ? vcpu.arch.iopl : 0;

    if (guest_word(at) != was->rip || guest_word(at + 24) != was->rsp ||
        guest_word(at + 32) != was->ss)
        wrong("the frame names another place");
    if ((cs & 0xffff) != (kernel ? was->cs & ~3ull : was->cs) || cs >> 32 != mask)
        wrong("the frame's cs is %lx", (unsigned long)cs);
    if (flags != ((was->rflags & ~BIT(9)) | (mask ? 0 : BIT(9)) | iopl << 12))
        wrong("the frame's flags are %lx instead of %lx", (unsigned long)flags,
              (unsigned long)was->rflags);
}

static void check_entered(const struct way *w, const struct guest_regs *was, bool kernel,
                          uint8_t mask)
{
    const uint64_t from = kernel ? was->rsp : vcpu.arch.kernel_sp;
    const unsigned words = w->words;

    if (!w->handler || regs.rip != w->handler || regs.cs != SEL_GUEST_CS64 ||
        regs.ss != SEL_GUEST_DS || !vcpu.kernel_mode)
        wrong("it goes on at %lx", (unsigned long)regs.rip);
    if (regs.rsp != (from & ~15ull) - 8ull * words)
        wrong("the stack is %lx", (unsigned long)regs.rsp);
    if (regs.rflags != (was->rflags & ~(FLAGS_OF_TRAP | (w->clears_df ? BIT(10) : 0))))
        wrong("a handler starts with flags %lx", (unsigned long)regs.rflags);
    if (info.evtchn_upcall_mask != (w->masks ? 1 : mask))
        wrong("the upcall mask becomes %u", info.evtchn_upcall_mask);
    if (guest_word(regs.rsp) != was->rcx || guest_word(regs.rsp + 8) != was->r11)
        wrong("the frame has another rcx or r11");
    check_frame(regs.rsp + 8ull * (words - 5), was, kernel, mask);
    check_memory(regs.rsp, regs.rsp + 8ull * words);
    check_runner();
}

/* Back by the frame that was built: all is as it was. */
static void check_way_back(const struct way *w, const struct guest_regs *was, bool kernel,
                           uint8_t mask, uint8_t iopl)
{
    const uint64_t at = regs.rsp + 8ull * (w->words - 5), place = CODE_HIGH + 0x100;
    const struct hypercall_args a = {0};
    const uint64_t frame[] = {77,
                              guest_word(regs.rsp + 8),
                              guest_word(regs.rsp),
                              0,
                              guest_word(at),
                              guest_word(at + 8),
                              guest_word(at + 16),
                              guest_word(at + 24),
                              guest_word(at + 32)};

    put_words(place, frame, ARRAY_SIZE(frame));
    regs.rsp = place;
    if (hypercall_iret(&vcpu, &a) != 77 || crash.happened)
        wrong("the way back ends");
    check_runner();
    if (regs.rip != was->rip || regs.cs != was->cs || regs.rflags != was->rflags ||
        regs.rsp != was->rsp || regs.ss != was->ss || regs.rcx != was->rcx ||
        regs.r11 != was->r11 || vcpu.kernel_mode != kernel || !info.evtchn_upcall_mask != !mask ||
        vcpu.arch.iopl != iopl)
        wrong("the way back leads elsewhere: %lx, cs %lx, flags %lx", (unsigned long)regs.rip,
              (unsigned long)regs.cs, (unsigned long)regs.rflags);
}

static void step_entry(void)
{
    const unsigned vector = (unsigned)take(1);

    some_mode();
    some_registers();
    vcpu.arch.bad_selectors = take(1) % 2;
    const struct way w = some_way(vector);
    struct guest_regs was = regs;
    const bool kernel = vcpu.kernel_mode;
    const uint8_t mask = info.evtchn_upcall_mask, iopl = vcpu.arch.iopl;

    crash.happened = false;
    keep_memory();
    w.go(w.go == go_exception ? vector % 32 : vector);
    if ((w.go == go_syscall && !vcpu.arch.syscall_callback) ||
        (w.go == go_syscall32 && !vcpu.arch.syscall32_callback))
        was.rip -= 2; /* the instruction itself is the fault */
    const uint64_t stack = ((kernel ? was.rsp : vcpu.arch.kernel_sp) & ~15ull) - 8ull * w.words;
    if (crash.happened) {
        if (w.handler && crash.rule != RULE_HANDLER_WITHOUT_STACK)
            wrong("there is a handler, and the domain ends with rule %u", crash.rule);
        check_memory(stack, stack + 8ull * w.words);
        return;
    }
    if (!w.handler && w.may_pass && !memcmp(&was, &regs, sizeof(was))) {
        check_memory(0, 0);
        return;
    }
    check_entered(&w, &was, kernel, mask);
    if (w.go == go_nmi && !vcpu.arch.nmi_masked)
        wrong("an NMI could come on top of another");
    fuzz_accepted++;
    if (vcpu.arch.user_cr3 || kernel)
        check_way_back(&w, &was, kernel, mask, iopl);
}

/* --- out of the kernel, by any frame --- */

static void step_iret(void)
{
    const struct hypercall_args a = {0};
    uint64_t frame[9];

    some_mode();
    some_registers();
    if (!vcpu.kernel_mode) { /* only kernels call */
        vcpu.kernel_mode = 1;
        cpu.cr3 = vcpu.arch.kernel_cr3;
        cpu.gs_base = 0x1111;
        cpu.gs_base_other = 0x2222;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(frame); i++)
        frame[i] = some_value();
    if (take(1) % 2)
        frame[5] = take(1) % 2 ? SEL_GUEST_CS64 : 0x33;
    put_words(regs.rsp, frame, ARRAY_SIZE(frame));
    bool whole = true;
    for (unsigned i = 0; i < ARRAY_SIZE(frame); i++) /* what has arrived */
        whole &= try_word(regs.rsp + 8ull * i, &frame[i]);
    keep_memory();
    crash.happened = false;

    const long rax = hypercall_iret(&vcpu, &a);
    check_memory(0, 0);
    if (crash.happened) {
        if (crash.rule != RULE_IRET_FRAME_UNREADABLE && crash.rule != RULE_IRET_WITHOUT_USER_ROOT)
            wrong("it ends with rule %u", crash.rule);
        if (crash.rule == RULE_IRET_FRAME_UNREADABLE && whole)
            wrong("the frame can be read");
        return;
    }
    check_runner();
    const bool sysret = (frame[3] & VGCF_in_syscall) &&
                        ((frame[5] & ~3ull) == (SEL_GUEST_CS64 & ~3) || (frame[5] & ~3ull) == 0x30);
    if ((uint64_t)rax != frame[0] || regs.rip != frame[4] || regs.rsp != frame[7])
        wrong("it goes on at %lx", (unsigned long)regs.rip);
    if (regs.cs != ((uint16_t)frame[5] | 3) || regs.ss != ((uint16_t)frame[8] | 3) ||
        vcpu.kernel_mode != ((frame[5] & 3) != 3))
        wrong("selectors %lx and %lx", (unsigned long)regs.cs, (unsigned long)regs.ss);
    if ((regs.rflags & ~FLAGS_IGNORED) != ((frame[6] & FLAGS_OF_RING3) | FLAGS_ALWAYS) ||
        info.evtchn_upcall_mask != !(frame[6] & BIT(9)))
        wrong("flags %lx become %lx, mask %u", (unsigned long)frame[6], (unsigned long)regs.rflags,
              info.evtchn_upcall_mask);
    if ((regs.vector == REGS_SYSCALL) != sysret ||
        (!sysret && (regs.rcx != frame[2] || regs.r11 != frame[1])))
        wrong("by the wrong instruction, or with another rcx or r11");
    if (vcpu.arch.nmi_masked)
        wrong("NMIs stay masked");
    fuzz_accepted++;
}

/* --- an input --- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const step[])(void) = {step_handlers, step_handlers, step_entry, step_entry,
                                         step_entry,    step_iret,     step_iret};
    static bool on;

    if (!on)
        world_power_on();
    on = true;
    in = (struct fuzz_input){data, data + size};
    world_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(traps); i++)
        traps[i] = (struct trap_info){
            .flags = (uint8_t)(i % 8), .cs = SEL_GUEST_CS64, .address = i % 7 ? CODE_LOW + i : 0};
    while (in.at < in.end) {
        memset(&seen, 0, sizeof(seen));
        step[take(1) % ARRAY_SIZE(step)]();
        fuzz_steps++;
    }
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to, size_t room)
{
    uint64_t z = i + 100;

    if (i >= 8)
        return 0;
    for (unsigned k = 0; k < 2500; k++) {
        z = z * 6364136223846793005ull + 1442695040888963407ull;
        to[k] = (uint8_t)(z >> 33);
    }
    return 2500;
}
