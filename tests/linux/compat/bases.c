/*
 * FS and GS: their bases, from a descriptor or from arch_prctl(), kept over switches and signals.
 */
#include "runtime.h"

static int there[2], back[2];

static void open_pipes(void)
{
    CALL(NR(pipe), there);
    CALL(NR(pipe), back);
}

/* The other process answers: this one has slept, and another has run. */
static void switch_and_back(void)
{
    char c = 0;

    CALL(NR(write), there[1], &c, 1);
    CALL(NR(read), back[0], &c, 1);
}

/* An entry for thread-local storage at @base, in the process that calls: its selector. */
static unsigned thread_segment(const void *base)
{
    struct user_desc *d = map_memory(4096, 0);
    long rc;

    *d = (struct user_desc){.entry_number = (unsigned)-1,
                            .base_addr = (unsigned)(word)base,
                            .limit = 0xfffff,
                            .seg_32bit = 1,
                            .limit_in_pages = 1,
                            .useable = 1};
    __asm__ volatile("int $0x80" : "=a"(rc) : "0"(243), "b"(d) : "memory");
    if ((int)rc)
        give_up("no thread area", (int)rc);
    return d->entry_number << 3 | 3;
}

static unsigned *memory;

static void fill_memory(void)
{
    memory = map_memory(8192, 0);
    for (unsigned i = 0; i < 2048; i++)
        memory[i] = 0xb0000000u + i;
}

#define LOAD(segment, selector) __asm__ volatile("mov %0, %%" #segment : : "r"(selector))
#define READ(segment)                                                 \
    ({                                                                \
        unsigned value_;                                              \
        __asm__ volatile("movl %%" #segment ":0, %0" : "=r"(value_)); \
        value_;                                                       \
    })
#define SELECTOR(segment)                                          \
    ({                                                             \
        unsigned value_;                                           \
        __asm__ volatile("mov %%" #segment ", %0" : "=r"(value_)); \
        value_ & 0xffff;                                           \
    })

static void nothing(int signal, siginfo_t *info, struct ucontext *context)
{
    (void)signal;
    (void)info;
    (void)context;
}

/* Two processes with the same entry and other bases take turns. */
static void from_descriptors(void)
{
    unsigned wrong_fs = 0, wrong_gs = 0;

    fill_memory();
    open_pipes();
    on_signal(SIGUSR1, nothing, 0);
    const long pid = fork_process();
    const unsigned at = pid ? 10 : 1000;
    const unsigned fs = thread_segment(memory + at), gs = thread_segment(memory + at + 1);
    LOAD(fs, fs);
    LOAD(gs, gs);
    if (!pid) {
        char c = 0;
        CALL(NR(close), there[1]);
        while (CALL(NR(read), there[0], &c, 1) == 1) {
            wrong_fs += READ(fs) != 0xb0000000u + at;
            wrong_gs += READ(gs) != 0xb0000000u + at + 1;
            CALL(NR(write), back[1], &c, 1);
        }
        leave(wrong_fs + wrong_gs != 0);
    }
    CALL(NR(close), there[0]);
    for (unsigned i = 0; i < 200; i++) {
        switch_and_back();
        wrong_fs += READ(fs) != 0xb0000000u + at;
        wrong_gs += READ(gs) != 0xb0000000u + at + 1;
        if (i % 2)
            CALL(NR(kill), CALL(NR(getpid)), SIGUSR1);
        wrong_fs += READ(fs) != 0xb0000000u + at;
        wrong_gs += READ(gs) != 0xb0000000u + at + 1;
    }
    CALL(NR(close), there[1]);
    const int status = wait_process(pid);
    say("selectors %lx %lx, wrong %ld %ld, status %lx\n", (word)SELECTOR(fs), (word)SELECTOR(gs),
        (long)wrong_fs, (long)wrong_gs, (word)status);
}

/* A thread changes its entry; another thread has its own. */
static volatile unsigned turn, thread_value[2];
static unsigned first_selector;

static void other_thread(void)
{
    LOAD(fs, 0);
    thread_segment(memory + 500); /* the same entry, of this thread */
    LOAD(fs, first_selector);
    thread_value[0] = READ(fs);
    turn = 1;
    while (turn != 2)
        yield();
    thread_value[1] = READ(fs);
    turn = 3;
    leave(0);
}

static void of_threads(void)
{
    fill_memory();
    first_selector = thread_segment(memory + 40);
    LOAD(fs, first_selector);
    /* A new thread begins with its maker's entries; it must forget them to get the same numbers. */
    struct user_desc *d = map_memory(4096, 0);
    *d = (struct user_desc){
        .entry_number = first_selector >> 3, .read_exec_only = 1, .seg_not_present = 1};
    start_thread(other_thread);
    while (turn != 1)
        yield();
    const unsigned mine = READ(fs);
    turn = 2;
    while (turn != 3)
        yield();
    say("first thread %lx %lx, other %lx %lx\n", (word)mine, (word)READ(fs), (word)thread_value[0],
        (word)thread_value[1]);
}

#ifdef __x86_64__
static void answer(void)
{
    char c;

    CALL(NR(close), there[1]);
    while (CALL(NR(read), there[0], &c, 1) == 1)
        CALL(NR(write), back[1], &c, 1);
    leave(0);
}

enum { SET_GS = 0x1001, SET_FS, GET_FS, GET_GS };

static word base_of(int what)
{
    word base = 1;
    CALL(NR(arch_prctl), what, &base);
    return base;
}

static void of_prctl(void)
{
    /* above 4 GiB: no descriptor can say it */
    word *high = (word *)CALL(NR(mmap), 0x7000000000ul, 8192, 3, 0x32, -1, 0);
    unsigned wrong[4] = {0};

    open_pipes();
    high[0] = 0x1122334455667788;
    high[8] = 0x99aabbccddeeff00;
    const long pid = fork_process();
    if (!pid)
        answer();
    on_signal(SIGUSR1, nothing, 0);
    say("set: %ld %ld\n", CALL(NR(arch_prctl), SET_FS, high),
        CALL(NR(arch_prctl), SET_GS, high + 8));
    for (unsigned i = 0; i < 100; i++) {
        switch_and_back();
        if (i % 2)
            CALL(NR(kill), CALL(NR(getpid)), SIGUSR1);
        wrong[0] += READ(fs) != 0x55667788;
        wrong[1] += READ(gs) != 0xddeeff00;
        wrong[2] += base_of(GET_FS) != (word)high;
        wrong[3] += base_of(GET_GS) != (word)(high + 8);
    }
    say("selectors %lx %lx, wrong %ld %ld %ld %ld\n", (word)SELECTOR(fs), (word)SELECTOR(gs),
        (long)wrong[0], (long)wrong[1], (long)wrong[2], (long)wrong[3]);
    say("the kernel's: %ld, not canonical: %ld\n", CALL(NR(arch_prctl), SET_FS, 0xffffffff81000000),
        CALL(NR(arch_prctl), SET_GS, 0x800000000000));
    CALL(NR(kill), pid, SIGKILL);
}

/* A selector brings its own base, and takes it away again. */
static void selectors_over_prctl(void)
{
    fill_memory();
    open_pipes();
    const long pid = fork_process();
    if (!pid)
        answer();
    const unsigned selector = thread_segment(memory + 7);
    CALL(NR(arch_prctl), SET_FS, memory + 100);
    CALL(NR(arch_prctl), SET_GS, memory + 101);
    LOAD(fs, selector);
    LOAD(gs, selector);
    switch_and_back();
    say("loaded: %lx %lx, base %ld %ld\n", (word)READ(fs), (word)READ(gs),
        (long)(base_of(GET_FS) == (word)(memory + 7)),
        (long)(base_of(GET_GS) == (word)(memory + 7)));
    CALL(NR(arch_prctl), SET_FS, memory + 100);
    CALL(NR(arch_prctl), SET_GS, memory + 101);
    switch_and_back();
    say("set anew: selectors %lx %lx, %lx %lx\n", (word)SELECTOR(fs), (word)SELECTOR(gs),
        (word)READ(fs), (word)READ(gs));
    CALL(NR(kill), pid, SIGKILL);
}

/*
 * A null selector clears a base; but a kernel without FSGSBASE does not look for that when it switches: it gives back the base that
 * it was asked for last.  Each is tried several times: another program may take the CPU before the first look, and a sleep may be over
 * before it has begun.
 */
static void null_selectors(void)
{
    unsigned cleared[2] = {0}, came_back[2] = {0};

    fill_memory();
    for (unsigned i = 0; i < 20; i++) {
        CALL(NR(arch_prctl), SET_FS, memory + 100);
        CALL(NR(arch_prctl), SET_GS, memory + 101);
        be_switched();
        LOAD(fs, 0);
        LOAD(gs, 0);
        cleared[0] |= base_of(GET_FS) == 0;
        cleared[1] |= base_of(GET_GS) == 0;
        be_switched();
        came_back[0] += base_of(GET_FS) == (word)(memory + 100);
        came_back[1] += base_of(GET_GS) == (word)(memory + 101);
    }
    say("cleared %ld %ld, came back %ld %ld\n", (long)cleared[0], (long)cleared[1],
        (long)(came_back[0] != 0), (long)(came_back[1] != 0));
}

/* The same for a descriptor that is taken away while its selector is loaded. */
static void lost_descriptors(void)
{
    unsigned cleared = 0, came_back = 0, selector_after = 0;
    struct user_desc *d = map_memory(4096, 0);

    fill_memory();
    for (unsigned i = 0; i < 20; i++) {
        long rc;
        CALL(NR(arch_prctl), SET_FS, memory + 100);
        be_switched();
        const unsigned selector = thread_segment(memory + 7);
        LOAD(fs, selector);
        *d = (struct user_desc){
            .entry_number = selector >> 3, .read_exec_only = 1, .seg_not_present = 1};
        __asm__ volatile("int $0x80" : "=a"(rc) : "0"(243), "b"(d) : "memory");
        cleared |= base_of(GET_FS) == 0;
        be_switched();
        came_back += base_of(GET_FS) == (word)(memory + 100);
        selector_after |= SELECTOR(fs);
    }
    say("cleared %ld, came back %ld, selector %lx\n", (long)cleared, (long)(came_back != 0),
        (word)selector_after);
}
#endif

const struct experiment base_experiments[] = {
    {"bases of descriptors: ", from_descriptors},
    {"bases of threads: ", of_threads},
#ifdef __x86_64__
    {"bases of arch_prctl: ", of_prctl},
    {"bases, selectors: ", selectors_over_prctl},
    {"bases, null selectors: ", null_selectors},
    {"bases, lost descriptors: ", lost_descriptors},
#endif
    {0},
};
