/*
 * Addresses to names, with libdwfl.
 *
 * One address space a program: the hypervisor's (L4 slots 256-271, fixed by the
 * ABI) and one for each domain, all loaded where they were linked.  Which
 * domain a line is about, its prefix says ("(PV) d2v0 ..."); lines of a dump
 * that do not repeat it mean the one last named.
 */
#include "symbols.h"

#include <elfutils/libdwfl.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "file.h"
#include "kallsyms.h"
#include "memory.h"

#define HYPERVISOR_START 0xffff800000000000ull
#define HYPERVISOR_END   0xffff880000000000ull

/* A line of a System.map. */
struct symbol {
    uint64_t address;
    char *name;
};

struct program {
    char *path; /* or NULL: nothing known */
    Dwfl *dwfl; /* or NULL: not read yet */
    char *map;  /* a System.map to look at first, or NULL */
    struct symbol *symbols;
    size_t symbol_count, symbol_room;
    const struct kernel_image *linux_image; /* or else a stripped Linux to look into, or NULL */
};

struct symbols {
    struct program hypervisor, *guests;
    unsigned *ids;
    size_t count, current; /* current: the domain last named */
};

/* Symbols are kept beside the file that is booted: QEMU wants a 32-bit ELF there. */
static char *find_debug(const char *path)
{
    static const char *const endings[] = {".debug", "-syms", ".elf", ""};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char *name = memory_format("%s%s", path, endings[i]);
        if (file_exists(name))
            return name;
        free(name);
    }
    return NULL;
}

/* The ELF of a guest: its file, or what was unpacked from it, as a memfd. */
static char *guest_path(const struct kernel_image *kernel)
{
    struct bundle in_memory = {0};
    char *name = NULL;

    if (!kernel->unpacked)
        return memory_strdup(kernel->path);
    return bundle_add_data(&in_memory, "symbols", kernel->data, kernel->size, &name) ? NULL : name;
}

/* Linux's lies beside its kernel; Debian's says in one line that it is elsewhere. */
static char *map_beside(const char *kernel)
{
    const char *name = strstr(kernel, "vmlinuz-");
    if (!name || strchr(name, '/'))
        return NULL;
    char *path =
        memory_format("%.*sSystem.map-%s", (int)(name - kernel), kernel, name + strlen("vmlinuz-"));
    size_t size = 0;
    if (file_exists(path) && file_check(path, "the symbols", &size) == VERDICT_OK && size > 4096)
        return path;
    free(path);
    return NULL;
}

struct symbols *symbols_open(const char *hypervisor, const struct domain *domains, size_t count)
{
    struct symbols *s = memory_zalloc(sizeof(*s));
    s->hypervisor.path = hypervisor ? find_debug(hypervisor) : NULL;
    s->guests = memory_zalloc(count * sizeof(*s->guests));
    s->ids = memory_zalloc(count * sizeof(*s->ids));
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        s->ids[i] = domains[i].id;
        s->guests[i].path = guest_path(&domains[i].kernel);
        s->guests[i].map = map_beside(domains[i].kernel.path);
        if (domains[i].kernel.unpacked)
            s->guests[i].linux_image = &domains[i].kernel;
    }
    return s;
}

static void program_close(struct program *p)
{
    for (size_t i = 0; i < p->symbol_count; i++)
        free(p->symbols[i].name);
    free(p->symbols);
    free(p->map);
    if (p->dwfl)
        dwfl_end(p->dwfl);
    free(p->path);
}

void symbols_close(struct symbols *s)
{
    if (!s)
        return;
    program_close(&s->hypervisor);
    for (size_t i = 0; i < s->count; i++)
        program_close(&s->guests[i]);
    free(s->guests);
    free(s->ids);
    free(s);
}

static Dwfl *program_read(struct program *p)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo,
        .section_address = dwfl_offline_section_address,
    };
    if (p->dwfl || !p->path)
        return p->dwfl;
    p->dwfl = dwfl_begin(&callbacks);
    if (!p->dwfl || !dwfl_report_elf(p->dwfl, p->path, p->path, -1, 0, true) ||
        dwfl_report_end(p->dwfl, NULL, NULL) != 0) {
        free(p->path); /* no symbols there: do not try again */
        p->path = NULL;
    }
    return p->dwfl;
}

/* Debug information names files from the build folder: "../tests/..." is ours. */
static const char *short_name(const char *file)
{
    const char *root = &SOURCE_ROOT[1];
    size_t n = strlen(root);

    while (strncmp(file, "../", 3) == 0)
        file += 3;
    return strncmp(file, root, n) == 0 && file[n] == '/' ? file + n + 1 : file;
}

/* --- System.map: "ffffffff81000000 T _text", in order of addresses --------- */

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static void add_symbol(void *program, uint64_t address, const char *name)
{
    struct program *p = program;
    if (p->symbol_count == p->symbol_room) {
        p->symbol_room = 2 * p->symbol_room + 1024;
        p->symbols = memory_resize(p->symbols, p->symbol_room * sizeof(*p->symbols));
    }
    p->symbols[p->symbol_count++] = (struct symbol){address, memory_strdup(name)};
}

static void map_read(struct program *p)
{
    FILE *f = fopen(p->map, "re");
    unsigned long address;
    char *line = NULL, type, name[256];
    size_t room = 0;

    while (f && getline(&line, &room, f) > 0)
        if (sscanf(line, "%lx %c %255s", &address, &type, name) == 3 && strchr("tTwW", type))
            add_symbol(p, address, name);
    free(line);
    if (f)
        fclose(f);
}

/* Once. */
static void table_read(struct program *p)
{
    if (p->map)
        map_read(p);
    else if (p->linux_image)
        (void)kallsyms_read(p->linux_image->data, p->linux_image->size, add_symbol, p);
    if (p->symbol_count)
        qsort(p->symbols, p->symbol_count, sizeof(*p->symbols), by_address);
    free(p->map);
    p->map = NULL;
    p->linux_image = NULL;
}

static bool table_describe(struct program *p, uint64_t address, struct bytes *out)
{
    if (p->map || p->linux_image)
        table_read(p);
    size_t low = 0, high = p->symbol_count; /* the last symbol that is not above */
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (p->symbols[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return false;
    bytes_format(out, " %s+%#lx", p->symbols[low - 1].name,
                 (unsigned long)(address - p->symbols[low - 1].address));
    return true;
}

enum verdict symbols_use(struct symbols *s, const char *path)
{
    char magic[4] = "";
    enum verdict v = file_check(path, "the symbols", &(size_t){0});
    FILE *f = v ? NULL : fopen(path, "re");

    if (!f)
        return v ? v : verdict_say(VERDICT_NO_FILE, "cannot read %s; check the permissions", path);
    const bool elf =
        fread(magic, 1, sizeof(magic), f) == sizeof(magic) && memcmp(magic, "\177ELF", 4) == 0;
    fclose(f);
    for (size_t i = 0; i < s->count; i++) {
        char **file = elf ? &s->guests[i].path : &s->guests[i].map;
        free(*file);
        *file = memory_strdup(path);
    }
    if (!elf && s->count) {
        table_read(&s->guests[0]);
        if (!s->guests[0].symbol_count)
            verdict_warn(
                "%s has no symbols; give an ELF file, or a System.map as Linux's build leaves it",
                path);
    }
    return VERDICT_OK;
}

/* --- Addresses ------------------------------------------------------------- */

static void describe(struct symbols *s, uint64_t address, struct bytes *out)
{
    bool ours = address >= HYPERVISOR_START && address < HYPERVISOR_END;
    struct program *p = ours ? &s->hypervisor : s->count ? &s->guests[s->current] : NULL;
    if (p && table_describe(p, address, out))
        return;
    Dwfl *dwfl = p ? program_read(p) : NULL;
    Dwfl_Module *module = dwfl ? dwfl_addrmodule(dwfl, address) : NULL;
    if (!module)
        return;

    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL);
    if (!name)
        return;
    bytes_format(out, " %s+%#lx", name, (unsigned long)offset);

    int line = 0;
    Dwfl_Line *where = dwfl_module_getsrc(module, address);
    const char *file = where ? dwfl_lineinfo(where, NULL, &line, NULL, NULL, NULL) : NULL;
    if (file)
        bytes_format(out, " %s:%d", short_name(file), line);
}

/* "(PV) d2v0 ..." and "(d2) ..." name domain 2. */
static void note_domain(struct symbols *s, const char *line)
{
    unsigned id;
    if (sscanf(line, "(PV) d%u", &id) != 1 && sscanf(line, "(XEN) d%u", &id) != 1 &&
        sscanf(line, "(d%u) ", &id) != 1)
        return;
    for (size_t i = 0; i < s->count; i++)
        if (s->ids[i] == id)
            s->current = i;
}

/* Looking one up takes a while, and those of hypercalls come again and again: keep them. */
struct known {
    unsigned domain;
    uint64_t address;
    char *text;
};
#define KNOWN 4096u

void symbols_name(struct symbols *s, unsigned domain, uint64_t address, struct bytes *out)
{
    static struct known known[KNOWN];
    struct known *k = &known[(address ^ address >> 12 ^ domain) % KNOWN];

    if (!k->text || k->address != address || k->domain != domain) {
        struct bytes text = {0};
        for (size_t i = 0; i < s->count; i++)
            if (s->ids[i] == domain)
                s->current = i;
        describe(s, address, &text);
        if (!text.data)
            bytes_append(&text, "", 0);
        free(k->text);
        *k = (struct known){domain, address, text.data};
    }
    bytes_format(out, "%s", k->text);
}

char *symbols_annotate(struct symbols *s, const char *line)
{
    struct bytes out = {0};

    note_domain(s, line);
    for (const char *at = strchr(line, '<'); at; at = strchr(at + 1, '<')) {
        char *end;
        if (!isxdigit((unsigned char)at[1]))
            continue;
        uint64_t address = strtoull(at + 1, &end, 16);
        if (*end == '>' && end - at > 8)
            describe(s, address, &out);
    }
    return out.data;
}
