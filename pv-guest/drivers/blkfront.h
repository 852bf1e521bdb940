/* The frontend of virtual disks (<xen/io/blkif.h>): /dev/xvdX. */
#pragma once

#include "platform/xen/xenbus.h"

extern const struct xenbus_driver blkfront_driver;
