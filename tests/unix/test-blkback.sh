#!/bin/sh
# Has a domain of the unmodified xl the disks that pv-guest as domain 0 serves, on Paravane and on Xen?
#   test-blkback.sh BUILD [paravane|xen]
# Domain 0 has two virtio disks.  The guest, pv-guest as well, asks the questions of `disk` of the first one, may only read
# the second, and fills the first; it loses it and gets it again while it runs.  Afterwards the files on this machine are
# as they should be, and the store has nothing of it.  tools/setup --dom0 fetches xl; without, or without Xen, there is nothing to ask.
set -u
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
sectors=8192
bytes=$((sectors * 512))
initramfs=$build/pv-guest/initramfs.cpio
kernel=$build/pv-guest/pv-guest

if ! [ -e "$build/oracle/dom0/tree" ] || ! [ -e "$build/oracle/xen-4.17" ]; then
    echo "ok 1 - disks for domains of xl on pv-guest # SKIP tools/setup --dom0 has not fetched it"
    echo 1..1
    exit
fi

head -c $bytes /dev/urandom >"$work/right"
head -c $((bytes / 2)) /dev/urandom >"$work/given"
given=$(sha256sum <"$work/given")

cat >"$work/until" <<'END'
until_true() { # COMMAND...: for a few minutes at most
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 6000 ] || { echo "in vain: $*"; return; }
        usleep 50000
    done
}
END
cat "$work/until" - >"$work/commands" <<'END'
says() { grep -q "^GUEST $1" /tmp/console; }
alone() { [ "$(xl list | wc -l)" = 2 ]; }
xl create -q /guest/g.cfg
echo "== create: $?"
(sleep 1000 | xl console g) >/tmp/console 2>&1 &
until_true says filled
xl block-list g | awk 'NR > 1 { print "== listed", $1, $2, $4 }'
xl block-detach g xvda
echo "== detach: $?"
until_true says gone
xl block-attach g format=raw,vdev=xvda,access=w,target=/dev/vda
echo "== attach: $?"
until_true alone
tr -d '\r' </tmp/console
xenstore-ls -f /local/domain/0/backend/vbd 2>/dev/null | grep -v '^/local/domain/0/backend/vbd = ""'
echo "== end"
END
cat "$work/until" - >"$work/go" <<END
read_only() {
    blockdev --getro /dev/xvdb | grep -q 1 && ! dd if=/dev/zero of=/dev/xvdb bs=512 count=1 2>/dev/null &&
        [ "\$(blockdev --getsize64 /dev/xvdb)" = $((bytes / 2)) ]
}
# It does for a file system what a disk does; the host's e2fsck is not asked, test-ext2.sh asks it for virtio disks.
file_system() {
    mke2fs -b 1024 /dev/xvda >/dev/null && mount -t ext2 /dev/xvda /mnt && fsx /mnt/random 5 1000 && sync &&
        umount /mnt && mount -t ext2 -o ro /dev/xvda /mnt && [ -s /mnt/random ] && umount /mnt
}
disk=/dev/xvda sectors=$sectors
until_true test -b /dev/xvda
until_true test -b /dev/xvdb
. /disk
ask 'the second can only be read' read_only
ask 'a file system can be on it' file_system
echo "GUEST sum \$(sha256sum </dev/xvdb)"
dd if=/right of=/dev/xvda bs=65536 conv=fsync 2>/dev/null
blockdev --flushbufs /dev/xvda
for i in 1 2 3 4; do cmp /right /dev/xvda & done
wait
echo "GUEST filled"
until_true sh -c '! blockdev --getsize64 /dev/xvda >/dev/null 2>&1'
echo "GUEST gone"
until_true sh -c 'blockdev --getsize64 /dev/xvda >/dev/null 2>&1'
blockdev --flushbufs /dev/xvda && cmp /right /dev/xvda && echo "GUEST same"
END

mkdir "$work/tree"
(cd "$work/tree" && /bin/busybox cpio -idm 2>/dev/null) <"$initramfs"
cp "$here/disk" "$work/go" "$work/right" "$work/tree/"
(cd "$work/tree" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs"
cat >"$work/g.cfg" <<END
name = "g"
kernel = "/guest/kernel"
ramdisk = "/guest/initramfs"
extra = "init=/bin/sh -- /go"
memory = 64
disk = [ "format=raw,vdev=xvda,access=w,target=/dev/vda", "format=raw,vdev=xvdb,access=r,target=/dev/vdb" ]
END

machine() { # HYPERVISOR
    truncate -s 0 "$work/disk"
    truncate -s $bytes "$work/disk"
    cp "$work/given" "$work/second"
    ask "on $1 domain 0 ends well" 0 "$paravane" run --xl --hypervisor "$1" -q -m 160 --machine-memory 400 --timeout 900 \
        --disk "$work/disk" --disk "$work/second" -r "$initramfs" --add "$work/g.cfg:/guest/g.cfg" \
        --add "$kernel:/guest/kernel" --add "$work/initramfs:/guest/initramfs" --add "$work/commands:/commands" "$kernel" quiet
    sed -i 's/\r//g' "$out"
    [ "$(grep -c '^ok - ' "$out")" = 15 ] && ! grep -q '^not ok' "$out"
    result $? "on $1 its disks are disks, one to read only"
    grep -e '^not ok' -e '^#' -e '^in vain' "$out" | comment
    says "on $1 it reads what is there" "GUEST sum $given"
    grep -q '^== detach: 0' "$out" && grep -q '^GUEST gone' "$out" && grep -q '^== attach: 0' "$out" && grep -q '^GUEST same' "$out"
    result $? "on $1 a disk is taken away and given back, with what was on it"
    [ "$(sed -n '/^== end/q; /^\/local/p' "$out" | wc -l)" = 0 ] && grep -q '^== end' "$out"
    result $? "on $1 nothing is left in the store"
    cmp "$work/right" "$work/disk" >"$work/diff" 2>&1 && cmp "$work/given" "$work/second" >>"$work/diff" 2>&1
    result $? "on $1 the files on the host have what was written, and nothing else"
    comment <"$work/diff"
}

for which in ${2:-paravane xen}; do machine "$which"; done
plan
