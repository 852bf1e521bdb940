/*
 * The hypervisor's own page tables (drawn in layout.h).
 *
 * Every L4 table of every domain shares slots 256..271 with hypervisor_l4 by copying the sixteen
 * entries, so those entries never change after boot: each used slot gets its L3 table here, and
 * later mappings only fill tables below.  Access is decided at the top and at the leaf:
 *
 *   slot 256   L4 entry  US, read-only   ---.
 *                                            >  one L3 tree, leaves RW + US: machine-to-phys
 *   slot 257   L4 entry  RW, supervisor  ---'
 *   others     L4 entry  RW, supervisor; leaves W^X
 *
 * Nothing is both writable and executable, under any alias: where the direct map covers the image's
 * text and constants it is read-only.
 */
#include "machine.h"
#include "guest.h"

uint64_t *hypervisor_l4;

/* What the ABI fixes of layout.h. */
_Static_assert(M2P_GUEST_VIRT == HYPERVISOR_VIRT_START, "slot 256, read by guests");
_Static_assert(DIRECT_END == HYPERVISOR_VIRT_END, "the end of slot 271");
#define SLOT_OF(va) ((va) >> 39 & 511)
_Static_assert(SLOT_OF(M2P_GUEST_VIRT) == HYPERVISOR_SLOT_FIRST &&
                   SLOT_OF(DIRECT_END - 1) == HYPERVISOR_SLOT_LAST,
               "the ABI's sixteen slots");
_Static_assert(SLOT_OF(IMAGE_VIRT) == 260 && SLOT_OF(DIRECT_VIRT) == 262,
               "boot.S fills these by number");

static bool allocator_ready;
#define BOOT_MAP_LIMIT 0x40000000ull /* what boot.S maps */
static uint64_t boot_limit = BOOT_MAP_LIMIT;

#define PTE_TABLE    (PTE_P | PTE_RW | PTE_US | PTE_A)
#define PTE_OUR_RO   (PTE_P | PTE_A | PTE_NX)
#define PTE_OUR_TEXT (PTE_P | PTE_A)

uint64_t *hyp_table_alloc(void)
{
    if (allocator_ready)
        return page_alloc_zeroed(0);
    uint64_t at = boot_alloc(1, boot_limit);
    if (!at)
        cannot_boot(VERDICT_MEMORY, "too little memory for page tables");
    return maddr_to_virt(at);
}

uint64_t *hyp_entry(uint64_t va, int level)
{
    uint64_t *table = hypervisor_l4;
    for (int at = 4; at > level; at--) {
        uint64_t *entry = &table[pt_index(va, at)];
        if (!(*entry & PTE_P)) {
            uint64_t *next = hyp_table_alloc();
            if (!next)
                return NULL;
            /* US is harmless below a supervisor L4 entry, and needed below slot 256's. */
            *entry = mfn_to_maddr(virt_to_mfn(next)) | (at == 4 ? PTE_TABLE & ~PTE_US : PTE_TABLE);
        }
        table = maddr_to_virt(*entry & PTE_ADDR_MASK);
    }
    return &table[pt_index(va, level)];
}

uint64_t *hyp_l1_entry(uint64_t va)
{
    return hyp_entry(va, 1);
}

int hyp_map(uint64_t va, mfn_t m, uint64_t flags)
{
    uint64_t *entry = hyp_l1_entry(va);
    if (!entry)
        return -XEN_ENOMEM;
    *entry = mfn_to_maddr(m) | flags;
    return 0;
}

void hyp_unmap(uint64_t va)
{
    *hyp_l1_entry(va) = 0;
    arch_tlb_flush(arch_cpus_online(), false, va);
}

void hyp_move_low(uint64_t *l4)
{
    l4[0] = hypervisor_l4[0];
    hypervisor_l4[0] = 0;
    arch_tlb_flush(arch_cpus_online(), true, 0);
}

void *device_map(uint64_t maddr, uint64_t size)
{
    static uint64_t next = DEVICE_VIRT;
    uint64_t offset = maddr % PAGE_SIZE, va = next;
    for (uint64_t done = 0; done < offset + size; done += PAGE_SIZE) {
        if (hyp_map(next, maddr_to_mfn(maddr + done), PTE_OUR_DATA | PTE_PCD | PTE_PWT))
            return NULL;
        next += PAGE_SIZE;
    }
    return (void *)(va + offset);
}

void arch_fill_l4(uint64_t *l4)
{
    for (unsigned slot = HYPERVISOR_SLOT_FIRST; slot <= HYPERVISOR_SLOT_LAST; slot++)
        l4[slot] = hypervisor_l4[slot];
}

/* --- boot ------------------------------------------------------------------------------------ */

static bool has_gigabyte_pages(void)
{
    uint32_t r[4];
    cpuid(0x80000001, 0, r);
    return r[3] & BIT(26);
}

/* May the page at machine address @at be written through the direct map? */
static uint64_t direct_flags(uint64_t at)
{
    bool constant = at >= image_phys(image_start) && at < image_phys(rodata_end);
    return constant ? PTE_OUR_RO : PTE_OUR_DATA;
}

/* Does [at, at + size) hold a part of the image?  Its pages have permissions of their own. */
static bool is_image(uint64_t at, uint64_t size)
{
    return at < image_phys(bss_end) && at + size > image_phys(image_start);
}

static void map_direct(uint64_t at, uint64_t end)
{
    const bool gigabytes = has_gigabyte_pages();
    uint64_t size;
    for (; at < end; at += size) {
        int level = 1;
        for (int l = gigabytes ? 3 : 2; l > 1; l--) {
            size = PAGE_SIZE << 9 * (l - 1);
            if (at % size == 0 && end - at >= size && !is_image(at, size)) {
                level = l;
                break;
            }
        }
        size = PAGE_SIZE << 9 * (level - 1);
        *hyp_entry(DIRECT_VIRT + at, level) = at | direct_flags(at) | (level > 1 ? PTE_PSE : 0);
    }
}

static void map_image(void)
{
    for (const char *p = image_start; p < bss_end; p += PAGE_SIZE) {
        uint64_t flags = p < text_end ? PTE_OUR_TEXT : p < rodata_end ? PTE_OUR_RO : PTE_OUR_DATA;
        *hyp_l1_entry((uint64_t)p) = image_phys(p) | flags;
    }
}

void paging_init(void)
{
    hypervisor_l4 = hyp_table_alloc();
    for (unsigned i = 0; i < ram_count; i++)
        map_direct(ram[i].start, ram[i].end);
    map_image();

    /* Each slot that is used after boot has its L3 now; 256 and 257 share one. */
    hyp_entry(M2P_VIRT, 3);
    hyp_entry(FRAME_TABLE_VIRT, 3);
    hyp_entry(VCPU_AREA_VIRT, 3);
    hyp_entry(PERCPU_VIRT, 3);
    hyp_entry(DEVICE_VIRT, 3);
    hypervisor_l4[pt_index(M2P_GUEST_VIRT, 4)] =
        (hypervisor_l4[pt_index(M2P_VIRT, 4)] & ~PTE_RW) | PTE_US | PTE_NX;

    write_cr3(mfn_to_maddr(virt_to_mfn(hypervisor_l4)));
    boot_limit = ~0ull;
    frame_table_init();
    memory_to_allocator();
    allocator_ready = true;
}

void paging_protect(const void *va)
{
    uint64_t at = image_phys(va);
    *hyp_l1_entry((uint64_t)va) = at | PTE_OUR_RO;
    *hyp_l1_entry(DIRECT_VIRT + at) = at | PTE_OUR_RO;
    arch_tlb_flush_local();
}

void paging_free_boot_tables(void)
{
    for (char *p = boot_only_start; p < boot_only_end; p += PAGE_SIZE)
        *hyp_l1_entry((uint64_t)p) = 0;
    arch_tlb_flush_local();
    page_alloc_add(maddr_to_mfn(image_phys(boot_only_start)),
                   (uint64_t)(boot_only_end - boot_only_start) >> PAGE_SHIFT, false);
}
