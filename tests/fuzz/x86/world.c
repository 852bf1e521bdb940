/* The world of fuzz-x86 and fuzz-frames: see world.h. */
#include "world.h"

#include "pci.h"

#include "hypercall.h"
#include "sched.h"
#include "strace.h"

#include <signal.h>
#include <ucontext.h>

uint8_t fuzz_memory[FUZZ_FRAMES][4096] __attribute__((aligned(4096)));
struct percpu fuzz_percpu;
struct vcpu *fuzz_vcpu;
struct tsc_scale tsc_scale = {.mul = 1u << 31};

struct vcpu vcpu;
struct domain domain;
struct guest_regs regs;
struct trap_info traps[256];
struct vcpu_info info;
struct page_info frame_info[FUZZ_FRAMES];
uint64_t area[VCPU_AREA_STRIDE / 8];
static uint64_t area_pt[64];

struct page_info *frame_table = frame_info;
uint64_t *machine_to_phys, max_mfn = FUZZ_FRAMES;
bool strace_on, cpu_is_tcg, cpu_takes_any_base, refuse_explains;
bool linear_windows_exist;
bool guest_readable_beside_windows(uint64_t va, uint64_t n)
{
    return true;
}

uint64_t xcr0_allowed = XCR0_X87 | XCR0_SSE | XCR0_AVX;
uint32_t fpu_image_size = 4096;

struct fuzz_cpu cpu;

struct fuzz_input in;
struct fuzz_seen seen;

uint64_t take(unsigned bytes)
{
    uint64_t v = 0;
    for (; bytes && in.at < in.end; bytes--)
        v = v << 8 | *in.at++;
    return v;
}

/* --- the guest's memory: six pages, with nothing between them ---------------------------------------- */

const struct fuzz_page fuzz_pages[FUZZ_PAGES] = {
    {CODE_LOW, true}, {CODE_LOW + 0x1000, true}, {CODE_HIGH, true},
    {DATA, true},     {DATA + 0x1000, false},    {0xffff880000000000ull, true},
};

uint8_t *guest_byte(uint64_t va, bool write)
{
    for (unsigned i = 0; i < FUZZ_PAGES; i++)
        if ((va & PAGE_MASK) == fuzz_pages[i].va)
            return write && !fuzz_pages[i].writable
                       ? NULL
                       : &fuzz_memory[GUEST_FRAME + i][va & ~PAGE_MASK];
    return NULL;
}

int fuzz_copy(void *to, const void *from, uint64_t va, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t at = va + i;
        if (at >= 0xffff800000000000ull && at < 0xffff880000000000ull &&
            (!to || at >= 0xffff808000000000ull))
            wrong("the door reaches %#lx", (unsigned long)at);
        uint8_t *byte = guest_byte(at, !to);
        if (!byte)
            return -XEN_EFAULT;
        if (to)
            ((uint8_t *)to)[i] = *byte;
        else
            *byte = ((const uint8_t *)from)[i];
        seen.written += !to;
    }
    return 0;
}

/* --- who may have what: the rules, once more ------------------------------------------------------------ */

bool canonical(uint64_t va)
{
    return (int64_t)(va << 16) >> 16 == (int64_t)va;
}

bool hypervisors(uint64_t va)
{
    return va >= 0xffff800000000000ull && va < 0xffff880000000000ull;
}

static bool may_use_ports(uint16_t port, unsigned bytes)
{
    const unsigned level =
        vcpu.kernel_mode ? (domain.vm_assist & BIT(VMASST_TYPE_architectural_iopl) ? 0 : 1) : 3;

    if (vcpu.arch.iopl >= level)
        return true;
    for (unsigned p = port; p < port + bytes; p++) {
        const uint8_t *map =
            p < vcpu.arch.iobitmap_ports ? guest_byte(vcpu.arch.iobitmap.va + p / 8, false) : NULL;
        if (!map || (*map >> p % 8 & 1))
            return false;
    }
    return true;
}

/* Interrupt controllers, interval timer, edge control, and the serial line that was claimed. */
static bool is_machines_port(unsigned p)
{
    return p == 0x20 || p == 0x21 || p == 0xa0 || p == 0xa1 || p == 0x40 || p == 0x41 ||
           p == 0x4d0 || p == 0x4d1 || (p >= 0x3f8 && p < 0x400);
}

static void port_is_touched(uint16_t port, unsigned bytes, bool write, uint32_t value)
{
    value &= bytes == 4 ? ~0u : (1u << 8 * bytes) - 1;
    seen.ports++;
    if (!seen.emulating || !(domain.roles & ROLE_HARDWARE))
        wrong("port %x is touched for a guest without ports", port);
    if (!may_use_ports(port, bytes))
        wrong("port %x is touched for a guest that may not", port);
    for (unsigned p = port; p < port + bytes; p++)
        if (is_machines_port(p))
            wrong("port %x, %u bytes: the hypervisor's", port, bytes);
    if (port + bytes > 0x10000)
        wrong("port %x, %u bytes: behind the last one", port, bytes);
    if (port <= 0x43 && port + bytes > 0x43) {
        const bool channel_2 = value >> 6 == 2,
                   read_back_2 = (value & 0xc0) == 0xc0 && !(value & 6);
        if (!write || bytes != 1 || !(channel_2 || read_back_2))
            wrong("the interval timer's control port: %s %x", write ? "write" : "read", value);
    }
}

static uint64_t msr_is_read(uint32_t msr)
{
    switch (msr) {
    case 0xc0000100:
        return cpu.fs_base;
    case 0xc0000101:
        return cpu.gs_base;
    case 0xc0000102:
        return cpu.gs_base_other;
    case 0xc0000080:
        return cpu.efer;
    default:
        wrong("MSR %x is read", msr);
    }
}

static void msr_is_written(uint32_t msr, uint64_t value)
{
    uint64_t *base = msr == 0xc0000100   ? &cpu.fs_base
                     : msr == 0xc0000101 ? &cpu.gs_base
                     : msr == 0xc0000102 ? &cpu.gs_base_other
                                         : NULL;

    if (seen.emulating && !vcpu.kernel_mode)
        wrong("MSR %x is written for user mode", msr);
    if (base) {
        if (!canonical(value))
            wrong("MSR %x becomes %lx", msr, (unsigned long)value);
        *base = value;
    } else if (msr == 0xc0000103 && !(value >> 32)) {
        cpu.tsc_aux = value;
    } else {
        wrong("MSR %x becomes %lx", msr, (unsigned long)value);
    }
}

static void control_is_written(unsigned cr, uint64_t value)
{
    switch (cr) {
    case 0:
        if ((value & ~(uint64_t)8) != 0x80050033)
            wrong("CR0 becomes %lx", (unsigned long)value);
        cpu.cr0 = value;
        break;
    case 3: /* to look at the kernel's bitmap, and back */
        if (value != vcpu.arch.kernel_cr3 && value != vcpu.arch.user_cr3)
            wrong("CR3 becomes %lx", (unsigned long)value);
        cpu.cr3 = value;
        return;
    case 4:
        if ((value ^ MACHINE_CR4) & ~(CR4_TSD | CR4_FSGSBASE))
            wrong("CR4 becomes %lx", (unsigned long)value);
        cpu.cr4 = value;
        break;
    default:
        wrong("CR%u is written", cr);
    }
    if (seen.emulating && !vcpu.kernel_mode)
        wrong("CR%u is written for user mode", cr);
}

static void debug_is_written(unsigned dr, uint64_t value)
{
    if (dr < 4 && (hypervisors(value) || !canonical(value)))
        wrong("DR%u becomes %lx", dr, (unsigned long)value);
    for (unsigned i = 0; dr == 7 && i < 4; i++)
        if ((value >> 2 * i & 3) && (value >> (16 + 4 * i) & 3) == 2)
            wrong("DR7 becomes %lx: a breakpoint on ports", (unsigned long)value);
    if (dr == 7 && ((value & BIT(13)) || value >> 32))
        wrong("DR7 becomes %lx", (unsigned long)value);
    if (seen.emulating && !vcpu.kernel_mode)
        wrong("DR%u is written for user mode", dr);
    cpu.dr[dr & 7] = value;
}

/* --- privileged instructions of x86/, which fault in this program --------------------------------------- */

static uint64_t *host_reg(ucontext_t *u, unsigned n)
{
    static const uint8_t at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t *)&u->uc_mcontext.gregs[at[n]];
}

/* Length of the instruction behind its prefixes, done; 0: none that we know. */
static unsigned do_two_byte(ucontext_t *u, const uint8_t *i, unsigned rex)
{
    uint64_t *rax = host_reg(u, 0), *rdx = host_reg(u, 2);
    uint64_t *operand = host_reg(u, (i[2] & 7) | (rex & 1) << 3);
    const unsigned n = (i[2] >> 3 & 7) | (rex & 4) << 1, ecx = (uint32_t)*host_reg(u, 1);

    switch (i[1]) {
    case 0x01: /* swapgs */
        if (i[2] != 0xf8)
            return 0;
        const uint64_t base = cpu.gs_base;
        cpu.gs_base = cpu.gs_base_other;
        cpu.gs_base_other = base;
        return 3;
    case 0x06: /* clts */
        control_is_written(0, cpu.cr0 & ~8ull);
        return 2;
    case 0x09: /* wbinvd */
        if (!(domain.roles & ROLE_HARDWARE) || !vcpu.kernel_mode)
            wrong("WBINVD for a guest without devices");
        return 2;
    case 0x00: /* lldt */
        if ((i[2] & 0xf8) != 0xd0)
            return 0;
        return 3;
    case 0x20:
        *operand = n == 0 ? cpu.cr0 : n == 3 ? cpu.cr3 : cpu.cr4;
        return 3;
    case 0x22:
        control_is_written(n, *operand);
        return 3;
    case 0x21:
        *operand = cpu.dr[n & 7];
        return 3;
    case 0x23:
        debug_is_written(n, *operand);
        return 3;
    case 0x30:
        msr_is_written(ecx, (uint32_t)*rax | *rdx << 32);
        return 2;
    case 0x32: {
        const uint64_t value = msr_is_read(ecx);
        *rax = (uint32_t)value;
        *rdx = value >> 32;
        return 2;
    }
    default:
        return 0;
    }
}

static unsigned do_port(ucontext_t *u, const uint8_t *i, bool word)
{
    const bool by_dx = i[0] & 8;
    const unsigned bytes = i[0] & 1 ? (word ? 2 : 4) : 1;
    const uint16_t port = by_dx ? (uint16_t)*host_reg(u, 2) : i[1];

    port_is_touched(port, bytes, i[0] & 2, (uint32_t)*host_reg(u, 0));
    if (!(i[0] & 2))
        *host_reg(u, 0) = bytes == 4 ? 0xdeadbeef : bytes == 2 ? 0xbeef : 0xef;
    return by_dx ? 1 : 2;
}

/* Length of a privileged instruction that begins at @start, done; 0: none that we know. */
static unsigned do_privileged(ucontext_t *u, const uint8_t *start)
{
    const uint8_t *i = start;
    const bool word = *i == 0x66;
    unsigned rex = 0, n = 0;

    i += word;
    if ((*i & 0xf0) == 0x40)
        rex = *i++;
    if (*i == 0x0f)
        n = do_two_byte(u, i, rex);
    else if ((*i & 0xf4) == 0xe4)
        n = do_port(u, i, word);
    return n ? (unsigned)(i - start) + n : 0;
}

/* --- the guest's memory, by plain loads and stores of eight bytes, each with a place to go on at --- */

struct fixup {
    uint64_t fault, resume;
};
/* The linker's names for the ends of the section of FIXUP(); weak, as a program may have none. */
extern const struct fixup fixups_start[] __asm__("__start_fuzz_fixups") __attribute__((weak));
extern const struct fixup fixups_end[] __asm__("__stop_fuzz_fixups") __attribute__((weak));

static uint64_t fixup_of(uint64_t rip)
{
    for (const struct fixup *f = fixups_start; f < fixups_end; f++)
        if (f->fault == rip)
            return f->resume;
    return 0;
}

/* Where the operand of MOV at @i, behind its REX prefix, lies; @length: of all of it. */
static uint64_t operand_address(ucontext_t *u, const uint8_t *i, unsigned rex, unsigned *length)
{
    const uint8_t modrm = i[1], mod = modrm >> 6;
    const bool sib = (modrm & 7) == 4; /* RSP or R12, without an index */
    int32_t more = 0;

    if (mod == 3 || (mod == 0 && (modrm & 7) == 5) || (sib && (i[2] & 0x38) != 0x20))
        wrong("an operand that the handler does not know");
    if (mod == 1)
        more = (int8_t)i[2 + sib];
    else if (mod == 2)
        memcpy(&more, i + 2 + sib, 4);
    *length = 2 + sib + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
    return *host_reg(u, (modrm & 7) | (rex & 1) << 3) + (uint64_t)(int64_t)more;
}

/* Do the access at @start.  Where to go on: behind it, or at @resume if it has faulted. */
static uint64_t do_guest_access(ucontext_t *u, const uint8_t *start, uint64_t resume)
{
    const unsigned rex = start[0];
    const bool store = start[1] == 0x89;
    unsigned length;

    if ((rex & 0xf8) != 0x48 || (start[1] & 0xfd) != 0x89)
        wrong("an access that the handler does not know: %02x %02x", start[0], start[1]);
    const uint64_t at = operand_address(u, start + 1, rex, &length);
    uint64_t *reg = host_reg(u, (start[2] >> 3 & 7) | (rex & 4) << 1), value = *reg;

    if (fuzz_copy(store ? NULL : &value, &value, at, 8)) {
        vcpu.arch.fault_vector = canonical(at) ? VECTOR_PF : VECTOR_GP;
        return resume;
    }
    *reg = value;
    return (uint64_t)start + 1 + length;
}

static void faulted(int sig, siginfo_t *si, void *context)
{
    ucontext_t *u = context;
    const uint64_t rip = (uint64_t)u->uc_mcontext.gregs[REG_RIP], resume = fixup_of(rip);
    const unsigned n = resume ? 0 : do_privileged(u, (const uint8_t *)rip);

    if (resume)
        u->uc_mcontext.gregs[REG_RIP] = (greg_t)do_guest_access(u, (const uint8_t *)rip, resume);
    else if (n)
        u->uc_mcontext.gregs[REG_RIP] += n;
    else
        signal(sig, SIG_DFL); /* a fault that is one */
    (void)si;
}

/* --- what core does for these files --- */

#define XEN_0 0
static const int rule_error[RULE_LIMIT] = {
#define RULE(id, word, error, protects, says, source) [RULE_##word] = XEN_##error,
    RULE_LIST(RULE)
#undef RULE
};

int refuse_(enum rule_id rule, uint64_t a, uint64_t b, uint64_t c)
{
    return -rule_error[rule];
}

bool preempt_point(void)
{
    return false;
}

bool pause_point(void)
{
    return false;
}

void strace_emulated(struct vcpu *v, unsigned what, uint64_t rip, const uint64_t arg[6])
{
}

void spin_lock_wait(spinlock_t *l)
{
    wrong("a lock is taken twice");
}

void mutex_wake(mutex_t *m)
{
    abort(); /* nobody sleeps for one */
}

void mutex_lock_wait(mutex_t *m)
{
    wrong("a mutex is taken twice");
}

/* driver.c calls these by core's names. */
#undef vsnprintf
#undef memcmp
#undef strrchr
#undef strtoul
int paravane_snprintf(char *to, size_t room, const char *format, ...)
{
    __builtin_va_list args;

    __builtin_va_start(args, format);
    int n = vsnprintf(to, room, format, args);
    __builtin_va_end(args);
    return n;
}

int paravane_memcmp(const void *a, const void *b, size_t n)
{
    return __builtin_memcmp(a, b, n);
}

char *paravane_strrchr(const char *s, int c)
{
    return __builtin_strrchr(s, c);
}

unsigned long paravane_strtoul(const char *s, char **end, int base)
{
    return strtoul(s, end, base);
}

/* --- an input --- */

uint64_t some_value(void)
{
    /* clang-format off */
    static const uint64_t edge[] = {0, 0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000, 0xffff808000000000,
                                    0xffff87ffffffffff, 0xffff880000000000, ~0ull, 0xffffffff, 0x100000000, CODE_LOW + 0xffc, CODE_LOW + 0x1ff8,
                                    CODE_HIGH + 0xff8, DATA, DATA + 0xffc, DATA + 0x1000, 0x80050033, 0x3f8, 0x43, 0x20, 0x71};
    /* clang-format on */

    switch (take(1) % 6) {
    case 0:
        return take(8);
    case 1:
        return take(2);
    case 2:
        return edge[take(1) % ARRAY_SIZE(edge)] + take(1) % 17 - 8;
    case 3:
        return 1ull << take(1) % 64;
    default:
        return edge[take(1) % ARRAY_SIZE(edge)];
    }
}

void world_begin(void)
{
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&domain, 0, sizeof(domain));
    memset(&regs, 0, sizeof(regs));
    memset(traps, 0, sizeof(traps));
    memset(area, 0, sizeof(area));
    domain.id = 1;
    domain.max_vcpus = 1;
    domain.roles = take(1) % 3 == 0 ? ROLE_HARDWARE : 0;
    domain.vm_assist = take(1) % 2 ? BIT(VMASST_TYPE_architectural_iopl) : 0;
    domain.arch = (struct arch_domain)ARCH_DOMAIN_INIT;
    domain.vcpu[0] = &vcpu;
    for (unsigned i = 0; i < FUZZ_FRAMES; i++)
        frame_info[i] = (struct page_info){.owner = i % 7 == 6 ? 2 : 1};
    vcpu.domain = &domain;
    vcpu.info = &info;
    vcpu.arch.regs = &regs;
    vcpu.arch.traps = traps;
    vcpu.arch.area = (uint64_t)(uintptr_t)area;
    vcpu.arch.area_pt = area_pt;
    vcpu.kernel_mode = 1;
    vcpu.arch.iopl = take(1) % 4;
    vcpu.arch.iobitmap = guest_ptr(take(1) % 4 ? DATA + take(1) : some_value());
    if (!guest_range_ok(vcpu.arch.iobitmap.va, 0x2000))
        vcpu.arch.iobitmap = guest_ptr(DATA);
    vcpu.arch.iobitmap_ports = take(1) % 2 ? (uint32_t)take(2) : 0;
    vcpu.arch.kernel_cr3 = 0x1000;
    vcpu.arch.user_cr3 = 0x2000;
    cpu.fs_base = cpu.gs_base = cpu.gs_base_other = DATA;
    cpu.efer = 0xd01;
    cpu.cr0 = CR0_GUEST;
    cpu.cr3 = vcpu.arch.kernel_cr3;
    cpu.cr4 = fuzz_percpu.cr4 = MACHINE_CR4;
    fuzz_percpu.gdt_mfn = 1;
    fuzz_percpu.tsc_aux = 0;
    for (unsigned i = 0; i < 256; i++)
        traps[i] = (struct trap_info){.flags = (uint8_t)(i % 4), .address = i % 3 ? CODE_LOW : 0};
    fuzz_vcpu = &vcpu;
}

/* PCI configuration space (x86/devices/pci.c): there is no device. */
uint32_t pci_port_read(const uint32_t *latch, uint16_t port, unsigned bytes)
{
    return port == 0xcf8 && bytes == 4 ? *latch : ~0u;
}

void pci_port_write(uint32_t *latch, uint16_t port, unsigned bytes, uint32_t value)
{
    if (port == 0xcf8 && bytes == 4)
        *latch = value;
}

void world_power_on(void)
{
    struct sigaction a = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL); /* an address that is not canonical, by way of RSP or RBP */
    cpu.cr4 = MACHINE_CR4;
}

/* A CPU policy that a toolstack limits: no domain here has one. */
void *mem_alloc(size_t size)
{
    return NULL;
}

void mem_free(void *p, size_t size)
{
}
