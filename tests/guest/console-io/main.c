/*
 * Question: does console_io write and read, within the caller's own memory?
 */
#include "guest.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>

COVERS_CALL(console_io);
COVERS(console_io, CONSOLEIO_write);
COVERS(console_io, CONSOLEIO_read);

void guest_main(void)
{
    static char text[] = "# a line from console_io\n";
    char buffer[16];

    if (!guest_is_first()) {
        tap_is(hypercall_console_io(CONSOLEIO_write, 4, text), -XEN_EPERM,
               "write: not the first domain");
        tap_is(hypercall_console_io(CONSOLEIO_read, 4, text), -XEN_EPERM,
               "read: not the first domain");
        return;
    }
    tap_is(hypercall_console_io(CONSOLEIO_write, sizeof(text) - 1, text), 0, "write");
    tap_is(hypercall_console_io(CONSOLEIO_write, 0, text), 0, "write: nothing");
    tap_is(hypercall_console_io(CONSOLEIO_write, 4, (void *)0x1000), -XEN_EFAULT,
           "write: unmapped");
    tap_is(hypercall_console_io(CONSOLEIO_write, 4, (void *)0xffff830000000000), -XEN_EFAULT,
           "write: from the hypervisor");
    tap_is(hypercall_console_io(CONSOLEIO_read, sizeof(buffer), buffer), 0,
           "read: nothing was typed");
    tap_is(hypercall_console_io(CONSOLEIO_read, 0, buffer), 0, "read: no room");
    tap_is(hypercall_console_io(CONSOLEIO_read, 0x80000000, buffer), -XEN_E2BIG, "read: 2 GiB");
    tap_is(hypercall_console_io(2, 4, text), -XEN_ENOSYS, "no operation 2");
    tap_is(hypercall_console_io(~0, 4, text), -XEN_ENOSYS, "no operation ~0");
}
