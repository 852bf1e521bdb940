/*
 * Where the tool writes: stdout, stderr and the files of --log and
 * --strace-output.  A byte that cannot be written is never lost in silence:
 * the first error of each is kept, and ends the command with HOST_FAILED.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "verdict.h"

/*
 * First thing in main().  Of the descriptors 0 to 2, those that are closed are given something to
 * stand there, so that no file of ours lands on them: stdin ends at once, writing to stdout is an
 * error, and stderr is thrown away (who closes it wants that).
 */
void output_start(void);

/* Open @path for writing; NULL with errno.  Close it with output_close(). */
FILE *output_open(const char *path);

/* Write out what is buffered, close; NULL is allowed. */
void output_close(FILE *file);

/* Write out everything that is buffered.  False if a byte of any output was lost, now or before. */
bool output_flush(void);

/* Flush; @v, or HOST_FAILED with a sentence (once) if a byte was lost. */
enum verdict output_check(enum verdict v);
