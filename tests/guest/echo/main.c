/* Answers each line typed at its console; "quit" ends it. */
#include "guest.h"
#include "console.h"
#include "string.h"

void guest_main(void)
{
    char line[256];

    console_printf("echo: ready\n");
    for (;;) {
        if (console_read_line(line, sizeof(line)) < 0) {
            console_wait();
            continue;
        }
        console_printf("echo: %s\n", line);
        if (!strcmp(line, "quit"))
            return;
    }
}
