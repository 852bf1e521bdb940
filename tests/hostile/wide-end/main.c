/*
 * Wants: the neighbours' time, by being as wide as a domain can be when it ends and is built again.
 *
 * It has 64 vCPUs, 63 of them with descriptor tables of 14 frames each that it has given back otherwise: its end is the last to
 * refer to 882 frames. Then 64 vCPUs with all that the hypervisor keeps for each are cleared and made anew.
 *
 * Fails: teardown and building are work, with a preemption point after each vCPU.
 */
#include "attack.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"
#include "trap.h"

#include <paravane/hypercall.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define FRAMES 14 /* of a GDT */

static unsigned long gone[64 * FRAMES];
static unsigned n_gone;
static struct vcpu_guest_context context;

static unsigned long lone(void)
{
    gone[n_gone] = 0x100000 + n_gone;
    if (frames_populate(&gone[n_gone], 1, 0) != 1)
        tap_bail_out("no frame");
    return gone[n_gone++];
}

void guest_main(void)
{
    const unsigned count = 64;
    attack_begin("wide-end");
    attack_vcpu_infos(count);
    unsigned made = 0;
    for (unsigned i = 1; i < count; i++) {
        memset(&context, 0, sizeof(context));
        context.flags = VGCF_in_kernel;
        context.user_regs.cs = FLAT_KERNEL_CS;
        context.user_regs.ss = FLAT_KERNEL_SS;
        context.kernel_ss = FLAT_KERNEL_SS;
        context.ctrlreg[3] = xen_pfn_to_cr3(memory_root_mfn());
        for (unsigned k = 0; k < FRAMES; k++)
            context.gdt_frames[k] = lone();
        context.gdt_ents = FRAMES * 512;
        long rc = hypercall_vcpu_op(VCPUOP_initialise, i, &context);
        if (rc)
            tap_bail_out("vCPU %u cannot be initialised: %ld", i, rc);
        made++;
    }
    const long released = frames_release(gone, n_gone, 0);
    tap_note("%u vCPUs, %u frames, %ld released", made, n_gone, released);
    attack_again();
}
