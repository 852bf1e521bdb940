/*
 * The kernel image: linked high; virtual = physical + KERNEL_BASE.  For a PV domain builder it is loaded from pfn 0 (p_paddr
 * is the offset into the domain's memory), for the bare machine IMAGE_PHYS bytes into memory.  The platform's link.h says
 * where it begins and at what (IMAGE_BASE, IMAGE_ENTRY).
 */
#include "link.h"

OUTPUT_FORMAT(elf64-x86-64)
OUTPUT_ARCH(i386:x86-64)
ENTRY(IMAGE_ENTRY)

PHDRS
{
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
}

SECTIONS
{
    . = IMAGE_BASE;

    .text : AT(ADDR(.text) - KERNEL_BASE) {
        image_text_start = .;
        *(.text.start)
        *(.text .text.*)
        . = ALIGN(4096);
        image_text_end = .;
    } :text

    .rodata : AT(ADDR(.rodata) - KERNEL_BASE) {
        *(.rodata .rodata.*)
        . = ALIGN(8);
        fixup_start = .;
        KEEP(*(.fixup))
        fixup_end = .;
    } :rodata
    .note.Xen : AT(ADDR(.note.Xen) - KERNEL_BASE) {
        KEEP(*(.note.Xen))
    } :rodata :note

    . = ALIGN(4096);
    image_rodata_end = .;
    .data : AT(ADDR(.data) - KERNEL_BASE) {
        *(.data.start) /* of native/start.S */
        *(.data .data.*)
    } :data
    .bss : AT(ADDR(.bss) - KERNEL_BASE) {
        *(.bss .bss.*)
        *(COMMON)
        . = ALIGN(4096);
    } :data
    image_end = .;

    /DISCARD/ : {
        *(.comment .eh_frame .note.gnu.* .note.GNU-stack)
    }
}
