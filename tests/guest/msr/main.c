/*
 * Question: what does each model-specific register answer?
 *
 * RDMSR and WRMSR are #GP in ring 3; the hypervisor decides what a guest's kernel gets in their
 * stead.  Kernels look at dozens of these registers while they find out where they are, many
 * without a net: a register that the processor has and the hypervisor does not know is a crash
 * there, and one that takes a value and does not keep it is a wrong conclusion.  So the list that
 * the hypervisor is made of is gone through here, row by row, and then every number of the five
 * ranges in which processors and hypervisors have registers: what is not on the list is #GP, for
 * both instructions.
 *
 * On Xen the same list holds, but for DEBUGCTL, so a row that is wrong is seen there.
 */
#include "guest.h"
#include "tap.h"
#include "trap.h"

#include <paravane/msr-list.h>
#include <xen/arch-x86/xen.h>

#define MSR_ARCH_CAPABILITIES 0x10a

enum who { ANY, INTEL, AMD, DEVICES_INTEL };
enum on_access { VALUE, OWN, KEPT, NEVER, REFUSED, IGNORED, SAME };

static const struct row {
    uint32_t first, last;
    const char *name, *who_text;
    uint64_t value;
    enum who who;
    enum on_access read, write;
} rows[] = {
#define MSR(first, last, name, who, read, value, write, what) \
    {first, last, name, #who, value, who, read, write},
    MSR_LIST(MSR)
#undef MSR
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool is_amd, has_rdtscp, has_arch_capabilities;

static void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile(XEN_CPUID
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "0"(leaf), "2"(0));
}

static void look_around(void)
{
    uint32_t r[4];

    cpuid(0, r);
    is_amd = r[1] == 0x68747541 || r[1] == 0x6f677948; /* "Auth", "Hygo" */
    if (r[0] >= 7) {
        cpuid(7, r);
        has_arch_capabilities = r[3] >> 29 & 1;
    }
    cpuid(0x80000001, r);
    has_rdtscp = r[3] >> 27 & 1;
}

static bool read_msr(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    int trap = TRAPS(__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr)));

    *value = (uint64_t)high << 32 | low;
    if (trap != NO_TRAP && (trap != TRAP_GP || trap_last.error))
        tap_note("rdmsr %x: vector %d, error code %lx", msr, trap, trap_last.error);
    return trap == NO_TRAP;
}

static bool write_msr(uint32_t msr, uint64_t value)
{
    int trap =
        TRAPS(__asm__ volatile("wrmsr"
                               :
                               : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));

    if (trap != NO_TRAP && (trap != TRAP_GP || trap_last.error))
        tap_note("wrmsr %x: vector %d, error code %lx", msr, trap, trap_last.error);
    return trap == NO_TRAP;
}

static bool applies(const struct row *r)
{
    if (r->first == 0xc0000103 && !has_rdtscp)
        return false;
    switch (r->who) {
    case INTEL:
        return !is_amd;
    case AMD:
        return is_amd;
    case DEVICES_INTEL:
        return !is_amd && guest_is_first();
    default:
        return true;
    }
}

/* --- the rows -------------------------------------------------------------------------------- */

static bool reads_right(const struct row *r, uint32_t msr)
{
    uint64_t value;
    bool read = read_msr(msr, &value);

    if (r->read == NEVER ? !read : read && (r->read == OWN || value == r->value))
        return true;
    tap_note("rdmsr %x: %s, %lx", msr, read ? "read" : "#GP", value);
    return false;
}

/* Is @value taken, and read back as @then?  For registers that can be read. */
static bool takes(const struct row *r, uint32_t msr, uint64_t value, uint64_t then)
{
    uint64_t back = then;

    if (write_msr(msr, value) && (r->read == NEVER || (read_msr(msr, &back) && back == then)))
        return true;
    tap_note("wrmsr %x, %lx: read back %lx", msr, value, back);
    return false;
}

static bool refuses(uint32_t msr, uint64_t value)
{
    if (!write_msr(msr, value))
        return true;
    tap_note("wrmsr %x, %lx: taken", msr, value);
    return false;
}

static bool writes_right(const struct row *r, uint32_t msr)
{
    const uint64_t some = 0x5a5a5a5aa5a5a5a5;
    uint64_t now = 0;

    if (r->read != NEVER)
        read_msr(msr, &now);
    switch (r->write) {
    case REFUSED:
        return refuses(msr, 0) && refuses(msr, now) && refuses(msr, ~0ul);
    case IGNORED:
        return takes(r, msr, 0, now) && takes(r, msr, now, now) && takes(r, msr, some, now) &&
               takes(r, msr, ~0ul, now);
    case SAME:
        return takes(r, msr, now, now) && refuses(msr, now ^ 1) && refuses(msr, ~0ul);
    case KEPT:
        return takes(r, msr, some, some) && takes(r, msr, ~0ul, ~0ul) && takes(r, msr, now, now);
    default:
        return true;
    }
}

static void test_rows(void)
{
    for (const struct row *r = rows; r < rows + ROWS; r++) {
        bool read = true, write = true;
        if (!applies(r)) {
            tap_skip("not on this processor", "rdmsr %x, %s: %s", r->first, r->who_text, r->name);
            continue;
        }
        for (uint32_t msr = r->first; msr <= r->last; msr++) {
            read = read && reads_right(r, msr);
            write = write && writes_right(r, msr);
        }
        tap_ok(read, "rdmsr %x, %s: %s", r->first, r->who_text, r->name);
        tap_ok(write, "wrmsr %x, %s: %s", r->first, r->who_text, r->name);
    }
}

/* --- registers of the vCPU's own ------------------------------------------------------------- */

static void test_own(void)
{
    uint64_t a, b;

    read_msr(0x10, &a), read_msr(0x10, &b);
    tap_ok(a < b, "the TSC goes on");
    read_msr(0x1b, &a);
    tap_is_hex(a, 0xfee00900, "APIC_BASE");
    read_msr(0x8b, &a);
    tap_is_hex(a, is_amd ? 0x01000065 : 1ul << 32, "PATCH_LEVEL");
    tap_is(write_msr(0x8b, 0), !is_amd, "PATCH_LEVEL: 0 is written before it is read, on Intel");
    tap_ok(refuses(0x8b, 1), "PATCH_LEVEL: 1 is #GP");
    read_msr(0xc0000080, &a);
    tap_is_hex(a, 0xd01, "EFER");
    if (!has_rdtscp) {
        tap_skip("no RDTSCP", "TSC_AUX is kept");
        tap_skip("no RDTSCP", "TSC_AUX has 32 bits");
        return;
    }
    write_msr(0xc0000103, 0x12345678);
    read_msr(0xc0000103, &a);
    tap_is_hex(a, 0x12345678, "TSC_AUX is kept");
    tap_ok(refuses(0xc0000103, 1ul << 32), "TSC_AUX has 32 bits");
}

/* --- all other numbers ----------------------------------------------------------------------- */

static bool listed(uint32_t msr)
{
    /* Xen 4.17 shows it to domain 0 on some processors, and says so in CPUID. */
    if (msr == MSR_ARCH_CAPABILITIES && has_arch_capabilities)
        return true;
    for (const struct row *r = rows; r < rows + ROWS; r++)
        if (msr >= r->first && msr <= r->last && applies(r))
            return true;
    return false;
}

static void test_others(void)
{
    static const struct {
        uint32_t first, last;
        const char *name;
    } ranges[] = {
        {0x00000000, 0x00001fff, "0 to 1fff: those of all processors"},
        {0x40000000, 0x400000ff, "40000000 to 400000ff: hypervisors'"},
        {0x4b564d00, 0x4b564dff, "4b564d00 to 4b564dff: another hypervisor's"},
        {0xc0000000, 0xc0001fff, "c0000000 to c0001fff: AMD's first"},
        {0xc0010000, 0xc0011fff, "c0010000 to c0011fff: AMD's second"},
    };

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        unsigned wrong = 0;
        for (uint32_t msr = ranges[i].first; msr <= ranges[i].last; msr++) {
            uint64_t value;
            if (listed(msr))
                continue;
            bool read = read_msr(msr, &value), write = write_msr(msr, 0);
            if ((read || write) && wrong++ < 8)
                tap_note("%x:%s%s", msr, read ? " read" : "", write ? " written" : "");
        }
        tap_is(wrong, 0, "what is not listed is #GP, %s", ranges[i].name);
    }
}

void guest_main(void)
{
    look_around();
    test_rows();
    test_own();
    test_others();
}
