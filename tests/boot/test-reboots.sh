#!/bin/sh
# The smallest guest, destroyed and built again by the hypervisor, COUNT times.
# After each the hypervisor recounts every frame (audit) and compares with the
# time before; a lost frame is the verdict HYPERVISOR_BUG.
#   test-reboots.sh BUILD COUNT
set -u
. "$(dirname "$0")/tap.sh"
count=$2

printf 'name = "reboot"\nkernel = "%s"\nmemory = 8\nextra = "quiet=1"\non_reboot = "restart"\n' \
    "$build/tests/guest/reboot" >"$work/reboot.cfg"
ask "$count lives" 0 "$paravane" run --timeout $((500 + count / 4)) --append "reboot-limit=$count restart-delay=0" "$work/reboot.cfg"
[ "$(grep -c 'd1 restarted' "$err")" = "$count" ]
result $? 'it was built again that often'
grep -q 'audit:' "$err"
[ $? = 1 ]
result $? 'the audit found nothing lost'
plan
