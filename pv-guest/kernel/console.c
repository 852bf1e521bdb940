/* The console: the terminal whose other side is the platform's. */
#include "file.h"
#include "platform/platform.h"
#include "text.h"
#include "tty.h"

static struct tty console;
static struct linux_winsize window = {24, 80, 0, 0}; /* unless the command line knows better */

static size_t room(struct tty *tty)
{
    return PAGE_SIZE;
}

static void put(struct tty *tty, const char *bytes, size_t size)
{
    platform_console_write(bytes, size);
}

/* Text that the ring has no room for stays with the platform until somebody reads. */
static void taken(struct tty *tty)
{
    char typed[128];
    size_t n;
    while (tty->used <= TTY_SIZE - sizeof(typed) &&
           (n = platform_console_read(typed, sizeof(typed))))
        for (size_t i = 0; i < n; i++)
            tty_receive(tty, typed[i]);
}

static void tell(struct tty *tty, unsigned what)
{
}

static void unused(struct tty *tty)
{
}

static const struct tty_ops ops = {
    .room = room, .put = put, .taken = taken, .tell = tell, .unused = unused};

static bool ready; /* before that nobody listens */

void console_rows(const char *text)
{
    const unsigned long rows = text_number(&text, 10);
    if (rows && rows <= UINT16_MAX)
        window.rows = rows;
}

void console_columns(const char *text)
{
    const unsigned long columns = text_number(&text, 10);
    if (columns && columns <= UINT16_MAX)
        window.columns = columns;
}

void console_tty_init(void)
{
    tty_init(&console, &ops, DEVICE(5, 1));
    console.window = window;
    ready = true;
    taken(&console);
}

void console_interrupt(void)
{
    if (!ready)
        return;
    taken(&console);
    tty_wake_readers(&console);
}

void console_give(int session)
{
    console.session = console.group = session;
}

static long console_open(struct file *file)
{
    return tty_opened(file, &console);
}

const struct file_ops console_ops = TTY_FILE_OPS(console_open);
