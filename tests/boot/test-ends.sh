#!/bin/sh
# Each way in which a guest can end: as the first domain, what becomes of the machine (as on Xen); as
# a domain without roles, what is said and how the run is judged.
#   test-ends.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

end=$build/tests/guest/end
run() { "$paravane" run --timeout 100 "$@"; }

# ends WORD CODE FIRST-DOMAIN'S-LAST-WORDS OTHERS'
ends() {
    ask "first domain, $1" "$2" run --dom0 "$end" "$1"
    told "first domain, $1: said" "(PV) Hardware Dom0 $3"
    ask "$1" "$2" run "$end" "$1"
    told "$1: said" "d1 shut down: $4"
}

ends way=0 0 'halted: halting machine' poweroff
ends way=1 0 'shutdown: rebooting machine' reboot
ends way=2 0 'shutdown (suspend, reason 2): rebooting machine' suspend
ends way=3 20 'crashed: halting machine' crash
ends way=4 20 'shutdown: watchdog rebooting machine' watchdog
ends way=5 0 'shutdown (soft_reset, reason 5): rebooting machine' soft_reset
ends way=6 0 'shutdown (unknown, reason 6): rebooting machine' unknown
ends code=1 0 'shutdown: rebooting machine' reboot
ends watchdog=1 20 'shutdown: watchdog rebooting machine' watchdog
ends down=1 0 'halted: halting machine' poweroff
plan
