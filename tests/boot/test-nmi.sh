#!/bin/sh
# The machine's non-maskable interrupts and machine checks, injected through QEMU: what becomes of them (nmi=).
#   test-nmi.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

spin=$build/tests/guest/spin

nmi='{"execute":"inject-nmi"}'
check='{"execute":"human-monitor-command","arguments":{"command-line":"mce 0 1 0xb200000000000000 5 0 0"}}'

# interrupted INJECTION QEMU-COMMAND: when the guest runs; the end when the hypervisor has seen it.
interrupted() {
    injection=$1
    shift
    rm -f "$work"/qmp.*
    mkfifo "$work/qmp.in" "$work/qmp.out"
    cat "$work/qmp.out" >/dev/null &
    eval "timeout 100 $1 -qmp 'pipe:$work/qmp'" | while read -r line; do
        echo "$line"
        case $line in
        *'spin: spinning'*) echo "{\"execute\":\"qmp_capabilities\"}$injection" >"$work/qmp.in" ;;
        *'NMI on CPU'* | *'was running'*) echo '{"execute":"quit"}' >"$work/qmp.in" ;;
        esac
    done
}

first() { # WORDS
    echo "qemu-system-x86_64 -nodefaults -display none -no-reboot -m 256 -smp 2 -serial stdio \
        -kernel $build/hypervisor/paravane -initrd $spin -append 'console=com1 $1'"
}

ask 'an NMI of the machine' 0 interrupted "$nmi" "$(first '')"
says 'is told to the hardware domain' 'NMI on CPU0, reason 4: told to the hardware domain'
ask 'with nmi=fatal' 0 interrupted "$nmi" "$(first nmi=fatal)"
says 'it ends the machine' 'NMI on CPU0, reason 4, nmi=fatal'
mkdir "$work/bundle"
ask 'where no domain has hardware' 0 interrupted "$nmi" \
    "$("$paravane" run --bundle "$work/bundle" --print-command "$spin")"
says 'nobody is told' 'NMI on CPU0, reason 4: there is no hardware domain'
ask 'a machine check' 0 interrupted "$check" "$(first '')"
says 'ends the machine' 'machine check on CPU0, status 5'
says 'with what the bank says' 'bank 1: status b200000000000000'
plan
