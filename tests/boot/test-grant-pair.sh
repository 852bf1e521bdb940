#!/bin/sh
# Two guests share frames by grants (tests/guest/grant-pair).
#   test-grant-pair.sh BUILD
# Each says in its own TAP what it saw; when both have ended the hypervisor recounts everything.
set -u
. "$(dirname "$0")/tap.sh"

config() { # NAME WORDS: a file for one half
    printf 'name = "%s"\nkernel = "%s"\nmemory = 8\nextra = "%s"\n' "$1" "$build/tests/guest/grant-pair" "$2" \
        >"$work/$1.cfg"
}
pair() { (cd "$work" && "$paravane" run --timeout 150 "$@" granter.cfg mapper.cfg); }

# both WHAT: nobody has anything to complain about, and each has come to its end.
both() {
    ! grep -qE 'not ok|Bail out' "$out"
    result $? "$1: no complaint"
    [ "$(grep -cE '1\.\.[0-9]+' "$out")" = 2 ]
    result $? "$1: both came to their end"
    ! grep -qE 'audit:|BUG|cannot' "$err"
    result $? "$1: the audit found nothing"
}

for cpus in 1 2 4; do
    config granter 'role=granter'
    config mapper 'role=mapper'
    ask "$cpus CPUs: two guests share frames" 0 pair --threads multi --cpus $cpus
    both "$cpus CPUs"
    config granter 'role=granter ends=1'
    config mapper 'role=mapper ends=1'
    ask "$cpus CPUs: the granter ends first" 0 pair --threads multi --cpus $cpus
    both "$cpus CPUs, the granter first"
done
# How far the granter's end has come when the mapper lets go is the scheduler's affair, so: a run that repeats.
ask "repeatable: the granter ends first" 0 pair --icount
both "repeatable, the granter first"
told "its mapped frames outlive it" 'd1: others still hold 2 of its frames'
plan
