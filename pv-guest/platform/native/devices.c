/* There is no hypervisor whom processes could ask for anything. */
#include "platform/platform.h"

const struct platform_device *platform_devices(void)
{
    static const struct platform_device nothing[] = {{NULL}};
    return nothing;
}

void platform_foreign_forget(struct space *space, uintptr_t start, uintptr_t end)
{
}

struct page *platform_store_page(unsigned *port)
{
    return NULL;
}

void platform_disks_start(void)
{
}
