/* The serial line: one writer at a time, and a hurry that waits for nobody. */
#include "line.h"

#include "log.h"

#define URGENT_SPINS 100000000u

struct serial_line serial_line;

static const char hypervisor_owner[1];

void line_be_urgent(void)
{
    atomic_set(&serial_line.urgent, true);
}

bool line_enter(void)
{
    const uint32_t me = this_cpu() + 1;
    if (atomic_read(&serial_line.busy) == me)
        return false;
    for (unsigned spins = 0; spins < URGENT_SPINS || !atomic_read(&serial_line.urgent); spins++) {
        uint32_t nobody = 0;
        if (atomic_compare_exchange(&serial_line.busy, &nobody, me))
            return true;
        arch_relax();
    }
    return false;
}

void line_emit_text(const char *s)
{
    while (*s)
        line_emit(*s++);
}

noinline_ void line_end(void)
{
    line_emit_text("\r\n");
    serial_line.open = false;
}

void line_write(const char *s, size_t n)
{
    bool entered = line_enter();
    line_take(hypervisor_owner);
    log_append(s, n);
    for (; n; n--, s++) {
        if (*s == '\n')
            line_emit('\r');
        line_emit(*s);
        serial_line.open = *s != '\n';
    }
    line_leave(entered);
}
