#!/bin/sh
# One kernel, three machines: the same programs give the same output.
#   test-unix.sh BUILD
#   test-unix.sh BUILD [native|paravane|xen]   only one of them
# pv-guest on the bare machine, on Paravane and on Xen, with 1 and 4 CPUs, runs busybox's applets, a long
# shell script and the questions of pv-guest/user/check; the build host says what the first two should print.
set -u
. "$(dirname "$0")/../boot/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
initramfs=$build/tests/unix/initramfs.cpio

part() { # NAME NEXT FILE
    sed -n "/^=== $1\$/,/^=== $2\$/p" "$3" | sed '1d;$d'
}

# Their output on this machine, on a terminal of its own, in an empty folder.
mkdir "$work/bin" "$work/applets" "$work/script"
busybox --install -s "$work/bin"
cat >"$work/terminal" <<'EXPECT'
set timeout 120
spawn -noecho env -i HOME=/ LC_ALL=C TZ=UTC {*}$argv
expect eof {} timeout { puts "no end in 120 s"; exit 1 }
EXPECT
on_host() { # FOLDER COMMAND...
    folder=$work/$1
    shift
    (cd "$folder" && expect "$work/terminal" PATH="$work/bin" path="$work/bin" work="$folder" "$@" | tr -d '\r')
}
on_host applets "$work/bin/sh" "$here/../linux/run-commands" "$here/applets" >"$work/host"
part begin end "$work/host" >"$work/applets.host"
on_host script "$work/bin/sh" "$here/script" >"$work/script.host"
applets=$(grep -c '^\[[0-9]*\] ' "$work/applets.host")
[ "$applets" -ge 40 ]
result $? "the build host runs the applets: $applets paragraphs"
[ "$(tail -n 1 "$work/script.host")" = '0 failed' ]
result $? "and the script: $(grep -c '^ok' "$work/script.host") checks"
cp "$work/applets.host" "$work/applets.first"
cp "$work/script.host" "$work/script.first"

same() { # WHAT PART FILE: as those before
    if [ ! -e "$work/$2.first" ]; then
        cp "$3" "$work/$2.first"
        [ -s "$3" ]
        result $? "$1"
        return
    fi
    diff "$work/$2.first" "$3" >"$work/diff"
    result $? "$1"
    head -n 20 "$work/diff" | comment
}

machine() { # NAME CPUS OPTIONS...
    name="$1, $2 CPUs"
    [ "$2" = 1 ] && name="$1, 1 CPU"
    cpus=$2
    shift 2
    ask "$name: runs them all and ends" 0 "$paravane" run -q --timeout "${seconds:-400}" -c "$cpus" --cpus "$cpus" \
        -m 128 -r "$initramfs" "$@" init=/bin/run-all
    sed -i 's/\r//g' "$out"
    part begin end "$out" >"$work/applets.now"
    part script check "$out" >"$work/script.now"
    part check 'done' "$out" | grep -e '^ok ' -e '^not ok ' -e '^1\.\.' >"$work/check.now"
    same "$name: the applets print what they print on the build host" applets "$work/applets.now"
    same "$name: so does the script" script "$work/script.now"
    # /dev/xen is the first domain's alone, which the guest is on Xen: elsewhere its questions are skipped.
    sed -e 's/^\(not ok\|ok\) [0-9]* - /\1 - /' -e '/^1\.\./d' "$work/check.now" |
        awk '/- \/dev\/xen # SKIP|- privcmd makes a hypercall/ { skip = 1 } /- nothing leaks/ { skip = 0 } !skip' >"$work/check.alike"
    same "$name: the system calls answer as on the other machines" check "$work/check.alike"
    ! grep -q '^not ok' "$work/check.now" && grep -q '^1\.\.' "$work/check.now"
    result $? "$name: and as they should: $(grep -c '^ok' "$work/check.now") questions"
}

for cpus in 1 4; do
    for which in ${2:-native paravane xen}; do
        case $which in
        native) machine 'bare machine' $cpus --native "$build/pv-guest/pv-guest-native" ;;
        paravane) machine Paravane $cpus "$build/pv-guest/pv-guest" ;;
        xen) machine Xen $cpus --hypervisor xen "$build/pv-guest/pv-guest" ;;
        esac
    done
done
plan
