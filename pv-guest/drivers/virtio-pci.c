/*
 * Virtio devices on PCI, version 1 ("Virtual I/O Device (VIRTIO) Version 1.1", 4.1).
 *
 * Capabilities in configuration space say where in which BAR the registers are: those that all devices have in common,
 * those of its kind, and doorbells, a store to which tells the device that a queue has something for it.  Each queue has
 * a message of its own (MSI-X), so nothing has to be read to know what an interrupt is about.
 */
#include "drivers/virtio-pci.h"

#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/memory/page.h"

/* The registers that all devices have in common. */
struct virtio_common {
    uint32_t device_feature_select, device_feature;
    uint32_t driver_feature_select, driver_feature;
    uint16_t config_vector, queue_count;
    uint8_t status, generation;
    uint16_t queue_select, queue_size, queue_vector, queue_enable, queue_notify;
    uint32_t queue_descriptors[2], queue_available[2], queue_used[2]; /* low half, high half */
};
_Static_assert(sizeof(struct virtio_common) == 56, "as the standard has it");

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER      2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8
#define STATUS_FAILED      128

#define NO_VECTOR 0xffff

/* A capability: what it is about, and where that is. */
#define CAP_TYPE          3
#define CAP_BAR           4
#define CAP_OFFSET        8
#define CAP_SIZE          12
#define CAP_NOTIFY_STEP   16
#define CAP_TYPE_COMMON   1
#define CAP_TYPE_NOTIFY   2
#define CAP_TYPE_SPECIFIC 4
#define REGISTERS_MOST    0x10000ul /* nothing of a device is larger */

#define RESET_TURNS 1000000 /* reads, each an exit to whoever makes the device */

/* Where in configuration space the capability @type is; 0: nowhere. */
static unsigned find_capability(hardware_function function, unsigned type)
{
    unsigned at = pci_capability(function, PCI_CAPABILITY_VENDOR, 0);
    for (unsigned i = 0; at && i < 16; i++) {
        if (pci_read(function, at + CAP_TYPE, 1) == type)
            return at;
        at = pci_capability(function, PCI_CAPABILITY_VENDOR, at);
    }
    return 0;
}

/* Map what the capability @type names: NULL, there is none, or it is not at least @least bytes. */
static volatile void *map_registers(hardware_function function, unsigned type, size_t least,
                                    size_t *size)
{
    const unsigned at = find_capability(function, type);
    if (!at)
        return NULL;
    const uint64_t bar = pci_bar(function, pci_read(function, at + CAP_BAR, 1));
    const uint32_t offset = pci_read(function, at + CAP_OFFSET, 4);
    *size = MIN(pci_read(function, at + CAP_SIZE, 4), REGISTERS_MOST);
    return bar && *size >= least ? hardware_map(bar + offset, *size) : NULL;
}

static uint64_t device_features(volatile struct virtio_common *common)
{
    common->device_feature_select = 0;
    const uint64_t low = common->device_feature;
    common->device_feature_select = 1;
    return (uint64_t)common->device_feature << 32 | low;
}

static int wrong(struct virtio_device *device, const char *problem)
{
    device->problem = problem;
    return -EIO;
}

/* A reset is over when the status reads as zero. */
static bool reset(volatile struct virtio_common *common)
{
    common->status = 0;
    for (unsigned i = 0; i < RESET_TURNS; i++)
        if (!common->status)
            return true;
    return false;
}

static int agree(struct virtio_device *device, uint64_t wanted)
{
    volatile struct virtio_common *const common = device->common;
    device->features = device_features(common) & (wanted | VIRTIO_F_VERSION_1);
    if (!(device->features & VIRTIO_F_VERSION_1))
        return wrong(device, "it is older than version 1 of the standard");
    common->driver_feature_select = 0;
    common->driver_feature = (uint32_t)device->features;
    common->driver_feature_select = 1;
    common->driver_feature = (uint32_t)(device->features >> 32);
    common->status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    if (!(common->status & STATUS_FEATURES_OK))
        return wrong(device, "it wants features that this driver does not have");
    return 0;
}

int virtio_begin(struct virtio_device *device, hardware_function function, uint64_t wanted)
{
    size_t size, step_at;
    device->function = function;
    hardware_announce(function);
    pci_write(function, PCI_COMMAND, 2,
              pci_read(function, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                  PCI_COMMAND_NO_INTX);
    device->common = map_registers(function, CAP_TYPE_COMMON, sizeof(*device->common), &size);
    if (!device->common)
        return wrong(device, "it has no registers of version 1 of the standard");
    device->notify = map_registers(function, CAP_TYPE_NOTIFY, 2, &device->notify_size);
    device->config = map_registers(function, CAP_TYPE_SPECIFIC, 8, &device->config_size);
    if (!device->notify || !device->config)
        return wrong(device, "it has no doorbells, or no configuration");
    step_at = find_capability(function, CAP_TYPE_NOTIFY) + CAP_NOTIFY_STEP;
    device->notify_step = pci_read(function, (unsigned)step_at, 4);
    if (!reset(device->common))
        return wrong(device, "it cannot be reset");
    device->common->status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    const int rc = agree(device, wanted);
    if (rc)
        return rc;
    if (!pci_messages_begin(function, &device->table))
        return wrong(device, "it has no messages for interrupts (MSI-X)");
    device->common->config_vector = NO_VECTOR;
    return 0;
}

/* The doorbell of the queue that is selected; NULL: it would be behind the end. */
static volatile uint16_t *doorbell(const struct virtio_device *device)
{
    const uint64_t at = (uint64_t)device->common->queue_notify * device->notify_step;
    return at % 2 || at + 2 > device->notify_size ? NULL
                                                  : (volatile uint16_t *)(device->notify + at);
}

static void set_address(volatile uint32_t half[2], const void *pointer)
{
    half[0] = (uint32_t)hardware_address(pointer);
    half[1] = (uint32_t)(hardware_address(pointer) >> 32);
}

int virtio_queue(struct virtio_device *device, unsigned index, struct virtqueue *q,
                 void (*interrupt)(void *argument), void *argument)
{
    volatile struct virtio_common *const common = device->common;
    BUG_ON(index >= VIRTIO_QUEUES_MOST);
    common->queue_select = (uint16_t)index;
    unsigned size = MIN(common->queue_size, (unsigned)VIRTQUEUE_SIZE_MOST);
    while (size & (size - 1))
        size &= size - 1;
    if (size < 4 || common->queue_enable)
        return wrong(device, "it has no such queue, or a small one");
    device->doorbells[index] = doorbell(device);
    if (!device->doorbells[index])
        return wrong(device, "the doorbell of a queue is not where it can be");
    struct page *const page = page_alloc_zero(PAGE_FOR_KERNEL);
    if (!page)
        return wrong(device, "there is no memory for its queues");
    virtqueue_init(q, page_address(page), size, device->features);
    if (hardware_message(device->function, index, device->table, interrupt, argument))
        return wrong(device, "there are no interrupts for it");
    common->queue_size = (uint16_t)size;
    set_address(common->queue_descriptors, q->descriptors);
    set_address(common->queue_available, q->available);
    set_address(common->queue_used, q->used);
    common->queue_vector = (uint16_t)index;
    if (common->queue_vector != index)
        return wrong(device, "it does not take a message for its queue");
    common->queue_enable = 1;
    return 0;
}

void virtio_ready(struct virtio_device *device)
{
    pci_messages_send(device->function);
    device->common->status = device->common->status | STATUS_DRIVER_OK;
}

void virtio_notify(const struct virtio_device *device, unsigned index)
{
    *device->doorbells[index] = (uint16_t)index;
}

void virtio_fail(struct virtio_device *device)
{
    if (!device->common)
        return;
    device->common->status = device->common->status | STATUS_FAILED;
    (void)reset(device->common);
}

uint64_t virtio_config(const struct virtio_device *device, unsigned offset, unsigned bytes)
{
    volatile const uint8_t *const at = device->config + offset;
    if (offset + bytes > device->config_size)
        return 0;
    switch (bytes) {
    case 1:
        return *at;
    case 2:
        return *(volatile const uint16_t *)at;
    case 4:
        return *(volatile const uint32_t *)at;
    default: /* in two halves, as the standard wants it */
        return virtio_config(device, offset, 4) | virtio_config(device, offset + 4, 4) << 32;
    }
}

unsigned virtio_config_generation(const struct virtio_device *device)
{
    return device->common->generation;
}
