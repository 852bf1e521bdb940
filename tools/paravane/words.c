/* Words on the hypervisor's command line.  See words.h. */
#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "verdict.h"

/* What Paravane reads (the test `errors` compares), and Xen's log levels, which it takes as they come. */
static const char *const known[] = {
    "ap-wait",      "audit-pause", "bootscrub",         "com1",
    "com2",         "console",     "debug-exit",        "dom0_max_vcpus",
    "dom0_mem",     "explain",     "gnttab_max_frames", "gnttab_max_maptrack_frames",
    "guest_loglvl", "loglvl",      "maxcpus",           "nmi",
    "noreboot",     "nosmp",       "reboot-limit",      "restart-delay",
    "store",        "strace",
};

static bool is_known(const char *word)
{
    const size_t length = strcspn(word, "=");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i]) == length && !strncmp(known[i], word, length))
            return true;
    return false;
}

void words_warn(const char *text)
{
    char *copy = memory_strdup(text), *rest = copy;
    for (char *word; (word = strtok_r(rest, " \t\n", &rest));)
        if (!is_known(word) && !(strncmp(word, "no-", 3) == 0 && is_known(word + 3)))
            verdict_warn(
                "--append %s: Paravane knows no such word, so it has no effect; correct it "
                "(hypercall-abi/hyperlaunch.md lists them), or leave it out",
                word);
    free(copy);
}
