#!/bin/sh
# Memory that comes and goes while a guest runs, by Linux's own balloon driver: below what it started with and above, told by
# the guest itself (sysfs) and from outside (its store's memory/target, as `xl mem-set` would write it).
# Then what else the outside can ask for: to shut down, to reboot (control/shutdown, as `xl shutdown`).
# Every frame is back at the end: the hypervisor counts, and a loss is its verdict.
#   test-balloon.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/linux-guest.sh"

kernel=$(kernel_of cloud-amd64)
need "$kernel" "Debian's cloud kernel"
make_initramfs "$work/initrd"

boot() {
    "$paravane" run --timeout 200 "$@" >"$out" 2>"$err"
}

# The same with a keyboard: lines are typed when what they need has been seen.
boot_typed() {
    rm -f "$work/keys"
    mkfifo "$work/keys"
    "$paravane" run --timeout 200 "$@" <"$work/keys" >"$out" 2>"$err" &
    machine=$!
    exec 3>"$work/keys"
}

# await TEXT [N]: until TEXT has been said on N lines; a minute at most, then the test goes on and fails.
await() {
    tries=300
    until [ "$(cat "$out" "$err" | grep -cF -e "$1")" -ge "${2:-1}" ]; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 $machine 2>/dev/null; then
            echo "# waited in vain for: $1"
            return
        fi
        sleep 0.2
    done
}

# To the guest, or to the hypervisor: Ctrl-A three times moves the keyboard from one to the other.
guest() {
    echo "$1" >&3
}
store() { # NODE VALUE
    printf '\001\001\001s1 %s\n\001\001\001' "$*" >&3
    await "$1 = "
}
reached() { # KIB [N]
    await "memory is $1 KiB" "${2:-1}"
}

target=/sys/devices/system/xen_memory/xen_memory0/target_kb
cpus='echo CPUs $(cat /sys/devices/system/cpu/online)'
boot_typed -m 128 --max-memory 192 -c 2 -r "$work/initrd" \
    "$kernel" console=hvc0 quiet panic=-1 rdinit=/init
await 'init is up'
guest 'reach 131072' && reached 131072
guest "echo 98304 >$target; reach 98304" && reached 98304
guest "echo 180224 >$target; reach 180224" && reached 180224
# Pages that have come back are real: use more than there was at the start.
guest 'mkdir /mnt && mount -t tmpfs -o size=150m t /mnt && head -c 112500000 /dev/zero >/mnt/f && echo used $(wc -c </mnt/f); rm /mnt/f'
await 'used 112500000'
store memory/target 114688
guest 'reach 114688' && reached 114688
store memory/target 196608
guest 'reach 196608; grep MemTotal /proc/meminfo' && await MemTotal 2
# More than it may have: it gets what it may.
store memory/target 250000
guest "cat $target; reach 196608" && reached 196608 2
# Linux takes a vCPU down when it is told to; bringing it up again is left to its user land, as on Xen.
cpu1=/sys/devices/system/cpu/cpu1
store cpu/1/availability offline
guest "while [ -e $cpu1/online ]; do usleep 100000; done; $cpus" && await 'CPUs 0'
store cpu/1/availability online
guest "until [ -e $cpu1/online ]; do usleep 100000; done; echo 1 >$cpu1/online; $cpus" && await 'CPUs 0-1'
printf '\001\001\001a' >&3 && await 'audit: '
printf 's1 memory/static-max\n\001\001\001' >&3 && await 'memory/static-max = '
store control/shutdown poweroff
wait $machine
judge 'a guest that shrinks and grows ends well' 0 $?
exec 3>&-
for step in 131072:'at the start' 98304:'shrunk from inside' 180224:'grown from inside, beyond the start' \
    114688:'shrunk from outside' 196608:'grown from outside, to all it may have'; do
    says "${step#*:}: ${step%%:*} KiB" "memory is ${step%%:*} KiB, 1 of 1 reached"
done
says 'the guest uses what it has got' 'used 112500000'
total=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' "$out")
[ "${total:-0}" -gt 131072 ]
result $? "Linux counts the new memory as its own"
grep -q '^250000' "$out"
result $? 'its driver has heard of a target beyond the limit'
[ "$(grep -c 'memory is 196608 KiB, 1 of 1 reached' "$out")" = 2 ]
result $? 'and the limit holds'
grep -q '^CPUs 0[^-]*$' "$out" && grep -q '^CPUs 0-1' "$out"
result $? 'a vCPU was taken away, and given back'
told 'no count is wrong' 'audit: 0 differences'
told 'the outside reads nodes, too' '/local/domain/1/memory/static-max = "196608"'
told 'it powered off because it was asked to' 'd1 shut down: poweroff'

# Asked to reboot, it does.
boot_typed -m 128 -r "$work/initrd" "$kernel" console=hvc0 quiet panic=-1 rdinit=/init
await 'init is up'
store control/shutdown reboot
wait $machine
judge 'a guest that reboots when asked to ends well' 0 $?
exec 3>&-
told 'it rebooted because it was asked to' 'd1 shut down: reboot'

# Each life starts with the memory of the first, whatever became of that.
cat >"$work/guest.cfg" <<END
name = "again"
kernel = "$kernel"
ramdisk = "$work/initrd"
memory = 192
maxmem = 256
extra = "console=hvc0 quiet panic=-1 rdinit=/grow-and-reboot"
on_reboot = "restart"
END
boot --append reboot-limit=1 "$work/guest.cfg"
judge 'a guest that grows and reboots ends well' 0 $?
told 'it began anew' 'd1 restarted'
[ "$(grep -c 'memory is 196608 KiB, 1 of 1 reached' "$out")" = 2 ]
result $? 'twice with its first size'
[ "$(grep -c 'memory is 245760 KiB, 1 of 1 reached' "$out")" = 2 ]
result $? 'and twice it grew'

# Two guests in a machine that has not enough for the maximum of both: what one gives, the other gets.
for name in giver:256:256:98304 taker:128:288:294912; do
    IFS=: read -r who start most want <<END
$name
END
    cat >"$work/$who.cfg" <<END
name = "$who"
kernel = "$kernel"
ramdisk = "$work/initrd"
memory = $start
maxmem = $most
extra = "console=hvc0 quiet panic=-1 rdinit=/say-when want=$want"
END
done
boot_typed --machine-memory 460 "$work/giver.cfg" "$work/taker.cfg"
await 'init is up' 2
printf '\001\001\001\001\001\001' >&3 # past the second guest
await 'input goes to the hypervisor'
printf 's2 memory/target 294912\n' >&3 && await '2/memory/target = '
printf 's1 memory/target 98304\n' >&3 && await '1/memory/target = '
reached 98304 && reached 294912
printf 'a' >&3 && await 'audit: '
printf 's1 control/shutdown poweroff\n' >&3 && await 'd1 shut down'
printf 's2 control/shutdown poweroff\n' >&3
wait $machine
judge 'two guests that trade memory end well' 0 $?
exec 3>&-
says 'one gave 160 MiB' 'memory is 98304 KiB, 1 of 1 reached'
says 'the other got as much' 'memory is 294912 KiB, 1 of 1 reached'
told 'no count is wrong meanwhile' 'audit: 0 differences'

# store=no: nobody answers, and Linux does without.
printf 'ls /sys/bus/xen/devices | wc -l; echo ok $((6*7)); poweroff -f\n' >"$work/input"
boot -m 128 --append store=no --input "$work/input" -r "$work/initrd" \
    "$kernel" console=hvc0 quiet panic=-1 rdinit=/init
judge 'without a store Linux runs all the same' 0 $?
says 'its shell answers' 'ok 42'
plan
