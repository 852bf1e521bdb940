/*
 * A fuzz target: one function that eats any bytes, and the sound inputs that mutation starts from.
 *
 * Built twice: with driver.c (deterministic, for every test run) and, where clang has libFuzzer, as
 * a fuzzer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name.  Always 0; what is wrong aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The @i-th sound input into @to: its size, or 0 if there are fewer. */
size_t fuzz_seed(unsigned i, uint8_t *to, size_t room);
/* How many mutations of each seed a test run does, and whether the seeds themselves must be
 * accepted. */
extern const unsigned fuzz_mutations;
/* For the summary: inputs that were accepted so far. */
extern unsigned fuzz_accepted;
/* What -c counts. */
extern unsigned long fuzz_steps;

#define FUZZ_ROOM 0x8000u
