/* Virtio disks: /dev/vda, /dev/vdb, ... (virtio-blk.c). */
#pragma once

/* Look for them, and register what is found (kernel/block/block.h). */
void virtio_blk_start(void);
