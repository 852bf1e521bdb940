/*
 * Question: what do I/O ports and interrupt flags do under a virtual IOPL?
 *
 * set_iopl gives the guest kernel a virtual I/O privilege level.  With level 1
 * or more CLI and STI retire as no-ops (the upcall mask is not theirs) and
 * ports that the domain does not own read as all ones.  Without it they are
 * #GP.  Debian's Linux runs CLI thousands of times a boot and depends on it.
 */
#include "guest.h"
#include "event.h"
#include "memory.h"
#include "tap.h"
#include "trap.h"
#include "user.h"

#include <paravane/hypercall.h>
#include <xen/physdev.h>

COVERS_CALL(physdev_op);
COVERS(physdev_op, PHYSDEVOP_set_iopl);
COVERS(physdev_op, PHYSDEVOP_set_iobitmap);
COVERS(physdev_op, PHYSDEVOP_eoi);
COVERS(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2);
COVERS(physdev_op, PHYSDEVOP_irq_status_query);
COVERS(physdev_op, PHYSDEVOP_apic_read);
COVERS(physdev_op, PHYSDEVOP_apic_write);
COVERS(physdev_op, PHYSDEVOP_prepare_msix);
COVERS(physdev_op, PHYSDEVOP_release_msix);

static long set_iopl(unsigned level)
{
    struct physdev_set_iopl arg = {.iopl = level};
    return hypercall_physdev_op(PHYSDEVOP_set_iopl, &arg);
}

USER_ASM(user_in, "in $0x80, %al; syscall");
USER_ASM(user_cli, "cli; syscall");

static void test_iopl(void)
{
    struct trap_frame f = user_frame();

    tap_is(set_iopl(4), -XEN_EINVAL, "set_iopl: 4");
    tap_is(set_iopl(~0u), -XEN_EINVAL, "set_iopl: ~0");
    tap_is(hypercall_physdev_op(PHYSDEVOP_set_iopl, (void *)0x1000), -XEN_EFAULT,
           "set_iopl: an unmapped argument");
    for (unsigned level = 0; level < 4; level++) {
        int expected = level >= 1 ? NO_TRAP : TRAP_GP;
        uint8_t mask = event_vcpu_info(0)->evtchn_upcall_mask;
        uint32_t value;

        tap_is(set_iopl(level), 0, "set_iopl: %u", level);
        tap_is(TRAPS(__asm__ volatile("cli")), expected, "IOPL %u: CLI", level);
        tap_is(TRAPS(__asm__ volatile("sti")), expected, "IOPL %u: STI", level);
        tap_is(event_vcpu_info(0)->evtchn_upcall_mask, mask, "IOPL %u: the upcall mask stays",
               level);
        tap_is(TRAPS(__asm__ volatile("in $0x21, %%al"
                                      : "=a"(value)
                                      : "0"(0))),
               expected, "IOPL %u: IN from a port that is the hypervisor's", level);
        if (level)
            tap_is_hex(value & 0xff, 0xff, "IOPL %u: it reads ones", level);
        tap_is(TRAPS(__asm__ volatile("out %%al, $0x21"
                                      :
                                      : "a"(0))),
               expected, "IOPL %u: OUT to it", level);
        tap_is(TRAPS(__asm__ volatile("inl %%dx, %%eax"
                                      : "=a"(value)
                                      : "d"(0x20), "0"(0))),
               expected, "IOPL %u: IN of 4 bytes", level);
        tap_is(USER_RUN(&f, user_in), level == 3 ? TRAP_SYSCALL : TRAP_GP,
               "IOPL %u: IN by the user", level);
        tap_is(USER_RUN(&f, user_cli), level == 3 ? TRAP_SYSCALL : TRAP_GP,
               "IOPL %u: CLI by the user", level);
    }
    set_iopl(0);
}

static void test_bitmap(void)
{
    static uint8_t bitmap[8192];
    struct physdev_set_iobitmap arg;
    struct trap_frame f = user_frame();

    for (unsigned i = 0; i < sizeof(bitmap); i++)
        bitmap[i] = 0xff;
    bitmap[0x80 / 8] = 0xfe; /* a clear bit opens port 0x80 */
    set_xen_guest_handle(arg.bitmap, bitmap);
    arg.nr_ports = 65536;
    tap_is(hypercall_physdev_op(PHYSDEVOP_set_iobitmap, &arg), 0, "set_iobitmap");
    arg.nr_ports = 65537;
    tap_is(hypercall_physdev_op(PHYSDEVOP_set_iobitmap, &arg), -XEN_EINVAL,
           "set_iobitmap: 65537 ports");
    tap_is(hypercall_physdev_op(PHYSDEVOP_set_iobitmap, (void *)0x1000), -XEN_EFAULT,
           "set_iobitmap: an unmapped argument");
    (void)f;
    set_xen_guest_handle(arg.bitmap, (void *)0);
    arg.nr_ports = 0;
    tap_is(hypercall_physdev_op(PHYSDEVOP_set_iobitmap, &arg), 0, "set_iobitmap: none");
}

static void test_interrupts(void)
{
    struct physdev_eoi eoi = {.irq = ~0u};
    struct physdev_irq_status_query query = {.irq = ~0u};
    struct physdev_pirq_eoi_gmfn gmfn = {.gmfn = 0xffffffffff};
    struct physdev_apic apic = {.apic_physbase = 0xdead000, .reg = 0};

    struct physdev_setup_gsi gsi = {.gsi = -1};
    struct physdev_pci_device pci = {.seg = 0xffff};

    tap_is(hypercall_physdev_op(PHYSDEVOP_eoi, &eoi), -XEN_EINVAL, "eoi: no such irq");
    tap_is(hypercall_physdev_op(PHYSDEVOP_eoi, (void *)0x1000), -XEN_EFAULT,
           "eoi: an unmapped argument");
    tap_is(hypercall_physdev_op(PHYSDEVOP_irq_status_query, &query), -XEN_EINVAL,
           "irq_status_query: no such irq");
    tap_is(hypercall_physdev_op(PHYSDEVOP_irq_status_query, (void *)0x1000), -XEN_EFAULT,
           "irq_status_query: an unmapped argument");
    if (!guest_is_first()) {
        tap_is(hypercall_physdev_op(PHYSDEVOP_apic_read, &apic), -XEN_EPERM, "apic_read: a role");
        tap_is(hypercall_physdev_op(PHYSDEVOP_apic_write, &apic), -XEN_EPERM, "apic_write: a role");
        tap_is(hypercall_physdev_op(PHYSDEVOP_setup_gsi, &gsi), -XEN_EPERM, "setup_gsi: a role");
        tap_is(hypercall_physdev_op(PHYSDEVOP_pci_device_remove, &pci), -XEN_EPERM,
               "pci_device_remove: a role");
        tap_is(hypercall_physdev_op(PHYSDEVOP_prepare_msix, &pci), -XEN_EPERM,
               "prepare_msix: a role");
        tap_is(hypercall_physdev_op(PHYSDEVOP_release_msix, &pci), -XEN_EPERM,
               "release_msix: a role");
    }
    tap_is(hypercall_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &gmfn), guest_role(-XEN_EINVAL),
           "pirq_eoi_gmfn_v2: no such frame");
    tap_is(hypercall_physdev_op(PHYSDEVOP_apic_read, &apic), guest_role(-XEN_EINVAL),
           "apic_read: no such APIC");
    tap_is(hypercall_physdev_op(PHYSDEVOP_apic_write, &apic), guest_role(-XEN_EINVAL),
           "apic_write: no such APIC");
    tap_is(hypercall_physdev_op(99, &apic), -XEN_ENOSYS, "no operation 99");
}

void guest_main(void)
{
    user_init();
    test_iopl();
    test_bitmap();
    test_interrupts();
}
