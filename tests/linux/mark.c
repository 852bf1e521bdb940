/* Ends a phase for tests/linux/calls.c, which counts instructions: a NOP with a number. */
int main(void)
{
    __asm__ volatile("nopl %c0(%%rax)" ::"i"(0x50560000 + 0xffff));
    return 0;
}
