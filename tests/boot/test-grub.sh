#!/bin/sh
# PV GRUB, an image of Debian's modules: to its prompt, and from there on into Debian's kernels, in the same domain: GRUB
# builds the new kernel's page tables out of its own memory, and jumps.
#   test-grub.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/linux-guest.sh"

mkimage=$guests/grub/usr/bin/grub-mkimage
modules=$guests/grub/usr/lib/grub/x86_64-xen
need "$mkimage" 'grub-mkimage'
need "$modules" "GRUB's modules for Xen"

# image FILE: a GRUB with $work/disk as its memdisk, which runs its grub.cfg and then prompts.
image() {
    tar -C "$work/disk" -cf "$work/disk.tar" .
    echo 'configfile (memdisk)/grub.cfg' >"$work/load.cfg"
    "$mkimage" -O x86_64-xen -d "$modules" -p '(memdisk)/' -c "$work/load.cfg" -m "$work/disk.tar" -o "$1" \
        normal configfile echo ls cat test halt reboot memdisk tar linux gzio xzio date sleep
}

boot() {
    "$paravane" run --timeout 200 -m "$1" --input "$work/input" "$2" >"$out" 2>"$err"
}

mkdir "$work/disk"
echo 'echo GRUB has read its configuration' >"$work/disk/grub.cfg"
echo 'a line in a file' >"$work/disk/file"
image "$work/grub"
result $? 'grub-mkimage makes an image for x86_64-xen'

printf 'ls (memdisk)/\ncat (memdisk)/file\necho hello from GRUB\nls\nhalt\n' >"$work/input"
boot 64 "$work/grub"
judge 'halt ends the domain well' 0 $?
for text in 'GRUB has read its configuration' 'GNU GRUB  version 2.06' 'grub> ' 'a line in a file' \
    'hello from GRUB' '(memdisk)'; do
    says "GRUB says \"$text\"" "$text"
done
told 'halt is a power-off' 'd1 shut down: poweroff'

# Its calendar reads the published system time as it stands, without the TSC.
printf 'date\nsleep 3\ndate\nhalt\n' >"$work/input"
boot 64 "$work/grub"
judge 'a sleep ends' 0 $?
dates=$(grep -a -o '20[0-9][0-9]-.* [0-9:]* ' "$out")
[ "$(echo "$dates" | wc -l)" = 2 ] && [ "$(echo "$dates" | uniq | wc -l)" = 2 ]
result $? 'date says another time after three seconds of sleep'

echo reboot >"$work/input"
boot 64 "$work/grub"
judge 'reboot ends the domain well' 0 $?
told 'reboot is a reboot' 'd1 shut down: reboot'

# Chain loading.  GRUB 2.06 unpacks xz, but not lz4: that kernel is unpacked beforehand.
make_initramfs "$work/disk/initrd"
chain() { # FLAVOUR
    {
        echo "linux (memdisk)/kernel console=hvc0 quiet panic=-1 rdinit=/init"
        echo 'initrd (memdisk)/initrd'
        echo 'boot'
    } >"$work/disk/linux.cfg"
    image "$work/grub"
    printf 'configfile (memdisk)/linux.cfg\nuname -r\nreach 327680; echo ok $((6*7)); poweroff -f\n' >"$work/input"
    boot 320 "$work/grub"
    judge "$1: from GRUB to Linux, to a well-behaved end" 0 $?
    says "$1: GRUB was there" 'GNU GRUB  version 2.06'
    says "$1: Linux's init" 'init is up'
    says "$1: the shell answers" 'ok 42'
    says "$1: all of the domain's memory is Linux's" 'memory is 327680 KiB, 1 of 1 reached'
    release=$(basename "$2")
    says "$1: it is this kernel" "${release#vmlinuz-}"
}

kernel=$(kernel_of amd64)
need "$kernel" "Debian's amd64 kernel"
cp "$kernel" "$work/disk/kernel"
chain amd64 "$kernel"

kernel=$(kernel_of cloud-amd64)
need "$kernel" "Debian's cloud kernel"
mkdir "$work/bundle"
"$paravane" run --print-command --bundle "$work/bundle" "$kernel" >/dev/null
gzip -1 <"$work/bundle/d1-kernel" >"$work/disk/kernel"
chain cloud-amd64 "$kernel"
plan
