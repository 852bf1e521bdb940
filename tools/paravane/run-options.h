/* The command line of `paravane run`. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "machine.h"
#include "session.h"

struct run_options {
    struct machine machine;
    struct session_options session;
    const char *hypervisor; /* "paravane", "xen" or a path */
    const char *ramdisk, *extra;
    struct strace_options strace;
    const char *symbols;
    const char **added; /* --add, in order */
    size_t added_count;
    const char *until; /* name of a domain, or NULL */
    const char *bundle_folder;
    unsigned memory_mib, max_memory_mib, vcpus; /* 0: not given */
    unsigned copies;
    bool boot_linux, print_command;
    bool boot_xl;    /* Linux as domain 0, with xl */
    bool help;       /* it was asked for and given, and nothing is to be run */
    char **operands; /* KERNEL [args...] or a.cfg b.cfg ... */
    int operand_count;
};

enum verdict run_options_parse(struct run_options *o, int argc, char **argv);
void run_options_help(FILE *out);

/* Is an operand a description of a domain, and no kernel? */
bool run_options_is_config(const char *path);
