/* The kernel as a whole: what it is called and what its command line says. */
#pragma once

#include "base.h"

#define KERNEL_VERSION "0.1"

/* The platform's own name for what we run on. */
const char *kernel_platform(void);
