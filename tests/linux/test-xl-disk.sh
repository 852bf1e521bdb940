#!/bin/sh
# Has pv-guest, as a guest of the unmodified xl, the disks that Debian's blkback serves?
#   test-xl-disk.sh BUILD
# Debian's Linux is domain 0.  The guest has a disk that it asks the questions of tests/unix/disk, and another one that it may
# only read; the first is taken away and given back while it runs, and what it holds in the end is compared on this
# machine.  Xen 4.17 does the same beside.  tools/setup --dom0 fetches xl; without it, or without Xen, there is nothing to ask.
set -u
. "$(dirname "$0")/linux.sh"
. "$(dirname "$0")/xl.sh"
here=$(cd "$(dirname "$0")" && pwd)
sectors=8192 # of the first disk; the second has half as many

need_xl 'disks of pv-guest by xl'

cat >"$work/commands" <<'END'
until_true() { # COMMAND...: for a few minutes at most
    tries=0
    until "$@" || [ $tries -ge 300 ]; do tries=$((tries + 1)); sleep 1; done
}
says() { grep -q "^GUEST $1" /tmp/console; }
echo "== a guest with two disks"
xl create -q /guest/g.cfg 2>&1
echo "== status $?"
xenconsole 1 </dev/null >/tmp/console 2>&1 &
until_true says first
xl block-list g1 | awk 'NR > 1 { print $1, $2, $4 }'
xl block-detach g1 xvda
echo "== detached: $?"
until_true says gone
xl block-attach g1 format=raw,vdev=xvda,access=w,target=/dev/vda
echo "== attached: $?"
until_true says ready
tr -d '\r' </tmp/console
until_true sh -c '! xl list g1 >/dev/null 2>&1'
echo "== end"
END

# --- the guest -------------------------------------------------------------------------------------------------

mkdir "$work/guest" "$work/tree"
cat >"$work/go" <<END
until_true() { # COMMAND...: for a few minutes at most
    tries=0
    until "\$@" || [ \$tries -ge 30000 ]; do tries=\$((tries + 1)); usleep 10000; done
}
read_only() {
    blockdev --getro /dev/xvdb | grep -q 1 && ! dd if=/dev/zero of=/dev/xvdb bs=512 count=1 2>/dev/null &&
        [ "\$(blockdev --getsize64 /dev/xvdb)" = $((sectors / 2 * 512)) ]
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
echo "GUEST = xvdb \$(md5sum </dev/xvdb)"
dd if=/dev/urandom of=/dev/xvda bs=4096 count=500 2>/dev/null
# Somebody writes and waits for the disk all the time that it is taken away.
while [ ! -e /tmp/stop ]; do
    dd if=/dev/zero of=/dev/xvda bs=65536 count=4 conv=notrunc 2>/dev/null
    sync
done &
echo "GUEST first"
until_true sh -c '! blockdev --getsize64 /dev/xvda >/dev/null 2>&1'
touch /tmp/stop
wait
echo "GUEST gone"
until_true sh -c 'blockdev --getsize64 /dev/xvda >/dev/null 2>&1'
dd if=/dev/urandom of=/dev/xvda bs=3000 seek=900 count=300 conv=fsync 2>/dev/null
blockdev --flushbufs /dev/xvda
echo "GUEST = xvda \$(md5sum </dev/xvda)"
echo "GUEST ready"
END
cp "$build/pv-guest/pv-guest" "$work/guest/kernel"
(cd "$work/tree" && /bin/busybox cpio -idm 2>/dev/null) <"$build/pv-guest/initramfs.cpio"
cp "$here/../unix/disk" "$work/go" "$work/tree/"
(cd "$work/tree" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/guest/initramfs"
cat >"$work/guest/g.cfg" <<END
name = "g1"
kernel = "/guest/kernel"
ramdisk = "/guest/initramfs"
extra = "init=/bin/sh -- /go"
memory = 64
disk = [ "format=raw,vdev=xvda,access=w,target=/dev/vda", "format=raw,vdev=xvdb,access=r,target=/dev/vdb" ]
END
head -c $((sectors / 2 * 512)) /dev/urandom >"$work/second"

# --- both ------------------------------------------------------------------------------------------------------

boot() { # HYPERVISOR
    for try in 1 2 3; do
        status=0
        rm -f "$work/disk.$1"
        truncate -s $((sectors * 512)) "$work/disk.$1"
        cp "$work/second" "$work/second.$1"
        "$paravane" run --xl --hypervisor "$1" --disk "$work/disk.$1" --disk "$work/second.$1" --timeout "$seconds" \
            --add "$work/commands:/commands" --add "$work/guest:/guest" >"$work/$1" 2>"$work/$1.err" </dev/null || status=$?
        plain_text "$work/$1"
        [ "$1" = xen ] && ! grep -q '^== end' "$work/$1" || break
    done
    echo $status >"$work/$1.status"
}

sum_of() { # FILE
    md5sum <"$1"
}

alike() { # FILE: without what is random, and what the kernel of domain 0 prints
    sed -n '/^== a guest/,/^== end/p' "$1" | grep -v -e '^GUEST =' -e '^\['
}

boot paravane &
boot xen
wait
judge 'domain 0 ends well, and nothing is lost' 0 "$(cat "$work/paravane.status")"
for where in paravane xen; do
    [ "$(grep -c '^ok - ' "$work/$where")" = 15 ] && ! grep -q '^not ok' "$work/$where"
    result $? "on $where the guest has two disks, one to read only"
    grep -e '^not ok' -e '^# ' "$work/$where" | comment
    grep -q "^GUEST = xvdb $(sum_of "$work/second")" "$work/$where"
    result $? "on $where it reads what is there"
    grep -q '^== detached: 0' "$work/$where" && grep -q '^GUEST gone' "$work/$where" &&
        grep -q '^== attached: 0' "$work/$where"
    result $? "on $where a disk is taken away and given back"
    grep -q "^GUEST = xvda $(sum_of "$work/disk.$where")" "$work/$where"
    result $? "on $where what it has written is on the disk"
done
alike "$work/paravane" >"$work/paravane.alike"
alike "$work/xen" >"$work/xen.alike"
diff "$work/xen.alike" "$work/paravane.alike" >"$work/diff"
result $? 'the guest and xl say the same on both (< Xen, > here)'
comment <"$work/diff"
plan
