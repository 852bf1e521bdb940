/*
 * What must have a test: every hypercall that is served, and every
 * sub-operation that is served or needs a role.  One line each, as COVERS and
 * COVERS_CALL (lib/tap.h) write them.
 */
#include <stdio.h>
#include <string.h>
#include <paravane/hypercall-list.h>

#define PRINT_CALL(name, nargs, cost, args) puts(#name);
#define NO_CALL(name, nargs, args)

static const char *call;

static void print_op(const char *op, const char *served)
{
    if (strcmp(served, "NO"))
        printf("%s %s\n", call, op);
}

#define PRINT_OP(op, served) print_op(#op, #served);
#define PRINT_LIST(name, list) \
    call = #name;              \
    list##_LIST(PRINT_OP)

int main(void)
{
    HYPERCALL_LIST(PRINT_CALL, NO_CALL)
    SUBOP_LISTS(PRINT_LIST)
    return 0;
}
