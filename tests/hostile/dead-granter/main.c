/*
 * Wants: CPU time for a domain that has ended: 512 MiB and a cap of 5%.  Its peer keeps one frame of it mapped, so that the
 * hypervisor looks every 10 ms whether the rest of it can go.
 *
 * Fails: to look is to compare a number; to walk over all frames again, which somebody could have given it meanwhile, is allowed
 * one part in a hundred of a CPU, for all domains together.
 */
#include "attack.h"
#include "grant.h"
#include "guest.h"
#include "memory.h"
#include "tap.h"

#include <xen/grant_table.h>
#include <xen/sched.h>

#define REFERENCE 8

static void be_granter(void)
{
    volatile grant_entry_v1_t *entries = grant_entries();

    grant_allow(REFERENCE, DOMAIN_ATTACKER + 1, page_mfn(page_alloc()), 0);
    while (!(entries[REFERENCE].flags & GTF_reading) && attack_goes_on())
        attack_nap(100000);
}

static void be_mapper(void)
{
    void *window = page_alloc();
    int status = GNTST_general_error;

    while (status && attack_goes_on()) {
        status = grant_map_of(DOMAIN_ATTACKER, REFERENCE, (uint64_t)window, GNTMAP_host_map).status;
        attack_nap(100000);
    }
    tap_note("mapped: %d", status);
    while (attack_goes_on())
        attack_nap(10000000);
}

void guest_main(void)
{
    attack_begin("dead-granter");
    if (guest_option("mapper", 0))
        be_mapper();
    else
        be_granter();
    guest_shutdown(SHUTDOWN_poweroff);
}
