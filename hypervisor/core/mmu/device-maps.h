/* Mappings of frames that are not RAM (core/mmu/device-maps.c). */
#pragma once

/* Some such frames have become read-only (arch_device_frame_read_only): whoever maps them writable keeps them, read-only.  When this
 * returns no TLB has them otherwise.  Sleeps: takes each d->mmu. */
void device_maps_demote(void);
