#!/bin/sh
# Does the unmodified xl of Debian's Xen 4.17, in Debian's Linux as domain 0, say of this hypervisor what it says of Xen?
#   test-xl.sh BUILD
# It looks, and makes a guest, stops it, gives it less memory, ends it.  The same files boot on both, side by side.  Of what xl prints,
# numbers that belong to one machine or one moment are made alike first.  tools/setup --dom0 fetches xl; without it, or without Xen, there is nothing to ask.
set -u
. "$(dirname "$0")/linux.sh"
. "$(dirname "$0")/xl.sh"

need_xl 'xl in domain 0'

cat >"$work/asked" <<'END'
for verb in info list 'list -v' vcpu-list uptime sched-credit2 cpupool-list 'vcpu-pin 0 0 0' 'domid Domain-0' 'domname 0' \
    'domid nobody' 'vcpu-pin 0 7 0' 'destroy nobody' 'list 5'; do
    echo "== xl $verb"
    xl $verb 2>&1
    echo "== status $?"
done
echo "== xl dmesg"
xl dmesg | sed 's/^/= /' | head -n 3
xl dmesg -c >/dev/null
echo "= left: $(xl dmesg | wc -c)"
echo "== disk"
mount -t ext4 /dev/vda /mnt && cat /mnt/hello
dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
cp /tmp/data /mnt/data
sync
umount /mnt
mount -t ext4 /dev/vda /mnt && cmp /tmp/data /mnt/data && echo "2 MiB come back as they were"
umount /mnt
echo "== network"
ip link set eth0 up
udhcpc -i eth0 -n -q -f 2>&1 | grep lease
sed -n 's/^.*msi-x/= msi-x/p' /proc/interrupts
awk '/msi-x.*virtio0-req/ { print "= messages of the disk: " ($2 > 0) }' /proc/interrupts
echo "== xenstore"
xenstore-ls -f /local/domain/0
for state in create ready pause unpause mem-set pin shutdown; do
    case $state in
    create) xl create /guest/g1.cfg 2>&1 ;;
    ready) xenconsole 1 </dev/null >/tmp/console 2>&1 &
        until_true grep -q '^GUEST ready' /tmp/console
        grep '^GUEST' /tmp/console | tr -d '\r' ;;
    mem-set) xl mem-set g1 80m
        until_true sh -c 'xl list g1 | grep -q "^g1 .* 80 "' ;;
    pin) xl vcpu-pin g1 0 0 && xl vcpu-list g1 | sed 's/ [r-][b-][p-] / STATE /' ;;
    shutdown) xl shutdown -w g1 ;;
    *) xl $state g1 ;;
    esac
    echo "== status $? of $state"
    xl list | sed 's/ [r-][b-]\([p-][s-][c-][d-]\) / ..\1 /'
done
xl create -p /guest/g1.cfg 2>&1
xl list | sed 's/ [r-][b-]\([p-][s-][c-][d-]\) / ..\1 /'
xl destroy g1
echo "== status $? of destroy"
xl list | sed 's/ [r-][b-]\([p-][s-][c-][d-]\) / ..\1 /'
echo "== end"
END

# The guest that it makes: a kernel, and an init that says that it is there.
mkdir -p "$work/guest/root/bin" "$work/guest/root/sbin" "$work/guest/root/dev"
cp /bin/busybox "$work/guest/root/bin/"
cat >"$work/guest/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
echo "GUEST ready"
exec /bin/busybox sleep 100000
END
printf '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n' >"$work/guest/root/sbin/poweroff"
chmod 755 "$work/guest/root/init" "$work/guest/root/sbin/poweroff"
(cd "$work/guest/root" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/guest/initrd"
cp "$(kernel cloud-amd64)" "$work/guest/vmlinuz"
cat >"$work/guest/g1.cfg" <<'END'
name = "g1"
kernel = "/guest/vmlinuz"
ramdisk = "/guest/initrd"
extra = "console=hvc0 quiet"
memory = 96
END
rm -r "$work/guest/root"

truncate -s 16M "$work/disk"
mkdir "$work/files"
echo 'hello from the disk' >"$work/files/hello"
/sbin/mke2fs -q -t ext4 -d "$work/files" "$work/disk"

# Memory, time, the processor's features, and who the hypervisor is.
alike() {
    sed -n '/^== xl info/,/^== end/p' "$1" | grep -v '^\[' |
        sed -e 's/^\(cpu_mhz\|hw_caps\|virt_caps\|total_memory\|free_memory\|xen_extra\|xen_version\|xen_caps\|xen_changeset\|xen_commandline\|cc_[a-z_]*\|build_id\) *:.*/\1/' \
            -e 's/ *[0-9][0-9]*\.[0-9]\( \|$\)/ TIME\1/' -e 's/[0-9]*:[0-9][0-9]:[0-9][0-9]/TIME/' -e '/^= /d'
}

both
judge 'domain 0 ends well' 0 "$(cat "$work/ours.status")"
grep -q '^== end' "$work/ours" && grep -q '^== end' "$work/xen"
result $? 'xl was asked on both'
alike "$work/ours" >"$work/ours.alike"
alike "$work/xen" >"$work/xen.alike"
diff "$work/xen.alike" "$work/ours.alike" >"$work/diff"
result $? 'xl says the same on both (< Xen, > here)'
comment <"$work/diff"
grep -q '^2 MiB come back as they were' "$work/ours"
result $? 'domain 0 reads and writes a disk'
grep -q 'lease of 10.0.2.15 obtained' "$work/ours"
result $? 'it gets its address over the network'
grep -q '^= messages of the disk: 1' "$work/ours"
result $? 'the disk interrupts by MSI-X'
grep -q '^= (PV) Paravane' "$work/ours"
result $? 'xl dmesg shows what the hypervisor said at boot'
grep -q '^= left: 0$' "$work/ours"
result $? 'xl dmesg -c leaves nothing'
grep -q '^Domain-0  *0  *384  *1  *r-----  *[0-9.]*$' "$work/ours"
result $? 'xl list shows domain 0'
grep -q '^GUEST ready' "$work/ours"
result $? 'xl create: the guest prints on its console'
grep -q '^(PV) d1 shut down: poweroff' "$work/ours.err" && grep -q '^(PV) d2 destroyed' "$work/ours.err"
result $? 'one guest has shut down, one was destroyed'
plan
