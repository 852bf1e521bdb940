/* The files in /dev/xen of a first domain. */
#pragma once

struct file_ops;

/* The number of an ioctl of @kind, whose argument has @size bytes: those of Linux for these files. */
#define DEVICE_COMMAND(kind, number, size) ((size) << 16 | (kind) << 8 | (number))

extern const struct file_ops privcmd_ops, evtchn_ops, gntdev_ops;
