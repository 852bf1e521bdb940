/* Devices that write to memory by themselves, and whose they are (x86/devices/bus-master.c). */
#pragma once

#include "types.h"

struct domain;

/* Domain @user switches on the device @function.  False: it must stay off, too many are known already. */
bool bus_master_begin(uint16_t function, domid_t user) must_check;
/* @d has stopped, and gives its memory back: its devices, and those that are nobody's, are switched off.  Sleeps. */
void bus_masters_end(const struct domain *d);
