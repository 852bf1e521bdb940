/* What is asked of the machine from outside: to end, or by sysrq's keys. */
#pragma once

#include "base.h"

/*
 * "poweroff", "halt" or "reboot": the first process is told as busybox's commands tell it, if it has a handler for that
 * signal; else the machine ends at once.  False if @what is something else.
 */
bool control_shutdown(const char *what);
/* The keys that work without a keyboard: b reboots, c crashes, o switches off; all at once, nothing is told first. */
void control_sysrq(char key);
/* Say that @what was asked for and is not known here. */
void control_unknown(const char *what);
