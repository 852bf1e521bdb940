/*
 * Mutates the sound inputs of a target, the same way each time.
 *
 *   fuzz-NAME [-n MUTATIONS] [-s SEED]     every sound input, mutated so many times
 *   fuzz-NAME -c COUNT [-s SEED]           inputs of random bytes until COUNT steps (hypercalls) are done
 *   fuzz-NAME FILE...                      just these inputs
 *   fuzz-NAME -w DIRECTORY                 write the sound inputs there: libFuzzer starts from them
 *
 * A failure leaves the input that caused it in crash-NAME.bin of the working directory, and says
 * with which numbers it was made.
 */
#include "fuzz.h"

#include "lib.h"

#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

/* The slowest takes milliseconds. */
#define INPUT_SECONDS 60

static struct {
    const char *name;
    uint64_t state;
    uint8_t input[FUZZ_ROOM];
    size_t size;
    unsigned seed, mutation;
} f;

static uint64_t next(void)
{
    uint64_t z = f.state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static size_t below(size_t limit)
{
    return limit ? next() % limit : 0;
}

/* Numbers at which length and bounds arithmetic goes wrong. */
static uint64_t interesting(void)
{
    static const uint64_t value[] = {0,
                                     1,
                                     2,
                                     4,
                                     5,
                                     8,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x100,
                                     0xfff,
                                     0x1000,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x10000,
                                     0x7fffffff,
                                     0x80000000,
                                     0xfffffff8,
                                     0xffffffff,
                                     0x100000000ull,
                                     0x7fffffffffffffffull,
                                     0x8000000000000000ull,
                                     0xfffffffffffff000ull,
                                     0xfffffffffffffff8ull,
                                     ~0ull};
    uint64_t v = value[below(sizeof(value) / sizeof(*value))];
    switch (below(4)) {
    case 0:
        return v - 4 + below(9);
    case 1:
        return f.size + below(33) - 16;
    default:
        return v;
    }
}

/* An interesting number of @bytes bytes at @at, in either byte order. */
static void put(size_t at, unsigned bytes)
{
    const uint64_t v = interesting();
    const bool big_endian = below(2);

    for (unsigned i = 0; i < bytes && at + i < f.size; i++)
        f.input[at + i] = (uint8_t)(v >> 8 * (big_endian ? bytes - 1 - i : i));
}

static void mutate_once(void)
{
    size_t at = below(f.size);

    switch (below(10)) {
    case 0:
        f.input[at] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        f.input[at] = (uint8_t)next();
        break;
    case 2:
    case 3: /* aligned words of the little- and the big-endian format */
        put(at & ~3ull, 4);
        break;
    case 4:
        put(at & ~7ull, 8);
        break;
    case 5:
        put(at & ~1ull, 2);
        break;
    case 6: /* the end is missing */
        f.size = 1 + below(f.size);
        break;
    case 7: { /* a piece stands somewhere else as well */
        size_t n = 1 + below(64);
        size_t from = below(f.size);
        for (size_t i = 0; i < n && at + i < f.size && from + i < f.size; i++)
            f.input[at + i] = f.input[from + i];
        break;
    }
    case 8: { /* a piece is missing, all behind it moves */
        size_t n = 1 + below(16);
        if (at + n >= f.size)
            break;
        for (size_t i = at; i + n < f.size; i++)
            f.input[i] = f.input[i + n];
        f.size -= n;
        break;
    }
    default: { /* the first bytes are where the headers are */
        size_t head = f.size < 0x200 ? f.size : 0x200;
        at = below(head);
        f.input[at] = (uint8_t)interesting();
    }
    }
}

static void save(int sig)
{
    char path[64];
    snprintf(path, sizeof(path), "crash-%s.bin", f.name);
    FILE *out = fopen(path, "wb");
    if (out) {
        fwrite(f.input, 1, f.size, out);
        fclose(out);
    }
    fprintf(stderr, "fuzz-%s: seed input %u, mutation %u: saved as %s\n", f.name, f.seed,
            f.mutation, path);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void run_mutations(unsigned seed, unsigned count, uint64_t start)
{
    static uint8_t sound[FUZZ_ROOM];
    const size_t size = fuzz_seed(seed, sound, sizeof(sound));

    f.seed = seed;
    for (f.mutation = 0; f.mutation < count; f.mutation++) {
        f.state = start ^ ((uint64_t)seed << 40) ^ ((uint64_t)f.mutation << 8);
        memcpy(f.input, sound, size);
        f.size = size;
        for (size_t n = f.mutation ? 1 + below(1 + below(8)) : 0; n > 0; n--)
            mutate_once();
        unsigned before = fuzz_accepted;
        alarm(INPUT_SECONDS);
        (void)LLVMFuzzerTestOneInput(f.input, f.size);
        if (f.mutation == 0 && fuzz_accepted == before) {
            fprintf(stderr, "fuzz-%s: sound input %u is not accepted\n", f.name, seed);
            abort();
        }
    }
}

#define RANDOM_BYTES 2500u

/* New bytes each time: the @f.mutation-th of SEED is always the same. */
static void run_random(unsigned long count, uint64_t start)
{
    const time_t begin = time(NULL);
    unsigned long told = 0;

    printf("TAP version 13\n1..1\n");
    for (f.mutation = 0; fuzz_steps < count; f.mutation++) {
        f.state = start << 32 ^ f.mutation;
        f.size = RANDOM_BYTES;
        for (size_t i = 0; i < f.size; i++)
            f.input[i] = (uint8_t)(next() >> 20);
        alarm(INPUT_SECONDS);
        (void)LLVMFuzzerTestOneInput(f.input, f.size);
        if (fuzz_steps / 1000000 == told)
            continue;
        told = fuzz_steps / 1000000;
        const unsigned long seconds = (unsigned long)(time(NULL) - begin);
        printf("# %lu million in %lu s, %lu a second\n", told, seconds,
               fuzz_steps / (seconds ? seconds : 1));
        fflush(stdout);
    }
    printf("ok 1 - %lu steps in %u inputs of seed %lu\n", count, f.mutation, (unsigned long)start);
}

static int run_files(int argc, char **argv, int first)
{
    for (int i = first; i < argc; i++) {
        FILE *in = fopen(argv[i], "rb");
        if (!in) {
            perror(argv[i]);
            return 2;
        }
        f.size = fread(f.input, 1, sizeof(f.input), in);
        fclose(in);
        (void)LLVMFuzzerTestOneInput(f.input, f.size);
        printf("%s: %s\n", argv[i], fuzz_accepted ? "accepted" : "refused");
    }
    return 0;
}

static int write_seeds(const char *directory)
{
    for (unsigned seed = 0; (f.size = fuzz_seed(seed, f.input, sizeof(f.input))); seed++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/seed-%u", directory, seed);
        FILE *out = fopen(path, "wb");
        if (!out || fwrite(f.input, 1, f.size, out) != f.size || fclose(out)) {
            perror(path);
            return 2;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static uint8_t scratch[FUZZ_ROOM];
    unsigned count = fuzz_mutations, seeds = 0;
    unsigned long steps = 0;
    uint64_t start = 1;
    int option;

    f.name = strrchr(argv[0], '-') ? strrchr(argv[0], '-') + 1 : argv[0];
    while ((option = getopt(argc, argv, "c:n:s:w:")) != -1) {
        if (option == 'n')
            count = (unsigned)strtoul(optarg, NULL, 0);
        else if (option == 'c')
            steps = strtoul(optarg, NULL, 0);
        else if (option == 's')
            start = strtoul(optarg, NULL, 0);
        else
            return option == 'w' ? write_seeds(optarg) : 2;
    }
    signal(SIGABRT, save);
    signal(SIGALRM, save); /* an input that never ends */
    if (optind < argc)
        return run_files(argc, argv, optind);
    if (steps) {
        run_random(steps, start);
        return 0;
    }
    while (fuzz_seed(seeds, scratch, sizeof(scratch)))
        seeds++;
    printf("TAP version 13\n1..%u\n", seeds);
    for (unsigned seed = 0; seed < seeds; seed++) {
        fuzz_accepted = 0;
        run_mutations(seed, count, start);
        printf("ok %u - %u mutations of input %u, %u of them accepted\n", seed + 1, count, seed,
               fuzz_accepted);
        fflush(stdout);
    }
    return 0;
}
