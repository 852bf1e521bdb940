/* The smallest guest that lives: it says so and asks to be built anew. */
#include "guest.h"
#include "console.h"

#include <xen/sched.h>

void guest_main(void)
{
    if (!guest_option("quiet", 0))
        console_printf("reboot: up\n");
    guest_shutdown(SHUTDOWN_reboot);
}
