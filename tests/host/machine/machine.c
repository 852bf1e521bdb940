/* The fake machine: arch.h, but for the door (guest-memory.c) and TLBs (tlb-model.c). */
/* Before anything includes <xen/...>: the form of a CPUID leaf. */
#define __XEN_TOOLS__ 1

#include "arch.h"
#include "audit.h"
#include "builder.h"
#include "debug-keys.h"
#include "evtchn.h"
#include "grant-table.h"
#include "lib.h"
#include "page-tables.h"
#include "race.h"
#include "sched.h"
#include "tlb.h"
#include "xenstore.h"

#include <xen/domctl.h>

#include <setjmp.h>
#include <sys/mman.h>

struct machine machine;
_Thread_local unsigned machine_cpu;

static noreturn_ void die(void);
static jmp_buf *end_point;  /* machine_catch_end() */
static jmp_buf *idle_point; /* where the idle vCPU goes when it has nothing to do */
static struct {
    struct vcpu *vcpu; /* an idle vCPU whose idle_loop() is on the host's stack */
    jmp_buf *back;     /* where it was when it gave up the CPU */
    bool once;         /* it need not come back: machine_look_for_work() */
    unsigned rounds;   /* how often it has given way */
} idler;

/* --- power on
 * -------------------------------------------------------------------------------------------- */

#define HYPERVISOR_FRAMES 16u /* at the start: "the image" */
#define HOLE_FRAMES \
    256u /* one page of page_info: can be made read-only, as on the real machine \
          */

static void *map_pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

static void set_owner(uint64_t first, uint64_t count, uint16_t owner, uint64_t state)
{
    for (uint64_t i = first; i < first + count; i++) {
        frame_table[i].owner = owner;
        frame_table[i].state = state;
    }
}

/* The hypervisor's slots lead to tables of its own, as on the real machine: superpages that map all
 * memory. */
#define HYPERVISOR_L3 2u
#define HYPERVISOR_L2 3u

static void hypervisor_tables_start(void)
{
    uint64_t *l3 = mfn_to_virt(mfn(HYPERVISOR_L3)), *l2 = mfn_to_virt(mfn(HYPERVISOR_L2));

    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        l3[i] = pte_make(mfn(HYPERVISOR_L2), PTE_P | PTE_RW | PTE_A).v;
        l2[i] =
            pte_make(mfn(i * 512ull % machine.frames), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_PSE).v;
    }
}

void arch_fill_l4(uint64_t *l4)
{
    for (unsigned i = HYPERVISOR_SLOT_FIRST; i <= HYPERVISOR_SLOT_LAST; i++)
        l4[i] = pte_make(mfn(HYPERVISOR_L3), PTE_P | PTE_RW | PTE_A).v;
}

static void memory_start(uint64_t frames)
{
    machine.frames = max_mfn = frames;
    machine.memory = map_pages(frames * PAGE_SIZE);
    frame_table_size = frames * sizeof(struct page_info);
    frame_table = map_pages(frame_table_size);
    machine_to_phys = malloc(frames * sizeof(uint64_t));
    memset(machine_to_phys, 0xff, frames * sizeof(uint64_t));
    memset(machine.memory, 0xa5,
           frames * PAGE_SIZE); /* what RAM holds at power-on is anybody's guess */

    machine.hole_first = frames / 2 / HOLE_FRAMES * HOLE_FRAMES;
    machine.hole_count = HOLE_FRAMES;
    uint64_t end = machine.hole_first + HOLE_FRAMES;
    set_owner(0, HYPERVISOR_FRAMES, OWNER_HYPERVISOR, 0);
    set_owner(machine.hole_first, HOLE_FRAMES, OWNER_IO, 0);
    page_alloc_add(mfn(HYPERVISOR_FRAMES), machine.hole_first - HYPERVISOR_FRAMES, false);
    page_alloc_add(mfn(end), frames - end, false);
    hypervisor_tables_start();
    mprotect(&frame_table[machine.hole_first], HOLE_FRAMES * sizeof(struct page_info), PROT_READ);
}

void machine_start(unsigned cpus, uint64_t frames)
{
    ASSERT(cpus <= MACHINE_CPUS && frames <= MACHINE_FRAMES && frames >= 4 * HOLE_FRAMES);
    machine.cpus = cpus;
    machine.now = 1000000000ull;
    machine.mutex_looks = 100;
    machine_window(WINDOW_BYTES, WINDOW_BYTES);
    static struct vcpu boot_vcpu[MACHINE_CPUS];
    for (unsigned i = 0; i < MACHINE_CPUS; i++) {
        boot_vcpu[i] = (struct vcpu){
            .domain = &idle_domain, .is_idle = true, .cpu = (uint16_t)i, .affinity = BIT(i)};
        machine.cpu[i].current = &boot_vcpu[i];
        machine.cpu[i].deadline = ~0ull;
    }
    memory_start(frames);
    for (unsigned i = 0; i < cpus; i++) {
        machine_on_cpu(i);
        tlb_flush_end(i, tlb_flush_begin());
        sched_init_cpu(i, vcpu_create(&idle_domain, i));
        machine.cpu[i].current = sched_idle_vcpu(i);
    }
    machine_on_cpu(0);
    evtchn_audit_init(); /* the audit is to count what they hold */
    xenstore_audit_init();
    grant_audit_init();
    grant_resource_init();
    grant_audit_strict = true;
    console_init(&debug_keys);
}

/* --- executing
 * ------------------------------------------------------------------------------------------- */

void machine_on_cpu(unsigned cpu)
{
    ASSERT(cpu < machine.cpus);
    machine_cpu = cpu;
    machine.cpu[cpu].relaxed = 0;
}

static void serve_timer(unsigned cpu);

/* An idle CPU has nobody's root. */
static void leave_root(unsigned cpu)
{
    struct machine_cpu *c = &machine.cpu[cpu];
    if (c->root_domain)
        atomic_and(&c->root_domain->tlb_cpus, ~BIT(cpu));
    c->root_domain = NULL;
    c->root = 0;
    arch_tlb_flush(BIT(cpu), true, 0);
}

/* @v runs on this CPU: load its root, unless another vCPU ran on it. */
static void load_root(struct vcpu *v)
{
    struct machine_cpu *c = &machine.cpu[machine_cpu];
    uint64_t root = v->kernel_mode ? v->arch.kernel_root : v->arch.user_root;

    if (c->root_domain == v->domain && c->root == root)
        return;
    atomic_or(&v->domain->tlb_cpus, BIT(machine_cpu));
    if (c->root_domain && c->root_domain != v->domain)
        atomic_and(&c->root_domain->tlb_cpus, ~BIT(machine_cpu));
    c->root_domain = v->domain;
    c->root = root;
    arch_tlb_flush_local();
}

/* An idle vCPU that leaves its loop lets the others run until it is chosen again: their "running"
 * is time passing, and its own call of schedule() returns only then, as it would with stacks. */
static void idle_gives_way(void)
{
    jmp_buf back;

    /* Work that makes more work for later (a zombie is looked at every 10 ms) would keep us here
     * for ever; but in the middle of work it must come back. */
    if (idler.once || (++idler.rounds > 100 && !idler.vcpu->unwinding)) {
        sched_tail();
        idler.vcpu = NULL;
        longjmp(*idle_point, 1);
    }
    if (setjmp(back))
        return; /* chosen again; the run queue's lock is held, as after a switch of stacks */
    idler.back = &back;
    sched_tail();
    for (unsigned i = 0; i < 64; i++) {
        machine_advance(1000000);
        schedule();
    }
    idler.vcpu = NULL;
    longjmp(*idle_point, 1); /* nothing left to do for it */
}

/* @v, which is in a race, halts, and nobody is left who could end that. */
static void oversleep(struct vcpu *v)
{
    if (machine.overslept)
        machine.overslept(v);
    machine_advance(1000000);
    vcpu_unpause(v, PAUSE_SLEEP);
}

/* @v, which is in a race, has left its stack: the CPU idles until it is chosen again; if its domain has ended, or nobody brings it
 * up, what it was doing is never finished. */
static void stay_away(struct vcpu *v)
{
    struct machine_cpu *c = &machine.cpu[machine_cpu];
    jmp_buf back;

    c->away = v;
    c->back = &back;
    if (setjmp(back)) {
        c->away = NULL;
        return; /* the run queue's lock is held, as after a switch of stacks */
    }
    sched_tail();
    for (;;) {
        serve_timer(machine_cpu);
        if (!(current_vcpu()->exit_work & EXIT_RESCHEDULE) && !race_halt()) {
            if (v->pause & ~PAUSE_SLEEP)
                break;
            oversleep(v);
        }
        schedule();
    }
    c->away = NULL;
    race_end();
}

void arch_switch(struct vcpu *prev, struct vcpu *next)
{
    machine.cpu[machine_cpu].relaxed = 0;
    machine.cpu[machine_cpu].current = next;
    if (next->is_idle)
        leave_root(machine_cpu);
    else
        load_root(next);
    if (race_is_on(machine_cpu) && machine.cpu[machine_cpu].away == next)
        longjmp(*(jmp_buf *)machine.cpu[machine_cpu].back, 1);
    if (race_is_on(machine_cpu) && !prev->is_idle &&
        (!prev->unwinding || (prev->pause & PAUSE_WAITING)))
        stay_away(prev);
    else if (idler.vcpu && prev == idler.vcpu)
        idle_gives_way();
    else if (idler.vcpu && next == idler.vcpu)
        longjmp(*idler.back, 1);
}

void arch_idle(void)
{
    if (race_is_on(machine_cpu) && !current_vcpu()->is_idle) {
        serve_timer(machine_cpu);
        if (!race_halt())
            oversleep(current_vcpu());
        return;
    }
    if (atomic_read(&current_vcpu()->pause) & PAUSE_WAITING) {
        if (machine.while_spinning)
            machine.while_spinning();
        if (!(current_vcpu()->pause & PAUSE_WAITING))
            return;
        fprintf(stderr, "deadlock: CPU %u sleeps for a mutex that nobody lets go\n", machine_cpu);
        die();
    }
    if (!idle_point) { /* a vCPU dozes in its own schedule(): time passes, and somebody wakes it */
        machine_advance(1000000);
        vcpu_unpause(current_vcpu(), PAUSE_SLEEP);
        return;
    }
    idler.vcpu = NULL;
    longjmp(*idle_point, 1);
}

bool machine_try_enter(struct vcpu *v)
{
    for (unsigned i = 0; i < 1000; i++) {
        machine_on_cpu(v->cpu);
        if (current_vcpu() == v)
            return true;
        if (v->domain->shut_down)
            return false;
        machine_advance(1000000ull
                        << i / 64); /* whoever is ahead may be so by all the time that has passed */
        machine_on_cpu(v->cpu);
        schedule();
    }
    fprintf(stderr, "machine_enter: d%uv%u does not get its CPU (pause %x)\n", v->domain->id, v->id,
            v->pause);
    abort();
}

void machine_enter(struct vcpu *v)
{
    if (!machine_try_enter(v)) {
        fprintf(stderr, "machine_enter: d%u has shut down\n", v->domain->id);
        abort();
    }
}

void machine_run_work(void)
{
    jmp_buf done;
    struct vcpu *idle = sched_idle_vcpu(0);

    machine_on_cpu(0);
    for (unsigned i = 0; i < 100 && current_vcpu() != idle; i++) {
        machine_advance(1000000);
        machine_on_cpu(0);
        schedule();
    }
    if (current_vcpu() != idle)
        return; /* it has nothing to do, or it would have been chosen */
    idle_point = &done;
    if (!setjmp(done)) {
        idler.vcpu = idle;
        idler.rounds = 0;
        idle_loop();
    }
    idle_point = NULL;
}

void machine_look_for_work(unsigned cpu)
{
    jmp_buf done;

    machine_on_cpu(cpu);
    ASSERT(current_vcpu()->is_idle);
    idle_point = &done;
    if (!setjmp(done)) {
        idler.vcpu = current_vcpu();
        idler.once = true;
        idle_loop();
    }
    idler.once = false;
    idle_point = NULL;
}

static void serve_timer(unsigned cpu)
{
    struct machine_cpu *c = &machine.cpu[cpu];

    if (cpu != machine_cpu && race_holds_cpu(cpu))
        return; /* in the middle of something, with interrupts off */
    while (c->deadline <= machine.now) {
        unsigned before = machine_cpu;
        c->deadline = ~0ull;
        c->kicked = true; /* it ends a halt */
        machine_cpu = cpu;
        timer_interrupt();
        machine_cpu = before;
    }
}

/* While one CPU spins, or time passes, the others run: those that were asked to leave their guest
 * do. */
static void others_run(void)
{
    const unsigned self = machine_cpu;

    for (unsigned cpu = 0; cpu < machine.cpus; cpu++) {
        if (cpu == self || race_holds_cpu(cpu) ||
            !(machine.cpu[cpu].current->exit_work & EXIT_RESCHEDULE))
            continue;
        machine_cpu = cpu;
        schedule();
        machine_cpu = self;
    }
}

void machine_advance(uint64_t ns)
{
    uint64_t end = machine.now + ns;

    for (;;) {
        uint64_t next = end;
        for (unsigned i = 0; i < machine.cpus; i++)
            if (i == machine_cpu || !race_holds_cpu(i))
                next = MIN(next, MAX(machine.cpu[i].deadline, machine.now));
        machine.now = next;
        for (unsigned i = 0; i < machine.cpus; i++)
            serve_timer(i);
        others_run();
        if (next == end)
            return;
    }
}

int machine_catch_end(void (*f)(void *), void *arg)
{
    jmp_buf here;

    machine.ended = 0;
    end_point = &here;
    if (!setjmp(here))
        f(arg);
    end_point = NULL;
    return machine.ended;
}

/* --- the window, the log
 * ----------------------------------------------------------------------------------- */

guest_ptr_t machine_put(size_t at, const void *from, size_t n)
{
    ASSERT(at + n <= WINDOW_BYTES);
    memcpy(machine.window + at, from, n);
    return guest_ptr(WINDOW_VA + at);
}

void machine_get(void *to, size_t at, size_t n)
{
    memcpy(to, machine.window + at, n);
}

void machine_window(uint64_t readable, uint64_t writable)
{
    machine.window_readable = readable;
    machine.window_writable = writable;
}

void machine_log_clear(void)
{
    machine.log_length = 0;
    machine.log[0] = 0;
}

bool machine_logged(const char *text)
{
    return strstr(machine.log, text);
}

void arch_serial_resume(void)
{
}

void arch_port_write(uint16_t port, uint8_t byte)
{
    if (machine.port_bytes < sizeof(machine.port))
        machine.port[machine.port_bytes++] = byte;
}

uint64_t arch_guest_caller(struct vcpu *v)
{
    return 0xca11e4;
}

/* A line that is slow (machine.serial_ns): a FIFO of 16 bytes, sent in its own time. */
static void serial_takes(size_t n)
{
    for (; n; n -= MIN(n, 16u)) {
        /* whoever writes waits, interrupts off */
        machine.now = MAX(machine.now, machine.serial_empty);
        machine.serial_empty = machine.now + MIN(n, 16u) * machine.serial_ns;
    }
}

bool arch_serial_ready(size_t n)
{
    machine.now += machine.serial_ns / 64; /* looking takes time */
    return machine.now >= machine.serial_empty;
}

void arch_serial_write(const char *s, size_t n)
{
    serial_takes(n);
    if (n >= sizeof(machine.log) - machine.log_length)
        machine_log_clear(); /* the newest is what counts */
    n = MIN(n, sizeof(machine.log) - 1);
    memcpy(machine.log + machine.log_length, s, n);
    machine.log_length += n;
    machine.log[machine.log_length] = 0;
}

/* --- arch.h: vCPUs
 * ---------------------------------------------------------------------------------------- */

int arch_vcpu_init(struct vcpu *v)
{
    v->arch.alive = true;
    return 0;
}

void arch_vcpu_destroy(struct vcpu *v)
{
    ASSERT(v->arch.alive && !v->arch.segment_frames);
    v->arch.alive = false;
}

/* The root, and where the first instruction is; without an instruction it is refused. */
int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    if (!c->user_regs.rip)
        return -XEN_EINVAL;
    arch_vcpu_set_entry(v, c->user_regs.rip, c->user_regs.rsp, c->user_regs.rsi);
    return vcpu_load_root(v, mfn(xen_cr3_to_pfn(c->ctrlreg[3])));
}

void arch_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel;
    c->user_regs.rip = v->arch.rip;
    c->user_regs.rsp = v->arch.rsp;
    c->user_regs.rsi = v->arch.rsi;
    c->ctrlreg[3] = xen_pfn_to_cr3(vcpu_kernel_root(v) >> PAGE_SHIFT);
}

void arch_vcpu_get_extended(const struct vcpu *v, struct xen_domctl_ext_vcpucontext *x)
{
    x->size = sizeof(*x);
    x->syscall32_callback_eip = v->arch.callback;
}

int arch_vcpu_set_extended(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *x)
{
    if (x->size < sizeof(*x))
        return -XEN_EINVAL;
    v->arch.callback = x->syscall32_callback_eip;
    return 0;
}

uint64_t arch_xstate_mask(void)
{
    return 3;
}

unsigned arch_xstate_size(void)
{
    return sizeof(((struct arch_vcpu *)0)->xstate);
}

uint64_t arch_vcpu_get_xstate(const struct vcpu *v, const void **image)
{
    *image = v->arch.xstate;
    return v->arch.xcr0;
}

int arch_vcpu_set_xstate(struct vcpu *v, uint64_t xcr0, void *image, size_t size)
{
    if (!(xcr0 & 1))
        return -XEN_EINVAL;
    v->arch.xcr0 = xcr0;
    memcpy(v->arch.xstate, image, size);
    return 0;
}

unsigned arch_saved_msr_count(void)
{
    return 1;
}

unsigned arch_vcpu_get_msrs(const struct vcpu *v, struct xen_domctl_vcpu_msr *msrs)
{
    *msrs = (struct xen_domctl_vcpu_msr){.index = 1, .value = v->arch.msr};
    return v->arch.msr != 0;
}

int arch_vcpu_set_msr(struct vcpu *v, const struct xen_domctl_vcpu_msr *msr)
{
    if (msr->index != 1)
        return -XEN_EINVAL;
    v->arch.msr = msr->value;
    return 0;
}

void arch_vcpu_set_entry(struct vcpu *v, uint64_t rip, uint64_t rsp, uint64_t rsi)
{
    v->arch.rip = rip;
    v->arch.rsp = rsp;
    v->arch.rsi = rsi;
}

void arch_vcpu_release(struct vcpu *v)
{
    machine_release_segments(v);
}

int machine_hold_segment(struct vcpu *v, mfn_t m)
{
    ASSERT(v->arch.segment_frames < ARRAY_SIZE(v->arch.segment_mfn));
    if (!mfn_valid(m))
        return -XEN_EINVAL;
    mutex_lock(&v->domain->mmu);
    int rc = page_get_and_type(mfn_to_page(m), v->domain, PAGE_TYPE_SEG);
    mutex_unlock(&v->domain->mmu);
    if (!rc)
        v->arch.segment_mfn[v->arch.segment_frames++] = m.n;
    return rc;
}

void machine_release_segments(struct vcpu *v)
{
    while (v->arch.segment_frames)
        page_put_and_type(mfn_to_page(mfn(v->arch.segment_mfn[--v->arch.segment_frames])));
}

void arch_audit_vcpu(struct vcpu *v)
{
    for (unsigned i = 0; i < v->arch.segment_frames; i++)
        audit_count(mfn(v->arch.segment_mfn[i]), true);
}

static bool root_is_held(const struct machine_cpu *c)
{
    const struct vcpu *v = c->current;
    const mfn_t m = maddr_to_mfn(c->root);

    if (v->is_idle || !c->root)
        return !c->root;
    const uint64_t state = mfn_to_page(m)->state;
    return (c->root == v->arch.kernel_root || c->root == v->arch.user_root) &&
           page_state_type(state) == PAGE_TYPE_L4 && (state & PAGE_VALIDATED) &&
           page_state_count(state) && page_state_refs(state);
}

unsigned arch_audit_cpus(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < machine.cpus; i++) {
        if (root_is_held(&machine.cpu[i]))
            continue;
        wrong++;
        printk("audit: I10: CPU%u: CR3 is not what it should be: %lx\n", i,
               (unsigned long)machine.cpu[i].root);
    }
    return wrong;
}

void arch_load_root(struct vcpu *v)
{
    struct machine_cpu *c = &machine.cpu[machine_cpu];

    if (c->current != v)
        return; /* a test acts for a vCPU that does not run */
    c->root = v->arch.kernel_root;
    arch_tlb_flush_local();
}

bool arch_device_frame_ok(mfn_t m)
{
    return m.n != machine.hole_first; /* the hypervisor's own device */
}

bool arch_device_frame_read_only(mfn_t m)
{
    return m.n == machine.read_only;
}

void arch_flush_cache(void)
{
    machine.cache_flushes++;
}

void arch_dump_rest(const struct vcpu *v, const struct arch_dump *rest)
{
}

void arch_dump_begin(struct vcpu *v, struct arch_dump *rest)
{
    arch_dump_vcpu(v);
}

void arch_dump_vcpu(struct vcpu *v)
{
    v->arch.dumps++;
}

/* --- arch.h: interrupts and time
 * ------------------------------------------------------------------------ */

void arch_relax(void)
{
    others_run();
    if (race_wait())
        return;
    if (machine.while_spinning)
        machine.while_spinning();
    if (++machine.cpu[machine_cpu].relaxed > 100000) {
        fprintf(stderr, "deadlock: CPU %u spins\n", machine_cpu);
        die();
    }
}

void arch_timer_program(uint64_t deadline)
{
    machine.cpu[machine_cpu].deadline = deadline;
}

void arch_timer_alarm(void)
{
    arch_timer_program(machine.now + TIMER_ALARM);
}

void arch_kick_cpu(unsigned cpu)
{
    machine.cpu[cpu].kicked = true;
}

void arch_serve_interrupts(void)
{
    machine.deaf_longest = MAX(machine.deaf_longest, machine.now - machine.deaf_since);
    machine.deaf_since = machine.now;
    serve_timer(machine_cpu);
}

uint64_t arch_cpus_online(void)
{
    return BIT(machine.cpus) - 1;
}

void arch_time_info(struct vcpu *v, struct vcpu_time_info *out)
{
    out->tsc_timestamp = machine.now;
    out->system_time = machine.now;
    out->tsc_to_system_mul = 1u << 31;
    out->tsc_shift = 1;
}

void arch_cpu_features(uint32_t *words, unsigned n, bool guests)
{
    for (unsigned w = 0; w < n; w++)
        words[w] = w << 8 | guests;
}

/* A processor of three leaves; what a domain is shown of the second one's EDX can be limited. */
bool arch_cpuid_leaf(const struct domain *d, bool guests, unsigned i, struct xen_cpuid_leaf *leaf)
{
    *leaf = (struct xen_cpuid_leaf){i, XEN_CPUID_NO_SUBLEAF, i, i, i, guests ? 0xff : 0xffff};
    if (d && i == 1)
        leaf->d &= ~d->arch.hidden;
    return i < 3;
}

int arch_cpuid_limit(struct domain *d, const struct xen_cpuid_leaf *leaf)
{
    if (leaf->leaf >= 3)
        return -XEN_ERANGE;
    if (leaf->leaf == 1)
        d->arch.hidden = ~leaf->d;
    return 0;
}

void arch_domain_destroy(struct domain *d)
{
}

uint8_t arch_address_bits(void)
{
    return 40;
}

/* --- lines: 16 of them; the first is reserved, and who has the hardware role has mapped all but the last --- */

static struct {
    struct domain *owner;
    uint32_t port;
} line[16];

int arch_pirq_bind(struct domain *d, unsigned gsi, uint32_t port, unsigned cpu)
{
    if (gsi >= ARRAY_SIZE(line) - 1)
        return refuse(PIRQ_NOT_MAPPED, gsi);
    if (line[gsi].owner == d)
        return refuse(PIRQ_BOUND, gsi);
    if (gsi == 0 || line[gsi].owner)
        return refuse(PIRQ_BUSY, gsi);
    line[gsi].owner = d;
    line[gsi].port = port;
    return 0;
}

void arch_pirq_move(struct domain *d, unsigned gsi, unsigned cpu)
{
}

void arch_pirq_release(struct domain *d, unsigned gsi, uint32_t port)
{
    line[gsi].owner = NULL;
}

void arch_devices_end(struct domain *d)
{
}

bool machine_line(unsigned gsi)
{
    if (line[gsi].owner)
        evtchn_set_pending(line[gsi].owner, line[gsi].port);
    return line[gsi].owner;
}

void arch_cpu_ids(unsigned cpu, uint32_t *apic, uint32_t *acpi)
{
    *apic = 2 * cpu;
    *acpi = 100 + cpu;
}

uint32_t arch_tsc_khz(void)
{
    return 2600000;
}

uint64_t arch_wallclock_boot_ns(void)
{
    return 1700000000ull * 1000000000ull;
}

bool arch_ram_range(unsigned i, uint64_t *start, uint64_t *end)
{
    if (i > 1)
        return false;
    *start = i ? (machine.hole_first + machine.hole_count) << PAGE_SHIFT : 0;
    *end = (i ? machine.frames : machine.hole_first) << PAGE_SHIFT;
    return true;
}

mfn_t arch_m2p_frame(uint64_t i)
{
    return mfn(i == 0 ? 1 : MFN_NONE);
}

/* The end of the process that is no bug of the test: tools/coverage wants to know what was executed until then. */
void __gcov_dump(void) __attribute__((weak));

static noreturn_ void die(void)
{
    if (__gcov_dump)
        __gcov_dump();
    abort();
}

/* --- arch.h: the end
 * -------------------------------------------------------------------------------------- */

void arch_machine_end(enum machine_end how, int verdict)
{
    machine.ended = (int)how + 1;
    machine.verdict = verdict;
    if (end_point)
        longjmp(*end_point, 1);
    fprintf(stderr, "the machine ended (%d, verdict %#x) and no test expected it; its log:\n%s\n",
            how, verdict, machine.log);
    die();
}

const char build_version[] = "0.0.0", build_changeset[] = "hosted", build_compiler[] = "the host's";

void arch_dump_all(void)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        for_each_vcpu(d, v)
            arch_dump_vcpu(v);
}
