#!/bin/sh
# What must be true of the linked image and no compiler promises.  Usage: check-image.sh PARAVANE fast|slow
#
#   fast     it has the fast paths (fastpath.S), or, slow, none of them
#   linear   the multiboot header's address fields describe one straight copy (x86/boot/paravane.lds)
#   w^x      no segment is both writable and executable
#   fixed    no relocation is left: nobody would apply it
#   canary   only libfdt's functions look at fs, and only at the canary: the FS base is a guest's
#            once one has run, and libfdt runs before (x86/boot/start.c)
#   integer  no vector register is touched: they are the guest's
set -eu
image=$1 paths=$2
failed=0

fail() {
    echo "$1: $2" >&2
    failed=1
}

loads=$(readelf -lW "$image" | awk '$1 == "LOAD" { print $2, $3, $4, $7 $8 }')
lines=$(echo "$loads" | while read -r offset address physical _; do
    low=0x${address#0x????????} # of 64 bits: more than the shell can count
    printf '%d %d\n' $((offset - low)) $((offset - physical))
done | sort -u | wc -l)
[ "$lines" = 1 ] || fail linear "the segments do not lie on one line: $loads"
case $(readelf -lW "$image" | awk '$1 == "LOAD"') in
*RWE*) fail w^x "a segment is writable and executable" ;;
esac
readelf -rW "$image" | grep -q 'There are no relocations' || fail fixed "relocations are left"

found=$(nm "$image" | grep -c ' fast_\(syscall\|iret\|page_fault\)$') || true
case $paths in
fast) [ "$found" = 3 ] || fail fast "it has $found of 3 fast paths" ;;
slow) [ "$found" = 0 ] || fail fast "it has $found fast paths, and should have none" ;;
esac

objdump -d --no-show-raw-insn "$image" | awk '
    /^[0-9a-f]+ </ { name = $2 }
    name ~ /^<boot_/ { next } # 32-bit code
    /%fs:/ && !(name ~ /^<fdt_/ && /%fs:0x28/) { print "canary: " name " " $0; bad = 1 }
    /%[xyz]mm/ { print "integer: " name " " $0; bad = 1 }
    END { exit bad }' >&2 || failed=1
exit $failed
