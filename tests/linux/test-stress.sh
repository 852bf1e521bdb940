#!/bin/sh
# Stress: fork, memory, pipes, vector registers, timers, threads, signals, debuggers, all at once, each checking
# its own results (stress.c); with the hypervisor recounting every reference meanwhile, where one CPU can.
#   test-stress.sh BUILD SECONDS [VCPUS/CPUS...]
# Fails as well if Linux was refused what expected-refusals.txt does not list.
set -u
. "$(dirname "$0")/linux.sh"
here=$(cd "$(dirname "$0")" && pwd)
for_seconds=$2
shift 2
[ $# != 0 ] || set -- 1/1 4/1 4/2
seconds=$((900 + for_seconds * 6)) # an overcommitted TCG is slow to start and to stop
need_kernels
sed '/^#/d; /^$/d; s/^/refused /; s/$/$/' "$here/expected-refusals.txt" >"$work/expected"

one() { # FLAVOUR VCPUS CPUS MODEL
    name="$1, $4, $2 vCPUs on $3 CPUs"
    # A recount needs the machine for itself.  Where it has not, references are recounted at the end.
    hypervisor=$build/hypervisor/paravane-audit
    [ "$3" = 1 ] || hypervisor=$build/hypervisor/paravane
    options="--explain --hypervisor $hypervisor --append audit-pause=20 --cpu $4 --threads multi --vcpus $2 --cpus $3"
    on_paravane "$(kernel "$1")" quiet do=run-stress seconds="$for_seconds"
    judge "$name: ends well, every reference accounted for" 0 $status
    # A TAP line of a worker stands in column 0; the kernel may put its own in between.
    [ "$(grep -c '^ok ' "$out")" = "$(sed -n 's/^1\.\.//p' "$out")" ] && ! grep -q '^not ok' "$out"
    result $? "$name: every worker found its results right"
    grep -e '^not ok' -e '^# ' "$out" | comment
    sed -n 's/.* \(refused .*\)/\1/p' "$err" | grep -v -f "$work/expected" >"$work/refused"
    ! [ -s "$work/refused" ]
    result $? "$name: nothing was refused but what is expected"
    sort "$work/refused" | uniq -c | head -n 20 | comment
    if [ "$3" = 1 ]; then
        grep 'audit: .* recounts' "$err" | comment
        grep -q 'audit: [1-9][0-9]* recounts' "$err"
        result $? "$name: references were recounted meanwhile"
    fi
}

flavour=amd64 model=max
for spec; do
    one "$flavour" "${spec%/*}" "${spec#*/}" "$model"
    # Each in turn, so that all four are seen.
    case $flavour in amd64) flavour=cloud-amd64 ;; *) flavour=amd64 model=qemu64 ;; esac
done
plan
