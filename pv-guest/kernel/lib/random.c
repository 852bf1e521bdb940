/*
 * Random bytes for AT_RANDOM, getrandom and /dev/urandom.
 *
 * A xorshift generator stirred with the clock and the TSC at each call.  It makes
 * addresses and hash seeds differ between runs; it is no source of keys, because
 * a small guest has nothing unpredictable to draw from.
 */
#include "random.h"
#include "platform/platform.h"

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    state ^= ((uint64_t)high << 32 | low) * 0xff51afd7ed558ccd;
    state += platform_time();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

void random_bytes(void *to, size_t size)
{
    uint8_t *bytes = to;
    while (size) {
        uint64_t word = next();
        for (unsigned i = 0; i < sizeof(word) && size; i++, size--, word >>= 8)
            *bytes++ = (uint8_t)word;
    }
}
