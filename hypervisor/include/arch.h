/*
 * What core expects of the machine.  x86/ implements it with instructions; tests/host/machine/
 * with arrays and a log.  Inline parts come from <arch-inline.h>, by include path.
 */
#pragma once

#include "domain.h"

/* arch-inline.h provides, as static inline functions (or real ones on the host):
 *
 *   struct vcpu *current_vcpu(void);           whose stack this is
 *   unsigned this_cpu(void);                   physical CPU number
 *   void *mfn_to_virt(mfn_t m);                direct map, read-write, valid for RAM frames
 *   void *maddr_to_virt(uint64_t maddr);       the same for a machine address
 *   mfn_t virt_to_mfn(const void *p);          inverse, for direct-map pointers only
 *   uint64_t arch_now(void);                   system time, ns since boot, monotonic on a CPU
 *   uint64_t arch_ticks(void);                 what the processor counts: cycles, or instructions where those are counted
 *   void arch_relax(void);                     a spin-wait's body; serves TLB-flush requests
 *   ARCH_MUTEX_LOOKS                           so often who waits for a mutex looks before it sleeps
 *   vcpu_kernel_root(v), vcpu_user_root(v), vcpu_set_*_root(v, root)   L4 machine addresses, 0: none
 *   void arch_view_kernel(v), arch_view_back(v);  the door below opens on the guest's kernel tables meanwhile
 *
 * and the one door to guest memory, which refuses hypervisor addresses and survives faults.  The
 * address is looked up in the running vCPU's current page tables:
 *
 *   int guest_read(void *to, guest_ptr_t from, size_t n);            0 or -XEN_EFAULT
 *   int guest_write(guest_ptr_t to, const void *from, size_t n);     0 or -XEN_EFAULT
 *   int guest_read_u64(uint64_t *to, guest_ptr_t from);
 *   int guest_write_u64(guest_ptr_t to, uint64_t value);
 *   int guest_read_u32 / guest_write_u32
 *   int guest_read_checked(to, from, n), guest_write_u64_checked(to, value)   range checked by the caller
 */
#include "arch-inline.h"

/* What the machine's part of @d, which nobody uses any more, has allocated. */
void arch_domain_destroy(struct domain *d);

/* vCPUs.  arch_vcpu_init: stack, descriptor views, FPU area; registers as a halted vCPU. 0 or -XEN_ENOMEM. */
int arch_vcpu_init(struct vcpu *v);
void arch_vcpu_destroy(struct vcpu *v);
/* Apply a VCPUOP_initialise context to @v, which never ran: 0 or -errno, having changed nothing. */
int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) must_check;
/* The same of @v, which is on no CPU; all but what the machine's part does not know: VGCF_online, vm_assist. */
void arch_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c);
/* What such a context has no room for: callbacks of 32-bit programs; the FPU's extensions, as XSAVE writes them (no size: there are
 * none); MSRs that may differ from what a new vCPU has, at most so many, the number of those that do.  Set: 0 or -XEN_EINVAL. */
struct xen_domctl_ext_vcpucontext;
void arch_vcpu_get_extended(const struct vcpu *v, struct xen_domctl_ext_vcpucontext *x);
int arch_vcpu_set_extended(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *x) must_check;
uint64_t arch_xstate_mask(void);
unsigned arch_xstate_size(void);
uint64_t arch_vcpu_get_xstate(const struct vcpu *v, const void **image); /* XCR0 */
int arch_vcpu_set_xstate(struct vcpu *v, uint64_t xcr0, void *image, size_t size) must_check;
struct xen_domctl_vcpu_msr;
unsigned arch_saved_msr_count(void);
unsigned arch_vcpu_get_msrs(const struct vcpu *v, struct xen_domctl_vcpu_msr *msrs);
int arch_vcpu_set_msr(struct vcpu *v, const struct xen_domctl_vcpu_msr *msr) must_check;
/* First instruction, stack and rsi of @v's kernel, which has not run yet: flat segments, interrupts on. */
void arch_vcpu_set_entry(struct vcpu *v, uint64_t rip, uint64_t rsp, uint64_t rsi);
/* Let go of the guest frames that @v's descriptor tables lie in (teardown; takes @d->mmu). */
void arch_vcpu_release(struct vcpu *v);
/* MMUEXT_SET_LDT, the range not looked at yet.  0 or -errno. */
int arch_vcpu_set_ldt(struct vcpu *v, uint64_t base, unsigned entries);
/* All 512 descriptors of a frame that is about to become a segment page: each harmless, or made so.  0 or -errno. */
int arch_segment_page_validate(uint64_t *descriptors);

/* Switch stacks (and descriptor tables, segment bases, FPU, debug registers, CR3) from @prev to @next.  On an idle vCPU's
 * stack the CPU has no guest's root or descriptor table. */
void arch_switch(struct vcpu *prev, struct vcpu *next);

/* Page tables of the running vCPU changed root: load it (also a full flush of this CPU). */
void arch_load_root(struct vcpu *v);

/* Copy the hypervisor's slots 256..271 into the L4 table @l4. */
void arch_fill_l4(uint64_t *l4);

/* May the hardware domain map this frame, which is not RAM?  Not the hypervisor's own devices. */
bool arch_device_frame_ok(mfn_t m);
/* Of those: does it get this one read-only?  What others have writable meanwhile: device-maps.h. */
bool arch_device_frame_read_only(mfn_t m);
void arch_flush_cache(void); /* write back and invalidate this CPU's caches */

/* TLBs: flush on a set of CPUs and wait. @va ignored when @all. */
void arch_tlb_flush(uint64_t cpus, bool all, uint64_t va);
void arch_tlb_flush_local(void);
void arch_tlb_invlpg_local(uint64_t va);

/* Interrupts and time. */
/* this CPU's timer interrupt at system time; ~0: none */
void arch_timer_program(uint64_t deadline);
void arch_timer_alarm(void);      /* the same, timer_alarm_period from now, in a few instructions */
void arch_kick_cpu(unsigned cpu); /* make @cpu leave the guest or its halt (IPI) */
void arch_serve_interrupts(void); /* take what is pending, then off again */
/* halt until an interrupt, atomically after a last look */
void arch_idle(void);
uint64_t arch_cpus_online(void); /* set */
/* pvclock values now; version untouched */
void arch_time_info(struct vcpu *v, struct vcpu_time_info *out);
uint64_t arch_wallclock_boot_ns(void); /* UTC in ns at system time 0 */

/* What the machine is made of: the @i-th range of RAM in machine addresses, ascending; false: no more. */
bool arch_ram_range(unsigned i, uint64_t *start, uint64_t *end);
/* The first frame of the @i-th 2 MiB of the machine-to-phys table; MFN_NONE: no such part (no RAM there). */
mfn_t arch_m2p_frame(uint64_t i);

/*
 * The first @n feature words, in Xen's numbering (<xen/arch-x86/cpufeatureset.h>): the processor's, or, if @guests, those that guests
 * are shown.  Words that it does not know are zero.
 */
void arch_cpu_features(uint32_t *words, unsigned n, bool guests);
/*
 * The @i-th CPUID leaf of the processor, or, if @guests, of what domain @d is shown (NULL: a new one), with nothing in it that depends
 * on who asks; false: there are no more.  Limit: @d, which has not run, is shown no feature that @leaf lacks.  0, -XEN_ERANGE: no such
 * leaf, -XEN_ENOMEM.  Both need @d->control.
 */
struct xen_cpuid_leaf;
bool arch_cpuid_leaf(const struct domain *d, bool guests, unsigned i, struct xen_cpuid_leaf *leaf);
int arch_cpuid_limit(struct domain *d, const struct xen_cpuid_leaf *leaf) must_check;
void arch_cpu_ids(unsigned cpu, uint32_t *apic, uint32_t *acpi); /* of a CPU that is online */
uint32_t arch_tsc_khz(void);
uint8_t arch_address_bits(void); /* of a machine address */

/*
 * Physical interrupts, numbered below PIRQS.  Bind: from now on @pirq, which @d has mapped, signals @port of @d and arrives on @cpu; 0 or
 * -errno.  Move: it arrives on @cpu.  Release: it is closed (a message only if it is still bound to @port).  @d's evtchn_lock is held.
 */
#define PIRQS 256u
int arch_pirq_bind(struct domain *d, unsigned pirq, uint32_t port, unsigned cpu) must_check;
void arch_pirq_move(struct domain *d, unsigned pirq, unsigned cpu);
void arch_pirq_release(struct domain *d, unsigned pirq, uint32_t port);
/* @d is being torn down and has no port any more: no device is its. */
void arch_devices_end(struct domain *d);

/* The serial line. */
/* waits while the line is busy, a FIFO at a time */
void arch_serial_write(const char *s, size_t n);
/* console_input_room() is no longer 0: go on feeding console_input() */
void arch_serial_resume(void);

/* For core/dispatch/strace.c: a byte to an I/O port; the guest's instruction that wants what it is just served. */
void arch_port_write(uint16_t port, uint8_t byte);
uint64_t arch_guest_caller(struct vcpu *v);

/* The end of the machine. */
enum machine_end { MACHINE_POWEROFF, MACHINE_REBOOT, MACHINE_HALT };
noreturn_ void arch_machine_end(enum machine_end how, int verdict);

/* Crash dumps: registers, guest stack and page-table walk of @v (which may be running or not). */
void arch_dump_vcpu(struct vcpu *v);
/* The same in two parts: the registers, at once, and *@rest says where they point; then the rest, in work, with preemption
 * points, when @v does not run any more. */
struct arch_dump {
    uint64_t root, rip, rsp, cr2;
};
void arch_dump_begin(struct vcpu *v, struct arch_dump *rest);
void arch_dump_rest(const struct vcpu *v, const struct arch_dump *rest);
void arch_dump_all(void); /* every vCPU */

/* The audit (audit.h): references that the machine's part of a vCPU holds, in its descriptor tables. */
void arch_audit_vcpu(struct vcpu *v);
/* I10: what each CPU itself walks and loads from: CR3, GDTR, IDTR.  Prints each difference; how many. */
unsigned arch_audit_cpus(void);
