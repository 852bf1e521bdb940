#!/bin/sh
# The bare machine: our kernel's native build, and what is none.
#   test-native.sh BUILD
# What it needs of the machine is asked by check (guest-native-1 and -4).
set -u
. "$(dirname "$0")/tap.sh"
guest=$build/pv-guest/pv-guest-native
initramfs=$build/pv-guest/initramfs.cpio

native() { "$paravane" run --native --timeout 100 "$@"; }
boot() { native -r "$initramfs" "$@"; }

printf 'uname -v; echo a b c | tr " " "\\n" | sort -r\necho ok $((6*7)); exit\n' >"$work/input"
boot "$guest" <"$work/input" >"$out" 2>"$err"
judge 'a shell session ends well' 0 $?
says 'it is the native build' 'on bare machine'
says 'arithmetic and echo' 'ok 42'
[ "$(sed -n '/^c$/,/^a$/p' "$out" | tr -d '\r\n')" = cba ]
result $? 'a pipe of three programs'

# The last words: switched off, restarted, failed, crashed.
ask 'words behind -- are those of init' 0 boot "$guest" quiet init=/bin/echo -- hello from init
says 'it had them' 'hello from init'
ask 'a restart is a good end' 0 boot "$guest" quiet init=/bin/busybox -- reboot -f
ask "the status of init is the guest's failure" 1 boot "$guest" quiet init=/bin/false
told 'and is told' "the guest's init exited with status 1"
ask 'a panic' 20 boot "$guest" init=/no/such/file
says 'its words' 'kernel panic: cannot run /no/such/file: error 2'
says 'its stack' 'stack from ffff88'
told 'the sentence' 'the kernel crashed'
ask 'a panic without a ramdisk' 20 native "$guest"
says 'the cause' 'there is no ramdisk'
ask 'a ramdisk that is none' 20 native -r "$guest" "$guest"
says 'is named' 'the ramdisk is no cpio archive'
ask 'a CPU without no-execute pages' 20 boot --cpu qemu64,-nx "$guest"
says 'is named, too' 'no-execute'
ask 'memory on both sides of the hole below 4 GiB, on two CPUs' 0 boot -m 5000 -c 2 "$guest" init=/bin/true
says 'all of it' '5119872 KiB of memory'
ask 'a processor of this century, from the same file' 0 boot --cpu max "$guest" quiet init=/bin/true

ask 'a kernel that is lost resets the machine' 20 native "$sample-pvh"
told 'and nobody takes that for a good end' 'had not said that it would'
ask 'a hypervisor is a kernel, too' 18 native -m 128 "$build/hypervisor/paravane"
told 'and says what it lacks' 'give a guest kernel'

# The machine counts the same twice.
for run in 1 2; do
    ask "counting instructions, run $run" 0 boot --icount "$guest" quiet init=/bin/measure
    cp "$out" "$work/measured-$run"
done
cmp "$work/measured-1" "$work/measured-2" >&2
result $? 'both runs counted the same'

ask 'a PV guest is not for the bare machine' 14 boot "$build/pv-guest/pv-guest"
told 'the fix' 'leave out --native'
ask 'nor is a program' 14 boot /bin/busybox
told 'what is' 'QEMU loads a bzImage'
ask 'and the native build is no PV guest' 12 "$paravane" run "$guest"
told 'the other fix' 'which needs --native'
ask 'too little memory' 16 native -m 1 -r "$initramfs" "$guest"
printf 'name="a"\nkernel="%s"\n' "$guest" >"$work/a.cfg"
ask 'a domain is none' 2 native "$work/a.cfg"
told 'its fix' 'give a KERNEL'
ask 'a word for the hypervisor' 2 native --explain "$guest"
told 'its sentence' 'with --native there is none'
plan
