/* The hypervisor's command line: words separated by spaces, "key", "key=value" or "no-key". */
#include "lib.h"

char hypervisor_cmdline[1024];

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* The last of several equal keys counts. */
const char *cmdline_get(const char *key, size_t *len)
{
    size_t key_len = strlen(key);
    const char *found = NULL;
    for (const char *p = hypervisor_cmdline; *p;) {
        while (is_space(*p))
            p++;
        const char *word = p;
        while (*p && !is_space(*p))
            p++;
        size_t n = (size_t)(p - word);
        if (n < key_len || memcmp(word, key, key_len))
            continue;
        if (n == key_len) {
            found = p;
            *len = 0;
        } else if (word[key_len] == '=') {
            found = word + key_len + 1;
            *len = n - key_len - 1;
        }
    }
    return found;
}

static bool word_is(const char *s, size_t n, const char *what)
{
    return n == strlen(what) && !memcmp(s, what, n);
}

bool cmdline_denies(const char *key)
{
    static const char *const no[] = {"0", "no", "off", "false", "disable"};
    char negated[32];
    size_t n;

    snprintf(negated, sizeof(negated), "no-%s", key);
    if (cmdline_get(negated, &n))
        return true;
    const char *value = cmdline_get(key, &n);
    for (unsigned i = 0; value && i < ARRAY_SIZE(no); i++)
        if (word_is(value, n, no[i]))
            return true;
    return false;
}

bool cmdline_flag(const char *key)
{
    size_t n;
    const char *value = cmdline_get(key, &n);
    if (!value)
        return false;
    return !n || word_is(value, n, "1") || word_is(value, n, "yes") || word_is(value, n, "on") ||
           word_is(value, n, "true") || word_is(value, n, "enable");
}

unsigned long cmdline_number(const char *key, unsigned long otherwise)
{
    size_t n;
    char *end;
    const char *value = cmdline_get(key, &n);
    if (!value || !n)
        return otherwise;
    unsigned long v = strtoul(value, &end, 0);
    return end == value + n ? v : otherwise;
}

uint64_t parse_size(const char *s, const char **end)
{
    static const char suffix[] = "bkmgt"; /* 2^0, 2^10, ... */
    char *after;
    uint64_t v = strtoul(s, &after, 0);
    unsigned shift = 10;
    if (after != s && *after) {
        const char *p = strchr(suffix, *after | 0x20);
        if (p) {
            shift = 10 * (unsigned)(p - suffix);
            after++;
        }
    }
    if (end)
        *end = after;
    return v << shift >> shift == v ? v << shift : ~0ull;
}
