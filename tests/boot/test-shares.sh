#!/bin/sh
# Who gets how much of a CPU, counted in instructions: test-shares.sh BUILD
# A guest that computes measures its share beside others like it, beside one that blocks, wakes and
# yields 10,000 times a second (2% is the most that this may cost), by weight and by cap.
set -u
. "$(dirname "$0")/tap.sh"
guests=$build/tests/guest

config() { # NAME IMAGE WORDS LINES
    printf 'name = "%s"\nkernel = "%s"\nmemory = 4\nextra = "%s"\n%b' "$1" "$guests/$2" "$3" "$4" \
        >"$work/$1.cfg"
}

# WHAT LEAST MOST OPTIONS FILES: does share get so many in a thousand?
gets() {
    what=$1 least=$2 most=$3
    shift 3
    (cd "$work" && "$paravane" run -q --icount --timeout 100 --until share "$@" share.cfg) >"$out" 2>"$err" </dev/null
    share=$(sed -n 's/.*that is \([0-9]*\) in a thousand.*/\1/p' "$out" | head -n 1)
    [ "${share:-0}" -ge "$least" ] && [ "${share:-9999}" -le "$most" ]
    result $? "$what: ${share:-nothing said} of 1000"
}

config share share 'for=1000' ''
config other share 'for=100000' ''
config third share 'for=100000' ''
gets 'alone' 999 1000
gets 'beside one' 490 510 other.cfg
gets 'beside two' 320 346 other.cfg third.cfg
for busy in 0 10 50 100; do
    ideal=$((busy < 50 ? 1000 - 10 * busy : 500))
    config flood flood "busy=$busy" ''
    gets "beside one that wakes and yields 10,000 times a second and is busy for $busy%" $((ideal - 20)) 1000 flood.cfg
    config flood flood "busy=$busy yield=0" ''
    gets 'the same without yielding' $((ideal - 20)) $((ideal + 20)) flood.cfg
done
config other share 'for=100000' 'cpu_weight = 512\n'
gets 'a third, beside one of double weight' 320 346 other.cfg
config other share 'for=100000' 'cap = 25\n'
gets 'the rest, beside one that may have a quarter' 730 770 other.cfg
config other share 'for=100000' 'cpus = "1"\n'
gets 'all, beside one that is pinned to another CPU' 990 1000 --cpus 2 other.cfg

# Its end and its next beginning are paid by the domain as well: with its cap, with its weight.
reborn() { # LINES
    printf 'name = "reborn"\nkernel = "%s"\nmemory = 64\nvcpus = 32\nextra = "quiet=1"\non_reboot = "restart"\n%b' \
        "$guests/reboot" "$1" >"$work/reborn.cfg"
}
reborn 'cap = 5\ncpu_weight = 16\n'
gets 'beside one with a cap of 5% that only reboots' 940 970 --append restart-delay=0 reborn.cfg
reborn 'cpu_weight = 16\n'
gets 'beside one with weight 16 that only reboots' 930 950 --append restart-delay=0 reborn.cfg
reborn ''
gets 'beside one that only reboots' 490 520 --append restart-delay=0 reborn.cfg
gets 'the same, which is started once a second' 970 1000 reborn.cfg
[ "$(grep -c 'd[12] restarted' "$err")" -le 2 ]
result $? 'and no more often'
plan
