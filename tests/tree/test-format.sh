#!/bin/sh
# Every C file is as clang-format writes it, by the .clang-format at the top.
#   test-format.sh BUILD SOURCE
# A table that is to keep its columns stands between /* clang-format off */ and /* clang-format on */.
set -u
. "$(dirname "$0")/../boot/tap.sh"
cd "$2" || exit

find hypercall-abi hypervisor pv-guest tests tools -name '*.[ch]' | sort >"$work/files"
[ "$(wc -l <"$work/files")" -gt 500 ]
result $? 'the C files are found'
xargs clang-format --dry-run <"$work/files" 2>"$err"
sed -n 's/^\([^:]*\):[0-9].*clang-format-violations.*/\1/p' "$err" | sort -u >"$work/unlike"
[ ! -s "$work/unlike" ]
result $? 'all are as clang-format writes them'
sed 's/$/: run clang-format -i on it/' "$work/unlike" | comment
[ ! -s "$err" ] || [ -s "$work/unlike" ]
result $? 'clang-format says nothing else'
[ -s "$work/unlike" ] || comment <"$err"
plan
