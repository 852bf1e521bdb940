#!/bin/sh
# Our guest kernel on four vCPUs, of which one, two or all have a CPU at a time.
#   test-guest-smp.sh BUILD
# What its processes can find out about that is asked by pv-guest/user/parallel.c; here is the rest.
set -u
. "$(dirname "$0")/tap.sh"
guest=$build/pv-guest/pv-guest
initramfs=$build/pv-guest/initramfs.cpio

boot() { "$paravane" run --timeout 150 -c 4 -r "$initramfs" "$@"; }

for cpus in 1 2 4; do
    ask "parallel's questions with $cpus CPUs" 0 boot -q --tap --threads multi --cpus "$cpus" "$guest" init=/bin/parallel
done

# A kernel that is made for the ABI asks for CPUID and such while it starts; then it executes nothing that
# the hypervisor would have to do for it, whatever its processes do.
emulated() { # PROGRAM [CPU]
    boot --explain --threads multi --cpus 2 --cpu "${2-qemu64}" "$guest" "init=$1" >"$out" 2>"$err"
    sed -n 's/.* d1: \([0-9]*\) instructions emulated.*/\1/p' "$err"
}
for cpu in qemu64 max; do
    start=$(emulated /bin/true $cpu)
    busy=$(emulated /bin/parallel $cpu)
    [ "${start:-0}" -gt 0 ] && [ "$start" = "$busy" ]
    result $? "-cpu $cpu: ${start:-no} instructions are emulated at the start, and none after (${busy:-no} in all)"
done

# Ends, while the other CPUs are busy.
session() { # TEXT [OPTION...]: typed to a shell
    printf '%s' "$1" >"$work/input"
    shift
    boot "$@" "$guest" <"$work/input" >"$out" 2>"$err"
}
busy='for i in 1 2 3 4 5 6; do while :; do :; done & done;'
session "$busy poweroff -f
" --threads multi --cpus 2
judge 'the machine is switched off while all CPUs compute' 0 $?
session "$busy exit 3
" --threads multi --cpus 2
judge 'and ends with pid 1' 1 $?
told 'whose status is told' 'exited with status 3'
ask 'a panic, while three CPUs are idle' 20 boot --cpus 2 "$guest" init=/no/such/file
says 'its words' 'kernel panic: cannot run /no/such/file: error 2'

# A shell's work, much of it at the same time.
session 'for i in 1 2 3 4 5 6 7 8; do (seq 1 2000 | sort -rn | head -n $i | wc -l >/tmp/r$i) & done; wait; echo got $(cat /tmp/r?)
for i in $(seq 1 30); do echo $i; done | (while read n; do /bin/busybox expr $n + $n; done) | sort -n | tail -n 1
for i in 1 2 3 4; do for j in 1 2 3 4 5; do /bin/true & done; wait; done; echo all done
exit
' --threads multi --cpus 4
judge 'a shell session with pipelines side by side ends well' 0 $?
says 'eight pipelines gave eight results' 'got 1 2 3 4 5 6 7 8'
says 'a pipeline of thirty small programs' '60'
says 'and what was started in the background has ended' 'all done'
plan
