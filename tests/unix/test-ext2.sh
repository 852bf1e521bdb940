#!/bin/sh
# ext2 in pv-guest: on virtio disks that mke2fs has made and filled, on Paravane and on Xen; e2fsck judges what is left.
#   test-ext2.sh BUILD
# Then the machine ends without warning: what sync has returned for is there after e2fsck -y; and it lives on a disk: root=.
set -u
PATH=$PATH:/usr/sbin:/sbin
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)

tree=$work/tree
mkdir -p "$tree/sub/directory-1" "$tree/sub/directory-2" "$tree/bin" "$tree/dev" "$tree/proc" "$tree/tmp"
for i in 1 2 3; do
    seq $((i * 20000)) >"$tree/file-$i"
    ln -s "file-$i" "$tree/link-$i"
done
ln -s "$(printf 'a%.0s' $(seq 200))" "$tree/long-link"
(cd "$tree" && sha256sum file-1 file-2 file-3 >sums)
cp /bin/busybox "$tree/bin/busybox"
ln -s busybox "$tree/bin/sh"
{
    echo 'export PATH=/bin'
    echo 'busybox mount && busybox cat /proc/mounts && echo "lives on it" >/written && busybox cat /written'
} >"$tree/commands"
{
    echo 'disk=/dev/vda steps=3000'
    echo '. /ext2'
    echo 'echo "== end"'
} >"$work/commands"
{
    echo 'mount -t ext2 /dev/vda /mnt && cp /mnt/file-3 /mnt/kept && mkdir /mnt/made && mv /mnt/file-2 /mnt/made/ && sync'
    echo 'for i in 1 2 3 4 5 6 7 8; do cp /mnt/file-3 /mnt/lost-$i; rm /mnt/lost-$((i - 1)); done 2>/dev/null'
    echo 'mount -t ext2 /dev/vdb /tmp; mount -t ext2 /dev/vdc /tmp; grep -q "vdc /tmp ext2 ro" /proc/mounts && echo "only to be read"'
    echo 'poweroff -f'
} >"$work/kill"

run() { # NAME OPTIONS... : $rest is what follows the kernel
    what=$1
    shift
    ask "$what" 0 "$paravane" run -q --dom0 --timeout 400 -m 64 -r "$build/pv-guest/initramfs.cpio" --disk "$work/disk" \
        --add "$here/ext2:/ext2" --add "$work/commands:/commands" --add "$work/kill:/kill" "$@" "$build/pv-guest/pv-guest" $rest
}
fresh() { # OPTIONS...
    rm -f "$work/disk"
    mke2fs -q -F -t ext2 "$@" -d "$tree" "$work/disk" 40M >/dev/null 2>&1
}
checked() { # WHAT
    e2fsck -fn "$work/disk" >"$work/said" 2>&1
    result $? "$1"
    comment <"$work/said"
}
questions=$(grep -c '^ask ' "$here/ext2")

machine() { # NAME SIZE OPTIONS...
    name="$1, blocks of $2"
    fresh -b "$2"
    shift 2
    rest='init=/bin/sh -- /commands'
    run "$name: it ends" "$@"
    [ "$(grep -c '^ok - ' "$out")" = "$questions" ] && ! grep -q '^not ok' "$out"
    result $? "$name: ext2 is a file system"
    grep -e '^not ok' -e '^#' "$out" | comment
    checked "$name: e2fsck finds nothing wrong"
    e2fsck -fn "$work/disk" 2>&1 | grep -q 'not cleanly'
    [ $? = 1 ]
    result $? "$name: it was unmounted"
}

machine Paravane 1024
machine Paravane 4096 -c 2 --cpus 2
[ -e "$build/oracle/xen-4.17" ] && machine Xen 2048 --hypervisor xen

mke2fs -q -F -t ext4 "$work/ext4" 8M >/dev/null 2>&1
mke2fs -q -F -t ext2 -O huge_file "$work/huge" 8M >/dev/null 2>&1
fresh -b 1024
rest='init=/bin/sh -- /kill'
run 'it ends without warning' --disk "$work/ext4" --disk "$work/huge"
says 'ext4 is refused, with the reason' 'ext2: vdb: it has features that ext2 does not have'
says 'what can only be read is not written to' 'ext2: vdc: it has features that let it be read only'
says 'but read' 'only to be read'
e2fsck -fy "$work/disk" >"$work/said" 2>&1
[ $? -le 1 ]
result $? 'e2fsck puts right what is not'
debugfs -R 'cat kept' "$work/disk" 2>/dev/null | cmp - "$tree/file-3" && debugfs -R 'cat made/file-2' "$work/disk" 2>/dev/null |
    cmp - "$tree/file-2"
result $? 'and what sync has returned for is there'

fresh -b 4096
rest='root=/dev/vda init=/bin/sh -- /commands'
run 'the first process lives on a disk'
says 'it is mounted' '/dev/vda / ext2 rw'
says 'and written to' 'lives on it'
checked 'and whole when the machine ends'
plan
