/* Answers each line typed at its console; "quit" ends it. */
#include "guest.h"
#include "console.h"
#include "string.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

void guest_main(void)
{
    char line[256];

    console_printf("echo: ready\n");
    for (;;) {
        if (console_read_line(line, sizeof(line)) < 0) {
            hypercall_sched_op(SCHEDOP_yield, NULL);
            continue;
        }
        console_printf("echo: %s\n", line);
        if (!strcmp(line, "quit"))
            return;
    }
}
