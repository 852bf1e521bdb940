/* The console taken apart into lines.  See lines.h. */
#include "lines.h"

#include <string.h>

#include "window.h"

static const char *const hypervisor_prefix[] = {"(XEN) ", "(PV) "};

enum owner { GUEST, HYPERVISOR, UNDECIDED };

static enum owner owner_of(const struct lines *l)
{
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(hypervisor_prefix[i]);
        size_t n = l->line.size < length ? l->line.size : length;
        if (n && strncmp(l->line.data, hypervisor_prefix[i], n) == 0)
            return n == length ? HYPERVISOR : UNDECIDED;
    }
    return GUEST;
}

static void show(struct lines *l)
{
    if (l->line.size > l->shown) {
        l->sink.guest_text(l->sink.context, l->line.data + l->shown, l->line.size - l->shown);
        l->shown = l->line.size;
    }
}

static void end_line(struct lines *l)
{
    /* What was shown as a guest's stays the guest's. */
    bool is_guest = l->shown > 0 || owner_of(l) != HYPERVISOR;
    if (!l->line.data)
        bytes_append(&l->line, "", 0);
    if (is_guest)
        show(l);
    l->sink.line(l->sink.context, l->line.data, is_guest);
    bytes_drop(&l->line, l->line.size);
    l->shown = 0;
}

static void feed_byte(struct lines *l, char c)
{
    if (c == '\0')
        return;
    if (c == '\r') {
        l->held_cr = true;
        return;
    }
    if (l->held_cr && c != '\n')
        bytes_append(&l->line, "\r", 1);
    l->held_cr = false;
    if (c == '\n')
        end_line(l);
    else
        bytes_append(&l->line, &c, 1);
}

/* Questions to a terminal that may be taken out of the text.  A shell that edits lines asks the first at each prompt, also
 * when its keyboard is a file. */
enum question { CURSOR, WINDOW, QUESTIONS };
static const char *const questions[QUESTIONS] = {[CURSOR] = "\033[6n", [WINDOW] = WINDOW_ASKED};

static bool takes_out(const struct lines *l, enum question q)
{
    return q == CURSOR ? l->deaf : l->hears_window;
}

/* What began like a question, and is none. */
static void give_back_question(struct lines *l)
{
    const size_t held = l->held;
    l->held = 0;
    for (size_t i = 0; i < held; i++)
        feed_byte(l, l->question[i]);
}

/* The one that @c goes on with, behind what is held; or QUESTIONS. */
static enum question question_with(const struct lines *l, char c)
{
    enum question q = 0;
    while (q < QUESTIONS && !(takes_out(l, q) && !strncmp(questions[q], l->question, l->held) &&
                              questions[q][l->held] == c))
        q++;
    return q;
}

static void feed(struct lines *l, char c)
{
    enum question q = question_with(l, c);
    if (q == QUESTIONS && l->held) {
        give_back_question(l);
        q = question_with(l, c);
    }
    if (q == QUESTIONS) {
        feed_byte(l, c);
        return;
    }
    l->question[l->held++] = c;
    if (questions[q][l->held])
        return;
    l->held = 0;
    if (q == WINDOW)
        l->sink.window(l->sink.context);
}

/* Does the hypervisor speak up behind a guest's prompt?  Xen does not begin a new line for that. */
static bool interrupts_prompt(const struct lines *l, const char *data, size_t size)
{
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(hypervisor_prefix[i]);
        if (l->shown > 0 && size > length && memcmp(data, hypervisor_prefix[i], length) == 0)
            return true;
    }
    return false;
}

void lines_feed(struct lines *l, const char *data, size_t size)
{
    if (interrupts_prompt(l, data, size))
        end_line(l);
    for (size_t i = 0; i < size; i++)
        feed(l, data[i]);
    if (l->shown > 0 || owner_of(l) == GUEST)
        show(l);
}

void lines_flush(struct lines *l)
{
    give_back_question(l);
    if (owner_of(l) != HYPERVISOR)
        show(l);
}

void lines_finish(struct lines *l)
{
    give_back_question(l);
    if (l->line.size)
        end_line(l);
}

bool lines_has_prompt(const struct lines *l)
{
    return l->line.size > 0 && owner_of(l) != HYPERVISOR;
}
