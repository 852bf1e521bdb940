/*
 * What entry.S and fastpath.S share: the layout of the stack between them, and macros.  Assembly only.
 *
 * Offsets of structures come from asm-offsets.c; constants that C knows, too, from entry.h.
 */
#pragma once

#include "asm-offsets.h"
#include "entry.h"
#include "layout.h"

/* What lies on the stack of the fast paths, and of entry_syscall: rbx rip cs rflags rsp ss vcpu. */
#define S_RIP    8
#define S_CS     16
#define S_RFLAGS 24
#define S_RSP    32
#define S_SS     40
#define S_VCPU   48

.macro save_gprs rbx=%rbx
        push    %r11
        push    %rcx
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %rbp
        push    \rbx
        push    %rax
        push    %r9
        push    %r8
        push    %r10
        push    %rdx
        push    %rsi
        push    %rdi
.endm

.macro restore_gprs
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %r10
        pop     %r8
        pop     %r9
        pop     %rax
        pop     %rbx
        pop     %rbp
        pop     %r12
        pop     %r13
        pop     %r14
        pop     %r15
        pop     %rcx
        pop     %r11
.endm

.macro fixup from, to
        .pushsection .fixup_table, "a"
        .balign 8
        .quad   \from, \to
        .popsection
.endm

.macro unless_canonical va, scratch, then
        mov     $1 << 47, \scratch
        add     \va, \scratch
        shr     $48, \scratch
        jnz     \then
.endm

/*
 * The guest's rflags, once saved, have IF set, IOPL 0 and VM clear.  Ring 3 cannot change these three while they are so; a way in
 * that may bring something else (SYSENTER clears IF; an emulator may have let a program into virtual-8086 mode, ring3-probe.c)
 * makes them so first thing, and so every way out finds them.  SYSCALL from 64-bit code, which that mode is not, cannot.  A build
 * with checks looks once more, last thing: prove_flags.
 */
.macro own_flags where
        andl    $~(RFLAGS_IOPL | RFLAGS_VM), \where
        orl     $RFLAGS_IF, \where
.endm
.macro prove_flags where
        .if     EXIT_CHECKS
        testl   $RFLAGS_IOPL | RFLAGS_VM, \where
        jnz     .Lbad\@
        testl   $RFLAGS_IF, \where
        jnz     .Lgood\@
.Lbad\@:
        ud2
.Lgood\@:
        .endif
.endm
