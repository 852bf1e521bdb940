/*
 * The x87 and SSE registers through signals and switches: kept, shown to a handler, changed by one.
 */
#include "runtime.h"

struct image {
    uint16_t control, status;
    uint8_t to_mxcsr[20];
    uint32_t mxcsr, mask;
    uint8_t st[8][16], xmm[16][16];
    uint8_t rest[96];
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct image) == 512, "FXSAVE");

static struct image before, now;
static struct {
    unsigned control, mxcsr, xmm, st;
    int change;
} shown;

static void save(struct image *i)
{
    __asm__ volatile("fxsave %0" : "=m"(*i));
}

/* Every register has a value of its own. */
static void load_pattern(unsigned seed)
{
    __asm__ volatile("fninit");
    save(&before);
    for (unsigned r = 0; r < 8; r++)
        for (unsigned b = 0; b < 8; b++)
            before.st[r][b] = (uint8_t)(seed + r * 16 + b);
    for (unsigned r = 0; r < BITS / 4; r++)
        for (unsigned b = 0; b < 16; b++)
            before.xmm[r][b] = (uint8_t)(seed + r * 7 + b * 3);
    before.control = 0x27f;
    before.mxcsr = 0x9fc0;     /* FTZ, DAZ */
    before.to_mxcsr[0] = 0xff; /* all of the x87 stack is in use */
    __asm__ volatile("fxrstor %0" : : "m"(before));
}

static unsigned differences(const struct image *a, const struct image *b)
{
    unsigned n = (a->control != b->control) + (a->mxcsr != b->mxcsr);

    for (unsigned r = 0; r < 8; r++)
        for (unsigned i = 0; i < 10; i++)
            n += a->st[r][i] != b->st[r][i];
    for (unsigned r = 0; r < BITS / 4; r++)
        for (unsigned i = 0; i < 16; i++)
            n += a->xmm[r][i] != b->xmm[r][i];
    return n;
}

static void on_signal_here(int signal, siginfo_t *info, struct ucontext *context)
{
    uint8_t *at = (uint8_t *)context->uc_mcontext.fpstate;
    uint16_t control;
    uint32_t mxcsr;

    (void)signal;
    (void)info;
#ifdef __i386__
    at += 112; /* behind the older layout, FNSAVE's */
#endif
    struct image *i = (struct image *)at;
    __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(control), "=m"(mxcsr));
    say("a handler begins with control %lx mxcsr %lx, its frame has %lx %lx %lx %lx\n",
        (word)control, (word)mxcsr, (word)i->control, (word)i->mxcsr, (word)i->xmm[1][0],
        (word)i->st[1][0]);
    if (shown.change) {
        i->xmm[1][0] ^= 0xff;
        i->mxcsr = 0x1f80;
#ifdef __x86_64__
        i->control = 0x37f;
#endif
    }
    __asm__ volatile(
        "fninit; fldpi; fldpi; fldz; xorps %xmm0, %xmm0; xorps %xmm1, %xmm1; xorps %xmm7, %xmm7");
}

static void fpu_signals(void)
{
    on_signal(SIGTRAP, on_signal_here, 0);
    load_pattern(1);
    __asm__ volatile("int3");
    save(&now);
    say("kept: %ld bytes differ\n", (long)differences(&before, &now));
    shown.change = 1;
    load_pattern(2);
    __asm__ volatile("int3");
    save(&now);
    say("changed: %ld bytes differ, mxcsr %lx, control %lx\n", (long)differences(&before, &now),
        (word)now.mxcsr, (word)now.control);
}

static void fpu_switches(void)
{
    int there[2], back[2];
    char c = 0;
    unsigned bad = 0;

    CALL(NR(pipe), there);
    CALL(NR(pipe), back);
    const long pid = fork_process();
    const unsigned seed = pid ? 3 : 99;
    load_pattern(seed);
    for (unsigned i = 0; i < 100; i++) {
        if (pid) {
            CALL(NR(write), there[1], &c, 1);
            CALL(NR(read), back[0], &c, 1);
        } else {
            CALL(NR(read), there[0], &c, 1);
            CALL(NR(write), back[1], &c, 1);
        }
        save(&now);
        bad += differences(&before, &now) != 0;
    }
    if (!pid)
        leave(bad != 0);
    say("after switches: %ld differ, status %lx\n", (long)bad, (word)wait_process(pid));
}

/* A child begins with its parent's registers. */
static void fpu_fork(void)
{
    load_pattern(5);
    const long pid = fork_process();
    save(&now);
    if (!pid)
        leave((int)differences(&before, &now));
    say("after fork: %ld differ, in the child %lx\n", (long)differences(&before, &now),
        (word)wait_process(pid));
}

const struct experiment fpu_experiments[] = {
    {"fpu, signals: ", fpu_signals},
    {"fpu, switches: ", fpu_switches},
    {"fpu, fork: ", fpu_fork},
    {0},
};
