#!/bin/sh
# Debian's two kernels, unchanged, as unprivileged guests: to a shell, a hundred commands, and off.
#   test-matrix.sh BUILD MODEL...
# For each CPU model, and 1 and 4 vCPUs.  /linux/commands is typed to be run at the shell's prompt; what it
# prints must be what the same kernel prints on the bare machine, in a run made here and now.
set -u
. "$(dirname "$0")/linux.sh"
shift
need_kernels

answers() { # what the commands printed
    sed -n '/^=== begin$/,/^=== end$/p' "$out"
}

one() { # FLAVOUR MODEL VCPUS
    name="$1, $2, $3 vCPUs"
    image=$(kernel "$1") model=$2 vcpus=$3

    # Both at once: a machine with one vCPU leaves a core idle.
    (
        out=$work/out.bare err=$work/err.bare
        on_bare "$image" quiet do=run-commands
        answers >"$work/bare"
    ) &
    # Two physical CPUs: with more of them than the host has cores, who waits for a lock burns what its holder
    # needs.  Four CPUs are test-endings.sh's.
    options="-q --cpu $model --cpus $((vcpus > 2 ? 2 : vcpus)) --vcpus $vcpus"
    printf 'sh /linux/run-commands; exit\n' >"$work/typed"
    options="$options --input $work/typed"
    on_paravane "$image" quiet
    answers >"$work/ours"
    wait
    [ "$(grep -c '^\[[0-9]*\] [0-9]*$' "$work/bare")" -ge 100 ]
    result $? "$name: the bare machine answers a hundred commands"

    judge "$name: Linux ends well" 0 $status
    if cmp -s "$work/bare" "$work/ours"; then
        result 0 "$name: and answers as on the bare machine"
    else
        result 1 "$name: and answers as on the bare machine"
        diff "$work/bare" "$work/ours" | head -n 40 | comment
    fi
}

for model; do
    for flavour in cloud-amd64 amd64; do
        for vcpus in 1 4; do
            one "$flavour" "$model" "$vcpus"
        done
    done
done
plan
