/*
 * The rebooting domain: it asks to be built anew at once, as long as there is a victim.  Teardown
 * and building run in the hypervisor's own time and on CPUs that idle: many faults need just that.
 */
#include "attack.h"
#include "guest.h"

void guest_main(void)
{
    attack_again();
}
