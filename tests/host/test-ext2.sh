#!/bin/sh
# Volumes that mke2fs makes, in all sizes of blocks and both revisions, for test-ext2; e2fsck judges what it leaves.
#   test-ext2.sh TEST-EXT2 LIES STEPS
set -u
PATH=$PATH:/usr/sbin:/sbin
test_ext2=$1 lies=$2 steps=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
asked=0
result() { # 0|1 WHAT
    asked=$((asked + 1))
    [ "$1" = 0 ] && echo "ok $asked - $2" || echo "not ok $asked - $2"
}

mkdir "$work/tree" "$work/tree/sub"
for i in 1 2 3 4 5 6 7 8 9; do
    mkdir "$work/tree/sub/directory-$i"
    seq $((i * 900)) >"$work/tree/file-$i"
    ln -s "/somewhere/$i" "$work/tree/link-$i"
done
ln "$work/tree/file-1" "$work/tree/sub/again"
ln -s "$(printf 'a%.0s' $(seq 200))" "$work/tree/long-link"

volume() { # NAME OPTIONS...
    name=$1
    shift
    mke2fs -q -F -t ext2 "$@" -d "$work/tree" "$work/small" 2500K >/dev/null 2>&1
    mke2fs -q -F -t ext2 "$@" -d "$work/tree" "$work/image" 20M >/dev/null 2>&1
    for seed in 1 2; do
        "$test_ext2" work "$work/image" $seed "$steps" >"$work/said" 2>&1
        result $? "$name: random operations do what a model does, seed $seed"
        grep -v '^[1o]' "$work/said" | head -30 | sed 's/^/# /'
        e2fsck -fn "$work/image" >"$work/said" 2>&1
        result $? "$name: e2fsck finds nothing wrong in what they leave"
        sed 's/^/# /' "$work/said" | grep -v '# Pass'
        mke2fs -q -F -t ext2 "$@" -d "$work/tree" "$work/image" 20M >/dev/null 2>&1
    done
    "$test_ext2" lies "$work/small" 3 "$lies" >"$work/said" 2>&1
    result $? "$name: $lies volumes that lie harm nobody"
    grep -v '^[1o]' "$work/said" | head -30 | sed 's/^#* */# /'
}

volume '1 KiB' -b 1024
volume '2 KiB' -b 2048
volume '4 KiB' -b 4096
volume 'revision 0' -b 1024 -r 0 -O none
volume 'no types, superblocks everywhere' -b 1024 -O ^filetype,^sparse_super,^resize_inode
echo "1..$asked"
