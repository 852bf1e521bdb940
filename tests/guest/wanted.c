/*
 * What must have a test, one line each:
 *
 *   wanted           every hypercall that is served, and every sub-operation
 *                    that is served or needs a role, as COVERS and COVERS_CALL
 *                    (lib/tap.h) write them
 *   wanted --rules   every refusal rule a guest can meet, with its sentence;
 *                    those about images (IM) have their tests in tests/boot
 */
#include <stdio.h>
#include <string.h>
#include <paravane/hypercall-list.h>
#include <paravane/rule-list.h>

#define PRINT_CALL(name, nargs, cost, args) puts(#name);
#define NO_CALL(name, nargs, args)

static const char *call;

static void print_op(const char *op, const char *served)
{
    if (strcmp(served, "NO"))
        printf("%s %s\n", call, op);
}

#define PRINT_OP(op, served, fields) print_op(#op, #served);
#define PRINT_LIST(name, list) \
    call = #name;              \
    list##_LIST(PRINT_OP)

static void print_rule(const char *id, const char *says)
{
    if (strncmp(id, "IM_", 3))
        printf("%.2s-%s %s\n", id, id + 3, says);
}

#define PRINT_RULE(id, word, errno, protects, says, source) print_rule(#id, says);

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--rules")) {
        RULE_LIST(PRINT_RULE)
        return 0;
    }
    HYPERCALL_LIST(PRINT_CALL, NO_CALL)
    SUBOP_LISTS(PRINT_LIST)
    return 0;
}
