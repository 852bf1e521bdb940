# Debian's kernels with a small initramfs of our own.  Sourced by test-*.sh, behind tap.sh.
#
#   kernel_of FLAVOUR     the kernel that tools/setup --guests has unpacked: amd64 (xz) or cloud-amd64 (lz4)
#   make_initramfs FILE   busybox, and an /init that mounts what a shell wants and becomes one
#   need FILE WHAT        end the test, failed, if there is no FILE

guests=$build/oracle/guests

need() {
    [ -e "$1" ] && return
    result 1 "there is $2: run tools/setup --guests"
    plan
    exit
}

kernel_of() {
    ls "$guests/$1"/boot/vmlinuz-* 2>/dev/null
}

# The init is process 1, which signals do not end: power-off and reboot are told to the kernel.
make_initramfs() {
    tree=$work/initramfs
    mkdir -p "$tree/bin" "$tree/sbin" "$tree/proc" "$tree/sys" "$tree/dev"
    cp /bin/busybox "$tree/bin/"
    cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin:/sbin PS1='# '
echo init is up
exec sh
INIT
    printf '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n' >"$tree/sbin/poweroff"
    # reach KIB: wait, 2 minutes at most, until the domain has that much memory
    cat >"$tree/bin/reach" <<'REACH'
#!/bin/busybox sh
file=/sys/devices/system/xen_memory/xen_memory0/info/current_kb
tries=1200
while [ "$(cat $file)" != "$1" ] && [ $tries -gt 0 ]; do
    usleep 100000
    tries=$((tries - 1))
done
echo "memory is $(cat $file) KiB, $((tries > 0)) of 1 reached"
REACH
    # An init that needs nobody.
    sed '/^exec/d' "$tree/init" >"$tree/grow-and-reboot"
    cat >>"$tree/grow-and-reboot" <<'GROW'
reach 196608
echo 245760 >/sys/devices/system/xen_memory/xen_memory0/target_kb
reach 245760
reboot -f
GROW
    # And one that says when it has as much memory as want=KIB on its command line.
    sed '/^exec/d' "$tree/init" >"$tree/say-when"
    cat >>"$tree/say-when" <<'SAY'
for word in $(cat /proc/cmdline); do
    case $word in want=*) reach "${word#want=}" ;; esac
done
while sleep 60; do :; done
SAY
    chmod +x "$tree/init" "$tree/grow-and-reboot" "$tree/say-when" "$tree/sbin/poweroff" "$tree/bin/reach"
    (cd "$tree" && find . | cpio -o -H newc --quiet) >"$1"
}
