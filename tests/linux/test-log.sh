#!/bin/sh
# What Linux warns of (level 4 and worse) while it boots and runs: nothing that the same kernel does not on Xen 4.17.
#   test-log.sh BUILD
# Xen boots a kernel by itself only as domain 0.  Both flavours boot there: the cloud one, whose support for
# being domain 0 is left out, takes itself for a guest, and both log through Xen's console with earlyprintk=xen.  With acpi=off
# they do without ACPI as a guest does.
set -u
. "$(dirname "$0")/linux.sh"
need_kernels

plain() { # drop times and levels, and make numbers alike
    sed -n 's/^\(<[0-9]*>\)\{0,1\}\[ *[0-9]*\.[0-9]*\] //p' | grep -v '^reboot: ' |
        sed 's/0x[0-9a-f]*/N/g; s/[0-9][0-9]*/N/g' | sort -u
}

# Said when the host is busy, by any kernel on any machine.
by_chance='hrtimer: interrupt took\|sched: RT throttling\|clocksource: .*[Ll]ong readout interval'

for flavour in cloud-amd64 amd64; do
    for vcpus in 1 4; do
        image=$(kernel $flavour)
        name="$flavour, $vcpus vCPUs"
        (
            out=$work/out.xen err=$work/err.xen
            options="-q --vcpus $vcpus --cpus $vcpus"
            on_xen 'Grant table' "$image" loglevel=5 earlyprintk=xen,keep acpi=off do=nothing
            plain <"$out" >"$work/xen"
        ) &
        options="-q --vcpus $vcpus --cpus $vcpus"
        on_paravane "$image" quiet do=run-stress seconds=3
        sed -n '/^=== log$/,/^=== end$/p' "$out" >"$work/log"
        plain <"$work/log" | grep -v "$by_chance" >"$work/ours"
        wait
        judge "$name: ends well" 0 $status
        grep -q '^=== end' "$work/log" && grep -q 'Grant table' "$work/xen"
        result $? "$name: both logs were read"
        comm -23 "$work/ours" "$work/xen" >"$work/more"
        ! [ -s "$work/more" ]
        result $? "$name: no warning that it does not print on Xen"
        comment <"$work/more"
    done
done
plan
