#!/bin/sh
# busybox's own tests in pv-guest: does each end as under Linux, which runs the same busybox from the same initramfs?
#   test-busybox.sh BUILD     tools/setup --programs fetches the tests
# busybox-differences.txt lists what differs, with reasons.
set -u
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
folder=$build/oracle/busybox
kernel=$(ls "$build"/oracle/guests/cloud-amd64/boot/vmlinuz-* 2>/dev/null)
if ! [ -e "$folder/testsuite" ] || ! [ "$kernel" ]; then
    result 1 "there are busybox's tests, and Linux: run tools/setup --programs"
    plan
    exit
fi

listed() { # the differences, without comments
    grep -v -e '^#' -e '^$' "$here/busybox-differences.txt" | sed 's/ -- .*//'
}

machine() { # NAME CPUS OPTIONS...
    name="$1, $2 CPUs"
    cpus=$2
    shift 2
    ask "$name: all of it ends" 0 "$paravane" run -q --timeout 7200 -m 512 -c "$cpus" --cpus $((cpus > 1 ? 2 : 1)) \
        -r "$build/pv-guest/initramfs.cpio" --add "$folder:/busybox" --add /bin/busybox:/busybox/busybox \
        --add "$here/busybox-tests:/run-tests" "$@"
    sed -i 's/\r//g' "$out"
    grep -q '^=== end$' "$out"
    result $? "$name: to the last test"
    grep -e '^PASS: ' -e '^FAIL: ' -e '^SKIPPED: ' -e '^UNTESTED: ' "$out" >"$work/now"
    echo "# $(cut -d: -f1 "$work/now" | sort | uniq -c | xargs)"
    if [ ! -e "$work/linux" ]; then
        cp "$work/now" "$work/linux"
        [ "$(wc -l <"$work/now")" -ge 800 ] # 884 of busybox 1.35
        result $? "$name: there are all the tests"
        return
    fi
    # "<" is how a test ends under Linux, ">" how it ends here.
    diff "$work/linux" "$work/now" | grep '^[<>]' >"$work/differs"
    listed | diff - "$work/differs" >"$work/diff"
    result $? "$name: each as under Linux, or as busybox-differences.txt has it"
    head -n 20 "$work/diff" | comment
}

machine Linux 1 --native "$kernel" console=ttyS0 panic=-1 rdinit=/run-tests quiet
for cpus in 1 4; do
    machine 'bare machine' $cpus --native "$build/pv-guest/pv-guest-native" quiet init=/run-tests
    machine Paravane $cpus "$build/pv-guest/pv-guest" quiet init=/run-tests
done
plan
