/* The boot order of a test guest, and its end. */
#include "guest.h"
#include "console.h"
#include "event.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/sched.h>

const start_info_t *guest_info;
shared_info_t *guest_shared;

void guest_start(const start_info_t *si);

void guest_start(const start_info_t *si)
{
    guest_info = si;
    memory_init(si);  /* the free pages, and where page tables are */
    console_init(si); /* from here on we can say what is wrong     */
    guest_shared = memory_map_frame(si->shared_info >> PAGE_SHIFT, PTE_RW);
    trap_init();  /* faults become test results                */
    event_init(); /* all ports masked, upcalls off             */
    guest_main();
    tap_done();
    guest_shutdown(SHUTDOWN_poweroff);
}

const char *guest_arguments(void)
{
    return (const char *)guest_info->cmd_line;
}

unsigned long guest_option(const char *name, unsigned long otherwise)
{
    const char *at = guest_arguments();
    size_t n = strlen(name);

    while ((at = strstr(at, name))) {
        if ((at == guest_arguments() || at[-1] == ' ') && at[n] == '=')
            return text_number(at + n + 1);
        at += n;
    }
    return otherwise;
}

void guest_shutdown(unsigned reason)
{
    struct sched_shutdown arg = {.reason = reason};

    for (;;)
        hypercall_sched_op(SCHEDOP_shutdown, &arg);
}
