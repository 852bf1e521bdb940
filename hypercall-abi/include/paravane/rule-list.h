/*
 * The one list of refusals: every way in which the hypervisor says no.
 *
 *   RULE(id, errno, protects, says, source)
 *
 * @id        stable name, AREA_NNN in C and AREA-NNN to people; numbers are never reused
 * @errno     what the guest gets, positive; 0 for rules that end the guest (CR) or concern its image
 * @protects  what would go wrong without the rule, one clause
 * @says      the sentence for --explain: printf format over up to three unsigned longs, the operands given to refuse()
 * @source    Xen header or document that the rule comes from
 *
 * Areas: HC hypercalls in general, PT page tables, MX mmuext_op, DT descriptor tables, ME memory_op, EV event
 * channels, VC vCPUs and time, SC scheduling, CB callbacks and traps, CP CPU state (registers, ports), CN console,
 * XV versions, GT grants, PR privilege, CR crashes, IM images and boot configuration.
 */
#pragma once

/* clang-format off */
#define RULE_LIST(RULE)                                                                            \
    RULE_LIST_GENERAL(RULE) RULE_LIST_PAGES(RULE) RULE_LIST_CPU(RULE) RULE_LIST_EVENTS(RULE)       \
    RULE_LIST_MEMORY(RULE) RULE_LIST_CRASH(RULE)

/* Hypercalls in general, privilege, console, version. */
#define RULE_LIST_GENERAL(RULE)                                                                    \
    RULE(HC_001, ENOSYS, "a number nobody serves changes nothing", "hypercall %lu is not served", "xen/xen.h") \
    RULE(HC_002, EFAULT, "an argument that cannot be read is not guessed", "argument at %lx cannot be read or written", "xen/xen.h") \
    RULE(HC_003, EINVAL, "a multicall is not nested", "multicall inside a multicall", "xen/xen.h") \
    RULE(PR_001, EPERM, "only domains with the role may ask", "hypercall %lu sub-operation %lu needs a role that this domain lacks", "xen/domctl.h")

/* Page tables: mmu_update, update_va_mapping, mmuext_op. */
#define RULE_LIST_PAGES(RULE)                                                                      \
    RULE(PT_001, EINVAL, "cache attributes, PAT and reserved bits belong to domains with devices", "L1 entry %lx has bits that this domain may not set", "xen/arch-x86/xen.h") \
    RULE(PT_002, EPERM, "device memory belongs to the hardware domain", "L1 entry maps frame %lx, which is not RAM", "xen/xen.h") \
    RULE(PT_003, EBUSY, "a domain maps only its own frames", "L1 entry maps frame %lx of domain %lu, expected a frame of domain %lu", "xen/xen.h") \
    RULE(PT_004, EBUSY, "no frame is writable while it is a page table or descriptor table", "L1 entry would map frame %lx writable, its role is %lu (type count %lu)", "xen/xen.h") \
    RULE(PT_005, EINVAL, "superpages and cache bits would reach frames that were never checked", "entry %lx of an L%lu table has bits that are not allowed there", "xen/arch-x86/xen.h") \
    RULE(PT_006, EINVAL, "every table below a checked table is checked", "frame %lx cannot be an L%lu table: it is not this domain's, or has role %lu", "xen/xen.h") \
    RULE(PT_007, EINVAL, "a linear entry must not make a page table writable", "writable linear entry: frame %lx is itself an L%lu table", "XSA-182") \
    RULE(PT_008, EINVAL, "linear page tables are one level deep", "linear entry to frame %lx: one of the two tables already has linear entries the other way", "XSA-240") \
    RULE(PT_009, EINVAL, "the hypervisor's L4 slots are the same in every table", "L4 slot %lu is the hypervisor's", "xen/arch-x86/xen-x86_64.h") \
    RULE(PT_010, EINVAL, "page tables name only their owner's tables", "L%lu entry for frames of domain %lu: foreign frames may be mapped by L1 entries only", "xen/xen.h") \
    RULE(PT_011, ENOSYS, "an unknown command changes nothing", "mmu_update command %lu (low bits of the pointer) is not served", "xen/xen.h") \
    RULE(PT_012, EINVAL, "tables are edited by their owner", "frame %lx is not this domain's RAM, or is a descriptor table (role %lu)", "xen/xen.h") \
    RULE(PT_013, EINVAL, "machine-to-phys entries are set by the frame's owner", "frame %lx is not this domain's", "xen/xen.h") \
    RULE(PT_014, EINVAL, "an entry is replaced only in a checked L1 table", "no L1 table maps %lx", "xen/xen.h") \
    RULE(PT_015, ESRCH, "a domain names itself DOMID_SELF", "foreign domain %lu is the caller itself, or does not exist", "xen/xen.h") \
    RULE(PT_016, EPERM, "only the control domain touches other domains' memory", "domain %lu is not the caller's to map", "xen/xen.h") \
    RULE(PT_017, EINVAL, "a vCPU set must be readable", "vCPU bitmap at %lx cannot be read", "xen/xen.h") \
    RULE(MX_001, EINVAL, "tables are the domain's own RAM", "frame %lx is not this domain's RAM", "xen/xen.h") \
    RULE(MX_002, EINVAL, "a frame has one role at a time", "frame %lx cannot become an L%lu table, its role is %lu", "xen/xen.h") \
    RULE(MX_003, EINVAL, "a table is pinned once", "frame %lx is pinned already", "xen/xen.h") \
    RULE(MX_004, EINVAL, "only what is pinned is unpinned", "frame %lx is not pinned", "xen/xen.h") \
    RULE(MX_005, EPERM, "a root is the running domain's own", "operation %lu works on the calling domain only", "xen/xen.h") \
    RULE(MX_006, EINVAL, "an LDT has at most 8192 entries and starts on a page", "LDT at %lx with %lu entries", "xen/xen.h") \
    RULE(MX_007, EACCES, "caches are flushed for domains with devices", "cache flush without device memory", "xen/xen.h") \
    RULE(MX_008, EOPNOTSUPP, "superpage marking is not served", "operation %lu is not served", "xen/xen.h") \
    RULE(MX_009, ENOSYS, "an unknown operation changes nothing", "mmuext_op command %lu is not known", "xen/xen.h") \
    RULE(MX_010, EINVAL, "frames to clear or copy must be the domain's and writable", "frame %lx cannot be cleared or copied to, its role is %lu", "xen/xen.h") \
    RULE(MX_011, EINVAL, "caches are flushed for domains with devices", "global cache flush without device memory", "xen/xen.h")

/* CPU state: descriptors, traps, callbacks, registers, ports, FPU. */
#define RULE_LIST_CPU(RULE)

/* Event channels, scheduling, vCPUs, timers. */
#define RULE_LIST_EVENTS(RULE)

/* memory_op, grants, images and boot configuration. */
#define RULE_LIST_MEMORY(RULE)

/* Guests beyond help: domain_crash(). */
#define RULE_LIST_CRASH(RULE)                                                                      \
    RULE(CR_001, 0, "an exception needs a handler", "exception %lu at %lx has no handler in the trap table (error code %lx)", "xen/arch-x86/xen.h") \
    RULE(CR_002, 0, "a handler needs a stack", "the frame for the guest's handler cannot be written at %lx", "xen/arch-x86/xen.h") \
    RULE(CR_003, 0, "a page fault needs a handler", "page fault on %lx at %lx (error code %lx) has no handler in the trap table", "xen/arch-x86/xen.h") \
    RULE(CR_004, 0, "an event needs a callback", "an event is pending and unmasked, but no event callback is registered", "xen/callback.h") \
    RULE(CR_005, 0, "a failed return needs a callback", "return to %lx (selector %lx) failed, and no failsafe callback is registered", "xen/callback.h") \
    RULE(CR_006, 0, "iret takes its frame from the stack", "the iret frame at %lx cannot be read", "xen/arch-x86/xen-x86_64.h") \
    RULE(CR_007, 0, "user mode needs page tables of its own", "iret to user mode at %lx, but no user base pointer is set", "xen/xen.h")
/* clang-format on */
