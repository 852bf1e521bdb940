/*
 * Included before everything else in the hosted build: core has a C library of its own
 * (core/lib/string.c, core/lib/print.c), which must not take the place of the host's.  Its names get a
 * prefix; those that move memory stay the host's, so that AddressSanitizer sees them.
 */
#pragma once

/* The host's headers first, with the host's names. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define memcmp      paravane_memcmp
#define strlen      paravane_strlen
#define strnlen     paravane_strnlen
#define strcmp      paravane_strcmp
#define strncmp     paravane_strncmp
#define strchr      paravane_strchr
#define strrchr     paravane_strrchr
#define strstr      paravane_strstr
#define memchr      paravane_memchr
#define strtoul     paravane_strtoul
#define snprintf    paravane_snprintf
#define vsnprintf   paravane_vsnprintf
#define sched_yield paravane_sched_yield
