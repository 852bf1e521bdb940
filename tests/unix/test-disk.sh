#!/bin/sh
# Disks of pv-guest as files: one in memory, on the bare machine, on Paravane and on Xen.
#   test-disk.sh BUILD
set -u
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
sectors=8192
{
    echo "disk=/dev/ram0 sectors=$sectors"
    echo '. /disk'
    echo 'echo "== end"'
} >"$work/commands"

machine() { # NAME OPTIONS...
    name=$1
    shift
    ask "$name: it ends" 0 "$paravane" run -q --timeout 300 -m 64 -r "$build/pv-guest/initramfs.cpio" \
        --add "$here/disk:/disk" --add "$work/commands:/commands" "$@" \
        ramdisk=$((sectors / 2)) init=/bin/sh -- /commands
    grep -q '^== end' "$out" && [ "$(grep -c '^ok - ' "$out")" = 13 ] && ! grep -q '^not ok' "$out"
    result $? "$name: a disk in memory is a disk"
    grep -e '^not ok' -e '^#' "$out" | comment
}

machine 'bare machine' --native "$build/pv-guest/pv-guest-native"
machine Paravane "$build/pv-guest/pv-guest"
machine Paravane -c 2 --cpus 2 "$build/pv-guest/pv-guest"
[ -e "$build/oracle/xen-4.17" ] && machine Xen --hypervisor xen "$build/pv-guest/pv-guest"
plan
