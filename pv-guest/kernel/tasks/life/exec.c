/*
 * execve: scripts, the new address space, the first stack.
 *
 * What the program finds on its stack, from rsp upwards:
 *
 *      argc | argv[0..] NULL | envp[0..] NULL | auxiliary vector | ... |
 *      16 random bytes | strings | path
 */
#include "aio.h"
#include "errno.h"
#include "exec.h"
#include "file.h"
#include "futex.h"
#include "heap.h"
#include "posix-timer.h"
#include "print.h"
#include "process.h"
#include "random.h"
#include "signal.h"
#include "text.h"
#include "platform/platform.h"

#define SCRIPT_DEPTH 6 /* five scripts that name each other, and a program */
#define SCRIPT_LINE  256
#define HZ           100

/* Room for @more bytes behind what is there. */
static int exec_args_grow(struct exec_args *args, size_t more)
{
    if (args->used + more > ARGUMENTS_MAX)
        return -E2BIG;
    if (args->used + more <= args->size)
        return 0;
    const size_t size = MAX(args->size * 2, ROUND_UP(args->used + more, 2048ul));
    char *larger = heap_alloc(size);
    if (!larger)
        return -ENOMEM;
    memcpy(larger, args->text, args->used);
    heap_free(args->text);
    args->text = larger;
    args->size = size;
    return 0;
}

int exec_args_add(struct exec_args *args, const char *text, size_t length)
{
    const int rc = exec_args_grow(args, length + 1);
    if (rc)
        return rc;
    memcpy(args->text + args->used, text, length);
    args->text[args->used + length] = 0;
    args->used += length + 1;
    return 0;
}

int exec_args_add_user(struct exec_args *args, user_t text)
{
    for (;;) {
        const size_t room = args->size - args->used;
        const long length = user_read_text(args->text + args->used, text, room);
        if (length >= 0) {
            args->used += length + 1;
            return 0;
        }
        if (length != -ENAMETOOLONG)
            return length;
        const int rc = exec_args_grow(args, room + 1);
        if (rc)
            return rc;
    }
}

void exec_args_free(struct exec_args *args)
{
    heap_free(args->text);
}

bool exec_runs(const struct inode *inode)
{
    const struct process *p;
    if (!(inode->mode & 0111))
        return false;
    for_each_process(p)
    {
        if (p->program == inode && !p->zombie)
            return true;
    }
    return false;
}

/* Where the program's image comes from, once scripts are resolved. */
struct source {
    struct inode *file;
    struct exec_args args; /* rewritten ones, if a script was met */
    bool rewritten;
};

/* The words of a "#!" line: interpreter and at most one argument. */
static int script_words(char *line, char **interpreter, char **argument)
{
    char *end = strchr(line, '\n');
    if (!end)
        return -ENOEXEC;
    *end = 0;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = 0;
    char *c = line + 2;
    while (*c == ' ' || *c == '\t')
        c++;
    *interpreter = c;
    while (*c && *c != ' ' && *c != '\t')
        c++;
    if (*c)
        *c++ = 0;
    while (*c == ' ' || *c == '\t')
        c++;
    *argument = *c ? c : NULL;
    return **interpreter ? 0 : -ENOEXEC;
}

/* Replace argv[0] of @from by interpreter, argument and @path. */
static int script_args(struct exec_args *to, const struct exec_args *from, const char *interpreter,
                       const char *argument, const char *path)
{
    const size_t skip = from->arguments ? strlen(from->text) + 1 : 0;
    *to = (struct exec_args){.arguments = 2 + (argument != NULL) +
                                          (from->arguments ? from->arguments - 1 : 0),
                             .variables = from->variables};
    int rc = exec_args_add(to, interpreter, strlen(interpreter));
    if (!rc && argument)
        rc = exec_args_add(to, argument, strlen(argument));
    if (!rc)
        rc = exec_args_add(to, path, strlen(path));
    /* The rest already ends in a NUL, which _add writes again. */
    if (!rc && from->used > skip)
        rc = exec_args_add(to, from->text + skip, from->used - skip - 1);
    if (rc)
        exec_args_free(to);
    return rc;
}

/* *file with a reference: @program, or if that is NULL what @path leads to. */
static int open_program(struct inode *program, const char *path, struct inode **file)
{
    int rc = program ? 0 : path_find(process_current()->places->cwd, path, 0, file);
    if (rc)
        return rc;
    if (program) {
        inode_get(program);
        *file = program;
    }
    rc = inode_is(*file, S_IFREG) ? access_check(*file, MAY_EXECUTE) : -EACCES;
    if (!rc && (*file)->writers)
        rc = -ETXTBSY; /* it may change under its feet */
    if (rc)
        inode_put(*file);
    return rc;
}

static int resolve(struct inode *program, const char *path, const struct exec_args *args,
                   struct source *source)
{
    char line[2][SCRIPT_LINE];
    *source = (struct source){.args = *args};

    for (unsigned depth = 0; depth < SCRIPT_DEPTH; depth++) {
        char *const text = line[depth % 2], *interpreter, *argument;
        int rc = open_program(depth ? NULL : program, path, &source->file);
        if (rc)
            return rc;
        const size_t n = inode_read(source->file, 0, text, SCRIPT_LINE - 1);
        text[n] = 0;
        if (n < 2 || text[0] != '#' || text[1] != '!')
            return 0;
        inode_put(source->file);
        rc = script_words(text, &interpreter, &argument);
        struct exec_args old = source->args;
        if (!rc)
            rc = script_args(&source->args, &old, interpreter, argument, path);
        if (rc) {
            source->args = old;
            return rc;
        }
        if (source->rewritten)
            exec_args_free(&old);
        source->rewritten = true;
        path = interpreter;
    }
    return -ELOOP;
}

/* Builds the stack from the top down. */
struct stack {
    user_t sp;
    bool failed;
};

static user_t push(struct stack *s, const void *bytes, size_t size)
{
    s->sp -= size;
    if (s->sp < USER_STACK_TOP - USER_STACK_LEAST || user_write(s->sp, bytes, size))
        s->failed = true;
    return s->sp;
}

static void push_word(struct stack *s, uint64_t word)
{
    push(s, &word, sizeof(word));
}

/* AT_HWCAP: CPUID leaf 1, edx.  Asked once: a hypervisor has to emulate it. */
static uint32_t cpu_features(void)
{
    static uint32_t features;
    if (!features) {
        uint32_t regs[4] = {1};
        platform_cpuid(regs);
        features = regs[3];
    }
    return features;
}

/* Pairs for the C library, from the last (AT_NULL) to the first. */
static void push_auxiliary(struct stack *s, const struct elf_image *image, user_t random,
                           user_t path, user_t platform)
{
    const struct credentials *const c = &process_current()->credentials;
    const uint64_t pairs[][2] = {
        {AT_NULL, 0},
        {AT_EXECFN, path},
        {AT_PLATFORM, platform},
        {AT_RANDOM, random},
        {AT_SECURE, c->user.real != c->user.effective || c->group.real != c->group.effective},
        {AT_EGID, c->group.effective},
        {AT_GID, c->group.real},
        {AT_EUID, c->user.effective},
        {AT_UID, c->user.real},
        {AT_ENTRY, image->entry},
        {AT_FLAGS, 0},
        {AT_BASE, image->base},
        {AT_PHNUM, image->header_count},
        {AT_PHENT, 56},
        {AT_PHDR, image->headers},
        {AT_CLKTCK, HZ},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_HWCAP, cpu_features()},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
        push(s, pairs[i], sizeof(pairs[i]));
}

/* Pointers to @count strings that start at *@text, in order, and a NULL behind. */
static void push_pointers(struct stack *s, user_t to, const char **text, unsigned count, user_t *at)
{
    for (unsigned i = 0; i < count; i++) {
        const size_t size = strlen(*text) + 1;
        if (user_write(to + i * 8, at, 8))
            s->failed = true;
        *text += size;
        *at += size;
    }
    const uint64_t end = 0;
    if (user_write(to + count * 8, &end, 8))
        s->failed = true;
}

/* The first stack; returns its rsp, or 0 if it could not be written. */
static user_t build_stack(const struct exec_args *args, const struct elf_image *image,
                          const char *path)
{
    static const char platform[] = "x86_64";
    uint8_t random[16];
    struct stack s = {.sp = USER_STACK_TOP - 8};

    random_bytes(random, sizeof(random));
    const user_t path_at = push(&s, path, strlen(path) + 1);
    user_t strings = push(&s, args->text, args->used);
    struct process *const p = process_current();
    p->arguments_start = strings;
    p->variables_end = strings + args->used;
    const user_t random_at = push(&s, random, sizeof(random));
    const user_t platform_at = push(&s, platform, sizeof(platform));

    /* rsp must be a multiple of 16; auxiliary pairs do not disturb that. */
    s.sp &= ~15ul;
    if ((args->arguments + args->variables + 3) % 2)
        s.sp -= 8;
    push_auxiliary(&s, image, random_at, path_at, platform_at);
    s.sp -= (args->arguments + args->variables + 2) * 8;
    const char *text = args->text;
    push_pointers(&s, s.sp, &text, args->arguments, &strings);
    p->arguments_end = p->variables_start = strings;
    push_pointers(&s, s.sp + (args->arguments + 1) * 8, &text, args->variables, &strings);
    push_word(&s, args->arguments);
    return s.failed ? 0 : s.sp;
}

/* Make @space the running task's, and let go of the old one. */
static void adopt_space(struct task *task, struct space *space)
{
    struct space *old = task->space;
    task->space = space;
    space_load(space);
    platform_commit();
    if (old)
        space_put(old);
}

static void start_program(struct task *task, const struct elf_image *image, user_t sp)
{
    struct frame *f = task_frame(task);
    *f = (struct frame){.rip = image->start,
                        .cs = platform_user_code,
                        .rflags = RFLAGS_IF,
                        .rsp = sp,
                        .ss = platform_user_data};
    task->fs_base = task->gs_base = 0;
    platform_user_selectors_clear();
    platform_user_bases(0, 0);
    platform_commit();
    fpu_reset(task);
    fpu_load(task);
}

static void set_name(struct task *task, const char *path)
{
    const char *name = path;
    for (const char *c = path; *c; c++)
        if (*c == '/' && c[1])
            name = c + 1;
    text_copy(task->name, name, sizeof(task->name));
}

/* A set-id program runs as its owner or group; what is saved and what counts for files follows. */
static void take_ids(struct process *p, const struct inode *program)
{
    struct credentials *const c = &p->credentials;
    const unsigned user = c->user.effective, group = c->group.effective;
    if ((program->mode & S_ISUID) && !p->no_new_privileges)
        c->user.effective = program->uid;
    if ((program->mode & (S_ISGID | 010)) == (S_ISGID | 010) && !p->no_new_privileges)
        c->group.effective = program->gid;
    c->user.saved = c->user.file = c->user.effective;
    c->group.saved = c->group.file = c->group.effective;
    p->keep_capabilities = false;
    const bool changed = user != c->user.effective || group != c->group.effective;
    p->not_dumpable = changed; /* what it has open is not for those who were it before */
    credentials_executed(c, changed, p->no_new_privileges);
}

/*
 * Everything that cannot fail any more, or only by ending the process; and before it the one thing
 * that ends all other threads.
 */
static int commit(struct space *space, const struct elf_image *image, const struct exec_args *args,
                  struct inode *program, const char *path)
{
    struct task *const task = task_current();
    struct process *const p = task->process;

    const int rc = process_threads_end();
    if (rc)
        return rc;
    futex_task_exit(task);
    task->clear_tid = task->robust_list = 0;
    adopt_space(task, space);
    space->brk_start = space->brk = ROUND_UP(image->end, PAGE_SIZE);
    task_vfork_done(task);
    files_unshare(task);
    files_close_on_exec(task->files);
    signal_reset(p);
    aio_drop(p);
    posix_timers_delete(p);
    take_ids(p, program);
    set_name(task, path);
    p->has_exec = true;
    p->exit_signal = SIGCHLD;
    inode_get(program);
    if (p->program)
        inode_put(p->program);
    p->program = program;
    p->programs++;
    for (unsigned i = 0; i < image->zeroes; i++)
        /* A read-only segment with a tail is the linker's business: leave it. */
        (void)!user_zero(image->zero_from[i], image->zero_to[i] - image->zero_from[i]);
    const user_t sp = build_stack(args, image, path);
    if (!sp)
        signal_fault(task, SIGKILL, 0);
    start_program(task, image, sp);
    return 0;
}

/* Load the program that @source has found and start it. */
static int load(const char *path, const struct source *source)
{
    struct elf_image image;
    const uint64_t limit = process_current()->limits[RLIMIT_STACK].current;
    const size_t stack = MIN(MAX(limit, USER_STACK_LEAST), USER_STACK_MOST) & PAGE_MASK;
    struct space *space = space_create();
    int rc = space ? 0 : -ENOMEM;
    /* The stack first: it may be larger than what lies above USER_MAP_TOP, and whatever has no place of its
     * own, the dynamic linker for one, goes below it. */
    if (!rc)
        rc = space_map(space, USER_STACK_TOP - stack, stack, PROT_READ | PROT_WRITE, SHARING_NONE,
                       NULL, 0);
    if (!rc)
        rc = elf_map(source->file, space, &image);
    if (!rc)
        rc = commit(space, &image, &source->args, source->file, path);
    if (rc && space)
        space_put(space);
    return rc;
}

int exec_path(struct inode *program, const char *path, struct exec_args *args)
{
    struct source source;
    int rc = resolve(program, path, args, &source);
    if (!rc) {
        rc = load(path, &source);
        inode_put(source.file);
    }
    if (source.rewritten)
        exec_args_free(&source.args);
    return rc;
}
