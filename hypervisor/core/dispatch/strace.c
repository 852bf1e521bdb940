/*
 * A record of every hypercall: see paravane/strace-record.h for where it goes.
 *
 *     entry.S, multicall --> hypercall_calls --> strace_NAME() --> begin, hypercall_NAME(), end
 *
 * strace_table is hypercall_table with a function of this file around each handler, made from the
 * same list.  What is read of a structure behind a pointer follows from the list's formats, which
 * are taken apart once, at boot, into @capture_of and @sub_of.
 *
 * A call that has not returned is a struct strace_frame on its vCPU's stack, found by vcpu.strace:
 * there refusals leave their rule, and there announce_end() finds the calls that never return.
 * Calls that nobody serves are in no table; their refusal makes the record.
 */
#include "strace.h"
#include "arch.h"
#include "hypercall.h"
#include "lib.h"
#include "sched.h"

#include <paravane/strace-record.h>
#include <xen/callback.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/version.h>

#define RING_ORDER 11 /* 8 MiB */
_Static_assert(PAGE_SIZE << RING_ORDER == (unsigned long)STRACE_CHUNK * STRACE_CHUNKS, "one block");

bool strace_on;

struct strace_frame {
    struct strace_frame *outer;
    struct strace_record r;
    uint64_t inner; /* ticks of the calls that it made itself, with all that recording them took */
    uint64_t in[STRACE_DATA_MOST / 8];
};

static struct {
    spinlock_t lock;
    uint16_t port;
    uint64_t at; /* bytes written, ever */
    char *bytes;
} ring = {.lock = SPINLOCK_INIT(STRACE)};

/* --- what to read --- */

/* The pointer of a call: which argument, how many of what. */
static struct {
    uint8_t kind;    /* enum strace_kind_letter: FORMAT_ARRAY, FORMAT_SUB, FORMAT_TEXT; else none */
    uint8_t pointer; /* argument */
    uint8_t count;   /* argument; NO_ARGUMENT: none is given */
    uint8_t op;      /* argument that chooses the structure */
    uint16_t size;   /* of an array's structure */
    uint16_t divisor;
} capture_of[HYPERCALL_LIMIT];
#define NO_ARGUMENT 6

#define SUBS 64u /* sub-operations have smaller numbers */
struct sub {
    uint16_t size;
    bool written;
};
static struct sub (*sub_of)[SUBS]; /* [hypercall] */

static const struct {
    uint8_t call, op;
    const char *fields;
} sub_list[] = {
#define OP(call, constant, fields)          {__HYPERVISOR_##call, constant, fields},
#define MEMORY(constant, served, fields)    OP(memory_op, constant, fields)
#define VERSION(constant, served, fields)   OP(xen_version, constant, fields)
#define GRANTS(constant, served, fields)    OP(grant_table_op, constant, fields)
#define VCPUS(constant, served, fields)     OP(vcpu_op, constant, fields)
#define SCHED(constant, served, fields)     OP(sched_op, constant, fields)
#define CALLBACKS(constant, served, fields) OP(callback_op, constant, fields)
#define EVENTS(constant, served, fields)    OP(event_channel_op, constant, fields)
#define DEVICES(constant, served, fields)   OP(physdev_op, constant, fields)
    XENMEM_LIST(MEMORY) XENVER_LIST(VERSION) GNTTABOP_LIST(GRANTS) VCPUOP_LIST(VCPUS)
        SCHEDOP_LIST(SCHED) CALLBACKOP_LIST(CALLBACKS) EVTCHNOP_LIST(EVENTS)
            PHYSDEVOP_LIST(DEVICES)};

static uint16_t structure_size(const char *name, unsigned length)
{
    int written;
#define S(structure, fields)                                                   \
    if (length == sizeof(#structure) - 1 && !memcmp(name, #structure, length)) \
        return (uint16_t)strace_structure_size(fields, &written);
    STRUCTURE_LIST(S)
#undef S
    return 0;
}

/* The number of the argument called @name. */
static uint8_t argument(const char *args, const char *name, unsigned length)
{
    struct strace_field f = {0};
    uint8_t n = 0;
    while (strace_field_next(&args, &f) &&
           (f.name_length != length || memcmp(f.name, name, length)))
        n++;
    return MIN(n, NO_ARGUMENT);
}

static void learn_call(unsigned number, const char *args)
{
    struct strace_field f = {0};
    const char *at = args;

    for (uint8_t n = 0; strace_field_next(&at, &f); n++) {
        if (f.kind == FORMAT_OPERATION && !n)
            capture_of[number].op = n;
        if (f.kind != FORMAT_ARRAY && f.kind != FORMAT_SUB && f.kind != FORMAT_TEXT)
            continue;
        capture_of[number].kind = f.kind;
        capture_of[number].pointer = n;
        capture_of[number].count = f.count ? argument(args, f.count, f.count_length) : NO_ARGUMENT;
        capture_of[number].divisor = f.divisor;
        capture_of[number].size = f.kind == FORMAT_ARRAY  ? structure_size(f.list, f.list_length)
                                  : f.kind == FORMAT_TEXT ? 1
                                                          : 0;
    }
}

static void learn_formats(void)
{
#define CALL(name, nargs, cost, args) learn_call(__HYPERVISOR_##name, args);
#define NONE(name, nargs, args)
    HYPERCALL_LIST(CALL, NONE)
#undef CALL
#undef NONE
    for (unsigned i = 0; i < ARRAY_SIZE(sub_list); i++) {
        int written;
        unsigned size = strace_structure_size(sub_list[i].fields, &written);
        if (sub_list[i].op < SUBS)
            sub_of[sub_list[i].call][sub_list[i].op] = (struct sub){(uint16_t)size, written};
    }
}

/* How many bytes lie behind @r's pointer that are worth having, and whether the call writes there.
 */
static unsigned worth_reading(const struct strace_record *r, bool *written)
{
    const unsigned n = r->number;
    uint64_t size = capture_of[n].size, count = capture_of[n].count;

    *written = capture_of[n].kind == FORMAT_TEXT;
    if (capture_of[n].kind == FORMAT_SUB && r->arg[capture_of[n].op] < SUBS) {
        const struct sub *s = &sub_of[n][r->arg[capture_of[n].op]];
        size = s->size;
        *written = s->written;
    }
    if (!size || !r->arg[capture_of[n].pointer])
        return 0;
    count = count == NO_ARGUMENT
                ? capture_of[n].kind == FORMAT_SUB || size < 16 ? 1 : STRACE_DATA_MOST
                : (uint32_t)r->arg[count];
    count = (count + capture_of[n].divisor - 1) / capture_of[n].divisor;
    return (unsigned)(MIN(count, STRACE_DATA_MOST / size) * size);
}

/* --- the ring --- */

static void port_write(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        arch_port_write(ring.port, ((const uint8_t *)bytes)[i]);
}

static void *ring_at(void)
{
    return ring.bytes + ring.at % (STRACE_CHUNK * STRACE_CHUNKS);
}

/* @n bytes have been written there; never beyond the chunk. */
static void ring_advance(unsigned n)
{
    ring.at += n;
    if (ring.at % STRACE_CHUNK == 0)
        arch_port_write(ring.port, 0);
}

static void end_chunk(void)
{
    const unsigned rest = STRACE_CHUNK - ring.at % STRACE_CHUNK;
    struct strace_record *r = ring_at();
    r->size = (uint16_t)rest;
    r->kind = STRACE_FILLER;
    ring_advance(rest);
}

void strace_flush(void)
{
    if (!strace_on || atomic_read(&ring.lock.held)) /* a bug while a record is written */
        return;
    spin_lock(&ring.lock);
    if (ring.at % STRACE_CHUNK)
        end_chunk();
    spin_unlock(&ring.lock);
}

static unsigned padded(unsigned n)
{
    return (n + 7) & ~7u;
}

/* Write @r with @in, and as many bytes of the guest's memory at @from as r->out says. */
static void put(struct strace_record *r, const void *in, uint64_t from)
{
    r->size = (uint16_t)(sizeof(*r) + padded(r->in) + padded(r->out));
    spin_lock(&ring.lock);
    if (STRACE_CHUNK - ring.at % STRACE_CHUNK < r->size)
        end_chunk();
    char *to = ring_at();
    char *data = to + sizeof(*r);
    if (r->out && guest_read(data + padded(r->in), guest_ptr(from), r->out))
        r->out = 0;
    if (r->in)
        memcpy(data, in, r->in);
    memcpy(to, r, sizeof(*r));
    ring_advance(r->size);
    spin_unlock(&ring.lock);
}

/* --- calls --- */

static void record_init(struct strace_record *r, const struct vcpu *v, enum strace_kind kind)
{
    *r = (struct strace_record){
        .kind = kind,
        .domain = v->domain->id,
        .vcpu = v->id,
        .cpu = (uint8_t)v->cpu,
        .time = arch_now(),
    };
}

/* Time in which @v did not run. */
static uint64_t time_away(const struct vcpu *v)
{
    return v->runstate_time[VCPU_RUNNABLE] + v->runstate_time[VCPU_BLOCKED] +
           v->runstate_time[VCPU_OFFLINE];
}

static bool may_sleep(const struct strace_record *r)
{
    return r->number == __HYPERVISOR_sched_op && r->arg[0] != SCHEDOP_yield;
}

static void begin(struct strace_frame *f, struct vcpu *v, unsigned number,
                  const struct hypercall_args *a)
{
    struct strace_record *r = &f->r;
    bool written;

    record_init(r, v, STRACE_CALL);
    r->number = number;
    r->args = ARRAY_SIZE(r->arg);
    memcpy(r->arg, a->arg, sizeof(r->arg));
    f->outer = v->strace;
    f->inner = 0;
    if (f->outer)
        r->flags = STRACE_ENTRY;
    else
        r->caller = arch_guest_caller(v);
    if (may_sleep(r))
        strace_flush();

    const unsigned want = worth_reading(r, &written);
    const guest_ptr_t at = guest_ptr(r->arg[capture_of[number].pointer]);
    if (want && !guest_read(f->in, at, want))
        r->in = (uint16_t)want;
    else if (want && capture_of[number].size && !guest_read(f->in, at, capture_of[number].size))
        r->in = capture_of[number].size; /* the page ends behind it */
    r->out = written ? r->in : 0;
    r->away = time_away(v);
    v->strace = f;
}

/* @ticks of the call, without what its vCPU spent away and what inner calls took. */
static uint64_t own_ticks(const struct strace_frame *f, uint64_t ticks)
{
    const struct strace_record *r = &f->r;
    if (r->away) {
        const uint64_t all = MAX(arch_now() - r->time, 1ull),
                       ran = all > r->away ? all - r->away : 0;
        ticks = (ran * ((ticks << 10) / all)) >> 10;
    }
    return ticks > f->inner ? ticks - f->inner : 0;
}

static void end(struct strace_frame *f, struct vcpu *v, uint64_t ticks, long result)
{
    struct strace_record *r = &f->r;

    v->strace = f->outer;
    r->result = (uint64_t)result;
    r->away = time_away(v) - r->away;
    r->ticks = own_ticks(f, ticks);
    if (f->outer)
        r->index = f->outer->r.entries++;
    put(r, f->in, r->arg[capture_of[r->number].pointer]);
}

static long traced(struct vcpu *v, unsigned number, const struct hypercall_args *a,
                   hypercall_fn *handler)
{
    struct strace_frame f;
    const uint64_t before = arch_ticks();

    begin(&f, v, number, a);
    const uint64_t start = arch_ticks();
    long result = handler(v, a);
    end(&f, v, arch_ticks() - start, result);
    if (f.outer)
        f.outer->inner += arch_ticks() - before;
    return result;
}

#define hypercall_multicall hypercall_multicall_traced /* its entries, too */
#define CALL(name, nargs, cost, args)                                         \
    static long strace_##name(struct vcpu *v, const struct hypercall_args *a) \
    {                                                                         \
        return traced(v, __HYPERVISOR_##name, a, hypercall_##name);           \
    }
#define NONE(name, nargs, args)
HYPERCALL_LIST(CALL, NONE)
#undef CALL
#undef hypercall_multicall

#define CALL(name, nargs, cost, args) [__HYPERVISOR_##name] = strace_##name,
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static hypercall_fn *const strace_table[HYPERCALL_LIMIT] = {
    [0 ... HYPERCALL_LIMIT - 1] = hypercall_unserved, HYPERCALL_LIST(CALL, NONE)};
#pragma GCC diagnostic pop
#undef CALL
#undef NONE

/* --- refusals --- */

/* Calls that are refused before a table is looked at: of one in a multicall the number is known, of
 * others two arguments. */
static void put_unserved(struct vcpu *v, uint64_t number, enum rule_id rule)
{
    const uint64_t before = arch_ticks();
    struct strace_record r;

    record_init(&r, v, STRACE_CALL);
    r.number = (uint32_t)number;
    r.rule = (uint16_t)rule;
    r.result = (uint64_t)-rule_text[rule].error;
    r.operand[0] = number;
    if (v->strace) {
        r.flags = STRACE_ENTRY;
        r.index = v->strace->r.entries++;
    } else {
        const struct trace_record *t = trace_past(&v->trace, 1);
        r.args = 2;
        r.arg[0] = t->a;
        r.arg[1] = t->b;
        r.caller = arch_guest_caller(v);
    }
    put(&r, NULL, 0);
    if (v->strace)
        v->strace->inner += arch_ticks() - before;
}

/* @v was refused something: part of the record of the call it is in, or a record of its own. */
static void strace_refused(struct vcpu *v, enum rule_id rule, uint64_t a, uint64_t b, uint64_t c)
{
    struct strace_frame *f = v->strace;
    struct strace_record own, *r = f ? &f->r : &own;

    if ((rule == RULE_HYPERCALL_UNKNOWN && (!f || f->r.number == __HYPERVISOR_multicall)) ||
        rule == RULE_MULTICALL_NESTED) {
        put_unserved(v, rule == RULE_MULTICALL_NESTED ? __HYPERVISOR_multicall : a, rule);
        return;
    }
    if (!f) {
        if (v->is_idle)
            return;
        record_init(&own, v, STRACE_REFUSAL);
        own.caller = arch_guest_caller(v);
        own.result = (uint64_t)-rule_text[rule].error;
    }
    r->rule = rule;
    r->operand[0] = a;
    r->operand[1] = b;
    r->operand[2] = c;
    if (!f)
        put(&own, NULL, 0);
}

void strace_emulated(struct vcpu *v, unsigned what, uint64_t rip, const uint64_t arg[6])
{
    struct strace_record r;

    record_init(&r, v, STRACE_EMULATION);
    r.number = what;
    r.caller = rip;
    memcpy(r.arg, arg, sizeof(r.arg));
    put(&r, NULL, 0);
}

/* @d's vCPUs have stopped for good: calls that they were in are recorded as unfinished. */
static void strace_domain_ended(struct domain *d)
{
    for_each_vcpu(d, v)
        for (; v->strace; v->strace = v->strace->outer) {
            struct strace_frame *f = v->strace;
            f->r.flags |= STRACE_UNFINISHED;
            f->r.out = 0;
            f->r.away = 0;
            put(&f->r, f->in, 0);
        }
    strace_flush();
}

/* --- boot --- */

void strace_init(void)
{
    ring.port = (uint16_t)cmdline_number("strace", 0);
    if (!ring.port)
        return;
    ring.bytes = page_alloc_zeroed(RING_ORDER);
    sub_of = page_alloc_zeroed(2);
    _Static_assert(sizeof(*sub_of) * HYPERCALL_LIMIT <= PAGE_SIZE << 2, "a block");
    if (!ring.bytes || !sub_of) {
        printk("strace: no memory for its ring of %lu KiB; give the machine more\n",
               (PAGE_SIZE << RING_ORDER) / 1024);
        return;
    }
    learn_formats();
    const struct strace_hello hello = {
        .magic = STRACE_MAGIC,
        .version = STRACE_VERSION,
        .ring = mfn_to_maddr(virt_to_mfn(ring.bytes)),
        .rules = RULE_LIMIT,
    };
    port_write(&hello, sizeof(hello));
    strace_on = true;
    refuse_recorder = strace_refused;
    domain_tracer = (struct domain_tracer){.slow_paths = SLOW_STRACE, .ended = strace_domain_ended};
    hypercall_calls = strace_table;
}
