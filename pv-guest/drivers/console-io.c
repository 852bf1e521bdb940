/* console_io: the hypervisor copies text to and from its serial line. */
#include <paravane/hypercall.h>

#include "drivers/console-io.h"

void console_io_write(const char *text, size_t size)
{
    (void)hypercall_console_io(CONSOLEIO_write, size, (char *)text);
}

size_t console_io_read(char *to, size_t size)
{
    const long n = hypercall_console_io(CONSOLEIO_read, size, to);
    return n > 0 ? n : 0;
}
