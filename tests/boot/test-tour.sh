#!/bin/sh
# The README's tour: every stop `file:function` exists, and every file that a
# README links to, too.
#   test-tour.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
source=$2

# A definition stands at the beginning of a line (or behind FUNC( in assembly), a
# declaration ends in a semicolon.
defines() { # FILE FUNCTION
    grep -E "^([a-z].*[ *])?$2\(|^(FUNC|ENTRY)\($2\)|^$2:|^#define $2\(" "$1" | grep -qv ';$'
}

sed -n 's/^[0-9]*\. `\([^:`]*\):\([^`]*\)`.*/\1 \2/p' "$source/README.md" >"$work/stops"
# FOLDER:STOPS: no part of the tour is missing
for half in hypervisor/:12 pv-guest/platform/xen/:8 pv-guest/kernel/:3 pv-guest/platform/native/:5; do
    [ "$(grep -c "^${half%:*}" "$work/stops")" -ge "${half#*:}" ]
    result $? "the tour has at least ${half#*:} stops in ${half%:*}"
done
while read -r file function; do
    defines "$source/$file" "$function" 2>/dev/null
    result $? "$file:$function"
done <"$work/stops"

for page in $(cd "$source" && find . -name build -prune -o -name '*.md' -print | sed 's,^\./,,' | sort); do
    missing=0
    for link in $(grep -o '](\([^)#:]*\))' "$source/$page" | sed 's/](//; s/)//'); do
        [ -e "$source/$(dirname "$page")/$link" ] || {
            echo "# $page links to $link, which is not there"
            missing=1
        }
    done
    result $missing "the links of $page"
done

# The table of the whole-machine tests names each of them.
grep -o '`[a-z-]*`' "$source/tests/boot/README.md" | tr -d '`' | sort -u >"$work/named"
for script in "$source"/tests/boot/test-*.sh; do
    name=$(basename "$script" .sh)
    echo "${name#test-}"
done | sort >"$work/there"
comm -13 "$work/named" "$work/there" | comment
[ -z "$(comm -13 "$work/named" "$work/there")" ]
result $? 'tests/boot/README.md has all tests of its folder'
plan
