#!/bin/sh
# --add: what comes out is what was put in (links, modes, devices), nothing that was there is harmed, and
# what is too large is refused.  Asked of the archive; test-demo.sh asks Linux.
#   test-add.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
: >"$work/hypervisor"

# add WORDS...: make an initramfs, and unpack or list it with cpio
add() { "$paravane" run --print-command --bundle "$work/bundle" --hypervisor "$work/hypervisor" "$@" "$sample"; }
list() { cpio -itv --quiet --numeric-uid-gid <"$work/bundle/initramfs.cpio" >"$work/list" 2>&1; }
lists() { # WHAT PATTERN: a line of the list
    if grep -qE -e "$2" "$work/list"; then
        result 0 "$1"
    else
        result 1 "$1"
        echo "# no line \"$2\" in:"
        comment <"$work/list"
    fi
}

tree=$work/tree
mkdir -p "$tree/sticky" "$tree/private/inner"
echo one >"$tree/first"
ln "$tree/first" "$tree/private/second"
ln "$tree/first" "$tree/third"
ln -s first "$tree/link"
mkfifo -m 640 "$tree/pipe"
echo x >"$tree/setuid"
: >"$tree/empty"
for size in 1 2 3 4 5 4095 4096 4097; do head -c $size /dev/urandom >"$tree/size-$size"; done
chmod 4755 "$tree/setuid"
chmod 1777 "$tree/sticky"
chmod 700 "$tree/private"
chmod 755 "$tree"
chmod 644 "$tree/first"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tree/socket" 2>/dev/null
mknod -m 600 "$tree/null" c 1 3 2>/dev/null
mknod -m 660 "$tree/disk" b 8 17 2>/dev/null

ask 'a folder with everything in it' 0 add --add "$tree"
list
lists 'the mode of a folder' '^drwx------ .* tree/private$'
lists 'and of one that is sticky' '^drwxrwxrwt .* tree/sticky$'
lists 'set-user-id' '^-rwsr-xr-x .* tree/setuid$'
lists 'a link' ' tree/link -> first$'
lists 'a pipe' '^prw-r----- .* tree/pipe$'
lists 'an empty file' ' 0 .* tree/empty$'
[ ! -S "$tree/socket" ] || lists 'a socket' '^s.* tree/socket$'
[ ! -c "$tree/null" ] || lists 'a character device' '^crw------- .* 1,  *3 .* tree/null$'
[ ! -b "$tree/disk" ] || lists 'a block device' '^brw-rw---- .* 8,  *17 .* tree/disk$'
[ "$(grep -c ' tree/\(first\|third\|private/second\)$' "$work/list")" = 3 ]
result $? 'a file of three names has them all'
mkdir "$work/again"
(cd "$work/again" && cpio -id --quiet <"$work/bundle/initramfs.cpio" 2>/dev/null)
[ "$(stat -c %h "$work/again/tree/first" 2>/dev/null)" = 3 ] && [ "$(cat "$work/again/tree/third")" = one ] &&
    [ "$work/again/tree/first" -ef "$work/again/tree/private/second" ]
result $? 'and is one file'
for size in 1 2 3 4 5 4095 4096 4097; do cmp -s "$tree/size-$size" "$work/again/tree/size-$size" || echo $size; done >"$out"
[ ! -s "$out" ]
result $? 'every size arrives whole'
comment <"$out"

# A hard link costs nothing; a second --add knows the first.
head -c 3000000 /dev/urandom >"$work/large"
ln "$work/large" "$work/large-too"
ask 'a file twice, by two names' 0 add --add "$work/large" --add "$work/large-too:/opt/"
[ "$(stat -c %s "$work/bundle/initramfs.cpio")" -lt 3100000 ]
result $? 'its content is there once'

# Behind an initramfs that has folders and links of its own, packed or not.
base=$work/base
mkdir -p "$base/usr/bin" "$base/tmp"
chmod 1777 "$base/tmp"
ln -s usr/bin "$base/bin"
(cd "$base" && find . | cpio -o -H newc --quiet) >"$work/base.cpio"
mkdir -p "$work/over/bin"
echo tool >"$work/over/bin/tool"
for packer in cat 'gzip -c' 'xz -c --check=crc32' 'zstd -qc' 'lz4 -lc'; do
    command -v "${packer%% *}" >/dev/null || continue
    $packer <"$work/base.cpio" >"$work/base.packed"
    ask "behind an initramfs ($packer)" 0 add -r "$work/base.packed" --add "$tree/first:/tmp/" --add "$work/over/bin/tool:/bin/" \
        --add "$work/over/.:/" --add "$work/over/bin/tool:/new/place/"
    # the additions alone
    tail -c +$(($(stat -c %s "$work/base.packed") / 4 * 4 + 1)) "$work/bundle/initramfs.cpio" |
        python3 -c 'import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[d.find(b"070701"):])' |
        cpio -itv --quiet >"$work/list" 2>&1
    lists "$packer: a file in /tmp" ' tmp/first$'
    lists "$packer: a file in /bin" ' bin/tool$'
    lists "$packer: a folder that is new" '^d.* new/place$'
    ! grep -qE '^d.* (\./)?(tmp|bin)$' "$work/list"
    result $? "$packer: what exists is not made again: neither the mode nor the link is lost"
done
printf 'no archive at all' >"$work/odd"
ask 'behind something unknown' 0 add -r "$work/odd" --add "$tree/first:/tmp/"
told 'it is said' 'warning: the ramdisk is not a cpio archive'

# Too large: sparse files, so that the test needs no room.
truncate -s 5G "$work/huge"
truncate -s 4294967295 "$work/4g"
truncate -s 2147483647 "$work/2g"
mkdir "$work/folder"
ln "$work/huge" "$work/folder/huge"
for file in huge 4g 2g folder; do
    ask "$file is too large to add" 10 add --add "$work/$file"
    told "$file: the sentence" 'the initramfs would be larger than 2 GiB'
done
for file in huge 4g; do
    ask "$file as ramdisk" 10 add -r "$work/$file"
    told "$file as ramdisk: the sentence" 'has 2 GiB or more'
    ask "$file as ramdisk, on the bare machine" 10 "$paravane" run --native -r "$work/$file" "$build/pv-guest/pv-guest-native"
    ask "$file as kernel" 10 "$paravane" run "$work/$file"
    told "$file as kernel: the sentence" 'has 2 GiB or more'
done
truncate -s 1200M "$work/half"
for name in a b; do
    printf 'name="%s"\nkernel="%s"\nramdisk="%s"\nmemory=3000\n' $name "$sample" "$work/half-$name" >"$work/$name.cfg"
    ln "$work/half" "$work/half-$name"
done
ask 'two that are too large together' 10 "$paravane" run --print-command "$work/a.cfg" "$work/b.cfg"
told 'the sentence' 'and 2048 are the most that can be loaded'
ask 'one of them is not' 0 "$paravane" run --print-command "$work/a.cfg"
ask 'a device as ramdisk' 10 add -r /dev/zero
told 'a device as ramdisk: the sentence' 'it is a pipe or a device; copy it to a file'
ask 'a name too long for a kernel' 10 add --add "$tree/first:/$(printf '%04096d' 0)"
told 'a name too long for a kernel: the sentence' 'would have more than 4095 bytes'
mkdir "$work/locked"
: >"$work/locked/file"
chmod 0 "$work/locked"
if [ "$(id -u)" != 0 ]; then
    ask 'a folder that cannot be read' 10 add --add "$work/locked"
    told 'a folder that cannot be read: the sentence' 'Permission denied'
fi
chmod 700 "$work/locked"
plan
