/* A guest's TAP out of its console.  See tap.h. */
#include "tap.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void tap_init(struct tap *t)
{
    *t = (struct tap){.speaker = -1, .planned = -1};
}

static bool begins(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

/* "ok" or "not ok", followed by the end of the line or a blank. */
static bool is_result(const char *line, const char *word)
{
    char after = line[strlen(word)];
    return begins(line, word) && (after == '\0' || after == ' ');
}

/* The directive behind "# ", as in `ok 3 # SKIP no PCID`. */
static bool directive(const char *line, const char *word)
{
    for (const char *hash = strstr(line, "# "); hash; hash = strstr(hash + 1, "# "))
        if (strncasecmp(hash + 2, word, strlen(word)) == 0)
            return true;
    return false;
}

static bool tap_count(struct tap *t, const char *line)
{
    if (is_result(line, "ok"))
        directive(line, "SKIP") ? t->skipped++ : t->passed++;
    else if (is_result(line, "not ok"))
        directive(line, "TODO") ? t->skipped++ : t->failed++;
    else if (begins(line, "1..") && isdigit((unsigned char)line[3]))
        t->planned = strtol(line + 3, NULL, 10);
    else if (begins(line, "Bail out!"))
        t->bailed = true;
    else
        return begins(line, "TAP version ");
    return true;
}

void tap_read(struct tap *t, const char *line)
{
    int domain = 0, skip = 0;
    if (sscanf(line, "(d%d) %n", &domain, &skip) != 1 || !skip)
        domain = skip = 0;
    const char *text = line + skip;

    bool heard = t->speaker < 0 || t->speaker == domain;
    if (heard && tap_count(t, text)) {
        t->speaker = domain;
        puts(text);
    } else {
        printf(begins(line, "#") ? "%s\n" : "# %s\n", line);
    }
}

enum verdict tap_verdict(const struct tap *t)
{
    long seen = t->passed + t->failed + t->skipped;

    if (t->bailed)
        return verdict_say(VERDICT_GUEST_FAILED, "the guest gave up its tests (Bail out!)");
    if (t->planned < 0)
        return verdict_say(
            VERDICT_GUEST_FAILED,
            "the guest printed no TAP plan (1..N) in %ld results; it ended too early", seen);
    if (t->planned != seen)
        return verdict_say(VERDICT_GUEST_FAILED,
                           "the guest planned %ld tests, but reported %ld; it ended too early",
                           t->planned, seen);
    if (t->failed)
        return verdict_say(VERDICT_GUEST_FAILED, "%ld of the guest's %ld tests failed", t->failed,
                           seen);
    return VERDICT_OK;
}
