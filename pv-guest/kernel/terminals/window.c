/*
 * The window that the console is shown in.
 *
 * The command line tells its size at first (ROWS=, COLUMNS=).  With resize=1 whoever is at the other end of the console tells each
 * change, too.  This kernel asks as a program asks its terminal, with CSI ? 2048 h, and finds among what is typed
 *
 *     DLE CSI 48 ; rows ; columns ; height ; width t    the terminal's report (its last two numbers are pixels)
 *     DLE DLE                                           a DLE that was typed
 *
 * CSI is ESC [.  A terminal's own report has no DLE before it.  There is one because ESC is also a key: whoever reads it would have
 * to hold it back until a time has passed and nothing followed.  What follows a DLE is certain.
 */
#include "platform/platform.h"
#include "text.h"
#include "window.h"

#define DLE 16
#define ESC 27

static enum { OUTSIDE, BEGUN, INSIDE } place;
static char report[40]; /* behind ESC, so far */
static size_t used;

static struct linux_winsize first = {24, 80, 0, 0}; /* unless the command line knows better */
static bool told;

/* Decimal digits at *@text, which moves behind them; false if it is no size. */
static bool read_number(const char **text, uint16_t *to)
{
    const unsigned long number = text_number(text, 10);
    if (!number || number > UINT16_MAX)
        return false;
    *to = number;
    return true;
}

void window_rows(const char *text)
{
    (void)read_number(&text, &first.rows);
}

void window_columns(const char *text)
{
    (void)read_number(&text, &first.columns);
}

void window_told(void)
{
    told = true;
}

struct linux_winsize window_init(void)
{
    static const char ask[] = "\033[?2048h";
    if (told)
        platform_console_write(ask, sizeof(ask) - 1);
    return first;
}

/* The report is whole; one that cannot be understood changes nothing. */
static enum window_byte end(struct linux_winsize *window)
{
    static const char head[] = "[48;";
    const char *at = report + sizeof(head) - 1;
    struct linux_winsize now = {0};
    report[used] = 0;
    place = OUTSIDE;
    if (strncmp(report, head, sizeof(head) - 1) || !read_number(&at, &now.rows) || *at++ != ';' ||
        !read_number(&at, &now.columns) || (*at != ';' && *at != 't'))
        return WINDOW_TAKEN;
    *window = now;
    return WINDOW_CHANGED;
}

/* ECMA-48: parameters are below 0x40, the byte that ends them is not. */
static enum window_byte window_add(char c, struct linux_winsize *window)
{
    const bool last = used ? c >= 0x40 || used == sizeof(report) - 2 : c != '[';
    report[used++] = c;
    return last ? end(window) : WINDOW_TAKEN;
}

enum window_byte window_take(char c, struct linux_winsize *window)
{
    const bool inside = place == INSIDE, begun = place == BEGUN;
    if (inside)
        return window_add(c, window);
    place = begun && c == ESC ? INSIDE : told && !begun && c == DLE ? BEGUN : OUTSIDE;
    used = 0;
    return place == OUTSIDE ? WINDOW_TYPED : WINDOW_TAKEN;
}
