#!/bin/sh
# Paravane driven as people drive Xen in QEMU, without our tool: plain modules,
# Xen's words, Xen's last lines, on several CPU models.
#   test-qemu.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

# qemu OPTIONS IMAGE-AND-WORDS WORDS: one machine, at most 100 s.
qemu() {
    # shellcheck disable=SC2086
    timeout 100 qemu-system-x86_64 -display none -no-reboot -serial stdio $1 \
        -kernel "$build/hypervisor/paravane" -initrd "$2" \
        -append "console=com1 com1=115200,8n1 $3"
}

for cpu in qemu64 Nehalem EPYC max; do
    ask "on $cpu the machine ends by itself" 0 qemu "-cpu $cpu" "$sample say:hello_from_0~" ''
    says 'the guest spoke' 'hello from 0'
    says 'the line that others wait for' 'Latest ChangeSet: '
    says 'the reason' 'Hardware Dom0 halted: halting machine'
done
ask 'a reboot is a reset, which ends QEMU' 0 qemu '' "$sample reboot" ''
says 'and named' 'Hardware Dom0 shutdown: rebooting machine'
ask 'with noreboot it is not' 124 timeout 5 qemu-system-x86_64 -display none -no-reboot -serial stdio \
    -kernel "$build/hypervisor/paravane" -initrd "$sample reboot" -append 'console=com1 noreboot'
ask 'a crash ends the machine' 0 qemu '' "$sample fault" ''
says 'and is named' 'd0 crashed: '
ask 'memory and vCPUs as told' 0 qemu '-smp 2 -m 256' "$build/tests/guest/version" \
    'dom0_mem=32M dom0_max_vcpus=2 loglvl=warning'
for image in start tick; do
    ask "tests/guest/$image as domain 0" 0 qemu '' "$build/tests/guest/$image" ''
done
ask 'no module at all' 0 sh -c 'timeout 100 qemu-system-x86_64 -display none -no-reboot -serial stdio \
    -kernel "$1/hypervisor/paravane" -append console=com1' sh "$build"
says 'is said' '(PV) cannot boot: '

# A CPU without something that is needed: a sentence that names it, and the code for it.
for feature in lm nx pae msr fpu tsc cx8 apic cmov pat fxsr sse sse2 syscall; do
    ask "without $feature the machine does not boot" $((2 * 0x34 + 1)) qemu \
        "-cpu qemu64,-$feature -device isa-debug-exit,iobase=0xf4" "$sample say:no~" 'debug-exit=0xf4'
    says "and says so" "(feature $feature)"
done
for feature in pge mca mce mtrr pse pse36 clflush mmx sse3 cx16 lahf-lm sep de; do
    ask "without $feature it does" 0 qemu "-cpu qemu64,-$feature" "$sample say:hello_from_0~" ''
    says 'the guest spoke' 'hello from 0'
done
plan
