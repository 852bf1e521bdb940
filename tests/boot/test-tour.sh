#!/bin/sh
# Every stop of README's tour names a function or label that stands in that file.
root=$2
. "$root/tests/boot/tap.sh"

stops=$(sed -n 's/^[0-9]*\. `\([^:`]*\):\([^`]*\)`.*/\1:\2/p' "$root/README.md")
[ "$(echo "$stops" | wc -l)" -ge 12 ]
result $? "README has a tour of at least 12 stops"
for stop in $stops; do
    grep -qE "(^|[^a-z_])${stop#*:}(\(|:)" "$root/${stop%%:*}"
    result $? "$stop"
done
plan
