/* Names in a Linux image.  See kallsyms.h. */
#include "kallsyms.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define TOKENS      256
#define MARKED      256 /* symbols between two markers */
#define LEAST       1000
#define MOST        2000000
#define NAME_MOST   512
#define LOOK_BACK   (32u << 20) /* names are not larger */
#define KERNEL_LOW  0xffffffff80000000ull
#define KERNEL_HIGH 0xffffffffc0000000ull

struct tables {
    const uint8_t *image;
    size_t size;
    size_t tokens, index; /* token_table, token_index: offsets in the image */
    size_t names, count, markers, offsets;
    uint64_t base;
};

static uint16_t u16(const struct tables *t, size_t at)
{
    uint16_t value;
    memcpy(&value, t->image + at, sizeof(value));
    return value;
}

static uint32_t u32(const struct tables *t, size_t at)
{
    uint32_t value;
    memcpy(&value, t->image + at, sizeof(value));
    return value;
}

static uint64_t u64(const struct tables *t, size_t at)
{
    uint64_t value;
    memcpy(&value, t->image + at, sizeof(value));
    return value;
}

static size_t aligned(size_t at)
{
    return (at + 7) & ~(size_t)7;
}

/* --- Tokens: those of the digits stand behind one another -------------------- */

static bool tokens_at(struct tables *t, size_t digits)
{
    size_t start = digits;
    /* Back over the tokens below '0', each ended by a zero. */
    for (unsigned n = 0; n < '0'; n++) {
        if (start < 2 || t->image[start - 1] != 0)
            return false;
        for (start--; start > 0 && t->image[start - 1] != 0; start--)
            ;
    }
    size_t end = start;
    for (unsigned n = 0; n < TOKENS; n++) {
        const uint8_t *zero = memchr(t->image + end, 0, t->size - end);
        if (!zero)
            return false;
        end = (size_t)(zero - t->image) + 1;
    }
    t->tokens = start;
    t->index = aligned(end);
    if (t->index + 2 * TOKENS > t->size || u16(t, t->index) != 0)
        return false;
    for (size_t n = 0; n < TOKENS; n++)
        if (u16(t, t->index + 2 * n) >= end - start)
            return false;
    return u16(t, t->index + 2 * '0') == digits - start;
}

static bool find_tokens(struct tables *t)
{
    static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009"; /* and a zero */
    for (const uint8_t *at = t->image;
         (at = memmem(at, t->size - (size_t)(at - t->image), digits, sizeof(digits))); at++)
        if (tokens_at(t, (size_t)(at - t->image)))
            return true;
    return false;
}

/* --- Names ------------------------------------------------------------------- */

/* The name at *@at, type letter first; false: it is none. */
static bool next_name(const struct tables *t, size_t *at, size_t end, char name[NAME_MOST])
{
    size_t length, used = 0;

    if (*at + 2 > end)
        return false;
    length = t->image[(*at)++];
    if (length & 0x80)
        length = (length & 0x7f) | (size_t)t->image[(*at)++] << 7;
    if (!length || *at + length > end)
        return false;
    for (; length; length--) {
        const char *token =
            (const char *)t->image + t->tokens + u16(t, t->index + 2 * (size_t)t->image[(*at)++]);
        const size_t n = strlen(token);
        if (used + n >= NAME_MOST)
            return false;
        memcpy(name + used, token, n);
        used += n;
    }
    name[used] = '\0';
    return used > 1 && isalpha((unsigned char)*name);
}

/* Do @count names stand at @names, with the right markers behind them? */
static bool names_at(struct tables *t, size_t names, size_t count)
{
    char name[NAME_MOST];
    size_t at = names;

    for (size_t i = 0; i < count; i++)
        if (!next_name(t, &at, t->tokens, name))
            return false;
    t->markers = aligned(at);
    if (t->markers + 4 * ((count + MARKED - 1) / MARKED) > t->tokens)
        return false;
    at = names;
    for (size_t i = 0; i < count; i++) {
        if (i % MARKED == 0 && u32(t, t->markers + 4 * (i / MARKED)) != at - names)
            return false;
        (void)next_name(t, &at, t->tokens, name);
    }
    t->names = names;
    t->count = count;
    return true;
}

static bool is_base(const struct tables *t, size_t at)
{
    return at + 8 <= t->size && u64(t, at) >= KERNEL_LOW && u64(t, at) < KERNEL_HIGH;
}

/* The offsets are in front of the number, or behind the tokens. */
static bool find_offsets(struct tables *t, size_t number)
{
    const size_t bytes = aligned(4 * t->count);
    const size_t behind = t->index + 2 * TOKENS;

    if (number >= bytes + 8 && is_base(t, number - 8)) {
        t->offsets = number - 8 - bytes;
        t->base = u64(t, number - 8);
        return true;
    }
    if (is_base(t, behind + bytes)) {
        t->offsets = behind;
        t->base = u64(t, behind + bytes);
        return true;
    }
    return false;
}

static bool find_names(struct tables *t)
{
    const size_t last = t->tokens > LOOK_BACK ? t->tokens - LOOK_BACK : 8;
    for (size_t at = t->tokens & ~(size_t)7; at > last; at -= 8) {
        const uint64_t count = u64(t, at);
        if (count >= LEAST && count <= MOST && names_at(t, at + 8, count) && find_offsets(t, at))
            return true;
    }
    return false;
}

size_t kallsyms_read(const void *image, size_t size,
                     void (*found)(void *context, uint64_t address, const char *name),
                     void *context)
{
    struct tables t = {.image = image, .size = size};
    char name[NAME_MOST];

    if (size < 4096 || !find_tokens(&t) || !find_names(&t))
        return 0;
    size_t at = t.names;
    for (size_t i = 0; i < t.count && next_name(&t, &at, t.tokens, name); i++) {
        const int32_t offset = (int32_t)u32(&t, t.offsets + 4 * i);
        if (offset < 0 && strchr("tTwW", *name))
            found(context, t.base - 1 - (uint64_t)(int64_t)offset, name + 1);
    }
    return t.count;
}
