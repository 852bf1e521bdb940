/* The window, told to a guest that asked.  See window.h. */
#include "window.h"

#include <unistd.h>

#define DLE "\020"

bool window_size(struct winsize *size)
{
    return !ioctl(STDIN_FILENO, TIOCGWINSZ, size) && size->ws_row && size->ws_col;
}

char *window_words(void)
{
    struct winsize size;
    if (!window_size(&size))
        return NULL;
    return memory_format("ROWS=%u COLUMNS=%u", size.ws_row, size.ws_col);
}

void window_tell(struct bytes *typed, const struct winsize *size)
{
    bytes_format(typed, DLE "\033[48;%u;%u;0;0t", size->ws_row, size->ws_col);
}

void window_type(struct bytes *typed, const char *keys, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (keys[i] == DLE[0])
            bytes_append(typed, DLE, 1);
        bytes_append(typed, &keys[i], 1);
    }
}
