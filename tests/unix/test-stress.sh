#!/bin/sh
# A mixture of programs, pipes, memory and signals, for a while, on Paravane: test-stress.sh BUILD SECONDS [VCPUS/CPUS...]
# Every reference is recounted meanwhile where that is possible (one CPU: a recount needs the machine for itself)
# and at the end everywhere; nothing leaks, nothing is refused, every round ends as the first.
set -u
. "$(dirname "$0")/../boot/tap.sh"
seconds=$2
shift 2
[ $# != 0 ] || set -- 1/1 4/1 4/2
for spec; do
    vcpus=${spec%/*} cpus=${spec#*/}
    name="$vcpus vCPUs on $cpus CPUs"
    hypervisor=$build/hypervisor/paravane-audit
    [ "$cpus" = 1 ] || hypervisor=$build/hypervisor/paravane
    ask "$name: ends well, every reference accounted for" 0 "$paravane" run --explain --timeout $((600 + seconds * 6)) \
        --hypervisor "$hypervisor" --append audit-pause=20 -m 128 -c "$vcpus" --threads multi --cpus "$cpus" \
        -r "$build/tests/unix/initramfs.cpio" "$build/pv-guest/pv-guest" init=/bin/run-stress "seconds=$seconds"
    ! grep -q '^not ok' "$out" && grep -q '^stress: .* done' "$out"
    result $? "$name: every round ends as the first, with as much memory free"
    grep -e '^not ok' -e '^# ' "$out" | sed 's/^# //' | tail -n 20 | comment
    # The guest counts its vCPUs by asking whether there is another: one refusal is the answer.
    grep 'refused' "$err" | grep -v 'VC-001 vcpu_op' >"$work/refused"
    ! [ -s "$work/refused" ]
    result $? "$name: nothing was refused"
    sort "$work/refused" | uniq -c | head -n 10 | comment
    if [ "$cpus" = 1 ]; then
        grep -q 'audit: [1-9][0-9]* recounts' "$err"
        result $? "$name: references were recounted meanwhile"
    fi
done
plan
