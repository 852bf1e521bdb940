/*
 * The one list of refusals: every way in which the hypervisor says no.
 *
 *   RULE(id, word, errno, protects, says, source)
 *
 * @id        what people and tools call it: AREA_NNN in this file, AREA-NNN printed; numbers are never reused
 * @word      what C calls it: refuse(PORT_NOT_OPEN, ...), RULE_PORT_NOT_OPEN
 * @errno     what the guest gets, positive; 0 for rules that end the guest (CR) or concern its image
 * @protects  what would go wrong without the rule, one clause
 * @says      the sentence for --explain: printf format over up to three unsigned longs, the operands given to refuse()
 * @source    Xen header or document that the rule comes from
 *
 * Areas: HC hypercalls in general, PT page tables, MX mmuext_op, DT descriptor tables, ME memory_op, EV event
 * channels, VC vCPUs and time, SC scheduling, CB callbacks and traps, CP CPU state (registers, ports), CN console,
 * XV versions, GT grants, XS xenstore, PR privilege, CT domctl and sysctl, CR crashes, IM images and boot configuration.
 */
#pragma once

/* clang-format off */
#define RULE_LIST(RULE)                                                                            \
    RULE_LIST_GENERAL(RULE) RULE_LIST_PAGES(RULE) RULE_LIST_CPU(RULE) RULE_LIST_EVENTS(RULE)       \
    RULE_LIST_MEMORY(RULE) RULE_LIST_IMAGE(RULE) RULE_LIST_ROOM(RULE) RULE_LIST_TREE(RULE)         \
    RULE_LIST_STORE(RULE) RULE_LIST_CONTROL(RULE) RULE_LIST_CRASH(RULE)

/* Hypercalls in general, privilege, console, version. */
#define RULE_LIST_GENERAL(RULE)                                                                    \
    RULE(HC_001, HYPERCALL_UNKNOWN, ENOSYS, "a number nobody serves changes nothing", "hypercall %lu is not served", "xen/xen.h") \
    RULE(HC_002, ARGUMENT_UNREADABLE, EFAULT, "an argument that cannot be read is not guessed", "argument at %lx cannot be read or written", "xen/xen.h") \
    RULE(HC_003, MULTICALL_NESTED, EINVAL, "a multicall is not nested", "multicall inside a multicall", "xen/xen.h") \
    RULE(PR_001, ROLE_MISSING, EPERM, "only domains with the role may ask", "hypercall %lu sub-operation %lu needs a role that this domain lacks", "xen/domctl.h") \
    RULE(CN_001, CONSOLE_NOT_OWNED, EPERM, "the machine's console belongs to the hardware domain", "console_io command %lu needs the hardware role", "xen/xen.h") \
    RULE(CN_002, CONSOLE_COUNT_TOO_LARGE, E2BIG, "a count is a positive int", "console_io read of %lu bytes", "xen/xen.h") \
    RULE(CN_003, CONSOLE_OP_UNKNOWN, ENOSYS, "an unknown command changes nothing", "console_io command %lu is not served", "xen/xen.h") \
    RULE(XV_001, VERSION_OP_UNKNOWN, ENOSYS, "an unknown command changes nothing", "xen_version command %lu is not served", "xen/version.h") \
    RULE(XV_002, FEATURE_WORD_UNKNOWN, EINVAL, "feature bits come in one word so far", "feature word %lu does not exist", "xen/version.h") \
    RULE(XV_003, PAGESIZE_WITH_BUFFER, EINVAL, "the page size takes no buffer", "pagesize with buffer %lx", "xen/version.h") \
    RULE(XV_004, BUILD_ID_NOT_ALLOWED, EPERM, "the build id is for privileged domains", "build_id needs the control role", "xen/version.h") \
    RULE(XV_005, BUILD_ID_NO_ROOM, EINVAL, "a buffer for the build id has room", "build_id buffer of %lu bytes", "xen/version.h") \
    RULE(XV_006, BUILD_ID_MISSING, ENODATA, "not every build has an id", "this hypervisor has no build id", "xen/version.h")

/* Page tables: mmu_update, update_va_mapping, mmuext_op. */
#define RULE_LIST_PAGES(RULE)                                                                      \
    RULE(PT_001, ENTRY_BITS_NOT_ALLOWED, EINVAL, "cache attributes, PAT and reserved bits belong to domains with devices", "L1 entry %lx has bits that this domain may not set", "xen/arch-x86/xen.h") \
    RULE(PT_002, FRAME_NOT_RAM, EPERM, "device memory belongs to the hardware domain", "L1 entry maps frame %lx, which is not RAM", "xen/xen.h") \
    RULE(PT_003, FRAME_NOT_OWNED, EBUSY, "a domain maps only its own frames", "L1 entry maps frame %lx of domain %lu, expected a frame of domain %lu", "xen/xen.h") \
    RULE(PT_004, ROLE_CONFLICT, EBUSY, "no frame is writable while it is a page table or descriptor table", "L1 entry would map frame %lx writable, its role is %lu (type count %lu)", "xen/xen.h") \
    RULE(PT_005, UPPER_ENTRY_BITS_NOT_ALLOWED, EINVAL, "superpages and cache bits would reach frames that were never checked", "entry %lx of an L%lu table has bits that are not allowed there", "xen/arch-x86/xen.h") \
    RULE(PT_006, TABLE_BELOW_INVALID, EINVAL, "every table below a checked table is checked", "frame %lx cannot be an L%lu table: it is not this domain's, or has role %lu", "xen/xen.h") \
    RULE(PT_007, LINEAR_WRITABLE, EINVAL, "a linear entry must not make a page table writable", "writable linear entry: frame %lx is itself an L%lu table", "XSA-182") \
    RULE(PT_008, LINEAR_TOO_DEEP, EINVAL, "linear page tables are one level deep", "linear entry to frame %lx: one of the two tables already has linear entries the other way", "XSA-240") \
    RULE(PT_009, HYPERVISOR_SLOT, EINVAL, "the hypervisor's L4 slots are the same in every table", "L4 slot %lu is the hypervisor's", "xen/arch-x86/xen-x86_64.h") \
    RULE(PT_010, TABLE_FOREIGN, EINVAL, "page tables name only their owner's tables", "L%lu entry for frames of domain %lu: foreign frames may be mapped by L1 entries only", "xen/xen.h") \
    RULE(PT_011, MMU_COMMAND_UNKNOWN, ENOSYS, "an unknown command changes nothing", "mmu_update command %lu (low bits of the pointer) is not served", "xen/xen.h") \
    RULE(PT_012, TABLE_NOT_OWNED, EINVAL, "tables are edited by their owner", "frame %lx is not this domain's RAM, or is a descriptor table (role %lu)", "xen/xen.h") \
    RULE(PT_013, M2P_FRAME_NOT_OWNED, EINVAL, "machine-to-phys entries are set by the frame's owner", "frame %lx is not this domain's", "xen/xen.h") \
    RULE(PT_014, NOT_MAPPED_BY_L1, EINVAL, "an entry is replaced only in a checked L1 table", "no L1 table maps %lx", "xen/xen.h") \
    RULE(PT_015, FOREIGN_DOMAIN_MISSING, ESRCH, "a domain names itself DOMID_SELF", "foreign domain %lu is the caller itself, or does not exist", "xen/xen.h") \
    RULE(PT_016, FOREIGN_DOMAIN_NOT_ALLOWED, EPERM, "only the control domain touches other domains' memory", "domain %lu is not the caller's to map", "xen/xen.h") \
    RULE(PT_017, VCPU_SET_UNREADABLE, EFAULT, "a vCPU set must be readable", "vCPU bitmap at %lx cannot be read", "xen/xen.h") \
    RULE(PT_018, ENTRY_NAMES_NO_FRAME, EINVAL, "all ones names no frame", "entry %lx names no frame: its address bits are all ones", "xen/xen.h") \
    RULE(MX_001, PIN_FRAME_NOT_OWNED, EINVAL, "tables are the domain's own RAM", "frame %lx is not this domain's RAM", "xen/xen.h") \
    RULE(MX_002, PIN_ROLE_CONFLICT, EINVAL, "a frame has one role at a time", "frame %lx cannot become an L%lu table, its role is %lu", "xen/xen.h") \
    RULE(MX_003, PINNED_ALREADY, EINVAL, "a table is pinned once", "frame %lx is pinned already", "xen/xen.h") \
    RULE(MX_004, NOT_PINNED, EINVAL, "only what is pinned is unpinned", "frame %lx is not pinned", "xen/xen.h") \
    RULE(MX_005, ROOT_OF_OTHER_DOMAIN, EPERM, "a root is the running domain's own", "operation %lu works on the calling domain only", "xen/xen.h") \
    RULE(MX_006, LDT_RANGE, EINVAL, "an LDT has at most 8192 entries and starts on a page", "LDT at %lx with %lu entries", "xen/xen.h") \
    RULE(MX_007, CACHE_FLUSH_NOT_ALLOWED, EACCES, "caches are flushed for domains with devices", "cache flush without device memory", "xen/xen.h") \
    RULE(MX_008, SUPERPAGE_MARK_NOT_SERVED, EOPNOTSUPP, "superpage marking is not served", "operation %lu is not served", "xen/xen.h") \
    RULE(MX_009, MMUEXT_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "mmuext_op command %lu is not known", "xen/xen.h") \
    RULE(MX_010, COPY_FRAME_NOT_WRITABLE, EINVAL, "frames to clear or copy must be the domain's and writable", "frame %lx cannot be cleared or copied to, its role is %lu", "xen/xen.h") \
    RULE(MX_011, CACHE_FLUSH_ALL_NOT_ALLOWED, EINVAL, "caches are flushed for domains with devices", "global cache flush without device memory", "xen/xen.h") \
    RULE(MX_012, FLUSH_VCPU_SET_UNREADABLE, EINVAL, "a vCPU set must be readable", "vCPU bitmap at %lx cannot be read", "xen/xen.h")

/* CPU state: descriptors, traps, callbacks, registers, ports, FPU. */
#define RULE_LIST_CPU(RULE) \
    RULE(CB_001, HANDLER_NOT_CANONICAL, EINVAL, "a handler is where a processor can go", "trap table: handler of vector %lu at %lx, which is not canonical", "xen/arch-x86/xen.h") \
    RULE(CB_002, CALLBACK_NOT_CANONICAL, EINVAL, "a callback is where a processor can go", "callback of type %lu at %lx, which is not canonical", "xen/callback.h") \
    RULE(CB_003, CALLBACK_NEEDED, EINVAL, "a guest without its callbacks cannot be entered", "callback of type %lu cannot be unregistered", "xen/callback.h") \
    RULE(CB_004, CALLBACK_TYPE_UNKNOWN, ENOSYS, "an unknown type changes nothing", "there is no callback type %lu", "xen/callback.h") \
    RULE(CB_005, CALLBACK_OP_UNKNOWN, ENOSYS, "an unknown sub-operation changes nothing", "callback_op sub-operation %lu is not served", "xen/callback.h") \
    RULE(CB_006, NMI_OP_UNKNOWN, ENOSYS, "an unknown sub-operation changes nothing", "nmi_op sub-operation %lu is not served", "xen/nmi.h") \
    RULE(DT_001, GDT_TOO_LONG, EINVAL, "GDT entries from 7168 up are the hypervisor's", "GDT of %lu entries, at most %lu are the guest's", "xen/arch-x86/xen.h") \
    RULE(DT_002, DESCRIPTOR_FRAME_UNFIT, EINVAL, "what the processor reads as descriptors, nobody writes", "frame %lx cannot be a descriptor table: it is not this domain's RAM, is writable or a page table, or holds a descriptor that is not allowed", "xen/arch-x86/xen.h") \
    RULE(DT_003, DESCRIPTOR_NOT_ALLOWED, EINVAL, "gates and system segments would lead into the hypervisor", "descriptor at %lx is misaligned, or its value %lx is a system segment or a bad call gate", "xen/arch-x86/xen.h") \
    RULE(DT_004, DESCRIPTOR_IN_FRAME_NOT_ALLOWED, EINVAL, "gates and system segments would lead into the hypervisor", "descriptor %lx in slot %lu of the frame is not allowed", "xen/arch-x86/xen.h") \
    RULE(DT_005, DESCRIPTOR_FRAME_NOT_OWNED, EINVAL, "a guest writes only where it may", "descriptor at %lx: the frame is not this domain's RAM, or is a page table", "xen/arch-x86/xen.h") \
    RULE(DT_006, LDT_ADDRESS, EINVAL, "the LDT lies in the guest's own addresses", "LDT at %lx with %lu entries: not page-aligned, too long, or in the hypervisor's addresses", "xen/xen.h") \
    RULE(CP_001, SEGMENT_BASE_NOT_CANONICAL, EINVAL, "a non-canonical segment base faults in the hypervisor", "segment base %lu: %lx is not canonical", "xen/arch-x86/xen-x86_64.h") \
    RULE(CP_002, SEGMENT_BASE_UNKNOWN, EINVAL, "an unknown kind changes nothing", "there is no segment base %lu", "xen/arch-x86/xen-x86_64.h") \
    RULE(CP_003, DEBUG_REGISTER_UNKNOWN, ENODEV, "a register that does not exist has no value", "there is no debug register %lu", "xen/xen.h") \
    RULE(CP_004, BREAKPOINT_ADDRESS, EPERM, "breakpoints lie in the guest's own addresses", "debug register %lu: %lx is the hypervisor's address, or not canonical", "xen/xen.h") \
    RULE(CP_005, GENERAL_DETECT_NOT_ALLOWED, EPERM, "the debug registers stay the hypervisor's", "DR7 %lx sets general detect", "xen/xen.h") \
    RULE(CP_006, IO_BREAKPOINT_WITHOUT_DE, EPERM, "an I/O breakpoint needs CR4.DE", "DR7 %lx asks for an I/O breakpoint, CR4.DE is clear", "xen/xen.h") \
    RULE(CP_007, IOPL_RANGE, EINVAL, "privilege levels are 0 to 3", "I/O privilege level %lu", "xen/physdev.h") \
    RULE(CP_008, IO_BITMAP_TOO_LONG, EINVAL, "there are 65536 ports", "I/O bitmap at %lx for %lu ports", "xen/physdev.h") \
    RULE(CP_009, PHYSDEV_OP_UNKNOWN, ENOSYS, "interrupts and devices are not the guest's", "physdev_op sub-operation %lu is not served", "xen/physdev.h") \
    RULE(CP_010, DEBUG_REGISTER_RESERVED_BITS, EINVAL, "the upper halves of DR6 and DR7 are reserved", "debug register %lu: %lx has bits above 31", "xen/xen.h") \
    RULE(CP_011, PIRQ_NOT_OWNED, EINVAL, "interrupts of devices are not the guest's", "physical interrupt %lu is not the caller's", "xen/physdev.h") \
    RULE(CP_012, LINE_RANGE, EINVAL, "a line of interrupts exists", "interrupt line %lu, there are %lu", "xen/physdev.h") \
    RULE(CP_013, LINE_IN_USE, EEXIST, "how a line in use is triggered does not change", "interrupt line %lu is bound, or the hypervisor's", "xen/physdev.h") \
    RULE(CP_014, PIRQ_TYPE_UNKNOWN, EINVAL, "an unknown kind of interrupt changes nothing", "map_pirq of type %lu", "xen/physdev.h") \
    RULE(CP_016, PIRQ_OTHER_NUMBER, EINVAL, "a line's interrupt has the line's number", "interrupt line %lu as physical interrupt %lu", "xen/physdev.h") \
    RULE(CP_017, PIRQ_OF_OTHER, ESRCH, "a domain maps its own interrupts", "physical interrupts of domain %lu", "xen/physdev.h") \
    RULE(CP_022, PCI_DEVICE_MISSING, ENODEV, "a device exists", "there is no PCI device %lx", "xen/physdev.h") \
    RULE(CP_023, PCI_SEGMENT_MISSING, ENODEV, "a device exists", "there is no PCI segment %lx", "xen/physdev.h") \
    RULE(CP_024, PCI_CAPABILITY_MISSING, ENODEV, "a device can send what is mapped", "PCI device %lx has no capability %lx", "xen/physdev.h") \
    RULE(CP_025, MESSAGE_ENTRY_RANGE, EINVAL, "a table ends", "entry %lu of the messages of PCI device %lx, which has %lu", "xen/physdev.h") \
    RULE(CP_026, MESSAGE_TAKEN, EEXIST, "a message is one interrupt", "entry %lu of the messages of PCI device %lx is mapped already", "xen/physdev.h") \
    RULE(CP_027, MESSAGE_OTHER_KIND, EBUSY, "a device sends messages in one way", "PCI device %lx has messages of the other kind mapped", "xen/physdev.h") \
    RULE(CP_028, MESSAGE_TABLE_NOWHERE, ENXIO, "a table of messages lies in device memory", "the table of messages of PCI device %lx would be at %lx", "xen/physdev.h") \
    RULE(CP_029, MESSAGE_INDEX, EINVAL, "whoever maps a message does not choose its vector", "message as interrupt %lu of the hypervisor's", "xen/physdev.h") \
    RULE(CP_030, MESSAGES_WITH_TABLE, EINVAL, "messages in a row have no table", "several messages with a table at %lx", "xen/physdev.h") \
    RULE(CP_031, MESSAGES_COUNT, EDOM, "a device has 1 to 32 messages without a table", "%ld messages at once", "xen/physdev.h") \
    RULE(CP_032, MESSAGES_TOGETHER, EOPNOTSUPP, "messages are mapped one by one", "%lu messages at once", "xen/physdev.h") \
    RULE(CP_033, PIRQS_EXHAUSTED, ENOSPC, "messages are as many as their vectors", "all %lu messages are mapped", "xen/physdev.h") \
    RULE(CP_034, PIRQ_NO_MESSAGE, EINVAL, "messages have the highest numbers", "physical interrupt %lu cannot be a message", "xen/physdev.h") \
    RULE(CP_035, PIRQ_TAKEN, EEXIST, "a number is one interrupt", "physical interrupt %lu is mapped", "xen/physdev.h") \
    RULE(CP_036, PCI_DEVICE_BUSY, EBUSY, "a device that goes sends nothing", "PCI device %lx has messages mapped", "xen/physdev.h") \
    RULE(CP_037, PCI_FLAGS_UNKNOWN, EINVAL, "unknown flags change nothing", "flags %lx of PCI configuration space in memory", "xen/physdev.h") \
    RULE(CP_038, PCI_ECAM_MISSING, ENODEV, "PCI configuration space is where the firmware says", "none in memory for PCI segment %lx, buses %lx to %lx", "xen/physdev.h") \
    RULE(CP_039, PCI_ECAM_ELSEWHERE, EIO, "PCI configuration space is where the firmware says", "not at %lx in memory, it is at %lx", "xen/physdev.h") \
    RULE(CP_040, EOI_MAP_FRAME, EINVAL, "the hypervisor writes into a domain's own memory", "frame %lx cannot be written as the caller's", "xen/physdev.h") \
    RULE(CP_041, EOI_MAP_SET, EBUSY, "the page of interrupts that want their EOI stays", "frame %lx would be a second page", "xen/physdev.h") \
    RULE(CP_042, IOAPIC_MISSING, EINVAL, "registers exist", "IO-APIC at %lx, register %lx", "xen/physdev.h") \
    RULE(CP_043, MESSAGES_SHARE, ENOSPC, "domains with the hardware role share the messages", "the domain has its share of the messages, %lu", "xen/physdev.h") \
    RULE(CP_044, PIRQ_STILL_BOUND, EBUSY, "an interrupt that signals a port stays mapped", "physical interrupt %lu is bound to a port of the caller's", "xen/physdev.h") \
    RULE(CP_020, CONTEXT_NOT_CANONICAL, EINVAL, "a vCPU starts with addresses that exist", "vCPU context: %lx is not canonical", "xen/arch-x86/xen.h") \
    RULE(CP_021, CONTEXT_WITHOUT_USER_ROOT, EINVAL, "user mode needs page tables", "vCPU context starts in user mode without a user base pointer", "xen/arch-x86/xen.h")

/* Event channels, scheduling, vCPUs, timers. */
#define RULE_LIST_EVENTS(RULE)                                                                     \
    RULE(EV_001, EVTCHN_DOMAIN_MISSING, ESRCH, "a channel has two ends that exist", "domain %lu does not exist", "xen/event_channel.h") \
    RULE(EV_002, EVTCHN_DOMAIN_NOT_ALLOWED, EPERM, "a domain manages its own ports only", "domain %lu is not the caller, and the caller has no control role", "xen/event_channel.h") \
    RULE(EV_003, PORTS_EXHAUSTED, ENOSPC, "the port space is bounded", "no free event-channel port among %lu", "xen/event_channel.h") \
    RULE(EV_004, PORTS_NO_MEMORY, ENOMEM, "ports take memory as they are used", "out of memory for event-channel ports", "xen/event_channel.h") \
    RULE(EV_005, DOMAIN_DYING, EINVAL, "a dying domain gets no new ports", "the domain is dying", "xen/event_channel.h") \
    RULE(EV_006, PORT_MISSING, EINVAL, "an operation names a port that exists", "port %lu does not exist", "xen/event_channel.h") \
    RULE(EV_007, PORT_NOT_OFFERED, EINVAL, "only a port offered to the caller can be bound", "port %lu of domain %lu is not unbound, or not meant for the caller", "xen/event_channel.h") \
    RULE(EV_008, VIRQ_UNKNOWN, EINVAL, "virtual interrupts are numbered 0 to 23", "VIRQ %lu does not exist", "xen/event_channel.h") \
    RULE(EV_009, VIRQ_GLOBAL, EINVAL, "a global VIRQ is bound through vCPU 0", "VIRQ %lu is global and cannot be bound to vCPU %lu", "xen/event_channel.h") \
    RULE(EV_010, EVTCHN_VCPU_MISSING, ENOENT, "events go to a vCPU that exists", "vCPU %lu does not exist", "xen/event_channel.h") \
    RULE(EV_011, VIRQ_BOUND_ALREADY, EEXIST, "a VIRQ has one port", "VIRQ %lu of vCPU %lu is bound already, to port %lu", "xen/event_channel.h") \
    RULE(EV_012, PIRQ_UNKNOWN, EINVAL, "physical interrupts are numbered", "physical interrupt %lu does not exist", "xen/event_channel.h") \
    RULE(EV_013, PIRQ_BIND_NOT_ALLOWED, EPERM, "physical interrupts belong to the hardware domain", "physical interrupt %lu is not the caller's", "xen/event_channel.h") \
    RULE(EV_029, PIRQ_NOT_MAPPED, EPERM, "an interrupt is mapped before it is bound", "physical interrupt %lu is not mapped", "xen/physdev.h") \
    RULE(EV_030, PIRQ_BOUND, EEXIST, "an interrupt has one port", "physical interrupt %lu is bound already", "xen/event_channel.h") \
    RULE(EV_031, PIRQ_BUSY, EBUSY, "nobody takes another's interrupts", "physical interrupt %lu is another's, or the hypervisor's", "xen/event_channel.h") \
    RULE(EV_014, PORT_NOT_OPEN, EINVAL, "only an open port is closed", "port %lu is not open", "xen/event_channel.h") \
    RULE(EV_015, PORT_CANNOT_SEND, EINVAL, "only a sending end is sent through", "port %lu is not interdomain, IPI or unbound", "xen/event_channel.h") \
    RULE(EV_016, PORT_CANNOT_MOVE, EINVAL, "per-vCPU VIRQs and IPIs stay on their vCPU", "port %lu cannot be moved to another vCPU", "xen/event_channel.h") \
    RULE(EV_017, RESET_DOMAIN_NOT_PAUSED, EINVAL, "another domain is reset only while it is paused", "domain %lu is not paused", "xen/event_channel.h") \
    RULE(EV_018, PRIORITY_ON_2LEVEL, ENOSYS, "priorities belong to FIFO event channels", "set_priority of port %lu on 2-level event channels", "xen/event_channel.h") \
    RULE(EV_019, EXPAND_ON_2LEVEL, EOPNOTSUPP, "an event array belongs to FIFO event channels", "expand_array on 2-level event channels", "xen/event_channel.h") \
    RULE(EV_020, EVTCHN_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "event_channel_op %lu is not served", "xen/event_channel.h") \
    RULE(EV_021, CONTROL_BLOCK_OFFSET, EINVAL, "a control block lies within one page, 8-aligned", "control block at offset %lu of its page", "xen/event_channel.h") \
    RULE(EV_022, CONTROL_BLOCK_SET_ALREADY, EINVAL, "a vCPU has one control block", "vCPU %lu has a control block already", "xen/event_channel.h") \
    RULE(EV_023, QUEUE_FRAME_UNFIT, EINVAL, "event queues lie in frames that the domain owns and may write", "frame %lx is not the domain's, or cannot be writable", "xen/event_channel.h") \
    RULE(EV_024, QUEUES_NO_MEMORY, ENOMEM, "the hypervisor keeps the tails of the queues itself", "out of memory for event queues", "xen/event_channel.h") \
    RULE(EV_025, EVENT_ARRAY_COMPLETE, ENOSPC, "an event array has 131072 words", "the event array is complete", "xen/event_channel.h") \
    RULE(EV_026, PRIORITY_RANGE, EINVAL, "priorities are 0 to 15", "priority %lu", "xen/event_channel.h") \
    RULE(EV_027, PRIORITY_PORT_NOT_OPEN, EACCES, "only an open port has a priority", "port %lu is not open", "xen/event_channel.h") \
    RULE(EV_028, RESET_DISTURBED, EAGAIN, "a domain that opens ports is not reset", "another vCPU opened a port during the reset", "xen/event_channel.h") \
    RULE(SC_001, SCHED_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "sched_op %lu is not served", "xen/sched.h") \
    RULE(SC_002, POLL_TOO_MANY, EINVAL, "a poll names at most 128 ports", "poll on %lu ports", "xen/sched.h") \
    RULE(SC_003, POLL_PORT_MISSING, EINVAL, "only ports that exist are polled", "poll on port %lu, which does not exist", "xen/sched.h") \
    RULE(SC_004, WATCHDOG_MISSING, EINVAL, "a domain has two watchdogs", "watchdog %lu does not exist", "xen/sched.h") \
    RULE(SC_005, WATCHDOGS_IN_USE, ENOSPC, "a domain has two watchdogs", "both watchdogs are in use", "xen/sched.h") \
    RULE(SC_006, WATCHDOG_NOT_STARTED, EINVAL, "only a started watchdog is set or stopped", "watchdog %lu is not started", "xen/sched.h") \
    RULE(SC_007, SHUTDOWN_DOMAIN_MISSING, ESRCH, "a domain to shut down exists", "domain %lu does not exist", "xen/sched.h") \
    RULE(SC_008, SHUTDOWN_NOT_ALLOWED, EPERM, "a domain shuts down itself only", "shutting down domain %lu needs the control role", "xen/sched.h") \
    RULE(SC_009, PIN_OVERRIDE_NOT_ALLOWED, EPERM, "physical CPUs are chosen by the hardware domain", "pin_override needs the hardware role", "xen/sched.h") \
    RULE(SC_010, PIN_CPU_OFFLINE, EINVAL, "a vCPU is pinned to a CPU that is there", "physical CPU %lu is not online", "xen/sched.h") \
    RULE(VC_001, VCPU_MISSING, ENOENT, "an operation names a vCPU that exists", "vCPU %lu does not exist", "xen/vcpu.h") \
    RULE(VC_002, VCPU_INITIALISED_ALREADY, EEXIST, "a vCPU is initialised once", "vCPU %lu is initialised already", "xen/vcpu.h") \
    RULE(VC_003, VCPU_INFO_MISSING, EINVAL, "a vCPU above 31 has no vcpu_info until one is registered", "vCPU %lu has no vcpu_info", "xen/vcpu.h") \
    RULE(VC_004, VCPU_NOT_INITIALISED, EINVAL, "a vCPU needs registers before it runs", "vCPU %lu is not initialised", "xen/vcpu.h") \
    RULE(VC_005, TIMER_PERIOD_RANGE, EINVAL, "a timer period is at least one millisecond, and less than 2^62 nanoseconds", "period of %lu ns", "xen/vcpu.h") \
    RULE(VC_006, TIMER_OF_OTHER_VCPU, EINVAL, "a one-shot timer is set by the vCPU itself", "vCPU %lu is not the caller", "xen/vcpu.h") \
    RULE(VC_007, VCPU_INFO_OFFSET, ENXIO, "a vcpu_info lies within one page, 8-aligned", "vcpu_info at offset %lu of its page", "XSA-327") \
    RULE(VC_008, CONTEXT_NO_MEMORY, ENOMEM, "a context is copied before it is checked", "out of memory for a vCPU context", "xen/vcpu.h") \
    RULE(VC_009, VCPU_INFO_SET_ALREADY, EINVAL, "a vcpu_info moves once", "the vcpu_info of vCPU %lu is registered already", "xen/vcpu.h") \
    RULE(VC_010, NMI_WITH_ARGUMENT, EINVAL, "an NMI takes no argument", "NMI with argument %lx", "xen/vcpu.h") \
    RULE(VC_011, VCPU_INFO_OF_RUNNING_VCPU, EINVAL, "the vcpu_info of a running vCPU is moved by itself", "vCPU %lu is another one, and not down", "xen/vcpu.h") \
    RULE(VC_012, VCPU_INFO_FRAME_UNFIT, EINVAL, "a vcpu_info lies in a frame that the domain owns and may write", "frame %lx is not the domain's, or cannot be writable", "xen/vcpu.h") \
    RULE(VC_013, VCPU_NOT_PINNED, EINVAL, "physical CPU numbers are for pinned vCPUs of the hardware domain", "vCPU %lu is not pinned", "xen/vcpu.h") \
    RULE(VC_014, VCPU_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "vcpu_op %lu is not served", "xen/vcpu.h")

/* memory_op, grants, what needs a role. */
#define RULE_LIST_MEMORY(RULE)                                                                      \
    RULE(PR_002, INTERFACE_VERSION_OTHER, EACCES, "a caller of another interface version would be misunderstood", "hypercall %lu: interface version %lx, the hypervisor has %lx", "xen/domctl.h") \
    RULE(PR_003, CONTROL_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "hypercall %lu sub-operation %lu is not served", "xen/domctl.h") \
    RULE(PR_004, RESERVED_FIELD_SET, EINVAL, "fields that must be zero are", "settime64: mbz is %lx", "xen/platform.h") \
    RULE(PR_005, FIRMWARE_INFO_MISSING, ESRCH, "what the firmware did not leave cannot be told", "no firmware information of type %lu", "xen/platform.h") \
    RULE(PR_006, MCA_OP_UNKNOWN, EINVAL, "errors are told in the one way that was agreed", "mca sub-operation %lu is not served, or not with these flags", "xen/arch-x86/xen-mca.h") \
    RULE(ME_001, START_EXTENT_WITHOUT_LIST, EINVAL, "only lists are continued", "memory_op that takes no list, started at extent %lu", "xen/memory.h") \
    RULE(ME_002, MEMORY_DOMAIN_MISSING, ESRCH, "memory belongs to a domain that exists", "domain %lu does not exist", "xen/memory.h") \
    RULE(ME_003, MEMORY_DOMAIN_NOT_ALLOWED, EPERM, "a domain manages its own memory only", "memory of domain %lu is not the caller's, and the caller has no control role", "xen/memory.h") \
    RULE(ME_004, NO_MAP_FOR_HARDWARE_DOMAIN, ENOSYS, "the hardware domain sees the machine as it is", "there is no pseudo-physical map for the hardware domain: ask for the machine's", "xen/memory.h") \
    RULE(ME_005, MAP_NO_ROOM, EINVAL, "a map is given whole", "the machine memory map has more than %lu entries", "xen/memory.h") \
    RULE(ME_006, MEMORY_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "memory_op %lu is not served", "xen/memory.h") \
    RULE(ME_007, NO_VIRTUAL_NUMA, EOPNOTSUPP, "there is one memory node", "a virtual NUMA topology is asked for", "xen/memory.h") \
    RULE(ME_008, MAP_TOO_LONG, EINVAL, "a memory map is bounded", "a memory map of %lu entries, at most %lu", "xen/memory.h") \
    RULE(ME_009, MAP_NO_MEMORY, ENOMEM, "a memory map needs memory", "no memory for a map of %lu entries", "xen/memory.h") \
    RULE(ME_010, DOMAIN_MEMORY_LIMIT, 0, "a domain grows to its maximum, and only as far as there is memory", "no block of order %lu: the domain has %lu of at most %lu frames, or memory is short", "xen/memory.h") \
    RULE(ME_011, ADDRESS_LIMIT_UNMET, 0, "frames for devices lie below what they can address", "no frame below 2^%lu could be found", "xen/memory.h") \
    RULE(ME_012, RELEASE_FRAME_NOT_OWNED, 0, "only a domain's own frames can be given back", "frame %lx is not the domain's RAM", "xen/memory.h") \
    RULE(ME_013, ADDRESS_BITS_RANGE, EINVAL, "addresses of frames have more than 12 bits", "frames limited to %lu address bits", "xen/memory.h") \
    RULE(ME_014, EXTENT_ORDER_NOT_ALLOWED, 0, "large extents are for domains with devices", "extents of order %lu, at most %lu is allowed", "XSA-31") \
    RULE(ME_015, EXTENT_LIST_ADDRESS, 0, "a list lies in the guest's own addresses", "list at %lx of %lu extents reaches the hypervisor, or wraps", "XSA-29") \
    RULE(ME_016, EXCHANGE_FRAME_IN_USE, EINVAL, "only a frame that nothing refers to can be exchanged", "frame %lx is not the domain's, or is mapped, pinned or in use", "xen/memory.h") \
    RULE(ME_017, EXCHANGE_NO_MEMORY, ENOMEM, "an exchange needs new frames before it gives up the old ones", "no block of order %lu (address bits %lu)", "xen/memory.h") \
    RULE(ME_018, EXCHANGE_ORDER_NOT_ALLOWED, EPERM, "large extents are for domains with devices", "exchange of extents of order %lu, at most %lu is allowed", "XSA-31") \
    RULE(ME_019, EXCHANGE_UNEVEN, EINVAL, "an exchange gives as many frames as it takes", "exchange of %lu extents for %lu of another size, %lu done", "XSA-29") \
    RULE(ME_022, CLAIMED_ALREADY, EINVAL, "a domain has one claim at a time", "%lu frames are claimed for the domain already", "xen/memory.h") \
    RULE(ME_023, CLAIM_RANGE, EINVAL, "a claim is for more than a domain has, and no more than it may have", "%lu frames for a domain that has %lu of at most %lu", "xen/memory.h") \
    RULE(ME_024, CLAIM_NO_MEMORY, ENOMEM, "what is claimed is there", "%lu frames are not free", "xen/memory.h") \
    RULE(ME_025, CLAIM_OF_EXTENTS, EINVAL, "a claim counts single frames", "a claim of extents of order %lu, flags %lx", "xen/memory.h") \
    RULE(ME_026, CLAIM_DOMAIN_MISSING, EINVAL, "memory belongs to a domain that exists", "a claim for domain %lu, which does not exist", "xen/memory.h") \
    RULE(ME_027, RESOURCE_UNKNOWN, EOPNOTSUPP, "a resource that is named exists", "no resource of type %lu", "xen/memory.h") \
    RULE(ME_028, RESOURCE_RANGE, EINVAL, "a resource has no more frames than its limit", "frames from %lu on, %lu of them, of at most %lu", "xen/memory.h") \
    RULE(ME_029, RESOURCE_FRAME_MISSING, EINVAL, "a grant table has frames of its own version", "frame %lu of the resource does not exist, and cannot be made", "xen/memory.h") \
    RULE(ME_032, RESOURCE_PART_UNKNOWN, EINVAL, "a resource that is named exists", "no part %lu of a grant table", "xen/memory.h") \
    RULE(ME_030, RESOURCE_PAD, EINVAL, "fields that must be zero are", "acquire_resource: pad is %lx", "xen/memory.h") \
    RULE(ME_031, RESOURCE_OF_SELF, EPERM, "a domain has its own frames by other ways", "a resource of the caller's own", "xen/memory.h") \
    RULE(ME_033, NOT_TRANSLATED, EACCES, "no guest's frame numbers are translated", "domain %lu uses machine frames itself", "xen/memory.h") \
    RULE(ME_020, VM_ASSIST_TYPE_UNKNOWN, EINVAL, "an unknown assistance changes nothing", "vm_assist type %lu does not exist", "xen/xen.h") \
    RULE(ME_021, VM_ASSIST_COMMAND_UNKNOWN, ENOSYS, "an unknown command changes nothing", "vm_assist command %lu is not served", "xen/xen.h") \
    RULE(GT_001, GRANT_COUNT, EINVAL, "a count is what the operation says", "grant_table_op with count %lu", "xen/grant_table.h") \
    RULE(GT_002, GRANT_OP_UNKNOWN, ENOSYS, "an unknown operation changes nothing", "grant_table_op %lu is not served", "xen/grant_table.h") \
    RULE(GT_003, GRANT_DOMAIN_NOT_ALLOWED, EPERM, "a domain manages its own grant table only", "grant table of domain %lu is not the caller's, and the caller has no control role", "xen/grant_table.h") \
    RULE(GT_004, GRANT_FRAMES_LIMIT, 0, "a grant table is limited", "%lu grant frames, at most %lu (or memory is short)", "xen/grant_table.h") \
    RULE(GT_006, GRANT_VERSION_UNKNOWN, EINVAL, "grant table versions are 1 and 2", "grant table version %lu", "xen/grant_table.h") \
    RULE(GT_005, GRANT_VERSION_LIMIT, ENOSYS, "a domain has the grant table versions that were said when it was made", "grant tables of this domain have versions up to %lu", "xen/domctl.h") \
    RULE(GT_007, GRANT_DOMAIN_MISSING, ESRCH, "a grant table belongs to a domain that exists", "domain %lu does not exist", "xen/grant_table.h") \
    RULE(GT_008, GRANT_TRANSFER, ENOSYS, "frames change hands by memory_op only", "transfer of frames is not served", "xen/grant_table.h") \
    RULE(GT_009, GRANT_CONTINUATION, EINVAL, "the upper bits of the command are Xen's own", "grant_table_op command %lx: bits from 20 on must be 0", "xen/grant_table.h") \
    RULE(GT_010, GRANT_TABLE_MISSING, 0, "a grant table belongs to a domain that exists", "domain %lu has no grant table", "xen/grant_table.h") \
    RULE(GT_011, GRANT_LIST_UNWRITABLE, 0, "frame numbers go where the guest can have them", "the list at %lx cannot be written", "xen/grant_table.h") \
    RULE(GT_012, GRANT_STATUS_FRAMES, 0, "status frames are those of a table of version 2", "%lu status frames asked for, there are %lu", "xen/grant_table.h") \
    RULE(GT_013, GRANT_TABLE_IN_USE, EBUSY, "an entry that is mapped keeps its meaning", "a table of version %lu with %lu entries in use cannot change it", "xen/grant_table.h") \
    RULE(GT_014, GRANT_ENTRY_NOT_VERSION_1, ERANGE, "nothing is lost by going back to version 1", "reserved entry %lu, flags %lx, frame %lx: version 1 cannot say that", "xen/grant_table.h") \
    RULE(GT_015, GRANT_STATUS_MAPPED, EBUSY, "status frames go when nobody maps them", "a status frame is still mapped", "xen/grant_table.h") \
    RULE(GT_016, GRANT_STATUS_NO_MEMORY, ENOMEM, "version 2 needs frames for the status", "no memory for status frames", "xen/grant_table.h") \
    RULE(GT_017, GRANT_REF_RANGE, 0, "a reference is an index into the granter's table", "grant reference %lu, the table has %lu", "xen/grant_table.h") \
    RULE(GT_018, GRANT_NOT_PERMITTED, 0, "a frame is used by whom it was granted to", "grant reference %lu has flags %lx and names domain %lu", "xen/grant_table.h") \
    RULE(GT_019, GRANT_READ_ONLY, 0, "what was granted for reading is not written to", "grant reference %lu is read-only", "xen/grant_table.h") \
    RULE(GT_020, GRANT_ENTRY_UNSTABLE, 0, "nobody waits for a guest that keeps changing its entry", "grant reference %lu changes all the time", "xen/grant_table.h") \
    RULE(GT_021, GRANT_PINNED_OTHERWISE, 0, "an entry has one user at a time, and counts that end", "grant reference %lu is in use by domain %lu, counts %08lx", "xen/grant_table.h") \
    RULE(GT_022, GRANT_FRAME_NOT_GRANTERS, 0, "a domain grants its own frames", "frame or reference %lx: the frame is not the granter's", "xen/grant_table.h") \
    RULE(GT_023, GRANT_NO_MEMORY, 0, "what is in use is written down", "no memory to note that grant reference %lu is in use", "xen/grant_table.h") \
    RULE(GT_024, GRANT_MAP_FLAGS, 0, "a mapping is for the CPU, for devices, or both", "mapping with flags %lx", "xen/grant_table.h") \
    RULE(GT_025, GRANT_GRANTER_MISSING, 0, "a grant is of a domain that exists", "domain %lu does not exist", "xen/grant_table.h") \
    RULE(GT_026, GRANT_NO_HANDLE, 0, "the number of mappings is limited", "all handles are in use (%lu frames of them, or memory is short)", "xen/grant_table.h") \
    RULE(GT_027, GRANT_NO_SLOT, 0, "a grant is mapped by an entry of the caller's own L1 tables", "no L1 entry at %lx (flags %lx)", "xen/grant_table.h") \
    RULE(GT_028, GRANT_ROLE_CONFLICT, 0, "a page table is never writable", "frame %lx cannot be written to: it is %lu", "xen/grant_table.h") \
    RULE(GT_029, GRANT_HANDLE_BAD, 0, "one handle is unmapped once", "handle %lu is not in use, or just being unmapped", "xen/grant_table.h") \
    RULE(GT_030, GRANT_DEVICE_ADDRESS, 0, "a device mapping is named by its address", "device address %lx, the frame is %lx", "xen/grant_table.h") \
    RULE(GT_031, GRANT_NOT_MAPPED_THERE, 0, "what is unmapped is the mapping itself, with its rights", "the entry at %lx does not map frame %lx as the handle says", "xen/grant_table.h") \
    RULE(GT_032, GRANT_REPLACE_BY_PTE, 0, "a mapping is replaced where it has an address", "handle %lu was mapped by its entry's address", "xen/grant_table.h") \
    RULE(GT_033, GRANT_COPY_FRAME_NOT_SELF, 0, "others' frames are named by references", "a frame of domain %lu, %lu named by number", "xen/grant_table.h") \
    RULE(GT_034, GRANT_COPY_BOUNDS, 0, "a copy stays within its frames", "copy from offset %lu to offset %lu, %lu bytes", "xen/grant_table.h") \
    RULE(GT_035, GRANT_COPY_PART, 0, "a copy stays within the part that was granted", "copy from offset %lu to offset %lu, %lu bytes: not granted", "xen/grant_table.h") \
    RULE(GT_036, GRANT_SWAP_IN_USE, 0, "an entry that is in use keeps its place", "grant reference %lu is in use", "xen/grant_table.h") \
    RULE(GT_037, GRANT_CACHE_RANGE, EINVAL, "a range is within one frame of memory", "offset %lu, length %lu, operation %lx", "xen/grant_table.h") \
    RULE(GT_038, GRANT_CACHE_FRAME, EPERM, "caches are flushed of what is one's own", "frame %lx is not the caller's", "xen/grant_table.h") \
    RULE(GT_039, GRANT_CACHE_INVALIDATE, EOPNOTSUPP, "on x86 nothing in a cache is forgotten", "invalidation alone is not supported", "xen/grant_table.h")

/* A kernel image: the tool's and the builder's verdict is "image". */
#define RULE_LIST_IMAGE(RULE) \
    RULE(IM_001, IMAGE_NOT_ELF, 0, "a kernel is an ELF image", "the kernel is not an ELF image (its first bytes are %lx, it has %lu bytes): give an uncompressed x86-64 ELF file", "xen/elfnote.h") \
    RULE(IM_002, IMAGE_IS_BZIMAGE, 0, "a kernel is an ELF image", "the kernel is a Linux bzImage: start it with `paravane run`, which unpacks it, or give the vmlinux that is packed inside", "xen/elfnote.h") \
    RULE(IM_003, IMAGE_32_BIT, 0, "guests run in 64-bit mode", "the kernel is a 32-bit ELF image: 32-bit PV guests are not supported, build it for x86-64", "xen/elfnote.h") \
    RULE(IM_004, IMAGE_OTHER_MACHINE, 0, "guests run on x86-64", "the kernel is not for x86-64 (ELF class %lu, byte order %lu, machine %lu): build it for x86-64", "xen/elfnote.h") \
    RULE(IM_005, IMAGE_HEADERS_OUTSIDE, 0, "headers lie inside the file", "the %lu program headers at offset %lx lie outside the file of %lu bytes: the file is cut short or damaged", "xen/elfnote.h") \
    RULE(IM_006, IMAGE_SEGMENT_OUTSIDE, 0, "segments lie inside the file", "segment %lu (offset %lx, %lx bytes) lies outside the file, or is larger there than in memory: the file is cut short or damaged", "xen/elfnote.h") \
    RULE(IM_007, IMAGE_SEGMENT_ADDRESS, 0, "segments lie in the domain's memory", "segment %lu at physical address %lx of %lx bytes cannot lie in a domain's memory: check its p_paddr and the note PADDR_OFFSET", "xen/elfnote.h") \
    RULE(IM_008, IMAGE_NOTHING_TO_LOAD, 0, "there is something to run", "the kernel has no loadable segment: link it as an executable", "xen/elfnote.h") \
    RULE(IM_009, IMAGE_WITHOUT_NOTES, 0, "a guest says that it is one", "the kernel has no Xen ELF notes and no section __xen_guest: it was not built as a PV guest (Linux: CONFIG_XEN_PV=y)", "xen/elfnote.h") \
    RULE(IM_010, IMAGE_OTHER_INTERFACE, 0, "a guest names the interface that it speaks", "the note XEN_VERSION is missing, or is not \"xen-3.0\": only this interface is spoken", "xen/elfnote.h") \
    RULE(IM_011, IMAGE_ENTRY_OUTSIDE, 0, "the first instruction is in the image", "the entry point %lx lies outside the image, %lx to %lx: check the note ENTRY", "xen/elfnote.h") \
    RULE(IM_012, IMAGE_VIRT_BASE, 0, "the image lies in the guest's own addresses", "VIRT_BASE %lx with %lx bytes is not page-aligned, or reaches the hypervisor's addresses or past the end", "xen/elfnote.h") \
    RULE(IM_013, IMAGE_HYPERCALL_PAGE, 0, "the hypercall page is a page of the image", "the hypercall page at %lx is not a page of the image, %lx to %lx: check the note HYPERCALL_PAGE", "xen/elfnote.h") \
    RULE(IM_014, IMAGE_INIT_P2M, 0, "the p2m list has addresses of its own", "INIT_P2M %lx is not page-aligned, overlaps the image, or reaches the hypervisor's addresses", "xen/elfnote.h") \
    RULE(IM_015, IMAGE_NOTE_LENGTH, 0, "numbers in notes have 1, 2, 4 or 8 bytes", "note %lu is not a number: it has %lu bytes", "xen/elfnote.h") \
    RULE(IM_016, IMAGE_OFFSET_WITHOUT_BASE, 0, "an offset needs a base", "PADDR_OFFSET %lx without VIRT_BASE: give both notes or neither", "xen/elfnote.h") \
    RULE(IM_017, IMAGE_AUTO_TRANSLATED, 0, "guests manage machine frames themselves", "the kernel demands the feature auto_translated_physmap, which is for another kind of guest: build it for PV", "xen/features.h") \
    RULE(IM_018, IMAGE_SEGMENTS_OVERLAP, 0, "every byte of the image is loaded once", "the segments overlap: %lx bytes in all between %lx and %lx: link the kernel anew", "xen/elfnote.h") \
    RULE(IM_019, IMAGE_NOTES_OVERLAP, 0, "every note is read once", "the notes of the file of %lu bytes overlap: the file is damaged", "xen/elfnote.h") \
    RULE(IM_022, FIRST_TABLES_REFUSED, 0, "the first page tables keep to the rules", "the first page tables were refused (error %lu): this is a bug of the hypervisor", "xen/xen.h") \
    RULE(IM_024, IMAGE_WORD_NOT_A_NUMBER, 0, "numbers in __xen_guest are numbers", "word %lu of the section __xen_guest should have a number as its value, of at most 64 bits", "xen/elfnote.h")

/* Too little memory for a domain. */
#define RULE_LIST_ROOM(RULE) \
    RULE(IM_020, DOMAIN_MEMORY_TOO_SMALL, 0, "a domain holds its kernel, ramdisk and first page tables", "too little memory for the domain: kernel, ramdisk and first page tables need %lu KiB, it has %lu: give it more", "xen/xen.h") \
    RULE(IM_021, MACHINE_MEMORY_SHORT, 0, "memory is given once", "too little memory in the machine: the domain wants %lu KiB, only %lu could be had: give the machine more or the domain less", "xen/xen.h") \
    RULE(IM_023, STRUCTURES_NO_MEMORY, 0, "a domain needs structures of the hypervisor", "too little memory in the machine for the structures of a domain with %lu vCPUs, or its number is taken", "xen/xen.h")

/* What is to be booted: modules and the device tree. */
#define RULE_LIST_TREE(RULE) \
    RULE(IM_030, BOOT_NO_MODULE, 0, "there is something to boot", "no module: give a guest kernel, or a device tree, as the first multiboot module (QEMU: -initrd \"KERNEL args\")", "hyperlaunch.md") \
    RULE(IM_032, TREE_MALFORMED, 0, "a device tree is well formed", "the device tree of %lu bytes is malformed: make it with dtc or `paravane run`", "hyperlaunch.md") \
    RULE(IM_033, TREE_WITHOUT_DOMAINS_NODE, 0, "a device tree describes domains", "the device tree has no node /chosen/hypervisor with compatible \"hypervisor,xen\"", "hyperlaunch.md") \
    RULE(IM_034, PROPERTY_LENGTH, 0, "a property has its type's length", "the property has %lu bytes, should have %lu", "hyperlaunch.md") \
    RULE(IM_035, PROPERTY_NOT_A_STRING, 0, "a string ends in a zero byte", "the property is not one terminated string", "hyperlaunch.md") \
    RULE(IM_036, PROPERTY_RANGE, 0, "a value is in its range", "the value is %lu, should be from %lu to %lu", "hyperlaunch.md") \
    RULE(IM_037, PROPERTY_MISSING, 0, "required properties are there", "the property is required", "hyperlaunch.md") \
    RULE(IM_038, MODULE_MISSING, 0, "a module was loaded", "there is no module %lu: the loader gave %lu, of which number 0 is the tree", "hyperlaunch.md") \
    RULE(IM_039, KERNEL_MISSING, 0, "a domain has a kernel", "the domain has no kernel: add a node compatible with \"module,kernel\"", "hyperlaunch.md") \
    RULE(IM_040, KERNEL_TWICE, 0, "a domain has one kernel and one ramdisk", "the domain has a second kernel or ramdisk", "hyperlaunch.md") \
    RULE(IM_041, DOMID_TWICE, 0, "a number names one domain", "domain number %lu is used twice", "hyperlaunch.md") \
    RULE(IM_042, TREE_WITHOUT_DOMAIN, 0, "there is something to boot", "no child node is compatible with \"xen,domain\"", "hyperlaunch.md") \
    RULE(IM_043, DOMAINS_TOO_MANY, 0, "the hypervisor starts a limited number of domains", "more than %lu domains", "hyperlaunch.md") \
    RULE(IM_044, PROPERTY_WORD_UNKNOWN, 0, "words are those of the binding", "the word is not known", "hyperlaunch.md") \
    RULE(IM_045, PROPERTY_TOO_LONG, 0, "a string fits", "the string has %lu characters, at most %lu fit", "hyperlaunch.md") \
    RULE(IM_046, CONSOLE_DOMAIN_MISSING, 0, "the console belongs to a domain that exists", "there is no domain %lu", "hyperlaunch.md")

/* The store that the hypervisor serves: errnos go over the ring by name; with 0 there is no reply. */
#define RULE_LIST_STORE(RULE)                                                                      \
    RULE(XS_001, STORE_RING_BROKEN, 0, "a ring holds at most 1024 bytes each way", "xenstore ring with %lu bytes of requests and %lu of replies: not served any more", "xen/io/xs_wire.h") \
    RULE(XS_002, STORE_MESSAGE_TOO_LONG, 0, "a message has at most 4096 bytes", "xenstore message of %lu bytes: the ring is not served any more", "xen/io/xs_wire.h") \
    RULE(XS_003, STORE_STRINGS_WRONG, EINVAL, "a message has the strings of its type", "xenstore message type %lu with %lu bytes has other strings than it should", "xen/io/xs_wire.h") \
    RULE(XS_004, STORE_PATH_WRONG, EINVAL, "a path is made of names", "xenstore path of %lu bytes: wrong characters, too long, more than 16 names, or the root", "xen/io/xs_wire.h") \
    RULE(XS_005, STORE_PERMISSION, EACCES, "a guest does what a node's permissions allow", "xenstore message type %lu: the node's permissions, or the guest's role, forbid it", "xen/io/xs_wire.h") \
    RULE(XS_006, STORE_QUOTA, ENOSPC, "a guest's store is bounded", "xenstore: a node, a watch, a transaction or a permission too many (%lu)", "hypercall-abi/manual.md") \
    RULE(XS_007, STORE_WATCHES_TOO_MANY, E2BIG, "a guest's watches are bounded", "xenstore: more than %lu watches", "hypercall-abi/manual.md") \
    RULE(XS_008, STORE_REPLY_TOO_LONG, E2BIG, "a reply has at most 4096 bytes", "xenstore directory of %lu bytes", "xen/io/xs_wire.h") \
    RULE(XS_009, STORE_EVENT_LOST, 0, "a guest's store is bounded", "xenstore: no room for a watch event (%lu bytes are in use), it is lost", "hypercall-abi/manual.md") \
    RULE(XS_010, STORE_MESSAGE_UNKNOWN, ENOSYS, "an unknown message changes nothing", "xenstore message type %lu is not served", "xen/io/xs_wire.h")

/* domctl and sysctl, for who has the role. */
#define RULE_LIST_CONTROL(RULE)                                                                    \
    RULE(CT_001, CONTROL_DOMAIN_MISSING, ESRCH, "a domain that is named exists", "domain %lu does not exist", "xen/domctl.h") \
    RULE(CT_002, DOMAIN_NUMBER_RESERVED, EINVAL, "the highest numbers are no domains'", "domain number %lu is reserved", "xen/domctl.h") \
    RULE(CT_003, CONTROL_VCPU_RANGE, EINVAL, "a vCPU has a number below the domain's limit", "vCPU %lu of a domain with at most %lu", "xen/domctl.h") \
    RULE(CT_004, CONTROL_VCPU_MISSING, ESRCH, "a vCPU that is named exists", "vCPU %lu does not exist", "xen/domctl.h") \
    RULE(CT_005, AFFINITY_NOT_NAMED, EINVAL, "a caller says which affinity it means, and where it is", "vCPU affinity with flags %lx: none is named, or its bitmap is null", "xen/domctl.h") \
    RULE(CT_006, AFFINITY_EMPTY, EINVAL, "a vCPU can run somewhere", "affinity %lx names no CPU of the machine", "xen/domctl.h") \
    RULE(CT_007, AFFINITY_OVERRIDDEN, EBUSY, "a pin override is undone by who made it", "vCPU %lu is pinned by SCHEDOP_pin_override", "xen/sched.h") \
    RULE(CT_008, FEATURESET_UNKNOWN, EINVAL, "a set of features exists", "no set of features %lu (there are no hardware-assisted guests)", "xen/sysctl.h") \
    RULE(CT_009, FEATURESET_NO_ROOM, ENOBUFS, "a caller learns that there is more", "%lu feature words were given, there are %lu", "xen/sysctl.h") \
    RULE(CT_010, POOL_MISSING, ENOENT, "there is one pool of CPUs", "no CPU pool from number %lu up", "xen/sysctl.h") \
    RULE(CT_011, POOL_OP_UNKNOWN, ENOSYS, "there is one pool of CPUs", "CPU pool operation %lu is not served", "xen/sysctl.h") \
    RULE(CT_012, SCHEDULER_POOL_MISSING, ESRCH, "there is one pool of CPUs", "no CPU pool %lu", "xen/sysctl.h") \
    RULE(CT_013, SCHEDULER_OTHER, EINVAL, "parameters are those of the scheduler that is used", "parameters of scheduler %lu, the scheduler is credit2 (6)", "xen/domctl.h") \
    RULE(CT_014, SCHEDULER_OP_UNKNOWN, EINVAL, "an unknown operation changes nothing", "scheduler operation %lu does not exist", "xen/domctl.h") \
    RULE(CT_015, SCHEDULER_FIXED, ENOSYS, "what is not served changes nothing", "the scheduler's parameters cannot be changed", "xen/domctl.h") \
    RULE(CT_016, ADDRESS_SIZE_OTHER, EINVAL, "guests are 64-bit", "address size %lu", "xen/domctl.h") \
    RULE(CT_017, SLEEP_FLAGS, EINVAL, "an unknown flag changes nothing", "enter_acpi_sleep with flags %lx", "xen/platform.h") \
    RULE(CT_018, SLEEP_STATE_UNKNOWN, EINVAL, "what cannot wake does not sleep", "ACPI sleep state %lu, only soft-off (5) is served", "xen/platform.h") \
    RULE(CT_019, CREATE_FLAGS, EINVAL, "an unknown flag changes nothing", "a domain with flags or options %lx, which are unknown or cannot be had", "xen/domctl.h") \
    RULE(CT_020, CREATE_EMULATION, EOPNOTSUPP, "nothing is emulated but the interval timer", "a domain with emulated devices %lx", "xen/arch-x86/xen.h") \
    RULE(CT_021, CREATE_VCPUS, EINVAL, "a domain has as many vCPUs as were said when it was made", "%lu vCPUs, the limit is %lu", "xen/domctl.h") \
    RULE(CT_022, CREATE_POOL, ESRCH, "there is one pool of CPUs", "a domain in CPU pool %lu", "xen/domctl.h") \
    RULE(CT_023, CREATE_NUMBER_TAKEN, EEXIST, "no two domains have one number", "domain number %lu is taken", "xen/domctl.h") \
    RULE(CT_024, CREATE_NO_MEMORY, ENOMEM, "a domain needs structures of the hypervisor's", "no memory, or no number, for domain %lu", "xen/domctl.h") \
    RULE(CT_025, CREATE_GRANT_LIMIT, EINVAL, "grant tables are limited", "a domain with %lu grant frames and %lu maptrack frames", "xen/domctl.h") \
    RULE(CT_026, CREATE_GRANT_VERSION, EINVAL, "grant table versions are 1 and 2", "a domain with grant table versions up to %lu", "xen/domctl.h") \
    RULE(CT_027, CONTROL_DYING, EINVAL, "what ends does not begin anything", "domain %lu is dying", "xen/domctl.h") \
    RULE(CT_028, HYPERCALL_PAGE_ROLE, EPERM, "the hypercall page is not a page table", "frame %lx has another role than writable", "xen/domctl.h") \
    RULE(CT_044, HYPERCALL_PAGE_FRAME, EINVAL, "the hypercall page is the domain's own", "frame %lx is not the domain's", "xen/domctl.h") \
    RULE(CT_029, TSC_MODE_UNKNOWN, EINVAL, "an unknown mode changes nothing, and nobody sets his own", "TSC mode %lu", "xen/domctl.h") \
    RULE(CT_030, TSC_NOT_EMULATED, EOPNOTSUPP, "every guest reads the processor's own TSC", "TSC mode %lu, %lu kHz", "xen/domctl.h") \
    RULE(CT_031, NODES_MISSING, EINVAL, "there is one memory node", "a set of memory nodes without the first", "xen/domctl.h") \
    RULE(CT_032, CONTROL_OF_SELF, EINVAL, "nobody pauses or ends himself, or takes features from himself, and nobody ends the first domain", "the caller, or the domain whose end is the machine's, is domain %lu", "xen/domctl.h") \
    RULE(CT_033, PAUSED_TOO_OFTEN, EOVERFLOW, "pauses are counted in a byte", "domain %lu is paused 255 times", "xen/domctl.h") \
    RULE(CT_034, NOT_PAUSED, EINVAL, "who is not paused cannot be unpaused", "domain %lu is not paused", "xen/domctl.h") \
    RULE(CT_035, STATE_OF_VCPU, EINVAL, "a vCPU that is named exists, in another domain", "vCPU %lu of domain %lu does not exist, or is of the caller's own domain", "xen/domctl.h") \
    RULE(CT_036, STATE_FIXED, EOPNOTSUPP, "only a vCPU that never ran is given registers", "vCPU %lu has its registers already", "xen/domctl.h") \
    RULE(CT_037, STATE_RESET, EOPNOTSUPP, "a vCPU is not taken back to its beginning", "vCPU %lu is to be reset", "xen/domctl.h") \
    RULE(CT_038, POLICY_UNKNOWN, EINVAL, "a CPU policy exists", "no CPU policy %lu", "xen/sysctl.h") \
    RULE(CT_039, POLICY_ASSISTED, EOPNOTSUPP, "there are no hardware-assisted guests", "CPU policy %lu is of hardware-assisted guests", "xen/sysctl.h") \
    RULE(CT_040, POLICY_NO_ROOM, ENOBUFS, "a policy is given whole", "a CPU policy has more than %lu leaves", "xen/sysctl.h") \
    RULE(CT_041, POLICY_LEAF_UNKNOWN, ERANGE, "an unknown leaf changes nothing", "CPUID leaf %lx, subleaf %lx is in no policy", "xen/domctl.h") \
    RULE(CT_042, POLICY_TOO_LONG, ERANGE, "a policy has no more leaves than a processor, and no MSRs", "a CPU policy of %lu leaves and %lu MSRs", "xen/domctl.h") \
    RULE(CT_043, POLICY_FIXED, EEXIST, "a processor does not change under a guest", "domain %lu has been started", "xen/domctl.h") \
    RULE(CT_045, STATE_OF_SELF, EINVAL, "a vCPU that is looked at stands still", "vCPU %lu of domain %lu is of the caller's own domain", "xen/domctl.h") \
    RULE(CT_046, STATE_NONE, ENODATA, "a vCPU that never began has no registers", "vCPU %lu has no registers yet", "xen/domctl.h") \
    RULE(CT_047, STATE_SIZE, EINVAL, "state has the size that this machine gives it", "state of %lu bytes or registers, where there are %lu", "xen/domctl.h") \
    RULE(CT_048, STATE_XCR0, EINVAL, "the FPU is given what it can load", "components %lx of the FPU where %lx can be had", "xen/domctl.h") \
    RULE(CT_049, STATE_MSR, EINVAL, "only registers of a guest's own are set", "MSR %lx cannot be set to %lx", "xen/domctl.h") \
    RULE(CT_050, STATE_MSR_ROOM, ENOBUFS, "registers are given whole", "room for %lu MSRs of %lu", "xen/domctl.h") \
    RULE(CT_051, FRAMES_TOO_MANY, E2BIG, "one call looks at so many frames", "types of %lu frames, at most 1024", "xen/domctl.h") \
    RULE(CT_052, TRIGGER_ASSISTED, EINVAL, "a paravirtualized guest has no power button", "trigger %lu is of hardware-assisted guests", "xen/domctl.h") \
    RULE(CT_053, TRIGGER_UNKNOWN, ENOSYS, "an unknown trigger changes nothing", "trigger %lu is not served", "xen/domctl.h")

/* Guests beyond help: domain_crash(). */
#define RULE_LIST_CRASH(RULE)                                                                      \
    RULE(CR_001, EXCEPTION_WITHOUT_HANDLER, 0, "an exception needs a handler", "exception %lu at %lx has no handler in the trap table (error code %lx)", "xen/arch-x86/xen.h") \
    RULE(CR_002, HANDLER_WITHOUT_STACK, 0, "a handler needs a stack", "the frame for the guest's handler cannot be written at %lx", "xen/arch-x86/xen.h") \
    RULE(CR_003, PAGE_FAULT_WITHOUT_HANDLER, 0, "a page fault needs a handler", "page fault on %lx at %lx (error code %lx) has no handler in the trap table", "xen/arch-x86/xen.h") \
    RULE(CR_004, EVENT_WITHOUT_CALLBACK, 0, "an event needs a callback", "an event is pending and unmasked, but no event callback is registered", "xen/callback.h") \
    RULE(CR_005, FAILSAFE_WITHOUT_CALLBACK, 0, "a failed return needs a callback", "return to %lx (selector %lx) failed, and no failsafe callback is registered", "xen/callback.h") \
    RULE(CR_006, IRET_FRAME_UNREADABLE, 0, "iret takes its frame from the stack", "the iret frame at %lx cannot be read", "xen/arch-x86/xen-x86_64.h") \
    RULE(CR_007, IRET_WITHOUT_USER_ROOT, 0, "user mode needs page tables of its own", "iret to user mode at %lx, but no user base pointer is set", "xen/xen.h") \
    RULE(CR_008, ICEBP_ON_HELD_BREAKPOINT, 0, "ICEBP does not follow a MOV SS with a breakpoint", "a held-back breakpoint came on top of another debug exception", "Intel SDM volume 3, 6.8.3")
/* clang-format on */
