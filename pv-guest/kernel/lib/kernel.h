/* The kernel as a whole: what it is called and what its command line says. */
#pragma once

#include "base.h"

#define KERNEL_VERSION "0.1"
/* Tells the C library how new a Linux this is as good as. */
#define KERNEL_RELEASE "5.10.0-paravane"

/* The platform's own name for what we run on. */
const char *kernel_platform(void);
const char *kernel_command_line(void);
/* sys-info.c: the machine's name, as sethostname has set it. */
const char *kernel_node_name(void);
const char *kernel_domain_name(void);
