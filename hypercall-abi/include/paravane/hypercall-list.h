/*
 * The one list of hypercalls.
 *
 * HYPERCALL_LIST expands into the dispatch table and the prototypes of the
 * hypervisor, the names and argument decoders of traces, `paravane hypercalls`,
 * the coverage check of the conformance suite and the skeleton of the manual.
 * Numbers are Xen's (<xen/xen.h>, __HYPERVISOR_*); they are not repeated here.
 *
 *   CALL(name, nargs, cost, args)   served by hypercall_<name>()
 *   NONE(name, nargs, args)         answers -ENOSYS; known by name only
 *
 * @cost is the manual's cost class: FAST (a register's worth of work), ENTRY
 * (per page-table entry), TABLE (per page table), BATCH (per element of an array).
 * @args names each argument and how to print it, "name:kind" separated by spaces:
 *   u   unsigned number      x   hexadecimal       va  guest virtual address
 *   ptr guest pointer        ma  machine address   mfn machine frame
 *   pte page-table entry     dom domain id         op:LIST  sub-operation of LIST
 * and guest pointers to what a trace shows, with *COUNT naming the argument that says how many:
 *   array:NAME  structures of STRUCTURE_LIST; *COUNT/N: N of them a structure; no COUNT: as many as fit
 *   sub         the structure that the sub-operation takes           text  characters
 */
#pragma once

/* clang-format off */
#define HYPERCALL_LIST(CALL, NONE)                                                               \
    CALL(set_trap_table,              1, BATCH, "traps:array:trap")                              \
    CALL(mmu_update,                  4, ENTRY, "requests:array:update*count count:u done:ptr domain:dom")\
    CALL(set_gdt,                     2, TABLE, "frames:array:frame*entries/512 entries:u")      \
    CALL(stack_switch,                2, FAST,  "ss:x sp:va")                                    \
    CALL(set_callbacks,               3, FAST,  "event:va failsafe:va syscall:va")               \
    CALL(fpu_taskswitch,              1, FAST,  "set:u")                                         \
    NONE(sched_op_compat,             2, "op:u arg:x")                                           \
    CALL(platform_op,                 1, FAST,  "op:array:platform")                             \
    CALL(set_debugreg,                2, FAST,  "reg:u value:x")                                 \
    CALL(get_debugreg,                1, FAST,  "reg:u")                                         \
    CALL(update_descriptor,           2, FAST,  "descriptor:ma value:x")                         \
    CALL(memory_op,                   2, BATCH, "cmd:op:XENMEM arg:sub")                         \
    CALL(multicall,                   2, BATCH, "calls:ptr count:u")                             \
    CALL(update_va_mapping,           3, ENTRY, "va:va entry:pte flags:x")                       \
    CALL(set_timer_op,                1, FAST,  "deadline:u")                                    \
    NONE(event_channel_op_compat,     1, "op:ptr")                                               \
    CALL(xen_version,                 2, FAST,  "cmd:op:XENVER arg:sub")                         \
    CALL(console_io,                  3, BATCH, "cmd:op:CONSOLEIO count:u buffer:text*count")    \
    NONE(physdev_op_compat,           1, "op:ptr")                                               \
    CALL(grant_table_op,              3, BATCH, "cmd:op:GNTTABOP arg:sub*count count:u")         \
    CALL(vm_assist,                   2, FAST,  "cmd:op:VMASST_CMD type:op:VMASST_TYPE")         \
    CALL(update_va_mapping_otherdomain, 4, ENTRY, "va:va entry:pte flags:x domain:dom")          \
    CALL(iret,                        0, FAST,  "")                                              \
    CALL(vcpu_op,                     3, TABLE, "cmd:op:VCPUOP vcpu:u arg:sub")                  \
    CALL(set_segment_base,            2, FAST,  "which:op:SEGBASE base:va")                      \
    CALL(mmuext_op,                   4, TABLE, "ops:array:mmuext*count count:u done:ptr domain:dom")\
    NONE(xsm_op,                      1, "op:ptr")                                               \
    CALL(nmi_op,                      2, FAST,  "cmd:u arg:ptr")                                 \
    CALL(sched_op,                    2, BATCH, "cmd:op:SCHEDOP arg:sub")                        \
    CALL(callback_op,                 2, FAST,  "cmd:op:CALLBACKOP arg:sub")                     \
    NONE(xenoprof_op,                 2, "op:u arg:ptr")                                         \
    CALL(event_channel_op,            2, FAST,  "cmd:op:EVTCHNOP arg:sub")                       \
    CALL(physdev_op,                  2, FAST,  "cmd:op:PHYSDEVOP arg:sub")                      \
    NONE(hvm_op,                      2, "op:u arg:ptr")                                         \
    CALL(sysctl,                      1, BATCH, "op:array:sysctl")                               \
    CALL(domctl,                      1, BATCH, "op:array:domctl")                               \
    NONE(kexec_op,                    2, "op:u arg:ptr")                                         \
    NONE(tmem_op,                     1, "op:ptr")                                               \
    NONE(argo_op,                     5, "cmd:u arg1:ptr arg2:ptr arg3:x arg4:x")                \
    NONE(xenpmu_op,                   2, "cmd:u arg:ptr")                                        \
    NONE(dm_op,                       3, "domain:dom count:u buffers:ptr")                       \
    NONE(hypfs_op,                    5, "cmd:u arg1:ptr arg2:x arg3:ptr arg4:x")                \
    CALL(arch_0,                      1, FAST,  "mca:ptr")

/*
 * Sub-operations of the multiplexed calls: OP(constant, served, fields).
 * @served is YES (does what Xen's does), PRIV (-EPERM unless the domain's role
 * allows it) or NO (answers the errno that the manual names, changing nothing).
 * @fields is the structure that the call's argument of kind `sub` points to,
 * as in STRUCTURE_LIST below; "" if there is none, or it is not shown.
 */
#define MMUEXT_LIST(OP)                                                                           \
    OP(MMUEXT_PIN_L1_TABLE, YES, "")                                                              \
    OP(MMUEXT_PIN_L2_TABLE, YES, "")                                                              \
    OP(MMUEXT_PIN_L3_TABLE, YES, "")                                                              \
    OP(MMUEXT_PIN_L4_TABLE, YES, "")                                                              \
    OP(MMUEXT_UNPIN_TABLE, YES, "")                                                               \
    OP(MMUEXT_NEW_BASEPTR, YES, "")                                                               \
    OP(MMUEXT_TLB_FLUSH_LOCAL, YES, "")                                                           \
    OP(MMUEXT_INVLPG_LOCAL, YES, "")                                                              \
    OP(MMUEXT_TLB_FLUSH_MULTI, YES, "")                                                           \
    OP(MMUEXT_INVLPG_MULTI, YES, "")                                                              \
    OP(MMUEXT_TLB_FLUSH_ALL, YES, "")                                                             \
    OP(MMUEXT_INVLPG_ALL, YES, "")                                                                \
    OP(MMUEXT_FLUSH_CACHE, NO, "")                                                                \
    OP(MMUEXT_SET_LDT, YES, "")                                                                   \
    OP(MMUEXT_NEW_USER_BASEPTR, YES, "")                                                          \
    OP(MMUEXT_CLEAR_PAGE, YES, "")                                                                \
    OP(MMUEXT_COPY_PAGE, YES, "")                                                                 \
    OP(MMUEXT_FLUSH_CACHE_GLOBAL, NO, "")                                                         \
    OP(MMUEXT_MARK_SUPER, NO, "")                                                                 \
    OP(MMUEXT_UNMARK_SUPER, NO, "")

/* <xen/memory.h> has it for toolstacks only. */
#if !defined(XENMEM_claim_pages) && !defined(__ASSEMBLER__)
enum { XENMEM_claim_pages = 24 };
#endif
#define XENMEM_LIST(OP)                                                                           \
    OP(XENMEM_increase_reservation, YES, "extents:ptr count:u64 order:u32 flags:x32 domain:dom")  \
    OP(XENMEM_decrease_reservation, YES, "extents:ptr count:u64 order:u32 flags:x32 domain:dom")  \
    OP(XENMEM_maximum_ram_page, YES, "")                                                          \
    OP(XENMEM_current_reservation, YES, "domain:dom")                                             \
    OP(XENMEM_maximum_reservation, YES, "domain:dom")                                             \
    OP(XENMEM_machphys_mfn_list, YES, "room:u32 extents:ptr count:u32>")                          \
    OP(XENMEM_populate_physmap, YES, "extents:ptr count:u64 order:u32 flags:x32 domain:dom")      \
    OP(XENMEM_add_to_physmap, NO, "domain:dom size:u16 space:u32 index:x64 pfn:x64")              \
    OP(XENMEM_memory_map, YES, "count:u32~ buffer:ptr")                                           \
    OP(XENMEM_machine_memory_map, PRIV, "count:u32~ buffer:ptr")                                  \
    OP(XENMEM_exchange, YES, "in:ptr in_count:u64 in_order:u32 in_flags:x32 in_domain:dom out:ptr out_count:u64 out_order:u32 out_flags:x32 out_domain:dom done:u64~")\
    OP(XENMEM_machphys_mapping, YES, "start:va> end:va> max_mfn:x64>")                            \
    OP(XENMEM_set_memory_map, YES, "domain:dom -:u32 count:u32 buffer:ptr")                      \
    OP(XENMEM_maximum_gpfn, YES, "domain:dom")                                                    \
    OP(XENMEM_remove_from_physmap, NO, "domain:dom pfn:x64")                                      \
    OP(XENMEM_add_to_physmap_batch, NO, "domain:dom space:u16 count:u16 extra:u16 indexes:ptr pfns:ptr errors:ptr")\
    OP(XENMEM_claim_pages, PRIV, "extents:ptr count:u64 order:u32 flags:x32 domain:dom")            \
    OP(XENMEM_acquire_resource, PRIV, "domain:dom type:u16 id:u32 count:u32~ -:u32 frame:u64 frames:ptr")\
    OP(XENMEM_get_vnumainfo, NO, "domain:dom")

#define XENVER_LIST(OP)                                                                           \
    OP(XENVER_version, YES, "")                                                                   \
    OP(XENVER_extraversion, YES, "text:s16>")                                                     \
    OP(XENVER_compile_info, YES, "compiler:s64> by:s16> domain:s32> date:s32>")                   \
    OP(XENVER_capabilities, YES, "text:s96>")                                                     \
    OP(XENVER_changeset, YES, "text:s64>")                                                        \
    OP(XENVER_platform_parameters, YES, "virt_start:va>")                                         \
    OP(XENVER_get_features, YES, "word:u32 bits:x32>")                                            \
    OP(XENVER_pagesize, YES, "")                                                                  \
    OP(XENVER_guest_handle, YES, "first:x64> second:x64>")                                        \
    OP(XENVER_commandline, YES, "text:s96>")                                                      \
    OP(XENVER_build_id, YES, "length:u32")

#define CONSOLEIO_LIST(OP)                                                                        \
    OP(CONSOLEIO_write, PRIV, "")                                                                 \
    OP(CONSOLEIO_read, PRIV, "")

#define GNTTABOP_LIST(OP)                                                                         \
    OP(GNTTABOP_map_grant_ref, YES, "host:x64 flags:x32 ref:u32 domain:dom status:d16> handle:u32> bus:ma>")\
    OP(GNTTABOP_unmap_grant_ref, YES, "host:x64 bus:ma handle:u32 status:d16>")                    \
    OP(GNTTABOP_setup_table, YES, "domain:dom frames:u32 status:d16> list:ptr")                   \
    OP(GNTTABOP_dump_table, NO, "domain:dom status:d16>")                                         \
    OP(GNTTABOP_transfer, NO, "mfn:mfn domain:dom ref:u32 status:d16>")                           \
    OP(GNTTABOP_copy, YES, "from:x64 from_domain:dom from_offset:u16 to:x64 to_domain:dom to_offset:u16 -:u32 length:u16 flags:x16 status:d16>")\
    OP(GNTTABOP_query_size, YES, "domain:dom frames:u32> most:u32> status:d16>")                  \
    OP(GNTTABOP_unmap_and_replace, YES, "host:x64 new:x64 handle:u32 status:d16>")                 \
    OP(GNTTABOP_set_version, YES, "version:u32~")                                                 \
    OP(GNTTABOP_get_status_frames, YES, "frames:u32 domain:dom status:d16> list:ptr")              \
    OP(GNTTABOP_get_version, YES, "domain:dom version:u32>")                                      \
    OP(GNTTABOP_swap_grant_ref, YES, "a:u32 b:u32 status:d16>")                                    \
    OP(GNTTABOP_cache_flush, YES, "at:x64 offset:u16 length:u16 op:x32")

#define VMASST_CMD_LIST(OP)                                                                       \
    OP(VMASST_CMD_enable, YES, "")                                                                \
    OP(VMASST_CMD_disable, YES, "")

#define VMASST_TYPE_LIST(OP)                                                                      \
    OP(VMASST_TYPE_4gb_segments, YES, "")                                                         \
    OP(VMASST_TYPE_4gb_segments_notify, YES, "")                                                  \
    OP(VMASST_TYPE_writable_pagetables, YES, "")                                                  \
    OP(VMASST_TYPE_pae_extended_cr3, YES, "")                                                     \
    OP(VMASST_TYPE_architectural_iopl, YES, "")                                                   \
    OP(VMASST_TYPE_runstate_update_flag, YES, "")                                                 \
    OP(VMASST_TYPE_m2p_strict, YES, "")

#define VCPUOP_LIST(OP)                                                                           \
    OP(VCPUOP_initialise, YES, "")                                                                \
    OP(VCPUOP_up, YES, "")                                                                        \
    OP(VCPUOP_down, YES, "")                                                                      \
    OP(VCPUOP_is_up, YES, "")                                                                     \
    OP(VCPUOP_get_runstate_info, YES, "state:u32> since:u64> running:u64> runnable:u64> blocked:u64> offline:u64>")\
    OP(VCPUOP_register_runstate_memory_area, YES, "area:va")                                      \
    OP(VCPUOP_set_periodic_timer, YES, "period:u64")                                              \
    OP(VCPUOP_stop_periodic_timer, YES, "")                                                       \
    OP(VCPUOP_set_singleshot_timer, YES, "deadline:u64 flags:x32")                                \
    OP(VCPUOP_stop_singleshot_timer, YES, "")                                                     \
    OP(VCPUOP_register_vcpu_info, YES, "mfn:mfn offset:x32")                                      \
    OP(VCPUOP_send_nmi, YES, "")                                                                  \
    OP(VCPUOP_get_physid, PRIV, "id:u64>")                                                        \
    OP(VCPUOP_register_vcpu_time_memory_area, YES, "area:va")

#define SEGBASE_LIST(OP)                                                                          \
    OP(SEGBASE_FS, YES, "")                                                                       \
    OP(SEGBASE_GS_USER, YES, "")                                                                  \
    OP(SEGBASE_GS_KERNEL, YES, "")                                                                \
    OP(SEGBASE_GS_USER_SEL, YES, "")

#define SCHEDOP_LIST(OP)                                                                          \
    OP(SCHEDOP_yield, YES, "")                                                                    \
    OP(SCHEDOP_block, YES, "")                                                                    \
    OP(SCHEDOP_shutdown, YES, "reason:op32:SHUTDOWN")                                             \
    OP(SCHEDOP_poll, YES, "ports:ptr count:u32 deadline:u64")                                     \
    OP(SCHEDOP_remote_shutdown, PRIV, "domain:dom reason:op32:SHUTDOWN")                          \
    OP(SCHEDOP_shutdown_code, YES, "reason:op32:SHUTDOWN")                                        \
    OP(SCHEDOP_watchdog, YES, "id:u32 timeout:u32")                                               \
    OP(SCHEDOP_pin_override, PRIV, "cpu:d32")

#define CALLBACKOP_LIST(OP)                                                                       \
    OP(CALLBACKOP_register, YES, "type:op16:CALLBACKTYPE flags:x16 address:va")                   \
    OP(CALLBACKOP_unregister, YES, "type:op16:CALLBACKTYPE")

#define EVTCHNOP_LIST(OP)                                                                         \
    OP(EVTCHNOP_bind_interdomain, YES, "remote:dom remote_port:u32 port:u32>")                    \
    OP(EVTCHNOP_bind_virq, YES, "virq:op32:VIRQ vcpu:u32 port:u32>")                              \
    OP(EVTCHNOP_bind_pirq, PRIV, "pirq:u32 flags:x32 port:u32>")                                  \
    OP(EVTCHNOP_close, YES, "port:u32")                                                           \
    OP(EVTCHNOP_send, YES, "port:u32")                                                            \
    OP(EVTCHNOP_status, YES, "domain:dom port:u32 status:u32> vcpu:u32>")                         \
    OP(EVTCHNOP_alloc_unbound, YES, "domain:dom remote:dom port:u32>")                            \
    OP(EVTCHNOP_bind_ipi, YES, "vcpu:u32 port:u32>")                                              \
    OP(EVTCHNOP_bind_vcpu, YES, "port:u32 vcpu:u32")                                              \
    OP(EVTCHNOP_unmask, YES, "port:u32")                                                          \
    OP(EVTCHNOP_reset, YES, "domain:dom")                                                         \
    OP(EVTCHNOP_init_control, YES, "gfn:x64 offset:x32 vcpu:u32 link_bits:u8>")                   \
    OP(EVTCHNOP_expand_array, YES, "gfn:x64")                                                     \
    OP(EVTCHNOP_set_priority, YES, "port:u32 priority:u32")

#define PHYSDEVOP_LIST(OP)                                                                        \
    OP(PHYSDEVOP_eoi, PRIV, "irq:u32")                                                            \
    OP(PHYSDEVOP_pirq_eoi_gmfn_v1, PRIV, "gmfn:x64")                                              \
    OP(PHYSDEVOP_pirq_eoi_gmfn_v2, PRIV, "gmfn:x64")                                              \
    OP(PHYSDEVOP_irq_status_query, PRIV, "irq:u32 flags:x32>")                                    \
    OP(PHYSDEVOP_set_iopl, YES, "iopl:u32")                                                       \
    OP(PHYSDEVOP_set_iobitmap, YES, "bitmap:ptr ports:u32")                                       \
    OP(PHYSDEVOP_apic_read, PRIV, "apic:ma register:x32 value:x32>")                              \
    OP(PHYSDEVOP_alloc_irq_vector, PRIV, "irq:u32 vector:u32>")                                   \
    OP(PHYSDEVOP_map_pirq, PRIV, "domain:dom type:u32 index:u32 pirq:u32~ bus:u32 devfn:x32 entry:u32 table:ma") \
    OP(PHYSDEVOP_unmap_pirq, PRIV, "domain:dom pirq:u32")                                         \
    OP(PHYSDEVOP_setup_gsi, PRIV, "gsi:u32 triggering:u8 polarity:u8")                            \
    OP(PHYSDEVOP_get_free_pirq, PRIV, "type:u32 pirq:u32>")                                       \
    OP(PHYSDEVOP_manage_pci_add, PRIV, "bus:u8 devfn:u8")                                         \
    OP(PHYSDEVOP_manage_pci_remove, PRIV, "bus:u8 devfn:u8")                                      \
    OP(PHYSDEVOP_manage_pci_add_ext, PRIV, "bus:u8 devfn:u8")                                     \
    OP(PHYSDEVOP_restore_msi, PRIV, "bus:u8 devfn:u8")                                            \
    OP(PHYSDEVOP_restore_msi_ext, PRIV, "segment:u16 bus:u8 devfn:u8")                            \
    OP(PHYSDEVOP_pci_device_add, PRIV, "segment:u16 bus:u8 devfn:u8 flags:x32")                   \
    OP(PHYSDEVOP_pci_device_remove, PRIV, "segment:u16 bus:u8 devfn:u8")                          \
    OP(PHYSDEVOP_pci_mmcfg_reserved, PRIV, "address:ma segment:u16 first:u8 last:u8 flags:x32")   \
    OP(PHYSDEVOP_prepare_msix, NO, "segment:u16 bus:u8 devfn:u8")                                 \
    OP(PHYSDEVOP_release_msix, NO, "segment:u16 bus:u8 devfn:u8")                                 \
    OP(PHYSDEVOP_apic_write, PRIV, "apic:ma register:x32 value:x32")

/* Every list of sub-operations with the call it belongs to: LIST(call, LIST-prefix). */
#define SUBOP_LISTS(LIST)                                                                        \
    LIST(mmuext_op, MMUEXT)      LIST(memory_op, XENMEM)       LIST(xen_version, XENVER)         \
    LIST(console_io, CONSOLEIO)  LIST(grant_table_op, GNTTABOP) LIST(vm_assist, VMASST_TYPE)     \
    LIST(vcpu_op, VCPUOP)        LIST(set_segment_base, SEGBASE) LIST(sched_op, SCHEDOP)         \
    LIST(callback_op, CALLBACKOP) LIST(event_channel_op, EVTCHNOP) LIST(physdev_op, PHYSDEVOP)

/* Names that fields have for their values, used as op:LIST: N(constant). */
#define SHUTDOWN_LIST(N)                                                                         \
    N(SHUTDOWN_poweroff) N(SHUTDOWN_reboot) N(SHUTDOWN_suspend) N(SHUTDOWN_crash)                \
    N(SHUTDOWN_watchdog) N(SHUTDOWN_soft_reset)
#define VIRQ_LIST(N)                                                                             \
    N(VIRQ_TIMER) N(VIRQ_DEBUG) N(VIRQ_CONSOLE) N(VIRQ_DOM_EXC) N(VIRQ_TBUF) N(VIRQ_DEBUGGER)    \
    N(VIRQ_XENOPROF) N(VIRQ_CON_RING) N(VIRQ_PCPU_STATE) N(VIRQ_MEM_EVENT) N(VIRQ_ARGO)          \
    N(VIRQ_ENOMEM) N(VIRQ_XENPMU)
#define CALLBACKTYPE_LIST(N)                                                                     \
    N(CALLBACKTYPE_event) N(CALLBACKTYPE_failsafe) N(CALLBACKTYPE_syscall) N(CALLBACKTYPE_nmi)   \
    N(CALLBACKTYPE_sysenter) N(CALLBACKTYPE_syscall32)
/* Of <xen/domctl.h>, <xen/sysctl.h>, <xen/platform.h>, which want __XEN_TOOLS__. */
#define DOMCTL_LIST(N)                                                                            \
    N(XEN_DOMCTL_createdomain) N(XEN_DOMCTL_destroydomain) N(XEN_DOMCTL_pausedomain)              \
    N(XEN_DOMCTL_unpausedomain) N(XEN_DOMCTL_getdomaininfo) N(XEN_DOMCTL_setvcpuaffinity)         \
    N(XEN_DOMCTL_shadow_op) N(XEN_DOMCTL_max_mem) N(XEN_DOMCTL_setvcpucontext)                    \
    N(XEN_DOMCTL_getvcpucontext) N(XEN_DOMCTL_getvcpuinfo) N(XEN_DOMCTL_max_vcpus)                \
    N(XEN_DOMCTL_scheduler_op) N(XEN_DOMCTL_setdomainhandle) N(XEN_DOMCTL_setdebugging)           \
    N(XEN_DOMCTL_irq_permission) N(XEN_DOMCTL_iomem_permission) N(XEN_DOMCTL_ioport_permission)   \
    N(XEN_DOMCTL_hypercall_init)                              N(XEN_DOMCTL_settimeoffset)        \
    N(XEN_DOMCTL_getvcpuaffinity) N(XEN_DOMCTL_real_mode_area) N(XEN_DOMCTL_resumedomain)         \
    N(XEN_DOMCTL_sendtrigger) N(XEN_DOMCTL_subscribe) N(XEN_DOMCTL_gethvmcontext)                 \
    N(XEN_DOMCTL_sethvmcontext) N(XEN_DOMCTL_set_address_size) N(XEN_DOMCTL_get_address_size)     \
    N(XEN_DOMCTL_assign_device) N(XEN_DOMCTL_bind_pt_irq) N(XEN_DOMCTL_memory_mapping)            \
    N(XEN_DOMCTL_ioport_mapping) N(XEN_DOMCTL_set_ext_vcpucontext)                                \
    N(XEN_DOMCTL_get_ext_vcpucontext) N(XEN_DOMCTL_set_opt_feature)                               \
    N(XEN_DOMCTL_test_assign_device) N(XEN_DOMCTL_set_target) N(XEN_DOMCTL_deassign_device)       \
    N(XEN_DOMCTL_unbind_pt_irq) N(XEN_DOMCTL_get_device_group) N(XEN_DOMCTL_debug_op)             \
    N(XEN_DOMCTL_gethvmcontext_partial) N(XEN_DOMCTL_vm_event_op) N(XEN_DOMCTL_mem_sharing_op)    \
    N(XEN_DOMCTL_gettscinfo) N(XEN_DOMCTL_settscinfo) N(XEN_DOMCTL_getpageframeinfo3)             \
    N(XEN_DOMCTL_setvcpuextstate) N(XEN_DOMCTL_getvcpuextstate)                                   \
    N(XEN_DOMCTL_set_access_required) N(XEN_DOMCTL_audit_p2m) N(XEN_DOMCTL_set_virq_handler)      \
    N(XEN_DOMCTL_set_broken_page_p2m) N(XEN_DOMCTL_setnodeaffinity)                               \
    N(XEN_DOMCTL_getnodeaffinity) N(XEN_DOMCTL_cacheflush) N(XEN_DOMCTL_get_vcpu_msrs)            \
    N(XEN_DOMCTL_set_vcpu_msrs) N(XEN_DOMCTL_setvnumainfo) N(XEN_DOMCTL_psr_cmt_op)               \
    N(XEN_DOMCTL_monitor_op) N(XEN_DOMCTL_psr_alloc) N(XEN_DOMCTL_soft_reset)                     \
    N(XEN_DOMCTL_vuart_op) N(XEN_DOMCTL_get_cpu_policy) N(XEN_DOMCTL_set_cpu_policy)              \
    N(XEN_DOMCTL_get_paging_mempool_size) N(XEN_DOMCTL_set_paging_mempool_size)                   \
    N(XEN_DOMCTL_gdbsx_guestmemio) N(XEN_DOMCTL_gdbsx_pausevcpu) N(XEN_DOMCTL_gdbsx_unpausevcpu)  \
    N(XEN_DOMCTL_gdbsx_domstatus)
#define SYSCTL_LIST(N)                                                                            \
    N(XEN_SYSCTL_readconsole) N(XEN_SYSCTL_tbuf_op) N(XEN_SYSCTL_physinfo)                        \
    N(XEN_SYSCTL_sched_id) N(XEN_SYSCTL_perfc_op) N(XEN_SYSCTL_getdomaininfolist)                 \
    N(XEN_SYSCTL_debug_keys) N(XEN_SYSCTL_getcpuinfo) N(XEN_SYSCTL_availheap)                     \
    N(XEN_SYSCTL_get_pmstat) N(XEN_SYSCTL_cpu_hotplug) N(XEN_SYSCTL_pm_op)                        \
    N(XEN_SYSCTL_page_offline_op) N(XEN_SYSCTL_lockprof_op) N(XEN_SYSCTL_cputopoinfo)             \
    N(XEN_SYSCTL_numainfo) N(XEN_SYSCTL_cpupool_op) N(XEN_SYSCTL_scheduler_op)                    \
    N(XEN_SYSCTL_coverage_op) N(XEN_SYSCTL_psr_cmt_op) N(XEN_SYSCTL_pcitopoinfo)                  \
    N(XEN_SYSCTL_psr_alloc) N(XEN_SYSCTL_get_cpu_levelling_caps)                                  \
    N(XEN_SYSCTL_get_cpu_featureset) N(XEN_SYSCTL_livepatch_op) N(XEN_SYSCTL_get_cpu_policy)
#define XENPF_LIST(N)                                                                             \
    N(XENPF_settime32) N(XENPF_settime64) N(XENPF_add_memtype) N(XENPF_del_memtype)               \
    N(XENPF_read_memtype) N(XENPF_microcode_update) N(XENPF_platform_quirk)                       \
    N(XENPF_efi_runtime_call) N(XENPF_firmware_info) N(XENPF_enter_acpi_sleep)                    \
    N(XENPF_change_freq) N(XENPF_getidletime) N(XENPF_set_processor_pminfo) N(XENPF_get_cpuinfo)  \
    N(XENPF_get_cpu_version) N(XENPF_cpu_online) N(XENPF_cpu_offline) N(XENPF_cpu_hotadd)         \
    N(XENPF_mem_hotadd) N(XENPF_core_parking) N(XENPF_resource_op) N(XENPF_get_symbol)

/*
 * Structures that arrays hold: S(name, fields).  A field is "name:kind", with its width in bits behind the
 * kind (bytes for s), fields aligned as C aligns them.  Kinds are those of arguments, and d: signed, s: a string, update: a
 * page-table entry's address with mmu_update's command in its low bits; the name - is not shown.
 * Behind it > marks what the hypervisor writes, ~ what it reads and writes.
 */
#define STRUCTURE_LIST(S)                                                                        \
    S(trap,    "vector:u8 flags:x8 cs:x16 address:va")                                           \
    S(update,  "ptr:update val:pte")                                                             \
    S(frame,   ":mfn")                                                                           \
    S(mmuext,  "cmd:op32:MMUEXT arg1:x64 arg2:x64")                                              \
    S(platform, "cmd:op32:XENPF version:x32")                                                    \
    S(sysctl,  "cmd:op32:SYSCTL version:x32")                                                    \
    S(domctl,  "cmd:op32:DOMCTL version:x32 domain:dom")
/* clang-format on */
