/* The window that the console is shown in: its size, and who tells when that changes. */
#pragma once

#include "linux.h"

/* Words of the command line: the size at first, in decimal; the other end of the console tells changes. */
void window_rows(const char *rows);
void window_columns(const char *columns);
void window_told(void);

/* The size at first.  The other end is asked to tell changes, if it can. */
struct linux_winsize window_init(void);

/* What a byte is that came from the other end. */
enum window_byte {
    WINDOW_TYPED,   /* nothing but typed */
    WINDOW_TAKEN,   /* part of what is told */
    WINDOW_CHANGED, /* its end: the size in *@window is new */
};
enum window_byte window_take(char typed, struct linux_winsize *window);
