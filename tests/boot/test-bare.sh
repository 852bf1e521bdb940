#!/bin/sh
# A test guest that wants several vCPUs, started by somebody who does not know: `paravane run --tap` alone, with more CPUs, and
# tests/guest/run without options.  The first two leave out what cannot be asked, the last asks all, as meson's test does.
#   test-bare.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
source=$2

sed -n "s/^  \['\([a-z-]*\)', \[[^]]*\], '\([2-9]\)', .*/\1 \2/p" "$source/tests/guest/meson.build" >"$work/images"
grep -qx 'smp 2' "$work/images"
result $? 'the list of images is found'
while read -r image vcpus; do
    for cpus in 1 2; do
        ask "$image, $cpus CPUs: good" 0 "$paravane" run --tap -q --timeout 100 --threads multi --cpus $cpus "$build/tests/guest/$image"
    done
    ask "$image, as it wants: good" 0 "$source/tests/guest/run" --timeout 100 "$build/hypervisor/paravane" "$build/tests/guest/$image"
    ask "$image, as it wants, each CPU its own: good" 0 "$paravane" run --tap -q --timeout 100 -c "$vcpus" --threads multi --cpus "$vcpus" "$build/tests/guest/$image"
    ! grep -q '^ok.*# SKIP .*few vCPUs' "$out"
    result $? "$image, as it wants: nothing is left out for want of vCPUs"
done <"$work/images"
plan
