/*
 * The window that the guest's console is shown in, told to a guest that asked.
 *
 * A console ring and a serial line carry bytes and nothing else, so a change of the window's size has to be said in those, and
 * told apart from what is typed:
 *
 *     guest: CSI ? 2048 h             the guest asks, as a program asks its terminal; lines.c takes it out of the console
 *     tool:  DLE CSI 48 ; rows ; columns ; 0 ; 0 t      then, and after each SIGWINCH: the terminal's report behind a DLE
 *     tool:  DLE DLE                  for a DLE (Ctrl-P) that is typed
 *
 * Why a DLE: pv-guest/kernel/terminals/window.c.  Why no byte above 127, as telnet has for this: Xen takes the highest bit away.
 */
#pragma once

#include <stdbool.h>
#include <sys/ioctl.h>

#include "memory.h"

#define WINDOW_ASKED "\033[?2048h" /* what a guest writes that wants to be told */

/* The size of the window that stdin is; false if it has none. */
bool window_size(struct winsize *size);
/* The same as words for a kernel: "ROWS=24 COLUMNS=80", or NULL.  The caller frees them. */
char *window_words(void);

/* Behind what is to be typed: a size, or keys. */
void window_tell(struct bytes *typed, const struct winsize *size);
void window_type(struct bytes *typed, const char *keys, size_t size);
