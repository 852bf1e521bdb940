#!/bin/sh
# What is asked of our guest from outside, through its store as `xl shutdown` and `xl sysrq` would: to end, and how.
#   test-asked.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

# await TEXT: until it has been said; a minute at most, then the test goes on and fails.
await() {
    tries=300
    until cat "$out" "$err" | grep -qF -e "$1"; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 $machine 2>/dev/null; then
            echo "# waited in vain for: $1"
            return
        fi
        sleep 0.2
    done
}

# asked NODE VALUE CODE TOLD [OPTION...]: the guest runs, NODE is written, and it ends with CODE and TOLD.
asked() {
    node=$1 value=$2 code=$3 told=$4
    shift 4
    rm -f "$work/keys"
    mkfifo "$work/keys"
    "$paravane" run --timeout 100 -r "$build/pv-guest/initramfs.cpio" "$@" "$build/pv-guest/pv-guest" \
        <"$work/keys" >"$out" 2>"$err" &
    machine=$!
    exec 3>"$work/keys"
    await '# '
    printf '\001\001\001s1 %s %s\n' "$node" "$value" >&3
    wait $machine
    judge "$node = $value, $*: ends" "$code" $?
    exec 3>&-
    told "$node = $value, $*: as it was asked to" "$told"
}

asked control/shutdown poweroff 0 'd1 shut down: poweroff' -c 1
asked control/shutdown reboot 0 'd1 shut down: reboot' -c 2
asked control/shutdown halt 0 'd1 shut down: poweroff' -c 1
# A first process that does not listen.
asked control/shutdown poweroff 0 'd1 shut down: poweroff' -x init=/bin/sh
asked control/sysrq o 0 'd1 shut down: poweroff' -c 1
asked control/sysrq b 0 'd1 shut down: reboot' -c 1
plan
