/* `--strace`.  See strace.h. */
#include "strace.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "output.h"
#include "strace-format.h"

#define GIB (1ull << 30)

/* One word of the filter; several of a kind are alternatives. */
struct word {
    enum { WORD_CALL, WORD_EMULATIONS, WORD_NOT, WORD_DOMAIN, WORD_REFUSED, WORD_FAILED } kind;
    const char *name; /* of a hypercall or a sub-operation */
    size_t length;
    unsigned domain;
};

/* A row of the table: a hypercall, or one of its sub-operations. */
struct row {
    const char *call, *operation;
    unsigned number;
    bool emulated;
    uint64_t calls, failed, refused, ticks;
};

struct strace {
    struct strace_options options;
    struct word *words;
    size_t word_count;
    FILE *out;
    int ram_fd, bell[2]; /* @bell: the pipe, ours and QEMU's end */
    char *ram_path, *bell_path;
    const char *ram; /* mapped */
    uint64_t ram_size;
    struct symbols *symbols;

    struct strace_hello hello;
    size_t hello_bytes; /* so far */
    const char *ring;   /* NULL: not known yet, or not to be believed */
    uint64_t chunks;    /* read so far */
    uint64_t records, shown;
    bool ended, broken;

    struct row *rows;
    size_t row_count;
};

/* --- The filter ------------------------------------------------------------ */

static enum verdict read_word(struct strace *s, const char *text, size_t length)
{
    struct word w = {.kind = WORD_CALL, .name = text, .length = length};
    const bool negated = *text == '!';

    if (negated) {
        w.kind = WORD_NOT;
        w.name++;
        w.length--;
    }
    if (strace_is_call(w.name, w.length) || strace_is_operation(w.name, w.length)) {
    } else if (!negated && length == 7 && memcmp(text, "refused", 7) == 0) {
        w.kind = WORD_REFUSED;
    } else if (!negated && length == 10 && memcmp(text, "emulations", 10) == 0) {
        w.kind = WORD_EMULATIONS;
    } else if (!negated && length == 6 && memcmp(text, "failed", 6) == 0) {
        w.kind = WORD_FAILED;
    } else if (!negated && length > 1 && *text == 'd' &&
               strspn(text + 1, "0123456789") == length - 1) {
        w.kind = WORD_DOMAIN;
        w.domain = (unsigned)strtoul(text + 1, NULL, 10);
    } else {
        return verdict_say(
            VERDICT_USAGE,
            "--strace=%s: \"%.*s\" is no hypercall, no sub-operation, and not refused, failed, "
            "emulations or a domain like d1; `paravane hypercalls` lists the names",
            s->options.filter, (int)length, text);
    }
    s->words = memory_resize(s->words, (s->word_count + 1) * sizeof(*s->words));
    s->words[s->word_count++] = w;
    return VERDICT_OK;
}

static enum verdict read_filter(struct strace *s)
{
    enum verdict v = VERDICT_OK;
    for (const char *at = s->options.filter; !v && at && *at;) {
        const size_t length = strcspn(at, ",");
        v = read_word(s, at, length);
        at += length + (at[length] == ',');
    }
    return v;
}

static bool is_word(const struct word *w, const char *name)
{
    return name && strlen(name) == w->length && memcmp(name, w->name, w->length) == 0;
}

static bool is_named(const struct word *w, const struct strace_record *r)
{
    const char *operation;
    for (unsigned i = 0; (operation = strace_operation_name(r, i)); i++)
        if (is_word(w, operation))
            return true;
    return is_word(w, strace_call_name(r->number));
}

/* Of the words of one kind one must fit, of each kind that there is; and no !name may. */
static bool is_wanted(const struct strace *s, const struct strace_record *r)
{
    bool calls = false, named = false, domains = false, in_domain = false, results = false,
         of_result = false;

    for (size_t i = 0; i < s->word_count; i++) {
        const struct word *w = &s->words[i];
        switch (w->kind) {
        case WORD_CALL:
            calls = true;
            named |= r->kind == STRACE_CALL && is_named(w, r);
            break;
        case WORD_EMULATIONS:
            calls = true;
            named |= r->kind == STRACE_EMULATION;
            break;
        case WORD_NOT:
            if (r->kind == STRACE_CALL && is_named(w, r))
                return false;
            break;
        case WORD_DOMAIN:
            domains = true;
            in_domain |= r->domain == w->domain;
            break;
        case WORD_REFUSED:
            results = true;
            of_result |= r->rule != 0;
            break;
        case WORD_FAILED:
            results = true;
            of_result |= strace_failed(r);
            break;
        }
    }
    if (!calls && r->kind == STRACE_EMULATION)
        return false; /* only on demand: nobody has asked for a hypercall there */
    return calls == named && domains == in_domain && results == of_result;
}

/* --- The table ------------------------------------------------------------- */

static struct row *row_of(struct strace *s, const struct strace_record *r)
{
    const char *name = strace_name(r), *operation = strace_operation_name(r, 0);
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].number == r->number && s->rows[i].call == name &&
            s->rows[i].operation == operation)
            return &s->rows[i];
    s->rows = memory_resize(s->rows, (s->row_count + 1) * sizeof(*s->rows));
    s->rows[s->row_count] = (struct row){.number = r->number,
                                         .emulated = r->kind == STRACE_EMULATION,
                                         .call = name,
                                         .operation = operation};
    return &s->rows[s->row_count++];
}

static void strace_count(struct strace *s, const struct strace_record *r)
{
    if (r->kind == STRACE_REFUSAL)
        return;
    struct row *row = row_of(s, r);
    row->calls++;
    row->failed += strace_failed(r);
    row->refused += r->rule != 0;
    row->ticks += r->ticks;
}

static int dearer(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->ticks != y->ticks)
        return x->ticks < y->ticks ? 1 : -1;
    return x->calls < y->calls ? 1 : x->calls > y->calls ? -1 : 0;
}

static void put_row(struct strace *s, const struct row *r, uint64_t all)
{
    char *unknown = memory_format("hypercall_%u", r->number);
    fprintf(s->out, "%6.2f %15lu %10lu %9lu %8lu %8lu  %s%s%s%s\n",
            all ? 100.0 * (double)r->ticks / (double)all : 0.0, (unsigned long)r->ticks,
            (unsigned long)(r->calls ? r->ticks / r->calls : 0), (unsigned long)r->calls,
            (unsigned long)r->failed, (unsigned long)r->refused, r->emulated ? "emulated " : "",
            r->call ? r->call : unknown, r->operation ? " " : "", r->operation ? r->operation : "");
    free(unknown);
}

static void put_summary(struct strace *s)
{
    struct row all = {.call = "all"};

    qsort(s->rows, s->row_count, sizeof(*s->rows), dearer);
    for (size_t i = 0; i < s->row_count; i++) {
        all.calls += s->rows[i].calls;
        all.failed += s->rows[i].failed;
        all.refused += s->rows[i].refused;
        all.ticks += s->rows[i].ticks;
    }
    fprintf(s->out, "%6s %15s %10s %9s %8s %8s  %s\n", "%",
            s->options.icount ? "instructions" : "ticks", "each", "calls", "failed", "refused",
            "hypercall");
    for (size_t i = 0; i < s->row_count; i++)
        put_row(s, &s->rows[i], all.ticks);
    put_row(s, &all, all.ticks);
}

/* --- Records --------------------------------------------------------------- */

static void put_line(struct strace *s, const struct strace_record *r)
{
    struct bytes line = {0};

    if (s->options.timestamps)
        bytes_format(&line, "%5lu.%09lu ", (unsigned long)(r->time / 1000000000),
                     (unsigned long)(r->time % 1000000000));
    bytes_format(&line, "d%uv%u ", r->domain, r->vcpu);
    if (r->flags & STRACE_ENTRY)
        bytes_format(&line, "  [%u] ", r->index);
    strace_format(&line, r);
    if (r->caller) {
        bytes_format(&line, "  <%016lx>", (unsigned long)r->caller);
        if (s->symbols)
            symbols_name(s->symbols, r->domain, r->caller, &line);
    }
    bytes_append(&line, "\n", 1);
    fwrite(line.data, 1, line.size, s->out);
    bytes_free(&line);
}

static void read_record(struct strace *s, const struct strace_record *r)
{
    s->records++;
    if (!is_wanted(s, r))
        return;
    s->shown++;
    if (s->options.summary)
        strace_count(s, r);
    else
        put_line(s, r);
}

/* The hypervisor is believed, but what is in the guest's hands next to it may be anything: sizes
 * are checked. */
static void read_chunk(struct strace *s)
{
    static _Alignas(8) char chunk[STRACE_CHUNK];

    memcpy(chunk, s->ring + s->chunks % STRACE_CHUNKS * STRACE_CHUNK, sizeof(chunk));
    s->chunks++;
    for (size_t at = 0; at + 8 <= sizeof(chunk);) {
        const struct strace_record *r = (const void *)(chunk + at);
        if (r->size < 8 || r->size % 8 || r->size > sizeof(chunk) - at) {
            s->broken = true;
            return;
        }
        if (r->kind != STRACE_FILLER && r->size >= sizeof(*r) + r->in + (size_t)r->out)
            read_record(s, r);
        at += r->size;
    }
}

/* --- The transport --------------------------------------------------------- */

/* Where the byte at a machine address is in the file: a PC with 3.5 GiB or more leaves a hole below
 * 4 GiB. */
static uint64_t file_offset(const struct strace *s, uint64_t address)
{
    const uint64_t low = s->ram_size >= GIB * 7 / 2 ? 3 * GIB : s->ram_size;
    return address < 4 * GIB ? address : address - 4 * GIB + low;
}

static bool map_ram(struct strace *s)
{
    struct stat file;
    if (fstat(s->ram_fd, &file) < 0 || file.st_size == 0)
        return false;
    s->ram_size = (uint64_t)file.st_size;
    void *at = mmap(NULL, s->ram_size, PROT_READ, MAP_SHARED, s->ram_fd, 0);
    s->ram = at == MAP_FAILED ? NULL : at;
    return s->ram;
}

static void greet(struct strace *s)
{
    if (!map_ram(s)) {
        verdict_warn("cannot map the machine's memory: %s; its hypercalls are not shown",
                     strerror(errno));
        return;
    }
    const uint64_t size = (uint64_t)STRACE_CHUNK * STRACE_CHUNKS;
    const uint64_t at = file_offset(s, s->hello.ring);
    const bool known = s->hello.magic == STRACE_MAGIC && s->hello.version == STRACE_VERSION &&
                       s->hello.rules == strace_rules;
    if (!known || at + size > s->ram_size)
        verdict_warn("the hypervisor is from another build than this program: its record of "
                     "hypercalls is not shown; "
                     "build both again");
    else
        s->ring = s->ram + at;
}

static void hear(struct strace *s, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->hello_bytes < sizeof(s->hello)) {
            ((char *)&s->hello)[s->hello_bytes++] = bytes[i];
            if (s->hello_bytes == sizeof(s->hello))
                greet(s);
        } else if (s->ring) {
            read_chunk(s);
        }
    }
}

void strace_read(struct strace *s)
{
    char bytes[STRACE_READ];
    ssize_t n = read(s->bell[0], bytes, sizeof(bytes));

    if (n > 0)
        hear(s, bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        s->ended = true;
}

int strace_fd(const struct strace *s)
{
    return s->ended ? -1 : s->bell[0];
}

const char *strace_ram(const struct strace *s)
{
    return s->ram_path;
}

const char *strace_pipe(const struct strace *s)
{
    return s->bell_path;
}

/* --- Begin and end --------------------------------------------------------- */

static enum verdict cannot(const char *what)
{
    return verdict_say(VERDICT_HOST_FAILED, "cannot make %s for --strace: %s; make room for it",
                       what, strerror(errno));
}

enum verdict strace_open(const struct strace_options *o, struct strace **out)
{
    struct strace *s = *out = memory_zalloc(sizeof(*s));
    s->options = *o;
    s->out = stderr;
    s->ram_fd = s->bell[0] = s->bell[1] = -1;
    enum verdict v = read_filter(s);
    if (v)
        return v;
    if (o->output && !(s->out = output_open(o->output)))
        return verdict_say(VERDICT_NO_FILE, "cannot write %s: %s; check the path", o->output,
                           strerror(errno));
    /* Inherited by QEMU: not close-on-exec, but for our end of the pipe. */
    s->ram_fd = memfd_create("machine", 0);
    if (s->ram_fd < 0)
        return cannot("the machine's memory");
    if (pipe(s->bell) < 0 || fcntl(s->bell[0], F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(s->bell[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(s->bell[1], F_SETPIPE_SZ, 4096) != 4096)
        return cannot("a pipe of 4096 bytes");
    s->ram_path = memory_format("/dev/fd/%d", s->ram_fd);
    s->bell_path = memory_format("/dev/fd/%d", s->bell[1]);
    return VERDICT_OK;
}

void strace_start(struct strace *s, struct symbols *symbols)
{
    s->symbols = symbols;
    close(s->bell[1]); /* QEMU's alone: when it ends, the pipe does */
    s->bell[1] = -1;
}

enum verdict strace_finish(struct strace *s)
{
    while (!s->ended)
        strace_read(s); /* QEMU is gone: no more comes, and the end is seen at once */
    if (s->broken)
        verdict_warn("some of the hypervisor's records could not be read; please report it");
    if (s->options.summary)
        put_summary(s);
    return output_check(VERDICT_OK);
}

void strace_close(struct strace *s)
{
    if (!s)
        return;
    if (s->ram)
        munmap((void *)(uintptr_t)s->ram, s->ram_size);
    const int fds[] = {s->ram_fd, s->bell[0], s->bell[1]};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (s->out != stderr)
        output_close(s->out);
    free(s->ram_path);
    free(s->bell_path);
    free(s->words);
    free(s->rows);
    free(s);
}
