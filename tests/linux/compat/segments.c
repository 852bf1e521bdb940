/*
 * The LDT and the descriptors of thread-local storage: what a program makes, what it reaches through it, and who else sees it.
 */
#include "runtime.h"

#define LDT_SELECTOR(n) ((n) << 3 | 7)
#define GDT_SELECTOR(n) ((n) << 3 | 3)

static long set_ldt(struct user_desc d)
{
    return (int)CALL(NR(modify_ldt), 0x11, &d, sizeof(d));
}

/* By INT 0x80, as 64-bit programs have no other way; it must lie below 4 GiB. */
static struct user_desc *tls;

static long thread_area(long number, struct user_desc d)
{
    long result;

    if (!tls)
        tls = map_memory(4096, 0);
    *tls = d;
    __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(tls) : "memory");
    return (int)result;
}
#ifdef __x86_64__
#undef __NR_set_thread_area
#undef __NR_get_thread_area
#define __NR_set_thread_area 243
#define __NR_get_thread_area 244
#endif

static struct user_desc data_segment(unsigned entry, const void *base, unsigned limit)
{
    return (struct user_desc){.entry_number = entry,
                              .base_addr = (unsigned)(word)base,
                              .limit = limit,
                              .seg_32bit = 1,
                              .useable = 1};
}

static struct user_desc code_segment(unsigned entry, const void *base, unsigned limit)
{
    struct user_desc d = data_segment(entry, base, limit);
    d.contents = MODIFY_LDT_CONTENTS_CODE;
    return d;
}

static unsigned selector_for_code;
static unsigned offset_for_code;
static unsigned value_read;

static void load_es(void)
{
    __asm__ volatile("mov %0, %%es" : : "r"(selector_for_code));
}

static void load_ss(void)
{
    __asm__ volatile("mov %0, %%ss; nop" : : "r"(selector_for_code));
}

static void read_fs(void)
{
    __asm__ volatile("mov %1, %%fs; movl %%fs:(%2), %0"
                     : "=r"(value_read)
                     : "r"(selector_for_code), "r"((word)offset_for_code));
}

static void write_fs(void)
{
    __asm__ volatile("mov %0, %%fs; movl %1, %%fs:(%2)"
                     :
                     : "r"(selector_for_code), "r"(0x1234u), "r"((word)offset_for_code));
}

static void try_access(const char *what, void (*code)(void), unsigned selector, unsigned offset)
{
    selector_for_code = selector;
    offset_for_code = offset;
    value_read = 0;
    if (try_code(code)) {
        say("%s, offset %lx: signal %ld code %ld, trap %ld error %lx\n", what, (word)offset,
            (long)caught.signal, (long)caught.code, (long)caught.trap, caught.error);
    } else {
        say("%s, offset %lx: %lx\n", what, (word)offset, (word)value_read);
    }
}

static void ldt_data(void)
{
    unsigned *memory = map_memory(3 * 4096, 0);

    catch_faults();
    for (unsigned i = 0; i < 3 * 1024; i++)
        memory[i] = 0xa0000000u + i * 4;
    say("set: %ld\n", set_ldt(data_segment(0, memory, 0xfff)));
    try_access("bytes", read_fs, LDT_SELECTOR(0), 0x10);
    try_access("bytes", write_fs, LDT_SELECTOR(0), 0x10);
    try_access("bytes", read_fs, LDT_SELECTOR(0), 0xffc);
    /* QEMU checks no limit of a segment, so no offset beyond one is tried. */
    struct user_desc d = data_segment(1, memory, 1);
    d.limit_in_pages = 1;
    say("set: %ld\n", set_ldt(d));
    try_access("pages", read_fs, LDT_SELECTOR(1), 0x1ffc);
    d = data_segment(2, memory, 0xfff);
    d.read_exec_only = 1;
    say("set: %ld\n", set_ldt(d));
    try_access("read only", read_fs, LDT_SELECTOR(2), 0x20);
    try_access("read only, as a stack", load_ss, LDT_SELECTOR(2), 0);
    d = data_segment(3, memory, 0xfff);
    d.contents = MODIFY_LDT_CONTENTS_STACK;
    say("set: %ld\n", set_ldt(d));
    try_access("down", read_fs, LDT_SELECTOR(3), 0x1000);
    d = data_segment(4, memory, 0xfff);
    d.seg_not_present = 1;
    say("set: %ld\n", set_ldt(d));
    try_access("not present", load_es, LDT_SELECTOR(4), 0);
    try_access("not present, as a stack", load_ss, LDT_SELECTOR(4), 0);
    try_access("never set", load_es, LDT_SELECTOR(5), 0);
    try_access("never set, as a stack", load_ss, LDT_SELECTOR(5), 0);
    try_access("beyond the table", load_es, LDT_SELECTOR(900), 0);
    try_access("the last", load_es, LDT_SELECTOR(8191), 0);
    say("set the last: %ld\n", set_ldt(data_segment(8191, memory, 0xfff)));
    try_access("the last", read_fs, LDT_SELECTOR(8191), 0x30);
    say("set the first of the second page: %ld\n", set_ldt(data_segment(512, memory + 4, 0xfff)));
    try_access("the second page", read_fs, LDT_SELECTOR(512), 0x30);
    say("beyond the last: %ld\n", set_ldt(data_segment(8192, memory, 0xfff)));
    say("set anew: %ld\n", set_ldt(data_segment(0, memory + 1, 0xfff)));
    try_access("set anew", read_fs, LDT_SELECTOR(0), 0x10);
    d = (struct user_desc){.entry_number = 0, .read_exec_only = 1, .seg_not_present = 1};
    say("taken away: %ld\n", set_ldt(d));
    try_access("taken away", load_es, LDT_SELECTOR(0), 0);

    uint64_t *table = map_memory(16 * 4096, 0);
    say("read: %lx\n", (word)CALL(NR(modify_ldt), 0, table, 65536) & 0xffffffff);
    for (unsigned i = 0; i < 5; i++) /* without the base and the accessed bit */
        say("entry %ld: %lx %lx\n", (long)i, (word)(table[i] >> 40 & 0xfffe),
            (word)(table[i] & 0xffff));
}

/* What may not be asked for. */
static void ldt_refusals(void)
{
    struct user_desc d = data_segment(0, 0, 0xfff);

    for (unsigned contents = 0; contents < 4; contents++) {
        for (unsigned bits = 0; bits < 8; bits++) {
            d.contents = contents;
            d.seg_32bit = bits & 1;
            d.seg_not_present = bits >> 1 & 1;
            d.read_exec_only = bits >> 2 & 1;
            if (d.seg_32bit) /* a PV guest of Linux has no 16-bit segments */
                say("contents %ld bits %ld: %ld\n", (long)contents, (long)bits, set_ldt(d));
        }
    }
    say("wrong size: %ld\n", (long)(int)CALL(NR(modify_ldt), 0x11, &d, 4));
    say("wrong function: %ld\n", (long)(int)CALL(NR(modify_ldt), 5, &d, sizeof(d)));
}

/* --- calls and jumps between segments ------------------------------------------------------------- */

extern struct __attribute__((packed)) {
    uint32_t offset;
    uint16_t selector;
} there;
word there_result, there_cs;
void go_there(void);
extern char code32[], code32_fault[], code32_int80[], code32_forced[], code32_end[];
__asm__(
    ".data\n"
    ".globl there\n"
    "there:  .long 0; .word 0\n"
    "there_stack: .long 0\n"
    ".text\n"
    ".code32\n"
    "code32: mov %cs, %eax; add $0x10000, %eax; lret\n"
    "code32_fault: mov $0x5a5a, %eax; ud2; lret\n"
    "code32_int80: mov $1000, %eax; int $0x80; lret\n"
    "code32_forced: mov $0x40000000, %eax; ud2; .ascii \"xen\"; cpuid; mov $0x600d, %eax; lret\n"
    "code32_end:\n");
#ifdef __x86_64__
word low_sp_there;
__asm__(".code64\n"
        ".globl go_there\n"
        "go_there: push %rbx; push %rbp; mov %rsp, %rbp; mov low_sp_there, %rsp; lcall *there; mov "
        "%rbp, %rsp\n"
        "        mov %eax, there_result; pop %rbp; pop %rbx; ret\n");
#else
__asm__(".globl go_there\n"
        "go_there: push %ebx; push %ebp; lcall *there; mov %eax, there_result; pop %ebp; pop %ebx; "
        "ret\n");
#endif

static void try_there(const char *what, unsigned selector, unsigned offset)
{
    there.offset = offset;
    there.selector = (uint16_t)selector;
    there_result = 0;
#ifdef __x86_64__
    low_sp_there = (word)map_memory(4096, 0) + 4096 - 64;
#endif
    if (try_code(go_there))
        say("%s: signal %ld code %ld, trap %ld error %lx, cs %lx, ax %lx, at %lx\n", what,
            (long)caught.signal, (long)caught.code, (long)caught.trap, caught.error,
            caught.cs & 0xffff, caught.ax & 0xffffffff, caught.cs == USER_CS ? (word)0 : caught.ip);
    else
        say("%s: %lx\n", what, there_result);
}

static void far_calls(void)
{
    char *memory = map_memory(4096, 1);

    catch_faults();
    for (unsigned i = 0; i < (unsigned)(code32_end - code32); i++)
        memory[0x100 + i] = code32[i];
    const unsigned fault = 0x100 + (unsigned)(code32_fault - code32);
    const unsigned int80 = 0x100 + (unsigned)(code32_int80 - code32),
                   forced = 0x100 + (unsigned)(code32_forced - code32);
    say("set: %ld\n", set_ldt(code_segment(0, memory, 0xfff)));
    try_there("the LDT's code", LDT_SELECTOR(0), 0x100);
    try_there("a fault in the LDT's code", LDT_SELECTOR(0), fault);
    try_there("a system call in the LDT's code", LDT_SELECTOR(0), int80);
    try_there("a forced CPUID in the LDT's code", LDT_SELECTOR(0), forced);
    try_there("the flat 32-bit code", USER_CS32, (unsigned)(word)memory + 0x100);
    struct user_desc d = code_segment(1, memory, 0xfff);
    d.contents = MODIFY_LDT_CONTENTS_CODE + 1; /* conforming: must not be present */
    d.seg_not_present = 1;
    say("set: %ld\n", set_ldt(d));
    try_there("conforming, not present", LDT_SELECTOR(1), 0x100);
    d = code_segment(2, memory, 0xfff);
    d.seg_not_present = 1;
    say("set: %ld\n", set_ldt(d));
    try_there("not present", LDT_SELECTOR(2), 0x100);
    d = code_segment(3, memory, 0xfff);
    d.read_exec_only = 1;
    say("set: %ld\n", set_ldt(d));
    try_there("execute only", LDT_SELECTOR(3), 0x100);
    say("set: %ld\n", set_ldt(data_segment(4, memory, 0xfff)));
    try_there("data", LDT_SELECTOR(4), 0x100);
    try_there("nothing", LDT_SELECTOR(5), 0x100);
    try_there("null", 0, 0x100);
    try_there("the kernel's", 0x10, 0x100);
#ifdef __i386__
    try_there("64-bit code", 0x33, (unsigned)(word)memory + 0x100);
#endif
}

/* --- who else sees it -------------------------------------------------------------------------------- */

static unsigned *shared_memory;
static volatile unsigned turn;
static unsigned thread_saw[4];

static void wait_turn(unsigned n)
{
    while (turn != n)
        yield();
}

/* For a 64-bit program a base counts in FS and GS only. */
static void look_fs(unsigned at, unsigned selector)
{
    __asm__ volatile("mov %1, %%fs; movl %%fs:0, %0" : "=r"(thread_saw[at]) : "r"(selector));
}

static void other_thread(void)
{
    wait_turn(1);
    look_fs(0, LDT_SELECTOR(0));
    turn = 2;
    wait_turn(3);
    look_fs(1, LDT_SELECTOR(0));
    turn = 4;
    wait_turn(5);
    /* On another CPU FS may have what it had until it is loaded again, which not every switch does. */
    for (unsigned i = 0; i < 50; i++) {
        be_switched();
        __asm__ volatile("mov %%fs, %0" : "=r"(thread_saw[2]));
        if (!thread_saw[2])
            break;
    }
    look_fs(3, LDT_SELECTOR(700));
    turn = 6;
    leave(0);
}

static void ldt_threads(void)
{
    shared_memory = map_memory(4096, 0);
    shared_memory[0] = 0x1111;
    shared_memory[1] = 0x2222;
    shared_memory[2] = 0x3333;
    start_thread(other_thread);
    set_ldt(data_segment(0, shared_memory, 0xff));
    turn = 1;
    wait_turn(2);
    set_ldt(data_segment(0, shared_memory + 1, 0xff));
    turn = 3;
    wait_turn(4);
    set_ldt((struct user_desc){.entry_number = 0, .read_exec_only = 1, .seg_not_present = 1});
    set_ldt(data_segment(700, shared_memory + 2, 0xff));
    turn = 5;
    wait_turn(6);
    say("another thread sees %lx, then %lx, then selector %lx, then %lx\n", (word)thread_saw[0],
        (word)thread_saw[1], (word)thread_saw[2], (word)thread_saw[3]);
}

static void ldt_fork(void)
{
    shared_memory = map_memory(4096, 0);
    shared_memory[0] = 0x1111;
    shared_memory[1] = 0x2222;
    set_ldt(data_segment(0, shared_memory, 0xff));
    look_fs(0, LDT_SELECTOR(0));
    long pid = fork_process();
    if (!pid) {
        unsigned selector;
        __asm__ volatile("mov %%fs, %0" : "=r"(selector));
        look_fs(1, LDT_SELECTOR(0));
        say("a child has selector %lx and sees %lx\n", (word)selector, (word)thread_saw[1]);
        set_ldt(data_segment(0, shared_memory + 1, 0xff));
        look_fs(1, LDT_SELECTOR(0));
        say("it changes it: %lx\n", (word)thread_saw[1]);
        leave(0);
    }
    wait_process(pid);
    look_fs(2, LDT_SELECTOR(0));
    say("its parent saw %lx, and sees %lx\n", (word)thread_saw[0], (word)thread_saw[2]);
}

/* An LDT changes, and programs with and without one take turns on the CPU. */
static void ldt_many(void)
{
    long pids[4];

    shared_memory = map_memory(4096, 0);
    for (unsigned i = 0; i < 4; i++) {
        pids[i] = fork_process();
        if (pids[i])
            continue;
        unsigned wrong = 0;
        for (unsigned n = 0; n < 25; n++) {
            shared_memory[n % 64] = i * 1000 + n;
            if (i)
                wrong += set_ldt(data_segment(n % 2 * i * 300, shared_memory + n % 64, 0xff)) != 0;
            if (i)
                look_fs(0, LDT_SELECTOR(n % 2 * i * 300));
            yield();
            if (i) {
                unsigned now;
                __asm__ volatile("movl %%fs:0, %0" : "=r"(now));
                wrong += now != i * 1000 + n || thread_saw[0] != now;
            }
        }
        leave((int)wrong);
    }
    unsigned bad = 0;
    for (unsigned i = 0; i < 4; i++)
        bad += wait_process(pids[i]) != 0;
    say("%ld of 4 programs saw another's\n", (long)bad);
}

static void tls_entries(void)
{
    unsigned *memory = map_memory(4096, 0);
    struct user_desc d = data_segment((unsigned)-1, memory, 0xfffff);
    unsigned entries[3] = {0};

    catch_faults();
    d.limit_in_pages = 1;
    for (unsigned i = 0; i < 4; i++) {
        long rc = thread_area(NR(set_thread_area), d);
        say("entry: %ld, number %ld\n", rc, (long)(int)tls->entry_number);
        if (i < 3)
            entries[i] = tls->entry_number;
    }
    for (unsigned i = 0; i < 3; i++) {
        memory[i * 8] = 0x100 + i;
        d = data_segment(entries[i], memory + i * 8, 0xfffff);
        d.limit_in_pages = 1;
        say("set: %ld\n", thread_area(NR(set_thread_area), d));
    }
    for (unsigned i = 0; i < 3; i++)
        try_access("the entry's memory", read_fs, GDT_SELECTOR(entries[i]), 0);
    say("get: %ld, limit %lx\n",
        thread_area(NR(get_thread_area), (struct user_desc){.entry_number = entries[1]}),
        (word)tls->limit);
    say("get another: %ld\n",
        thread_area(NR(get_thread_area), (struct user_desc){.entry_number = 1}));
    say("set another: %ld\n", thread_area(NR(set_thread_area), data_segment(3, memory, 0)));
    d = code_segment(entries[0], memory, 0xfffff);
    say("set code: %ld\n", thread_area(NR(set_thread_area), d));
    try_access("code", read_fs, GDT_SELECTOR(entries[0]), 0);
    d = data_segment(entries[0], memory, 0xfff);
    d.seg_not_present = 1;
    say("set not present: %ld\n", thread_area(NR(set_thread_area), d));
    try_access("not present", load_es, GDT_SELECTOR(entries[0]), 0);
    d = (struct user_desc){.entry_number = entries[1], .read_exec_only = 1, .seg_not_present = 1};
    say("clear: %ld\n", thread_area(NR(set_thread_area), d));
    try_access("cleared", load_es, GDT_SELECTOR(entries[1]), 0);
}

/* A selector that loses its descriptor, while it is loaded. */
static void tls_lost(void)
{
    unsigned *memory = map_memory(4096, 0);
    struct user_desc d = data_segment((unsigned)-1, memory, 0xfffff);
    unsigned ds, es, fs, gs;

    d.limit_in_pages = 1;
    thread_area(NR(set_thread_area), d);
    const unsigned selector = GDT_SELECTOR(tls->entry_number);
    *tls = (struct user_desc){
        .entry_number = tls->entry_number, .read_exec_only = 1, .seg_not_present = 1};
    __asm__ volatile(
        "mov %%ds, %%edi; mov %6, %%es; mov %6, %%fs; mov %6, %%gs; int $0x80\n"
        "mov %%es, %1; mov %%fs, %2; mov %%gs, %3; mov %%ds, %0; mov %%edi, %%ds; mov %%edi, %%es"
        : "=&r"(ds), "=&r"(es), "=&a"(fs), "=&c"(gs)
        : "2"(243), "b"(tls), "r"(selector)
        : "edi", "memory");
    say("ds %lx es %lx fs %lx gs %lx\n", (word)ds, (word)es, (word)fs, (word)gs);
}

const struct experiment segment_experiments[] = {
    {"ldt, data: ", ldt_data},
    {"ldt, refusals: ", ldt_refusals},
    {"far calls: ", far_calls},
    {"ldt, threads: ", ldt_threads},
    {"ldt, fork: ", ldt_fork},
    {"ldt, many programs: ", ldt_many},
    {"thread areas: ", tls_entries},
    {"a thread area that goes: ", tls_lost},
    {0},
};
