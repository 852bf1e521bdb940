#!/bin/sh
# Has a guest the disks of --disk, without domain 0: pv-guest, and Debian's Linux on its own root?
#   test-disk-served.sh BUILD
# The machine has a domain more, which drives QEMU's disks and serves them.  Afterwards the files on this machine are as they
# should be.  tools/setup fetches the kernel of Debian's; without, only pv-guest is asked.
set -u
. "$(dirname "$0")/../linux/linux.sh"
initramfs=$build/pv-guest/initramfs.cpio
guest=$build/oracle/guests/cloud-amd64

# --- pv-guest: two disks, one to read only ---------------------------------------------------------------------

head -c 1048576 /dev/urandom >"$work/first"
head -c 524288 /dev/urandom >"$work/second"
cp "$work/first" "$work/first.was"
given=$(sha256sum <"$work/second")
cat >"$work/go" <<'END'
tries=0
until test -b /dev/xvda && test -b /dev/xvdb || [ $tries -ge 2000 ]; do tries=$((tries + 1)); usleep 50000; done
echo "GUEST sum $(sha256sum </dev/xvdb)"
dd if=/dev/zero of=/dev/xvdb bs=512 count=1 2>/dev/null || echo "GUEST cannot write the second"
dd if=/dev/xvda of=/half bs=65536 count=8 2>/dev/null
dd if=/half of=/dev/xvda bs=65536 seek=8 conv=fsync 2>/dev/null
poweroff -f
END
ask 'pv-guest ends well' 0 "$paravane" run -q --timeout 300 --disk "$work/first" --disk "$work/second,ro" \
    -r "$initramfs" --add "$work/go:/go" "$build/pv-guest/pv-guest" quiet init=/bin/sh -- /go
sed -i 's/\r//g' "$out"
says 'it reads what is on a disk' "GUEST sum $given"
says 'it does not write to one that is to be read only' 'GUEST cannot write the second'
(head -c 524288 "$work/first.was" && head -c 524288 "$work/first.was") | cmp - "$work/first" >"$work/diff" 2>&1 &&
    [ "$(sha256sum <"$work/second")" = "$given" ]
result $? 'the files on the host have what was written, and nothing else'
comment <"$work/diff"

# --- Debian's Linux: its root is the disk ----------------------------------------------------------------------

if ! [ -e "$guest" ]; then
    plan
    exit
fi
root=$work/root
early=$work/early
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$early/bin" "$early/dev" "$early/proc" "$early/root"
cp /bin/busybox "$root/bin/"
cp /bin/busybox "$early/bin/"
find "$guest/lib/modules" -name xen-blkfront.ko -exec cp {} "$early/" \;
cat >"$early/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox insmod /xen-blkfront.ko
tries=0
until [ -e /dev/xvda ] || [ $tries -ge 30000 ]; do tries=$((tries + 1)); /bin/busybox usleep 10000; done
/bin/busybox mount -t ext4 /dev/xvda /root
exec /bin/busybox switch_root /root /bin/busybox sh /start
END
cat >"$root/start" <<'END'
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
if [ -e /data ]; then
    echo "GUEST again $(md5sum </data)"
else
    echo "GUEST root $(awk '$2 == "/" && $1 != "rootfs" { print $1, $3 }' /proc/mounts)"
    dd if=/dev/urandom of=/data bs=1M count=64 2>/dev/null
    echo "GUEST wrote $(md5sum </data)"
    sync
    echo 3 >/proc/sys/vm/drop_caches
    echo "GUEST reads $(md5sum </data)"
fi
mount -o remount,ro /
poweroff -f
END
chmod 755 "$early/init"
(cd "$early" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/initrd"
truncate -s 160M "$work/disk"
/sbin/mke2fs -q -t ext4 -d "$root" "$work/disk"
disk=$work/disk
if command -v qemu-img >/dev/null; then
    disk=$work/disk.qcow2
    qemu-img convert -O qcow2 "$work/disk" "$disk"
fi
linux() { # NAME
    ask "$1" 0 "$paravane" run -q --timeout 900 -m 160 --disk "$disk" -r "$work/initrd" "$(kernel cloud-amd64)" \
        console=hvc0 quiet
    sed -i 's/\r//g' "$out"
}
linux 'Linux on a root of its own ends well'
says 'its root is the disk' 'GUEST root /dev/xvda ext4'
sum=$(sed -n 's/^GUEST wrote //p' "$out")
[ -n "$sum" ] && grep -q "^GUEST reads $sum" "$out"
result $? 'it reads what it wrote'
linux 'it is started again'
says 'what it wrote is there' "GUEST again $sum"
plan
