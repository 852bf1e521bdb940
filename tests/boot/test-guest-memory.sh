#!/bin/sh
# Memory that our guest gives back and gets again when its store's memory/target says so, as `xl mem-set` writes it.
# At the end the hypervisor counts every frame.
#   test-guest-memory.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

# await TEXT: until it has been said; some minutes at most, then the test goes on and fails.
await() {
    tries=900
    until cat "$out" "$err" | grep -qF -e "$1"; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 $machine 2>/dev/null; then
            echo "# waited in vain for: $1"
            return
        fi
        sleep 0.2
    done
}

# store NODE VALUE: write it, by the hypervisor's debug keys.
store() {
    printf '\001\001\001s1 %s\n\001\001\001' "$*" >&3
    await "$1 = "
}

run() { # OPTION...
    rm -f "$work/keys"
    mkfifo "$work/keys"
    "$paravane" run --timeout 600 -m 64 -r "$build/pv-guest/initramfs.cpio" "$@" "$build/pv-guest/pv-guest" \
        <"$work/keys" >"$out" 2>"$err" &
    machine=$!
    exec 3>"$work/keys"
    await '# '
    store memory/target 32768
    await 'has 32768 KiB'
    # What is left is the kernel's to use: all of it.
    echo 'head -c 4000000 /dev/zero >/f && echo "used $(wc -c </f)"; rm /f' >&3
    await 'used 4000000'
    store memory/target 49152
    await 'has 49152 KiB'
    echo 'head -c 16000000 /dev/zero >/f && echo "used $(wc -c </f)"; rm /f' >&3
    await 'used 16000000'
    store memory/target 131072
    await 'has 65536 KiB'
    store memory/target 512
    await 'no more can be spared'
    store memory/target lots
    await 'no number of KiB'
    store memory/target 65536
    store control/shutdown poweroff
    wait $machine
    judge "$*: it ends well" 0 $?
    exec 3>&-
    says "$*: it shrinks" 'the domain has 32768 KiB, as was asked for from outside'
    says "$*: and uses what is left" 'used 4000000'
    says "$*: it grows" 'the domain has 49152 KiB, as was asked for from outside'
    says "$*: and uses what it has got" 'used 16000000'
    says "$*: not beyond what it started with" \
        'the domain may have 131072 KiB; this kernel uses no more than the 65536 it started with'
    says "$*: it keeps what it cannot spare" 'the domain was to have 512 KiB, it has'
    says "$*: what is no number is told" 'memory/target says "lots", which is no number of KiB'
}

run -c 1
run -c 2 --threads multi --cpus 2
plan
