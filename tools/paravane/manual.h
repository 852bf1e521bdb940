/* The reference manual of hypercall-abi/, a chapter at a time. */
#pragma once

/*
 * Print the section of the manual whose heading contains the word @name, up to
 * the next heading of its level.  Returns 0, or -1 if the manual is not there
 * or has no such section; that is no error, the lists say the essentials.
 */
int manual_print(const char *name);
