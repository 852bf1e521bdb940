/*
 * Question: what does xen_version say, and does it fill its buffers?
 *
 * Guests decide from these answers whether they can run at all: Linux panics
 * unless the features MMU_PT_UPDATE_PRESERVE_AD and GNTTAB_MAP_AVAIL_BITS are
 * there, libxl looks for "xen-3.0-x86_64" among the capabilities.  The strings
 * are fixed-size arrays of the ABI: a hypervisor that copies only the string's
 * length leaves whatever was in the rest, and one that copies a whole
 * unfilled array shows the guest pieces of its own stack.  So each buffer is
 * poisoned first, and must be zero from the string's end to the array's.
 *
 * The values themselves differ between hypervisors; the shapes must not.
 */
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/features.h>
#include <xen/version.h>

COVERS_CALL(xen_version);
COVERS(xen_version, XENVER_version);
COVERS(xen_version, XENVER_extraversion);
COVERS(xen_version, XENVER_compile_info);
COVERS(xen_version, XENVER_capabilities);
COVERS(xen_version, XENVER_changeset);
COVERS(xen_version, XENVER_platform_parameters);
COVERS(xen_version, XENVER_get_features);
COVERS(xen_version, XENVER_pagesize);
COVERS(xen_version, XENVER_guest_handle);
COVERS(xen_version, XENVER_commandline);
COVERS(xen_version, XENVER_build_id);

#define UNMAPPED           ((void *)0x1000)
#define HYPERVISOR_ADDRESS ((void *)0xffff830000000000)
#define POISON             0xa5

static unsigned char buffer[4096];

static void test_strings(void)
{
    static const struct {
        const char *name;
        int cmd;
        unsigned size;
        bool may_be_empty;
    } strings[] = {
        {"extraversion", XENVER_extraversion, sizeof(xen_extraversion_t), false},
        {"capabilities", XENVER_capabilities, sizeof(xen_capabilities_info_t), false},
        {"changeset", XENVER_changeset, sizeof(xen_changeset_info_t), true},

        {"compile_info", XENVER_compile_info, sizeof(xen_compile_info_t), false},
    };

    for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        memset(buffer, POISON, sizeof(buffer));
        tap_is(hypercall_xen_version(strings[i].cmd, buffer), 0, "%s: result", strings[i].name);
        unsigned length = strlen((char *)buffer);
        tap_ok(length < strings[i].size && (length || strings[i].may_be_empty), "%s: a string",
               strings[i].name);
        bool clean = true;
        for (unsigned b = 0; b < strings[i].size; b++)
            clean &= buffer[b] != POISON;
        tap_ok(clean, "%s: the whole array is filled", strings[i].name);
        tap_ok(buffer[strings[i].size] == POISON, "%s: nothing behind the array", strings[i].name);
        tap_is(hypercall_xen_version(strings[i].cmd, UNMAPPED), -XEN_EFAULT,
               "%s: an unmapped buffer", strings[i].name);
        tap_is(hypercall_xen_version(strings[i].cmd, HYPERVISOR_ADDRESS), -XEN_EFAULT,
               "%s: a buffer of the hypervisor's", strings[i].name);
    }

    hypercall_xen_version(XENVER_capabilities, buffer);
    tap_ok(strstr((char *)buffer, "xen-3.0-x86_64"), "capabilities name xen-3.0-x86_64");
}

/* Other domains get a few words instead, so that only the first gets the array. */
static void test_command_line(void)
{
    memset(buffer, POISON, sizeof(buffer));
    tap_is(hypercall_xen_version(XENVER_commandline, buffer), 0, "commandline: result");
    unsigned length = strlen((char *)buffer);
    if (!tap_ok(length < sizeof(xen_commandline_t), "commandline: a string"))
        tap_note("it starts with %02x %02x, length %u", buffer[0], buffer[1], length);
    if (guest_is_first())
        tap_ok(strstr((char *)buffer, "console="), "commandline: the hypervisor's");
    tap_ok(buffer[sizeof(xen_commandline_t)] == POISON, "commandline: nothing behind the array");
    tap_is(hypercall_xen_version(XENVER_commandline, UNMAPPED), -XEN_EFAULT,
           "commandline: an unmapped buffer");
}

static void test_features(void)
{
    static const struct {
        const char *name;
        unsigned bit;
        bool set;
    } features[] = {
        {"writable_page_tables", XENFEAT_writable_page_tables, false},
        {"writable_descriptor_tables", XENFEAT_writable_descriptor_tables, false},
        {"auto_translated_physmap", XENFEAT_auto_translated_physmap, false},
        {"supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel, false},
        {"mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad, true},
        {"highmem_assist", XENFEAT_highmem_assist, true},
        {"gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits, true},
        {"hvm_callback_vector", XENFEAT_hvm_callback_vector, false},
        {"dom0", XENFEAT_dom0, true},
    };
    struct xen_feature_info info = {.submap_idx = 0, .submap = 0xdeadbeef};

    tap_is(hypercall_xen_version(XENVER_get_features, &info), 0, "get_features: submap 0");
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        bool expected = features[i].bit == XENFEAT_dom0 ? guest_is_first() : features[i].set;
        tap_is(info.submap >> features[i].bit & 1, expected, "get_features: %s", features[i].name);
    }
    info = (struct xen_feature_info){.submap_idx = XENFEAT_NR_SUBMAPS};
    tap_is(hypercall_xen_version(XENVER_get_features, &info), -XEN_EINVAL,
           "get_features: the first submap that is not there");
    info = (struct xen_feature_info){.submap_idx = 1000};
    tap_is(hypercall_xen_version(XENVER_get_features, &info), -XEN_EINVAL,
           "get_features: no such submap");
    tap_is(hypercall_xen_version(XENVER_get_features, UNMAPPED), -XEN_EFAULT,
           "get_features: an unmapped buffer");
}

static void test_build_id(void)
{
    struct xen_build_id *id = (void *)buffer;

    if (!guest_is_first()) {
        tap_is(hypercall_xen_version(XENVER_build_id, NULL), -XEN_EPERM,
               "build_id: for the first domain");
        return;
    }
    /* Not every build has one. */
    long size = hypercall_xen_version(XENVER_build_id, NULL);
    tap_ok((size > 0 && size < 256) || size == -XEN_ENODATA, "build_id: size");
    bool none = size == -XEN_ENODATA;
    memset(buffer, POISON, sizeof(buffer));
    id->len = 256;
    tap_is(hypercall_xen_version(XENVER_build_id, id), size, "build_id: bytes written");
    tap_ok(id->buf[none ? 0 : size] == POISON, "build_id: no more than that written");
    id->len = 1;
    tap_is(hypercall_xen_version(XENVER_build_id, id), none ? -XEN_ENODATA : -XEN_ENOBUFS,
           "build_id: too small");
    id->len = 0;
    tap_is(hypercall_xen_version(XENVER_build_id, id), -XEN_EINVAL, "build_id: no room");
}

void guest_main(void)
{
    long version = hypercall_xen_version(XENVER_version, NULL);
    tap_ok(version >> 16 == 4, "version: major is 4");
    tap_ok((version & 0xffff) >= 17, "version: minor is 17 or later");
    tap_is(hypercall_xen_version(XENVER_version, HYPERVISOR_ADDRESS), version,
           "version: the argument is not looked at");

    struct xen_platform_parameters parameters = {0};
    tap_is(hypercall_xen_version(XENVER_platform_parameters, &parameters), 0,
           "platform_parameters: result");
    tap_is_hex(parameters.virt_start, HYPERVISOR_VIRT_START, "platform_parameters: virt_start");
    tap_is(hypercall_xen_version(XENVER_pagesize, NULL), PAGE_SIZE, "pagesize: 4096");
    tap_is(hypercall_xen_version(XENVER_pagesize, buffer), -XEN_EINVAL,
           "pagesize: an argument is refused");

    memset(buffer, POISON, sizeof(buffer));
    tap_is(hypercall_xen_version(XENVER_guest_handle, buffer), 0, "guest_handle: result");
    tap_ok(buffer[16] == POISON, "guest_handle: 16 bytes");

    test_strings();
    test_command_line();
    test_features();
    test_build_id();

    static const int unknown[] = {11, 100, -1, 0x7fffffff};
    for (unsigned i = 0; i < 4; i++)
        tap_is(hypercall_xen_version(unknown[i], buffer), -XEN_ENOSYS, "no sub-operation %d",
               unknown[i]);
}
