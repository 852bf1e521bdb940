#!/bin/sh
# Debian's programs in pv-guest, from an initramfs: the same output on the bare machine and on Paravane, with 1 and 4 CPUs.
#   test-programs.sh BUILD programs|python-tests     tools/setup --programs fetches them
# Python's tests are first asked under Linux, which says what should pass and what not.  They judge by the clock, which counts
# instructions there (--icount): this machine's load must not fail them.
set -u
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
script=$2
root=$build/oracle/programs
kernel=$(ls "$build"/oracle/guests/cloud-amd64/boot/vmlinuz-* 2>/dev/null)
if ! [ -e "$root/usr/bin/python3" ] || ! [ "$kernel" ]; then
    result 1 "there are Debian's programs, and Linux: run tools/setup --programs"
    plan
    exit
fi
case $script in
python-tests) clock=--icount ;;
*) clock= ;;
esac

machine() { # NAME CPUS OPTIONS...
    name="$1, $2 CPUs"
    cpus=$2
    shift 2
    # shellcheck disable=SC2086
    ask "$name: all of it ends" 0 "$paravane" run -q $clock --timeout 7200 -m 1400 -c "$cpus" --cpus $((cpus > 1 ? 2 : 1)) \
        -r "$build/pv-guest/initramfs.cpio" --add "$root/usr:/usr" --add "$root/lib:/lib" --add "$root/lib64:/lib64" \
        --add "$root/bin/bash:/bin/bash" --add "$root/bin/tar:/bin/tar" --add "$here/$script:/programs" "$@"
    tr -d '\r' <"$out" | sed -n '/^=== begin$/,/^=== end$/p' | grep -v -e 'is not implemented; ' >"$work/now"
    grep -q '^=== end$' "$work/now"
    result $? "$name: to its last line"
    # How many tests were left out differs, since a kernel says what it has; which fail does not.
    sed -e '/^Ran /d' -e 's/^OK.*/OK/' -e 's/^FAILED.*/FAILED/' "$work/now" >"$work/judged"
    [ -e "$work/first" ] || cp "$work/judged" "$work/first"
    diff "$work/first" "$work/judged" >"$work/diff"
    result $? "$name: with the same output as before"
    head -n 20 "$work/diff" | comment
    [ "$clock" ] && comment <"$work/now"
}

if [ "$script" = python-tests ]; then
    machine Linux 1 --native "$kernel" console=ttyS0 panic=-1 rdinit=/programs quiet
fi
for cpus in 1 4; do
    machine 'bare machine' $cpus -x 'init=/bin/bash quiet -- /programs' --native "$build/pv-guest/pv-guest-native"
    machine Paravane $cpus -x 'init=/bin/bash quiet -- /programs' "$build/pv-guest/pv-guest"
done
if [ "$script" = programs ]; then
    ! grep -e 'rror' -e 'not found' -e 'No such' "$work/first" >"$work/complaints"
    result $? 'no program complains'
    comment <"$work/complaints"
fi
plan
