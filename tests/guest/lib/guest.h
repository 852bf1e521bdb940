/* A test guest's life: guest_start (start.S calls it), guest_main (each test's), shutdown. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/errno.h>

extern const start_info_t *guest_info;
extern shared_info_t *guest_shared;

/* What the first instructions saw (start.S). */
extern uint64_t guest_entry_tsc, guest_entry_rsp, guest_entry_rflags;

/* The test itself.  When it returns the plan is printed and the domain powers off. */
void guest_main(void);

/* The image's arguments (without its name, where the loader put one). */
const char *guest_arguments(void);
/* The number behind "@name=" in the arguments, or @otherwise. */
unsigned long guest_option(const char *name, unsigned long otherwise);

/* Is this the first domain, which has every role? */
static inline bool guest_is_first(void)
{
    return guest_info->flags & SIF_INITDOMAIN;
}

/* What a call that needs a role answers: @result to the first domain, -EPERM to any other. */
static inline long guest_role(long result)
{
    return guest_is_first() ? result : -XEN_EPERM;
}

_Noreturn void guest_shutdown(unsigned reason);
