/*
 * Strings, formatted output and the command line: where ISO C has the function, the host's is the
 * oracle. Before names.h's defines both sets can be named: ours has the prefix paravane_.
 */
#include "suite.h"

#undef snprintf
#undef strtoul
#undef strcmp
#undef strstr
#undef memcmp
#undef memchr
#undef strlen

/* The host's answer and ours, for one format. */
#define same(format, ...)                                                                 \
    do {                                                                                  \
        char want[256], have[256];                                                        \
        memset(want, '!', sizeof(want));                                                  \
        memset(have, '!', sizeof(have));                                                  \
        int n = snprintf(want, sizeof(want), format, __VA_ARGS__);                        \
        int m = paravane_snprintf(have, sizeof(have), format, __VA_ARGS__);               \
        cr_assert(n == m && !memcmp(want, have, sizeof(want)),                            \
                  "\"%s\": \"%s\" (%d), expected \"%s\" (%d)", format, have, m, want, n); \
    } while (0)

Test(text, numbers_format_as_iso_c)
{
    same("%d %i %u", -5, 7, 9u);
    same("%d", -2147483647 - 1);
    same("%ld %lu %zu", -9223372036854775807L - 1, ~0ul, (size_t)42);
    same("%lld %llx", -1LL, ~0ull);
    same("%x %X %#x %#lx %o", 0xbeefu, 0xbeefu, 0x10u, 0x123456789abcdeful, 8u);
    same("[%8d] [%-8d] [%08d] [%+d] [%+d]", 42, 42, -42, 42, -42);
    same("[%5x] [%-5x] [%05x] [%#010x]", 10u, 10u, 10u, 10u);
    same("[%.5d] [%8.5d] [%-8.3u] [%.0d]", 42, 42, 7u, 0);
    same("[%*d] [%-*d] [%*d]", 6, 1, 6, 1, -6, 1);
    same("%016lx %p", 0x1234ul, (void *)0xffff820000000000);
    same("%03lu.%06lu", 5ul, 123456ul);
}

Test(text, strings_format_as_iso_c)
{
    same("%s|%10s|%-10s|", "abc", "abc", "abc");
    same("%.2s|%.*s|%8.3s|", "abc", 1, "abc", "abcdef");
    same("%c%c|%5c|%-5c|", 'a', 'b', 'c', 'd');
    same("100%% %s", "sure");
    /* A precision bounds what is read, too. */
    char unterminated[3] = {'x', 'y', 'z'};
    same("%.3s", unterminated);
}

Test(text, output_is_cut_and_terminated)
{
    for (volatile size_t size = 0; size < 12;
         size++) { /* volatile: the compiler would foresee the cut */
        char want[16], have[16];
        memset(want, '!', sizeof(want));
        memset(have, '!', sizeof(have));
        const char *text = "12345";
        int n = snprintf(want, size, "%s-%s", text, text);
        int m = paravane_snprintf(have, size, "%s-%s", text, text);
        cr_assert(n == m && !memcmp(want, have, sizeof(want)), "size %zu", size);
    }
}

Test(text, strtoul_reads_as_iso_c)
{
    static const char *const s[] = {"0",
                                    "123",
                                    "0x1f",
                                    "0X1Fz",
                                    "017",
                                    "08",
                                    "  42",
                                    "-1",
                                    "+7",
                                    "",
                                    "x",
                                    "0x",
                                    "0xg",
                                    "99999999999999999999",
                                    "18446744073709551615",
                                    "18446744073709551616",
                                    "1f",
                                    "- 1",
                                    "\t9 "};
    static const int base[] = {0, 8, 10, 16, 36};
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
        for (unsigned b = 0; b < ARRAY_SIZE(base); b++) {
            char *want_end, *have_end;
            unsigned long want = strtoul(s[i], &want_end, base[b]);
            unsigned long have = paravane_strtoul(s[i], &have_end, base[b]);
            cr_assert(want == have && want_end == have_end, "\"%s\" base %d: %lu, expected %lu",
                      s[i], base[b], have, want);
        }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

Test(text, comparing_and_finding_agree_with_iso_c)
{
    static const char *const s[] = {"",  "a",    "ab",   "abc", "abd",
                                    "b", "\x80", "bcab", "aab", "cabcabd"};
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(s); j++) {
            cr_assert(sign(paravane_strcmp(s[i], s[j])) == sign(strcmp(s[i], s[j])));
            cr_assert(paravane_strstr(s[i], s[j]) == strstr(s[i], s[j]), "\"%s\" in \"%s\"", s[j],
                      s[i]);
            size_t n = MIN(strlen(s[i]), strlen(s[j])) + 1;
            cr_assert(sign(paravane_memcmp(s[i], s[j], n)) == sign(memcmp(s[i], s[j], n)));
            cr_assert(paravane_memchr(s[i], s[j][0], n) == memchr(s[i], s[j][0], n));
        }
}

Test(text, string_copy_cuts_and_terminates)
{
    char to[4] = "!!!";
    string_copy(to, "abcdef", sizeof(to));
    cr_assert(!strcmp(to, "abc"));
    string_copy(to, "", sizeof(to));
    cr_assert(!strcmp(to, ""));
    string_copy(to, "x", 1);
    cr_assert(!strcmp(to, ""));
}

/* --- the command line ----------------------------------------------------------------------- */

static void command_line(const char *s)
{
    string_copy(hypervisor_cmdline, s, sizeof(hypervisor_cmdline));
}

Test(text, cmdline_finds_whole_words)
{
    size_t n;
    command_line(
        "console=com1,vga  com1=115200,8n1\tloglvl=all noreboot dom0_mem=64M dom0_mem=128M last");
    const char *v = cmdline_get("com1", &n);
    cr_assert(v && n == 10 && !memcmp(v, "115200,8n1", n));
    v = cmdline_get("dom0_mem", &n);
    cr_assert(v && n == 4 && !memcmp(v, "128M", n), "the last of several counts");
    v = cmdline_get("noreboot", &n);
    cr_assert(v && n == 0);
    v = cmdline_get("last", &n);
    cr_assert(v && n == 0);
    cr_assert(!cmdline_get("com", &n) && !cmdline_get("reboot", &n) && !cmdline_get("vga", &n));
    command_line("");
    cr_assert(!cmdline_get("console", &n));
}

Test(text, cmdline_flags_and_numbers)
{
    command_line("a b=1 c=yes d=0 e=no f=on n=12 h=0x1f bad=12x empty=");
    cr_assert(cmdline_flag("a") && cmdline_flag("b") && cmdline_flag("c") && cmdline_flag("f"));
    cr_assert(!cmdline_flag("d") && !cmdline_flag("e") && !cmdline_flag("g"));
    assert_eq_long(cmdline_number("n", 5), 12);
    assert_eq_long(cmdline_number("h", 5), 31);
    assert_eq_long(cmdline_number("bad", 5), 5);
    assert_eq_long(cmdline_number("empty", 5), 5);
    assert_eq_long(cmdline_number("missing", 5), 5);
}

Test(text, sizes_have_suffixes_and_default_to_kib)
{
    const char *end;
    assert_eq_long(parse_size("64M", &end), 64l << 20);
    cr_assert(*end == 0);
    assert_eq_long(parse_size("1g,max:2g", &end), 1l << 30);
    cr_assert(*end == ',');
    assert_eq_long(parse_size("4096", &end), 4096l << 10);
    cr_assert(*end == 0);
    assert_eq_long(parse_size("4096B", NULL), 4096);
    assert_eq_long(parse_size("3k", NULL), 3l << 10);
    assert_eq_long(parse_size("2T", NULL), 2l << 40);
    cr_assert(parse_size("99999999999G", NULL) == ~0ull, "too large is all there is, not little");
    const char *none = "max";
    assert_eq_long(parse_size(none, &end), 0);
    cr_assert(end == none);
}
