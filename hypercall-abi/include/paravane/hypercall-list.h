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
 */
#pragma once

/* clang-format off */
#define HYPERCALL_LIST(CALL, NONE)                                                               \
    CALL(set_trap_table,              1, BATCH, "traps:ptr")                                     \
    CALL(mmu_update,                  4, ENTRY, "requests:ptr count:u done:ptr domain:dom")      \
    CALL(set_gdt,                     2, TABLE, "frames:ptr entries:u")                          \
    CALL(stack_switch,                2, FAST,  "ss:x sp:va")                                    \
    CALL(set_callbacks,               3, FAST,  "event:va failsafe:va syscall:va")               \
    CALL(fpu_taskswitch,              1, FAST,  "set:u")                                         \
    NONE(sched_op_compat,             2, "op:u arg:x")                                           \
    CALL(platform_op,                 1, FAST,  "op:ptr")                                        \
    CALL(set_debugreg,                2, FAST,  "reg:u value:x")                                 \
    CALL(get_debugreg,                1, FAST,  "reg:u")                                         \
    CALL(update_descriptor,           2, FAST,  "descriptor:ma value:x")                         \
    CALL(memory_op,                   2, BATCH, "cmd:op:XENMEM arg:ptr")                         \
    CALL(multicall,                   2, BATCH, "calls:ptr count:u")                             \
    CALL(update_va_mapping,           3, ENTRY, "va:va entry:pte flags:x")                       \
    CALL(set_timer_op,                1, FAST,  "deadline:u")                                    \
    NONE(event_channel_op_compat,     1, "op:ptr")                                               \
    CALL(xen_version,                 2, FAST,  "cmd:op:XENVER arg:ptr")                         \
    CALL(console_io,                  3, BATCH, "cmd:op:CONSOLEIO count:u buffer:ptr")           \
    NONE(physdev_op_compat,           1, "op:ptr")                                               \
    CALL(grant_table_op,              3, BATCH, "cmd:op:GNTTABOP arg:ptr count:u")               \
    CALL(vm_assist,                   2, FAST,  "cmd:op:VMASST_CMD type:op:VMASST_TYPE")         \
    CALL(update_va_mapping_otherdomain, 4, ENTRY, "va:va entry:pte flags:x domain:dom")          \
    CALL(iret,                        0, FAST,  "")                                              \
    CALL(vcpu_op,                     3, FAST,  "cmd:op:VCPUOP vcpu:u arg:ptr")                  \
    CALL(set_segment_base,            2, FAST,  "which:op:SEGBASE base:va")                      \
    CALL(mmuext_op,                   4, TABLE, "ops:ptr count:u done:ptr domain:dom")           \
    NONE(xsm_op,                      1, "op:ptr")                                               \
    NONE(nmi_op,                      2, "cmd:u arg:ptr")                                        \
    CALL(sched_op,                    2, FAST,  "cmd:op:SCHEDOP arg:ptr")                        \
    CALL(callback_op,                 2, FAST,  "cmd:op:CALLBACKOP arg:ptr")                     \
    NONE(xenoprof_op,                 2, "op:u arg:ptr")                                         \
    CALL(event_channel_op,            2, FAST,  "cmd:op:EVTCHNOP arg:ptr")                       \
    CALL(physdev_op,                  2, FAST,  "cmd:op:PHYSDEVOP arg:ptr")                      \
    NONE(hvm_op,                      2, "op:u arg:ptr")                                         \
    CALL(sysctl,                      1, FAST,  "op:ptr")                                        \
    CALL(domctl,                      1, FAST,  "op:ptr")                                        \
    NONE(kexec_op,                    2, "op:u arg:ptr")                                         \
    NONE(tmem_op,                     1, "op:ptr")                                               \
    NONE(argo_op,                     5, "cmd:u arg1:ptr arg2:ptr arg3:x arg4:x")                \
    NONE(xenpmu_op,                   2, "cmd:u arg:ptr")                                        \
    NONE(dm_op,                       3, "domain:dom count:u buffers:ptr")                       \
    NONE(hypfs_op,                    5, "cmd:u arg1:ptr arg2:x arg3:ptr arg4:x")                \
    NONE(arch_0,                      1, "mca:ptr")

/*
 * Sub-operations of the multiplexed calls: OP(constant, served).  @served is
 * YES (does what Xen's does), PRIV (-EPERM unless the domain's role allows it)
 * or NO (answers the errno that the manual names, changing nothing).
 */
#define MMUEXT_LIST(OP)                                                                          \
    OP(MMUEXT_PIN_L1_TABLE, YES)        OP(MMUEXT_PIN_L2_TABLE, YES)                             \
    OP(MMUEXT_PIN_L3_TABLE, YES)        OP(MMUEXT_PIN_L4_TABLE, YES)                             \
    OP(MMUEXT_UNPIN_TABLE, YES)         OP(MMUEXT_NEW_BASEPTR, YES)                              \
    OP(MMUEXT_TLB_FLUSH_LOCAL, YES)     OP(MMUEXT_INVLPG_LOCAL, YES)                             \
    OP(MMUEXT_TLB_FLUSH_MULTI, YES)     OP(MMUEXT_INVLPG_MULTI, YES)                             \
    OP(MMUEXT_TLB_FLUSH_ALL, YES)       OP(MMUEXT_INVLPG_ALL, YES)                               \
    OP(MMUEXT_FLUSH_CACHE, NO)          OP(MMUEXT_SET_LDT, YES)                                  \
    OP(MMUEXT_NEW_USER_BASEPTR, YES)    OP(MMUEXT_CLEAR_PAGE, YES)                               \
    OP(MMUEXT_COPY_PAGE, YES)           OP(MMUEXT_FLUSH_CACHE_GLOBAL, NO)                        \
    OP(MMUEXT_MARK_SUPER, NO)           OP(MMUEXT_UNMARK_SUPER, NO)

#define XENMEM_LIST(OP)                                                                          \
    OP(XENMEM_increase_reservation, YES)   OP(XENMEM_decrease_reservation, YES)                  \
    OP(XENMEM_maximum_ram_page, YES)       OP(XENMEM_current_reservation, YES)                   \
    OP(XENMEM_maximum_reservation, YES)    OP(XENMEM_machphys_mfn_list, YES)                     \
    OP(XENMEM_populate_physmap, YES)       OP(XENMEM_add_to_physmap, NO)                         \
    OP(XENMEM_memory_map, YES)             OP(XENMEM_machine_memory_map, PRIV)                   \
    OP(XENMEM_exchange, YES)               OP(XENMEM_machphys_mapping, YES)                      \
    OP(XENMEM_set_memory_map, PRIV)        OP(XENMEM_maximum_gpfn, YES)                          \
    OP(XENMEM_remove_from_physmap, NO)     OP(XENMEM_add_to_physmap_batch, NO)                   \
    OP(XENMEM_get_vnumainfo, NO)

#define XENVER_LIST(OP)                                                                          \
    OP(XENVER_version, YES)              OP(XENVER_extraversion, YES)                            \
    OP(XENVER_compile_info, YES)         OP(XENVER_capabilities, YES)                            \
    OP(XENVER_changeset, YES)            OP(XENVER_platform_parameters, YES)                     \
    OP(XENVER_get_features, YES)         OP(XENVER_pagesize, YES)                                \
    OP(XENVER_guest_handle, YES)         OP(XENVER_commandline, YES)                             \
    OP(XENVER_build_id, YES)

#define CONSOLEIO_LIST(OP) OP(CONSOLEIO_write, PRIV) OP(CONSOLEIO_read, PRIV)

#define GNTTABOP_LIST(OP)                                                                        \
    OP(GNTTABOP_map_grant_ref, NO)       OP(GNTTABOP_unmap_grant_ref, NO)                        \
    OP(GNTTABOP_setup_table, YES)        OP(GNTTABOP_dump_table, NO)                             \
    OP(GNTTABOP_transfer, NO)            OP(GNTTABOP_copy, NO)                                   \
    OP(GNTTABOP_query_size, YES)         OP(GNTTABOP_unmap_and_replace, NO)                      \
    OP(GNTTABOP_set_version, YES)        OP(GNTTABOP_get_status_frames, NO)                      \
    OP(GNTTABOP_get_version, YES)        OP(GNTTABOP_swap_grant_ref, NO)                         \
    OP(GNTTABOP_cache_flush, NO)

#define VMASST_CMD_LIST(OP) OP(VMASST_CMD_enable, YES) OP(VMASST_CMD_disable, YES)

#define VMASST_TYPE_LIST(OP)                                                                     \
    OP(VMASST_TYPE_4gb_segments, YES)    OP(VMASST_TYPE_4gb_segments_notify, YES)                \
    OP(VMASST_TYPE_writable_pagetables, YES) OP(VMASST_TYPE_pae_extended_cr3, YES)               \
    OP(VMASST_TYPE_architectural_iopl, YES) OP(VMASST_TYPE_runstate_update_flag, YES)            \
    OP(VMASST_TYPE_m2p_strict, YES)

#define VCPUOP_LIST(OP)                                                                          \
    OP(VCPUOP_initialise, YES)           OP(VCPUOP_up, YES)                                      \
    OP(VCPUOP_down, YES)                 OP(VCPUOP_is_up, YES)                                   \
    OP(VCPUOP_get_runstate_info, YES)    OP(VCPUOP_register_runstate_memory_area, YES)           \
    OP(VCPUOP_set_periodic_timer, YES)   OP(VCPUOP_stop_periodic_timer, YES)                     \
    OP(VCPUOP_set_singleshot_timer, YES) OP(VCPUOP_stop_singleshot_timer, YES)                   \
    OP(VCPUOP_register_vcpu_info, YES)   OP(VCPUOP_send_nmi, YES)                                \
    OP(VCPUOP_get_physid, PRIV)          OP(VCPUOP_register_vcpu_time_memory_area, YES)

#define SEGBASE_LIST(OP)                                                                         \
    OP(SEGBASE_FS, YES)                  OP(SEGBASE_GS_USER, YES)                                \
    OP(SEGBASE_GS_KERNEL, YES)           OP(SEGBASE_GS_USER_SEL, YES)

#define SCHEDOP_LIST(OP)                                                                         \
    OP(SCHEDOP_yield, YES)               OP(SCHEDOP_block, YES)                                  \
    OP(SCHEDOP_shutdown, YES)            OP(SCHEDOP_poll, YES)                                   \
    OP(SCHEDOP_remote_shutdown, PRIV)    OP(SCHEDOP_shutdown_code, YES)                          \
    OP(SCHEDOP_watchdog, YES)            OP(SCHEDOP_pin_override, PRIV)

#define CALLBACKOP_LIST(OP) OP(CALLBACKOP_register, YES) OP(CALLBACKOP_unregister, YES)

#define EVTCHNOP_LIST(OP)                                                                        \
    OP(EVTCHNOP_bind_interdomain, YES)   OP(EVTCHNOP_bind_virq, YES)                             \
    OP(EVTCHNOP_bind_pirq, PRIV)         OP(EVTCHNOP_close, YES)                                 \
    OP(EVTCHNOP_send, YES)               OP(EVTCHNOP_status, YES)                                \
    OP(EVTCHNOP_alloc_unbound, YES)      OP(EVTCHNOP_bind_ipi, YES)                              \
    OP(EVTCHNOP_bind_vcpu, YES)          OP(EVTCHNOP_unmask, YES)                                \
    OP(EVTCHNOP_reset, YES)              OP(EVTCHNOP_init_control, YES)                          \
    OP(EVTCHNOP_expand_array, YES)       OP(EVTCHNOP_set_priority, YES)

#define PHYSDEVOP_LIST(OP)                                                                       \
    OP(PHYSDEVOP_eoi, PRIV)              OP(PHYSDEVOP_pirq_eoi_gmfn_v2, NO)                      \
    OP(PHYSDEVOP_irq_status_query, PRIV) OP(PHYSDEVOP_set_iopl, YES)                             \
    OP(PHYSDEVOP_set_iobitmap, YES)      OP(PHYSDEVOP_apic_read, PRIV)                           \
    OP(PHYSDEVOP_apic_write, PRIV)

/* Every list of sub-operations with the call it belongs to: LIST(call, LIST-prefix). */
#define SUBOP_LISTS(LIST)                                                                        \
    LIST(mmuext_op, MMUEXT)      LIST(memory_op, XENMEM)       LIST(xen_version, XENVER)         \
    LIST(console_io, CONSOLEIO)  LIST(grant_table_op, GNTTABOP) LIST(vm_assist, VMASST_TYPE)     \
    LIST(vcpu_op, VCPUOP)        LIST(set_segment_base, SEGBASE) LIST(sched_op, SCHEDOP)         \
    LIST(callback_op, CALLBACKOP) LIST(event_channel_op, EVTCHNOP) LIST(physdev_op, PHYSDEVOP)
/* clang-format on */
