/* A 32-bit PV guest, as Linux was one until 5.9: only there to be refused. */
        .text
        .globl  _start
_start: ud2
        .pushsection .note.Xen, "a", @note
        .long   4, 8, 5                 /* XEN_VERSION                          */
        .asciz  "Xen"
        .asciz  "xen-3.0"
        .long   4, 4, 3                 /* VIRT_BASE                            */
        .asciz  "Xen"
        .long   0xc0000000
        .popsection
        .section .note.GNU-stack, "", @progbits
