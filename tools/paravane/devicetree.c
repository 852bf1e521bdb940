/* Writing the hyperlaunch tree with libfdt's sequential writer.  See devicetree.h. */
#include "devicetree.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

/* Bits of `mode`, in Xen's published binding. */
enum { MODE_PV = 1 << 0, MODE_LONG = 1 << 2 };

/* Properties of several strings, as the literal that holds their NULs. */
#define STRINGS(fdt, name, literal) fdt_property(fdt, name, literal, sizeof(literal))

/* KiB as two cells, high and low. */
static int write_memory(void *fdt, const char *name, uint64_t mib)
{
    return fdt_property_u64(fdt, name, mib << 10);
}

static int write_kernel(void *fdt, const struct domain *d, unsigned index)
{
    char node[32];
    snprintf(node, sizeof(node), "module@%u", index);
    int rc = fdt_begin_node(fdt, node);
    rc = rc ? rc : STRINGS(fdt, "compatible", "module,kernel\0multiboot,module");
    rc = rc ? rc : fdt_property_u32(fdt, "mb-index", index);
    rc = rc ? rc : fdt_property_string(fdt, "bootargs", d->command_line);
    return rc ? rc : fdt_end_node(fdt);
}

static int write_ramdisk(void *fdt, unsigned index)
{
    char node[32];
    snprintf(node, sizeof(node), "module@%u", index);
    int rc = fdt_begin_node(fdt, node);
    rc = rc ? rc : STRINGS(fdt, "compatible", "module,ramdisk\0multiboot,module");
    rc = rc ? rc : fdt_property_u32(fdt, "mb-index", index);
    return rc ? rc : fdt_end_node(fdt);
}

/* Only what was asked for: the reader's defaults are the page's. */
static int write_choices(void *fdt, const struct domain *d)
{
    static const char *const event[ON_EVENTS] = {
#define E(name, otherwise) "paravane,on-" #name,
        ON_EVENT_LIST(E)
#undef E
    };
    int rc = 0;
    for (int i = 0; !rc && i < ON_EVENTS; i++)
        if (d->on[i])
            rc = fdt_property_string(fdt, event[i], d->on[i]);
    if (!rc && d->max_memory_mib)
        rc = write_memory(fdt, "paravane,max-memory", d->max_memory_mib);
    if (!rc && d->weight)
        rc = fdt_property_u32(fdt, "paravane,cpu-weight", d->weight);
    if (!rc && d->cap)
        rc = fdt_property_u32(fdt, "paravane,cpu-cap", d->cap);
    if (!rc && d->affinity) {
        const uint32_t cells[2] = {cpu_to_fdt32((uint32_t)d->affinity),
                                   cpu_to_fdt32((uint32_t)(d->affinity >> 32))};
        rc = fdt_property(fdt, "paravane,cpu-affinity", cells, sizeof(cells));
    }
    if (!rc && d->has_uuid)
        rc = fdt_property(fdt, "domain-uuid", d->uuid, sizeof(d->uuid));
    return rc;
}

static int write_domain(void *fdt, const struct domain *d, const struct domain_modules *m)
{
    int rc = fdt_begin_node(fdt, d->name);
    rc = rc ? rc : fdt_property_string(fdt, "compatible", "xen,domain");
    rc = rc ? rc : fdt_property_u32(fdt, "domid", d->id);
    rc = rc ? rc : fdt_property_u32(fdt, "mode", MODE_PV | MODE_LONG);
    rc = rc ? rc : write_memory(fdt, "memory", d->memory_mib);
    rc = rc ? rc : fdt_property_u32(fdt, "cpus", d->vcpus);
    rc = rc ? rc : write_choices(fdt, d);
    rc = rc ? rc : write_kernel(fdt, d, m->kernel);
    if (!rc && m->ramdisk)
        rc = write_ramdisk(fdt, m->ramdisk);
    return rc ? rc : fdt_end_node(fdt);
}

static int write_tree(void *fdt, int room, const struct domain *domains,
                      const struct domain_modules *modules, size_t count)
{
    int rc = fdt_create(fdt, room);
    rc = rc ? rc : fdt_finish_reservemap(fdt);
    rc = rc ? rc : fdt_begin_node(fdt, "");
    rc = rc ? rc : fdt_begin_node(fdt, "chosen");
    rc = rc ? rc : fdt_begin_node(fdt, "hypervisor");
    rc = rc ? rc : fdt_property_u32(fdt, "#address-cells", 1);
    rc = rc ? rc : fdt_property_u32(fdt, "#size-cells", 0);
    rc = rc ? rc : fdt_property_string(fdt, "compatible", "hypervisor,xen");
    for (size_t i = 0; !rc && i < count; i++)
        rc = write_domain(fdt, &domains[i], &modules[i]);
    for (int open = 3; !rc && open > 0; open--)
        rc = fdt_end_node(fdt);
    return rc ? rc : fdt_finish(fdt);
}

enum verdict devicetree_write(struct bytes *out, const struct domain *domains,
                              const struct domain_modules *modules, size_t count)
{
    int room = 4096, rc = -FDT_ERR_NOSPACE;
    void *fdt = NULL;

    for (; rc == -FDT_ERR_NOSPACE && room < 1 << 24; room *= 2) {
        fdt = memory_resize(fdt, (size_t)room);
        rc = write_tree(fdt, room, domains, modules, count);
    }
    if (rc == 0)
        bytes_append(out, fdt, fdt_totalsize(fdt));
    free(fdt);
    return rc == 0 ? VERDICT_OK
                   : verdict_say(VERDICT_HOST_FAILED,
                                 "cannot write the device tree: libfdt says %s; shorten the "
                                 "command lines",
                                 fdt_strerror(rc));
}

enum verdict devicetree_check(const char *path)
{
    void *data = NULL;
    size_t size = 0;
    enum verdict v = file_read(path, "the device tree", &data, &size);

    if (!v && (size < FDT_V1_SIZE || fdt_magic(data) != FDT_MAGIC))
        v = verdict_say(VERDICT_BAD_TREE,
                        "%s is no flattened device tree; make one with dtc -O dtb "
                        "(hypercall-abi/hyperlaunch.md)",
                        path);
    free(data);
    return v;
}
