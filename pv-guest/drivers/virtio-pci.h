/* Virtio devices on PCI, version 1 ("modern"): registers, features, queues, interrupts (virtio-pci.c). */
#pragma once

#include "drivers/pci.h"
#include "drivers/virtqueue.h"

#define VIRTIO_PCI_VENDOR 0x1af4

#define VIRTIO_F_VERSION_1 (1ul << 32)

#define VIRTIO_QUEUES_MOST 4 /* that a driver of ours uses */

struct virtio_common;

struct virtio_device {
    hardware_function function;
    volatile struct virtio_common *common;
    volatile uint8_t *config; /* the kind of device's own registers, of @config_size bytes */
    size_t config_size;
    volatile uint8_t *notify;
    size_t notify_size;
    uint32_t notify_step;
    uint64_t features;   /* which we and the device have agreed upon */
    uint64_t table;      /* pci_messages_begin */
    const char *problem; /* what is wrong with it; NULL: nothing */
    volatile uint16_t *doorbells[VIRTIO_QUEUES_MOST];
};

/*
 * Take over the virtio device @function, reset it and agree upon those of @wanted that it has: 0, or -errno and @problem set.
 * Then the caller reads its configuration, makes the queues, and lets it begin.
 */
MUST_CHECK int virtio_begin(struct virtio_device *device, hardware_function function,
                            uint64_t wanted);
/* Make queue @index, which calls @interrupt with @argument: 0, or -errno and @problem set. */
MUST_CHECK int virtio_queue(struct virtio_device *device, unsigned index, struct virtqueue *q,
                            void (*interrupt)(void *argument), void *argument);
void virtio_ready(struct virtio_device *device);
/* Tell the device that queue @index has something for it. */
void virtio_notify(const struct virtio_device *device, unsigned index);
/* It is given up: reset, so that it forgets all memory that it was given. */
void virtio_fail(struct virtio_device *device);

/* A field of the kind of device's own configuration, which ends before @size if it is not there: then 0. */
uint64_t virtio_config(const struct virtio_device *device, unsigned offset, unsigned bytes);
/* Changes whenever the device changes its configuration. */
unsigned virtio_config_generation(const struct virtio_device *device);
