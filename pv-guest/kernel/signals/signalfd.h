/* signalfd: signals that are read from a file. */
#pragma once

#include "base.h"

extern unsigned signalfd_files; /* how many there are */
void signalfd_wake(void);
/* A signal has become pending somewhere. */
static inline void signalfd_notice(void)
{
    if (signalfd_files)
        signalfd_wake();
}
