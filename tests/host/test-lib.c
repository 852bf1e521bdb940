/*
 * Core's small C library, checked against the host's: strings, numbers, formatted output; the
 * command line; printk.
 *
 * names.h gives core's functions a prefix here, so that strlen() is core's; the host's printf is
 * reached as a builtin.
 */
#include "suite.h"
#include "../../hypervisor/x86/devices/pci-extended.h"
#include "list.h"

static void start(void)
{
    machine_start(1, 1024);
}

TestSuite(lib, .init = start);

/* --- strings
 * ----------------------------------------------------------------------------------------------------
 */

Test(lib, strings_as_in_c)
{
    assert_eq_long(strlen(""), 0);
    assert_eq_long(strlen("abc"), 3);
    assert_eq_long(strnlen("abc", 2), 2);
    assert_eq_long(strnlen("abc", 9), 3);
    cr_assert(strcmp("a", "b") < 0 && strcmp("b", "a") > 0 && strcmp("a", "a") == 0 &&
              strcmp("a", "ab") < 0);
    cr_assert(strcmp("\xff", "a") > 0, "bytes are unsigned");
    cr_assert(strncmp("abc", "abd", 2) == 0 && strncmp("abc", "abd", 3) < 0 &&
              strncmp("a", "b", 0) == 0);
    cr_assert(memcmp("a\0b", "a\0c", 3) < 0 && memcmp("a\0b", "a\0c", 2) == 0);
    const char *s = "hello";
    cr_assert(strchr(s, 'l') == s + 2 && strrchr(s, 'l') == s + 3 && strchr(s, 'x') == NULL &&
              strchr(s, 0) == s + 5);
    cr_assert(strstr(s, "lo") == s + 3 && strstr(s, "") == s && strstr(s, "lox") == NULL &&
              strstr("", "") != NULL);
    cr_assert(memchr(s, 'o', 5) == s + 4 && memchr(s, 'o', 4) == NULL);
}

Test(lib, string_copy_cuts_and_terminates)
{
    char to[4] = "xxx";
    string_copy(to, "hello", sizeof(to));
    cr_assert(strcmp(to, "hel") == 0);
    string_copy(to, "", sizeof(to));
    cr_assert(to[0] == 0);
    string_copy(to, "abc", 1);
    cr_assert(to[0] == 0);
}

Test(lib, numbers_are_read_as_in_c)
{
    static const struct {
        const char *text;
        int base;
        unsigned long value;
        size_t used;
    } c[] = {{"0", 0, 0, 1},
             {"123abc", 0, 123, 3},
             {"0x1F", 0, 31, 4},
             {"0x", 0, 0, 1},
             {"0xg", 16, 0, 1},
             {"010", 0, 8, 3},
             {"ff", 16, 255, 2},
             {"  42", 0, 42, 4},
             {"-1", 0, ~0ul, 2},
             {"+7", 10, 7, 2},
             {"", 0, 0, 0},
             {"x", 0, 0, 0},
             {"-", 0, 0, 0},
             {"18446744073709551615", 10, ~0ul, 20},
             {"18446744073709551616", 10, ~0ul, 20},
             {"99999999999999999999999", 10, ~0ul, 23},
             {"z", 36, 35, 1}};
    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        char *end;
        unsigned long v = strtoul(c[i].text, &end, c[i].base);
        cr_assert(v == c[i].value && end == c[i].text + c[i].used, "\"%s\": %lu, %ld characters",
                  c[i].text, v, (long)(end - c[i].text));
    }
}

Test(lib, sizes_have_units)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        size_t used;
    } c[] = {{"128M", 128ull << 20, 4},
             {"1G", 1ull << 30, 2},
             {"512k", 512 << 10, 4},
             {"7", 7 << 10, 1},
             {"4096B", 4096, 5},
             {"2T", 2ull << 40, 2},
             {"", 0, 0},
             {"M", 0, 0},
             {"1Gx", 1ull << 30, 2},
             {"64,", 64 << 10, 2},
             {"99999999999T", ~0ull, 12}};
    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        const char *end;
        uint64_t v = parse_size(c[i].text, &end);
        cr_assert(v == c[i].bytes && end == c[i].text + c[i].used, "\"%s\": %lu, %ld characters",
                  c[i].text, (unsigned long)v, (long)(end - c[i].text));
    }
}

/* --- formats
 * ------------------------------------------------------------------------------------------------------
 */

/* The host's printf is the judge. */
#define SAME(...)                                                                                \
    do {                                                                                         \
        char ours_[200], theirs_[200];                                                           \
        int n_ = paravane_snprintf(ours_, sizeof(ours_), __VA_ARGS__);                           \
        int m_ = __builtin_snprintf(theirs_, sizeof(theirs_), __VA_ARGS__);                      \
        cr_assert(n_ == m_ && strcmp(ours_, theirs_) == 0, "\"%s\" (%d), should be \"%s\" (%d)", \
                  ours_, n_, theirs_, m_);                                                       \
    } while (0)

Test(lib, formats_as_in_c)
{
    SAME("plain %% text");
    SAME("%d %d %d %i", 0, -1, 2147483647, -2147483647 - 1);
    SAME("%u %u %x %X %o", 0u, ~0u, 0xbeefu, 0xbeefu, 8u);
    SAME("%ld %lu %lx %llx %zu", -1l, ~0ul, 1ul << 63, ~0ull, (size_t)5);
    SAME("[%5d] [%-5d] [%05d] [%+d] [%2d]", 42, 42, 42, 42, 12345);
    SAME("[%8x] [%-8x] [%08x] [%#x] [%#10x] [%#010x]", 0xabc, 0xabc, 0xabc, 0xabc, 0xabc, 0xabc);
    SAME("[%.3d] [%8.3d] [%-8.3d] [%.0d] [%016lx]", 7, 7, 7, 0, 0x1234ul);
    SAME("[%s] [%5s] [%-5s] [%.2s] [%5.1s] [%.*s]", "abc", "abc", "abc", "abc", "abc", 2, "abc");
    SAME("[%c] [%3c] [%-3c]", 'x', 'x', 'x');
    SAME("[%*d] [%*d]", 6, 42, -6, 42);
    SAME("[%05d] [%06x]", -42, 0xffu);
    SAME("[%hd] [%hhu] [% d] [%lo] [%jd] [%td]", (short)7, (unsigned char)200, -5, 8ul,
         (intmax_t)-9, (ptrdiff_t)3);
    SAME("[%p]", (void *)0x1234);
}

Test(lib, output_never_overruns)
{
    char small[8];
    for (size_t room = 0; room <= sizeof(small); room++) {
        memset(small, '#', sizeof(small));
        int n = snprintf(small, room, "%s", "0123456789");
        assert_eq_long(n, 10);
        for (size_t i = 0; i < sizeof(small); i++) {
            char want = i + 1 < room ? (char)('0' + i) : i + 1 == room ? 0 : '#';
            cr_assert(small[i] == want, "room %zu, byte %zu", room, i);
        }
    }
}

Test(lib, printk_prefixes_lines)
{
    machine_log_clear();
    printk("one\n");
    printk("two %d", 2);
    printk_more(" and %s\n", "more");
    cr_assert(strcmp(machine.log, "(PV) one\r\n(PV) two 2 and more\r\n") == 0, "%s", machine.log);
}

Test(lib, long_lines_are_whole)
{
    char text[1000];
    memset(text, 'y', sizeof(text));
    text[999] = 0;
    machine_log_clear();
    printk("%s\n", text);
    assert_eq_long(strlen(machine.log), 5 + 999 + 2);
    printk("a\nb\nc\n");
    cr_assert(machine_logged("\r\n(PV) a\r\n(PV) b\r\n(PV) c\r\n"));
}

/* --- the command line
 * -----------------------------------------------------------------------------------------------
 */

static void words(const char *line)
{
    string_copy(hypervisor_cmdline, line, sizeof(hypervisor_cmdline));
}

Test(lib, command_line_words)
{
    size_t n;

    words("console=com1 com1=115200,8n1  flag  n=5 bad=5x empty= dom0_mem=128M explain=no last=1 "
          "last=2");
    const char *v = cmdline_get("com1", &n);
    cr_assert(v && n == 10 && memcmp(v, "115200,8n1", 10) == 0);
    cr_assert(cmdline_get("com", &n) == NULL);
    cr_assert(cmdline_get("nothing", &n) == NULL);
    cr_assert(cmdline_get("flag", &n) && n == 0);
    cr_assert(cmdline_flag("flag"));
    cr_assert(!cmdline_flag("explain") && !cmdline_flag("nothing") && !cmdline_flag("n"));
    assert_eq_long(cmdline_number("n", 9), 5);
    assert_eq_long(cmdline_number("bad", 9), 9);
    assert_eq_long(cmdline_number("empty", 9), 9);
    assert_eq_long(cmdline_number("nothing", 9), 9);
    assert_eq_long(cmdline_number("last", 9), 2);
    words("");
    cr_assert(cmdline_get("x", &n) == NULL);
    words("   ");
    cr_assert(cmdline_get("x", &n) == NULL);
    words("x=1");
    assert_eq_long(cmdline_number("x", 0), 1);
    for (unsigned i = 0; i < 5; i++) {
        static const char *const yes[] = {"x=1", "x=yes", "x=on", "x=true", "x=enable"};
        words(yes[i]);
        cr_assert(cmdline_flag("x"), "%s", yes[i]);
    }
}

Test(lib, words_that_are_denied)
{
    string_copy(hypervisor_cmdline, "no-a b=0 c=no d=off e=false f g=1 h=nothing",
                sizeof(hypervisor_cmdline));
    for (const char *key = "abcde"; *key; key++)
        cr_assert(cmdline_denies((char[]){*key, 0}), "%c", *key);
    for (const char *key = "fghx"; *key; key++)
        cr_assert(!cmdline_denies((char[]){*key, 0}), "%c", *key);
}

/* --- capabilities of configuration space (x86/devices/pci-extended.h) --- */

static uint32_t space[1024]; /* of one function */

static uint32_t space_read(uint64_t page, unsigned offset)
{
    cr_assert(page == 0x5000 && offset % 4 == 0 && offset < sizeof(space), "%x", offset);
    return space[offset / 4];
}

static bool resizes(unsigned offset)
{
    return pci_extended_resizes(space_read, 0x5000, offset);
}

Test(lib, what_resizes_a_bar_is_found)
{
    memset(space, 0, sizeof(space));
    cr_assert(!resizes(0x100), "no capability");
    space[0x100 / 4] = 0x0001 | 1 << 16 | 0x150 << 20; /* errors */
    space[0x150 / 4] = 0x0015 | 1 << 16 | 0x200 << 20; /* BARs: two of them */
    space[0x158 / 4] = 2 << 5;
    space[0x200 / 4] = 0x0024 | 1 << 16; /* those of virtual functions: says none, which is one */
    static const struct {
        unsigned offset;
        bool is;
    } rows[] = {{0x100, false}, {0x14f, false}, {0x150, true},  {0x158, true},
                {0x163, true},  {0x164, false}, {0x1ff, false}, {0x208, true},
                {0x20b, true},  {0x20c, false}, {0xfff, false}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert(resizes(rows[i].offset) == rows[i].is, "%x", rows[i].offset);
    space[0x200 / 4] = 0x0001 | 0x100u << 20; /* a list without end */
    cr_assert(!resizes(0xfff), "it ends");
    memset(space, 0xff, sizeof(space));
    cr_assert(!resizes(0x100), "no device");
}
