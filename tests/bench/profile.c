/*
 * A plugin for QEMU's TCG: how often each instruction was executed, in phases.
 *
 *   -plugin profile.so,kernel=ADDRESS,next=ADDRESS,out=FILE
 *
 * Phase 0 lasts until the first instruction at or above @kernel (hexadecimal):
 * firmware, loader, and the hypervisor's boot.  From then on each execution of
 * the instruction at @next ends a phase and begins the following one.  The end
 * of a phase writes its counts, a line each: `PHASE ADDRESS COUNT`.
 *
 * Counts are exact: one addition for each instruction, emitted into the
 * translated code.  An instruction is known by its virtual address, so two that
 * share one (two processes, firmware and a process) share a count; the halves of
 * the address space that belong to guest and hypervisor never do.
 *
 * QEMU's plugin interface, version 1 (QEMU 4.2 and later).  Debian packages no
 * header of it, so what is used here is declared here.
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
typedef void instruction_fn(unsigned cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_translated_fn *fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, instruction_fn *fn,
                                            int registers, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation,
                                                void *counter, uint64_t addend);
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

EXPORT int qemu_plugin_version = 1;

enum { NO_REGISTERS = 0, ADD_U64 = 0, BUCKETS = 1 << 18 };

/* QEMU keeps the address of @count in its code: entries are never moved or freed. */
struct entry {
    uint64_t address, count;
    struct entry *next;
};

static struct entry *table[BUCKETS];
static uint64_t kernel_address, next_address;
static unsigned phase;
static FILE *out;

static uint64_t *counter_of(uint64_t address)
{
    struct entry **bucket = &table[(address ^ address >> 18) % BUCKETS];
    struct entry *e = *bucket;
    while (e && e->address != address)
        e = e->next;
    if (!e) {
        e = calloc(1, sizeof(*e));
        if (!e)
            abort();
        e->address = address;
        e->next = *bucket;
        *bucket = e;
    }
    return &e->count;
}

static void end_phase(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = table[i]; e; e = e->next) {
            if (e->count)
                fprintf(out, "%u %" PRIx64 " %" PRIu64 "\n", phase, e->address, e->count);
            e->count = 0;
        }
    phase++;
    fflush(out);
}

static void in_kernel(unsigned cpu, void *data)
{
    if (phase == 0)
        end_phase();
}

static void at_next(unsigned cpu, void *data)
{
    if (phase > 0)
        end_phase();
}

/* After the first phase no instruction needs to be asked whether it ends that. */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (phase == 0 && address >= kernel_address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, in_kernel, NO_REGISTERS, NULL);
        if (address == next_address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_next, NO_REGISTERS, NULL);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, counter_of(address), 1);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
                               char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "kernel=", 7) == 0)
            kernel_address = strtoull(argv[i] + 7, NULL, 16);
        else if (strncmp(argv[i], "next=", 5) == 0)
            next_address = strtoull(argv[i] + 5, NULL, 16);
        else if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(argv[i] + 4, "w");
    }
    if (!out || !kernel_address) {
        fprintf(stderr, "profile: kernel= or out= is missing, or that file cannot be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
