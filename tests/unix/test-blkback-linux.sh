#!/bin/sh
# Are the disks that pv-guest as domain 0 serves disks for Debian's own blkfront, on Paravane and on Xen?
#   test-blkback-linux.sh BUILD [paravane|xen]
# Debian's kernel with two CPUs, and so two queues, mounts an ext4 file system, writes 24 MiB and reads them again, trims it and
# unmounts it; it is ended in the middle of its writing when it is started again.  e2fsck and debugfs say afterwards what this machine's
# file holds.  tools/setup --dom0 fetches xl; without, or without Xen, there is nothing to ask.
set -u
. "$(dirname "$0")/../linux/linux.sh"
initramfs=$build/pv-guest/initramfs.cpio
guest=$build/oracle/guests/cloud-amd64

if ! [ -e "$build/oracle/dom0/tree" ] || ! [ -e "$build/oracle/xen-4.17" ] || ! [ -e "$guest" ]; then
    echo "ok 1 - disks for Linux on pv-guest # SKIP tools/setup --dom0 has not fetched it"
    echo 1..1
    exit
fi

cat >"$work/commands" <<'END'
until_true() { # COMMAND...: for a few minutes at most
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 6000 ] || { echo "in vain: $*"; return; }
        usleep 50000
    done
}
alone() { [ "$(xl list | wc -l)" = 2 ]; }
xl create -q /guest/all.cfg
echo "== create: $?"
(sleep 2000 | xl console g) >/tmp/console 2>&1 &
until_true alone
tr -d '\r' </tmp/console | grep '^GUEST'
xl create -q /guest/write.cfg
(sleep 2000 | xl console g) >/tmp/console.2 2>&1 &
until_true grep -q '^GUEST writes' /tmp/console.2
xl destroy g
echo "== destroy: $?"
until_true alone
xenstore-ls -f /local/domain/0/backend/vbd 2>/dev/null | grep -v '^/local/domain/0/backend/vbd = ""'
echo "== end"
END

# --- the guest -------------------------------------------------------------------------------------------------

root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/mnt" "$root/modules" "$root/tmp"
cp /bin/busybox "$root/bin/"
find "$guest/lib/modules" -name xen-blkfront.ko -exec cp {} "$root/modules/" \;
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
insmod /modules/xen-blkfront.ko
tries=0
until [ -e /dev/xvda ] || [ $tries -ge 30000 ]; do tries=$((tries + 1)); usleep 10000; done
mount -t ext4 -o discard /dev/xvda /mnt
if grep -q writes /proc/cmdline; then
    echo "GUEST writes"
    while :; do dd if=/dev/zero of=/mnt/zeros bs=64k count=128 conv=fsync 2>/dev/null; done
fi
echo "GUEST xvda $(cat /sys/block/xvda/size) $(cat /sys/block/xvda/queue/write_cache): $(cat /mnt/hello)"
echo "GUEST discards $([ "$(cat /sys/block/xvda/queue/discard_max_bytes)" != 0 ] && echo yes)"
echo "GUEST queues $(ls /sys/block/xvda/mq | wc -l)"
echo "GUEST segments $(cat /sys/block/xvda/queue/max_segments)"
dd if=/dev/urandom of=/tmp/data bs=1M count=24 2>/dev/null
cp /tmp/data /mnt/data
cp /tmp/data /mnt/gone & cp /tmp/data /mnt/other & wait
rm /mnt/gone
fstrim /mnt && echo "GUEST trimmed"
umount /mnt
mount -t ext4 /dev/xvda /mnt
cmp /tmp/data /mnt/data && cmp /tmp/data /mnt/other && echo "GUEST 48 MiB come back as they were"
echo "GUEST = $(md5sum </mnt/data)"
umount /mnt
echo "GUEST ready"
poweroff -f
END
chmod 755 "$root/init"
(cd "$root" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/initrd"
config() { # NAME WORDS
    cat >"$work/$1.cfg" <<END
name = "g"
kernel = "/guest/vmlinuz"
ramdisk = "/guest/initrd"
extra = "console=hvc0 quiet $2"
memory = 160
vcpus = 2
disk = [ "format=raw,vdev=xvda,access=w,target=/dev/vda" ]
END
}
config all ''
config write writes
mkdir "$work/files"
echo 'hello from the disk' >"$work/files/hello"

machine() { # HYPERVISOR
    rm -f "$work/disk"
    truncate -s 96M "$work/disk"
    /sbin/mke2fs -q -t ext4 -d "$work/files" "$work/disk"
    ask "on $1 domain 0 ends well" 0 "$paravane" run --xl --hypervisor "$1" -q -m 160 -c 2 --cpus 2 --machine-memory 512 \
        --timeout 1500 --disk "$work/disk" -r "$initramfs" --add "$work/all.cfg:/guest/all.cfg" \
        --add "$work/write.cfg:/guest/write.cfg" --add "$(kernel cloud-amd64):/guest/vmlinuz" --add "$work/initrd:/guest/initrd" \
        --add "$work/commands:/commands" "$build/pv-guest/pv-guest" quiet
    sed -i 's/\r//g' "$out"
    says "on $1 Linux mounts its disk, whose writes are cached" 'GUEST xvda 196608 write back: hello from the disk'
    says "on $1 it has two queues" 'GUEST queues 2'
    says "on $1 a request can have more segments than fit in the ring, as many as it wants itself" 'GUEST segments 32'
    says "on $1 it discards" 'GUEST discards yes'
    says "on $1 and trims" 'GUEST trimmed'
    says "on $1 it reads what it wrote" 'GUEST 48 MiB come back as they were'
    [ "$(sed -n '/^== end/q; /^\/local/p' "$out" | wc -l)" = 0 ] && grep -q '^== end' "$out" && grep -q '^== destroy: 0' "$out"
    result $? "on $1 one that is ended while it writes leaves nothing in the store"
    grep -e '^/local' -e '^in vain' "$out" | comment
    /sbin/e2fsck -fy "$work/disk" >"$work/fsck" 2>&1
    [ $? -le 1 ]
    result $? "on $1 the file system can be repaired"
    comment <"$work/fsck"
    sum=$(/sbin/debugfs -R 'cat /data' "$work/disk" 2>/dev/null | md5sum)
    grep -q "^GUEST = $sum" "$out"
    result $? "on $1 what it wrote is in the file on the host"
}

for which in ${2:-paravane xen}; do machine "$which"; done
plan
