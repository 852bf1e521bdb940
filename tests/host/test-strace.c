/*
 * Records of hypercalls: do the formats of hypercall-list.h describe Xen's structures, and does
 * what core/dispatch/strace.c writes come out of the ring whole?
 */
#include "suite.h"
#include "evtchn.h"
#include "strace.h"

#include <paravane/strace-record.h>
#include <string.h>
#include <xen/callback.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* --- formats --- */

#define OP(constant, served, fields) {#constant, fields},
static const struct {
    const char *name, *fields;
} formats[] = {XENMEM_LIST(OP) XENVER_LIST(OP) GNTTABOP_LIST(OP) VCPUOP_LIST(OP) SCHEDOP_LIST(OP)
                   CALLBACKOP_LIST(OP) EVTCHNOP_LIST(OP) PHYSDEVOP_LIST(OP)
#define S(name, fields) {#name, fields},
                       STRUCTURE_LIST(S)};

/* Xen's structures.  What is not here is shown in part: a structure that goes on, or ends in an
 * array. */
static const struct {
    const char *name;
    unsigned size;
} structures[] = {
    {"XENMEM_increase_reservation", sizeof(struct xen_memory_reservation)},
    {"XENMEM_decrease_reservation", sizeof(struct xen_memory_reservation)},
    {"XENMEM_populate_physmap", sizeof(struct xen_memory_reservation)},
    {"XENMEM_exchange", sizeof(struct xen_memory_exchange)},
    {"XENMEM_current_reservation", sizeof(domid_t)},
    {"XENMEM_machphys_mfn_list", sizeof(struct xen_machphys_mfn_list)},
    {"XENMEM_machphys_mapping", sizeof(struct xen_machphys_mapping)},
    {"XENMEM_memory_map", sizeof(struct xen_memory_map)},
    {"XENMEM_set_memory_map", sizeof(struct xen_foreign_memory_map)},
    {"XENMEM_add_to_physmap", sizeof(struct xen_add_to_physmap)},
    {"XENMEM_add_to_physmap_batch", sizeof(struct xen_add_to_physmap_batch)},
    {"XENMEM_remove_from_physmap", sizeof(struct xen_remove_from_physmap)},
    {"XENVER_extraversion", sizeof(xen_extraversion_t)},
    {"XENVER_compile_info", sizeof(struct xen_compile_info)},
    {"XENVER_changeset", sizeof(xen_changeset_info_t)},
    {"XENVER_platform_parameters", sizeof(struct xen_platform_parameters)},
    {"XENVER_get_features", sizeof(struct xen_feature_info)},
    {"XENVER_guest_handle", sizeof(xen_domain_handle_t)},
    {"GNTTABOP_map_grant_ref", sizeof(struct gnttab_map_grant_ref)},
    {"GNTTABOP_unmap_grant_ref", sizeof(struct gnttab_unmap_grant_ref)},
    {"GNTTABOP_setup_table", sizeof(struct gnttab_setup_table)},
    {"GNTTABOP_dump_table", sizeof(struct gnttab_dump_table)},
    {"GNTTABOP_transfer", sizeof(struct gnttab_transfer)},
    {"GNTTABOP_copy", sizeof(struct gnttab_copy)},
    {"GNTTABOP_query_size", sizeof(struct gnttab_query_size)},
    {"GNTTABOP_unmap_and_replace", sizeof(struct gnttab_unmap_and_replace)},
    {"GNTTABOP_set_version", sizeof(struct gnttab_set_version)},
    {"GNTTABOP_get_status_frames", sizeof(struct gnttab_get_status_frames)},
    {"GNTTABOP_get_version", sizeof(struct gnttab_get_version)},
    {"GNTTABOP_swap_grant_ref", sizeof(struct gnttab_swap_grant_ref)},
    {"GNTTABOP_cache_flush", sizeof(struct gnttab_cache_flush)},
    {"VCPUOP_get_runstate_info", sizeof(struct vcpu_runstate_info)},
    {"VCPUOP_register_runstate_memory_area", sizeof(struct vcpu_register_runstate_memory_area)},
    {"VCPUOP_set_periodic_timer", sizeof(struct vcpu_set_periodic_timer)},
    {"VCPUOP_set_singleshot_timer", sizeof(struct vcpu_set_singleshot_timer)},
    {"VCPUOP_get_physid", sizeof(struct vcpu_get_physid)},
    {"VCPUOP_register_vcpu_time_memory_area", sizeof(struct vcpu_register_time_memory_area)},
    {"SCHEDOP_shutdown", sizeof(struct sched_shutdown)},
    {"SCHEDOP_poll", sizeof(struct sched_poll)},
    {"SCHEDOP_remote_shutdown", sizeof(struct sched_remote_shutdown)},
    {"SCHEDOP_watchdog", sizeof(struct sched_watchdog)},
    {"SCHEDOP_pin_override", sizeof(struct sched_pin_override)},
    {"CALLBACKOP_register", sizeof(struct callback_register)},
    {"EVTCHNOP_bind_interdomain", sizeof(struct evtchn_bind_interdomain)},
    {"EVTCHNOP_bind_virq", sizeof(struct evtchn_bind_virq)},
    {"EVTCHNOP_bind_pirq", sizeof(struct evtchn_bind_pirq)},
    {"EVTCHNOP_close", sizeof(struct evtchn_close)},
    {"EVTCHNOP_send", sizeof(struct evtchn_send)},
    {"EVTCHNOP_alloc_unbound", sizeof(struct evtchn_alloc_unbound)},
    {"EVTCHNOP_bind_ipi", sizeof(struct evtchn_bind_ipi)},
    {"EVTCHNOP_bind_vcpu", sizeof(struct evtchn_bind_vcpu)},
    {"EVTCHNOP_unmask", sizeof(struct evtchn_unmask)},
    {"EVTCHNOP_reset", sizeof(struct evtchn_reset)},
    {"EVTCHNOP_expand_array", sizeof(struct evtchn_expand_array)},
    {"EVTCHNOP_set_priority", sizeof(struct evtchn_set_priority)},
    {"PHYSDEVOP_eoi", sizeof(struct physdev_eoi)},
    {"PHYSDEVOP_irq_status_query", sizeof(struct physdev_irq_status_query)},
    {"PHYSDEVOP_set_iopl", sizeof(struct physdev_set_iopl)},
    {"PHYSDEVOP_set_iobitmap", sizeof(struct physdev_set_iobitmap)},
    {"PHYSDEVOP_apic_read", sizeof(struct physdev_apic)},
    {"trap", sizeof(struct trap_info)},
    {"update", sizeof(mmu_update_t)},
    {"frame", sizeof(xen_pfn_t)},
    {"mmuext", sizeof(struct mmuext_op)},
};

static const char *fields_of(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].fields;
    return "";
}

Test(strace_format, structures_have_xens_size)
{
    for (unsigned i = 0; i < ARRAY_SIZE(structures); i++) {
        int written;
        unsigned size = strace_structure_size(fields_of(structures[i].name), &written);
        cr_assert(size == structures[i].size, "%s: the format has %u bytes, Xen's structure %u",
                  structures[i].name, size, structures[i].size);
    }
}

Test(strace_format, every_kind_is_known_and_fits)
{
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        const char *at = formats[i].fields;
        struct strace_field f = {0};
        int written;
        while (strace_field_next(&at, &f))
            cr_assert(f.size > 0, "%s: kind of %.*s", formats[i].name, f.name_length, f.name);
        cr_assert(strace_structure_size(formats[i].fields, &written) <= STRACE_DATA_MOST, "%s",
                  formats[i].name);
    }
}

Test(strace_format, parts_of_a_field)
{
    const char *at = "a:u16 b:op32:LIST> c:array:one*count/512 -:x8~ :mfn";
    struct strace_field f = {0};

    cr_assert(strace_field_next(&at, &f) && f.kind == FORMAT_UNSIGNED && f.size == 2 &&
              f.offset == 0 && !f.written && f.read);
    cr_assert(strace_field_next(&at, &f) && f.kind == FORMAT_OPERATION && f.offset == 4 &&
              f.written && !f.read);
    cr_assert(f.list_length == 4 && !strncmp(f.list, "LIST", 4) && !f.count);
    cr_assert(strace_field_next(&at, &f) && f.kind == FORMAT_ARRAY && f.offset == 8 &&
              f.divisor == 512);
    cr_assert(f.list_length == 3 && f.count_length == 5 && !strncmp(f.count, "count", 5));
    cr_assert(strace_field_next(&at, &f) && f.size == 1 && f.offset == 16 && f.written && f.read &&
              *f.name == '-');
    cr_assert(strace_field_next(&at, &f) && f.kind == FORMAT_FRAME && f.offset == 24 &&
              f.name_length == 0);
    cr_assert(!strace_field_next(&at, &f));
}

/* --- records --- */

static struct guest g;

static void start(void)
{
    strcpy(hypervisor_cmdline, "strace=0xe9");
    world_start(2, MACHINE_FRAMES);
    strace_init();
    cr_assert(strace_on);
    guest_create(&g, 1, 64, 1);
    machine_enter(g.v);
}

TestSuite(strace, .init = start);

/* As entry.S calls: through the table in force. */
static long call(unsigned number, uint64_t a, uint64_t b, uint64_t c)
{
    const struct hypercall_args args = {{a, b, c}};
    return hypercall_dispatch(g.v, number, &args);
}

static const struct strace_hello *hello(void)
{
    return (const void *)machine.port;
}

/* The @n-th record from the start of the ring. */
static const struct strace_record *record(unsigned n)
{
    const char *at = maddr_to_virt(hello()->ring);
    for (;;) {
        const struct strace_record *r = (const void *)at;
        cr_assert(r->size >= 8 && r->size % 8 == 0, "a record of %u bytes", r->size);
        if (r->kind != STRACE_FILLER && n-- == 0)
            return r;
        at += r->size;
    }
}

Test(strace, says_hello)
{
    cr_assert(hello()->magic == STRACE_MAGIC && hello()->version == STRACE_VERSION &&
              hello()->rules == RULE_LIMIT);
    cr_assert(machine.port_bytes == sizeof(struct strace_hello));
}

Test(strace, holds_a_structure_before_and_after)
{
    struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = 7};
    cr_assert(call(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound,
                   machine_put(0x8000, &op, sizeof(op)).va, 0) == 0);
    const struct strace_record *r = record(0);
    const struct evtchn_alloc_unbound *before = (const void *)(r + 1), *after = before + 1;

    cr_assert(r->kind == STRACE_CALL && r->number == __HYPERVISOR_event_channel_op &&
              r->domain == 1 && r->vcpu == 0);
    cr_assert(r->args == 6 && r->arg[0] == EVTCHNOP_alloc_unbound && r->result == 0 &&
              r->rule == RULE_NONE);
    cr_assert(r->in == sizeof(op) && r->out == sizeof(op) && r->caller == 0xca11e4);
    cr_assert(before->remote_dom == 7 && before->port == 0);
    after = (const void *)((const char *)(r + 1) + ((sizeof(op) + 7) & ~7ul));
    cr_assert(after->port != 0);
}

Test(strace, has_the_rule_that_refused)
{
    struct evtchn_close op = {.port = 77};
    cr_assert(call(__HYPERVISOR_event_channel_op, EVTCHNOP_close,
                   machine_put(0x8000, &op, sizeof(op)).va, 0) < 0);
    const struct strace_record *r = record(0);
    cr_assert(r->rule != RULE_NONE && r->operand[0] == 77 &&
              (int64_t)r->result == -rule_text[r->rule].error);
}

Test(strace, entries_come_before_their_multicall)
{
    const multicall_entry_t entry[] = {{.op = __HYPERVISOR_xen_version, .args = {XENVER_version}},
                                       {.op = 61},
                                       {.op = __HYPERVISOR_multicall}};
    cr_assert(call(__HYPERVISOR_multicall, machine_put(0x8000, entry, sizeof(entry)).va, 3, 0) ==
              0);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(record(i)->flags == STRACE_ENTRY && record(i)->index == i &&
                  record(i)->number == entry[i].op);
    cr_assert(record(1)->rule == RULE_HYPERCALL_UNKNOWN &&
              record(2)->rule == RULE_MULTICALL_NESTED);
    cr_assert(record(3)->number == __HYPERVISOR_multicall && !record(3)->flags &&
              record(3)->rule == RULE_NONE);
}

Test(strace, an_array_that_cannot_be_read_is_left_out)
{
    cr_assert(call(__HYPERVISOR_mmu_update, 0x1000, 4, 0) < 0);
    cr_assert(record(0)->in == 0 && record(0)->arg[1] == 4);
}

Test(strace, an_array_is_cut_at_whole_structures)
{
    static const struct mmuext_op op[20]; /* 24 bytes each */
    (void)call(__HYPERVISOR_mmuext_op, machine_put(0x8000, op, sizeof(op)).va, 20, 0);
    cr_assert(record(0)->in == STRACE_DATA_MOST / 24 * 24);
}

/* Through the table in force while calls are recorded, each with arguments that nobody has put there. */
Test(strace, every_call_is_recorded_with_its_result)
{
    for (unsigned number = 0; number < 64; number++) {
        if (number == __HYPERVISOR_sched_op || number == __HYPERVISOR_multicall)
            continue;
        const long rc = call(number, 1, 0x1000, 0);
        const struct strace_record *r = record(0);
        for (unsigned n = 0; r->number != number || r->kind != STRACE_CALL; n++)
            r = record(n);
        cr_assert((long)r->result == rc, "call %u: %ld was recorded as %ld", number, rc,
                  (long)r->result);
        cr_assert(r->domain == 1 && r->caller == 0xca11e4);
    }
}

Test(strace, what_was_emulated)
{
    static const uint64_t arg[6] = {1, 2, 3, 4, 5, 6};
    strace_emulated(g.v, STRACE_STORE, 0x1234, arg);
    cr_assert(record(0)->kind != STRACE_CALL && record(0)->domain == 1 && record(0)->arg[5] == 6);
    assert_ok(call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0));
    cr_assert(record(1)->number == __HYPERVISOR_sched_op && record(1)->result == 0);
}

/* Every chunk that fills rings once, and a flush once more. */
Test(strace, rings_for_each_chunk)
{
    const unsigned each = sizeof(struct strace_record), in_a_chunk = STRACE_CHUNK / each;
    for (unsigned i = 0; i < 3 * in_a_chunk + 1; i++)
        (void)call(__HYPERVISOR_stack_switch, i, 0, 0);
    cr_assert_eq(machine.port_bytes, sizeof(struct strace_hello) + 3);
    strace_flush();
    strace_flush();
    cr_assert_eq(machine.port_bytes, sizeof(struct strace_hello) + 4);
    for (unsigned i = 0; i < 3 * in_a_chunk + 1; i++)
        cr_assert_eq(record(i)->arg[0], i);
}

/* Round and round: the ring's end is a chunk's end. */
Test(strace, goes_on_at_the_start)
{
    const unsigned in_a_chunk = STRACE_CHUNK / sizeof(struct strace_record);
    for (unsigned i = 0; i < STRACE_CHUNKS * in_a_chunk + 1; i++)
        (void)call(__HYPERVISOR_stack_switch, i, 0, 0);
    cr_assert_eq(record(0)->arg[0], STRACE_CHUNKS * in_a_chunk);
    cr_assert_eq(record(1)->arg[0], 1);
}

static bool ends(struct domain *d, uint32_t port)
{
    domain_tracer.ended(d);
    return false;
}

/* What a domain was in the middle of when it ended is told, the innermost first. */
Test(strace, calls_that_never_return)
{
    const uint32_t port = (uint32_t)evtchn_alloc_hypervisor(g.d, ends);
    const multicall_entry_t entry = {.op = __HYPERVISOR_event_channel_op,
                                     .args = {EVTCHNOP_send, WINDOW_VA + 0x9000}};

    machine_put(0x9000, &port, sizeof(port));
    (void)call(__HYPERVISOR_multicall, machine_put(0x8000, &entry, sizeof(entry)).va, 1, 0);
    cr_assert(record(0)->number == __HYPERVISOR_event_channel_op &&
              record(0)->flags == (STRACE_ENTRY | STRACE_UNFINISHED));
    cr_assert(record(1)->number == __HYPERVISOR_multicall && record(1)->flags == STRACE_UNFINISHED);
    cr_assert(record(0)->arg[1] == WINDOW_VA + 0x9000 && !record(0)->out);
    cr_assert_eq(machine.port_bytes, sizeof(struct strace_hello) + 1);
}

/* A refusal in no call: by a trap. */
Test(strace, refusal_outside_of_calls)
{
    refuse_recorder(g.v, RULE_PORT_NOT_OPEN, 7, 8, 9);
    const struct strace_record *r = record(0);
    cr_assert(r->kind == STRACE_REFUSAL && r->rule == RULE_PORT_NOT_OPEN && r->caller == 0xca11e4);
    cr_assert_eq((int64_t)r->result, -rule_text[RULE_PORT_NOT_OPEN].error);
}

/* The page behind the pointer ends after the first structure, or before it. */
Test(strace, arrays_at_the_end_of_what_can_be_read)
{
    static const struct mmuext_op op[2];
    machine_put(0x8000, op, sizeof(op));
    machine_window(0x8000 + sizeof(op[0]), WINDOW_BYTES);
    (void)call(__HYPERVISOR_mmuext_op, WINDOW_VA + 0x8000, 2, 0);
    cr_assert_eq(record(0)->in, sizeof(op[0]));
}
