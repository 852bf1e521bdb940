#!/bin/sh
# Every function that looks at a frame's owner is on the list in hypervisor/README.md, with its argument, and no other.
#   test-owners.sh BUILD SOURCE
set -u
. "$(dirname "$0")/../boot/tap.sh"
source=$2

# A function's head stands at the beginning of a line and does not end in a semicolon; `owner` of a frame is a field of
# something called pg, a frame_table entry, an array of them, or mfn_to_page()'s answer.
(cd "$source" && awk '
    /^[a-z_#].*\(/ && !/;$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    /^ *(\*|\/\*)/ { next }
    /((pg|one|\))->|(\]|pg)\.)owner[^a-z_]/ { file = FILENAME; sub(/^hypervisor\//, "", file); print file ":" name }
    ' $(find hypervisor -name '*.[ch]' | sort) | sort -u) >"$work/looks"
# entries of the list: - argument: `file:function`, `file:function`
sed -n '/^### Who looks at a frame/,/^## /p' "$source/hypervisor/README.md" | grep -o '`[a-z0-9/.-]*:[a-z0-9_]*`' |
    tr -d '`' | sort -u >"$work/list"

[ "$(wc -l <"$work/looks")" -ge 20 ]
result $? "the functions are found"
while read -r place; do
    grep -qxF "$place" "$work/list"
    result $? "$place has an argument"
done <"$work/looks"
while read -r place; do
    grep -qxF "$place" "$work/looks"
    result $? "$place still looks at an owner"
done <"$work/list"
plan
