/*
 * Question: which assists does vm_assist know?
 *
 * Assists are switches of the ABI that a guest turns on when it knows about
 * them.  Guests ignore most results, but probe some.
 */
#include "guest.h"
#include "tap.h"

#include <paravane/hypercall.h>

COVERS_CALL(vm_assist);
COVERS(vm_assist, VMASST_TYPE_4gb_segments);
COVERS(vm_assist, VMASST_TYPE_4gb_segments_notify);
COVERS(vm_assist, VMASST_TYPE_writable_pagetables);
COVERS(vm_assist, VMASST_TYPE_pae_extended_cr3);
COVERS(vm_assist, VMASST_TYPE_architectural_iopl);
COVERS(vm_assist, VMASST_TYPE_runstate_update_flag);
COVERS(vm_assist, VMASST_TYPE_m2p_strict);

static const struct {
    const char *name;
    unsigned type;
    long expected;
} types[] = {
    {"4gb_segments", VMASST_TYPE_4gb_segments, 0},
    {"4gb_segments_notify", VMASST_TYPE_4gb_segments_notify, 0},
    {"writable_pagetables", VMASST_TYPE_writable_pagetables, 0},
    {"pae_extended_cr3", VMASST_TYPE_pae_extended_cr3, 0},
    {"architectural_iopl", VMASST_TYPE_architectural_iopl, 0},
    {"runstate_update_flag", VMASST_TYPE_runstate_update_flag, 0},
    {"type 6", 6, -XEN_EINVAL},
    {"type 31", 31, -XEN_EINVAL},
    {"m2p_strict", VMASST_TYPE_m2p_strict, 0},
    {"type 33", 33, -XEN_EINVAL},
    {"type 64", 64, -XEN_EINVAL},
    {"type ~0", ~0u, -XEN_EINVAL},
};

void guest_main(void)
{
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        tap_is(hypercall_vm_assist(VMASST_CMD_enable, types[i].type), types[i].expected,
               "enable %s", types[i].name);
        tap_is(hypercall_vm_assist(VMASST_CMD_enable, types[i].type), types[i].expected,
               "enable %s twice", types[i].name);
        tap_is(hypercall_vm_assist(VMASST_CMD_disable, types[i].type), types[i].expected,
               "disable %s", types[i].name);
    }
    tap_is(hypercall_vm_assist(2, 0), -XEN_ENOSYS, "no command 2");
    tap_is(hypercall_vm_assist(~0u, 0), -XEN_ENOSYS, "no command ~0");
}
