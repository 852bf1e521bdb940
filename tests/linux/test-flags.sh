#!/bin/sh
# A program's flags on their way through Linux and back: each answer is that of the bare machine.
#   test-flags.sh BUILD
# flags.c says what is tried.  A hypervisor that gets one wrong kills the program, its debugger or its kernel.
set -u
. "$(dirname "$0")/linux.sh"
need_kernels
image=$(kernel cloud-amd64)

lines() { # FILE: between the marks
    sed -n '/^=== begin$/,/^=== end$/p' "$1" | grep -v '^==='
}

model=qemu64
(
    out=$work/out.bare err=$work/err.bare vcpus=1
    on_bare "$image" quiet do=run-flags machine=bare
) &
options="-q"
on_paravane "$image" quiet do=run-flags
wait
judge "ends well" 0 $status
lines "$work/out.bare" >"$work/bare"
lines "$out" >"$work/ours"
while IFS= read -r line; do
    grep -qxF -e "$line" "$work/ours"
    result $? "$line"
done <"$work/bare"
for line in 'iret without a stack' 'far return without a stack'; do
    grep -qxF -e "$line: signal 11, code 1, address some" "$work/ours"
    result $? "$line: SIGSEGV, not the kernel's fault"
done
[ "$(wc -l <"$work/bare")" = 6 ] && [ "$(wc -l <"$work/ours")" = 8 ]
result $? "both machines answered all of it"
diff "$work/bare" "$work/ours" | comment

# Intel's processors execute SYSENTER in 64-bit code.  Linux has a handler only for 32-bit programs, which finds no stack of its own.
options="-q --cpu Nehalem"
on_paravane "$image" quiet do=run-flags
judge "Nehalem: ends well" 0 $status
says "Nehalem: SYSENTER with DF set ends the program alone" 'sysenter in 64-bit code: signal 11'
says "Nehalem: a breakpoint is hit once" 'a breakpoint in a register: hits 1'
plan
