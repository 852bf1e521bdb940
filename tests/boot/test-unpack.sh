#!/bin/sh
# What our guest's kernel makes of the initramfs: archives put together, with zeroes between them or none, and names that come
# again; and what is none, or is damaged.
#   test-unpack.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
initramfs=$build/pv-guest/initramfs.cpio
boot() { "$paravane" run --native --timeout 100 "$@" "$build/pv-guest/pv-guest-native" quiet; }

# archive FILE: of the folder $work/tree, with what is in it.
archive() { (cd "$work/tree" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$1"; }
tree() { rm -rf "$work/tree" && mkdir -p "$work/tree/etc"; }

tree
echo 'the first' >"$work/tree/etc/word"
ln "$work/tree/etc/word" "$work/tree/etc/also"
ln -s word "$work/tree/etc/link"
mkdir "$work/tree/etc/file-later"
echo 'a file' >"$work/tree/etc/folder-later"
archive "$work/one"
tree
echo 'the second, which is longer' >"$work/tree/etc/word"
echo 'no link' >"$work/tree/etc/link"
archive "$work/two"

# asked WHAT RAMDISK COMMANDS: the guest's shell has the commands; what it prints is in $out.
asked() {
    printf '%s\nexit\n' "$3" | boot -q -r "$2" >"$out" 2>"$err"
    judge "$1" 0 $?
}
cat "$initramfs" "$work/one" >"$work/both"
asked 'two archives' "$work/both" 'cat /etc/word /etc/link; stat -c "%h names" /etc/also; wc -l </etc/motd'
says 'the second is unpacked' 'the first'
says 'its links, too' '2 names'
{
    cat "$initramfs"
    head -c 512 /dev/zero
    cat "$work/one" "$work/two"
    head -c 1024 /dev/zero
} >"$work/many"
asked 'three, with zeroes between and behind them' "$work/many" 'cat /etc/word /etc/also /etc/link; [ -L /etc/link ] || echo a file now'
says 'a name that comes again has its last content' 'the second, which is longer'
says 'a link that comes again as a file is one' 'a file now'

# By the tool's own means.
mkdir -p "$work/more/inner"
echo 'a word' >"$work/more/inner/file"
printf 'cat /added/inner/file /etc/motd\nexit\n' | boot -q -r "$initramfs" --add "$work/more:/added" --add "$work/two:/etc/motd" >"$out" 2>"$err"
judge '--add behind -r' 0 $?
says 'is unpacked' 'a word'
says 'also in the place of what is there' '070701'

# What is none.
head -c 4096 /dev/zero >"$work/zeroes"
ask 'an archive without a file' 20 boot -r "$work/zeroes"
says 'is told' 'kernel panic'
head -c 100000 "$initramfs" >"$work/cut"
ask 'one that is cut off' 20 boot -r "$work/cut"
says 'is told' 'the ramdisk is no cpio archive'
{
    cat "$initramfs"
    echo 'and something else'
} >"$work/odd"
ask 'something else behind it' 20 boot -r "$work/odd"
says 'is told' 'the ramdisk is no cpio archive'
plan
