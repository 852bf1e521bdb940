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
#define RULE_LIST_PAGES(RULE)

/* CPU state: descriptors, traps, callbacks, registers, ports, FPU. */
#define RULE_LIST_CPU(RULE)

/* Event channels, scheduling, vCPUs, timers. */
#define RULE_LIST_EVENTS(RULE)

/* memory_op, grants, images and boot configuration. */
#define RULE_LIST_MEMORY(RULE)

/* Guests beyond help: domain_crash(). */
#define RULE_LIST_CRASH(RULE)                                                                      \
    RULE(CR_001, 0, "an exception needs a handler", "exception %lu at %lx has no handler in the trap table (error code %lx)", "xen/arch-x86/xen.h") \
    RULE(CR_002, 0, "a handler needs a stack", "the frame for the guest's handler cannot be written at %lx", "xen/arch-x86/xen.h")
/* clang-format on */
