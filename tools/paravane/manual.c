/* The reference manual, found beside the build or where it was installed.  See manual.h. */
#include "manual.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static FILE *manual_open(void)
{
    static const char *const places[] = {SOURCE_ROOT "/hypercall-abi/MANUAL.md",
                                         SOURCE_ROOT "/hypercall-abi/manual.md",
                                         DATA_DIR "/paravane/manual.md"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        FILE *f = fopen(places[i], "re");
        if (f)
            return f;
    }
    return NULL;
}

/* 2 for "## ...", 0 for a line that is no heading. */
static size_t heading_level(const char *line)
{
    size_t n = strspn(line, "#");
    return line[n] == ' ' ? n : 0;
}

/* Is @name a whole word of @line? */
static bool names(const char *line, const char *name)
{
    static const char *const word =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t length = strlen(name);
    for (const char *at = line; (at = strstr(at, name)); at++)
        if ((at == line || !strchr(word, at[-1])) && (!at[length] || !strchr(word, at[length])))
            return true;
    return false;
}

int manual_print(const char *name)
{
    FILE *f = manual_open();
    char *line = NULL;
    size_t room = 0, level = 0;
    bool inside = false, found = false;

    while (f && getline(&line, &room, f) >= 0) {
        size_t heading = heading_level(line);
        if (inside && heading && heading <= level)
            inside = false;
        if (!found && heading && names(line, name)) {
            found = inside = true;
            level = heading;
        }
        if (inside)
            fputs(line, stdout);
    }
    free(line);
    if (f)
        fclose(f);
    return found ? 0 : -1;
}
