/* Copies to and from processes: range checks around user-copy.S. */
#include "errno.h"
#include "layout.h"
#include "text.h"
#include "user.h"

struct fixup {
    uintptr_t at, target;
};

uintptr_t user_fixup(uintptr_t rip)
{
    extern const struct fixup fixup_start[], fixup_end[];
    for (const struct fixup *f = fixup_start; f < fixup_end; f++)
        if (f->at == rip)
            return f->target;
    return 0;
}

static bool in_range(user_t start, size_t size)
{
    return start < USER_END && size <= USER_END - start;
}

int user_read(void *to, user_t from, size_t size)
{
    if (!in_range(from, size) || user_copy_raw(to, (const void *)from, size))
        return -EFAULT;
    return 0;
}

int user_write(user_t to, const void *from, size_t size)
{
    if (!in_range(to, size) || user_copy_raw((void *)to, from, size))
        return -EFAULT;
    return 0;
}

int user_zero(user_t to, size_t size)
{
    static const char zeroes[PAGE_SIZE];
    while (size) {
        const size_t n = MIN(size, sizeof(zeroes));
        if (user_write(to, zeroes, n))
            return -EFAULT;
        to += n;
        size -= n;
    }
    return 0;
}

int user_zeroes(user_t from, size_t size)
{
    for (; size; size--, from++) {
        char byte;
        if (user_read(&byte, from, 1))
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    return 0;
}

/* In pieces that end where a page does: the string may be the last thing mapped. */
long user_read_text(char *to, user_t from, size_t size)
{
    size_t length = 0;
    while (length < size) {
        const size_t to_page_end = PAGE_SIZE - (from + length) % PAGE_SIZE;
        const size_t n = MIN(MIN(size - length, to_page_end), (size_t)64);
        if (user_read(to + length, from + length, n))
            return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (!to[length + i])
                return length + i;
        length += n;
    }
    return -ENAMETOOLONG;
}
