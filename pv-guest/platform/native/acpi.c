/*
 * ACPI, the little of it that is needed: the MADT for processors and interrupt
 * wiring, the FADT for switching off.  Tables are believed only after their
 * checksum; without any, the wiring of every PC since 1996 is assumed.
 */
#include "kernel/lib/text.h"
#include "platform/native/machine.h"

struct acpi acpi = {
    .cpus = 1,
    .lapic = 0xfee00000,
    .ioapic = 0xfec00000,
    .isa_gsi = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};

#define TABLE_HEADER 36
#define TABLE_LIMIT  0x40000u /* no sane table is larger */

/* Fields are found by offset: little endian, aligned or not. */
static uint64_t field(const void *table, unsigned offset, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)table + offset, size);
    return value;
}

static uint32_t length_of(const void *table)
{
    return (uint32_t)field(table, 4, 4);
}

static bool checksum_good(const void *table, size_t size)
{
    const uint8_t *bytes = table;
    uint8_t sum = 0;
    while (size--)
        sum = (uint8_t)(sum + *bytes++);
    return sum == 0;
}

/* The table at @physical, whole and with a good checksum; else NULL. */
static const char *table_at(uint64_t physical)
{
    const char *table = physical ? device_map(physical, TABLE_HEADER) : NULL;
    const uint32_t length = table ? length_of(table) : 0;
    if (length < TABLE_HEADER || length > TABLE_LIMIT)
        return NULL;
    if (physical % PAGE_SIZE + length > PAGE_SIZE)
        table = device_map(physical, length);
    return table && checksum_good(table, length) ? table : NULL;
}

/* ---- MADT --------------------------------------------------------------------------- */

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5 };

static void madt_entry(const char *e, unsigned length)
{
    switch (e[0]) {
    case MADT_LAPIC:
        if (length >= 8 && (field(e, 4, 4) & 1) && acpi.cpus < CPU_MAX)
            acpi.apic_id[acpi.cpus++] = (uint8_t)e[3];
        break;
    case MADT_IOAPIC:
        if (length >= 12 && field(e, 8, 4) == 0)
            acpi.ioapic = field(e, 4, 4);
        break;
    case MADT_OVERRIDE:
        if (length >= 10 && (uint8_t)e[3] < ARRAY_SIZE(acpi.isa_gsi)) {
            acpi.isa_gsi[(uint8_t)e[3]] = (uint32_t)field(e, 4, 4);
            acpi.isa_flags[(uint8_t)e[3]] = (uint16_t)field(e, 8, 2);
        }
        break;
    case MADT_LAPIC_ADDRESS:
        if (length >= 12)
            acpi.lapic = field(e, 4, 8);
        break;
    }
}

static void madt_read(const char *t)
{
    const char *e = t + 44, *end = t + length_of(t);
    if (e > end)
        return;
    acpi.lapic = field(t, 36, 4);
    acpi.cpus = 0;
    for (; end - e >= 2 && e[1] >= 2 && e[1] <= end - e; e += e[1])
        madt_entry(e, (uint8_t)e[1]);
}

/* ---- FADT, and \_S5 in the DSDT ------------------------------------------------------ */

/*
 * "_S5_" names a package whose first element is what PM1a wants in its sleep-type
 * field.  AML is not parsed: the name followed by a package is unmistakable.
 */
static void dsdt_read(const char *t)
{
    for (const char *p = t + TABLE_HEADER, *end = t + length_of(t) - 12; p < end; p++) {
        if (memcmp(p, "_S5_\x12", 5))
            continue;
        p += 5;
        p += 2 + ((uint8_t)*p >> 6); /* package length, 1 to 4 bytes; number of elements */
        if (*p == 0x0a)              /* a byte follows; else Zero or One, as they are */
            p++;
        acpi.s5 = (uint16_t)(1u << 13 | (*p & 7u) << 10);
        return;
    }
}

static void fadt_read(const char *t)
{
    if (length_of(t) < 116)
        return;
    const char *dsdt = table_at(field(t, 40, 4));
    acpi.pm1a_control = (uint16_t)field(t, 64, 4);
    if (dsdt)
        dsdt_read(dsdt);
}

/* ---- The root ----------------------------------------------------------------------- */

void acpi_init(uint64_t rsdp)
{
    const char *pointer = rsdp ? device_map(rsdp, 20) : NULL;
    if (!pointer || memcmp(pointer, "RSD PTR ", 8) || !checksum_good(pointer, 20))
        return;
    const char *root = table_at(field(pointer, 16, 4));
    for (unsigned at = TABLE_HEADER; root && at + 4 <= length_of(root); at += 4) {
        const char *t = table_at(field(root, at, 4));
        if (t && !memcmp(t, "APIC", 4))
            madt_read(t);
        if (t && !memcmp(t, "FACP", 4))
            fadt_read(t);
    }
}
