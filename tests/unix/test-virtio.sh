#!/bin/sh
# Virtio disks of pv-guest as domain 0, on Paravane and on Xen: what programs ask of a disk, and what the disk holds then.
#   test-virtio.sh BUILD
# QEMU makes the disks of files.  The guest reads the second one and tells its checksum, asks the questions of `disk` of the
# first one, and fills it with what it was brought; afterwards the two files are as they should be.
set -u
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
sectors=8192
bytes=$((sectors * 512))
head -c $bytes /dev/urandom >"$work/right"
head -c $((bytes + 512)) /dev/urandom >"$work/given" # an odd number of sectors
sum=$(sha256sum <"$work/given")
{
    echo "disk=/dev/vda sectors=$sectors"
    echo '. /disk'
    echo 'echo "sum $(sha256sum </dev/vdb)"'
    echo 'dd if=/right of=/dev/vda bs=4096 conv=fsync 2>/dev/null'
    echo 'for i in 1 2 3 4 5 6; do dd if=/dev/vda of=/dev/null bs=32768 iflag=skip_bytes skip=$((i * 4096)) 2>/dev/null & done'
    echo 'wait'
    echo 'blockdev --flushbufs /dev/vda && cmp /right /dev/vda && echo "the same"'
    echo 'echo "== end"'
} >"$work/commands"

machine() { # NAME OPTIONS...
    name=$1
    shift
    head -c $bytes /dev/zero >"$work/disk"
    cp "$work/given" "$work/second"
    ask "$name: it ends" 0 "$paravane" run -q --dom0 --timeout 300 -m 64 -r "$build/pv-guest/initramfs.cpio" \
        --disk "$work/disk" --disk "$work/second" --add "$here/disk:/disk" --add "$work/right:/right" \
        --add "$work/commands:/commands" "$@" "$build/pv-guest/pv-guest" init=/bin/sh -- /commands
    [ "$(grep -c '^ok - ' "$out")" = 13 ] && ! grep -q '^not ok' "$out"
    result $? "$name: a virtio disk is a disk"
    grep -e '^not ok' -e '^#' "$out" | comment
    says "$name: what the host has written is read" "sum $sum"
    says "$name: what has been written is read by several at once" 'the same'
    cmp "$work/right" "$work/disk" >"$work/diff" 2>&1
    result $? "$name: what has been written is in the file on the host"
    comment <"$work/diff"
    cmp "$work/given" "$work/second" >"$work/diff" 2>&1
    result $? "$name: and nothing is in the other file"
    comment <"$work/diff"
}

machine 'Paravane, 1 CPU'
machine 'Paravane, 4 CPUs' -c 4 --cpus 4
machine 'Paravane, counting instructions' --icount
if [ -e "$build/oracle/xen-4.17" ]; then
    machine 'Xen, 1 CPU' --hypervisor xen
    machine 'Xen, 4 CPUs' --hypervisor xen -c 4 --cpus 4
fi
plan
