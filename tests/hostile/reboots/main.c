/*
 * The rebooting domain: it asks to be built anew at once, as long as there is a victim.  Teardown
 * and building run in CPU 0's idle vCPU, and the domain pays: many faults need just that.
 */
#include "attack.h"
#include "guest.h"

void guest_main(void)
{
    attack_again();
}
