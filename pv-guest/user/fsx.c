/*
 * Random operations on one file, each compared with a model in memory.
 *
 *      fsx FILE SEED STEPS [SIZE]
 *
 * It reads, writes, maps, truncates, makes holes, syncs and opens again, at random places, mostly odd ones; what it reads must be
 * what the model has.  It prints one line, and the last operations before that if something is another than it should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_LINES 40
#define PIECE     65536u /* the most that one operation is about */

static uint8_t *model, *buffer;
static size_t size, most = 1 << 20;
static const char *path;
static int fd;
static uint64_t state;
static unsigned long step;
static char lines[LOG_LINES][96];

static unsigned roll(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
}

static void note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(lines[step % LOG_LINES], sizeof(lines[0]), format, list);
    va_end(list);
}

static void fail(const char *what, size_t at)
{
    const int error = errno;
    for (unsigned long i = step >= LOG_LINES ? step - LOG_LINES + 1 : 0; i <= step; i++)
        printf("# %lu: %s\n", i, lines[i % LOG_LINES]);
    printf("fsx: step %lu: %s at %zu (errno %d)\n", step, what, at, error);
    exit(1);
}

static void compare(const uint8_t *found, size_t from, size_t n, const char *how)
{
    for (size_t i = 0; i < n; i++)
        if (found[i] != model[from + i]) {
            printf("# it is 0x%02x, and should be 0x%02x\n", found[i], model[from + i]);
            fail(how, from + i);
        }
}

/* A place in the file and a length from there, at most to its end. */
static size_t place(size_t end, size_t *n)
{
    const size_t at = end ? roll(end) : 0;
    *n = end > at ? 1 + roll((end - at < PIECE ? end - at : PIECE)) : 0;
    return roll(4) ? at : at & ~(size_t)4095 & ~(size_t)511;
}

static void random_bytes(uint8_t *to, size_t n)
{
    const unsigned first = roll(256), add = roll(3);
    for (size_t i = 0; i < n; i++)
        to[i] = first + i * add + (i >> 8);
}

static void do_read(void)
{
    size_t n, at = place(size, &n);
    note("read %zu + %zu of %zu", at, n, size);
    const ssize_t done = pread(fd, buffer, n, at);
    if (done != (ssize_t)(at + n > size ? size - at : n))
        fail("read tells another length", at);
    compare(buffer, at, done, "read finds something else");
}

static void do_write(void)
{
    size_t n, at = place(most - PIECE, &n);
    note("write %zu + %zu of %zu", at, n, size);
    random_bytes(buffer, n);
    if (pwrite(fd, buffer, n, at) != (ssize_t)n)
        fail("write fails", at);
    memcpy(model + at, buffer, n);
    size = at + n > size ? at + n : size;
}

static void do_map(int writes)
{
    size_t n, at = place(size, &n);
    const size_t base = at & ~(size_t)4095;
    if (at + n > size)
        n = size - at;
    note("%s map %zu + %zu of %zu", writes ? "write" : "read", at, n, size);
    if (!n)
        return;
    uint8_t *const map =
        mmap(NULL, at - base + n, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, base);
    if (map == MAP_FAILED)
        fail("mmap fails", at);
    compare(map, base, at - base + n, "a mapping shows something else");
    if (writes) {
        random_bytes(model + at, n);
        memcpy(map + (at - base), model + at, n);
        if (roll(4) == 0 && msync(map, at - base + n, MS_SYNC))
            fail("msync fails", at);
    }
    if (munmap(map, at - base + n))
        fail("munmap fails", at);
}

static void do_truncate(void)
{
    const size_t to = roll(3) ? roll(most - PIECE) : size / 2 + roll(5000);
    note("truncate %zu to %zu", size, to);
    if (roll(2) ? ftruncate(fd, to) : truncate(path, to))
        fail("truncate fails", to);
    if (to < size)
        memset(model + to, 0, size - to);
    size = to;
}

static void do_punch(void)
{
    size_t n, at = place(size, &n);
    if (at + n > size)
        n = size - at;
    note("hole %zu + %zu of %zu", at, n, size);
    if (!n)
        return;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n)) {
        if (errno != EOPNOTSUPP)
            fail("punching a hole fails", at);
        return;
    }
    memset(model + at, 0, n);
}

/* Between data and hole nothing but zeroes is skipped. */
static void do_seek(void)
{
    size_t n, at = place(size, &n);
    note("seek data from %zu of %zu", at, size);
    if (at >= size)
        return;
    const off_t to = lseek(fd, at, SEEK_DATA);
    if (to < 0 && errno != ENXIO)
        fail("seeking data fails", at);
    for (size_t i = at; i < (to < 0 ? size : (size_t)to); i++)
        if (model[i])
            fail("data is in a hole", i);
}

static void do_again(void)
{
    note("open again, of %zu", size);
    if (close(fd) || (fd = open(path, O_RDWR)) < 0)
        fail("it cannot be opened again", 0);
}

static void do_sync(void)
{
    note("sync, of %zu", size);
    if (roll(2) ? fsync(fd) : fdatasync(fd))
        fail("fsync fails", 0);
}

static void check_size(void)
{
    struct stat s;
    if (fstat(fd, &s) || (size_t)s.st_size != size)
        fail("its size is another", s.st_size);
}

static void whole(void)
{
    note("all of %zu", size);
    for (size_t at = 0; at < size; at += PIECE) {
        const ssize_t n = pread(fd, buffer, PIECE, at);
        if (n != (ssize_t)(size - at < PIECE ? size - at : PIECE))
            fail("read tells another length", at);
        compare(buffer, at, n, "read finds something else");
    }
}

static void operate(void)
{
    switch (roll(20)) {
    case 0:
        do_truncate();
        break;
    case 1:
    case 2:
        do_punch();
        break;
    case 3:
        do_seek();
        break;
    case 4:
        roll(8) ? do_again() : do_sync();
        break;
    case 5:
    case 6:
    case 7:
        do_map(0);
        break;
    case 8:
    case 9:
    case 10:
        do_map(1);
        break;
    case 11:
    case 12:
    case 13:
    case 14:
        do_read();
        break;
    default:
        do_write();
    }
    check_size();
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: fsx FILE SEED STEPS [SIZE]\n");
        return 2;
    }
    path = argv[1];
    state = strtoul(argv[2], NULL, 0);
    if (argc > 4)
        most = strtoul(argv[4], NULL, 0);
    if (most < 2 * PIECE)
        most = 2 * PIECE;
    model = calloc(1, most + PIECE);
    buffer = malloc(PIECE);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (!model || !buffer || fd < 0) {
        perror(path);
        return 2;
    }
    const unsigned long steps = strtoul(argv[3], NULL, 0);
    for (step = 0; step < steps; step++) {
        operate();
        if (step % 1000 == 999)
            whole();
    }
    whole();
    printf("fsx: %lu steps, no difference\n", steps);
    return 0;
}
