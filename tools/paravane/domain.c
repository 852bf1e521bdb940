/* Domains to be run.  See domain.h. */
#include "domain.h"

#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

#include "file.h"
#include "memory.h"

enum { LEAST_DEFAULT_MIB = 64, MIB = 1 << 20 };

/* The file's name without its folders: what a domain is called if nobody named it. */
static char *name_of(const char *kernel)
{
    const char *slash = strrchr(kernel, '/');
    return memory_strdup(slash ? slash + 1 : kernel);
}

enum verdict domain_init(struct domain *d, unsigned id, const char *kernel)
{
    *d = (struct domain){
        .id = id,
        .name = name_of(kernel),
        .command_line = memory_strdup(""),
        .vcpus = 1,
    };
    return kernel_image_open(&d->kernel, kernel);
}

void domain_settle(struct domain *d)
{
    if (d->memory_mib)
        return;
    uint64_t ample = 2 * kernel_image_least_memory(&d->kernel, d->ramdisk_size) / MIB + 1;
    d->memory_mib = d->max_memory_mib           ? d->max_memory_mib
                    : ample > LEAST_DEFAULT_MIB ? ample
                                                : LEAST_DEFAULT_MIB;
}

enum verdict domain_check(const struct domain *d, bool native)
{
    char *why = NULL;
    enum verdict v =
        native ? kernel_image_check_native(&d->kernel, &why) : kernel_image_check(&d->kernel, &why);
    if (v) {
        verdict_say(v, "%s does not boot %s: %s", d->kernel.path,
                    native ? "on the bare machine" : "as a PV guest", why);
        free(why);
        return v;
    }

    if (!native && strlen(d->command_line) >= MAX_GUEST_CMDLINE)
        return verdict_say(
            VERDICT_USAGE,
            "the command line of domain %s has %zu bytes, and start_info has room for "
            "%d; shorten it",
            d->name, strlen(d->command_line), MAX_GUEST_CMDLINE - 1);

    if (d->max_memory_mib && d->max_memory_mib < d->memory_mib)
        return verdict_say(
            VERDICT_USAGE,
            "domain %s starts with %lu MiB and may have at most %lu; lower -m (memory=) or "
            "raise --max-memory (maxmem=)",
            d->name, (unsigned long)d->memory_mib, (unsigned long)d->max_memory_mib);

    uint64_t least = kernel_image_least_memory(&d->kernel, d->ramdisk_size);
    if (d->memory_mib << 20 < least)
        return verdict_say(VERDICT_TOO_LITTLE_MEMORY,
                           "domain %s has %lu MiB, but its kernel%s at least %lu MiB; raise -m or "
                           "memory=",
                           d->name, (unsigned long)d->memory_mib,
                           d->ramdisk ? " and ramdisk need" : " needs",
                           (unsigned long)((least + MIB - 1) / MIB));
    return VERDICT_OK;
}

void domain_free(struct domain *d)
{
    kernel_image_close(&d->kernel);
    free(d->name);
    free(d->ramdisk);
    free(d->command_line);
    *d = (struct domain){0};
}
