#!/bin/sh
# A guest that only computes on one CPU, and one that sleeps on another, under icount: test-turns.sh BUILD
# QEMU gives the CPUs turns up to the next timer there, and those behind a busy one none at all, unless the
# hypervisor ends a turn before its time (TURN_MAX in hypervisor/x86/cpu/time.c).
set -u
. "$(dirname "$0")/tap.sh"
guest() {
    printf 'name = "%s"\nkernel = "%s"\nmemory = 8\nextra = "%s"\n' "$1" "$build/tests/guest/$1" "$2" >"$work/$1.cfg"
}
guest spin ''
guest tick 'count=50 period=2'
for cpus in 2 4; do
    ask "$cpus CPUs: who sleeps is woken beside who computes" 0 "$paravane" run -q --icount --cpus "$cpus" \
        --timeout 300 --until tick "$work/spin.cfg" "$work/tick.cfg"
    says "$cpus CPUs: as often as it asked for" 'tick: done'
done
plan
