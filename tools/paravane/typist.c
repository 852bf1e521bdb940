/* Typing a prepared text to a guest.  See typist.h. */
#include "typist.h"

#include <string.h>

enum { CHUNK = 64, PROMPT_MS = 80, REST_MS = 1000 };

#define END_OF_INPUT "\004"

void typist_hear(struct typist *t, const char *text, size_t size)
{
    size_t read = 0;

    t->heard |= size > 0;
    t->answered |= t->said_end && size > 0;
    for (size_t i = 0; i < size && read < t->unread.size; i++)
        read += text[i] == t->unread.data[read];
    if (read)
        bytes_drop(&t->unread, read);
}

static bool has_work(const struct typist *t)
{
    return t->text.size > 0 || (t->closed && t->typed && (!t->said_end || t->answered));
}

int64_t typist_patience(const struct typist *t, bool prompt)
{
    if (!t->heard || !has_work(t))
        return -1;
    if (t->answered) /* the end again, and only to somebody who asks */
        return prompt ? REST_MS : -1;
    if (t->in_line && !t->unread.size)
        return 0; /* read already: go on with the line */
    return prompt && !t->in_line ? PROMPT_MS : REST_MS;
}

static size_t next_chunk(const struct typist *t)
{
    const char *newline = memchr(t->text.data, '\n', t->text.size);
    size_t n = newline ? (size_t)(newline - t->text.data) + 1 : t->text.size;
    return n < CHUNK ? n : CHUNK;
}

size_t typist_take(struct typist *t, int64_t quiet_ms, bool prompt, const char **text)
{
    static char chunk[CHUNK];
    int64_t patience = typist_patience(t, prompt);

    if (patience < 0 || quiet_ms < patience)
        return 0;
    *text = chunk;
    if (!t->text.size) {
        t->said_end = true;
        t->answered = false;
        chunk[0] = END_OF_INPUT[0];
        return 1;
    }

    size_t n = next_chunk(t);
    memcpy(chunk, t->text.data, n);
    bytes_drop(&t->text, n);
    t->typed = true;
    t->in_line = chunk[n - 1] != '\n';
    bytes_drop(&t->unread, t->unread.size);
    bytes_append(&t->unread, chunk, t->in_line ? n : n - 1); /* the newline's echo may be CR LF */
    return n;
}
