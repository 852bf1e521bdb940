/*
 * What the machine runs before the hypervisor.
 *
 * SeaBIOS, QEMU's own choice, looks for devices and disks to boot from: 5,668,166 instructions until a kernel given
 * with -kernel has its first.  qboot (in the same Debian package, qemu-system-data) does only what such a kernel
 * needs: 62,832.  But it gives PCI devices no addresses, so a machine with disks or a network card has SeaBIOS.
 */
#pragma once

#include "machine.h"

/* The file for QEMU's -bios (caller frees), NULL: QEMU's own choice.  In *@name; *@why: a few words for --verbose. */
enum verdict firmware_choose(const struct machine *m, struct bundle *bundle, char **name,
                             const char **why);
