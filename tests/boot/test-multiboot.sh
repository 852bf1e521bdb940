#!/bin/sh
# The guest kernel's native build, loaded by GRUB as Multiboot 2 has it.
#   test-multiboot.sh BUILD
# GRUB itself is what QEMU's -kernel takes (lnxboot.img makes it look like Linux); what it loads is in a
# tar archive that is the first disk.
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/linux-guest.sh"

mkimage=$guests/grub/usr/bin/grub-mkimage
modules=$guests/grub/usr/lib/grub/i386-pc
need "$mkimage" 'grub-mkimage'
need "$modules" "GRUB's modules for the PC"

mkdir "$work/disk"
cp "$build/pv-guest/pv-guest-native" "$work/disk/kernel"
cp "$build/pv-guest/initramfs.cpio" "$work/disk/initramfs"
printf '%s\n' 'serial --unit=0' 'terminal_output serial' 'configfile (hd0)/grub.cfg' >"$work/load.cfg"
"$mkimage" -O i386-pc -d "$modules" -p '(hd0)/' -c "$work/load.cfg" -o "$work/core" \
    normal configfile echo biosdisk tar multiboot2 serial terminal boot
result $? 'grub-mkimage makes an image for the PC'
cat "$modules/lnxboot.img" "$work/core" >"$work/grub"

boot() { # WORDS...: the kernel's command line
    printf '%s\n' "multiboot2 (hd0)/kernel debug-exit=0xf4 $*" "$ramdisk" boot >"$work/disk/grub.cfg"
    tar -C "$work/disk" -cf "$work/disk.tar" .
    timeout 100 "${PARAVANE_QEMU:-qemu-system-x86_64}" -nodefaults -no-user-config -display none -no-reboot \
        -m 128 -smp 2 -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -kernel "$work/grub" -drive "file=$work/disk.tar,format=raw,if=ide"
}

# 3 is 2 * 0x01 + 1, switched off; 33 is 2 * 0x10 + 1, crashed.
ramdisk='module2 (hd0)/initramfs'
ask 'GRUB boots it' 3 boot init=/bin/busybox -- echo its words reach init
says 'memory' 'pv-guest 0.1 on bare machine: 130944 KiB of memory'
says 'the ramdisk' 'initramfs: '
says 'the command line' 'its words reach init'
ask 'it runs on both CPUs' 3 boot quiet init=/bin/busybox -- nproc
[ "$(sed 's/.*\[1;1H//' "$out" | tr -d '\r\n')" = 2 ]
result $? "which ACPI's tables have told"
ramdisk=''
ask 'without a ramdisk it panics' 33 boot
says 'and says why' 'there is no ramdisk'
plan
