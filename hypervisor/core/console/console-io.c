/*
 * console_io: the machine's console for the domain that has the hardware, by hypercall.  All others
 * have a console ring (console.c).
 */
#include "arch.h"
#include "console.h"
#include "hypercall.h"
#include "refuse.h"
#include "sched.h"

#define CHUNK 128u

static long write_all(struct domain *d, guest_ptr_t from, uint32_t count)
{
    char chunk[CHUNK];
    for (uint32_t done = 0; done < count;) {
        uint32_t n = MIN(count - done, CHUNK);
        guest_ptr_t at = guest_ptr_add(from, done);
        if (guest_read(chunk, at, n))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        int rc = console_domain_write(d, chunk, n);
        if (rc)
            return rc;
        done += n;
        if (done < count && pause_point())
            break;
    }
    return 0;
}

/* How many bytes were read; what could not be stored is lost. */
static long read_some(struct domain *d, guest_ptr_t to, uint32_t count)
{
    char chunk[CHUNK];
    uint32_t done = 0;
    while (done < count) {
        int n = console_domain_read(d, chunk, MIN(count - done, CHUNK));
        if (n <= 0)
            break;
        guest_ptr_t at = guest_ptr_add(to, done);
        if (guest_write(at, chunk, (size_t)n))
            return refuse(ARGUMENT_UNREADABLE, at.va);
        done += (uint32_t)n;
    }
    return done;
}

long hypercall_console_io(struct vcpu *v, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0], count = (uint32_t)a->arg[1];
    const guest_ptr_t buffer = guest_ptr(a->arg[2]);

    if (!domain_has(v->domain, ROLE_HARDWARE | ROLE_CONTROL | ROLE_CONSOLE))
        return refuse(CONSOLE_NOT_OWNED, cmd);
    switch (cmd) {
    case CONSOLEIO_write:
        return write_all(v->domain, buffer, count);
    case CONSOLEIO_read:
        return count > INT32_MAX ? refuse(CONSOLE_COUNT_TOO_LARGE, count)
                                 : read_some(v->domain, buffer, count);
    default:
        return refuse(CONSOLE_OP_UNKNOWN, cmd);
    }
}
