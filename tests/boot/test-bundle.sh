#!/bin/sh
# --bundle: the folder has everything, whatever it is called; the printed command boots from it when the originals are gone.
#   test-bundle.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

mkdir "$work/in, put"
cp "$sample" "$work/in, put/kernel, odd"
head -c 5000 /dev/urandom >"$work/in, put/disk"
for folder in plain 'with space' 'with,comma' "it's"; do
    dir="$work/$folder"
    mkdir -p "$work/gone"
    cp "$work/in, put/kernel, odd" "$work/in, put/disk" "$work/gone/"
    (cd "$work/gone" && "$paravane" run --dom0 --timeout 100 --print-command --bundle "$dir" -r disk 'kernel, odd' say:booted~) >"$work/command" 2>"$err"
    judge "a bundle in $folder" 0 $?
    rm -r "$work/gone"
    cmp -s "$dir/d0-ramdisk" "$work/in, put/disk" && cmp -s "$dir/d0-kernel" "$sample" && [ -s "$dir/hypervisor" ]
    result $? "it is complete in $folder"
    timeout 100 sh "$work/command" >"$out" 2>&1 </dev/null
    holds "$out" "its command boots in $folder" booted
    ask "a run in $folder" 0 "$paravane" run -q --dom0 --timeout 100 --bundle "$dir" -r "$work/in, put/disk" "$sample" say:ran~
    says "it ran in $folder" ran
done

# Every size arrives whole: as a file, as one that is made in memory, and in a bundle.
sum_of() { od -An -v -tu1 "$1" | awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s + 0 }'; }
for size in 1 2 4095 4096 4097 1048577; do
    head -c $size /dev/urandom >"$work/disk, odd"
    cp "$work/disk, odd" "$work/disk"
    for disk in "$work/disk" "$work/disk, odd"; do
        ask "a ramdisk of $size bytes" 0 "$paravane" run -q --dom0 --timeout 100 -r "$disk" "$sample" ramdisk
        says "its size is $size" "size $size"
        says 'and its bytes are those' "sum $(sum_of "$disk")"
    done
done

# Relative, from where the user stands; with a kernel that is unpacked, an initramfs that is made, and a tree.
cd "$work" || exit
gzip -c "$sample" >packed
ask 'a relative folder, a packed kernel, an addition' 0 "$paravane" run -q --timeout 100 --bundle 'a b' --add "$work/in, put/disk:/" packed
# firmware.rom, too, where qboot is installed
[ "$(ls 'a b' | grep -v '^firmware.rom$' | tr '\n' ' ')" = 'd1-kernel d1-ramdisk domains.dtb hypervisor initramfs.cpio ' ]
result $? 'has them all'
ls 'a b' | comment

# What is in the folder already is not written over itself.
cp "$sample" plain/d1-kernel
ask 'a kernel that is in the folder, by its name there' 0 "$paravane" run -q --timeout 100 --bundle plain plain/d1-kernel
cmp -s "$sample" plain/d1-kernel
result $? 'is not harmed'
ask 'the bare machine' 0 "$paravane" run --native --print-command --bundle 'c d' -r "$work/in, put/disk" "$build/pv-guest/pv-guest-native"
says 'goes there, too' "cd 'c d' && "
cmp -s "$build/pv-guest/pv-guest-native" 'c d/kernel' && cmp -s "$work/in, put/disk" 'c d/ramdisk'
result $? 'whole'
mkdir small
ln -s /dev/full small/d1-kernel
ask 'no room' 25 "$paravane" run --bundle small "$sample"
told 'no room: the sentence' 'cannot write small/d1-kernel: No space left on device'
plan
