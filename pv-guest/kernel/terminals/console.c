/* The console: the terminal whose other side is the platform's. */
#include "file.h"
#include "platform/platform.h"
#include "tty.h"
#include "window.h"

static struct tty console;

static size_t console_room(struct tty *tty)
{
    return PAGE_SIZE;
}

static void console_put(struct tty *tty, const char *bytes, size_t size)
{
    platform_console_write(bytes, size);
}

static void receive(struct tty *tty, char c)
{
    struct linux_winsize window;
    switch (window_take(c, &window)) {
    case WINDOW_TYPED:
        tty_receive(tty, c);
        break;
    case WINDOW_CHANGED:
        tty_set_window(tty, &window);
        break;
    case WINDOW_TAKEN:
        break;
    }
}

/* Text that the ring has no room for stays with the platform until somebody reads. */
static void console_taken(struct tty *tty)
{
    char typed[128];
    size_t n;
    while (tty->used <= TTY_SIZE - sizeof(typed) &&
           (n = platform_console_read(typed, sizeof(typed))))
        for (size_t i = 0; i < n; i++)
            receive(tty, typed[i]);
}

static void console_tell(struct tty *tty, unsigned what)
{
}

static void console_unused(struct tty *tty)
{
}

static const struct tty_ops ops = {.room = console_room,
                                   .put = console_put,
                                   .taken = console_taken,
                                   .tell = console_tell,
                                   .unused = console_unused};

static bool ready; /* before that nobody listens */

void console_tty_init(void)
{
    tty_init(&console, &ops, DEVICE(5, 1));
    console.window = window_init();
    ready = true;
    console_taken(&console);
}

void console_interrupt(void)
{
    if (!ready)
        return;
    console_taken(&console);
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
