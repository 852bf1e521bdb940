#!/bin/sh
# The machine's non-maskable interrupt, injected through QEMU, and what becomes of it (nmi=).
#   test-nmi.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

spin=$build/tests/guest/spin

# interrupted QEMU-COMMAND: an NMI when the guest runs; the end when the hypervisor has seen it.
interrupted() {
    rm -f "$work"/qmp.*
    mkfifo "$work/qmp.in" "$work/qmp.out"
    cat "$work/qmp.out" >/dev/null &
    eval "timeout 100 $1 -qmp 'pipe:$work/qmp'" | while read -r line; do
        echo "$line"
        case $line in
        *'spin: spinning'*) echo '{"execute":"qmp_capabilities"}{"execute":"inject-nmi"}' ;;
        *'NMI on CPU'*) echo '{"execute":"quit"}' ;;
        esac >"$work/qmp.in"
    done
}

first() { # WORDS
    echo "qemu-system-x86_64 -nodefaults -display none -no-reboot -m 256 -smp 2 -serial stdio \
        -kernel $build/hypervisor/paravane -initrd $spin -append 'console=com1 $1'"
}

ask 'an NMI of the machine' 0 interrupted "$(first '')"
says 'is told to the hardware domain' 'NMI on CPU0, reason 4: told to the hardware domain'
ask 'with nmi=fatal' 0 interrupted "$(first nmi=fatal)"
says 'it ends the machine' 'NMI on CPU0, reason 4, nmi=fatal'
mkdir "$work/bundle"
ask 'where no domain has hardware' 0 interrupted \
    "$("$paravane" run --bundle "$work/bundle" --print-command "$spin")"
says 'nobody is told' 'NMI on CPU0, reason 4: there is no hardware domain'
plan
