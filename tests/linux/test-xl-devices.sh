#!/bin/sh
# Has a guest that the unmodified xl makes a disk and a network?
#   test-xl-devices.sh BUILD
# Debian's Linux is domain 0, with its own xen-blkback and xen-netback; the guest is Debian's kernel with blkfront and netfront.  It mounts an
# ext4 file system, writes 16 MiB and reads them again, pings domain 0 and fetches a file from it; then it shuts down.  Two more are
# ended while they write, and one cannot be made, as its network has no script.  Xen 4.17 does the same beside.
# tools/setup --dom0 fetches xl; without it, or without Xen, there is nothing to ask.
set -u
. "$(dirname "$0")/linux.sh"
. "$(dirname "$0")/xl.sh"

need_xl 'devices of a guest by xl'

cat >"$work/asked" <<'END'
mkdir -p /srv
dd if=/dev/urandom of=/srv/data bs=1M count=4 2>/dev/null
echo "= the file is $(md5sum </srv/data)"
httpd -p 10.0.0.1:8000 -h /srv
echo "== a guest with a disk and a network"
xl create /guest/all.cfg 2>&1
echo "== status $?"
xenconsole 1 </dev/null >/tmp/console 2>&1 &
until_true grep -q '^GUEST ready' /tmp/console
tr -d '\r' </tmp/console | grep '^GUEST'
xl block-list g1 | sed 's/  *$//'
xl network-list g1 | awk 'NR > 1 { print $1, $2, $3, $4, $5 }'
xl shutdown -w g1
echo "== status $?"
until_true sh -c '! xl list g1 >/dev/null 2>&1'
for round in 2 3; do
    echo "== ended while it writes"
    xl create /guest/write.cfg 2>&1
    xenconsole $round </dev/null >/tmp/console.$round 2>&1 &
    until_true grep -q '^GUEST writes' /tmp/console.$round
    xl destroy g1
    echo "== status $?"
    until_true sh -c '! xl list g1 >/dev/null 2>&1'
done
echo "== a network without a script"
xl create /guest/missing.cfg 2>&1 | sed 's/\[[0-9]*\]/[PID]/'
xl list | awk '{ print $1, $2 }'
echo "== end"
END

# --- the guest -------------------------------------------------------------------------------------------------

root=$work/guest/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/mnt" "$root/modules" "$root/tmp" "$root/sbin"
cp /bin/busybox "$root/bin/"
for module in xen-blkfront xen-netfront; do # what they depend on is built in
    find "$build/oracle/guests/cloud-amd64/lib/modules" -name $module.ko -exec cp {} "$root/modules/" \;
done
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
insmod /modules/xen-blkfront.ko
insmod /modules/xen-netfront.ko
tries=0
until [ -e /dev/xvda ] || [ $tries -ge 300 ]; do tries=$((tries + 1)); sleep 1; done
mount -t ext4 /dev/xvda /mnt
if grep -q writes /proc/cmdline; then
    dd if=/dev/zero of=/mnt/first bs=1M count=1 2>/dev/null
    echo "GUEST writes"
    while :; do
        dd if=/dev/zero of=/mnt/zeros bs=64k count=128 conv=fsync 2>/dev/null
    done
fi
echo "GUEST xvda $(cat /sys/block/xvda/size) eth0 $(cat /sys/class/net/eth0/address): $(cat /mnt/hello)"
dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
cp /tmp/data /mnt/data
umount /mnt
mount -t ext4 /dev/xvda /mnt
cmp /tmp/data /mnt/data && echo "GUEST 16 MiB come back as they were"
rm /mnt/data
umount /mnt
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
tries=0
until ping -c 1 -W 1 10.0.0.1 >/dev/null || [ $tries -ge 300 ]; do tries=$((tries + 1)); done
ping -c 1 -W 60 10.0.0.1 >/dev/null && echo "GUEST has an answer from domain 0"
wget -q -O /tmp/file http://10.0.0.1:8000/data && echo "GUEST = fetched $(md5sum </tmp/file)"
echo "GUEST ready"
exec sleep 100000
END
printf '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n' >"$root/sbin/poweroff"
chmod 755 "$root/init" "$root/sbin/poweroff"
(cd "$root" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/guest/initrd"
rm -r "$root"
cp "$(kernel cloud-amd64)" "$work/guest/vmlinuz"
config() { # NAME SCRIPT WORDS
    cat >"$work/guest/$1.cfg" <<END
name = "g1"
kernel = "/guest/vmlinuz"
ramdisk = "/guest/initrd"
extra = "console=hvc0 quiet $3"
memory = 128
disk = [ "format=raw,vdev=xvda,access=w,target=/dev/vda" ]
vif = [ "bridge=xenbr0,mac=00:16:3e:00:00:01,script=$2" ]
END
}
config all vif ''
config write vif writes
config missing vif-that-is-not-there ''

truncate -s 64M "$work/disk"
mkdir "$work/files"
echo 'hello from the disk' >"$work/files/hello"
/sbin/mke2fs -q -t ext4 -d "$work/files" "$work/disk"

# --- both ------------------------------------------------------------------------------------------------------

alike() { # FILE: without what the kernel of domain 0 prints, and what is random
    sed -n '/^== a guest with/,/^== end/p' "$1" | grep -v -e '^\[' -e '= fetched'
}

both
judge 'domain 0 ends well, and nothing is lost' 0 "$(cat "$work/ours.status")"
grep -q '^== end' "$work/ours" && grep -q '^== end' "$work/xen"
result $? 'all was done on both'
alike "$work/ours" >"$work/ours.alike"
alike "$work/xen" >"$work/xen.alike"
diff "$work/xen.alike" "$work/ours.alike" >"$work/diff"
result $? 'the guest and xl say the same on both (< Xen, > here)'
comment <"$work/diff"
grep -q '^GUEST xvda 131072 eth0 00:16:3e:00:00:01: hello from the disk' "$work/ours"
result $? 'the guest mounts its disk'
grep -q '^GUEST 16 MiB come back as they were' "$work/ours"
result $? 'it reads what it wrote'
grep -q '^GUEST has an answer from domain 0' "$work/ours"
result $? 'it reaches domain 0'
sum=$(sed -n 's/^= the file is //p' "$work/ours")
[ -n "$sum" ] && grep -q "^GUEST = fetched $sum" "$work/ours"
result $? 'it fetches a file as it was'
[ "$(grep -c '^(PV) d[1-4] destroyed' "$work/ours.err")" = 4 ]
result $? 'all four are gone, two of them in the middle of their writing'
plan
