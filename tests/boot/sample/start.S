/*
 * The entry, and the notes that make an ELF file a PV guest.  The tests of
 * `paravane inspect` assemble this file again with words that spoil it:
 *   NO_NOTES, PVH_ONLY, WRONG_VERSION, WRONG_FEATURE, WRONG_ENTRY
 * GUEST_SECTION says it all the older way, in a section, and is right.
 */
#define NOTE(type, value...)                                                    \
        .pushsection .note.Xen, "a", @note;                                     \
        .balign 4; .long 4, 7771f - 7770f, type; .asciz "Xen";                  \
7770:   value;                                                                  \
7771:   .balign 4; .popsection

#define BASE 0xffffffff80000000

        .text
        .globl  _start
_start: mov     %rsi, %rdi              /* rsi: start_info, says the ABI        */
        and     $-16, %rsp
        call    sample_main
        ud2

#ifdef GUEST_SECTION
        .pushsection __xen_guest, "", @progbits
        .ascii  "GUEST_OS=sample,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0x0,"
        .asciz  "LOADER=generic,PAE=yes"
        .popsection
#elif defined(PVH_ONLY)
        NOTE(18, .long 0x100000)        /* PHYS32_ENTRY                         */
#elif !defined(NO_NOTES)
        NOTE(6, .asciz "sample")        /* GUEST_OS                             */
        NOTE(8, .asciz "generic")       /* LOADER                               */
        NOTE(3, .quad BASE)             /* VIRT_BASE                            */
        NOTE(4, .quad 0)                /* PADDR_OFFSET                         */
#ifdef WRONG_VERSION
        NOTE(5, .asciz "xen-9.9")
#else
        NOTE(5, .asciz "xen-3.0")       /* XEN_VERSION                          */
#endif
#ifdef WRONG_ENTRY
        NOTE(1, .quad 0x12345678)
#else
        NOTE(1, .quad _start)           /* ENTRY                                */
#endif
#ifdef WRONG_FEATURE
        NOTE(10, .asciz "!auto_translated_physmap")
#endif
#endif
        .section .note.GNU-stack, "", @progbits
