#!/bin/sh
# Several guests on one Paravane: nobody suffers from a neighbour.
#   test-neighbours.sh BUILD
# One spins, the other's ticks all come.  Others crash, each in its own way, or
# call everything with anything, and one that counts ticks does not notice.
set -u
. "$(dirname "$0")/tap.sh"
guests=$build/tests/guest

config() { # NAME GUEST MEMORY WORDS: a file for one guest
    printf 'name = "%s"\nkernel = "%s"\nmemory = %s\nextra = "%s"\n' "$1" "$guests/$2" "$3" "$4" \
        >"$work/$1.cfg"
}
run() { (cd "$work" && "$paravane" run --timeout 150 "$@"); }

config spin spin 8 ''
config tick tick 8 ''
ask 'a guest beside one that spins ends well' 0 run --until tick spin.cfg tick.cfg
says 'the other was spinning' 'spin: spinning'
says 'all its ticks came' 'tick: 50 of 50'

config spin2 spin 8 ''
ask 'the same on two processors' 0 run --threads multi --cpus 2 --until tick spin.cfg spin2.cfg tick.cfg
says 'all ticks came there, too' 'tick: 50 of 50'

# Every way of tests/guest/crash, each in a domain of its own, all at once.
config list crash 8 'way=0'
ask 'the ways to crash are listed' 0 run list.cfg
ways=$(grep -c 'crash: way=' "$out")
[ "$ways" -ge 20 ]
result $? "there are at least 20 of them: $ways"
files=
for way in $(seq $ways); do
    config "crash$way" crash 8 "way=$way"
    echo 'vcpus = 2' >>"$work/crash$way.cfg" # one way is to be switched away from by the other
    files="$files crash$way.cfg"
done
# shellcheck disable=SC2086
ask 'guests that crash: the verdict says so' 20 run $files tick.cfg
says 'their neighbour counted to the end' 'tick: done'
told 'and shut down by itself' "d$((ways + 1)) shut down: poweroff"
grep -q '^(PV) BUG' "$err"
[ $? = 1 ]
result $? 'the hypervisor has nothing to say for itself'
for way in $(seq $ways); do
    name=$(sed -n "s/^(d$way) crash: //p" "$out" | head -n 1)
    case $name in
    'the last vCPU goes down') reason=poweroff ;; # an orderly end
    'the watchdog is not fed') reason=watchdog ;;
    *) reason=crash ;;
    esac
    told "way $way: $name" "(PV) d$way shut down: $reason"
done
told 'a dump has addresses with symbols' 'guest_main+'
told 'and lines' 'crash/main.c:'

seeds=4
files=
for seed in $(seq $seeds); do
    config "hostile$seed" hostile 8 "seed=$seed count=5000"
    files="$files hostile$seed.cfg"
done
# shellcheck disable=SC2086
ask 'beside guests that call anything' 0 run --until tick $files tick.cfg
says 'all ticks come' 'tick: 50 of 50'
# shellcheck disable=SC2086
run $files >"$out" 2>"$err" </dev/null
status=$?
[ $status = 0 ] || [ $status = 20 ]
result $? 'those guests end well or crash, and the hypervisor does neither'
plan
