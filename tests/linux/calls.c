/*
 * A plugin for QEMU's TCG: what a hypervisor executes while a program waits for a hypercall of each kind.
 *
 *   -plugin calls.so,out=FILE
 *
 * Whoever wants to be counted says so by a NOP that does nothing else, NOPL MARK+KIND(%rax) (0f 1f 80 and four bytes):
 * from then on what the hypervisor executes, on any CPU, belongs to KIND, and what the kernel and its programs do, to
 * its guest column.  KIND 0 is what nobody has named; MARK_PHASE ends a phase, as QEMU's end does.  A phase has a line
 * for each kind that was seen in it:
 *
 *   PHASE KIND TIMES HYPERVISOR GUEST        how often it was named, and instructions
 *
 * Both hypervisors live at ffff82...  A translation block counts as a whole, also when a fault leaves it in the middle;
 * tests/bench/profile.c is exact, and does not know what for.  QEMU has to have one thread (-accel tcg,thread=single).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info; /* not looked at */

typedef void tb_translated_fn(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void executed_fn(unsigned cpu, void *data);
typedef void exit_fn(qemu_plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_translated_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, executed_fn *fn, int registers,
                                          void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn *fn,
                                            int registers, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_fn *fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

EXPORT int qemu_plugin_version = 1;

#define MARK       0x50560000u
#define MARK_PHASE 0xffffu
#define KINDS      256u

enum { NO_REGISTERS = 0 };

static struct {
    uint64_t times, hypervisor, guest;
} counts[KINDS];
static unsigned kind, phase;
static FILE *out;

static void in_hypervisor(unsigned cpu, void *instructions)
{
    counts[kind].hypervisor += (uintptr_t)instructions;
}

static void in_guest(unsigned cpu, void *instructions)
{
    counts[kind].guest += (uintptr_t)instructions;
}

static void end_phase(void)
{
    for (unsigned k = 0; k < KINDS; k++)
        if (counts[k].times || counts[k].hypervisor || counts[k].guest)
            fprintf(out, "%u %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", phase, k, counts[k].times,
                    counts[k].hypervisor, counts[k].guest);
    memset(counts, 0, sizeof(counts));
    phase++;
    fflush(out);
}

static void at_mark(unsigned cpu, void *number)
{
    if ((uintptr_t)number == MARK_PHASE) {
        end_phase();
        return;
    }
    kind = (uintptr_t)number % KINDS;
    counts[kind].times++;
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    end_phase();
}

/* Is @insn a mark?  Its number then. */
static bool is_mark(const struct qemu_plugin_insn *insn, uintptr_t *number)
{
    const uint8_t *bytes = qemu_plugin_insn_data(insn);
    uint32_t displacement;

    if (qemu_plugin_insn_size(insn) != 7 || bytes[0] != 0x0f || bytes[1] != 0x1f ||
        bytes[2] != 0x80)
        return false;
    memcpy(&displacement, bytes + 3, sizeof(displacement));
    *number = displacement & 0xffff;
    return (displacement & 0xffff0000) == MARK;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    const size_t n = qemu_plugin_tb_n_insns(tb);
    const bool hypervisor = qemu_plugin_tb_vaddr(tb) >> 40 == 0xffff82;
    uintptr_t number;

    qemu_plugin_register_vcpu_tb_exec_cb(tb, hypervisor ? in_hypervisor : in_guest, NO_REGISTERS,
                                         (void *)n);
    for (size_t i = 0; i < n; i++)
        if (is_mark(qemu_plugin_tb_get_insn(tb, i), &number))
            qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, i), at_mark,
                                                   NO_REGISTERS, (void *)number);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
                               char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(argv[i] + 4, "w");
    if (!out) {
        fprintf(stderr, "calls: out= is missing, or that file cannot be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
