/* The wall clock that every shared_info shows: UTC at system time 0. */
#include "wallclock.h"
#include "arch.h"

/* UTC in ns at system time 0, as the hardware domain has set it; 0: as the machine's clock said.  The lock is held
 * until all domains have it: of two who set it at once the later is heard everywhere, and versions count by twos. */
static struct {
    spinlock_t lock;
    uint64_t ns;
} wallclock = {.lock = SPINLOCK_INIT(WALLCLOCK)};

/* The version is odd while the words change (<xen/xen.h>). */
static void wallclock_publish(struct domain *d) REQUIRES(&wallclock.lock)
{
    struct shared_info *s = d->shared;
    uint64_t boot = wallclock.ns ?: arch_wallclock_boot_ns();
    uint64_t seconds = boot / 1000000000ull;

    atomic_or(&s->wc_version, 1);
    atomic_set(&s->wc_sec, (uint32_t)seconds);
    atomic_set(&s->wc_sec_hi, (uint32_t)(seconds >> 32));
    atomic_set(&s->wc_nsec, (uint32_t)(boot % 1000000000ull));
    atomic_add(&s->wc_version, 1);
}

void wallclock_show(struct domain *d)
{
    spin_lock(&wallclock.lock);
    wallclock_publish(d);
    spin_unlock(&wallclock.lock);
}

void wallclock_set(uint64_t ns)
{
    spin_lock(&wallclock.lock);
    wallclock.ns = ns;
    for (struct domain *d = domain_get_from(0); d;) {
        unsigned next = d->id + 1u;
        wallclock_publish(d); /* of a dying one, too: our reference keeps its page */
        domain_put(d);
        d = domain_get_from(next);
    }
    spin_unlock(&wallclock.lock);
}
