/*
 * /dev/xen/privcmd: user 0's programs make hypercalls.
 *
 * Whoever may do that has the whole machine; what this file sees to is that a wrong argument does not cost the kernel
 * its own memory.  The hypervisor takes the kernel's addresses for as good as a process's, so nothing that a process
 * says is handed on as it is: a call's structure is copied here, looked through for addresses of the kernel, and copied
 * back when the call has been made.  Buffers that the structure names stay where they are in the process; where they
 * are not mapped, the hypervisor says so.  A call whose structure is not known here is not made; of domctl and sysctl
 * all commands are made, but for what own_memory refuses.
 */
#define __XEN_TOOLS__ 1
#include <paravane/hypercall.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/domctl.h>
#include <xen/version.h>

#include "kernel/files/file.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "kernel/signals/signal.h"
#include "kernel/tasks/identity/credentials.h"
#include "platform/platform.h"
#include "platform/xen/devices.h"
#include "platform/xen/foreign.h"
#include "platform/xen/machine.h"

#define PRIVCMD_HYPERCALL DEVICE_COMMAND('P', 0, 48)
#define PRIVCMD_BATCH     DEVICE_COMMAND('P', 4, 32)
#define PRIVCMD_RESOURCE  DEVICE_COMMAND('P', 7, 32)

#define ARGUMENTS      6
#define MULTICALL_MOST 64

struct call {
    uint64_t op, arg[ARGUMENTS];
};

/* Which argument of a call names a structure, and how long that is; no size: none does. */
struct shape {
    unsigned arg;
    size_t size;
};

extern const char image_end[];

/* ---- The calls that are known ---- */

static size_t version_size(unsigned command, user_t at)
{
    uint32_t length;
    switch (command) {
    case XENVER_extraversion:
        return sizeof(xen_extraversion_t);
    case XENVER_compile_info:
        return sizeof(struct xen_compile_info);
    case XENVER_capabilities:
        return sizeof(xen_capabilities_info_t);
    case XENVER_changeset:
        return sizeof(xen_changeset_info_t);
    case XENVER_platform_parameters:
        return sizeof(struct xen_platform_parameters);
    case XENVER_get_features:
        return sizeof(struct xen_feature_info);
    case XENVER_guest_handle:
        return sizeof(xen_domain_handle_t);
    case XENVER_commandline:
        return sizeof(xen_commandline_t);
    case XENVER_build_id:
        return at && !user_read(&length, at, sizeof(length)) ? sizeof(length) + length : 0;
    default:
        return 0;
    }
}

static size_t memory_size(unsigned command)
{
    switch (command) {
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return sizeof(domid_t);
    case XENMEM_populate_physmap:
    case XENMEM_claim_pages:
        return sizeof(struct xen_memory_reservation);
    case XENMEM_machphys_mfn_list:
        return sizeof(struct xen_machphys_mfn_list);
    case XENMEM_set_memory_map:
        return sizeof(struct xen_foreign_memory_map);
    default:
        return 0;
    }
}

static size_t event_size(unsigned command)
{
    switch (command) {
    case EVTCHNOP_alloc_unbound:
        return sizeof(struct evtchn_alloc_unbound);
    case EVTCHNOP_status:
        return sizeof(struct evtchn_status);
    default:
        return 0;
    }
}

static size_t grant_size(unsigned command)
{
    switch (command) {
    case GNTTABOP_query_size:
        return sizeof(struct gnttab_query_size);
    case GNTTABOP_get_version:
        return sizeof(struct gnttab_get_version);
    default:
        return 0;
    }
}

static bool is_self(domid_t domain)
{
    return domain == DOMID_SELF || !domain;
}

/*
 * What changes memory is for other domains only: this kernel's is its own business.  @copy is the call's structure, of
 * which the process cannot change a word any more; NULL: it has none.
 */
static bool own_memory(const struct call *c, const void *copy)
{
    const struct xen_memory_reservation *const reservation = copy;
    const struct xen_domctl *const domctl = copy;
    switch (c->op) {
    case __HYPERVISOR_mmuext_op:
        return is_self(c->arg[3]) || c->arg[2];
    case __HYPERVISOR_memory_op:
        return (unsigned)c->arg[0] == XENMEM_populate_physmap &&
               (!copy || is_self(reservation->domid));
    case __HYPERVISOR_domctl: /* it writes a page of stubs over a frame */
        return copy && domctl->cmd == XEN_DOMCTL_hypercall_init && is_self(domctl->domain);
    default:
        return false;
    }
}

/* 0 and *@s, -ENOSYS if the call is not known. */
static int find_shape(const struct call *c, struct shape *s)
{
    const unsigned command = c->arg[0];
    *s = (struct shape){.arg = 1};
    switch (c->op) {
    case __HYPERVISOR_xen_version:
        s->size = version_size(command, c->arg[1]);
        return 0;
    case __HYPERVISOR_sysctl:
        *s = (struct shape){0, sizeof(struct xen_sysctl)};
        return 0;
    case __HYPERVISOR_domctl:
        *s = (struct shape){0, sizeof(struct xen_domctl)};
        return 0;
    case __HYPERVISOR_memory_op:
        s->size = memory_size(command);
        return s->size || command == XENMEM_maximum_ram_page ||
                       command == XENMEM_get_sharing_freed_pages ||
                       command == XENMEM_get_sharing_shared_pages
                   ? 0
                   : -ENOSYS;
    case __HYPERVISOR_event_channel_op:
        s->size = event_size(command);
        return s->size ? 0 : -ENOSYS;
    case __HYPERVISOR_grant_table_op:
        s->size = grant_size(command);
        return s->size && (unsigned)c->arg[2] == 1 ? 0 : -ENOSYS;
    case __HYPERVISOR_mmuext_op:
        *s = (struct shape){0, (unsigned)c->arg[1] * sizeof(struct mmuext_op)};
        return 0;
    case __HYPERVISOR_sched_op:
        s->size = sizeof(struct sched_remote_shutdown);
        return command == SCHEDOP_remote_shutdown ? 0 : -ENOSYS;
    default:
        return -ENOSYS;
    }
}

/* ---- Making them ---- */

static bool is_kernel(uint64_t address)
{
    return (address >= DIRECT_MAP_BASE && address - DIRECT_MAP_BASE < boot_info.nr_pages
                                                                          << PAGE_SHIFT) ||
           (address >= KERNEL_BASE - PAGE_SIZE && address < (uintptr_t)image_end);
}

/* Does one of the words of @from, where the public structures have all their addresses, name memory of the kernel? */
static bool names_kernel(const uint64_t *from, size_t size)
{
    for (size_t i = 0; i < size / sizeof(*from); i++)
        if (is_kernel(from[i]))
            return true;
    return false;
}

static long make(struct call *c)
{
    /* One call at a time: nothing here lets others run. */
    static uint64_t copy[PAGE_SIZE / sizeof(uint64_t)];
    struct shape s;
    const int rc = find_shape(c, &s);
    if (rc)
        return rc;
    const user_t at = s.size ? c->arg[s.arg] : 0;
    if (s.size > sizeof(copy))
        return -EINVAL;
    if (at && user_read(copy, at, s.size))
        return -EFAULT;
    if (own_memory(c, at ? copy : NULL))
        return -EINVAL;
    if (names_kernel(c->arg, sizeof(c->arg)) || (at && names_kernel(copy, s.size)))
        return -EFAULT;
    c->arg[s.arg] = at ? (uintptr_t)copy : 0;
    platform_commit();
    const long result = hypercall_raw(c->op, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]);
    return at && user_write(at, copy, s.size) ? -EFAULT : result;
}

/* The C library of Xen wraps calls in one whose results have 64 bits. */
static long make_many(user_t at, uint64_t count)
{
    if (count > MULTICALL_MOST)
        return -EINVAL;
    for (; count; count--, at += sizeof(multicall_entry_t)) {
        multicall_entry_t e;
        if (user_read(&e, at, sizeof(e)))
            return -EFAULT;
        struct call c = {e.op, {e.args[0], e.args[1], e.args[2], e.args[3], e.args[4], e.args[5]}};
        const int64_t result = make(&c);
        if (user_write(at + offsetof(multicall_entry_t, result), &result, sizeof(result)))
            return -EFAULT;
    }
    return 0;
}

/* ---- Mapping other domains' memory ---- */

#define PAUSE_FRAMES 256 /* after so many others may have their turn */

/* As Linux's privcmd has them. */
struct batch {
    uint32_t count;
    uint16_t domain;
    uint64_t address;
    user_t frames, errors; /* 64 bits each; 32 bits each */
};
struct resource {
    uint16_t domain;
    uint32_t type, id, index;
    uint64_t count, address;
};
_Static_assert(sizeof(struct batch) == 32 && sizeof(struct resource) == 32, "of privcmd's ioctls");

/* Each frame has a result of its own. */
static long map_batch(user_t at)
{
    struct batch b;
    if (user_read(&b, at, sizeof(b)))
        return -EFAULT;
    if (b.address % PAGE_SIZE || b.address > USER_END || is_self(b.domain))
        return -EINVAL;
    for (uint32_t i = 0; i < b.count; i++) {
        uint64_t frame;
        if (user_read(&frame, b.frames + i * sizeof(frame), sizeof(frame)))
            return -EFAULT;
        const int32_t rc =
            foreign_map(task_current()->space, b.address + i * PAGE_SIZE, frame, b.domain, false);
        if (user_write(b.errors + i * sizeof(rc), &rc, sizeof(rc)))
            return -EFAULT;
        if (i % PAUSE_FRAMES == PAUSE_FRAMES - 1) {
            sched_point();
            if (signal_waiting(task_current()))
                return -EINTR;
        }
    }
    return 0;
}

static long map_resource(user_t at)
{
    static xen_pfn_t frames[32];
    struct resource r;
    if (user_read(&r, at, sizeof(r)))
        return -EFAULT;
    if (r.address % PAGE_SIZE || r.address > USER_END || r.count > ARRAY_SIZE(frames) ||
        is_self(r.domain))
        return -EINVAL;
    struct xen_mem_acquire_resource a = {
        .domid = r.domain, .type = r.type, .id = r.id, .nr_frames = r.count, .frame = r.index};
    set_xen_guest_handle(a.frame_list, r.count ? frames : NULL);
    int rc = hypercall_memory_op(XENMEM_acquire_resource, &a);
    if (!rc && !r.count) {
        r.count = a.nr_frames;
        return user_write(at, &r, sizeof(r)) ? -EFAULT : 0;
    }
    for (uint64_t i = 0; !rc && i < r.count; i++)
        rc = foreign_map(task_current()->space, r.address + i * PAGE_SIZE, frames[i], r.domain,
                         true);
    return rc;
}

/* The memory is filled by ioctl. */
static int privcmd_map(struct file *file, uintptr_t start, size_t size, uint64_t offset)
{
    return 0;
}

static long privcmd_ioctl(struct file *file, unsigned command, user_t arg)
{
    struct call c = {0};
    if (command == PRIVCMD_BATCH)
        return map_batch(arg);
    if (command == PRIVCMD_RESOURCE)
        return map_resource(arg);
    if (command != PRIVCMD_HYPERCALL)
        return -ENOTTY;
    if (user_read(&c, arg, sizeof(c.op) + 5 * sizeof(c.arg[0])))
        return -EFAULT;
    return c.op == __HYPERVISOR_multicall ? make_many(c.arg[0], c.arg[1]) : make(&c);
}

static long privcmd_open(struct file *file)
{
    return access_capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

const struct file_ops privcmd_ops = {
    .open = privcmd_open, .ioctl = privcmd_ioctl, .map = privcmd_map};
