/* The user's L4 holds one entry: slot 0, whose L3 the kernel's L4 shares. */
#include "user.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>

static uint64_t *root;
static char *code, *data, *kernel_stack;

unsigned long user_root_mfn(void)
{
    return page_mfn(root);
}

unsigned long user_kernel_stack_top(void)
{
    return (unsigned long)kernel_stack + PAGE_SIZE;
}

void *user_code_page(void)
{
    return code;
}

void *user_data_page(void)
{
    return data;
}

void user_init(void)
{
    code = page_alloc();
    data = page_alloc();
    char *stack = page_alloc();
    if (memory_map_at(USER_CODE, pte_of(page_mfn(code), PTE_RO)) ||
        memory_map_at(USER_DATA, pte_of(page_mfn(data), PTE_RW | PTE_NX)) ||
        memory_map_at(USER_STACK_TOP - PAGE_SIZE, pte_of(page_mfn(stack), PTE_RW | PTE_NX)))
        tap_bail_out("cannot map user pages");

    root = page_alloc();
    root[0] = *memory_entry(0, 4);
    if (page_protect(root, PTE_RO) || mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(root)) ||
        mmuext(MMUEXT_NEW_USER_BASEPTR, page_mfn(root)))
        tap_bail_out("cannot make a user root");

    kernel_stack = page_alloc();
    if (hypercall_stack_switch(FLAT_KERNEL_SS, user_kernel_stack_top()))
        tap_bail_out("stack_switch failed");
}

struct trap_frame user_frame(void)
{
    return (struct trap_frame){.rip = USER_CODE,
                               .cs = FLAT_USER_CS,
                               .rflags = RFLAGS_IF,
                               .rsp = USER_STACK_TOP,
                               .ss = FLAT_USER_SS};
}

int user_run(const struct trap_frame *frame, const void *text, size_t length)
{
    struct trap_frame regs = *frame;

    memcpy(code, text, length);
    return TRAPS(trap_return(&regs));
}
