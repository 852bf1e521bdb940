/* A record as a line.  See strace-format.h. */
/* Before anything includes <xen/...>: the toolstack's structures. */
#define __XEN_TOOLS__ 1

#include "strace-format.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/errno.h>
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <paravane/hypercall-list.h>
#include <paravane/rule-list.h>

/* --- The lists, expanded --------------------------------------------------- */

static const struct call {
    const char *name, *args;
    unsigned number;
} calls[] = {
#define CALL(name, count, cost, args) {#name, args, __HYPERVISOR_##name},
#define NONE(name, count, args)       {#name, args, __HYPERVISOR_##name},
    HYPERCALL_LIST(CALL, NONE)
#undef CALL
#undef NONE
};

/* The lists of names, each operation with the list that it is in. */
static const struct operation {
    const char *list, *name, *fields; /* @fields NULL: a mere name for a value */
    uint64_t value;
} operations[] = {
#define MMUEXT_OP(name, how, fields)      {"MMUEXT", #name, fields, name},
#define XENMEM_OP(name, how, fields)      {"XENMEM", #name, fields, name},
#define XENVER_OP(name, how, fields)      {"XENVER", #name, fields, name},
#define CONSOLEIO_OP(name, how, fields)   {"CONSOLEIO", #name, fields, name},
#define GNTTABOP_OP(name, how, fields)    {"GNTTABOP", #name, fields, name},
#define VMASST_CMD_OP(name, how, fields)  {"VMASST_CMD", #name, fields, name},
#define VMASST_TYPE_OP(name, how, fields) {"VMASST_TYPE", #name, fields, name},
#define VCPUOP_OP(name, how, fields)      {"VCPUOP", #name, fields, name},
#define SEGBASE_OP(name, how, fields)     {"SEGBASE", #name, fields, name},
#define SCHEDOP_OP(name, how, fields)     {"SCHEDOP", #name, fields, name},
#define CALLBACKOP_OP(name, how, fields)  {"CALLBACKOP", #name, fields, name},
#define EVTCHNOP_OP(name, how, fields)    {"EVTCHNOP", #name, fields, name},
#define PHYSDEVOP_OP(name, how, fields)   {"PHYSDEVOP", #name, fields, name},
#define LIST(call, prefix)                prefix##_LIST(prefix##_OP)
    SUBOP_LISTS(LIST) VMASST_CMD_LIST(VMASST_CMD_OP)
#undef LIST
#define SHUTDOWN_NAME(name)     {"SHUTDOWN", #name, NULL, name},
#define VIRQ_NAME(name)         {"VIRQ", #name, NULL, name},
#define CALLBACKTYPE_NAME(name) {"CALLBACKTYPE", #name, NULL, name},
#define DOMCTL_NAME(name)       {"DOMCTL", #name, NULL, name},
#define SYSCTL_NAME(name)       {"SYSCTL", #name, NULL, name},
#define XENPF_NAME(name)        {"XENPF", #name, NULL, name},
        DOMCTL_LIST(DOMCTL_NAME) SYSCTL_LIST(SYSCTL_NAME) XENPF_LIST(XENPF_NAME)
            SHUTDOWN_LIST(SHUTDOWN_NAME) VIRQ_LIST(VIRQ_NAME) CALLBACKTYPE_LIST(CALLBACKTYPE_NAME)};

static const struct structure {
    const char *name, *fields;
} structures[] = {
#define S(name, fields) {#name, fields},
    STRUCTURE_LIST(S)
#undef S
};

static const struct rule {
    const char *id, *says;
} rules[] = {{"", ""},
#define RULE(id, word, error, protects, says, source) {#id, says},
             RULE_LIST(RULE)
#undef RULE
};
#define RULES (sizeof(rules) / sizeof(rules[0]))
const unsigned strace_rules = RULES;

static const struct {
    const char *name;
    int number;
} errors[] = {
#define XEN_ERRNO(name, number) {#name, number},
#include <xen/errno.h>
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct call *call_of(unsigned number)
{
    for (size_t i = 0; i < COUNT(calls); i++)
        if (calls[i].number == number)
            return &calls[i];
    return NULL;
}

static bool strace_format_same(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

static const struct operation *operation_of(const char *list, size_t length, uint64_t value)
{
    for (size_t i = 0; i < COUNT(operations); i++)
        if (operations[i].value == value && strace_format_same(operations[i].list, list, length))
            return &operations[i];
    return NULL;
}

static const char *fields_of(const struct strace_field *f)
{
    for (size_t i = 0; i < COUNT(structures); i++)
        if (strace_format_same(structures[i].name, f->list, f->list_length))
            return structures[i].fields;
    return "";
}

/* The operation of the @i-th structure of an array (mmuext_op's), or NULL: there are no more, or
 * none has one. */
static const struct operation *operation_of_element(const struct strace_record *r,
                                                    const struct strace_field *f, unsigned i)
{
    const char *fields = fields_of(f);
    struct strace_field first = {0};
    int written;
    const unsigned size = strace_structure_size(fields, &written);

    if ((i + 1) * size > r->in || !strace_field_next(&fields, &first) ||
        first.kind != FORMAT_OPERATION)
        return NULL;
    uint32_t value;
    memcpy(&value, (const char *)(r + 1) + i * size, sizeof(value));
    return operation_of(first.list, first.list_length, value);
}

/* The @i-th operation that @r names; NULL: there are no more. */
static const struct operation *operation_at(const struct strace_record *r, unsigned i)
{
    const struct call *c = call_of(r->number);
    const char *at = c ? c->args : "";
    struct strace_field f = {0};

    for (unsigned n = 0; n < r->args && strace_field_next(&at, &f); n++) {
        if (f.kind == FORMAT_ARRAY && f.list)
            return operation_of_element(r, &f, i);
        if (f.kind == FORMAT_OPERATION && i-- == 0)
            return operation_of(f.list, f.list_length, (uint32_t)r->arg[n]);
    }
    return NULL;
}

bool strace_failed(const struct strace_record *r)
{
    return r->number != __HYPERVISOR_iret && (int64_t)r->result < 0;
}

const char *strace_call_name(unsigned number)
{
    const struct call *c = call_of(number);
    return c ? c->name : NULL;
}

const char *strace_operation_name(const struct strace_record *r, unsigned i)
{
    const struct operation *o = operation_at(r, i);
    return o ? o->name : NULL;
}

bool strace_is_call(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT(calls); i++)
        if (strace_format_same(calls[i].name, name, length))
            return true;
    return false;
}

bool strace_is_operation(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT(operations); i++)
        if (operations[i].fields && strace_format_same(operations[i].name, name, length))
            return true;
    return false;
}

/* --- Values ---------------------------------------------------------------- */

static void put_domain(struct bytes *out, uint64_t value)
{
    static const struct {
        const char *name;
        uint64_t number;
    } known[] = {{"DOMID_SELF", DOMID_SELF},       {"DOMID_IO", DOMID_IO},
                 {"DOMID_XEN", DOMID_XEN},         {"DOMID_COW", DOMID_COW},
                 {"DOMID_INVALID", DOMID_INVALID}, {"DOMID_IDLE", DOMID_IDLE}};
    for (size_t i = 0; i < COUNT(known); i++)
        if (known[i].number == value) {
            bytes_format(out, "%s", known[i].name);
            return;
        }
    bytes_format(out, value < DOMID_FIRST_RESERVED ? "%lu" : "%#lx", (unsigned long)value);
}

static void put_text(struct bytes *out, const char *text, size_t size)
{
    bytes_append(out, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '\n' || c == '\r' || c == '\t')
            bytes_format(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c == '"' || c == '\\')
            bytes_format(out, "\\%c", c);
        else if (isprint(c))
            bytes_append(out, (const char *)&c, 1);
        else
            bytes_format(out, "\\x%02x", c);
    }
    bytes_append(out, "\"", 1);
}

/* The address of a page-table entry, with mmu_update's command in its low bits. */
static void put_update(struct bytes *out, uint64_t value)
{
    static const char *const command[] = {"", "|MMU_MACHPHYS_UPDATE", "|MMU_PT_UPDATE_PRESERVE_AD",
                                          "|MMU_PT_UPDATE_NO_TRANSLATE"};
    const unsigned low = value & 7;
    bytes_format(out, "%#lx", (unsigned long)(value & ~7ul));
    if (low < COUNT(command))
        bytes_format(out, "%s", command[low]);
    else
        bytes_format(out, "|%u", low);
}

static void put_value(struct bytes *out, const struct strace_field *f, uint64_t value)
{
    const struct operation *o;

    switch (f->kind) {
    case FORMAT_UNSIGNED:
        bytes_format(out, "%lu", (unsigned long)value);
        break;
    case FORMAT_SIGNED:
        bytes_format(out, "%ld",
                     f->size == 2   ? (long)(int16_t)value
                     : f->size == 4 ? (long)(int32_t)value
                                    : (long)value);
        break;
    case FORMAT_DOMAIN:
        put_domain(out, value);
        break;
    case FORMAT_UPDATE:
        put_update(out, value);
        break;
    case FORMAT_OPERATION:
        o = operation_of(f->list, f->list_length, (uint32_t)value);
        if (o)
            bytes_format(out, "%s", o->name);
        else
            bytes_format(out, "%lu", (unsigned long)value);
        break;
    default:
        if (!value && f->kind != FORMAT_HEX && f->kind != FORMAT_ENTRY && f->kind != FORMAT_FRAME)
            bytes_append(out, "NULL", 4);
        else
            bytes_format(out, value ? "%#lx" : "0", (unsigned long)value);
    }
}

static uint64_t load(const char *at, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, at, size < sizeof(value) ? size : sizeof(value));
    return value;
}

/* One structure: what the caller filled in, or what the hypervisor @wrote.  The name is left out if
 * it has one. */
static void put_structure(struct bytes *out, const char *fields, const char *data, size_t size,
                          bool wrote)
{
    struct strace_field f = {0};
    const char *separator = "";

    while (strace_field_next(&fields, &f) && f.offset + f.size <= size) {
        if (strace_format_same("-", f.name, f.name_length) || (wrote ? !f.written : !f.read))
            continue;
        if (f.name_length)
            bytes_format(out, "%s%.*s=", *separator ? separator : "{", (int)f.name_length, f.name);
        separator = ", ";
        if (f.kind == FORMAT_STRING)
            put_text(out, data + f.offset, strnlen(data + f.offset, f.size));
        else
            put_value(out, &f, load(data + f.offset, f.size));
        if (!f.name_length)
            return;
    }
    bytes_append(out, *separator ? "}" : "{}", *separator ? 1 : 2);
}

#define SHOWN 4u /* structures of an array: what comes then is seldom different */

/* The first of @there structures; @count: how many there are in all, ~0: more, but nobody said how
 * many. */
static void put_structures(struct bytes *out, const char *fields, const char *data, size_t there,
                           uint64_t count, bool wrote)
{
    const size_t shown = there < SHOWN ? there : SHOWN;
    int written;
    const size_t size = strace_structure_size(fields, &written);

    bytes_append(out, "[", 1);
    for (size_t i = 0; i < shown; i++) {
        if (i)
            bytes_append(out, ", ", 2);
        put_structure(out, fields, data + i * size, size, wrote);
    }
    if (count == ~0ull)
        bytes_format(out, ", ...");
    else if (count > shown)
        bytes_format(out, "%s... %lu more", shown ? ", " : "", (unsigned long)(count - shown));
    bytes_append(out, "]", 1);
}

/* --- Arguments ------------------------------------------------------------- */

/* What the argument that @f names as its count says; ~0: nothing is named. */
static uint64_t count_of(const struct strace_record *r, const struct call *c,
                         const struct strace_field *f)
{
    const char *at = c->args;
    struct strace_field a = {0};

    if (!f->count)
        return ~0ull;
    for (unsigned n = 0; n < 6 && strace_field_next(&at, &a); n++)
        if (a.name_length == f->count_length && memcmp(a.name, f->count, f->count_length) == 0)
            return ((uint32_t)r->arg[n] + f->divisor - 1) / f->divisor;
    return ~0ull;
}

static const char *data_of(const struct strace_record *r, bool wrote)
{
    return (const char *)(r + 1) + (wrote ? (r->in + 7) & ~7 : 0);
}

static bool is_read(const char *fields)
{
    struct strace_field f = {0};
    while (strace_field_next(&fields, &f))
        if (f.read)
            return true;
    return false;
}

/* Of an array without a count, that ends in a structure of zeroes: how many come before that. */
static size_t before_the_end(const char *fields, const char *data, size_t there)
{
    int written;
    const size_t size = strace_structure_size(fields, &written);
    size_t n = 0;
    while (n < there && load(data + (n + 1) * size - sizeof(uint64_t), sizeof(uint64_t)))
        n++;
    return n;
}

static void put_characters(struct bytes *out, const struct strace_record *r, uint64_t count,
                           bool wrote)
{
    const size_t size = wrote ? r->out : r->in;
    put_text(out, data_of(r, wrote), size);
    if (count > size)
        bytes_format(out, "...");
}

/* What lies behind a pointer, before the call or after it; false: nothing was recorded. */
static bool put_pointed(struct bytes *out, const struct strace_record *r, const struct call *c,
                        const struct strace_field *f, bool wrote)
{
    const struct operation *o = operation_at(r, 0);
    const char *fields = f->kind == FORMAT_SUB ? (o ? o->fields : "") : fields_of(f);
    const char *data = data_of(r, wrote);
    const uint64_t count = count_of(r, c, f);
    int written;
    const size_t each = strace_structure_size(fields, &written);

    if (f->kind == FORMAT_TEXT) {
        put_characters(out, r, count, wrote);
        return true;
    }
    const size_t there = each ? (wrote ? r->out : r->in) / each : 0;
    if (!there || (wrote ? !written : !is_read(fields)))
        return false;
    if (f->kind == FORMAT_SUB ? count == 1 || count == ~0ull : there == 1 && count == ~0ull) {
        put_structure(out, fields, data, each, wrote);
    } else if (count == ~0ull) {
        const size_t n = before_the_end(fields, data, there);
        put_structures(out, fields, data, n, n < there ? n : ~0ull, wrote);
    } else {
        put_structures(out, fields, data, there, count, wrote);
    }
    return true;
}

static void put_argument(struct bytes *out, const struct strace_record *r, const struct call *c,
                         const struct strace_field *f, uint64_t value)
{
    const bool pointer = f->kind == FORMAT_ARRAY || f->kind == FORMAT_SUB || f->kind == FORMAT_TEXT;

    if (pointer && r->in && value && put_pointed(out, r, c, f, false))
        return;
    put_value(out, f, value);
}

/* name(arguments); a field that is only written is not shown before the call. */
static void put_call(struct bytes *out, const struct strace_record *r)
{
    const struct call *c = call_of(r->number);
    const char *at = c ? c->args : "";
    struct strace_field f = {0};
    unsigned n = 0;

    if (c)
        bytes_format(out, "%s(", c->name);
    else
        bytes_format(out, "hypercall_%u(", r->number);
    for (; n < r->args && strace_field_next(&at, &f); n++) {
        if (n)
            bytes_append(out, ", ", 2);
        put_argument(out, r, c, &f, r->arg[n]);
    }
    for (; !c && n < r->args; n++)
        bytes_format(out, "%s%#lx", n ? ", " : "", (unsigned long)r->arg[n]);
    if (r->args < 6 && (!c || strace_field_next(&at, &f)))
        bytes_format(out, n ? ", ..." : "...");
    bytes_append(out, ")", 1);
}

/* What the call wrote, if it went well. */
static void put_written(struct bytes *out, const struct strace_record *r)
{
    const struct call *c = call_of(r->number);
    const char *at = c ? c->args : "";
    struct strace_field f = {0};

    if (!r->out || (int64_t)r->result < 0)
        return;
    while (strace_field_next(&at, &f)) {
        if (f.kind != FORMAT_SUB)
            continue;
        bytes_append(out, " ", 1);
        put_pointed(out, r, c, &f, true);
    }
}

static void put_result(struct bytes *out, uint64_t result)
{
    const int64_t value = (int64_t)result;

    for (size_t i = 0; value < 0 && i < COUNT(errors); i++)
        if (errors[i].number == -value) {
            bytes_format(out, "-%s", errors[i].name);
            return;
        }
    bytes_format(out, value >= -4095 && value < 1 << 20 ? "%ld" : "%#lx", (long)value);
}

static void put_refusal(struct bytes *out, const struct strace_record *r)
{
    if (!r->rule)
        return;
    if (r->rule >= RULES) {
        bytes_format(out, " refused by rule %u", r->rule);
        return;
    }
    const struct rule *rule = &rules[r->rule];
    bytes_format(out, " refused %.2s-%s: ", rule->id, rule->id + 3);
    bytes_format(out, rule->says, (unsigned long)r->operand[0], (unsigned long)r->operand[1],
                 (unsigned long)r->operand[2]);
}

/* --- Emulated instructions ------------------------------------------------- */

static bool is_prefix(uint8_t byte)
{
    return byte == 0x66 || byte == 0x67 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 ||
           byte == 0x2e || byte == 0x36 || byte == 0x3e || (byte >= 0x40 && byte <= 0x4f) ||
           (byte >= 0x64 && byte <= 0x65);
}

/* The opcode of the eight bytes that were recorded, 0x0fxx for two bytes; *@next: the byte behind
 * it. */
static unsigned opcode_of(const struct strace_record *r, unsigned *next)
{
    const uint8_t *byte = (const uint8_t *)r->arg;
    unsigned n = 0;
    while (n < 5 && is_prefix(byte[n]))
        n++;
    unsigned opcode = byte[n++];
    if (opcode == 0x0f)
        opcode = opcode << 8 | byte[n++];
    *next = byte[n];
    return opcode;
}

static const char *emulation_name(const struct strace_record *r)
{
    unsigned next, opcode = opcode_of(r, &next);

    if (r->number == STRACE_CPUID)
        return "cpuid";
    if (r->number == STRACE_STORE)
        return "page_table_store";
    switch (opcode) {
    case 0xe4 ... 0xe5:
    case 0xec ... 0xed:
        return "in";
    case 0xe6 ... 0xe7:
    case 0xee ... 0xef:
        return "out";
    case 0x6c ... 0x6d:
        return "ins";
    case 0x6e ... 0x6f:
        return "outs";
    case 0xfa:
        return "cli";
    case 0xfb:
        return "sti";
    case 0x0f01:
        return next == 0xd1 ? "xsetbv" : "rdtscp";
    case 0x0f06:
        return "clts";
    case 0x0f09:
        return "wbinvd";
    case 0x0f20:
        return "mov_from_cr";
    case 0x0f21:
        return "mov_from_dr";
    case 0x0f22:
        return "mov_to_cr";
    case 0x0f23:
        return "mov_to_dr";
    case 0x0f30:
        return "wrmsr";
    case 0x0f31:
        return "rdtsc";
    case 0x0f32:
        return "rdmsr";
    default:
        return "instruction";
    }
}

static void put_instruction(struct bytes *out, const struct strace_record *r)
{
    unsigned next, opcode = opcode_of(r, &next);
    const unsigned long rax = r->arg[1], rcx = r->arg[2], rdx = r->arg[3];
    const unsigned long port = opcode < 0xe8 ? next : rdx & 0xffff,
                        edx_eax = rdx << 32 | (rax & 0xffffffff);

    switch (opcode) {
    case 0xe4 ... 0xe5:
    case 0xec ... 0xed:
        bytes_format(out, "(%#lx) = %#lx", port, opcode & 1 ? rax : rax & 0xff);
        break;
    case 0xe6 ... 0xe7:
    case 0xee ... 0xef:
        bytes_format(out, "(%#lx, %#lx)", port, opcode & 1 ? rax : rax & 0xff);
        break;
    case 0x0f20 ... 0x0f23:
        bytes_format(out, "(%u)", next >> 3 & 7);
        break;
    case 0x0f30:
        bytes_format(out, "(%#lx, %#lx)", rcx & 0xffffffff, edx_eax);
        break;
    case 0x0f32:
        bytes_format(out, "(%#lx) = %#lx", rcx & 0xffffffff, edx_eax);
        break;
    default:
        bytes_format(out, "()");
    }
}

static void put_emulation(struct bytes *out, const struct strace_record *r)
{
    const uint64_t *a = r->arg;
    bytes_format(out, "emulated %s", emulation_name(r));
    if (r->number == STRACE_CPUID)
        bytes_format(out, "(%#x, %#x) = %#x, %#x, %#x, %#x", (unsigned)a[0], (unsigned)a[1],
                     (unsigned)a[2], (unsigned)a[3], (unsigned)a[4], (unsigned)a[5]);
    else if (r->number == STRACE_STORE)
        bytes_format(out, "(%#lx, %#lx)", (unsigned long)a[0], (unsigned long)a[1]);
    else
        put_instruction(out, r);
}

const char *strace_name(const struct strace_record *r)
{
    return r->kind == STRACE_EMULATION ? emulation_name(r) : strace_call_name(r->number);
}

void strace_format(struct bytes *out, const struct strace_record *r)
{
    if (r->kind == STRACE_EMULATION) {
        put_emulation(out, r);
        return;
    }
    if (r->kind == STRACE_REFUSAL) {
        bytes_format(out, "trap");
        put_refusal(out, r);
        return;
    }
    put_call(out, r);
    if (r->flags & STRACE_UNFINISHED || r->number == __HYPERVISOR_iret) {
        bytes_format(out, " = ?"); /* of iret the result is the context that it went to */
    } else {
        bytes_format(out, " = ");
        put_result(out, r->result);
        put_written(out, r);
    }
    put_refusal(out, r);
}
