#!/bin/sh
# The guest that hypercall-abi/abi.md begins with: its lines there, one by one as they stand, build it and start it, and it prints
# what the page says; on Xen, too.
#   test-hello.sh BUILD SOURCE paravane|xen
set -u
. "$(dirname "$0")/tap.sh"
source=$2
which=$3
page=$source/hypercall-abi/abi.md

# The indented lines of the chapter: the commands up to the run, then what it prints.
sed -n '/^## Hello$/,/^## /p' "$page" | sed -n 's/^    //p' >"$work/chapter"
sed '/paravane run/q' "$work/chapter" >"$work/commands"
sed '1,/paravane run/d' "$work/chapter" >"$work/expected"
grep -q '^cc ' "$work/commands" && [ "$(grep -c hello "$work/expected")" -ge 3 ]
result $? 'the page has commands and what they print'

# In a folder with nothing but the build and hypercall-abi/.
mkdir "$work/kitchen"
ln -s "$build" "$work/kitchen/build"
ln -s "$source/hypercall-abi" "$work/kitchen/hypercall-abi"
sed -i "s/paravane run /&--hypervisor $which /" "$work/commands"
(cd "$work/kitchen" && timeout 200 sh -e "$work/commands") >"$out" 2>"$err" </dev/null
judge 'the commands end well' 0 $?
grep '^hello' "$out" | tr -d '\r' >"$work/printed"
diff "$work/expected" "$work/printed" | comment
cmp -s "$work/expected" "$work/printed"
result $? 'it prints what the page says'
plan
