/*
 * Devices that other domains serve: what the store says about them, and the states in which both ends of one are.
 *
 *      device/vbd/51712/                 ours: state, and what our end tells the other
 *                       backend          = /local/domain/0/backend/vbd/1/51712, the other end's: state and so on
 *                       backend-id       = 0
 *
 * Each end writes its own state and watches the other's.  All of it is done in one task, that of xenbus_serve.
 */
#pragma once

#include <stdint.h>
#include <xen/io/xenbus.h>
#include <xen/xen.h>

#include "kernel/lib/list.h"
#include "kernel/lib/base.h"
#include "platform/xen/xenstore.h"

struct xenbus_device;

struct xenbus_driver {
    const char *type; /* of the devices: a directory below device/ */
    /* There is @device: 0, or -errno if it cannot be served. */
    int (*probe)(struct xenbus_device *device);
    /* The other end is in @state; or somebody has poked the watch. */
    void (*changed)(struct xenbus_device *device, enum xenbus_state state);
    /* It is in the store no longer; @device is freed after this. */
    void (*remove)(struct xenbus_device *device);
};

/* A device of ours. */
struct xenbus_device {
    struct list link;
    const struct xenbus_driver *driver;
    char name[16]; /* the last part of... */
    char path[XENSTORE_PATH_MAX];
    char other_end[XENSTORE_PATH_MAX];
    unsigned other_end_id;
    enum xenbus_state state;
    bool listed; /* the store still has it */
    struct xenstore_watch other_state;
    void *object; /* of the driver */
};

/* Tell the other end that ours is in @state from now on. */
void xenbus_switch(struct xenbus_device *device, enum xenbus_state state);
/* Serve devices of the @count @drivers for ever. */
NORETURN void xenbus_serve(const struct xenbus_driver *const drivers[], unsigned count);
