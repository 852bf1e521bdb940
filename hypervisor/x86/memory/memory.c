/*
 * Memory at boot: which RAM there is, what lies in it already, and the two tables
 * that know every frame.
 *
 *   ram[]     what the loader's map calls available, whole pages, ascending
 *   vacant[]  ram[] without the image, the modules and what boot_alloc() gave away
 *
 * boot_alloc() takes from the lowest vacant range that fits, so that what the hypervisor keeps
 * stays together at the bottom and guests get large aligned blocks.
 */
#include "machine.h"
#include "guest.h"

struct ram_range ram[MAX_RAM_RANGES];
unsigned ram_count;

static struct ram_range vacant[MAX_RAM_RANGES + 96];
static unsigned vacant_count;

#define DIRECT_SIZE (DIRECT_END - DIRECT_VIRT)

void memory_map_add(uint64_t start, uint64_t end)
{
    start = ROUND_UP(start, PAGE_SIZE);
    end = MIN(ROUND_DOWN(end, PAGE_SIZE), DIRECT_SIZE);
    if (start >= end || ram_count == MAX_RAM_RANGES)
        return;

    /* Insertion keeps the list sorted. */
    unsigned at = ram_count++;
    for (; at > 0 && ram[at - 1].start > start; at--)
        ram[at] = ram[at - 1];
    ram[at] = (struct ram_range){start, end};
}

void memory_map_done(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < ram_count; i++) {
        if (kept && ram[i].start <= ram[kept - 1].end)
            ram[kept - 1].end = MAX(ram[kept - 1].end, ram[i].end);
        else
            ram[kept++] = ram[i];
    }
    ram_count = kept;
    if (ram_count)
        max_mfn = ram[ram_count - 1].end >> PAGE_SHIFT;

    for (unsigned i = 0; i < ram_count; i++)
        vacant[i] = ram[i];
    vacant_count = ram_count;
}

void memory_reserve(uint64_t start, uint64_t end)
{
    start = ROUND_DOWN(start, PAGE_SIZE);
    end = ROUND_UP(end, PAGE_SIZE);
    unsigned count = vacant_count;
    for (unsigned i = 0; i < count; i++) {
        struct ram_range was = vacant[i];
        if (start >= was.end || end <= was.start)
            continue;
        vacant[i].end = MAX(was.start, MIN(start, was.end));
        if (end < was.end && vacant_count < ARRAY_SIZE(vacant))
            vacant[vacant_count++] = (struct ram_range){end, was.end};
    }
}

/* --- is memory zero? ----------------------------------------------------------------------- */

/*
 * What RAM holds when we start is the firmware's, the loader's, or that of whoever ran before a
 * reset: it is scrubbed before a domain gets it.  An emulator's new machine has zeroes there; who
 * starts one says bootscrub=no, and saves the scrubbing.  A reset runs the same command line again,
 * so the word is believed only if what earlier boots leave is not found: their mark, in a frame
 * that nobody is given, and whatever else lies where this boot takes memory for itself, which is
 * where they took theirs.  And only for memory that neither firmware nor loader works in.
 */
#define FIRMWARE_WORKS \
    0x1200000ull /* below the end of RAM under 4 GiB: SeaBIOS runs 16 MiB below that end, and \
                    allocates from there */
#define BOOT_MARK 0x6b72616d746f6f62ull /* "bootmark" */

static uint64_t loader_end; /* what the loader brought ends here */
static bool boot_found_data;
static unsigned boot_looked; /* pages */
#define PAGES_TO_LOOK_AT 16u /* at least, to believe */

_Static_assert(BOOT_MARK_PHYS % 8 == 0 &&
                   BOOT_MARK_PHYS >> PAGE_SHIFT == AP_ENTRY_PHYS >> PAGE_SHIFT,
               "the mark lies behind the code that other CPUs start in");

void memory_loader_used(uint64_t start, uint64_t size)
{
    loader_end = MAX(loader_end, ROUND_UP(start + size, PAGE_SIZE));
}

/* Look at memory that boot takes for itself, behind the loader's.  The first words of a page do: of
 * those that an earlier boot used, page tables, frame table, numbers, hardly one has zeroes in all
 * of them. */
static void look_for_data(uint64_t from, uint64_t pages)
{
    for (; pages--; from += PAGE_SIZE) {
        const uint64_t *at = maddr_to_virt(from);
        if (from < loader_end)
            continue;
        boot_looked++;
        if (at[0] | at[1] | at[2] | at[3] | at[4] | at[5] | at[6] | at[7])
            boot_found_data = true;
    }
}

/* How many frames of [first, first + count) are RAM? */
static uint64_t frames_of_ram(uint64_t first, uint64_t count)
{
    uint64_t have = 0;
    for (unsigned i = 0; i < ram_count; i++) {
        uint64_t start = MAX(first, ram[i].start >> PAGE_SHIFT);
        uint64_t end = MIN(first + count, ram[i].end >> PAGE_SHIFT);
        have += end > start ? end - start : 0;
    }
    return have;
}

/* Was the mark there?  Where it cannot be left, who knows. */
static bool boot_mark_set(void)
{
    if (!frames_of_ram(BOOT_MARK_PHYS >> PAGE_SHIFT, 1))
        return true;
    uint64_t *mark = maddr_to_virt(BOOT_MARK_PHYS), old = *mark;

    *mark = BOOT_MARK;
    return old != 0;
}

static uint64_t low_ram_end(void)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < ram_count; i++)
        if (ram[i].end <= BIT(32))
            end = ram[i].end;
    return end;
}

bool memory_is_zero(void)
{
    static enum { UNKNOWN, ZERO, NOT_ZERO } answer;

    if (answer == UNKNOWN) {
        bool marked = boot_mark_set();
        answer = cmdline_denies("bootscrub") && !marked && boot_looked >= PAGES_TO_LOOK_AT &&
                         !boot_found_data
                     ? ZERO
                     : NOT_ZERO;
    }
    return answer == ZERO;
}

/* Frames [@first, @end) of one range of RAM: where the part ends that begins at @first and is zero,
 * or not, as a whole. */
static uint64_t zero_part(uint64_t first, uint64_t end, bool *zero)
{
    const uint64_t low = MAX(loader_end, 0x100000ull) >> PAGE_SHIFT,
                   high = low_ram_end() >> PAGE_SHIFT,
                   firmware = high - MIN(high, FIRMWARE_WORKS >> PAGE_SHIFT);
    const uint64_t border[] = {low, firmware, high};

    *zero = memory_is_zero() && first >= low && (first < firmware || first >= high);
    for (unsigned i = 0; i < ARRAY_SIZE(border); i++)
        if (first < border[i])
            end = MIN(end, border[i]);
    return end;
}

/* The lowest vacant range from @least up with room for @size bytes below @limit, or NULL. */
static struct ram_range *vacant_range(uint64_t least, uint64_t size, uint64_t limit)
{
    struct ram_range *best = NULL;
    for (unsigned i = 0; i < vacant_count; i++) {
        struct ram_range *r = &vacant[i];
        if (r->start < least || r->end - r->start < size || r->start + size > limit)
            continue;
        if (!best || r->start < best->start)
            best = r;
    }
    return best;
}

/* boot_alloc(), but whoever gets it fills it. */
static uint64_t boot_take(uint64_t pages, uint64_t limit)
{
    uint64_t size = pages << PAGE_SHIFT;
    /* Behind the loader's, where look_for_data() learns something.  Conventional memory is left for
     * trampolines and guests: it is too small to matter here. */
    struct ram_range *best = vacant_range(MAX(loader_end, 0x100000ull), size, limit);
    if (!best)
        best = vacant_range(0x100000, size, limit);
    if (!best)
        return 0;
    uint64_t at = best->start;
    best->start += size;
    look_for_data(at, pages);
    return at;
}

uint64_t boot_alloc(uint64_t pages, uint64_t limit)
{
    uint64_t at = boot_take(pages, limit);
    if (at)
        memset(maddr_to_virt(at), 0, pages << PAGE_SHIFT);
    return at;
}

/* --- the frame table and the machine-to-phys table ------------------------------------------- */

#define FRAMES_PER_INFO_PAGE (PAGE_SIZE / sizeof(struct page_info)) /* 256: 1 MiB of RAM */
#define FRAMES_PER_M2P_PAGE  (PAGE_SIZE / sizeof(uint64_t))         /* 512: 2 MiB of RAM */

/* A page that the caller fills. */
static uint64_t must_boot_take(void)
{
    uint64_t at = boot_take(1, ~0ull);
    if (!at)
        cannot_boot(VERDICT_MEMORY, "too little memory for the frame table");
    return at;
}

/*
 * Every frame below max_mfn has an entry that can be read.  Where there is no RAM the entries
 * come from one page for all, mapped read-only: owner OWNER_IO, refs 0.  Half gigabytes without
 * RAM share the whole L1 table of it.  All RAM is the hypervisor's own until memory_to_allocator().
 */
static void frame_table_map(void)
{
    static struct page_info ours[FRAMES_PER_INFO_PAGE];
    uint64_t hole = must_boot_take(), hole_l1 = 0;
    struct page_info *none = maddr_to_virt(hole);
    for (unsigned i = 0; i < FRAMES_PER_INFO_PAGE; i++) {
        none[i] = (struct page_info){.owner = OWNER_IO};
        ours[i].owner = OWNER_HYPERVISOR;
    }

    uint64_t pages = ROUND_UP(max_mfn, FRAMES_PER_INFO_PAGE) / FRAMES_PER_INFO_PAGE;
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t va = FRAME_TABLE_VIRT + i * PAGE_SIZE;
        uint64_t first = i * FRAMES_PER_INFO_PAGE;

        if (i % PT_ENTRIES == 0 && !frames_of_ram(first, FRAMES_PER_INFO_PAGE * PT_ENTRIES)) {
            if (!hole_l1) {
                hole_l1 = must_boot_take();
                uint64_t *l1 = maddr_to_virt(hole_l1);
                for (unsigned j = 0; j < PT_ENTRIES; j++)
                    l1[j] = hole | PTE_P | PTE_A | PTE_NX;
            }
            *hyp_entry(va, 2) = hole_l1 | PTE_P | PTE_A;
            i += PT_ENTRIES - 1;
            continue;
        }
        uint64_t have = frames_of_ram(first, FRAMES_PER_INFO_PAGE);
        if (!have) {
            *hyp_l1_entry(va) = hole | PTE_P | PTE_A | PTE_NX;
            continue;
        }
        uint64_t at = must_boot_take();
        struct page_info *page = maddr_to_virt(at);
        memcpy(page, ours, PAGE_SIZE);
        if (have < FRAMES_PER_INFO_PAGE)
            for (unsigned j = 0; j < FRAMES_PER_INFO_PAGE; j++)
                if (!frames_of_ram(first + j, 1))
                    page[j] = none[j];
        *hyp_l1_entry(va) = at | PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX;
    }
}

/* The table that guests read to learn a frame's pfn: contiguous for each 2 MiB of it if there is
 * room (XENMEM_machphys_mfn_list names such pieces by their first frame), absent where there is no
 * RAM. */
static void m2p_map(void)
{
    uint64_t pages = ROUND_UP(max_mfn, FRAMES_PER_M2P_PAGE) / FRAMES_PER_M2P_PAGE;
    for (uint64_t piece = 0; piece < pages; piece += PT_ENTRIES) {
        uint64_t n = MIN(pages - piece, PT_ENTRIES);
        if (!frames_of_ram(piece * FRAMES_PER_M2P_PAGE, n * FRAMES_PER_M2P_PAGE))
            continue;
        uint64_t at = n > 1 ? boot_take(n, ~0ull) : 0;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t page = at ? at + i * PAGE_SIZE : must_boot_take();
            memset(maddr_to_virt(page), 0xff, PAGE_SIZE);
            *hyp_l1_entry(M2P_VIRT + (piece + i) * PAGE_SIZE) =
                page | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_NX;
            page_show(mfn_to_page(maddr_to_mfn(page)));
        }
    }
}

void frame_table_init(void)
{
    frame_table = (struct page_info *)FRAME_TABLE_VIRT;
    frame_table_size = max_mfn * sizeof(struct page_info);
    machine_to_phys = (uint64_t *)M2P_VIRT;
    frame_table_map();
    m2p_map();
}

void memory_to_allocator(void)
{
    for (unsigned i = 0; i < vacant_count; i++) {
        uint64_t first = vacant[i].start >> PAGE_SHIFT, end = vacant[i].end >> PAGE_SHIFT;
        while (first < end) {
            bool zero;
            uint64_t next = zero_part(first, end, &zero);
            page_alloc_add(mfn(first), next - first, zero);
            first = next;
        }
    }
    vacant_count = 0;
}

void arch_flush_cache(void)
{
    __asm__ volatile("wbinvd" ::: "memory");
}

bool arch_ram_range(unsigned i, uint64_t *start, uint64_t *end)
{
    if (i >= ram_count)
        return false;
    *start = ram[i].start;
    *end = ram[i].end;
    return true;
}

mfn_t arch_m2p_frame(uint64_t i)
{
    uint64_t first = i * FRAMES_PER_M2P_PAGE * PT_ENTRIES;
    if (!frames_of_ram(first, FRAMES_PER_M2P_PAGE * PT_ENTRIES))
        return mfn(MFN_NONE);
    return pte_mfn(pte(*hyp_l1_entry((uint64_t)&machine_to_phys[first])));
}
