/*
 * What the files about a domain's life share; everybody else: domain.h, domain-config.h.
 *
 *   domain.c            the whole life, drawn; birth
 *   domain-managed.c    domains that a control domain makes, pauses
 *   domain-end.c        a domain shuts down, crashes or is killed, and what is done then
 *   domain-teardown.c   all that it has is given back
 *   domain-restart.c    it is built again
 *   machine-end.c       when the machine ends, and with which verdict
 *   leak-check.c        nothing is lost: frames while no domain exists
 */
#pragma once

#include "arch.h"
#include "domain-config.h"
#include "lib.h"
#include "sched.h"

/* ns between two looks whether a zombie's frames have come back */
#define ZOMBIE_LOOKS 10000000ull

/* What only these files need to know about a domain and a vCPU. */
struct domain_record {
    struct domain d;
    struct work end_work;
    struct timer zombie_timer;
    bool stopped;  /* the first part of the teardown is done */
    bool reported; /* as a zombie */
    bool killed;   /* (atomic) */
    bool dead;     /* all is done that does not wait for others (atomic) */
    /* Under @d.control: its end has been announced; it counts among those that are alive. */
    bool announced, counted;
    /* Whose end this is; the rest of what is to be said about it is in @dump. */
    struct vcpu *crashed;
    struct arch_dump dump;
    unsigned looks;  /* since no domain is alive */
    uint8_t hurried; /* looks that came soon after another */
};

struct vcpu_record {
    struct vcpu v;
    struct vcpu_info info; /* of one that shared_info has no room for, until it is given a place */
};

static inline struct domain_record *record_of(struct domain *d)
{
    return container_of(d, struct domain_record, d);
}

/* --- domain-end.c --- */

void domain_end_work(struct work *w);     /* record.end_work: the next step of its end */
void domain_zombie_look(struct timer *t); /* record.zombie_timer: that is due again */
const char *domain_shutdown_reason(const struct domain *d);

/* --- domain-teardown.c --- */

/* The next step; true when @d is gone.  *alone then: no other domain is left that could have frames.  In work. */
bool domain_teardown(struct domain *d, bool *alone);

/* --- domain-restart.c --- */

/* @c's domain is gone: build it again, now or when its time has come. */
void domain_restart(struct domain_config *c);
/* It will not be built again. */
void domain_config_end(struct domain_config *c);
void domain_keep_memory(struct domain *d);

/* --- machine-end.c --- */

/* Does @d keep the machine going? */
void alive_count(struct domain *d) REQUIRES(&d->control);
/* One more, or one less, that keeps it going without being there: it waits to be built again. */
void alive_add(int step);
uint32_t alive_domains(void);
/* The machine's verdict is at least so bad (verdict.h). */
void machine_verdict(uint8_t at_least);
/* @d (NULL: none in particular) has ended for good: the machine ends with it, or goes on. */
void machine_may_end(const struct domain *d);
/* @d will never get its frames back. */
void machine_cannot_go_on(struct domain *d);

/* --- leak-check.c --- */

/* A domain of @max_vcpus vCPUs is about to be made. */
void leak_check_begin(unsigned max_vcpus);
/* With no domain left every count must be what it was before there was one; @id was the last. */
void leak_check(domid_t id);
