/* What the machine runs before the hypervisor.  See firmware.h. */
#include "firmware.h"

#include <stdlib.h>
#include <string.h>

#include "file.h"

#define QBOOT "/usr/share/qemu/qboot.rom"

static bool has_devices(const struct machine *m)
{
    return m->disk_count || m->net;
}

/* Nobody said: qboot where it is known to do. */
static bool firmware_qboot_fits(const struct machine *m, const char **why)
{
    *why = m->native             ? "SeaBIOS, as on any PC"
           : m->is_xen           ? "SeaBIOS, as for Xen everywhere"
           : has_devices(m)      ? "SeaBIOS, as qboot gives PCI devices no addresses"
           : !file_exists(QBOOT) ? "SeaBIOS, as there is no " QBOOT
                                 : "qboot";
    return strcmp(*why, "qboot") == 0;
}

enum verdict firmware_choose(const struct machine *m, struct bundle *bundle, char **name,
                             const char **why)
{
    const char *path = m->firmware;

    *name = NULL;
    *why = path;
    if (path && strcmp(path, "seabios") == 0)
        return VERDICT_OK;
    if (!path) {
        if (!firmware_qboot_fits(m, why))
            return VERDICT_OK;
        path = QBOOT;
    } else if (strcmp(path, "qboot") == 0) {
        path = QBOOT;
        if (!file_exists(path))
            return verdict_say(VERDICT_NO_FILE,
                               "there is no " QBOOT
                               " (Debian package qemu-system-data); install it, or leave out "
                               "--firmware qboot");
    } else if (!file_exists(path)) {
        return verdict_say(VERDICT_NO_FILE,
                           "cannot read the firmware %s; give qboot, seabios or the path of a file",
                           path);
    }
    return bundle_add_file(bundle, path, "firmware.rom", name);
}
