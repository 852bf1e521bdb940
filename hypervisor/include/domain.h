/*
 * Domains and virtual CPUs: the two structures that everything hangs from.
 *
 * A domain is found by number with domain_get(), which takes a reference; a vCPU
 * lives as long as its domain.  Fields are grouped by what guards them.
 */
#pragma once

#include "arch-vcpu.h" /* struct arch_vcpu, arch_domain: by include path, x86/ or tests/host/machine/ */
#include "list.h"
#include "lock.h"
#include "page.h"
#include "sched-policy.h"
#include "timer.h"
#include "trace.h"
#include "types.h"

#include <xen/vcpu.h>
#include <xen/sched.h>
#include <xen/event_channel.h>

struct evtchn;
struct evtchn_fifo;
struct grant_table;
struct console_ring;
struct xenstore;
struct domain_config;
struct memory_map;

#define MAX_VCPUS 64 /* per domain */

/* Hyperlaunch roles. */
#define ROLE_CONTROL  BIT(0) /* domctl, sysctl, platform_op */
#define ROLE_HARDWARE BIT(1) /* ports, MMIO, interrupts, console_io */
#define ROLE_XENSTORE BIT(2)
#define ROLE_CONSOLE  BIT(3)

/* Numbers are the ABI's RUNSTATE_*. */
enum vcpu_run_state {
    VCPU_RUNNING = RUNSTATE_running,
    VCPU_RUNNABLE = RUNSTATE_runnable,
    VCPU_BLOCKED = RUNSTATE_blocked,
    VCPU_OFFLINE = RUNSTATE_offline,
};

/* Why a vCPU may not run: bits of vcpu.pause.  It is runnable when none is set. */
#define PAUSE_DOWN    BIT(0) /* VCPUOP_down, or never brought up */
#define PAUSE_BLOCKED BIT(1) /* SCHEDOP_block */
#define PAUSE_POLLING BIT(2) /* SCHEDOP_poll */
#define PAUSE_DOMAIN  BIT(3) /* the domain is not started yet, shut down or dying */
#define PAUSE_WAITING BIT(4) /* waits for a mutex */
#define PAUSE_CAPPED  BIT(5) /* its domain has used up its cap; until the next period */
#define PAUSE_CONTROL BIT(6) /* a control domain has paused the domain, or not started it yet */
/* set by the vCPU itself, asleep in schedule() */
#define PAUSE_SLEEP (PAUSE_BLOCKED | PAUSE_POLLING | PAUSE_WAITING)

/* Work to do before the next return to the guest: bits of vcpu.exit_work. */
/* another vCPU should run (set by interrupts, checked at preemption points, too) */
#define EXIT_RESCHEDULE BIT(0)
#define EXIT_NMI        BIT(1) /* deliver an NMI (VCPUOP_send_nmi) */
#define EXIT_FAILSAFE   BIT(2) /* selectors of the guest could not be loaded: tell it */
/* the runstate area or the time area in guest memory is out of date */
#define EXIT_RUNSTATE BIT(3)
#define EXIT_DYING    BIT(4) /* the domain is dying: never return to it */

/* Bits of domain.slow_paths. */
#define SLOW_IOPL   BIT(0) /* frames show a virtual IOPL (VMASST_TYPE_architectural_iopl) */
#define SLOW_LINEAR BIT(1) /* some of its L4 tables have linear entries: see guest_readable() */
#define SLOW_STRACE BIT(2) /* every hypercall is recorded */

struct vcpu {
    /* Hot: read on every entry and exit.  Touched by the CPU that runs the vCPU; exit_work is set by others atomically. */
    struct domain *domain;
    /* in shared_info, or where VCPUOP_register_vcpu_info put it; mapped by the hypervisor */
    struct vcpu_info *info;
    uint32_t exit_work;
    uint8_t kernel_mode;     /* 1: the guest's kernel runs; 0: its user mode */
    uint8_t id;              /* in the domain */
    uint16_t cpu;            /* physical CPU it runs, or last ran, on */
    struct trace_ring trace; /* last hypercalls, traps, refusals */
    struct arch_vcpu arch;

    /* Guarded by the run queue's lock of @cpu (sched.c). */
    struct sched_entity sched; /* its place in the queue (sched-policy.h) */
    uint32_t pause;            /* PAUSE_* (atomic) */
    /* its stack is in use: from being picked to having been switched away from */
    uint8_t on_cpu;
    uint8_t is_idle;
    uint8_t takes_promised; /* builds a domain: may take frames that are promised (page_promise) */
    uint8_t initialised;    /* has registers: one of these (atomic) */
#define VCPU_UNINITIALISED 0
#define VCPU_INITIALISED   1
#define VCPU_INITIALISING  2
    /* gave up the CPU in mid-operation: only PAUSE_SLEEP reasons stop it (sched_yield) */
    uint8_t unwinding;
    uint16_t time_cpu;     /* CPU that its vcpu_time_info was last published on; ~0: not yet */
    uint64_t affinity;     /* set of physical CPUs it may run on */
    uint64_t pin_affinity; /* SCHEDOP_pin_override: @affinity to come back to; 0: not overridden */
    uint64_t run_start;    /* when it got the CPU, or was last charged */
    struct vcpu *mutex_next; /* who sleeps for the same mutex, behind it (mutex.c) */

    /* Run-state accounting, guarded like the above; published to @runstate_area. */
    enum vcpu_run_state runstate;
    uint64_t runstate_since, runstate_time[4];
    guest_ptr_t runstate_area; /* 0: none */
    guest_ptr_t time_area;     /* struct vcpu_time_info copy; 0: none */
    uint8_t time_area_stale;

    /* Timers: each fires on the CPU that set it. */
    struct timer periodic, singleshot, poll_timer;
    uint64_t period;         /* ns; 0: none */
    uint64_t period_last;    /* when the periodic timer last ticked */
    uint64_t time_published; /* when vcpu_time_info was last written */
    uint64_t emulated;       /* instructions that the hypervisor executed in its stead, so far */

    /* Ports looked at for free ones since its last preemption point there; only itself does. */
    uint32_t ports_searched;

    /* Event channels: guarded by domain->evtchn_lock. */
    uint32_t virq_port[24]; /* NR_VIRQS; 0: unbound */
    /* SCHEDOP_poll (bit set in domain->pollers) on this one port; ~0: several; 0: woken */
    uint32_t poll_port;
    /* traced calls that have not returned, the innermost first (strace.c) */
    struct strace_frame *strace;
    /* frame that info was placed in (one reference and writable type), or NULL */
    struct page_info *info_page;
};

struct domain {
    /* SLOW_*: why no fast path of fastpath.S may be taken (atomic) */
    uint32_t slow_paths;
    uint64_t vm_assist; /* bits VMASST_TYPE_* (atomic) */
    domid_t id;
    uint16_t roles;
    uint16_t max_vcpus;
    bool visible; /* others find it by its number; guarded by the domain table's lock */
    bool dying;   /* set once, under @evtchn_lock; vCPUs never return to the guest */
    bool shut_down;
    uint8_t shutdown_code; /* SHUTDOWN_* */
    /* by SCHEDOP_shutdown_code: what a later shutdown's reason counts as */
    bool shutdown_code_set;
    bool is_idle;
    char name[32];
    struct vcpu *vcpu[MAX_VCPUS];
    uint32_t refs;                  /* atomic; 1 while listed */
    void (*free)(struct domain *d); /* called when @refs is 0 */
    struct domain *next;            /* hash chain, guarded by the domain table's lock */

    /* What control domains do to it: one at a time, under @control, which is taken before @mmu. */
    mutex_t control;
    bool managed;   /* one of them has made it, and ends it; fixed before it is visible */
    bool started;   /* its first pause is over: what it is cannot be changed any more */
    uint8_t pauses; /* how often it has been paused, more than unpaused */
    /* so many look at its vCPUs, which stand still for that: no pause that anybody is shown, or could end */
    uint8_t holds;
    uint8_t handle[16]; /* its UUID, for toolstacks */

    /* Memory.  Page tables are guarded by @mmu; counters are atomic. */
    mutex_t mmu;
    uint32_t tot_pages, max_pages;
    /* Frames that its next life needs, and how many of these have come back and are promised to it (page_promise); atomic. */
    uint32_t keep, promised;
    /* L4 slots that ever held a linear entry: bits, set under @mmu, read by the door */
    uint64_t linear_slots[8];
    /* CPUs whose CR3 is one of this domain's: the only ones whose TLB may know it (atomic) */
    uint64_t tlb_cpus;
    struct shared_info *shared;
    /* bounds of the frames it ever owned, for teardown; under @mmu */
    uint64_t lowest_mfn, highest_mfn;
    struct memory_map *map; /* that it is told, if it was set (memory-map.c); under @control */
    uint32_t claimed;       /* frames promised to it, by a claim (claim.c); atomic */

    /* Event channels. */
    spinlock_t evtchn_lock;
    struct evtchn **evtchn;  /* buckets, see evtchn.c */
    uint32_t evtchn_buckets; /* how many there may be */
    uint32_t evtchn_limit;   /* ports below this exist in the buckets */
    uint32_t evtchn_hint;    /* no free port below this */
    uint32_t evtchn_space;   /* it may have ports below this; fixed before it is visible */
    uint64_t pollers;        /* vCPUs in SCHEDOP_poll (atomic) */
    /* Those of them that are woken later, a few at a time (evtchn-poll.c; atomic), and whose turn it is: only @wake_timer's handler. */
    uint64_t wake_later;
    uint8_t wake_turn;
    struct timer wake_timer;
    /* its event queues; NULL: 2-level.  Changes under both locks */
    struct evtchn_fifo *evtchn_fifo;
    spinlock_t evtchn_queue_lock; /* guards the queues, see evtchn-fifo.c */

    struct grant_table *grants;
    struct console_ring *console; /* NULL: no hypervisor-served console */
    struct xenstore *store;       /* NULL: none, or another domain's */
    /* how it was built, for a rebuild after reboot; NULL for the idle domain */
    struct domain_config *config;
    /* scheduler: 256 = normal; cap in percent of one CPU, 0 = none.  They change under @control, @cap also under @cap_lock; read without */
    uint32_t weight, cap;
    struct sched_cap
        sched_cap; /* how much of the cap is used up; guarded by @cap_lock (sched-cap.c) */
    spinlock_t cap_lock;
    struct timer cap_timer; /* the next period begins: runs while some vCPU is PAUSE_CAPPED */
    /* Only @cap_timer's handler: the vCPU that the next period begins with; where this period's next round goes on; there is one. */
    uint16_t cap_first, cap_at;
    bool cap_rounds;
    struct timer watchdog[2]; /* SCHEDOP_watchdog */
    uint32_t watchdogs; /* bits: slots in use; they and what is set change under @watchdog_lock */
    spinlock_t watchdog_lock;
    uint32_t crash_reported;
    struct arch_domain arch;
    struct timer_owner timers; /* of its vCPUs', its cap, its watchdogs, its late wake-ups */
};

/* vCPU @id of @d; NULL: there is none, or none yet.  One that is there stays as long as @d does. */
static inline struct vcpu *domain_vcpu(const struct domain *d, uint32_t id)
{
    return id < d->max_vcpus ? atomic_read_acquire(&d->vcpu[id]) : NULL;
}

#define for_each_vcpu(d, v)                          \
    for (unsigned i_ = 0; i_ < (d)->max_vcpus; i_++) \
        for (struct vcpu *v = (d)->vcpu[i_]; v; v = NULL)

/* --- core/sched/domain-table.c ------------------------------------------------------------------------------- */

extern struct domain idle_domain;

/* A referenced domain, or NULL: one that is being built is not found yet (core/domain/domain.c has the rule).  DOMID_SELF
 * is not resolved here. */
struct domain *domain_get(domid_t id) must_check;
/* The domain that owns a frame, referenced, whether or not others may find it; NULL if it has ended. */
struct domain *domain_get_owner(domid_t id) must_check;
/* The domain with the lowest number from @id up, referenced, or NULL: visits all that domain_get() would find
 * while they come and go. */
struct domain *domain_get_from(unsigned id) must_check;
/* The same of those that have one of @roles. */
struct domain *domain_get_from_with(unsigned id, uint16_t roles) must_check;
/* Is there a domain of this number that nobody finds and nobody has a reference to: not published yet, or about to be gone? */
bool domain_is_hidden(domid_t id) must_check;
/* Has no domain this number, not even one that nobody finds any more, or that is built again? */
bool domain_number_free(domid_t id) must_check;
/* From now on, or no longer, @id belongs to a domain that is built again. */
void domain_number_keep(domid_t id, bool keep);
void domain_put(struct domain *d);
/* @count references at once. */
struct domain *domain_get_refs(domid_t id, uint32_t count) must_check;
static inline void domain_put_refs(struct domain *d, uint32_t count)
{
    if (unlikely(atomic_sub(&d->refs, count) == 0))
        d->free(d);
}
/* Iterate: the next listed domain after @d (NULL: the first), unreferenced; only for dumps and audit. */
struct domain *domain_next(const struct domain *d);

/* For core/domain/.  A new domain is listed, invisible; false: the number is taken. */
bool domain_list(struct domain *d) must_check;
void domain_show(struct domain *d); /* from now on others find it */
/* No reference is taken from now on, but the number is not free yet.  True: nobody has one but the table. */
bool domain_hide(struct domain *d);
unsigned domain_unlist(struct domain *d); /* how many are left */

/* --- core/domain/domain*.c ------------------------------------------------------------------------------ */

/* What who records hypercalls (strace.c) wants of every domain; set before there is one. */
struct domain_tracer {
    uint32_t slow_paths;             /* SLOW_*: a domain begins with them */
    void (*ended)(struct domain *d); /* or NULL: its vCPUs have stopped for good */
};
extern struct domain_tracer domain_tracer;

/* A new, empty, paused domain; NULL if out of memory or @id is taken. */
struct domain *domain_create(domid_t id, const char *name, unsigned max_vcpus) must_check;
struct vcpu *vcpu_create(struct domain *d, unsigned id) must_check;

/* The guest asked to stop (SCHEDOP_shutdown), or is made to.  Does not return to the guest. */
void domain_shutdown(struct domain *d, uint8_t reason);

/*
 * The guest is beyond help: dump, then shut it down with SHUTDOWN_crash; all others go on.  When called for the
 * running vCPU's own domain, the vCPU stops at its next exit to the guest; callers return normally.
 */
#define domain_crash(d, rule, ...) domain_crash_((d), (rule), DETAIL_ARGS(__VA_ARGS__))
void domain_crash_(struct domain *d, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c);

/* Teardown of a domain that never ran: every frame back, then freed.  (One that ran is torn down as work when it
 * has ended: domain_shutdown.) */
void domain_destroy(struct domain *d);
/*
 * For core/control: a domain that it makes, changes and ends.  All take d->control, but domain_kill() and domain_is_dead().
 *
 * Add: the vCPUs that a managed domain does not have yet, down, and paused as the domain is.  Pause and unpause count.  Kill: it
 * is ended for good, whatever it is configured to do then, as work in its own name; domain_is_dead() when its vCPUs have stopped, its
 * ports are closed and its frames given up, except for those that others hold.
 */
int domain_add_vcpus(struct domain *d) must_check; /* 0, -XEN_ENOMEM, -XEN_EINVAL: it is dying */
int domain_control_pause(struct domain *d) must_check;   /* 0 or -XEN_EOVERFLOW */
int domain_control_unpause(struct domain *d) must_check; /* 0 or -XEN_EINVAL */
/* Its vCPUs are asked to stop until the release: 0 or -XEN_EOVERFLOW. */
int domain_control_hold(struct domain *d) must_check;
void domain_control_release(struct domain *d);
void domain_kill(struct domain *d);
bool domain_is_dead(const struct domain *d);

/* @d is whole: from now on others find it.  A second time does nothing. */
void domain_publish(struct domain *d);
/* @d, just built, is published and may run; it counts among the domains that keep the machine going. */
void domain_start(struct domain *d);

static inline bool domain_has(const struct domain *d, uint16_t role)
{
    return d->roles & role;
}
