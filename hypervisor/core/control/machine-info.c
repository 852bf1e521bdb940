/* What a toolstack sees of the machine: memory, processors, one node. */
#include "control.h"

#include "lib.h"
#include "page.h"

#define NODES_MAX     64u /* Xen's, so that "the highest node there can be" is the same */
#define DISTANCE_SELF 10u /* of a node to itself, in ACPI's units */
#define FEATURE_WORDS \
    19u /* of <xen/arch-x86/cpufeatureset.h>, with those that have no feature yet */

static uint64_t ram_frames(uint64_t *limit)
{
    uint64_t start, end, frames = 0;

    *limit = 0;
    for (unsigned i = 0; arch_ram_range(i, &start, &end); i++) {
        frames += (end - start) >> PAGE_SHIFT;
        *limit = end >> PAGE_SHIFT;
    }
    return frames;
}

void physinfo_get(struct xen_sysctl_physinfo *op)
{
    uint64_t limit;

    memset(op, 0, sizeof(*op));
    arch_cpu_features(op->hw_cap, ARRAY_SIZE(op->hw_cap), false);
    /* Processors are not told to be threads of a core, or cores of a socket. */
    op->threads_per_core = op->cores_per_socket = 1;
    for (uint64_t set = arch_cpus_online(); set; set &= set - 1)
        op->nr_cpus++;
    op->max_cpu_id = control_cpu_limit() - 1;
    op->nr_nodes = 1;
    op->max_node_id = NODES_MAX - 1;
    op->cpu_khz = arch_tsc_khz();
    op->capabilities =
        XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
    op->total_pages = ram_frames(&limit);
    op->free_pages = page_free_count();
    op->max_mfn = limit - 1;
}

int cputopoinfo_get(struct xen_sysctl_cputopoinfo *op)
{
    const guest_ptr_t to = control_pointer(op->cputopo);
    const unsigned cpus = control_cpu_limit();

    for (unsigned i = 0; to.va && i < MIN(cpus, op->num_cpus); i++) {
        const struct xen_sysctl_cputopo cpu = {.core = 0, .socket = i, .node = 0};
        if (guest_write(guest_ptr_add(to, i * sizeof(cpu)), &cpu, sizeof(cpu)))
            return refuse(ARGUMENT_UNREADABLE, to.va);
    }
    op->num_cpus = to.va ? MIN(cpus, op->num_cpus) : cpus;
    return 0;
}

int numainfo_get(struct xen_sysctl_numainfo *op)
{
    const guest_ptr_t memory = control_pointer(op->meminfo),
                      distance = control_pointer(op->distance);
    const unsigned nodes = memory.va || distance.va ? MIN(op->num_nodes, 1u) : 1;
    struct xen_sysctl_meminfo info = {.memfree = page_free_count() << PAGE_SHIFT};
    uint64_t limit;

    (void)ram_frames(&limit);
    info.memsize = limit << PAGE_SHIFT; /* what the node spans */
    if (nodes && memory.va && guest_write(memory, &info, sizeof(info)))
        return refuse(ARGUMENT_UNREADABLE, memory.va);
    if (nodes && distance.va && guest_write_u32(distance, DISTANCE_SELF))
        return refuse(ARGUMENT_UNREADABLE, distance.va);
    op->num_nodes = nodes;
    return 0;
}

/* Hardware-assisted guests have no features: there are none. */
static bool featureset_exists(uint32_t index)
{
    return index <= XEN_SYSCTL_cpu_featureset_pv_max && index != XEN_SYSCTL_cpu_featureset_hvm;
}

int featureset_get(struct xen_sysctl_cpu_featureset *op)
{
    const guest_ptr_t to = control_pointer(op->features);
    const unsigned n = MIN(op->nr_features, FEATURE_WORDS);
    uint32_t words[FEATURE_WORDS];

    if (!to.va) {
        op->nr_features = FEATURE_WORDS;
        return 0;
    }
    op->nr_features = n;
    if (!featureset_exists(op->index))
        return refuse(FEATURESET_UNKNOWN, op->index);
    arch_cpu_features(words, FEATURE_WORDS, op->index >= XEN_SYSCTL_cpu_featureset_pv);
    if (n && guest_write(to, words, n * sizeof(*words)))
        return refuse(ARGUMENT_UNREADABLE, to.va);
    return n < FEATURE_WORDS ? refuse(FEATURESET_NO_ROOM, n, FEATURE_WORDS) : 0;
}
