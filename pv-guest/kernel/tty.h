/* The terminal: the console with a line discipline. */
#pragma once

#include "base.h"

/* Session leader @session (pid) takes the terminal, with its own group in the foreground. */
void tty_give(int session);
/* The session has ended. */
void tty_release(int session);
/* The foreground group of the terminal, if it is @session's; else 0. */
int tty_group(int session);
