/*
 * Ending the machine.
 *
 * An emulator can be told why: `debug-exit=0xPORT` on the command line names
 * QEMU's isa-debug-exit device, and the byte written there becomes its exit
 * status, 2 * byte + 1.  The bytes are those of `paravane run` (tools/README.md).
 * Without it ACPI switches off, the keyboard controller restarts, and a crash
 * leaves its words on the screen and the machine standing.
 */
#include "kernel/lib/text.h"
#include "platform/native/machine.h"
#include "platform/platform.h"

static uint16_t exit_port;

void shutdown_init(const char *command_line)
{
    static const char word[] = "debug-exit=0x";
    for (const char *at = command_line; *at; at++) {
        if ((at > command_line && at[-1] != ' ') || strncmp(at, word, sizeof(word) - 1))
            continue;
        at += sizeof(word) - 1;
        exit_port = (uint16_t)text_number(&at, 16);
        return;
    }
}

void platform_shutdown(enum shutdown_reason reason)
{
    static const uint8_t exit_bytes[] = {
        [SHUTDOWN_AS_POWEROFF] = 0x01,
        [SHUTDOWN_AS_REBOOT] = 0x02,
        [SHUTDOWN_AS_CRASH] = 0x10,
    };
    if (exit_port)
        out8(exit_port, exit_bytes[reason]);
    if (reason == SHUTDOWN_AS_POWEROFF && acpi.s5)
        out16(acpi.pm1a_control, acpi.s5);
    if (reason == SHUTDOWN_AS_REBOOT)
        out8(0x64, 0xfe); /* pulse the reset line */
    halt();
}
