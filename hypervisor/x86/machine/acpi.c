/*
 * ACPI, the little of it that a hypervisor without device drivers needs: the MADT for processors
 * and interrupt wiring, the FADT for the PM timer, soft-off and reset.  Without any tables the
 * wiring of every PC since 1996 is assumed.
 *
 * Tables are believed only after their checksum; lengths are bounded, because they are mapped page
 * by page.
 */
#include "machine.h"
#include "guest.h"

struct acpi_info acpi = {
    .lapic = 0xfee00000,
    .ioapic = 0xfec00000,
    .isa_gsi = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    .reset_space = 0xff,
};

#define TABLE_LIMIT 0x100000u /* 1 MiB: no sane table is larger */

struct __attribute__((packed)) table_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
};

static bool checksum_ok(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    uint8_t sum = 0;
    while (n--)
        sum = (uint8_t)(sum + *bytes++);
    return sum == 0;
}

/* Unaligned little-endian fields by offset. */
static uint32_t u32_at(const void *p, unsigned offset)
{
    uint32_t v;
    memcpy(&v, (const char *)p + offset, sizeof(v));
    return v;
}

static uint64_t u64_at(const void *p, unsigned offset)
{
    uint64_t v;
    memcpy(&v, (const char *)p + offset, sizeof(v));
    return v;
}

static uint16_t u16_at(const void *p, unsigned offset)
{
    uint16_t v;
    memcpy(&v, (const char *)p + offset, sizeof(v));
    return v;
}

static uint8_t u8_at(const void *p, unsigned offset)
{
    return ((const uint8_t *)p)[offset];
}

/* The table at machine address @at, whole and with a good checksum; NULL otherwise. */
static const struct table_header *table_map(uint64_t at)
{
    const struct table_header *t = at ? device_map(at, sizeof(*t)) : NULL;
    if (!t || t->length < sizeof(*t) || t->length > TABLE_LIMIT)
        return NULL;
    if (at % PAGE_SIZE + t->length > PAGE_SIZE) {
        t = device_map(at, t->length);
        if (!t)
            return NULL;
    }
    return checksum_ok(t, t->length) ? t : NULL;
}

/* --- MADT ------------------------------------------------------------------------------------ */

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5 };

static void madt_entry(const uint8_t *e, unsigned length)
{
    switch (e[0]) {
    case MADT_LAPIC:
        if (length >= 8 && u32_at(e, 4) & 1 && acpi.cpus < MAX_CPUS)
            acpi.acpi_id[acpi.cpus] = e[2], acpi.apic_id[acpi.cpus++] = e[3];
        break;
    case MADT_IOAPIC:
        if (length >= 12 && u32_at(e, 8) == 0)
            acpi.ioapic = u32_at(e, 4);
        if (length >= 12 && acpi.ioapics < ARRAY_SIZE(acpi.all_ioapics))
            acpi.all_ioapics[acpi.ioapics++] = u32_at(e, 4);
        break;
    case MADT_OVERRIDE:
        if (length >= 10 && e[3] < 16) {
            acpi.isa_gsi[e[3]] = u32_at(e, 4);
            acpi.isa_flags[e[3]] = u16_at(e, 8);
        }
        break;
    case MADT_LAPIC_ADDRESS:
        if (length >= 12)
            acpi.lapic = u64_at(e, 4);
        break;
    }
}

static void madt_read(const struct table_header *t)
{
    if (t->length < 44)
        return;
    acpi.lapic = u32_at(t, 36);
    const uint8_t *p = (const uint8_t *)t + 44, *end = (const uint8_t *)t + t->length;
    while (end - p >= 2 && p[1] >= 2 && p[1] <= end - p) {
        madt_entry(p, p[1]);
        p += p[1];
    }
}

/* --- MCFG: where PCI configuration space lies in memory (ECAM) -------------------------------- */

static void mcfg_read(const struct table_header *t)
{
    const uint8_t *p = (const uint8_t *)t + 44, *end = (const uint8_t *)t + t->length;

    for (; end - p >= 16 && acpi.ecams < ARRAY_SIZE(acpi.ecam); p += 16)
        if (p[10] <= p[11])
            acpi.ecam[acpi.ecams++] = (struct pci_ecam){
                .address = u64_at(p, 0),
                .segment = u16_at(p, 8),
                .first_bus = p[10],
                .last_bus = p[11],
            };
}

/* --- FADT, and \_S5 in the DSDT -------------------------------------------------------------- */

/* One small integer of an AML package: a byte constant, or the opcodes Zero and One. */
static const uint8_t *aml_byte(const uint8_t *p, uint8_t *value)
{
    if (*p == 0x0a) {
        *value = p[1];
        return p + 2;
    }
    *value = *p;
    return p + 1;
}

/* "_S5_" names a package whose first two elements are what to write to PM1a and PM1b.  AML is not
 * parsed: the name followed by a package opcode is unmistakable. */
static void dsdt_read(const struct table_header *t)
{
    const uint8_t *p = (const uint8_t *)t, *end = p + t->length - 16;
    for (p += sizeof(*t); p < end; p++) {
        if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
            continue;
        const uint8_t *q = p + 5;
        q += 1 + (*q >> 6); /* package length: 1 to 4 bytes */
        q++;                /* number of elements */
        q = aml_byte(q, &acpi.s5_a);
        aml_byte(q, &acpi.s5_b);
        acpi.has_s5 = true;
        return;
    }
}

static void fadt_read(const struct table_header *t)
{
    if (t->length < 116)
        return;
    acpi.pm1a_control = (uint16_t)u32_at(t, 64);
    acpi.pm1b_control = (uint16_t)u32_at(t, 68);
    acpi.pm_timer = (uint16_t)u32_at(t, 76);
    if (t->length >= 129 && u32_at(t, 112) & BIT(10)) {
        acpi.reset_space = u8_at(t, 116);
        acpi.reset_address = u64_at(t, 120);
        acpi.reset_value = u8_at(t, 128);
    }
    uint64_t dsdt = t->length >= 148 && u64_at(t, 140) ? u64_at(t, 140) : u32_at(t, 40);
    const struct table_header *d = table_map(dsdt);
    if (d && !memcmp(d->signature, "DSDT", 4))
        dsdt_read(d);
}

void arch_cpu_ids(unsigned cpu, uint32_t *apic_id, uint32_t *acpi_id)
{
    *apic_id = percpu_of(cpu)->apic_id;
    *acpi_id = cpu;
    for (unsigned i = 0; i < acpi.cpus; i++)
        if (acpi.apic_id[i] == *apic_id)
            *acpi_id = acpi.acpi_id[i];
}

/* --- the root -------------------------------------------------------------------------------- */

static const char *rsdp_scan(uint64_t start, uint64_t size)
{
    const char *p = device_map(start, size);
    if (!p)
        return NULL;
    for (const char *end = p + size; p + 36 <= end; p += 16)
        if (!memcmp(p, "RSD PTR ", 8) && checksum_ok(p, 20))
            return p;
    return NULL;
}

static const char *rsdp_find(void)
{
    const uint16_t *bios_data = device_map(0x40e, 2);
    uint64_t ebda = bios_data ? (uint64_t)*bios_data << 4 : 0;
    const char *found = NULL;
    if (ebda >= 0x80000 && ebda < 0xa0000)
        found = rsdp_scan(ebda, 0x400);
    return found ? found : rsdp_scan(0xe0000, 0x20000);
}

void acpi_init(void)
{
    const char *rsdp = rsdp_find();
    if (!rsdp)
        return;
    bool wide = u8_at(rsdp, 15) >= 2 && u64_at(rsdp, 24);
    const struct table_header *root = table_map(wide ? u64_at(rsdp, 24) : u32_at(rsdp, 16));
    if (!root)
        return;
    acpi.found = true;
    unsigned step = wide ? 8 : 4;
    for (unsigned at = sizeof(*root); at + step <= root->length; at += step) {
        const struct table_header *t = table_map(wide ? u64_at(root, at) : u32_at(root, at));
        if (t && !memcmp(t->signature, "APIC", 4))
            madt_read(t);
        if (t && !memcmp(t->signature, "MCFG", 4))
            mcfg_read(t);
        if (t && !memcmp(t->signature, "HPET", 4) && t->length >= 52)
            acpi.hpet = u64_at(t, 44);
        if (t && !memcmp(t->signature, "FACP", 4))
            fadt_read(t);
    }
}
