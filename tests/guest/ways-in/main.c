/*
 * Question: with which flags, selectors and bases does the guest's kernel start, whatever way it is
 * entered?
 *
 * A program may set most of RFLAGS before it enters its kernel.  Three kinds of mistake have been
 * made with them.  One that the handler is started with: TF, NT, AC or DF of the program's makes
 * the kernel do what the program likes (Linux executes no CLD behind SYSCALL, because its mask of
 * flags clears DF on the bare machine).  One that the frame does not show: the program has lost it
 * when it goes on.  And one that reaches the hardware: a ring 3 that runs with IF clear or with
 * IOPL set has taken the machine.
 *
 * Each way in is taken once for each flag, set by POPF just before, from user mode and, where that
 * is possible, from the kernel itself.  The first instructions of the handler keep what they find.
 * The expected values are the ABI's, which are the processor's (Intel SDM volume 3, 6.12.1.3
 * and 6.14.3; volume 2, SYSCALL, SYSENTER, POPF), with the exceptions that the table gives.  RF is
 * left out where the CPU itself saves it: emulators do not agree.
 */
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/callback.h>
#include <xen/vcpu.h>

#define CF  (1ul << 0)
#define PF  (1ul << 2)
#define AF  (1ul << 4)
#define ZF  (1ul << 6)
#define SF  (1ul << 7)
#define OF  (1ul << 11)
#define RF  (1ul << 16)
#define VM  (1ul << 17)
#define VIF (1ul << 19)
#define VIP (1ul << 20)
#define ID  (1ul << 21)
#define ONE (1ul << 1) /* always set */

#define ARITHMETIC (CF | PF | AF | ZF | SF | OF)

static const struct {
    const char *name;
    uint64_t set;
} flags[] = {
    {"no flag", 0},
    {"CF", CF},
    {"PF", PF},
    {"AF", AF},
    {"ZF", ZF},
    {"SF", SF},
    {"TF", RFLAGS_TF},
    {"IF", RFLAGS_IF},
    {"DF", RFLAGS_DF},
    {"OF", OF},
    {"IOPL", RFLAGS_IOPL},
    {"NT", RFLAGS_NT},
    {"RF", RF},
    {"VM", VM},
    {"AC", RFLAGS_AC},
    {"VIF", VIF},
    {"VIP", VIP},
    {"ID", ID},
    {"all but TF", ARITHMETIC | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC | ID},
};

/* What POPF takes in ring 3 with IOPL 0, and what a handler loses of it. */
#define POPF_TAKES    (ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | ID)
#define HANDLER_LOSES (RFLAGS_TF | RFLAGS_NT | RFLAGS_AC)
#define SYSCALL_LOSES (HANDLER_LOSES | RFLAGS_DF)

/* Each begins with two bytes that load the flags from rbx. */
#define WAY64(name, text) USER_ASM(name, "push %rbx; popfq; " text)
#define WAY32(name, text) USER_ASM(name, ".code32; push %ebx; popfl; " text "; .code64")
WAY64(way_syscall, "syscall");
WAY32(way_syscall32, "syscall");
WAY64(way_sysenter, "sysenter");
WAY32(way_sysenter32, "sysenter");
WAY64(way_int80, "int $0x80");
WAY32(way_int80_32, "int $0x80");
WAY64(way_int3, "int3");
WAY32(way_int3_32, "int3");
WAY64(way_icebp, ".byte 0xf1");
WAY64(way_ud2, "ud2");
WAY32(way_ud2_32, "ud2");
WAY64(way_hlt, "hlt");
WAY64(way_div, "divb 0x401000");
WAY64(way_load, "mov 0x10, %rax");
WAY32(way_load_32, "mov 0x10, %eax");
WAY64(way_store, "mov %rax, 0x400100");
WAY64(way_retf, "lretq");
WAY64(way_iret, "iretq");

enum { USER = 1, KERNEL = 2, BITS32 = 4, AMD = 8, INTEL = 16, ONCE = 32 /* not with every flag */ };

static const struct {
    const char *name, *code, *end;
    unsigned vector, from;
    unsigned at; /* where rip is, seen from the instruction */
    uint64_t loses;
    uint64_t error; /* from user mode; from the kernel without PF_USER */
} ways[] = {
#define WAY(way, text, trap, modes, moved, lost, ...)                                             \
    {                                                                                             \
        .name = way, .code = text, .end = text##_end, .vector = trap, .from = modes, .at = moved, \
        .loses = lost, __VA_ARGS__                                                                \
    }
    WAY("SYSCALL", way_syscall, TRAP_SYSCALL, USER, 2, SYSCALL_LOSES),
    WAY("32-bit SYSCALL", way_syscall32, TRAP_SYSCALL32, USER | KERNEL | BITS32, 2, SYSCALL_LOSES),
    WAY("SYSENTER", way_sysenter, TRAP_SYSENTER, USER | INTEL, 0, SYSCALL_LOSES),
    WAY("SYSENTER on AMD", way_sysenter, TRAP_UD, USER | AMD, 0, HANDLER_LOSES),
    WAY("32-bit SYSENTER", way_sysenter32, TRAP_SYSENTER, USER | BITS32 | INTEL, 0, SYSCALL_LOSES),
    WAY("32-bit SYSENTER on AMD", way_sysenter32, TRAP_GP, USER | BITS32 | AMD, 0, HANDLER_LOSES),
    /* The kernel sends it to itself: it comes on the way out of the hypercall. */
    WAY("NMI", way_syscall, TRAP_NMI, KERNEL, 2, HANDLER_LOSES),
    WAY("int 0x80", way_int80, 0x80, USER | KERNEL, 2, HANDLER_LOSES),
    WAY("32-bit int 0x80", way_int80_32, 0x80, USER | BITS32, 2, HANDLER_LOSES),
    WAY("int3", way_int3, TRAP_BP, USER | KERNEL, 1, HANDLER_LOSES),
    WAY("32-bit int3", way_int3_32, TRAP_BP, USER | BITS32, 1, HANDLER_LOSES),
    WAY("icebp", way_icebp, TRAP_DB, USER | KERNEL, 1, HANDLER_LOSES),
    WAY("ud2", way_ud2, TRAP_UD, USER | KERNEL, 0, HANDLER_LOSES),
    WAY("32-bit ud2", way_ud2_32, TRAP_UD, USER | KERNEL | BITS32, 0, HANDLER_LOSES),
    WAY("hlt", way_hlt, TRAP_GP, USER | KERNEL, 0, HANDLER_LOSES),
    WAY("division by 0", way_div, TRAP_DE, USER | KERNEL, 0, HANDLER_LOSES),
    WAY("load from nowhere", way_load, TRAP_PF, USER | KERNEL, 0, HANDLER_LOSES, .error = PF_USER),
    WAY("32-bit load from nowhere", way_load_32, TRAP_PF, USER | BITS32, 0, HANDLER_LOSES,
        .error = PF_USER),
    WAY("store to what is read-only", way_store, TRAP_PF, USER | KERNEL, 0, HANDLER_LOSES,
        .error = PF_USER | PF_WRITE | PF_PRESENT),
    /* An emulator may read these stacks, and all processors read descriptors, with the rights of
     * ring 0 and say so in the error code; a kernel takes a page fault without PF_USER for one of
     * its own. */
    WAY("far return from no stack", way_retf, TRAP_PF, USER | KERNEL, 0, HANDLER_LOSES,
        .error = PF_USER),
    WAY("iret from no stack", way_iret, TRAP_PF, USER | KERNEL | ONCE, 0, HANDLER_LOSES,
        .error = PF_USER),
#undef WAY
};

/* --- what the handler finds ------------------------------------------------------ */

struct found {
    uint64_t rflags, fs_word, gs_word;
    uint16_t cs, ss, ds, es, fs, gs;
};
extern struct found found;
extern uint64_t go_on;
struct found found;
uint64_t go_on;

/* In front of the library's stubs: nothing has changed yet but what the hypervisor changed. */
extern char look[];
__asm__(".pushsection .text\n"
        "look:\n\t"
        "pushfq; pop found(%rip)\n\t"
        "push %fs:0; pop found+8(%rip)\n\t"
        "push %gs:0; pop found+16(%rip)\n\t"
        "mov %cs, found+24(%rip); mov %ss, found+26(%rip); mov %ds, found+28(%rip)\n\t"
        "mov %es, found+30(%rip); mov %fs, found+32(%rip); mov %gs, found+34(%rip)\n\t"
        "jmp *go_on(%rip)\n"
        ".popsection");
_Static_assert(offsetof(struct found, cs) == 24, "look");

static void enter_at_look(unsigned vector)
{
    struct callback_register r = {.address = (unsigned long)look};

    switch (vector) {
    case TRAP_SYSCALL:
        r.type = CALLBACKTYPE_syscall;
        go_on = (uint64_t)trap_syscall_callback;
        break;
    case TRAP_SYSCALL32:
        r.type = CALLBACKTYPE_syscall32;
        go_on = (uint64_t)trap_syscall32_callback;
        break;
    case TRAP_SYSENTER:
        r.type = CALLBACKTYPE_sysenter;
        go_on = (uint64_t)trap_sysenter_callback;
        break;
    case TRAP_EVENT:
        r.type = CALLBACKTYPE_event;
        go_on = (uint64_t)trap_event_callback;
        break;
    default:
        go_on = trap_stub(vector);
        trap_gate(vector, vector == TRAP_BP || vector == 0x80 ? 3 : 0, (unsigned long)look);
        return;
    }
    hypercall_callback_op(CALLBACKOP_register, &r);
}

static void enter_as_usual(unsigned vector)
{
    struct callback_register r = {.type = CALLBACKTYPE_syscall,
                                  .address = (unsigned long)trap_syscall_callback};

    if (vector < 256)
        trap_gate(vector, vector == TRAP_BP || vector == 0x80 ? 3 : 0, trap_stub(vector));
    hypercall_callback_op(CALLBACKOP_register, &r);
    r = (struct callback_register){.type = CALLBACKTYPE_event,
                                   .address = (unsigned long)trap_event_callback};
    hypercall_callback_op(CALLBACKOP_register, &r);
}

/* --- flags ----------------------------------------------------------------------- */

static struct trap_frame frame_for(unsigned from, bool kernel)
{
    struct trap_frame f = user_frame();

    f.rax = __HYPERVISOR_vcpu_op; /* for NMI alone */
    f.rdi = VCPUOP_send_nmi;
    f.cs = (from & BITS32 ? FLAT_USER_CS32 : FLAT_USER_CS64) & (kernel ? ~3u : ~0u);
    return f;
}

static void check_flags(unsigned w, bool kernel, unsigned n)
{
    const char *mode = kernel ? "kernel" : "user", *way = ways[w].name, *flag = flags[n].name;
    const uint64_t without_rf = ~RF, taken = (flags[n].set & POPF_TAKES) | ONE | RFLAGS_IF;
    struct trap_frame f = frame_for(ways[w].from, kernel);

    f.rbx = flags[n].set;
    memset(user_data_page(), 0, 64);
    const int v = user_run(&f, ways[w].code, (size_t)(ways[w].end - ways[w].code));
    if (v == TRAP_UD && ways[w].vector == TRAP_DB) {
        tap_skip("the emulator does not know the instruction", "%s, %s, %s: the frame", mode, way,
                 flag);
        return;
    }
    if (v != (int)ways[w].vector) {
        tap_is(v, ways[w].vector, "%s, %s, %s: the vector", mode, way, flag);
        return;
    }
    /* The frame of SYSENTER has no rip. */
    const uint64_t rip = v == TRAP_SYSENTER ? 0 : USER_CODE + 2 + ways[w].at;
    tap_is_hex(trap_last.rflags & without_rf, taken, "%s, %s, %s: the frame", mode, way, flag);
    tap_is_hex(found.rflags, taken & ~ways[w].loses, "%s, %s, %s: the handler", mode, way, flag);
    if (trap_last.rip != rip)
        tap_is_hex(trap_last.rip, rip, "%s, %s, %s: rip", mode, way, flag);
    if (v == TRAP_SYSCALL || v == TRAP_SYSCALL32)
        tap_is_hex(trap_last.r11, taken, "%s, %s, %s: r11", mode, way, flag);
}

static evtchn_port_t port;
static bool forget_event(struct trap_frame *f)
{
    (void)f;
    event_clear(port);
    event_vcpu_info(0)->evtchn_pending_sel = 0;
    event_vcpu_info(0)->evtchn_upcall_pending = 0;
    return false;
}

/* A pending event comes before the first instruction behind iret: the frame shows which flags iret
 * has loaded. */
static void check_upcall(bool kernel, unsigned n)
{
    const char *mode = kernel ? "kernel" : "user", *flag = flags[n].name;
    const uint64_t loaded = (flags[n].set & (POPF_TAKES | RF)) | ONE | RFLAGS_IF;
    struct trap_frame f = frame_for(0, kernel);

    f.rflags = flags[n].set | RFLAGS_IF | ONE;
    event_disable();
    event_send(port);
    const int v = user_run(&f, way_ud2, (size_t)(way_ud2_end - way_ud2));
    event_disable();
    tap_is(v, TRAP_EVENT, "%s, upcall, %s: the vector", mode, flag);
    tap_is_hex(trap_last.rflags & ~(VIF | VIP), loaded, "%s, upcall, %s: the frame", mode, flag);
    tap_is_hex(found.rflags, loaded & ~(HANDLER_LOSES | RF), "%s, upcall, %s: the handler", mode,
               flag);
}

/* --- selectors and bases --------------------------------------------------------- */

#define FS_WORD 0xf5f5f5f5ul
#define GS_WORD 0x65656565ul /* the kernel's */

static uint64_t fs_page[1] = {FS_WORD}, gs_page[1] = {GS_WORD};

static void check_selectors(unsigned w, bool kernel)
{
    const char *mode = kernel ? "kernel" : "user", *way = ways[w].name;
    struct trap_frame f = frame_for(ways[w].from, kernel);

    f.rbx = 0;
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(FLAT_USER_DS32));
    const int v = user_run(&f, ways[w].code, (size_t)(ways[w].end - ways[w].code));
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0));
    if (v != (int)ways[w].vector)
        return; /* said above */
    tap_is_hex(found.cs, FLAT_USER_CS64, "%s, %s: the handler's cs", mode, way);
    tap_is_hex(found.ss, FLAT_USER_SS64, "%s, %s: the handler's ss", mode, way);
    tap_ok(found.ds == FLAT_USER_DS32 && found.es == FLAT_USER_DS32 && !found.fs && !found.gs,
           "%s, %s: the handler's data selectors are the program's", mode, way);
    tap_is_hex(found.fs_word, FS_WORD, "%s, %s: the handler's FS base is the program's", mode, way);
    tap_is_hex(found.gs_word, GS_WORD, "%s, %s: the handler's GS base is the kernel's", mode, way);
    tap_is_hex(trap_last.cs & 0xffff, v == TRAP_SYSENTER ? 3 : f.cs, "%s, %s: the frame's cs", mode,
               way);
    tap_is_hex(trap_last.ss, FLAT_USER_SS, "%s, %s: the frame's ss", mode, way);
    tap_is_hex(trap_last.rsp, v == TRAP_SYSENTER ? 0 : USER_STACK_TOP, "%s, %s: the frame's rsp",
               mode, way);
    tap_is_hex(trap_last.error, kernel ? ways[w].error & ~(uint64_t)PF_USER : ways[w].error,
               "%s, %s: the error code", mode, way);
}

/* ---------------------------------------------------------------------------------- */

static bool is_amd(void)
{
    uint32_t a = 0, b, c, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return b == 0x68747541; /* "Auth" */
}

static void take_way(unsigned w, bool kernel)
{
    enter_at_look(ways[w].vector);
    for (unsigned n = 0; n < (ways[w].from & ONCE ? 1 : sizeof(flags) / sizeof(flags[0])); n++)
        check_flags(w, kernel, n);
    check_selectors(w, kernel);
    enter_as_usual(ways[w].vector);
}

void guest_main(void)
{
    const unsigned other_vendor = is_amd() ? INTEL : AMD;

    user_init();
    hypercall_set_segment_base(SEGBASE_FS, (uint64_t)fs_page);
    hypercall_set_segment_base(SEGBASE_GS_KERNEL, (uint64_t)gs_page);
    for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        if (ways[w].from & other_vendor)
            continue;
        if (ways[w].from & USER)
            take_way(w, false);
        if (ways[w].from & KERNEL)
            take_way(w, true);
    }
    event_bind_ipi(0, &port);
    event_unmask_bit(port);
    enter_at_look(TRAP_EVENT);
    trap_handler_t *usual = trap_handle(TRAP_EVENT, forget_event);
    for (unsigned n = 0; n < sizeof(flags) / sizeof(flags[0]); n++) {
        check_upcall(false, n);
        check_upcall(true, n);
    }
    trap_handle(TRAP_EVENT, usual);
    enter_as_usual(TRAP_EVENT);
}
