/*
 * What attackers share: chance, whether the victim is still alive, and more vCPUs.
 *
 * An attack lasts as long as the victim (domain 1) lives, so the two always meet and only the
 * victim's rounds= says how long a run is.  An attacker needs no agreement with it: a bind to a
 * port that cannot be is -ESRCH when there is no such domain, and -EINVAL while there is one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The domains of every scenario (tests/hostile/run); attackers come behind them. */
enum { DOMAIN_VICTIM = 1, DOMAIN_PROBE, DOMAIN_REBOOTS, DOMAIN_ATTACKER };

/* The victim's secret: its pages and frames hold this in the upper half of each word. */
#define SECRET_MASK 0xffffffff00000000ul
#define SECRET_WORD 0x5ec2e7a700000000ul

static inline bool is_secret(uint64_t word)
{
    return (word & SECRET_MASK) == SECRET_WORD;
}

/* Random numbers: from seed= on the command line, the vCPU's number, and the time, so that each
 * life of a domain that reboots goes its own way.  With --icount the time repeats, too. */
struct chance {
    uint64_t state;
};
struct chance chance_of(unsigned vcpu);
uint64_t chance_next(struct chance *c);
static inline unsigned chance_below(struct chance *c, unsigned limit)
{
    return (unsigned)(chance_next(c) % limit);
}

/* Say who attacks, with which seed. */
void attack_begin(const char *name);
/* Is there still a victim?  One hypercall. */
bool attack_goes_on(void);
/* vCPUs whose vcpu_info is in shared_info; what later ones have they register. */
#define ATTACK_LEGACY 32
void attack_vcpu_infos(unsigned count);
/* Start @function(vcpu) on vCPUs 1 to @count - 1; ends the domain if one does not start. */
void attack_vcpus(unsigned count, void (*function)(unsigned vcpu));
/* Sleep until the domain ends: for a vCPU that has nothing more to do. */
_Noreturn void attack_rest(void);
/* Wait, executing. */
void attack_spin(uint64_t ns);
/* Sleep; any vCPU. */
void attack_nap(uint64_t ns);
/* The next life (on_reboot = "restart") while there is a victim, else power off. */
_Noreturn void attack_again(void);

/* populate_physmap and decrease_reservation of @count frames at @list; how many. */
long frames_populate(unsigned long *list, unsigned count, unsigned order);
long frames_release(unsigned long *list, unsigned count, unsigned order);
/* Have @page, a page of ours, show frame @mfn; 0 or an errno. */
long frame_show(void *page, unsigned long mfn, uint64_t flags);
