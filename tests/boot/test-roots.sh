#!/bin/sh
# What CR3 names is held, on idle CPUs as well: a guest that watches the L4 table it has just left (tests/guest/old-root),
# beside one that is built anew all the time.  Counting instructions, so that each seed is one fixed course of events.
set -u
. "$(dirname "$0")/tap.sh"

printf 'name = "reboots"\nkernel = "%s"\nmemory = 8\nvcpus = 32\nextra = "quiet=1"\non_reboot = "restart"\n' \
    "$build/tests/guest/reboot" >"$work/reboots.cfg"
for seed in 2 3 8; do
    printf 'name = "old-root"\nkernel = "%s"\nmemory = 8\nvcpus = 8\nextra = "seed=%s"\n' "$build/tests/guest/old-root" "$seed" \
        >"$work/old-root.cfg"
    ask "seed $seed" 0 "$paravane" run --icount --cpus 2 --timeout 100 --append restart-delay=0 --until old-root "$work/old-root.cfg" "$work/reboots.cfg"
    says "seed $seed: nobody walked it" 'ok 2 - no CPU walks an L4 table that the guest may write'
    grep -q '^not ok' "$out"
    [ $? = 1 ]
    result $? "seed $seed: nothing else went wrong"
done
plan
