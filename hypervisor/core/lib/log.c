/* What the hypervisor has said: a ring of its last lines (log.h). */
#include "log.h"

#include "atomic.h"

static char ring[LOG_SIZE];
static uint32_t first,
    end; /* numbers of bytes; end - first <= LOG_SIZE, but for a moment (atomic) */

void log_append(const char *s, size_t n)
{
    uint32_t at = atomic_read(&end);

    for (; n; n--)
        ring[at++ % LOG_SIZE] = *s++;
    atomic_set_release(&end, at);
    if (at - atomic_read(&first) > LOG_SIZE)
        atomic_set(&first, at - LOG_SIZE);
}

uint32_t log_end(void)
{
    return atomic_read_acquire(&end);
}

uint32_t log_first_kept(void)
{
    return atomic_read(&first);
}

uint32_t log_first(uint32_t from)
{
    const uint32_t oldest = atomic_read(&first);

    return from - oldest <= log_end() - oldest ? from : oldest;
}

void log_copy(char *to, uint32_t at, uint32_t n)
{
    for (; n; n--)
        *to++ = ring[at++ % LOG_SIZE];
}

void log_forget(uint32_t at)
{
    atomic_set(&first, log_first(at));
}
