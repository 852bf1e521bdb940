/*
 * The port at which --gdb waits: on the loopback interface only, as whoever
 * reaches it owns the machine.
 */
#pragma once

#include "verdict.h"

enum { GDB_PORT = 1234 /* what debuggers' manuals use: the first choice */ };

/*
 * Listen at @wanted; 0: at GDB_PORT, or at any that is free if it is not.  @fd is for QEMU to
 * inherit, so that nobody takes the port in between.  HOST_FAILED if the port is not to be had.
 */
enum verdict gdb_listen(unsigned wanted, unsigned *port, int *fd);
