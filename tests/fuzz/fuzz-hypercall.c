/*
 * Hypercalls with any numbers and arguments, by two guests on two CPUs, one of them privileged.
 *
 * The input is read as a program: each step says who calls what with which arguments.  Bytes choose
 * from values that mean something (frames, table entries, addresses in the window) rather than
 * being taken as they are, or nothing would ever get past the first check.  Whatever happens: no
 * BUG, no stale translation, all counts right, and when both guests are torn down every frame is
 * back.
 */
#include "fuzz.h"

#include "arch.h"
#include "builder.h"
#include "console.h"
#include "grant-table.h"
#include "guest.h"
#include "lib.h"
#include "runstate.h"
#include "sched.h"
#include "xenstore.h"

#include <xen/sched.h>

const unsigned fuzz_mutations = 100;
unsigned fuzz_accepted;
unsigned long fuzz_steps;

static struct guest guest[2];
static unsigned (*fuzz_calls)[2]; /* set in a debugger, or by FUZZ_CALLS in the environment */
static uint64_t free_frames;

struct program {
    const uint8_t *at, *end;
};

static uint64_t take(struct program *p, unsigned bytes)
{
    uint64_t v = 0;
    for (; bytes && p->at < p->end; bytes--)
        v = v << 8 | *p->at++;
    return v;
}

static uint64_t some_mfn(struct program *p)
{
    uint64_t b = take(p, 1);
    const struct guest *g = &guest[b & 1];

    switch (b >> 1 & 7) {
    case 0:
        return take(p, 2);
    case 1:
        return machine.hole_first + (b >> 4);
    case 2:
        return max_mfn - 1 + (b >> 4);
    default:
        return g->mfn[take(p, 1) % g->pages];
    }
}

static uint64_t some_entry(struct program *p)
{
    static const uint64_t flags[] = {0, RO, RW, RO, RW, RW | PTE_PSE, PTE_P, RO | PTE_G};
    uint64_t f = flags[take(p, 1) % ARRAY_SIZE(flags)];
    return pte_make(mfn(some_mfn(p)), f).v;
}

/* One 64-bit value of an argument or of a structure in memory. */
static uint64_t some_value(struct program *p)
{
    switch (take(p, 1) % 14) {
    case 0:
        return take(p, 8);
    case 1:
        return WINDOW_VA + take(p, 2) * 8;
    case 2:
        return guest_va((unsigned)take(p, 1));
    case 3:
        return mfn_to_maddr(mfn(some_mfn(p))) + take(p, 2) % PAGE_SIZE;
    case 4:
        return some_entry(p);
    case 5:
        return some_mfn(p);
    case 6:
        return DOMID_SELF;
    case 7:
        return -take(p, 1);
    case 8:
        return 1ull << take(p, 1) % 64;
    case 9:
        return machine.now + take(p, 3);
    case 10:
        return take(p, 1) % 3;
    default:
        return take(p, 1) % 40;
    }
}

static void say_calls(void)
{
    for (unsigned i = 0; i < 48; i++)
        if (fuzz_calls[i][0] + fuzz_calls[i][1])
            fprintf(stderr, "%-30s %8u refused %8u done\n", hypercall_name(i) ?: "?",
                    fuzz_calls[i][0], fuzz_calls[i][1]);
}

/* --- arguments that look like the real thing
 * ------------------------------------------------------------- */

#define AT_STRUCT 0x8000u /* the structure that a pointer argument names */
#define AT_LIST   0x9000u /* what a pointer inside it names */

/* A structure of 64 bytes for sub-operation calls: small numbers, frames, and a pointer to a list
 * where Xen's structures have theirs (the first or second word). */
static guest_ptr_t put_struct(struct program *p)
{
    uint64_t word[8], list[8];

    for (unsigned i = 0; i < 8; i++) {
        list[i] = take(p, 1) % 4 ? some_mfn(p) : take(p, 1) % 300;
        if (take(p, 1) % 3)
            word[i] = take(p, 1) % 8 | (take(p, 1) % 6) << 32;
        else
            word[i] = some_value(p);
    }
    if (take(p, 1) % 4)
        word[0] = WINDOW_VA + AT_LIST;
    if (take(p, 1) % 4) { /* reservations: count, order and flags, domain */
        word[1] = take(p, 1) % 9;
        word[2] = take(p, 1) % 4 ? 0 : take(p, 1);
        word[3] = DOMID_SELF;
    }
    if (take(p, 1) % 4 == 0)
        word[0] = DOMID_SELF | take(p, 1) % 3 << 16 | (take(p, 1) % 8) << 32;
    (void)machine_put(AT_LIST, list, sizeof(list));
    return machine_put(AT_STRUCT, word, sizeof(word));
}

/* Ports, or a frame for event queues and where in it, for which vCPU. */
static guest_ptr_t put_event(struct program *p)
{
    uint64_t word[3] = {take(p, 1) % 24 | (take(p, 1) % 24) << 32,
                        take(p, 1) % 8 * 8 | (take(p, 1) % 3) << 32, 0};
    if (take(p, 1) % 2)
        word[0] = some_mfn(p);
    return machine_put(AT_STRUCT, word, sizeof(word));
}

static guest_ptr_t put_updates(struct program *p, unsigned count)
{
    mmu_update_t r[8];
    for (unsigned i = 0; i < count; i++) {
        r[i].ptr = mfn_to_maddr(mfn(some_mfn(p))) + take(p, 1) % 6 * 8 +
                   (take(p, 1) % 8 ? 0 : take(p, 1) % 8);
        if (take(p, 1) % 4 == 0)
            r[i].ptr += 266 * 8;
        r[i].val = take(p, 1) % 5 ? some_entry(p) : 0;
    }
    return machine_put(AT_STRUCT, r, sizeof(r));
}

static guest_ptr_t put_ops(struct program *p, unsigned count)
{
    struct mmuext_op op[8] = {0};
    for (unsigned i = 0; i < count; i++) {
        op[i].cmd = (unsigned)take(p, 1) % 24;
        op[i].arg1.mfn = some_mfn(p);
        op[i].arg2.src_mfn = take(p, 1) % 2 ? some_mfn(p) : WINDOW_VA + AT_LIST;
    }
    return machine_put(AT_STRUCT, op, sizeof(op));
}

static guest_ptr_t put_calls(struct program *p, unsigned count)
{
    multicall_entry_t call[8] = {0};
    for (unsigned i = 0; i < count; i++) {
        call[i].op = take(p, 1) % 48;
        for (unsigned k = 0; k < 4; k++)
            call[i].args[k] = some_value(p);
        if (call[i].op == __HYPERVISOR_mmu_update || call[i].op == __HYPERVISOR_mmuext_op)
            call[i].args[1] %= 8;
        if (call[i].op == __HYPERVISOR_sched_op || call[i].op == __HYPERVISOR_console_io)
            call[i].op = 0;
    }
    return machine_put(AT_STRUCT + 0x200, call, sizeof(call));
}

/* --- grants: guest 1 and 2 have entries 8 to 15 for each other (happening()) --- */

#define GRANT_FIRST 8u
#define GRANTS      8u

static uint64_t some_slot(struct program *p)
{
    const uint64_t b = take(p, 1);

    return b & 3 ? guest_va((unsigned)(b >> 2))
                 : mfn_to_maddr(mfn(some_mfn(p))) + (b >> 2) * 8 + (b == 252);
}

static struct gnttab_copy_ptr some_side(struct program *p, bool by_ref)
{
    struct gnttab_copy_ptr side = {.offset = (uint16_t)(take(p, 1) % 9 * 512)};
    const uint64_t b = take(p, 1);

    if (by_ref)
        side.u.ref = GRANT_FIRST + b % GRANTS;
    else
        side.u.gmfn = some_mfn(p);
    side.domid = (domid_t)(by_ref ? 1 + (b >> 4) % 2 : b >> 4 ? DOMID_SELF : 1);
    return side;
}

static guest_ptr_t put_copies(struct program *p, unsigned count)
{
    struct gnttab_copy op[8] = {0};

    for (unsigned i = 0; i < count; i++) {
        op[i].flags = (uint16_t)take(p, 1) % 4;
        op[i].source = some_side(p, op[i].flags & GNTCOPY_source_gref);
        op[i].dest = some_side(p, op[i].flags & GNTCOPY_dest_gref);
        op[i].len = (uint16_t)(take(p, 1) * 16);
    }
    return machine_put(AT_STRUCT, op, sizeof(op));
}

static guest_ptr_t put_maps(struct program *p, unsigned count)
{
    struct gnttab_map_grant_ref op[8] = {0};

    for (unsigned i = 0; i < count; i++) {
        op[i].host_addr = some_slot(p);
        op[i].flags = (uint32_t)take(p, 1) % 32;
        if (op[i].host_addr < PAGE_SIZE * max_mfn)
            op[i].flags |= GNTMAP_contains_pte;
        op[i].ref = GRANT_FIRST + (uint32_t)take(p, 1) % GRANTS;
        op[i].dom = (domid_t)(1 + take(p, 1) % 2);
    }
    return machine_put(AT_STRUCT, op, sizeof(op));
}

/* Of both kinds: the second word is a device's address, or the entry that replaces. */
static guest_ptr_t put_unmaps(struct program *p, unsigned count, bool replace)
{
    struct gnttab_unmap_grant_ref op[8] = {0};

    for (unsigned i = 0; i < count; i++) {
        op[i].host_addr = take(p, 1) % 4 ? some_slot(p) : 0;
        op[i].dev_bus_addr = replace          ? some_slot(p)
                             : take(p, 1) % 2 ? mfn_to_maddr(mfn(some_mfn(p)))
                                              : 0;
        op[i].handle = (grant_handle_t)take(p, 1) % 16;
    }
    return machine_put(AT_STRUCT, op, sizeof(op));
}

static void shape_grants(struct program *p, uint64_t *arg)
{
    const unsigned count = 1 + (unsigned)take(p, 1) % 8;
    uint32_t words[4] = {0};

    arg[0] = take(p, 1) % 13;
    arg[2] = count;
    switch (arg[0]) {
    case GNTTABOP_map_grant_ref:
        arg[1] = put_maps(p, count).va;
        return;
    case GNTTABOP_unmap_grant_ref:
    case GNTTABOP_unmap_and_replace:
        arg[1] = put_unmaps(p, count, arg[0] == GNTTABOP_unmap_and_replace).va;
        return;
    case GNTTABOP_copy:
        arg[1] = put_copies(p, count).va;
        return;
    case GNTTABOP_set_version:
    case GNTTABOP_swap_grant_ref:
        for (unsigned i = 0; i < 4; i++)
            words[i] = arg[0] == GNTTABOP_set_version ? 1 + (uint32_t)take(p, 1) % 2
                                                      : GRANT_FIRST + (uint32_t)take(p, 1) % GRANTS;
        arg[1] = machine_put(AT_STRUCT, words, sizeof(words)).va;
        arg[2] = 1;
        return;
    default:
        arg[1] = put_struct(p).va;
        arg[2] = take(p, 1) % 3;
    }
}

/* @g writes to an entry of its table, whatever the version. */
static void write_grant(struct program *p, struct guest *g)
{
    static const uint16_t flags[] = {GTF_permit_access,
                                     GTF_permit_access,
                                     GTF_permit_access,
                                     GTF_permit_access | GTF_readonly,
                                     GTF_permit_access | GTF_sub_page,
                                     GTF_transitive,
                                     0,
                                     GTF_permit_access | GTF_reading};
    const grant_ref_t ref = GRANT_FIRST + (grant_ref_t)take(p, 1) % GRANTS;
    const uint16_t f = flags[take(p, 1) % ARRAY_SIZE(flags)];
    const domid_t to = (domid_t)(1 + take(p, 1) % 2);
    const uint64_t frame = some_mfn(p);

    if (g->d->grants->version == 1)
        *grant_entry_v1(g->d->grants, ref) = (grant_entry_v1_t){f, to, (uint32_t)frame};
    else
        *grant_entry_v2(g->d->grants, ref) =
            (grant_entry_v2_t){.sub_page = {{f, to}, 64, 1024, frame}};
}

static void shape(struct program *p, unsigned number, uint64_t *arg)
{
    unsigned count = 1 + (unsigned)take(p, 1) % 8;

    switch (number) {
    case __HYPERVISOR_mmu_update:
        arg[0] = put_updates(p, count).va;
        break;
    case __HYPERVISOR_mmuext_op:
        arg[0] = put_ops(p, count).va;
        break;
    case __HYPERVISOR_multicall:
        arg[0] = put_calls(p, count).va;
        break;
    case __HYPERVISOR_update_va_mapping:
    case __HYPERVISOR_update_va_mapping_otherdomain:
        arg[0] = guest_va((unsigned)take(p, 1) % 64);
        arg[1] = some_entry(p);
        arg[2] = take(p, 1) % 3;
        arg[3] = 1 + take(p, 1) % 2;
        return;
    case __HYPERVISOR_vcpu_op:
        arg[0] = take(p, 1) % 16;
        arg[1] = take(p, 1) % 3;
        arg[2] = put_struct(p).va;
        return;
    case __HYPERVISOR_event_channel_op:
        arg[0] = take(p, 1) % 15;
        arg[1] = (take(p, 1) % 4 ? put_event(p) : put_struct(p)).va;
        return;
    case __HYPERVISOR_grant_table_op:
        shape_grants(p, arg);
        return;
    case __HYPERVISOR_console_io:
        arg[0] = take(p, 1) % 3;
        arg[1] = take(p, 1);
        arg[2] = put_struct(p).va;
        return;
    default: /* (command, structure) */
        arg[0] = take(p, 1) % 32;
        arg[1] = put_struct(p).va;
        return;
    }
    arg[1] = count;
    arg[2] = take(p, 1) % 4 ? 0 : WINDOW_VA + AT_LIST;
    arg[3] = take(p, 1) % 4 ? DOMID_SELF : take(p, 1) % 4;
}

static void wild(struct program *p, unsigned number, uint64_t *arg)
{
    for (unsigned i = 0; i < 4; i++)
        arg[i] = some_value(p);
    /* A batch of a million refusals is no news. */
    if (number == __HYPERVISOR_multicall || number == __HYPERVISOR_mmu_update ||
        number == __HYPERVISOR_mmuext_op || number == __HYPERVISOR_console_io)
        arg[1] %= 64;
}

static unsigned some_number(struct program *p)
{
    static const uint8_t busy[] = {
        __HYPERVISOR_mmu_update,       __HYPERVISOR_mmuext_op,      __HYPERVISOR_memory_op,
        __HYPERVISOR_event_channel_op, __HYPERVISOR_vcpu_op,        __HYPERVISOR_update_va_mapping,
        __HYPERVISOR_multicall,        __HYPERVISOR_sched_op,       __HYPERVISOR_mmu_update,
        __HYPERVISOR_mmuext_op,        __HYPERVISOR_grant_table_op, __HYPERVISOR_grant_table_op};
    unsigned b = (unsigned)take(p, 1);
    return b & 3 ? busy[(b >> 2) % ARRAY_SIZE(busy)] : (b >> 2) % 48;
}

/* --- a machine that has seen better days --------------------------------------------------------- */

#define RING_FRAME  46u /* a guest's frames for console and store */
#define STORE_FRAME 47u

/* Both are served, the second's lines with a prefix. */
static void serve_rings(void)
{
    static struct domain_config config = {.console = CONSOLE_PREFIX, .memory = 48 * PAGE_SIZE};

    guest[1].d->config = &config;
    for (unsigned i = 0; i < 2; i++) {
        memset(guest_page(&guest[i], RING_FRAME), 0, PAGE_SIZE);
        memset(guest_page(&guest[i], STORE_FRAME), 0, PAGE_SIZE);
        long port = console_attach(guest[i].d, guest_mfn(&guest[i], RING_FRAME));
        if (port < 0 || xenstore_attach(guest[i].d, guest_mfn(&guest[i], STORE_FRAME),
                                        guest_mfn(&guest[i], RING_FRAME), (uint32_t)port) < 0)
            abort();
    }
}

static struct page_info *eaten[1024];
static unsigned eaten_count;

/* All memory but @left frames. */
static void eat_memory(unsigned left)
{
    while (page_free_count() > left) {
        struct page_info *pg = page_alloc(0);
        if (!pg)
            return;
        eaten[eaten_count++] = pg;
    }
}

static void give_memory_back(void)
{
    while (eaten_count)
        page_free(eaten[--eaten_count], 0);
}

/* Something happens around the guests. */
static void happening(struct program *p)
{
    struct guest *g = &guest[take(p, 1) & 1];
    uint32_t *ring = (uint32_t *)guest_page(g, take(p, 1) & 1 ? RING_FRAME : STORE_FRAME);

    if (g->d->shut_down)
        return;
    switch (take(p, 1) % 12) {
    case 0:
        for (unsigned n = (unsigned)take(p, 1) % 40; n; n--)
            console_input(" 1/ax\r"[take(p, 1) % 6]);
        break;
    case 1: /* it writes an index of a ring, and maybe what it should */
        ring[(2048 + take(p, 1) % 16) / 4] = (uint32_t)take(p, 1);
        break;
    case 2:
        memcpy((char *)ring + take(p, 2) % 2048, "text of a line\nand more", 23);
        break;
    case 3:
        machine_window(WINDOW_BYTES, take(p, 1) & 1 ? 0 : AT_STRUCT + take(p, 1) % 64);
        break;
    case 4:
        machine_window(AT_STRUCT + take(p, 1) % 64, 0);
        break;
    case 5:
        eat_memory((unsigned)take(p, 1) % 16);
        break;
    case 6:
        give_memory_back();
        break;
    case 7:
        machine_window(WINDOW_BYTES, WINDOW_BYTES);
        break;
    default:
        write_grant(p, g);
    }
}

/* --- a step
 * --------------------------------------------------------------------------------------------------
 */

static void call(struct program *p, struct guest *g, struct vcpu *v)
{
    struct hypercall_args a = {0};
    unsigned number = some_number(p);

    if (take(p, 1) % 8)
        shape(p, number, a.arg);
    else
        wild(p, number, a.arg);
    /* Shutting down ends the program: not with every other step. */
    if (number == __HYPERVISOR_sched_op &&
        (a.arg[0] == SCHEDOP_shutdown || a.arg[0] == SCHEDOP_remote_shutdown) && take(p, 1))
        return;
    if (!machine_try_enter(v))
        return;
    fuzz_steps++;
    long rc = hypercall_dispatch(v, number, &a);
    if (fuzz_calls) /* what gets through, for people who tune this */
        fuzz_calls[number][rc >= 0]++;
    if (atomic_and(&v->exit_work, ~EXIT_RUNSTATE) & EXIT_RUNSTATE && current_vcpu() == v)
        vcpu_publish_areas(v); /* on the way out */
    while (current_vcpu()->exit_work & EXIT_RESCHEDULE)
        schedule(); /* on the way out */
    (void)preempt_point();
}

static void step(struct program *p)
{
    uint8_t what = (uint8_t)take(p, 1);
    struct guest *g = &guest[what & 1];
    struct vcpu *v = g->d->vcpu[what >> 1 & 1];

    if (what >> 2 == 0) {
        machine_advance(take(p, 3) * 16);
        return;
    }
    if (g->d->shut_down)
        return;
    if (what >> 2 == 2) {
        happening(p);
        return;
    }
    for (unsigned i = 0; i < 2; i++) /* somebody woke it */
        vcpu_unpause(g->d->vcpu[i], PAUSE_BLOCKED | PAUSE_POLLING | PAUSE_DOWN);
    if (what >> 2 == 1) { /* home again, if it can: a guest on strange tables gets nowhere */
        (void)guest_mmuext(g, MMUEXT_NEW_BASEPTR, g->mfn[0], 0);
        return;
    }
    call(p, g, v);
    world_keep(); /* a domain with the control role may end any */
    machine_tlb_fill_all();
}

static void check(void)
{
    machine_tlb_fill_all();
    machine_log_clear();
    if (page_audit()) {
        fprintf(stderr, "the audit finds:\n%s\n", machine.log);
        abort();
    }
    if (machine_tlb_check())
        abort();
}

static void run_program(void *arg)
{
    struct program *p = arg;
    while (p->at < p->end)
        step(p);
    give_memory_back();
    machine_window(WINDOW_BYTES, WINDOW_BYTES);
}

/* Both at once: each may hold frames of the other. */
static void end_guests(void)
{
    for (unsigned i = 0; i < 2; i++) {
        guest[i].d->config = NULL; /* whatever reason it gave, it is destroyed */
        domain_shutdown(guest[i].d, SHUTDOWN_poweroff);
    }
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned cpu = 0; cpu < machine.cpus; cpu++) {
            machine_on_cpu(cpu);
            schedule();
        }
        machine_run_work();
        machine_on_cpu(0);
        machine_advance(20000000); /* a zombie is looked at again */
    }
    for (domid_t id = 1; id <= 2; id++) {
        struct domain *d = domain_get_owner(id);
        if (d) {
            fprintf(stderr, "domain %u does not go away, it has %u frames\n", id, d->tot_pages);
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program p = {data, data + size};

    if (!free_frames) {
        world_start(2, 1024);
        if (getenv("FUZZ_CALLS")) {
            fuzz_calls = calloc(48, sizeof(*fuzz_calls));
            atexit(say_calls);
        }
        free_frames = page_free_count();
    }
    grant_audit_strict = false; /* these guests write to GTF bits as well */
    guest_create(&guest[0], 1, 48, 2);
    guest_create(&guest[1], 2, 48, 2);
    guest[1].d->roles = ROLE_CONTROL | ROLE_HARDWARE;
    serve_rings();
    for (unsigned i = 0; i < GRANTS; i++) /* so that most programs have something to map */
        for (unsigned g = 0; g < 2; g++)
            *grant_entry_v1(guest[g].d->grants, GRANT_FIRST + i) = (grant_entry_v1_t){
                GTF_permit_access, (domid_t)(2 - g), (uint32_t)guest[g].mfn[20 + i]};
    if (machine_catch_end(run_program, &p))
        abort(); /* with a keeper alive no guest may end the machine */
    check();
    end_guests();
    check();
    if (page_free_count() != free_frames) {
        fprintf(stderr, "%ld frames are lost\n", (long)(free_frames - page_free_count()));
        abort();
    }
    fuzz_accepted++;
    return 0;
}

/* Any bytes are a program: a few that differ in what they are rich in. */
size_t fuzz_seed(unsigned i, uint8_t *to, size_t room)
{
    struct random r = {i + 1};

    if (i >= 8)
        return 0;
    for (unsigned k = 0; k < 2500; k++)
        to[k] = (uint8_t)(random_next(&r) >> 20);
    return 2500;
}
