/* A page walk of the fake machine (guest-memory.c). */
#pragma once

#include "arch.h"

struct walk {
    mfn_t table[5]; /* of each level */
    mfn_t frame;
    bool writable, user;
};

/* Translate @va from the L4 table at machine address @root; false: not present somewhere. */
bool walk(uint64_t root, uint64_t va, struct walk *w);
