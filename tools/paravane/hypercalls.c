/* `paravane hypercalls [NAME]`: the list of hypercall-abi, expanded. */
#include "command.h"

#include <paravane/hypercall-list.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "manual.h"
#include "verdict.h"

struct hypercall {
    const char *name;
    unsigned number, arguments;
    const char *cost, *decode; /* cost NULL: answers -ENOSYS */
};

static const struct hypercall calls[] = {
#define CALL(name, count, cost, args) {#name, __HYPERVISOR_##name, count, #cost, args},
#define NONE(name, count, args)       {#name, __HYPERVISOR_##name, count, NULL, args},
    HYPERCALL_LIST(CALL, NONE)
#undef CALL
#undef NONE
};

struct operation {
    const char *call, *name, *served;
    unsigned long number;
};

static const struct operation operations[] = {
#define MMUEXT_OP(name, how, fields) {"mmuext_op", #name, #how, (unsigned long)(name)},
    MMUEXT_LIST(MMUEXT_OP)
#define XENMEM_OP(name, how, fields) {"memory_op", #name, #how, (unsigned long)(name)},
        XENMEM_LIST(XENMEM_OP)
#define XENVER_OP(name, how, fields) {"xen_version", #name, #how, (unsigned long)(name)},
            XENVER_LIST(XENVER_OP)
#define CONSOLEIO_OP(name, how, fields) {"console_io", #name, #how, (unsigned long)(name)},
                CONSOLEIO_LIST(CONSOLEIO_OP)
#define GNTTABOP_OP(name, how, fields) {"grant_table_op", #name, #how, (unsigned long)(name)},
                    GNTTABOP_LIST(GNTTABOP_OP)
#define VMASST_OP(name, how, fields) {"vm_assist", #name, #how, (unsigned long)(name)},
                        VMASST_TYPE_LIST(VMASST_OP)
#define VCPUOP_OP(name, how, fields) {"vcpu_op", #name, #how, (unsigned long)(name)},
                            VCPUOP_LIST(VCPUOP_OP)
#define SEGBASE_OP(name, how, fields) {"set_segment_base", #name, #how, (unsigned long)(name)},
                                SEGBASE_LIST(SEGBASE_OP)
#define SCHEDOP_OP(name, how, fields) {"sched_op", #name, #how, (unsigned long)(name)},
                                    SCHEDOP_LIST(SCHEDOP_OP)
#define CALLBACKOP_OP(name, how, fields) {"callback_op", #name, #how, (unsigned long)(name)},
                                        CALLBACKOP_LIST(CALLBACKOP_OP)
#define EVTCHNOP_OP(name, how, fields) {"event_channel_op", #name, #how, (unsigned long)(name)},
                                            EVTCHNOP_LIST(EVTCHNOP_OP)
#define PHYSDEVOP_OP(name, how, fields) {"physdev_op", #name, #how, (unsigned long)(name)},
                                                PHYSDEVOP_LIST(PHYSDEVOP_OP)};

static const char *served_words(const char *served)
{
    return strcmp(served, "YES") == 0    ? "served"
           : strcmp(served, "PRIV") == 0 ? "served to the roles that may, else -EPERM"
                                         : "refused";
}

static void print_list(void)
{
    printf("%4s  %-29s %-6s %s\n", "nr", "name", "cost", "arguments");
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        printf("%4u  %-29s %-6s %s\n", calls[i].number, calls[i].name,
               calls[i].cost ? calls[i].cost : "ENOSYS", calls[i].decode);
}

static void print_call(const struct hypercall *c)
{
    printf("%s: hypercall %u, %u argument%s\n", c->name, c->number, c->arguments,
           c->arguments == 1 ? "" : "s");
    printf("  arguments: %s\n  cost:      %s\n", *c->decode ? c->decode : "none",
           c->cost ? c->cost : "none: it answers -ENOSYS");
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(operations[i].call, c->name) == 0)
            printf("  %4lu %-38s %s\n", operations[i].number, operations[i].name,
                   served_words(operations[i].served));
}

int command_hypercalls(int argc, char **argv)
{
    if (argc > 2)
        return verdict_say(VERDICT_USAGE, "hypercalls takes at most one NAME; leave out the rest");
    if (argc < 2) {
        print_list();
        return VERDICT_OK;
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, argv[1]) != 0)
            continue;
        print_call(&calls[i]);
        putchar('\n');
        manual_print(argv[1]);
        return VERDICT_OK;
    }
    return verdict_say(VERDICT_USAGE, "%s is no hypercall; `paravane hypercalls` lists them",
                       argv[1]);
}
