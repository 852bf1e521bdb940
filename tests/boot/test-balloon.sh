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

# To the hypervisor and back: Ctrl-A three times each.
store() { # NODE VALUE
    printf '\001\001\001s1 %s %s\n' "$1" "$2"
}
guest() {
    printf '\001\001\001%s\n' "$1"
}

boot() {
    "$paravane" run --timeout 200 "$@" >"$out" 2>"$err"
}

target=/sys/devices/system/xen_memory/xen_memory0/target_kb
{
    echo reach 262144
    echo "echo 180224 >$target; reach 180224"
    echo "echo 327680 >$target; reach 327680"
    # Pages that have come back are real: use more than there was at the start.
    echo 'mount -t tmpfs -o size=300m t /mnt && head -c 270000000 /dev/zero >/mnt/f && wc -c </mnt/f; rm /mnt/f'
    store memory/target 229376
    guest 'reach 229376'
    store memory/target 393216
    guest 'reach 393216; grep MemTotal /proc/meminfo'
    # More than it may have: it gets what it may.
    store memory/target 500000
    guest "cat $target; reach 393216"
    printf '\001\001\001as1 memory/static-max\n'
    store control/shutdown poweroff | tail -c +4
} >"$work/input"
boot -m 256 --max-memory 384 -c 2 --input "$work/input" -r "$work/initrd" \
    "$kernel" console=hvc0 quiet panic=-1 rdinit=/init
judge 'a guest that shrinks and grows ends well' 0 $?
for step in 262144:'at the start' 180224:'shrunk from inside' 327680:'grown from inside, beyond the start' \
    229376:'shrunk from outside' 393216:'grown from outside, to all it may have'; do
    says "${step#*:}: ${step%%:*} KiB" "memory is ${step%%:*} KiB, 1 of 1 reached"
done
says 'the guest uses what it has got' 270000000
total=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' "$out")
[ "${total:-0}" -gt 262144 ]
result $? "Linux counts the new memory as its own: ${total:-nothing} KiB"
says 'its driver has heard of a target beyond the limit' 500000
[ "$(grep -c 'memory is 393216 KiB, 1 of 1 reached' "$out")" = 2 ]
result $? 'and the limit holds'
told 'no count is wrong' 'audit: 0 differences'
told 'the outside reads nodes, too' '/local/domain/1/memory/static-max = "393216"'
told 'it powered off because it was asked to' 'd1 shut down: poweroff'

# Asked to reboot, it does.
{
    echo reach 131072
    store control/shutdown reboot
} >"$work/input"
boot -m 128 --input "$work/input" -r "$work/initrd" \
    "$kernel" console=hvc0 quiet panic=-1 rdinit=/init
judge 'a guest that reboots when asked to ends well' 0 $?
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

# store=no: nobody answers, and Linux does without.
printf 'ls /sys/bus/xen/devices | wc -l; echo ok $((6*7)); poweroff -f\n' >"$work/input"
boot -m 128 --append store=no --input "$work/input" -r "$work/initrd" \
    "$kernel" console=hvc0 quiet panic=-1 rdinit=/init
judge 'without a store Linux runs all the same' 0 $?
says 'its shell answers' 'ok 42'
plan
