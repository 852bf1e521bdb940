/*
 * Wants: the CPU, by never giving it back.
 * Fails: a slice ends by a timer that ring 3 cannot mask, and the next is whoever is furthest
 * behind.
 *
 * The mildest attack, and the measure of the others: what the victim's share and the probe's
 * lateness are when the neighbours only compute and reboot.
 */
#include "attack.h"
#include "guest.h"

void guest_main(void)
{
    attack_begin("spinner");
    while (attack_goes_on())
        attack_spin(1000000);
}
