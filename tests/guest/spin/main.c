/* A guest that never gives the processor back: for its neighbours' tests. */
#include "guest.h"
#include "console.h"

void guest_main(void)
{
    console_printf("spin: spinning\n");
    for (;;)
        __asm__ volatile("");
}
