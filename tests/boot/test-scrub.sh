#!/bin/sh
# What memory holds that domains are given: nothing, whatever the machine held before.
# A domain leaves a secret in all memory that it gets; the machine is reset, and the next
# boot's domain looks for it.  Also: when bootscrub=no is believed, and that it is not after a reset.
#   test-scrub.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
fresh=$build/tests/guest/fresh

# Two lives of one machine, with a reset in between; at most 100 s.
#   lives WORDS OPTIONS...
lives() {
    words=$1
    shift
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    timeout 100 qemu-system-x86_64 -nodefaults -display none -serial stdio -m 96 "$@" -kernel "$build/hypervisor/paravane" \
        -initrd "$fresh reboot=1" -append "console=com1 com1=115200,8n1 dom0_mem=16M,max:128M $words" \
        </dev/null >"$work/pipe" 2>&1 &
    qemu=$!
    tr -d '\r' <"$work/pipe" | awk '{ print; fflush() } /^fresh: [0-9]+ frames/ && ++lives == 2 { exit }' >"$out"
    kill $qemu 2>/dev/null
    wait $qemu 2>/dev/null
    : >"$err"
}

# WHAT: both lives found nothing.
found_nothing() {
    [ "$(grep -c '^fresh: [0-9]* frames, 0 not zero, 0 words of a secret$' "$out")" = 2 ]
    result $? "$1: nothing is found before and after a reset"
    grep '^fresh: ' "$out" | head -n 12 | comment
}

lives ''
found_nothing 'not told that memory is zero'
lives 'bootscrub=no'
found_nothing 'told that memory is zero'
says 'which is believed of a new machine' 'RAM is zero: this machine is new'
says 'and not after a reset' 'RAM is scrubbed in spite of bootscrub=no'
lives 'bootscrub=no' -smp 2 -m 256
found_nothing 'with another CPU, which starts where the mark is'
for mib in 20 64 1024 5000; do
    ask "with $mib MiB the machine ends" 0 timeout 60 qemu-system-x86_64 -nodefaults -display none -no-reboot -serial stdio \
        -m $mib -kernel "$build/hypervisor/paravane" -initrd "$fresh pages=200" \
        -append "console=com1 com1=115200,8n1 dom0_mem=12M,max:16M bootscrub=no"
    says 'and is known for new' 'RAM is zero: this machine is new'
done

# Memory with a past that was no boot of ours.
yes 'a secret of somebody who had this memory before' | head -c 96M >"$work/ram"
lives '' -object "memory-backend-file,id=ram,share=on,size=96M,mem-path=$work/ram" -machine memory-backend=ram
found_nothing 'in memory from a file'
lives 'bootscrub=no' -object "memory-backend-file,id=ram,share=on,size=96M,mem-path=$work/ram" -machine memory-backend=ram
[ "$(grep -c 'RAM is scrubbed in spite of bootscrub=no' "$out")" = 2 ]
result $? 'bootscrub=no is not believed of memory that has been used'
found_nothing 'nor is'

# An ordinary domain that grows, beside one that has memory and gives it back.
printf 'name = "a"\nkernel = "%s"\nmemory = 8\nmaxmem = 40\n' "$fresh" >"$work/a.cfg"
ask 'an ordinary domain grows by frames that are zero' 0 "$paravane" run --timeout 60 "$work/a.cfg"
says 'all of them' ', 0 not zero, 0 words of a secret'
printf 'name = "a"\nkernel = "%s"\nmemory = 8\nmaxmem = 40\nextra = "reboot=1"\non_reboot = "restart"\n' "$fresh" >"$work/a.cfg"
ask 'and when it is built again' 0 "$paravane" run --timeout 60 --append reboot-limit=3 "$work/a.cfg"
[ "$(grep -c ', 0 not zero, 0 words of a secret' "$out")" = 4 ]
result $? 'it finds nothing of its former lives'
plan
