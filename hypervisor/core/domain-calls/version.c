/*
 * xen_version: who we say we are.
 *
 * Guests decide by these answers what they may use, so they are Xen 4.17's, of whose interface this
 * is an implementation; the name of the implementation stands where Xen's vendors put theirs,
 * behind the version.  Every buffer is zero behind its text: nothing of the stack leaks (XSA-122).
 *
 * Command 0 with a null pointer is hot: Linux uses it as "deliver what is pending now".
 */
#include "arch.h"
#include "domain-config.h"
#include "hypercall.h"
#include "lib.h"
#include "refuse.h"

#include <xen/features.h>
#include <xen/version.h>

#define VERSION_MAJOR 4
#define VERSION_MINOR 17

/* What kinds of guests can be run, as libxl wants to read it. */
static const xen_capabilities_info_t capabilities = "xen-3.0-x86_64 ";

/* @size <= 64. */
static long give_text(guest_ptr_t to, const char *text, size_t size)
{
    char buffer[sizeof(xen_changeset_info_t)];
    memset(buffer, 0, size);
    string_copy(buffer, text, size);
    return guest_write(to, buffer, size) ? refuse(ARGUMENT_UNREADABLE, to.va) : 0;
}

/* Who compiled this, where and when is not recorded, so that the same source gives the same image.
 */
static long op_XENVER_compile_info(struct vcpu *v, guest_ptr_t to)
{
    struct xen_compile_info info = {0};
    string_copy(info.compiler, build_compiler, sizeof(info.compiler));
    string_copy(info.compile_by, "paravane", sizeof(info.compile_by));
    string_copy(info.compile_domain, "localdomain", sizeof(info.compile_domain));
    string_copy(info.compile_date, "reproducible", sizeof(info.compile_date));
    return guest_write(to, &info, sizeof(info)) ? refuse(ARGUMENT_UNREADABLE, to.va) : 0;
}

static uint32_t feature_bits(const struct domain *d)
{
    uint64_t bits = BIT(XENFEAT_memory_op_vnode_supported) |
                    BIT(XENFEAT_mmu_pt_update_preserve_ad) | BIT(XENFEAT_highmem_assist) |
                    BIT(XENFEAT_gnttab_map_avail_bits) | BIT(XENFEAT_not_direct_mapped);
    if (d->vm_assist & BIT(VMASST_TYPE_pae_extended_cr3))
        bits |= BIT(XENFEAT_pae_pgdir_above_4gb);
    if (domain_has(d, ROLE_HARDWARE))
        bits |= BIT(XENFEAT_dom0);
    return (uint32_t)bits;
}

static long op_XENVER_get_features(struct vcpu *v, guest_ptr_t arg)
{
    xen_feature_info_t info;
    if (guest_read(&info, arg, sizeof(info)))
        return refuse(ARGUMENT_UNREADABLE, arg.va);
    if (info.submap_idx >= XENFEAT_NR_SUBMAPS)
        return refuse(FEATURE_WORD_UNKNOWN, info.submap_idx);
    info.submap = feature_bits(v->domain);
    return guest_write(arg, &info, sizeof(info)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

/* The command line may hold what other guests should not know. */
static long op_XENVER_commandline(struct vcpu *v, guest_ptr_t arg)
{
    static const char denied[] = "<denied>";
    int rc;
    if (domain_has(v->domain, ROLE_CONTROL))
        rc = guest_write(arg, hypervisor_cmdline, sizeof(hypervisor_cmdline));
    else
        rc = guest_write(arg, denied, sizeof(denied));
    return rc ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long op_XENVER_build_id(struct vcpu *v, guest_ptr_t arg)
{
    if (!domain_has(v->domain, ROLE_CONTROL))
        return refuse(BUILD_ID_NOT_ALLOWED);
    if (arg.va) {
        xen_build_id_t id;
        if (guest_read(&id, arg, sizeof(id)))
            return refuse(ARGUMENT_UNREADABLE, arg.va);
        if (id.len == 0)
            return refuse(BUILD_ID_NO_ROOM, id.len);
    }
    return refuse(BUILD_ID_MISSING);
}

static long op_XENVER_platform_parameters(struct vcpu *v, guest_ptr_t arg)
{
    const xen_platform_parameters_t parameters = {.virt_start = HYPERVISOR_VIRT_START_};
    return guest_write(arg, &parameters, sizeof(parameters)) ? refuse(ARGUMENT_UNREADABLE, arg.va)
                                                             : 0;
}

static long op_XENVER_guest_handle(struct vcpu *v, guest_ptr_t arg)
{
    const struct domain *d = v->domain;
    xen_domain_handle_t handle = {0};
    if (d->config)
        memcpy(handle, d->config->handle, sizeof(handle));
    return guest_write(arg, handle, sizeof(handle)) ? refuse(ARGUMENT_UNREADABLE, arg.va) : 0;
}

static long op_XENVER_version(struct vcpu *v, guest_ptr_t arg)
{
    return VERSION_MAJOR << 16 | VERSION_MINOR;
}

static long op_XENVER_extraversion(struct vcpu *v, guest_ptr_t arg)
{
    return give_text(arg, ".0-paravane", sizeof(xen_extraversion_t));
}

static long op_XENVER_capabilities(struct vcpu *v, guest_ptr_t arg)
{
    return guest_write(arg, capabilities, sizeof(capabilities))
               ? refuse(ARGUMENT_UNREADABLE, arg.va)
               : 0;
}

static long op_XENVER_changeset(struct vcpu *v, guest_ptr_t arg)
{
    return give_text(arg, build_changeset, sizeof(xen_changeset_info_t));
}

static long op_XENVER_pagesize(struct vcpu *v, guest_ptr_t arg)
{
    return arg.va ? refuse(PAGESIZE_WITH_BUFFER, arg.va) : (long)PAGE_SIZE;
}

static subop_fn *const version_op[] = {XENVER_LIST(SUBOP_ENTRY)};
_Static_assert(ARRAY_SIZE(version_op) == 0 XENVER_LIST(SUBOP_ONE), "the list has no gap");

long hypercall_xen_version(struct vcpu *v, const struct hypercall_args *a)
{
    const uint32_t cmd = (uint32_t)a->arg[0];

    if (likely(cmd == XENVER_version))
        return op_XENVER_version(v, guest_ptr(a->arg[1]));
    if (cmd >= ARRAY_SIZE(version_op))
        return refuse(VERSION_OP_UNKNOWN, cmd);
    return version_op[cmd](v, guest_ptr(a->arg[1]));
}
